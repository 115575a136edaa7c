"""Batched decompositions that wait for each other for ever on a CPU.

JAX 0.10.* and 0.11.0 hang in the program below; the day a release does so again, we know. In
jaxlib 0.9 singular value decompositions alone still wait inside the pool of threads that is to run
them: two of them at once, in one program or in two, hang on two cores. The package has none.
"""

import ast
import subprocess
import sys
import time
from pathlib import Path

import pytest

import jaxmed

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


PACKAGE = Path(jaxmed.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
SINGULAR = {"svd", "svdvals", "lstsq", "matrix_rank", "cond", "polar", "null_space", "orth"}


def singular_value_decompositions(tree):
    """Lines that call one of JAX; NumPy's take no batch and no pool."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
            continue
        called = ast.unparse(node.func).split(".")
        if called[0] not in ("jnp", "jax", "xp", "lax") or "linalg" not in called:
            continue
        given = {k.arg: ast.unparse(k.value) for k in node.keywords}
        general = called[-1] == "pinv" and given.get("hermitian") != "True"
        spectral = called[-1] == "norm" and (len(node.args) > 1 or "ord" in given)
        if called[-1] in SINGULAR or general or spectral:
            yield node.lineno


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_singular_value_decompositions(path):
    assert not list(singular_value_decompositions(ast.parse(path.read_text()))), (
        "eigh of a Gram matrix of scaled columns, as in estimators/parts/rows.py"
    )


def test_the_walk_finds_them():
    for line in ("jnp.linalg.svd(a)", "jax.scipy.linalg.svd(a)", "jnp.linalg.pinv(a)"):
        assert list(singular_value_decompositions(ast.parse(line))), line
    assert list(singular_value_decompositions(ast.parse("jnp.linalg.norm(a, ord=2)")))
    for line in ("np.linalg.svd(a)", "jnp.linalg.pinv(a, hermitian=True)", "jnp.linalg.norm(a)"):
        assert not list(singular_value_decompositions(ast.parse(line))), line
