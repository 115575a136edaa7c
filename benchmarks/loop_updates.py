"""One element of a vector written in a loop, as coordinate descent does: nanoseconds per update.

Since jaxlib 0.11.1 XLA:CPU rewrites the whole buffer where less than some 480 bytes of it are
updated in a loop (jax-ml/jax #40101). The time of `.at[j].set` must not grow with the vector.
"""

from pathlib import Path

from benchmarks.harness import goal, in_child, interleaved, last_core, write

SIZES = (500, 2_000, 10_000)
STEPS = 20_000
BLOCK = 64  # float64 numbers: 512 bytes


def main(out: Path) -> None:
    case = in_child("loop_updates", "measure", core=last_core(), sizes=SIZES, steps=STEPS)
    of = {form: case[form] for form in ("set", "where", "block")}
    smallest, largest = str(SIZES[0]), str(SIZES[-1])
    goals = [
        goal(
            f"ns of .at[j].set in a loop, p = {largest} / p = {smallest}",
            of["set"][largest] / of["set"][smallest],
            at_most=2.0,
            jax=case["jax"],
        )
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

    forms = {"set": element, "where": everywhere, "block": in_block}
    programs = {name: loop(update) for name, update in forms.items()}
    found: dict = {name: {} for name in forms} | {"jax": jax.__version__}
    for size in sizes:
        vector = jnp.zeros(size)
        order = jax.random.randint(jax.random.key(0), (steps,), 0, size)
        calls = {
            name: lambda p=program, v=vector, o=order: jax.block_until_ready(p(v, o))
            for name, program in programs.items()
        }
        timings = interleaved(calls, seconds=2, least=3)
        for name, timing in timings.items():
            found[name][str(size)] = 1e6 * timing["wall_min_ms"] / steps
    return found
