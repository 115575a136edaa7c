"""JAX 0.10.* and 0.11.0 hang in this program on a CPU; the day a release does so again, we know."""

import subprocess
import sys
import time

PROGRAM = """
import jax, jax.numpy as jnp
keys = jax.random.split(jax.random.key(0), 8)
a = [jax.random.normal(k, (512, 24, 24), "float64") + 24 * jnp.eye(24) for k in keys]
b = [jnp.ones((512, 24, 1))] * 8
solve = jax.jit(lambda a, b: [jnp.linalg.solve(x, y) for x, y in zip(a, b)])
for _ in range(3):
    out = jax.block_until_ready(solve(a, b))
print("worst residual", max(float(jnp.abs(x @ s - y).max()) for x, s, y in zip(a, out, b)))
"""


def test_eight_independent_batched_solves_do_not_hang(monkeypatch):
    monkeypatch.setenv("JAX_ENABLE_X64", "1")
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    for name in ("XLA_FLAGS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NPROC"):
        monkeypatch.delenv(name, raising=False)
    start = time.monotonic()
    # subprocess.run kills the child at the timeout: a hang in LAPACK hears no exception.
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout.split()[-1]) < 1e-12
    assert time.monotonic() - start < 60
