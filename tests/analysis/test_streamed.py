"""Analyses of moments and of streams are those of the rows in memory, less what needs rows."""

import json

import numpy as np
import pytest

from jaxmed import cross_moments, from_frame, mediate, stream
from jaxmed.cli import main
from jaxmed.data import InvalidDataError, ShapeError

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
ROLES = {"exposure": "a", "outcome": "y", "mediators": "m*", "covariates": ["site"]}
METHODS = ("maxie", "maxcor", "reg_outcome", "reg_exposure")
DRAWN = {"key": 3, "replicates": 100}


def table(n, p):
    rng = np.random.default_rng(n)
    frame = pd.DataFrame(rng.normal(size=(n, p)) + 10, columns=[f"m{j + 1}" for j in range(p)])
    frame["a"] = rng.normal(size=n)
    frame["m1"] += frame.a
    frame["y"] = frame.m1 - frame.m2 + frame.a + rng.normal(size=n)
    frame["site"] = rng.choice(list("tuvwxyz"), n)
    frame["m4"] = 1.0
    return frame


def assert_same(found, whole, tolerance=1e-10):
    """Every number of the record that does not need rows."""
    a, b = found.record.mediators, whole.record.mediators
    assert list(a) == list(b)
    for name in a:
        if a[name].dtype.kind != "f":
            assert np.array_equal(a[name], b[name]), name
        else:
            assert np.array_equal(np.isnan(a[name]), np.isnan(b[name])), name
            largest = max(np.nanmax(np.abs(b[name])), 1e-300)
            assert np.nanmax(np.abs(a[name] - b[name])) < tolerance * largest, name
    for entry in found.effects:
        other = whole.record.effect(entry["quantity"])
        assert entry["status"] == other["status"]
        for part in ("estimate", "naive", "standard_error", "lower", "upper"):
            assert entry[part] == pytest.approx(other[part], rel=tolerance, nan_ok=True), entry
    for entry in found.tests:
        # Rows of a stream are permuted in their own order, those of a table in a canonical one.
        if entry["status"] != "NEEDS_ROWS" and entry["test"] != "dual_total":
            other = whole.record.test(entry["test"])
            assert entry["p_value"] == pytest.approx(other["p_value"], rel=1e-6, nan_ok=True)
    pairs = zip(
        found.record.document["composites"], whole.record.document["composites"], strict=True
    )
    for x, z in pairs:
        assert (x["label"], x["status"]) == (z["label"], z["status"])
        assert x["index"] == pytest.approx(z["index"], rel=tolerance)


@pytest.fixture(scope="module")
def primal():
    frame = table(300, 7)
    with pytest.warns(UserWarning, match="m4"):
        whole = mediate(
            from_frame(frame, **ROLES), composites=METHODS, permutations=0, folds=0, **DRAWN
        )
    return frame, whole


def test_moments_and_streams_give_the_analysis_of_the_rows(primal, tmp_path, monkeypatch):
    frame, whole = primal
    monkeypatch.setattr("jaxmed.data.streams.row_stream.LEAST_ROWS", 64)
    frame.to_parquet(tmp_path / "d.parquet")
    with pytest.warns(UserWarning, match="m4"):
        of_moments = mediate(cross_moments(from_frame(frame, **ROLES)), composites=METHODS, **DRAWN)
    with pytest.warns(UserWarning, match="m4"):
        streamed = mediate(
            stream(tmp_path / "d.parquet", **ROLES, block_bytes=1), composites=METHODS, **DRAWN
        )
    assert_same(of_moments, whole)
    assert_same(streamed, whole)
    for result in (of_moments, streamed):
        missing = {e["test"] for e in result.tests if e["status"] == "NEEDS_ROWS"}
        assert missing == {"permutation", "total_robust"}
        assert "needs the rows of the data" in result.summary()
    described = streamed.record.document["data"]
    assert described["exposure"] == whole.record.document["data"]["exposure"]
    first, *others, last = described["lines"]
    assert first.startswith("d.parquet, sha256 ") and last == "300 rows used"
    assert others[:-1] == ["300 rows read"]
    coded = "site[u], site[v], site[w], site[x], site[y] and 1 more"
    assert others[-1].startswith(f"site coded as {coded}, reference t (rows: t ")


def test_more_mediators_than_rows(tmp_path):
    frame, options = table(60, 90), {"composites": METHODS, **DRAWN}
    frame.to_parquet(tmp_path / "d.parquet")
    with pytest.warns(UserWarning, match="m4"):
        whole = mediate(from_frame(frame, **ROLES), folds=0, effects=(), **options)
    with pytest.warns(UserWarning, match="m4"):
        found = mediate(stream(tmp_path / "d.parquet", **ROLES), effects=(), **options)
    assert_same(found, whole)
    tests = [result.record.test("dual_total") for result in (found, whole)]
    assert tests[0]["p_reml"] == pytest.approx(tests[1]["p_reml"], rel=1e-6)
    assert tests[0]["p_permutation"] == pytest.approx(tests[1]["p_permutation"], abs=0.06)
    assert tests[0]["count"] == 999
    with pytest.raises(ValueError, match="not computed from a stream of more mediators"):
        mediate(stream(tmp_path / "d.parquet", **ROLES), composites="directions", key=3)
    with pytest.raises(ShapeError, match="while p <= n - 2 - q"):
        mediate(cross_moments(from_frame(frame, **ROLES)), key=3)


@pytest.mark.parametrize(("n", "p"), [(300, 7), pytest.param(60, 90, marks=pytest.mark.slow)])
def test_streams_are_linear_and_leave_dependent_covariates_out(tmp_path, n, p):
    frame = table(n, p).drop(columns="m4")
    frame["site"] = frame.site.replace("z", "y")  # as many columns as `primal` has
    frame["age"] = np.random.default_rng(n).gamma(3, 15, n)
    frame["birth"] = 2020 - frame.age
    frame.to_parquet(tmp_path / "d.parquet")
    roles = ROLES | {"covariates": ["site", "age", "birth"]}
    options = {"composites": METHODS, **DRAWN}
    with pytest.warns(UserWarning, match="birth is a function of the others: left out"):
        found = mediate(stream(tmp_path / "d.parquet", **roles), **options)
    with pytest.warns(UserWarning, match="birth is a function"):
        whole = mediate(
            from_frame(frame, **roles), permutations=0, folds=0, basis="linear", **options
        )
    assert_same(found, whole)
    design = found.record.document["design"]
    assert design["basis"] == "linear" and list(design["dropped"]) == ["birth"]
    assert design["columns"] == whole.record.document["design"]["columns"]
    assert "Covariates: " in found.summary() and "basis linear" in found.summary()
    with pytest.raises(ValueError, match="streams take covariates as they are"):
        mediate(stream(tmp_path / "d.parquet", **roles), basis="quadratic", **options)


def test_misuse_of_moments(primal):
    moments = cross_moments(from_frame(primal[0], **ROLES))
    with pytest.raises(ValueError, match="need the rows"):
        mediate(moments, composites=("maxie", "lasso_outcome"), key=1)
    with pytest.raises(ValueError, match="replicates must be at least 100"):
        mediate(moments, key=1, replicates=3)
    exact = cross_moments(from_frame(primal[0], **ROLES))
    exposure = exact.num_covariates  # after the covariates
    exact.comoment[exposure] = exact.comoment[:, exposure] = 0
    with pytest.raises(InvalidDataError, match="exposure 'a' is constant"):
        mediate(exact, key=1)


def test_command_line_reads_large_files_in_blocks(primal, tmp_path, capsys):
    frame, _ = primal
    frame.to_csv(tmp_path / "d.csv", index=False)
    command = [
        "mediate",
        str(tmp_path / "d.csv"),
        "--exposure",
        "a",
        "--outcome",
        "y",
        "--mediators",
        "m*",
        "--covariates",
        "site",
        "--memory",
        "1K",
        "--no-figures",
    ]
    # The programs of `primal`.
    methods = ["--composites", ",".join(METHODS), "--replicates", "100"]
    assert main([*command, *methods, "--out", str(tmp_path / "out")]) == 0
    heard = capsys.readouterr()
    assert "jaxmed: warning: 1 mediators were left out" in heard.err
    assert "in blocks" in heard.err and "300 rows read" in " ".join(heard.out.split())
    document = json.loads((tmp_path / "out" / "result.json").read_text())
    assert document["data"]["rows_used"] == 300
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "mediators.csv",
        "report.html",
        "result.json",
    ]
    assert main([*command, "--composites", "numerical"]) == 2
    assert "need the rows" in capsys.readouterr().err
    assert main([*command, "--folds", "7"]) == 2
    assert "--folds is a setting of analyses of rows" in capsys.readouterr().err
    assert main([*command, "--method", "effects"]) == 2
    assert "raise --memory" in capsys.readouterr().err
