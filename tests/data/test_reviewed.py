"""Faults that a reader found who had not seen the door before: each a kind, not a file."""

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pa = pytest.importorskip("pyarrow")

from jaxmed.data import (  # noqa: E402
    FileOptions,
    InvalidDataError,
    ShapeError,
    from_frame,
    from_frame_with_report,
    levels_from_frame,
    open_table,
)
from jaxmed.data.streams import stream  # noqa: E402

ROLES = {"exposure": "x", "outcome": "y", "mediators": "m*"}
N = 60


def columns(**more):
    rng = np.random.default_rng(0)
    made = {name: np.round(rng.normal(size=N), 4) for name in ("x", "y", "m1", "m2")}
    return pandas.DataFrame(made | more)


def through(kind, frame, folder):
    """The same table by four doors."""
    if kind == "csv":
        frame.to_csv(folder / "t.csv", index=False)
        return folder / "t.csv"
    if kind == "parquet":
        frame.to_parquet(folder / "t.parquet")
        return folder / "t.parquet"
    return frame if kind == "pandas" else {name: frame[name].to_numpy() for name in frame}


every_door = pytest.mark.parametrize("kind", ["csv", "parquet", "pandas", "dict"])


@every_door
def test_a_number_that_means_missing_does_so_however_it_is_stored(kind, tmp_path):
    age = np.where(np.arange(N) % 15 == 2, -9.0, np.arange(N) + 20.0)
    frame = through(kind, columns(age=age, m3=age), tmp_path)
    for na in ("-9", -9, ["-9"]):
        found = from_frame_with_report(frame, **ROLES, covariates=["age"], na=na, nan_policy="drop")
        assert found.report.missing == {"age": 4, "m3": 4} and found.report.rows_used == N - 4


@every_door
def test_a_declared_category_of_numbers_has_their_order_in_every_door(kind, tmp_path):
    frame = through(kind, columns(dose=np.tile([10.0, 5.0, 20.0], N // 3)), tmp_path)
    found = from_frame(frame, **ROLES, covariates=["dose"], factor="dose", where="dose != 5")
    assert found.names.covariates == ("dose[20]",) and found.exposure.size == 40
    levels = levels_from_frame(frame, **ROLES | {"exposure": "dose"}, factor="dose")
    assert (levels.reference, list(levels.levels)) == ("5", ["10", "20"])


@pytest.mark.parametrize(
    ("values", "where", "rows"),
    [
        (["TRUE", "FALSE", "unknown"], "s != TRUE", 40),
        (["TRUE", "FALSE", "unknown"], "s == true", 20),
        (["01", "02", "03"], "s != 01", 40),
        (["01", "02", "03"], "s in (01, 02)", 40),
        (["01", "02", "03"], "s == 1", 20),
        (["a", "b", "c"], "s != d", 60),
    ],
)
def test_levels_are_found_as_they_are_written(values, where, rows):
    report = from_frame_with_report(columns(s=values * 20), **ROLES, where=where).report
    assert report.rows_where == rows
    told = [question for question in report.questions if "has no level 'd'" in question]
    assert len(told) == (" d" in where)


def test_a_contrast_of_truth_values_in_text():
    frame = columns(s=["TRUE", "FALSE", "maybe"] * 20)
    found = from_frame(frame, **ROLES | {"exposure": "s"}, contrast=(False, True))
    np.testing.assert_array_equal(found.exposure, [1.0, 0.0] * 20)


def test_single_precision_is_compared_in_single_precision():
    frame = columns(g=np.tile(np.array([0.1, 0.2, 0.3], "f4"), 20))
    for where, rows in (("g in (0.1, 0.2)", 40), ("g == 0.1", 20)):
        assert from_frame_with_report(frame, **ROLES, where=where).report.rows_where == rows


@pytest.mark.parametrize(
    "values",
    [
        [f"{k} kg" for k in range(60, 90)],
        [f"{k}mg/dL" for k in range(30)],
        ["n.d."] * 18 + [str(k) for k in range(20, 32)],
        ["."] * 20 + ["1"] * 10,
        ["unknown"] * 20 + ["1"] * 10,
        ["1.5 H", "2.5", "1.5 L", "3", "4"] * 6,
        [f"{k:02d}JAN2020" for k in range(1, 31)],
        [f"Jan {k}, 2020" for k in range(1, 31)],
        [f"\u2212{k}" for k in range(30)],
        [f"{k}\u202f000" for k in range(1, 31)],
    ],
)
@pytest.mark.parametrize("role", ["exposure", "outcome", "covariates"])
def test_numbers_in_other_clothes_are_refused(values, role):
    roles = ROLES | {role: ["s"] if role == "covariates" else "s"}
    with pytest.raises(InvalidDataError, match="'s' (holds numbers|looks like dates)"):
        from_frame(columns(s=values * 2), **roles)


def test_options_say_how_objects_are_read_or_are_refused():
    anndata = pytest.importorskip("anndata")
    frame = columns()
    made = anndata.AnnData(frame[["m1", "m2"]].to_numpy(), obs=frame[["x", "y"]])
    made.obs_names, made.var_names = [str(i) for i in range(N)], ["m1", "m2"]
    made.layers["log"] = made.X + 1
    found = from_frame(made, **ROLES, options=FileOptions(layer="log"))
    np.testing.assert_array_equal(found.mediators, made.X + 1)
    with pytest.raises(InvalidDataError, match="no layer 'nope'"):
        from_frame(made, **ROLES, options=FileOptions(layer="nope"))
    with pytest.raises(InvalidDataError, match="layer=NAME says how AnnData is read"):
        from_frame(frame, **ROLES, options=FileOptions(layer="log"))
    with pytest.raises(InvalidDataError, match="sep=NAME says how a file is read"):
        from_frame(frame, **ROLES, options=FileOptions(sep=";"))
    declared = FileOptions(factors=("s",))
    found = from_frame(columns(s=np.tile([1, 2], 30)), **ROLES, covariates=["s"], options=declared)
    assert found.names.covariates == ("s[2]",)


def test_an_order_of_categories_that_somebody_chose_is_kept():
    anndata = pytest.importorskip("anndata")
    frame = columns(s=pandas.Categorical(["control", "case"] * 30, ["control", "case"]))
    made = anndata.AnnData(frame[["m1", "m2"]].to_numpy(), obs=frame[["x", "y", "s"]])
    made.obs_names, made.var_names = [str(i) for i in range(N)], ["m1", "m2"]
    for table in (frame, made):
        report = from_frame_with_report(table, **ROLES | {"exposure": "s"}).report
        assert report.coded == {"s": ("control", "case")}


def test_a_factor_that_no_column_is_called_is_refused_in_every_door(tmp_path):
    path = through("csv", columns(site=np.tile([1, 2, 3], 20)), tmp_path)
    options = FileOptions(factors=("Site",))
    with pytest.raises(InvalidDataError, match="factor: there is no column 'Site'; did you mean"):
        from_frame(path, **ROLES, options=options)
    with pytest.raises(InvalidDataError, match="factor: there is no column 'Site'; did you mean"):
        stream(path, **ROLES, options=options)


def test_blank_lines_never_shift_the_blocks_of_a_stream(tmp_path, monkeypatch):
    monkeypatch.setattr("jaxmed.data.streams.row_stream.LEAST_ROWS", 7)
    frame = columns()
    lines = frame.to_csv(index=False).splitlines()
    for at in (3, 20, 21, 40):
        lines.insert(at, "")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    found = stream(tmp_path / "t.csv", **ROLES, block_bytes=1)
    for first in range(0, 9, 2):
        for block in found.blocks(first, first + 2):
            rows = slice(7 * block.index, 7 * block.index + 7)
            np.testing.assert_array_equal(block.data.exposure, frame.x[rows])
            np.testing.assert_array_equal(block.data.mediators, frame[["m1", "m2"]][rows])


@pytest.mark.timeout(20)
def test_an_unclosed_quote_in_a_stream_is_refused_at_once(tmp_path):
    rows = "0.1,0.2,0.3,0.4\n" * 300_000
    (tmp_path / "t.csv").write_text(f'x,y,m1,m2\n0.1,0.2,0.3,"0.4\n{rows}')
    with pytest.raises(InvalidDataError, match="never closed|a quote is missing"):
        stream(tmp_path / "t.csv", **ROLES)


@pytest.mark.timeout(20)
def test_a_message_about_many_odd_texts_is_quick():
    texts = np.array([f"{i},5" for i in range(100_000)])
    values = {"x": np.arange(100_000.0), "y": np.arange(100_000.0), "m": texts}
    with pytest.raises(InvalidDataError, match=r"'0,5' \(row 0\).* and 99997 more"):
        from_frame(values, exposure="x", outcome="y", mediators="m")


def test_budgets_hold_for_every_format(tmp_path):
    pytest.importorskip("openpyxl")
    anndata = pytest.importorskip("anndata")
    sparse = pytest.importorskip("scipy.sparse")
    made = anndata.AnnData(sparse.csr_matrix((500, 10_000)))
    made.write_h5ad(tmp_path / "t.h5ad")
    columns().to_excel(tmp_path / "t.xlsx", index=False)
    for name in ("t.h5ad", "t.xlsx"):
        with pytest.raises(InvalidDataError, match="beyond the 1,000 bytes .*memory=BYTES"):
            open_table(tmp_path / name, FileOptions(memory=1000))
    with pytest.raises(ValueError, match="sparse matrix is .* at most"):
        from_frame({"x": np.ones(60), "m": sparse.csr_matrix((60, 2 * 10**10))}, **ROLES)


def test_files_that_excel_and_old_systems_write(tmp_path):
    frame = columns()
    plain = frame.to_csv(index=False, sep=";", decimal=",")
    for text in (f"sep=;\n{plain}", f"{plain}\x1a", f"{plain}   \n  \n"):
        (tmp_path / "t.csv").write_text(text)
        np.testing.assert_array_equal(from_frame(tmp_path / "t.csv", **ROLES).exposure, frame.x)
        (block,) = stream(tmp_path / "t.csv", **ROLES).blocks()
        np.testing.assert_array_equal(block.data.mediators, frame[["m1", "m2"]])
    wide = pandas.DataFrame(np.ones((4, 3000)), columns=[f"gene, number {j}" for j in range(3000)])
    wide.to_csv(tmp_path / "t.tsv", sep="\t", index=False)
    assert len(open_table(tmp_path / "t.tsv").fields) == 3000


def test_cells_of_a_spreadsheet_are_counted_as_it_counts_them(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in [[], [], ["x", "y", "m1"], [1, 2, 3], [2, "oops", 1], [3, 1, 2], [4, 5, 6]]:
        book.active.append(row)
    book.active["C6"] = "=1/0"
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(InvalidDataError, match=r"'oops' \(row 5\)"):
        from_frame(tmp_path / "t.xlsx", **ROLES)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"where": 5}, ValueError, "where is a text"),
        ({"contrast": (None, 1)}, ValueError, "no rows with level None"),
        ({"exposure": 7}, InvalidDataError, "no column '7'"),
        ({"weights": "w"}, InvalidDataError, "'w' hold a negative one in row 3"),
        ({"covariates": ["deep"]}, InvalidDataError, "'deep' holds integers beyond"),
        ({"covariates": ["inf"]}, InvalidDataError, r"'inf' holds 2 infinite .*first in row 4"),
        ({"covariates": ["bytes"]}, TypeError, "'bytes' holds bytes that are no UTF-8"),
        ({"covariates": ["days"]}, InvalidDataError, "'0000-00-00'.*2020-01-31"),
    ],
)
def test_messages_name_the_column_and_the_row(change, error, message):
    more = {
        "w": np.where(np.arange(N) == 3, -1.0, 1.0),
        "deep": ["9" * 5000] * N,
        "inf": np.where(np.isin(np.arange(N), [4, 9]), np.inf, 1.0),
        "days": ["0000-00-00"] + ["2020-01-31"] * (N - 1),
    }
    table = {name: columns(**more)[name].to_numpy() for name in columns(**more)}
    table["bytes"] = np.array([b"\xe9"] * N)
    with pytest.raises(error, match=message):
        from_frame(table, **ROLES | change)


def test_a_date_of_arrow_and_big_integers_of_polars_are_read():
    polars = pytest.importorskip("polars")
    days = pandas.array(["2020-01-01", "2020-01-02"] * 30, dtype="string").astype("date32[pyarrow]")
    frame = columns(day=days)
    assert from_frame(frame, **ROLES, where="day == 2020-01-02").exposure.size == 30
    wide = polars.DataFrame(columns()).with_columns(polars.Series("k", [1, 2] * 30, polars.Int128))
    assert from_frame(wide, **ROLES, covariates=["k"]).covariates.shape == (N, 1)


def test_levels_that_are_one_or_have_no_rows_are_named():
    frame = columns(dose=np.tile([0, 1, 2], 20))
    with pytest.raises(ValueError, match="are the same one"):
        levels_from_frame(frame, **ROLES | {"exposure": "dose"}, levels=["0", "1", "1.0"])
    frame["y"] = np.where(frame.dose == 2, np.nan, frame.y)
    with pytest.raises((InvalidDataError, ShapeError), match="level '2' against '0': "):
        levels_from_frame(frame, **ROLES | {"exposure": "dose"}, levels="0,1,2", nan_policy="drop")
