"""A coefficient written in a loop must not cost a copy of them all, on any JAX line."""

import re
import time

import jax
import jax.numpy as jnp
import pytest

from jaxmed.compile import PLAIN_CODE
from jaxmed.sparse.descent import descend
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.quadratic import row_quadratic

STEPS = 50_000
# XLA's defaults, which the suite turns off.
OPTIMISED = {"xla_backend_optimization_level": 3, "xla_llvm_disable_expensive_passes": False}


def seconds(program, *given):
    """CPU seconds of a call, the best of three."""
    jax.block_until_ready(program(*given))
    taken = []
    for _ in range(3):
        start = time.process_time()
        jax.block_until_ready(program(*given))
        taken.append(time.process_time() - start)
    return min(taken)


def test_an_element_is_written_in_place():
    """JAX 0.11.1 rewrote the buffer for less than some 480 bytes (jax-ml/jax #40101)."""

    @jax.jit
    def write(vector):
        size = vector.shape[0]
        return jax.lax.fori_loop(0, STEPS, lambda k, v: v.at[k % size].set(v[k % size] + 1), vector)

    short, long = (seconds(write, jnp.zeros(size)) for size in (1_000, 200_000))
    assert long < 100 * short  # some 10,000 times as long where all of it is rewritten


@pytest.mark.parametrize("optimised", [False, True])
def test_sweeps_copy_no_coefficients(optimised):
    """In the compiled program, for one run or for many, no loop copies all coefficients."""
    p, n = 3_001, 40
    columns = jnp.ones((p, n))
    quadratic = row_quadratic(columns, jnp.ones(n))

    def solve(start, residual, penalties):
        return descend(
            quadratic, L1(penalties), start, residual, tolerance=jnp.asarray(1e-9), max_rounds=5
        )

    given = (jnp.zeros(p), jnp.ones(n), jnp.ones(p))
    options = OPTIMISED if optimised else PLAIN_CODE
    text = jax.jit(solve).lower(*given).compile(compiler_options=options).as_text()
    loops = set(re.findall(r"body=%([\w.]+)", text))
    writing = {
        name[1]: block
        for block in re.split(r"\n(?=%|ENTRY)", text)
        if (name := re.match(r"%([\w.]+)", block))
        and name[1] in loops
        and "dynamic-update-slice" in block
    }
    assert any(f"[{p}]" in block for block in writing.values())  # one holds the coefficients
    for name, block in writing.items():
        assert not re.search(rf"f\d+\[{p}\]\S* copy\(", block), name
