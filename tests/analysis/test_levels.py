"""An exposure of several levels: each against the reference, and the joint F test."""

import json

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

import jaxmed  # noqa: E402
from jaxmed.analysis.levels import joint_test_of_levels  # noqa: E402
from jaxmed.cli import main  # noqa: E402
from jaxmed.data import InvalidDataError  # noqa: E402

ROLES = {"exposure": "arm", "outcome": "y", "mediators": "m*"}
N = 120


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    # As many rows at every level: all contrasts are of one shape.
    arm = rng.permutation(np.repeat(["low", "placebo", "high"], N // 3))
    dose = np.select([arm == "low", arm == "high"], [0.5, 1.2], 0.0)
    age, w = rng.normal(50, 8, N), rng.integers(1, 4, N)
    m = rng.normal(size=(N, 3)) + np.outer(dose, [1, 0, 0.5])
    y = m @ [0.8, 0.3, 0] + 0.3 * dose + 0.02 * age + rng.normal(size=N)
    made = pandas.DataFrame(m, columns=["m1", "m2", "m3"])
    return made.assign(
        arm=arm, group=np.select([arm == "low", arm == "high"], [2, 3], 1), age=age, y=y, w=w
    )


def f_test(frame, reference, covariates=(), weights=None):
    """By two least squares fits."""
    w = np.ones(len(frame)) if weights is None else frame[weights].to_numpy(float)
    w = w * (len(frame) / w.sum())
    root = np.sqrt(w)[:, None]
    base = np.column_stack([np.ones(len(frame)), *(frame[c] for c in covariates)])
    others = [level for level in sorted(set(frame.arm)) if level != reference]
    full = np.column_stack([base, *(frame.arm == level for level in others)])
    y = frame.y.to_numpy()
    rss = []
    for design in (base, full):
        fit = np.linalg.lstsq(design * root, y * root[:, 0], rcond=None)[0]
        rss.append(np.sum(w * (y - design @ fit) ** 2))
    df = len(frame) - full.shape[1]
    return (rss[0] - rss[1]) / len(others) / (rss[1] / df), len(others), df


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("covariates", [[], ["age"]])
def test_the_joint_test_is_the_f_test_of_least_squares(frame, covariates, weights):
    stats = pytest.importorskip("scipy.stats")
    data = jaxmed.levels_from_frame(frame, **ROLES, covariates=covariates, weights=weights)
    found = joint_test_of_levels(data, basis="linear")
    statistic, df, df_residual = f_test(frame, "high", covariates, weights)
    assert (found.df, found.df_residual, found.rows) == (df, df_residual, N)
    assert found.statistic == pytest.approx(statistic, rel=1e-10)
    assert found.p_value == pytest.approx(stats.f.sf(statistic, df, df_residual), rel=1e-8)
    other = jaxmed.levels_from_frame(
        frame, **ROLES, covariates=covariates, weights=weights, levels=("placebo", "low", "high")
    )
    again = joint_test_of_levels(other, basis="linear")
    assert again.statistic == pytest.approx(statistic, rel=1e-10)


def test_every_level_is_its_contrast(frame):
    levels = jaxmed.levels_from_frame(frame, **ROLES, levels=("placebo", "low", "high"))
    assert levels.reference == "placebo" and list(levels.levels) == ["low", "high"]
    for level, part in levels.levels.items():
        alone = jaxmed.from_frame(frame, **ROLES, contrast=("placebo", level))
        for name in ("exposure", "mediators", "outcome"):
            np.testing.assert_array_equal(getattr(part.data, name), getattr(alone, name))
    result = jaxmed.mediate(levels, key=0, basis="linear", effects=(), permutations=0, folds=0)
    for level in ("low", "high"):
        row = result.levels[level].effects["total_effect"]
        used = frame[frame.arm.isin(["placebo", level])]
        design = np.column_stack([np.ones(len(used)), used.arm == level])
        total = np.linalg.lstsq(design, used.y, rcond=None)[0][1]
        assert row["estimate"] == pytest.approx(total, rel=1e-10)
    assert "Total effect of arm, all levels: F = " in result.summary()
    assert "arm: low against placebo" in result.summary()


def test_numbers_have_levels_where_they_are_named(frame):
    roles = ROLES | {"exposure": "group"}
    with pytest.raises(InvalidDataError, match="holds numbers: name the levels"):
        jaxmed.levels_from_frame(frame, **roles)
    named = jaxmed.levels_from_frame(frame, **roles, levels=(1, "2", 3.0))
    by_text = jaxmed.levels_from_frame(frame, **ROLES, levels=("placebo", "low", "high"))
    declared = jaxmed.levels_from_frame(frame, **roles, factor="group")
    for one, two, three in zip(
        named.levels.values(), by_text.levels.values(), declared.levels.values(), strict=True
    ):
        np.testing.assert_array_equal(one.data.exposure, two.data.exposure)
        np.testing.assert_array_equal(one.data.exposure, three.data.exposure)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"levels": ("low",)}, "two or more"),
        ({"levels": ("low", "low")}, "two or more"),
        ({"levels": ("low", "other")}, "no rows with level 'other'"),
        ({"where": "arm == low"}, "two or more"),
    ],
)
def test_levels_that_cannot_be_compared(frame, more, message):
    with pytest.raises(ValueError, match=message):
        jaxmed.levels_from_frame(frame, **ROLES, **more)


def test_the_command_line_compares_every_level(frame, tmp_path, capsys):
    path = tmp_path / "t.csv"
    frame.to_csv(path, index=False)
    roles = [str(path), "--exposure", "arm", "--outcome", "y", "--mediators", "m*", "--quiet"]
    out = tmp_path / "out"
    more = ["--methods", "ols", "--bootstrap", "0", "--levels", "placebo,low,high"]
    assert main(["compare", *roles, *more, "--no-figures", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "arm: low against placebo" in said and "arm: high against placebo" in said
    document = json.loads((out / "levels.json").read_text())
    statistic, df, _ = f_test(frame, "placebo")
    assert document["joint"]["statistic"] == pytest.approx(statistic, rel=1e-9)
    assert document["joint"]["df"] == df and document["reference"] == "placebo"
    for folder in document["levels"].values():
        assert (out / folder / "compare.json").exists()
    assert "low/report.html" in (out / "index.html").read_text()
    # Without --levels all of them, the first in order as reference.
    assert main(["compare", *roles, "--methods", "ols", "--bootstrap", "0"]) == 0
    assert "arm: low against high" in capsys.readouterr().out
    assert main(["evaluate", *roles]) == 2
    error = capsys.readouterr().err
    assert "choose two with --contrast REFERENCE,TREATED" in error and "levels_from" not in error
    both = ["--levels", "placebo,low", "--contrast", "low,high"]
    assert main(["compare", *roles, *both]) == 2
    assert "give one" in capsys.readouterr().err
