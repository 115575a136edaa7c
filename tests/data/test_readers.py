"""read_table: every format round trip, and damaged or hostile files as typed errors."""

import builtins
import gzip
import io
import pickle
import zipfile

import numpy as np
import pytest

from jaxmed.data import (
    FileOptions,
    InvalidDataError,
    ShapeError,
    from_frame,
    open_table,
    read_table,
)

N = 9
ROLES = dict(exposure="age", outcome="icu", mediators="prot_*")


def columns():
    rng = np.random.default_rng(2)
    table = {"age": rng.normal(size=N), "icu": np.arange(N) % 2, "prot_1": rng.normal(size=N)}
    return table | {"prot_2": rng.normal(size=N) * 1e-7, "site": np.array(list("abcabcabc"))}


def write(path, table):
    if path.name.endswith(".npz"):
        np.savez(path, **table)
        return
    frame = pytest.importorskip("pandas").DataFrame(table)
    if path.name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
        frame.to_parquet(path)
    elif path.name.endswith(".h5ad"):
        anndata = pytest.importorskip("anndata")
        frame.index = frame.index.astype(str)
        adata = anndata.AnnData(
            frame[["prot_1", "prot_2"]].to_numpy(), obs=frame[["age", "icu", "site"]]
        )
        adata.var_names = ["prot_1", "prot_2"]
        adata.write_h5ad(path)
    elif path.name.endswith(".xlsx"):
        pytest.importorskip("openpyxl")
        pytest.importorskip("python_calamine")
        frame.to_excel(path, index=False)
    else:
        frame.to_csv(path, index=False)


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".npz", ".h5ad"])
def test_every_format_gives_the_same_bits(suffix, tmp_path):
    path, table = tmp_path / f"table{suffix}", columns()
    write(path, table)
    data = from_frame(read_table(path), **ROLES, covariates=["site"])
    np.testing.assert_array_equal(data.mediators, np.c_[table["prot_1"], table["prot_2"]])
    np.testing.assert_array_equal(data.exposure, table["age"])
    np.testing.assert_array_equal(data.outcome, table["icu"])
    assert data.names.covariates == ("site[b]", "site[c]")


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet", ".npz", ".h5ad", ".xlsx"])
def test_damaged_files_give_typed_errors(suffix, tmp_path):
    path = tmp_path / f"table{suffix}"
    write(path, columns())
    whole = path.read_bytes()
    rng = np.random.default_rng(3)
    damaged = [b"", b"\x00" * 100, rng.bytes(200)]
    if suffix != ".csv":  # a shorter csv is a csv; the others know their length
        damaged += [whole[: len(whole) // part] for part in (2, 3, 5)] + [whole[:-9]]
    for content in damaged:
        path.write_bytes(content)
        with pytest.raises((InvalidDataError, ShapeError, TypeError)):
            from_frame(read_table(path), **ROLES)


def test_flipped_bytes_of_an_archive_never_go_through_unnoticed(tmp_path):
    path, table = tmp_path / "table.npz", columns()
    write(path, table)
    whole, rng = path.read_bytes(), np.random.default_rng(4)
    for position in rng.integers(0, len(whole), 150):
        path.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
        try:
            found = read_table(path)
        except (InvalidDataError, ShapeError):
            continue
        # What is not under a checksum: names and times in the directory of the archive.
        assert sorted(map(bytes, found.values())) == sorted(map(bytes, table.values()))


def npy(header, data=b"", version=b"\x01\x00"):
    text = header.encode() + b"\n"
    return b"\x93NUMPY" + version + len(text).to_bytes(2, "little") + text + data


def archive(path, **members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return path


def header(shape, descr="<f8"):
    return f"{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}}}"


@pytest.mark.parametrize(
    "content",
    [
        npy(header((1000000000000,)), b"\x00" * 80),  # 7.3 TiB in 80 bytes
        npy(header((11,)), b"\x00" * 80),
        npy(header((9,)), b"\x00" * 80),
        npy(header((-10,)), b"\x00" * 80),
        npy(header((-2, -5)), b"\x00" * 80),
        npy(header((2**63, 2**63)), b"\x00" * 80),
        npy(header((10,), "|O"), pickle.dumps([1])),
        npy(header((10,), "<M8[s]"), b"\x00" * 80),
        npy("{'descr': __import__('os').system('true')}", b""),
        npy("{'shape': (1,)}"),
        npy("(" * 3000),
        npy(header((10,)), b"\x00" * 80, version=b"\x09\x00"),
        b"not an array at all",
        b"",
    ],
)
def test_lying_headers_are_refused_before_allocation(content, tmp_path):
    with pytest.raises(InvalidDataError, match="table.npz: x.npy"):
        read_table(archive(tmp_path / "table.npz", x=content))


def test_object_arrays_are_never_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return builtins.exec, ("raise SystemExit('executed')",)

    np.savez(tmp_path / "table.npz", x=np.array([Bomb()], dtype=object))
    with pytest.raises(InvalidDataError, match="objects would need pickle"):
        read_table(tmp_path / "table.npz")


def test_an_archive_that_unpacks_to_too_much_is_refused(tmp_path):
    content = io.BytesIO()
    np.save(content, np.zeros(500_000))
    path = archive(tmp_path / "table.npz", x=content.getvalue())
    assert path.stat().st_size < 10_000
    with pytest.raises(InvalidDataError, match=r"unpacks to 4,000,128 bytes, .* memory=BYTES"):
        read_table(path, FileOptions(memory=1_000_000))
    assert read_table(path)["x"].shape == (500_000,)


def test_matrices_become_numbered_columns_in_either_order(tmp_path):
    matrix = np.arange(12.0).reshape(4, 3)
    np.savez(tmp_path / "t.npz", M=matrix, F=np.asfortranarray(matrix), y=np.ones(4))
    found = open_table(tmp_path / "t.npz")
    assert found.fields == ("M_1", "M_2", "M_3", "F_1", "F_2", "F_3", "y")
    for j in range(3):
        np.testing.assert_array_equal(found.read(f"M_{j + 1}").values, matrix[:, j])
        np.testing.assert_array_equal(found.read(f"F_{j + 1}").values, matrix[:, j])


@pytest.mark.parametrize(
    "arrays",
    [
        dict(x=np.ones(3), y=np.ones(4)),
        dict(x=np.ones((2, 2, 2))),
        dict(x=np.float64(3)),
    ],
)
def test_arrays_that_make_no_table(arrays, tmp_path):
    np.savez(tmp_path / "t.npz", **arrays)
    with pytest.raises(ShapeError):
        open_table(tmp_path / "t.npz")


def test_two_arrays_of_one_name_are_refused(tmp_path):
    np.savez(tmp_path / "t.npz", M=np.ones((3, 2)), M_1=np.ones(3), y=np.ones(3))
    with pytest.raises(InvalidDataError, match=r"two columns are called 'M_1' \(columns 1 and 3\)"):
        open_table(tmp_path / "t.npz").find("M_1", "exposure")
    content = io.BytesIO()
    np.save(content, np.ones(3))
    with zipfile.ZipFile(tmp_path / "d.npz", "w") as file:
        with pytest.warns(UserWarning, match="Duplicate name"):
            for _ in range(2):
                file.writestr("x.npy", content.getvalue())
    with pytest.raises(InvalidDataError, match="two arrays are called 'x'"):
        open_table(tmp_path / "d.npz")


def test_unknown_suffix_and_missing_file(tmp_path):
    with pytest.raises(InvalidDataError, match="known are .csv"):
        read_table(tmp_path / "table.rds")
    with pytest.raises(FileNotFoundError):
        read_table(tmp_path / "table.csv")


@pytest.mark.parametrize(
    "suffix, extra", [(".csv", "io"), (".parquet", "io"), (".h5ad", "anndata")]
)
def test_a_missing_library_names_the_extra(suffix, extra, tmp_path, monkeypatch):
    def no_import(name, *_):
        raise ImportError(name)

    (tmp_path / f"table{suffix}").write_bytes(gzip.compress(b"a,b\n1,2\n"))
    monkeypatch.setattr("importlib.import_module", no_import)
    with pytest.raises(ImportError, match=rf"jaxmed\[{extra}\]"):
        read_table(tmp_path / f"table{suffix}")
