"""Replicates per second of the exact law, beside the rate of the random numbers it is made of.

A replicate ends in a counted rejection of the cosine test, inside the program, as power and size
use it. float64 on two forced host devices, chunks dispatched to both; float32 on one thread.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.harness import ONE_THREAD, environment, goal, in_child, last_core, write

TWO_DEVICES = {
    **ONE_THREAD,
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_cpu_multi_thread_eigen=false",
}
CELLS = [(200, 20), (1000, 100), (1000, 500)]
CHUNK = 819_200


def main(out: Path) -> None:
    cases = {
        "float64_two_devices": in_child("exact_law", "rates", env=TWO_DEVICES, dtype="float64"),
        "float32_one_thread": in_child("exact_law", "rates", core=last_core(), dtype="float32"),
        "float64_one_thread": in_child("exact_law", "rates", core=last_core(), dtype="float64"),
    }
    goals = [
        goal(
            f"exact law, {name.replace('_', ' ')}, million replicates per second, worst cell",
            min(cell["million_per_second"] for cell in cases[name]["law"]),
            at_least=target,
        )
        for name, target in (("float64_two_devices", 2.0), ("float32_one_thread", 5.0))
    ]
    write("exact_law", goals, cases, out, chunk=CHUNK)


def rates(dtype: str) -> dict:
    """Best wall-clock rate over rounds of one chunk per device; compile time apart."""
    import jax
    import jax.numpy as jnp
    from jax import lax

    jax.config.update("jax_enable_x64", dtype == "float64")
    from jaxmed.distributions.exact_law import law, sample_quadratics
    from jaxmed.inference import cosine_test
    from jaxmed.linalg.random import chi_square

    block = 8192

    def in_blocks(draw):
        return jax.jit(
            lambda key, *rest: jnp.sum(
                lax.map(lambda k: draw(k, *rest), jax.random.split(key, CHUNK // block))
            )
        )

    programs = {
        "normals": in_blocks(lambda key: jnp.sum(jax.random.normal(key, (block,), dtype))),
        "chi_squares": in_blocks(lambda key, df: jnp.sum(chi_square(key, df, (block,), dtype))),
        "law": in_blocks(
            lambda key, law: jnp.sum(
                jnp.abs(cosine_test(sample_quadratics(key, law, block)).statistic) > 2
            )
        ),
    }
    result: dict = {
        "normals": [measure(programs["normals"])],
        "chi_squares": [
            {"df": df, **measure(programs["chi_squares"], jnp.asarray(df, dtype))}
            for df in (2.0, 20.0, 500.0)
        ],
        "law": [],
    }
    for n, p in CELLS:
        one = jnp.ones((), dtype)
        population = law(
            0.3 * one, 0.3 * one, 0.5 * one, exposure_ss=n * one, residual_df=n - 2, num_mediators=p
        )
        result["law"].append({"n": n, "p": p, **measure(programs["law"], population)})
    return result | {"environment": environment()}


def measure(program, *arguments, seconds: float = 4.0) -> dict[str, float]:
    """Millions per second over all devices together, and what the first call cost."""
    import jax

    devices = jax.devices()
    placed = [jax.device_put(arguments, device) for device in devices]
    keys = [jax.device_put(jax.random.key(i), device) for i, device in enumerate(devices)]

    def chunk(index: int) -> None:
        jax.block_until_ready(program(keys[index], *placed[index]))

    # One host thread per device: XLA may run a program in the thread that calls it.
    pool = ThreadPoolExecutor(len(devices))

    def round_trip() -> tuple[float, float]:
        cpu, wall = time.process_time(), time.perf_counter()
        list(pool.map(chunk, range(len(devices))))
        return time.perf_counter() - wall, time.process_time() - cpu

    first = round_trip()[0]
    samples, end = [], time.monotonic() + seconds
    while len(samples) < 5 or time.monotonic() < end:
        samples.append(round_trip())
    pool.shutdown()
    millions = CHUNK * len(devices) / 1e6
    wall = sorted(sample[0] for sample in samples)
    cpu = sorted(sample[1] for sample in samples)
    return {
        "million_per_second": millions / wall[len(wall) // 2],
        "million_per_second_best": millions / wall[0],
        "million_per_cpu_second": millions / cpu[len(cpu) // 2],
        "first_call_s": first,
        "devices": len(devices),
        "rounds": len(samples),
    }
