"""One seed: the same draws and results for 1 and 2 threads and chunks of 64 and 256.

Bytes are the same where chunk, batch and thread count are; otherwise numbers agree to 1e-12.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from determinism import CHUNKS

HERE = Path(__file__).parent
TOLERANCE = 1e-12


def environment(threads):
    pools = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    path = os.pathsep.join([str(HERE), str(HERE.parent), os.environ.get("PYTHONPATH", "")])
    return (
        os.environ
        | dict.fromkeys(pools, str(threads))
        | {
            "JAX_ENABLE_X64": "1",
            "JAX_PLATFORMS": "cpu",
            "PYTHONPATH": path,
            # Each process compiles for its own threads, as no program of another would.
            "JAX_ENABLE_COMPILATION_CACHE": "0",
        }
    )


def run_all(folder, threads, parts):
    """The numbers of one process per entry of `threads`, which run at the same time."""
    outs = [folder / f"{number}.npz" for number in range(len(threads))]
    running = [
        subprocess.Popen(
            [sys.executable, str(HERE / "determinism.py"), str(out), *parts],
            env=environment(count),
            stderr=subprocess.PIPE,
            text=True,
        )
        for count, out in zip(threads, outs, strict=True)
    ]
    for process in running:
        _, said = process.communicate(timeout=900)
        assert process.returncode == 0, said[-2000:]
    return [dict(np.load(out)) for out in outs]


def check_close(one, other):
    assert one.shape == other.shape
    np.testing.assert_array_equal(np.isnan(one), np.isnan(other))
    size = np.nanmax(np.abs(one), initial=0)
    # Relative to the number, or to the largest of its table where it cancels to nearly nothing.
    np.testing.assert_allclose(one, other, rtol=TOLERANCE, atol=TOLERANCE * min(size, 1))


def check_runs(runs):
    first = runs[0]
    for other in runs[1:]:
        assert first.keys() == other.keys()
        for name in first:
            check_close(first[name], other[name])


def check_chunks(found):
    small, large = (f" {chunk}" for chunk in CHUNKS)
    names = [name for name in found if name.endswith(small)]
    assert names
    for name in names:
        check_close(found[name], found[re.sub(f"{small}$", large, name)])


def test_draws_and_resamples(tmp_path):
    runs = run_all(tmp_path, (1, 2), ("light",))
    check_runs(runs)
    check_chunks(runs[0])
    for name in ("sample", "law", "sweep draws 64"):
        np.testing.assert_array_equal(runs[0][name], runs[1][name])


@pytest.mark.slow
def test_analyses_and_the_same_bytes(tmp_path):
    parts = ("light", "simulated", "resampled", "analysed")
    runs = run_all(tmp_path, (1, 2, 2), parts)
    check_runs(runs)
    check_chunks(runs[0])
    for name, values in runs[1].items():
        np.testing.assert_array_equal(values, runs[2][name])
