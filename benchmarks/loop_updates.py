"""One element of a vector written in a loop, as coordinate descent does: nanoseconds per update.

Since jaxlib 0.11.1 XLA:CPU rewrites the whole buffer where less than some 480 bytes of it are
updated in a loop (jax-ml/jax #40101). The time of `.at[j].set` must not grow with the vector.

On every line an element that is read in the same step before another use of it costs a copy of the
vector ("beside"); read at the end of the step before, it costs none ("ahead"): this is how
`sparse.descent` sweeps. Both forms are timed as lasso steps on ROWS rows.
"""

from pathlib import Path

from benchmarks.harness import goal, in_child, interleaved, last_core, write

SIZES = (500, 2_000, 10_000)
STEPS = 20_000
BLOCK = 64  # float64 numbers: 512 bytes
ROWS = 50


def main(out: Path) -> None:
    case = in_child("loop_updates", "measure", core=last_core(), sizes=SIZES, steps=STEPS)
    of = {form: case[form] for form in ("set", "where", "block", "beside", "ahead")}
    smallest, largest = str(SIZES[0]), str(SIZES[-1])
    goals = [
        goal(
            f"ns of .at[j].set in a loop, p = {largest} / p = {smallest}",
            of["set"][largest] / of["set"][smallest],
            at_most=2.0,
            jax=case["jax"],
        ),
        goal(
            f"ns of a lasso step, p = {largest} / p = {smallest}",
            of["ahead"][largest] / of["ahead"][smallest],
            at_most=2.0,
            jax=case["jax"],
        ),
    ]
    write("loop_updates", goals, case, out, threads=1, unit="nanoseconds per update")


def measure(sizes: list[int], steps: int) -> dict:
    """Nanoseconds per update of each form and length, steady state."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def element(vector, j, value):
        return vector.at[j].set(value)

    def everywhere(vector, j, value):
        return jnp.where(jnp.arange(vector.size) == j, value, vector)

    def in_block(vector, j, value):
        """The block of BLOCK elements around j: an update large enough to be made in place."""
        start = jnp.minimum(j // BLOCK * BLOCK, vector.size - BLOCK)
        block = jax.lax.dynamic_slice(vector, (start,), (BLOCK,))
        block = jnp.where(jnp.arange(BLOCK) == j - start, value, block)
        return jax.lax.dynamic_update_slice(vector, block, (start,))

    def loop(update):
        def run(vector, order):
            def step(k, v):
                j = order[k]
                return update(v, j, 0.5 * v[j] + 1.0)

            return jax.lax.fori_loop(0, order.size, step, vector)

        return jax.jit(run)

    def soft(value):
        return jnp.sign(value) * jnp.maximum(jnp.abs(value) - 0.01, 0)

    def beside(vector, order, columns):
        def step(k, pair):
            b, r = pair
            j = order[k]
            old = b[j]
            new = soft(old + columns[j] @ r)
            return b.at[j].set(new), r - (new - old) * columns[j]

        return jax.lax.fori_loop(0, order.size, step, (vector, jnp.ones(ROWS)))

    def ahead(vector, order, columns):
        def step(k, carry):
            b, r, old = carry
            j = order[k]
            new = soft(old + columns[j] @ r)
            b = b.at[j].set(new)
            return b, r - (new - old) * columns[j], b[order[jnp.minimum(k + 1, order.size - 1)]]

        return jax.lax.fori_loop(0, order.size, step, (vector, jnp.ones(ROWS), vector[order[0]]))

    forms = {"set": element, "where": everywhere, "block": in_block}
    programs = {name: loop(update) for name, update in forms.items()}
    steps_of = {"beside": jax.jit(beside), "ahead": jax.jit(ahead)}
    found: dict = {name: {} for name in (*programs, *steps_of)} | {"jax": jax.__version__}
    for size in sizes:
        vector = jnp.zeros(size)
        order = jax.random.randint(jax.random.key(0), (steps,), 0, size)
        calls = {
            name: lambda p=program, v=vector, o=order: jax.block_until_ready(p(v, o))
            for name, program in programs.items()
        }
        columns = jax.random.normal(jax.random.key(1), (size, ROWS)) / ROWS
        calls |= {
            name: lambda p=program, v=vector, o=order, c=columns: jax.block_until_ready(p(v, o, c))
            for name, program in steps_of.items()
        }
        timings = interleaved(calls, seconds=2, least=3)
        for name, timing in timings.items():
            found[name][str(size)] = 1e6 * timing["wall_min_ms"] / steps
    return found
