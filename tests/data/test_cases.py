"""The files that once went wrong at the door, each read right or refused in words.

Numbers are those of statsmodels on the undamaged table, linear covariates.
"""

import json
from pathlib import Path

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
pytest.importorskip("matplotlib")
sparse = pytest.importorskip("scipy.sparse")

from jaxmed.cli import main  # noqa: E402
from jaxmed.data import InvalidDataError, from_frame, from_frame_with_report  # noqa: E402

CASES = Path(__file__).parents[1] / "cases"
ROLES = {"exposure": "x", "outcome": "y", "mediators": "m*"}
FAST = [
    "--permutations",
    "0",
    "--folds",
    "0",
    "--replicates",
    "100",
    "--quiet",
    "--no-figures",
]


def command(file, *more, exposure="x", mediators="m*"):
    roles = ["--exposure", exposure, "--outcome", "y", "--mediators", mediators]
    return ["mediate", str(CASES / file), *roles, *more, *FAST]


def effect(document, quantity):
    return next(e for e in document["effects"] if e["quantity"] == quantity)


@pytest.mark.parametrize(
    ("file", "more", "exposure", "rows", "total", "limits", "direct", "indirect"),
    [
        (
            "num3.csv",
            ["--contrast", "1,3"],
            "grp",
            33,
            3.0870,
            (2.035, 4.139),
            1.2689,
            1.8181,
        ),
        (
            "lglna.csv",
            ["--covariates", "smoker", "--nan-policy", "drop"],
            "x",
            59,
            1.4677,
            (1.064, 1.872),
            1.0236,
            0.4441,
        ),
        (
            "dec_cov.csv",
            ["--covariates", "age", "--decimal", ","],
            "x",
            60,
            1.4017,
            (1.039, 1.764),
            0.7659,
            0.6358,
        ),
        (
            "stray.csv",
            ["--covariates", "age", "--na", "n.d.", "--nan-policy", "drop"],
            "x",
            59,
            1.4061,
            (1.038, 1.774),
            0.7686,
            0.6376,
        ),
    ],
)
def test_numbers_of_the_command_line(
    file, more, exposure, rows, total, limits, direct, indirect, tmp_path, capsys
):
    """With linear covariates, and in the line beside them where the default takes more."""
    where = ["--out", str(tmp_path)]
    assert main(command(file, *more, "--basis", "linear", *where, exposure=exposure)) == 0
    document = json.loads((tmp_path / "result.json").read_text())
    assert document["data"]["rows_used"] == rows
    found = effect(document, "total_effect")
    assert found["estimate"] == pytest.approx(total, abs=6e-5)
    assert (found["lower"], found["upper"]) == pytest.approx(limits, abs=6e-4)
    assert effect(document, "direct_effect")["estimate"] == pytest.approx(direct, abs=6e-5)
    assert effect(document, "total_indirect")["estimate"] == pytest.approx(indirect, abs=6e-5)
    source = document["data"]["source"]
    assert len(source["origin"]["sha256"]) == 64 and source["origin"]["file"] == file
    capsys.readouterr()


def test_the_line_beside_the_default_has_the_linear_answer(tmp_path, capsys):
    arguments = command("dec_cov.csv", "--covariates", "age", "--decimal", ",")
    assert main([*arguments, "--out", str(tmp_path)]) == 0
    design = json.loads((tmp_path / "result.json").read_text())["design"]
    assert design["basis"] != "linear" and design["chosen_by"] == "auto"
    for part, value in (("total", 1.4017), ("direct", 0.7659), ("indirect", 0.6358)):
        assert design["linear"][part]["estimate"] == pytest.approx(value, abs=6e-5)
    said = " ".join(capsys.readouterr().out.split())
    assert "with linear covariates: total 1.40 [1.04, 1.76]" in said


def test_a_float_level_is_that_number():
    found = from_frame_with_report(
        CASES / "fl.csv", exposure="g", outcome="y", mediators="m*", contrast=("1", "2")
    )
    levels = pandas.read_csv(CASES / "fl.csv")["g"]
    assert found.report.rows_used == 40
    np.testing.assert_array_equal(found.data.exposure, (levels == 2)[levels.isin([1, 2])])


@pytest.mark.parametrize(
    ("file", "more", "message"),
    [
        ("lglna.csv", ["--covariates", "smoker"], "'smoker' 1; first in row 5 .*--nan-policy drop"),
        ("dec_cov.csv", ["--covariates", "age"], r"'age' .*'39,5' \(row 2\).*--decimal ,"),
        ("stray.csv", ["--covariates", "age"], r"'age' .*'n.d.' \(row 7\).*--na n.d."),
        ("stray.csv", ["--where", "age > 30"], r"'age' .*'n.d.' \(row 7\).*--factor age"),
        ("duphdr.csv", [], r"'m\*': two columns are called 'm1' \(columns 2 and 8\)"),
        ("duphdr_x.csv", [], r"exposure: two columns are called 'x' \(columns 1 and 8\)"),
        ("num3.csv", ["--contrast", "1,4"], "has no rows with level '4'|has no rows"),
        ("names_in.csv", ["--mediators", "m,1,IL-6 [pg/ml]"], "'m'.*double quotes.*@FILE"),
        ("semi.csv", ["--sep", ","], "there is no column 'x'|separator"),
    ],
)
def test_refusals_name_the_column_the_row_and_the_option(file, more, message, capsys):
    import re

    exposure = "grp" if file == "num3.csv" else "x"
    assert main(command(file, *more, exposure=exposure)) == 2
    error = capsys.readouterr().err
    assert error.startswith("jaxmed: ") and len(error.splitlines()) == 1
    assert re.search(message, error), error
    assert not re.search(r'\w+="|nan_policy|NaN', error), "the words of Python"


def test_row_names_are_no_mediator():
    roles = ROLES | {"mediators": "*", "covariates": ["age"]}
    found = from_frame_with_report(CASES / "rownames.csv", **roles)
    plain = from_frame(CASES / "base.csv", **roles)
    assert found.data.names == plain.names and len(plain.names.mediators) == 4
    np.testing.assert_array_equal(found.data.mediators, plain.mediators)
    assert any("no heading and counts the rows" in line for line in found.report.lines())


@pytest.mark.parametrize(
    ("file", "said"),
    [
        ("gznamed.csv", "utf-8, separator comma"),
        ("semi.csv", "separator semicolon, decimal point"),
        ("semidec.csv", "separator semicolon, decimal comma"),
    ],
)
def test_dialects_are_found(file, said):
    found = from_frame_with_report(CASES / file, **ROLES, covariates=["age"])
    plain = from_frame(CASES / "base.csv", **ROLES, covariates=["age"])
    np.testing.assert_array_equal(found.data.mediators, plain.mediators)
    np.testing.assert_array_equal(found.data.covariates, plain.covariates)
    assert said in found.report.lines()[0]


def test_encodings_are_found():
    latin = from_frame_with_report(
        CASES / "latin1.csv", exposure="x", outcome="durée", mediators="m*", covariates=["age"]
    )
    assert latin.data.names.mediators == ("m_größe", "m2", "m3", "m4")
    assert "read as cp1252" in latin.report.lines()[0]
    wide = from_frame_with_report(CASES / "utf16.csv", **ROLES)
    assert "read as utf-16" in wide.report.lines()[0] and wide.data.exposure.size == 60


def test_objects_of_a_database_and_sparse_columns():
    frame = pandas.read_csv(CASES / "base.csv")
    for values in ([1, 0, None], [1, 0, pandas.NA]):
        frame["f"] = pandas.Series(values * 20, dtype=object)
        found = from_frame(frame, **ROLES, covariates=["f"], nan_policy="drop")
        assert found.exposure.size == 40
    frame["f"] = pandas.Series(["a", "b", pandas.NA] * 20, dtype=object)
    assert from_frame(frame, **ROLES, covariates=["f"], nan_policy="drop").names.covariates == (
        "f[b]",
    )
    block = sparse.random(60, 5, 0.3, format="csr", random_state=1)
    thin = pandas.DataFrame.sparse.from_spmatrix(block, columns=[f"m{j}" for j in range(5)])
    thin["x"], thin["y"] = frame["x"], frame["y"]
    thin["c"] = pandas.get_dummies(pandas.Series(list("ab") * 30), sparse=True)["b"]
    found = from_frame(thin, **ROLES, covariates=["c"])
    np.testing.assert_array_equal(found.mediators, block.toarray())
    np.testing.assert_array_equal(found.covariates[:, 0], [0, 1] * 30)
    arrays = {"x": frame["x"].to_numpy(), "y": frame["y"].to_numpy(), "m": block}
    np.testing.assert_array_equal(from_frame(arrays, **ROLES).mediators, block.toarray())


def test_a_layer_and_obsm_of_annotated_data(tmp_path, capsys):
    pytest.importorskip("anndata")
    for more, globbed, count in (
        (["--layer", "log"], "*", 4),
        (["--obsm", "X_pca"], "X_pca_*", None),
    ):
        arguments = command("dense.h5ad", *more, "--out", str(tmp_path), mediators=globbed)
        assert main(arguments) == 0, capsys.readouterr().err
        document = json.loads((tmp_path / "result.json").read_text())
        assert count is None or document["data"]["num_mediators"] == count
    with pytest.raises(InvalidDataError, match="no layer"):
        from jaxmed.data import FileOptions

        from_frame(CASES / "dense.h5ad", **ROLES, options=FileOptions(layer="raw"))


def test_names_with_commas_and_brackets_on_the_command_line(tmp_path, capsys):
    for spec in ('"m,1",IL-* [pg/ml]', "IL-6 [pg/ml]"):
        assert main(command("names_in.csv", "--out", str(tmp_path), mediators=spec)) == 0
        names = pandas.read_csv(tmp_path / "mediators.csv")["name"].tolist()
        assert names[-1].startswith("IL-")
    capsys.readouterr()
