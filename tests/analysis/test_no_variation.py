"""Exposures and outcomes of which covariates leave nothing are refused by name at every door."""

import dataclasses
import itertools
import re
import warnings

import numpy as np
import pytest

import jaxmed
from jaxmed import InvalidDataError, MediationData, Names
from jaxmed.analysis.basis_effects import design_block
from jaxmed.analysis.design import designed
from jaxmed.analysis.effects import effects
from jaxmed.analysis.generative import generative
from jaxmed.analysis.least_squares import least_squares
from jaxmed.data.independent_columns import explained_by
from jaxmed.data.no_variation import check_covariates_leave
from jaxmed.data.streams import stream
from jaxmed.statistics.moment_columns import covariate_codes
from jaxmed.statistics.moment_variation import check_moments_leave

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

from jaxmed.cli import main  # noqa: E402

ROLES = {
    "exposure": "x",
    "outcome": "y",
    "mediators": ["m1", "m2", "m3"],
    "covariates": ["age", "bmi", "site"],
}
ARGUMENTS = [
    "--exposure",
    "x",
    "--outcome",
    "y",
    "--mediators",
    "m*",
    "--covariates",
    "age,bmi,site",
    "--quiet",
]


def table(n=120):
    rng = np.random.default_rng(0)
    frame = pandas.DataFrame(rng.normal(size=(n, 5)), columns=["x", "y", "m1", "m2", "m3"])
    frame["age"] = rng.integers(20, 80, n)
    frame["bmi"] = rng.normal(25, 3, n).round(1)
    frame["site"] = rng.choice(["a", "b", "c"], n)
    return frame


# kind -> (column, its values, the columns that a message names; None where it is constant)
KINDS = {
    "copy": ("x", lambda t: t["age"], ["age"]),
    "affine copy": ("x", lambda t: 2 * t["age"] + 1, ["age"]),
    "sum of two": ("x", lambda t: t["age"] + t["bmi"], ["age", "bmi"]),
    "dummies": ("x", lambda t: (t["site"] != "a") * 1.0, ["site[b]", "site[c]"]),
    "constant outcome": ("y", lambda t: 0 * t["y"] + 3, None),
    "outcome a covariate": ("y", lambda t: t["bmi"], ["bmi"]),
    "outcome a sum": ("y", lambda t: t["bmi"] - t["age"] / 7, ["age", "bmi"]),
    "square": ("x", lambda t: t["age"] ** 2.0, ["age", "age^2"]),
}


@pytest.fixture(scope="module")
def frames():
    found = {}
    for kind, (column, values, _) in KINDS.items():
        frame = table()
        frame[column] = values(frame)
        found[kind] = frame
    return found


def rows(frame):
    return jaxmed.from_frame(frame, **ROLES)


def unchecked(frame):
    """The same without a look at the outcome, which `from_frame` would refuse."""
    data = rows(frame.assign(y=table()["y"]))
    return dataclasses.replace(data, outcome=frame["y"].to_numpy(float))


def csv(frame, folder):
    frame.to_csv(folder / "t.csv", index=False)
    return folder / "t.csv"


def wide(frame, folder):
    """A file of more mediators than rows."""
    names = [f"m{j}" for j in range(4, 160)]
    values = np.random.default_rng(1).normal(size=(len(frame), len(names)))
    more = pandas.DataFrame(values, columns=names)
    pandas.concat([frame, more], axis=1).to_parquet(folder / "t.parquet")
    return folder / "t.parquet"


PYTHON = {
    "mediate": lambda frame, folder: jaxmed.mediate(rows(frame), key=0),
    "effects": lambda frame, folder: effects(rows(frame), key=0),
    "gahmn": lambda frame, folder: generative(rows(frame), key=0),
    "compare": lambda frame, folder: jaxmed.compare(rows(frame), ["ols"], key=0, bootstrap=0),
    "evaluate": lambda frame, folder: jaxmed.evaluate(rows(frame), ["maxie"], key=0),
    "arrays": lambda frame, folder: jaxmed.mediate(unchecked(frame), key=0),
}
LINEAR = {
    "moments": lambda frame, folder: jaxmed.mediate(
        jaxmed.cross_moments(unchecked(frame)), key=0, replicates=100
    ),
    "stream": lambda frame, folder: jaxmed.mediate(
        stream(csv(frame, folder), **ROLES), key=0, replicates=100
    ),
    "dual stream": lambda frame, folder: jaxmed.mediate(
        stream(wide(frame, folder), **(ROLES | {"mediators": "m*"})), key=0, replicates=100
    ),
}
TERMINAL = {
    "mediate": ["mediate"],
    "generative": ["generative"],
    "compare": ["compare", "--methods", "ols"],
    "evaluate": ["evaluate", "--methods", "maxie"],
    "stream": ["mediate", "--memory", "0"],
}


def expected(kind):
    """What a message says, without the remedy."""
    column, _, names = KINDS[kind]
    role = "exposure" if column == "x" else "outcome"
    if names is None:
        return f"the {role} {column!r} is constant (3)"
    return f"the {role} {column!r} has no variation left given " + ", ".join(map(repr, names)) + ":"


def remedy(kind):
    role = "exposure" if KINDS[kind][0] == "x" else "outcome"
    if kind == "square":
        return "choose basis="
    return f"choose another {role}"


def refused(call, frame, folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is said beside the refusal
        with pytest.raises(InvalidDataError) as caught:
            call(frame, folder)
    return str(caught.value)


@pytest.mark.parametrize("door", PYTHON)
@pytest.mark.parametrize("kind", KINDS)
def test_every_door_of_rows_refuses(kind, door, frames, tmp_path):
    said = refused(PYTHON[door], frames[kind], tmp_path)
    assert said.startswith(expected(kind)) and remedy(kind) in said, said


@pytest.mark.parametrize("door", LINEAR)
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "square"])
def test_every_door_without_rows_refuses(kind, door, frames, tmp_path):
    said = refused(LINEAR[door], frames[kind], tmp_path)
    assert said.startswith(expected(kind)) and remedy(kind) in said, said


# A stream takes covariates as they are, of which a square is no function: there it is answered.
ANSWERED = ("square", "stream")
REFUSED = [cell for cell in itertools.product(KINDS, TERMINAL) if cell != ANSWERED]


def test_a_stream_answers_where_only_a_basis_determines_the_exposure(frames, tmp_path):
    kind, door = ANSWERED
    command, *more = TERMINAL[door]
    out = ["--out", str(tmp_path / "answered"), "--no-figures", "--replicates", "100"]
    # One covariate: the program of three mediators in `test_bad_input`.
    out += ["--covariates", "age"]
    assert main([command, str(csv(frames[kind], tmp_path)), *ARGUMENTS, *more, *out]) == 0


@pytest.mark.parametrize(("kind", "door"), REFUSED)
def test_the_command_line_refuses_in_its_own_words(kind, door, frames, tmp_path, capsys):
    command, *more = TERMINAL[door]
    assert main([command, str(csv(frames[kind], tmp_path)), *ARGUMENTS, *more]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"jaxmed: {expected(kind)}"), said
    assert len(said.splitlines()) == 1
    if kind == "square":
        assert said.rstrip().endswith("choose --basis linear")


def test_the_remedy_of_a_square_is_one(frames):
    data = rows(frames["square"])
    assert designed(data, "linear").chosen.basis == "linear"
    moments = jaxmed.cross_moments(data)
    check_moments_leave(moments, covariate_codes(moments))
    # Beside the linear answer stands no richer one in which there is no exposure left.
    assert np.isnan(
        least_squares(data, jaxmed.covariate_basis(data, "second_degree").columns).total
    )


def test_a_function_as_basis_that_leaves_something_is_taken(frames):
    """And the line on linear covariates, which leave nothing, is not there."""
    data = rows(frames["copy"])
    found = designed(data, lambda covariates, weights: covariates[:, 1:2])
    assert found.chosen.rank == 2
    assert design_block(found, found.data, 0.95)["linear"] is None


def test_only_rows_with_weight_count():
    frame = table()
    frame["x"] = frame["age"] * 2.0
    frame["w"] = 1.0
    frame.loc[:9, "x"], frame.loc[:9, "w"] = 0.5, 0.0
    data = jaxmed.from_frame(frame, weights="w", **ROLES)
    with pytest.raises(InvalidDataError, match=r"exposure 'x' has no variation left given 'age':"):
        jaxmed.mediate(data, key=0)
    codes = np.zeros(data.covariates.shape[1], int)
    with pytest.raises(InvalidDataError, match="'age':"):
        check_covariates_leave(data, codes)
    frame["w"] = 1.0
    designed(jaxmed.from_frame(frame, weights="w", **ROLES), "linear")
    # An outcome that varies only where nothing weighs.
    frame.loc[:9, "w"] = 0.0
    frame["y"] = np.where(frame["w"] > 0, 3.0, frame["y"])
    with pytest.raises(InvalidDataError, match=r"outcome 'y' is constant \(3\)"):
        jaxmed.from_frame(frame, weights="w", **ROLES)


def test_levels_name_the_contrast():
    frame = table()
    frame["x"] = np.repeat(["none", "low", "high"], 40)
    frame["age"] = np.where(frame["x"] == "high", 1.0, 0.0)
    data = jaxmed.levels_from_frame(frame, levels=["none", "high", "low"], **ROLES)
    with pytest.raises(InvalidDataError, match=r"level 'high' against 'none'.*given 'age'"):
        jaxmed.mediate(data, key=0)


def test_many_names_are_cut():
    rng = np.random.default_rng(1)
    covariates = rng.normal(size=(60, 12))
    data = MediationData(
        covariates[:, :11].sum(axis=1),
        rng.normal(size=(60, 2)),
        rng.normal(size=60),
        covariates,
        names=Names(mediators=("a", "b"), covariates=tuple(f"c{j}" for j in range(12))),
    )
    with pytest.raises(InvalidDataError, match=re.escape("'c0', 'c1'") + ".*'c7' and 3 more: it"):
        designed(data, "linear")


@pytest.mark.parametrize(
    ("dtype", "offset"), [("f4", 0.0), ("f4", 2000.0), ("f4", 2e4), ("f8", 1e5), ("f8", 1e9)]
)
def test_a_large_mean_hides_nothing(dtype, offset):
    rng = np.random.default_rng(2)
    covariates = (offset + rng.normal(size=(200, 3))).astype(dtype)
    target = (2 * covariates[:, 0] + offset).astype(dtype)
    noise = (0.2 * rng.normal(size=200)).astype(dtype)
    targets = np.column_stack([target, target + noise, np.full_like(target, 3)])
    found = explained_by(targets, covariates, None, dtype)
    assert found[0].tolist() == [0] and found[1] is None and found[2].tolist() == []


def test_units_change_nothing():
    data = rows(table())
    for scale in (1e-150, 1e150):
        other = dataclasses.replace(data, exposure=(3 + data.covariates[:, 0]) * scale)
        with pytest.raises(InvalidDataError, match="given 'age':"):
            designed(other, "linear")
        designed(dataclasses.replace(data, exposure=data.exposure * scale), "linear")


def test_noise_in_moments_is_no_exact_function(frames):
    """Noise makes what is left of an exact function anything, below zero too: a status tells."""
    moments = jaxmed.cross_moments(unchecked(frames["affine copy"]))
    place = moments.num_covariates
    codes = covariate_codes(moments)
    for error in (1e-3, -1e-3):
        comoment = np.array(moments.comoment)
        comoment[place, place] *= 1 + error
        check_moments_leave(dataclasses.replace(moments, comoment=comoment), codes)


def test_nearly_constant_is_constant():
    """Sums that should be equal differ by rounding."""
    data = rows(table())
    rounded = np.full(120, 0.1) + np.tile([0.2, 0.2 + 4e-17, 0.2 - 3e-17], 40)
    assert rounded.min() < rounded.max()
    arrays = data.mediators, data.outcome
    with pytest.raises(InvalidDataError, match=r"exposure 'exposure' is constant \(0.3\)"):
        jaxmed.mediation_data(rounded, *arrays)
    with pytest.raises(InvalidDataError, match=r"outcome 'outcome' is constant \(0.3\)"):
        jaxmed.mediation_data(data.exposure, data.mediators, rounded)
    jaxmed.mediation_data(data.exposure, data.mediators, 1 + 1e-9 * np.asarray(data.outcome))
