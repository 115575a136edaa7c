"""Names of columns: indices set aside, doubled names refused in use, lists and globs."""

import numpy as np
import pytest

from jaxmed.data import InvalidDataError, UnknownColumnError, from_frame, from_frame_with_report
from jaxmed.data.selection import listed, select

ROLES = {"exposure": "x", "outcome": "y", "mediators": "*"}
N = 6


def columns():
    rng = np.random.default_rng(3)
    return {name: rng.normal(size=N) for name in ("x", "y", "m1", "m2")}


def table(kind, folder, first, heading):
    """The columns behind an index column, through one door."""
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({heading: first} | columns())
    if kind == "csv":
        frame.rename(columns={"Unnamed: 0": ""}).to_csv(folder / "t.csv", index=False)
        return folder / "t.csv"
    if kind == "parquet":
        frame.to_parquet(folder / "t.parquet")
        return folder / "t.parquet"
    return frame


@pytest.mark.parametrize("kind", ["csv", "parquet", "pandas"])
@pytest.mark.parametrize(
    ("first", "said"),
    [
        (range(1, N + 1), "counts the rows"),
        (range(N), "counts the rows"),
        ([f"GSM{i}" for i in range(N)], "names each row"),
        ([None] * N, "no values"),
        ([3.5, 1, 2, 2, 4, 1], "left out"),
    ],
)
def test_a_first_column_without_a_heading_is_set_aside_and_said(kind, first, said, tmp_path):
    found = from_frame_with_report(table(kind, tmp_path, list(first), "Unnamed: 0"), **ROLES)
    assert found.data.names.mediators == ("m1", "m2")
    assert any("column 1 has no heading" in line and said in line for line in found.report.lines())


def test_an_index_can_be_named(tmp_path):
    path = table("csv", tmp_path, list(range(1, N + 1)), "Unnamed: 0")
    named = from_frame(path, exposure="x", outcome="y", mediators=["m1", "Unnamed: 0"])
    np.testing.assert_array_equal(named.mediators[:, 1], np.arange(1, N + 1))


def test_an_index_that_pandas_stored_is_no_column(tmp_path):
    pandas = pytest.importorskip("pandas")
    pytest.importorskip("pyarrow")
    index = pandas.Index([f"s{i}" for i in range(N)], name="sample")
    pandas.DataFrame(columns(), index=index).to_parquet(tmp_path / "t.parquet")
    found = from_frame_with_report(tmp_path / "t.parquet", **ROLES)
    assert found.data.names.mediators == ("m1", "m2")
    assert "'sample' is the table's index: left out unless named" in found.report.aside


def doubled(kind, folder):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(columns() | {"age": np.arange(N), "age2": np.arange(N) % 2})
    frame.columns = ["x", "y", "m1", "m2", "age", "age"]
    if kind == "csv":
        frame.to_csv(folder / "t.csv", index=False)
        return folder / "t.csv"
    if kind == "pyarrow":
        pa = pytest.importorskip("pyarrow")
        arrays = [pa.array(frame.iloc[:, j].to_numpy()) for j in range(6)]
        return pa.table(arrays, names=list(frame.columns))
    return frame


@pytest.mark.parametrize("kind", ["csv", "pandas", "pyarrow"])
def test_a_doubled_name_is_refused_in_use_and_left_out_otherwise(kind, tmp_path):
    frame = doubled(kind, tmp_path)
    found = from_frame_with_report(frame, exposure="x", outcome="y", mediators="m*")
    assert any("'age' is the heading of columns 5 and 6" in line for line in found.report.lines())
    wrong = r"two columns are called 'age' \(columns 5 and 6\)"
    for roles in (
        ROLES | {"mediators": "m*", "covariates": ["age"]},
        ROLES | {"exposure": "age", "mediators": "m*"},
        ROLES | {"mediators": "*"},
        ROLES | {"mediators": "m1,age"},
        ROLES | {"mediators": "m*", "where": "age > 2"},
    ):
        with pytest.raises(InvalidDataError, match=wrong):
            from_frame(frame, **roles)


def test_lists_are_read_as_a_line_of_csv():
    assert listed('a, "b, c" ,"d ""e"""') == ("a", "b, c", 'd "e"')
    assert listed("") == ()
    with pytest.raises(InvalidDataError, match="@FILE"):
        listed('a,"b')


NAMES = ("m,1", "IL-6 [pg/ml]", "IL-8 [pg/ml]", "ca", "cb", "größe", "x")


@pytest.mark.parametrize(
    ("spec", "chosen"),
    [
        ('"m,1",IL-6 [pg/ml]', ("m,1", "IL-6 [pg/ml]")),
        ("m,1", ("m,1",)),
        ("IL-* [pg/ml]", ("IL-6 [pg/ml]", "IL-8 [pg/ml]")),
        ("*[pg/ml]", ("IL-6 [pg/ml]", "IL-8 [pg/ml]")),
        ("c[ab]", ("ca", "cb")),
        ("gr*", ("größe",)),
        ("*", NAMES[:-1]),
    ],
)
def test_names_with_commas_and_brackets(spec, chosen):
    assert select(spec, NAMES, ["x"]) == chosen


def test_a_piece_of_a_name_tells_of_quotes():
    with pytest.raises(UnknownColumnError, match="'m'.*double quotes.*@FILE"):
        select("m,1,ca", NAMES, ["x"])
