"""Files larger than memory: 2,000,000 x 1,000 from parquet, and 500 x 200,000 by columns.

Beside each: the product of one resident block on the same cores, and reading alone (the large file
from a cold page cache, before and after; the faster of the two counts). The files are
made anew in STREAMS_DIR (default: the system's temporary folder; 8 GB and 0.4 GB). The rows of the
large file repeat a block, so that its exact moments are known.
"""

import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import goal, in_child, peak_mb, reset_peak, write

ROWS, COLUMNS, GROUP = 2_000_000, 1_000, 62_500
DUAL_ROWS, DUAL_COLUMNS = 500, 200_000
BOTH: dict[str, str] = {"OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
ROLES: dict[str, Any] = {
    "exposure": "exposure",
    "outcome": "outcome",
    "mediators": "m*",
    "covariates": ("age",),
}


def main(out: Path) -> None:
    rows = int(os.environ.get("STREAMS_ROWS", ROWS))
    with tempfile.TemporaryDirectory(dir=os.environ.get("STREAMS_DIR")) as folder:
        primal = in_child("streams", "make_parquet", env=BOTH, folder=folder, rows=rows)
        found = {
            name: in_child("streams", f"primal_{name}", env=BOTH, folder=folder)
            for name in ("gram", "read", "stream")
        }
        found["read_again"] = in_child("streams", "primal_read", env=BOTH, folder=folder)
        (Path(folder) / "primal.parquet").unlink()
        in_child("streams", "make_matrix", env=BOTH, folder=folder)
        dual = {
            name: in_child("streams", f"dual_{name}", env=BOTH, folder=folder)
            for name in ("gram", "read", "stream", "memory")
        }
    goals = _goals("primal", found, 2500) + _goals("dual", dual, 2000)
    error = dual["stream"]["cosine"] / dual["memory"]["cosine"] - 1
    goals.append(goal("dual: cosine against float64 in memory, relative", abs(error), at_most=1e-4))
    worst = found["stream"]["worst"]
    goals.append(
        goal("primal: co-moments against the exact ones, correlation scale", worst, at_most=1e-6)
    )
    shape = {"primal": [rows, COLUMNS], "dual": [DUAL_ROWS, DUAL_COLUMNS], "dtype": "float32"}
    write("streams", goals, {"primal": found | {"file": primal}, "dual": dual}, out, **shape)


def _goals(name: str, found: dict[str, Any], megabytes: int) -> list[dict]:
    stream, peak = found["stream"], found["stream"]["peak_mb"]
    read = max(found[part]["rows_per_second"] for part in ("read", "read_again") if part in found)
    limit = min(found["gram"]["rows_per_second"], read)
    slower = "reading" if limit == read else "the product"
    return [
        goal(f"{name}: peak memory of the process, MB", peak, at_most=megabytes),
        goal(
            f"{name}: rate against the slower of product and reading ({slower})",
            stream["rows_per_second"] / limit,
            at_least=0.6,
            seconds=stream["seconds"],
        ),
    ]


def _block(rows: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    block = rng.standard_normal((rows, COLUMNS), np.float32) + np.float32(3)
    block[:, 1:] += 0.3 * block[:, :-1]
    return block


def make_parquet(folder: str, rows: int) -> dict:
    import pyarrow as pa
    import pyarrow.parquet as pq

    block = np.asfortranarray(_block(GROUP))
    rng = np.random.default_rng(2)
    columns = {f"m{j + 1}": block[:, j] for j in range(COLUMNS)}
    exposure = rng.standard_normal(GROUP) + 0.5 * block[:, 0]
    columns |= {
        "exposure": exposure,
        "outcome": rng.standard_normal(GROUP) + exposure + block[:, 0] - block[:, 1],
        "age": rng.standard_normal(GROUP),
    }
    table = pa.table(columns)
    path = Path(folder) / "primal.parquet"
    with pq.ParquetWriter(path, table.schema, use_dictionary=False) as writer:
        for _ in range(rows // GROUP):
            writer.write_table(table, row_group_size=GROUP)
    others = [columns[name] for name in ("age", "exposure", "outcome")]
    whole = np.column_stack([*others, block]).astype("f8")
    np.save(Path(folder) / "moments.npy", np.cov(whole.T, bias=True))
    return {"bytes": path.stat().st_size, "rows": rows // GROUP * GROUP, "row_group": GROUP}


def _stream(folder: str) -> Any:
    from jaxmed.data.streams import stream

    return stream(Path(folder) / "primal.parquet", **ROLES)


def primal_gram(folder: str) -> dict:
    """One resident block of the size that the stream uses, times itself."""
    rows = _stream(folder).block_rows
    block = np.asfortranarray(_block(rows))
    return _best(lambda: block.T @ block, rows)


def _cold(path: Path) -> None:
    """Out of the page cache, so that reading means the disk in every case."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def primal_read(folder: str) -> dict:
    _cold(Path(folder) / "primal.parquet")
    start, rows = time.perf_counter(), 0
    source = _stream(folder)
    for block in source.source.row_blocks(
        source.names.mediators, source.block_rows, 0, source.rows_read
    ):
        rows += len(block)
    seconds = time.perf_counter() - start
    return {"rows_per_second": rows / seconds, "seconds": seconds}


def primal_stream(folder: str) -> dict:
    """Opening, streaming and the whole analysis; the rate is that of the reading pass."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxmed.analysis.streamed import mediate_read, read_moments

    _cold(Path(folder) / "primal.parquet")
    reset_peak()
    start = time.perf_counter()
    source = _stream(folder)
    found = read_moments(source)
    seconds = time.perf_counter() - start
    result = mediate_read(source, found, key=1)
    whole = time.perf_counter() - start
    exact = np.load(Path(folder) / "moments.npy")
    moments = found.moments
    scale = np.sqrt(np.diagonal(exact))
    difference = np.asarray(moments.comoment) / float(moments.count) - exact
    return {
        "rows_per_second": source.num_rows / seconds,
        "seconds": seconds,
        "peak_mb": peak_mb(),
        "worst": float(np.abs(difference / scale / scale[:, None]).max()),
        "analysis_seconds": whole,
        "total_indirect": result.record.effect("total_indirect")["estimate"],
        "blocks": source.num_blocks,
    }


def make_matrix(folder: str) -> None:
    rng = np.random.default_rng(3)
    matrix = rng.standard_normal((DUAL_ROWS, DUAL_COLUMNS), np.float32)
    exposure, age = rng.standard_normal((2, DUAL_ROWS))
    matrix[:, :200] += 0.3 * exposure[:, None]
    outcome = matrix[:, :200].sum(axis=1) * 0.1 + exposure + rng.standard_normal(DUAL_ROWS)
    matrix += np.float32(5)
    np.save(Path(folder) / "dual.npy", matrix)
    lines = ["exposure,outcome,age", *(f"{a},{y},{c}" for a, y, c in zip(exposure, outcome, age))]  # noqa: B905
    (Path(folder) / "fields.csv").write_text("\n".join(lines))


def _dual(folder: str) -> Any:
    from jaxmed.data.streams import stream

    return stream(Path(folder) / "dual.npy", table=Path(folder) / "fields.csv", **ROLES)


def dual_gram(folder: str) -> dict:
    """All mediators resident: x x' by pieces of 8,192 columns, as columns per second."""
    del folder
    rng = np.random.default_rng(4)
    block = np.ascontiguousarray(rng.standard_normal((DUAL_ROWS, 8192), np.float32))
    return _best(lambda: block @ block.T, 8192)


def dual_read(folder: str) -> dict:
    source = _dual(folder)
    start, columns = time.perf_counter(), 0
    for first in range(0, source.num_mediators, 8192):
        columns += source.source.columns(source.names.mediators[first : first + 8192]).shape[1]
    seconds = time.perf_counter() - start
    return {"rows_per_second": columns / seconds, "seconds": seconds}


def dual_stream(folder: str) -> dict:
    """Rate (columns per second) of the kernel pass; seconds of the analysis with both passes."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxmed import mediate
    from jaxmed.statistics.kernel_sums import kernel_sums

    reset_peak()
    source = _dual(folder)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        kernel_sums(source)
        times.append(time.perf_counter() - start)
    start = time.perf_counter()
    result = mediate(source, key=1)
    return {
        "rows_per_second": source.num_mediators / min(times),
        "seconds": min(times),
        "passes": times,
        "peak_mb": peak_mb(),
        "analysis_seconds": time.perf_counter() - start,
        "cosine": float(result.fit.paths.cosine),
    }


def dual_memory(folder: str) -> dict:
    """The same analysis of all mediators in memory, in float64."""
    import jax

    jax.config.update("jax_enable_x64", True)
    import jaxmed
    from jaxmed.data.readers import read_table

    fields = read_table(Path(folder) / "fields.csv")
    data = jaxmed.mediation_data(
        fields["exposure"].to_numpy(),
        np.load(Path(folder) / "dual.npy").astype("f8"),
        fields["outcome"].to_numpy(),
        fields[["age"]].to_numpy(),
    )
    start = time.perf_counter()
    result = jaxmed.mediate(data, key=1, permutations=0, folds=0, basis="linear")
    return {
        "cosine": float(result.fit.paths.cosine),
        "seconds": time.perf_counter() - start,
        "peak_mb": peak_mb(),
    }


def _best(call: Any, rows: int) -> dict:
    call()
    seconds = []
    for _ in range(8):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return {
        "rows_per_second": rows / float(np.median(seconds)),
        "seconds": float(np.median(seconds)),
    }
