"""Files in blocks: the same rows and columns as in memory, whatever the format."""

import os
import threading

import numpy as np
import pytest

from jaxmed.data import InvalidDataError, ShapeError, UnknownColumnError, from_frame
from jaxmed.data.streams import is_larger, open_source, stream
from jaxmed.data.streams.prefetch import prefetch
from jaxmed.data.streams.threads import core_for_reading

pd = pytest.importorskip("pandas")
P, N = 7, 230
MEDIATORS = [f"m{j + 1}" for j in range(P)]
ROLES = {
    "exposure": "a",
    "outcome": "y",
    "mediators": "m*",
    "covariates": ["site"],
    "weights": "w",
    "where": "a > -1",
}


@pytest.fixture(scope="module")
def frame():
    rng = np.random.default_rng(0)
    found = pd.DataFrame(rng.normal(size=(N, P)) + 10, columns=MEDIATORS)
    found["a"], found["y"] = rng.normal(size=(2, N))
    found["site"] = rng.choice(list("xyz"), N)
    found["w"] = rng.uniform(0.5, 2, N)
    return found


def write(frame, folder, suffix):
    """The frame in one format: arguments of `stream`."""
    path = folder / f"data{suffix}"
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
        frame.to_parquet(path, row_group_size=60)
    elif suffix.startswith(".csv"):
        frame.to_csv(path, index=False)
    elif suffix == ".h5ad":
        anndata = pytest.importorskip("anndata")
        fields = frame[["a", "y", "site", "w"]].set_index(pd.Index([f"r{i}" for i in range(N)]))
        var = pd.DataFrame(index=MEDIATORS)
        anndata.AnnData(frame[MEDIATORS].to_numpy(), obs=fields, var=var).write_h5ad(path)
    else:
        np.save(path, frame[MEDIATORS].to_numpy())
        frame[["a", "y", "site", "w"]].to_csv(folder / "fields.csv", index=False)
        return {"path": path, "table": folder / "fields.csv"}
    return {"path": path}


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".csv.gz", ".npy", ".h5ad"])
def test_blocks_are_the_rows_in_memory(frame, tmp_path, suffix):
    whole = from_frame(frame, **ROLES)
    found = stream(**write(frame, tmp_path, suffix), **ROLES, block_bytes=1)
    assert found.names == whole.names and found.block_rows == 256
    assert found.report.rows_used == found.num_rows == len(whole.exposure)
    blocks = list(found.blocks())
    columns = list(found.column_blocks(3)) if "csv" not in suffix else None
    for name in ("exposure", "mediators", "outcome", "covariates", "weights"):
        joined = np.concatenate([getattr(block.data, name) for block in blocks])
        assert np.array_equal(joined, getattr(whole, name)), name
    if columns is not None:
        assert [chosen.start for chosen, _ in columns] == [0, 3, 6]
        joined = np.concatenate([values for _, values in columns], axis=1)
        assert np.array_equal(joined, whole.mediators)


@pytest.mark.parametrize("suffix", [".parquet", ".csv", ".npy"])
def test_any_range_of_blocks_can_be_read(frame, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr("jaxmed.data.streams.row_stream.LEAST_ROWS", 50)
    found = stream(**write(frame, tmp_path, suffix), **ROLES, block_bytes=1)
    whole = list(found.blocks())
    assert [block.index for block in whole] == list(range(5)) and found.num_blocks == 5
    middle = list(found.blocks(2, 4))
    assert [block.index for block in middle] == [2, 3]
    for a, b in zip(whole[2:4], middle, strict=True):
        assert np.array_equal(a.data.mediators, b.data.mediators)
        assert np.array_equal(a.data.outcome, b.data.outcome)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_missing_mediators(frame, tmp_path, suffix):
    holes = frame.copy()
    holes.loc[[5, 77], "m3"] = np.nan
    holes.loc[77, "m6"] = np.nan
    roles = ROLES | {"where": None}
    where = write(holes, tmp_path, suffix)
    row = 7 if suffix == ".csv" else 6  # counted from 1, the header of a csv included
    with pytest.raises(InvalidDataError, match=f"'m3' has no value in row {row} of data"):
        list(stream(**where, **roles).blocks())
    (block,) = stream(**where, **roles, nan_policy="drop").blocks()
    assert block.dropped == 2
    assert np.array_equal(
        block.data.mediators, from_frame(holes, **roles, nan_policy="drop").mediators
    )
    if suffix == ".parquet":
        with pytest.raises(InvalidDataError, match="'m3' holds 2 NaN"):
            list(stream(**where, **roles, nan_policy="drop").column_blocks(4))


def test_infinite_mediators_are_named(frame, tmp_path):
    broken = frame.assign(m2=frame.m2.where(frame.index != 9, np.inf))
    with pytest.raises(InvalidDataError, match="'m2' holds 1 infinite"):
        list(stream(**write(broken, tmp_path, ".csv"), **(ROLES | {"where": None})).blocks())


def test_precision_of_products_is_that_of_the_file(frame, tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "single.parquet"
    frame.astype(dict.fromkeys(MEDIATORS, "float32")).to_parquet(path)
    assert stream(path, **ROLES).dtype == np.float32
    assert stream(path, **ROLES, products="float64").dtype == np.float64


def test_refusals(frame, tmp_path):
    where = write(frame.assign(m4="text"), tmp_path, ".csv")
    with pytest.raises(TypeError, match="'m4' holds text"):
        list(stream(**where, **ROLES).blocks())
    with pytest.raises(InvalidDataError, match="store it as .parquet"):
        list(stream(**where, **ROLES).column_blocks(2))
    with pytest.raises(UnknownColumnError, match="did you mean 'site'"):
        stream(**where, **(ROLES | {"covariates": ["sitee"]}))
    with pytest.raises(InvalidDataError, match="cannot be read in blocks"):
        open_source(tmp_path / "x.xlsx")
    with pytest.raises(FileNotFoundError):
        open_source(tmp_path / "none.csv")
    matrix = write(frame, tmp_path, ".npy")
    with pytest.raises(InvalidDataError, match="table"):
        open_source(matrix["path"])
    frame[["a", "y"]].head(9).to_csv(tmp_path / "short.csv")
    with pytest.raises(ShapeError, match="230 rows, short.csv has 9"):
        open_source(matrix["path"], tmp_path / "short.csv")


def test_a_header_that_lies_allocates_nothing(frame, tmp_path):
    where = write(frame, tmp_path, ".npy")
    content = where["path"].read_bytes()
    where["path"].write_bytes(content.replace(b"(230, 7)", b"(930, 7)"))
    with pytest.raises(InvalidDataError, match="not a readable"):
        open_source(**where)
    where["path"].write_bytes(b"no numpy at all")
    with pytest.raises(InvalidDataError, match="not a readable"):
        open_source(**where)


def test_a_file_that_shrank_is_noticed(frame, tmp_path):
    where = write(frame, tmp_path, ".csv")
    found = stream(**where, **ROLES)
    frame.head(100).to_csv(where["path"], index=False)
    with pytest.raises(InvalidDataError, match="ends after 100 rows"):
        list(found.blocks())


def test_size_against_memory(frame, tmp_path):
    where = write(frame, tmp_path, ".parquet")["path"]
    cells = 8 * N * frame.shape[1]
    assert is_larger(where, cells - 1) and not is_larger(where, cells)
    assert not is_larger(tmp_path / "archive.npz", 0)


def test_a_core_is_left_to_reading():
    library = pytest.importorskip("threadpoolctl")

    def threads():
        pools = [p for p in library.threadpool_info() if p["user_api"] == "blas"]
        return max((pool["num_threads"] for pool in pools), default=0)

    before = threads()
    cores = len(os.sched_getaffinity(0))
    with core_for_reading():
        assert threads() <= max(1, cores - 1)
    assert threads() == before


def test_prefetch_hands_over_errors_and_ends_its_thread():
    def items():
        yield 1
        raise OSError("disk gone")

    found = prefetch(items())
    assert next(found) == 1
    with pytest.raises(OSError, match="disk gone"):
        next(found)
    endless = prefetch(iter(range(10**9)))
    assert next(endless) == 0
    endless.close()
    assert not any(t.name == "jaxmed-prefetch" for t in threading.enumerate())
