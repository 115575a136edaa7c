"""Text tables: dialects found and said, rows that do not fit refused with their line."""

import bz2
import gzip
import io
import lzma
import zipfile

import numpy as np
import pytest

pa = pytest.importorskip("pyarrow")
pytest.importorskip("pandas")

from jaxmed.data import (  # noqa: E402
    FileOptions,
    InvalidDataError,
    from_frame,
    from_frame_with_report,
    open_table,
    read_table,
)
from jaxmed.data.streams import open_source, stream  # noqa: E402

ROLES = {"exposure": "x", "outcome": "y", "mediators": "m*"}
ROWS = 8


def text(separator=",", decimal=".", end="\n", head="x,y,m1,größe"):
    rng = np.random.default_rng(0)
    lines = [separator.join(head.split(","))]
    for row in np.round(rng.normal(size=(ROWS, 4)), 4).tolist():
        lines.append(separator.join(repr(v).replace(".", decimal) for v in row))
    return end.join(lines) + end


def zipped(content):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("table.csv", content)
    return buffer.getvalue()


def zstd(content):
    return pa.compress(content, codec="zstd", asbytes=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    ("separator", "decimal"),
    [(",", "."), (";", "."), (";", ","), ("\t", ","), ("|", "."), (" ", ".")],
)
def test_every_dialect_gives_the_same_bits_and_is_said(tmp_path, separator, decimal, end, encoding):
    path = tmp_path / "t.txt"
    content = text(separator, decimal, end)
    path.write_bytes(content.encode(encoding))
    found = from_frame_with_report(path, **ROLES, covariates=["größe"])
    plain = tmp_path / "plain.csv"
    plain.write_text(text(), encoding="utf-8")
    expected = from_frame(plain, **ROLES, covariates=["größe"])
    for name in ("exposure", "outcome", "mediators", "covariates"):
        np.testing.assert_array_equal(getattr(found.data, name), getattr(expected, name))
    dialect = found.report.to_dict()["origin"]["dialect"]
    assert (dialect["separator"], dialect["decimal"]) == (separator, decimal)
    assert f"decimal {'comma' if decimal == ',' else 'point'}" in found.report.lines()[0]
    block = next(iter(stream(path, **ROLES, covariates=["größe"]).blocks()))
    np.testing.assert_array_equal(block.data.mediators, expected.mediators)


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        (".gz", gzip.compress),
        (".bz2", bz2.compress),
        (".xz", lzma.compress),
        (".zst", zstd),
        (".zip", zipped),
        ("", gzip.compress),
    ],
)
def test_packed_files_are_known_by_their_bytes(tmp_path, suffix, pack):
    path = tmp_path / f"t.csv{suffix}"
    path.write_bytes(pack(text().encode()))
    assert open_table(path).rows == ROWS
    assert open_source(path).table(["x", "y"]).rows == ROWS


def test_an_archive_of_two_tables_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("a.csv", text())
        archive.writestr("b.csv", text())
    with pytest.raises(InvalidDataError, match="'a.csv', 'b.csv': an archive of one table"):
        open_table(tmp_path / "t.zip")


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zipped])
def test_a_bomb_is_refused_before_it_is_held(tmp_path, pack):
    path = tmp_path / "t.csv.gz"
    path.write_bytes(pack(b"x,y,m1\n" + b"1,2,3\n" * 400_000))
    assert path.stat().st_size < 12_000
    with pytest.raises(InvalidDataError, match="beyond the 800,000 bytes .* memory=BYTES"):
        open_table(path, FileOptions(memory=800_000))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,b\n1,2\n3\n", "line 3 has 1 fields, the header has 2"),
        ("a,b\n1,2\n3,4,5\n", "line 3 has 3 fields"),
        ("a,b\n1,2,\n3,4,\n", "line 2 has 3 fields.*rows end with a separator"),
        ("a,b\n1,2,9\n2,4,9\n", "line 2 has 3 fields.*row names"),
        ('a,b\n1,"2\n3,4\n', "line 2 is never closed"),
        ('a,b\n1,5" x\n3,4\n', "line 2 holds a quote within a field"),
        ('a,b\n1,"5" x\n3,4\n', "line 2 holds a quote within a field"),
        ('a,b,c\n1,2,"3\n4,5,"\n7,8,9\n', "line 2 to 3 holds as many.*a quote is missing"),
        ("", "no line of text"),
        ("a,größe\n1,2\n\udcff,4\n", "line 3 holds a byte that is no UTF-8"),
    ],
)
def test_rows_that_do_not_fit_are_refused_with_their_line(tmp_path, content, message):
    path = tmp_path / "t.csv"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(InvalidDataError, match=message):
        open_table(path)
    if "UTF-8" not in message and content:
        with pytest.raises(InvalidDataError, match=message.replace("row names", "")):
            open_source(path).table(["a", "b"])


def test_notes_of_several_lines_are_read(tmp_path):
    (tmp_path / "t.csv").write_text('a,b,c\n1,2,"x, y\nand z, ""w"""\n3,4,plain\n')
    values = open_table(tmp_path / "t.csv").read("c").values
    assert sorted(values.levels) == ["plain", 'x, y\nand z, "w"']


def test_what_is_asked_for_is_not_looked_for(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("x;y;m1\n1,5;2,5;3,5\n2,5;1,5;9,5\n5,5;2,5;1,5\n".encode("utf-16-le"))
    options = FileOptions(sep=";", decimal=",", encoding="utf-16-le")
    found = from_frame_with_report(path, **ROLES, options=options)
    np.testing.assert_array_equal(found.data.exposure, [1.5, 2.5, 5.5])
    assert "(separator, decimal, encoding as asked for)" in found.report.lines()[0]
    with pytest.raises(InvalidDataError, match="no encoding 'klingon'"):
        open_table(path, FileOptions(encoding="klingon"))


def test_thousands_and_decimals_are_not_guessed(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x;y;m1\n1,500;1;2\n2,250;3;5\n3,750;2;1\n")
    with pytest.raises(InvalidDataError, match=r"'x' .*'1,500' \(row 2\).*decimal=\",\""):
        from_frame(path, **ROLES)
    read = from_frame(path, **ROLES, decimal=",")
    np.testing.assert_array_equal(read.exposure, [1.5, 2.25, 3.75])
    path.write_text("x;y;m1\n1,5;1.500;2\n2,25;3.250;5\n3,75;2.125;1\n")
    with pytest.raises(InvalidDataError, match=r"'y' holds '1.500' \(row 2\).*thousands or"):
        from_frame(path, **ROLES)


def test_markers_of_missing_values(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("x,y,m1\n1,n.d.,2\n2,3,NA\n4,5,1\n2,9,8\n4,NaN,7\n1,3,\n6,2,5\n")
    found = from_frame_with_report(path, **ROLES, na="n.d.", nan_policy="drop")
    assert found.report.missing == {"y": 2, "m1": 2}
    with pytest.raises(InvalidDataError, match="'y' 2, 'm1' 2; first in row 2 of the file"):
        from_frame(path, **ROLES, na="n.d.")


def test_a_frame_read_by_itself_holds_what_the_file_says(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('id,x,ok,day,site\n1,0.5,TRUE,2020-01-31,"a, b"\n2,NA,FALSE,2020-02-01,c\n')
    frame = read_table(path)
    assert frame["id"].tolist() == [1, 2] and frame["id"].dtype.kind == "i"
    assert frame["ok"].tolist() == [1.0, 0.0] and frame["x"].isna().tolist() == [False, True]
    assert frame["day"].dtype.kind == "M" and frame["site"].tolist() == ["a, b", "c"]


def test_a_frame_warns_of_doubled_headings(tmp_path):
    (tmp_path / "t.csv").write_text("a,b,a\n1,2,3\n4,5,6\n")
    with pytest.warns(UserWarning, match="'a' is the heading of two columns"):
        assert list(read_table(tmp_path / "t.csv")) == ["b"]


def test_a_spreadsheet_by_sheet(tmp_path):
    openpyxl = pytest.importorskip("openpyxl")
    pytest.importorskip("python_calamine")
    book = openpyxl.Workbook()
    book.active.append(["nothing"])
    sheet = book.create_sheet("data")
    for row in [[None] * 3, ["x", "y", "m1"], [1, 2.5, 3], [2, 1.5, 9], [4, "n.d.", 1], [3, 2, 2]]:
        sheet.append(row)
    path = tmp_path / "t.xlsx"
    book.save(path)
    with pytest.raises(InvalidDataError, match=r"no sheet 'Data'; sheets are \['Sheet', 'data'\]"):
        open_table(path, FileOptions(sheet="Data"))
    found = from_frame_with_report(
        path, **ROLES, na="n.d.", nan_policy="drop", options=FileOptions(sheet="data")
    )
    np.testing.assert_array_equal(found.data.mediators[:, 0], [3, 9, 2])
    assert "sheet 'data'; 1 other sheets are not read" in found.report.lines()[0]
    path.write_bytes(path.read_bytes()[:400])
    with pytest.raises(InvalidDataError, match="cannot be read"):
        open_table(path)


def test_options_of_another_format_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", x=np.ones(3))
    with pytest.raises(InvalidDataError, match="sep=NAME goes with .csv"):
        open_table(tmp_path / "t.npz", FileOptions(sep=";"))
    (tmp_path / "t.csv").write_text(text())
    with pytest.raises(InvalidDataError, match="layer=NAME goes with .h5ad"):
        open_table(tmp_path / "t.csv", FileOptions(layer="log"))
