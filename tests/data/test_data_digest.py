"""The SHA-256 of every file of an analysis: of all files, once, and never in what a site sends."""

import hashlib

import numpy as np
import pytest

pandas = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")

import jaxmed  # noqa: E402
from jaxmed.cli import main  # noqa: E402
from jaxmed.data import readers, unpack  # noqa: E402
from jaxmed.data.streams import anndata_file, csv_file, is_larger, npy_file, parquet_file  # noqa: E402

ROLES = {"exposure": "x", "outcome": "y", "mediators": "m*"}
SUFFIXES = ["csv", "csv.gz", "parquet", "h5ad", "npy"]


@pytest.fixture
def frame():
    rng = np.random.default_rng(0)
    names = ["x", "y", "m1", "m2"]
    return pandas.DataFrame(rng.normal(size=(120, 4)), columns=names)


def write(frame, folder, suffix):
    """(file, table beside it or None)."""
    path, table = folder / f"data.{suffix}", None
    if suffix == "parquet":
        frame.to_parquet(path, index=False)
    elif suffix == "npy":
        np.save(path, frame[["m1", "m2"]].to_numpy())
        table = folder / "fields.csv"
        frame[["x", "y"]].to_csv(table, index=False)
    elif suffix == "h5ad":
        anndata = pytest.importorskip("anndata")
        obs = frame[["x", "y"]].set_axis(frame.index.astype(str))
        var = pandas.DataFrame(index=["m1", "m2"])
        anndata.AnnData(frame[["m1", "m2"]].to_numpy(), obs=obs, var=var).write_h5ad(path)
    else:
        frame.to_csv(path, index=False)
    return path, table


def digests(*paths):
    return [
        {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
        for path in paths
    ]


@pytest.fixture
def counted(monkeypatch):
    """Names of the files whose digest was computed."""
    heard = []

    def digest_of(path):
        heard.append(path.name)
        return unpack.digest_of(path)

    for module in (readers, anndata_file, csv_file, npy_file, parquet_file):
        monkeypatch.setattr(module, "digest_of", digest_of)
    return heard


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_stream_names_each_of_its_files_once(frame, tmp_path, counted, suffix):
    path, table = write(frame, tmp_path, suffix)
    is_larger(path, 1)
    found = jaxmed.stream(path, **ROLES, table=table)
    files = [path] if table is None else [table, path]
    assert found.report.files() == digests(*files)
    assert sorted(counted) == sorted(file.name for file in files)
    said = found.report.lines()[0]
    assert all(f"{file.name}, sha256 {digests(file)[0]['sha256'][:16]}" in said for file in files)


@pytest.mark.parametrize("suffix", ["csv", "csv.gz", "parquet", "h5ad"])
def test_a_file_in_memory_has_its_digest_and_a_frame_none(frame, tmp_path, counted, suffix):
    path, _ = write(frame, tmp_path, suffix)
    assert not is_larger(path, 10**9)
    report = jaxmed.from_frame_with_report(path, **ROLES).report
    assert report.files() == digests(path) and counted == [path.name]
    assert jaxmed.from_frame_with_report(frame, **ROLES).report.files() is None


@pytest.mark.parametrize("row_id", [[], ["--row-id", "person"]])
def test_nothing_of_the_digest_is_in_what_a_site_sends(frame, tmp_path, row_id):
    frame["person"] = [f"p{i}" for i in range(len(frame))]
    path = tmp_path / "patients.csv"
    frame.to_csv(path, index=False)
    out = tmp_path / "site.npz"
    arguments = ["site", "summarise", str(path), "--exposure", "x", "--outcome", "y"]
    arguments += ["--mediators", "m*", "--site", "north", "--out", str(out), "--quiet", *row_id]
    assert main(arguments) == 0
    digest = digests(path)[0]["sha256"]
    with np.load(out, allow_pickle=False) as sent:
        members = {name: sent[name] for name in sent.files}
    for name, values in members.items():
        raw = values.tobytes()
        text = "".join(map(str, values.tolist())) if values.dtype.kind == "U" else ""
        for secret in (digest.encode(), bytes.fromhex(digest), b"patients"):
            assert secret[:8] not in raw and secret[:8] not in text.encode(), name
