"""Replicates per second of the exact law, and data sets per second of the inference made of it.

A replicate ends in a counted rejection of the cosine test, inside the program, as power and size
use it; beside it stands the rate of its random numbers. float64 on two forced host devices, chunks
dispatched to both; float32 on one thread. Intervals by inversion of the law, 2,000 draws: batches
on both devices, and one data set through the public function after compilation.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.harness import (
    ONE_THREAD,
    environment,
    goal,
    in_child,
    interleaved,
    last_core,
    write,
)

TWO_DEVICES = {
    **ONE_THREAD,
    "XLA_FLAGS": "--xla_force_host_platform_device_count=2 --xla_cpu_multi_thread_eigen=false",
}
CELLS = [(200, 20), (1000, 100), (1000, 500)]
CHUNK = 819_200
DRAWS, BATCH = 2000, 32  # of the law behind the intervals; data sets of one program call
STRENGTHS = (0.5, 0.7, 0.5)


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
    cases["intervals_two_devices"] = in_child(
        "exact_law", "intervals", env=TWO_DEVICES, dtype="float64"
    )
    cases["single_one_thread"] = in_child("exact_law", "single", core=last_core(), dtype="float64")
    found = cases["intervals_two_devices"]
    goals += [
        goal(
            f"{name}, {DRAWS} draws, batched, data sets per second on two threads, worst cell",
            min(cell["per_second"] for cell in found[name]),
            at_least=target,
            per_cpu_second=min(cell["per_cpu_second"] for cell in found[name]),
        )
        for name, target in (("interval of the total", 200.0), ("intervals of all parts", 50.0))
    ]
    slowest = max(cases["single_one_thread"]["cells"], key=lambda cell: cell["wall_median_ms"])
    goals.append(
        goal(
            f"test and intervals of one data set, {DRAWS} draws, milliseconds, worst cell",
            slowest["wall_median_ms"],
            at_most=60.0,
            cpu_ms=slowest["cpu_median_ms"],
        )
    )
    write("exact_law", goals, cases, out, chunk=CHUNK, batch=BATCH)


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
    first, wall, cpu, devices = rounds(program, arguments, seconds)
    millions = CHUNK * devices / 1e6
    return {
        "million_per_second": millions / wall[len(wall) // 2],
        "million_per_second_best": millions / wall[0],
        "million_per_cpu_second": millions / cpu[len(cpu) // 2],
        "first_call_s": first,
        "devices": devices,
        "rounds": len(wall),
    }


def intervals(dtype: str) -> dict:
    """Data sets per second over all devices together, with and without the parts."""
    import jax
    from jax import lax

    jax.config.update("jax_enable_x64", dtype == "float64")
    from jaxmed.distributions.exact_law import sample_quadratics
    from jaxmed.inference import indirect_interval, indirect_intervals

    def batched(one):
        def program(key, population):
            key_data, key_law = jax.random.split(key)
            data = sample_quadratics(key_data, population, BATCH)
            return lax.map(lambda args: one(*args), (jax.random.split(key_law, BATCH), data))

        return jax.jit(program)

    programs = {
        "interval of the total": batched(
            lambda key, q: indirect_interval(key, q, part="total", replicates=DRAWS).interval
        ),
        "intervals of all parts": batched(
            lambda key, q: indirect_intervals(key, q, replicates=DRAWS)
        ),
    }
    result: dict = {}
    for name, program in programs.items():
        result[name] = []
        for n, p in CELLS:
            first, wall, cpu, devices = rounds(program, (population(n, p, dtype),), 6.0)
            row = {
                "n": n,
                "p": p,
                "per_second": BATCH * devices / wall[len(wall) // 2],
                "per_second_best": BATCH * devices / wall[0],
                "per_cpu_second": BATCH * devices / cpu[len(cpu) // 2],
                "first_call_s": first,
                "devices": devices,
                "rounds": len(wall),
            }
            result[name].append(row)
    return result | {"environment": environment()}


def single(dtype: str) -> dict:
    """Test and all intervals of one data set, as a user calls them."""
    import jax

    jax.config.update("jax_enable_x64", dtype == "float64")
    from jaxmed.distributions.exact_law import sample_quadratics
    from jaxmed.inference import indirect_intervals, total_indirect_test

    key = jax.random.key(1)
    cells = []
    for n, p in CELLS:
        drawn = sample_quadratics(key, population(n, p, dtype), 1)
        q = jax.tree.map(lambda leaf: leaf[0], drawn)

        def call(q=q):
            test = total_indirect_test(q, key=key, replicates=DRAWS)
            jax.block_until_ready((test, indirect_intervals(key, q, replicates=DRAWS)))

        cells.append({"n": n, "p": p, **interleaved({"call": call})["call"]})
    return {"cells": cells, "environment": environment()}


def population(n: int, p: int, dtype: str):
    """A law of one cell."""
    import jax.numpy as jnp

    from jaxmed.distributions.exact_law import law

    k_a, k_y, cosine = (jnp.asarray(value, dtype) for value in STRENGTHS)
    size = jnp.asarray(n, dtype)
    return law(k_a, k_y, cosine, exposure_ss=size, residual_df=size - 2, num_mediators=p)


def rounds(program, arguments: tuple, seconds: float) -> tuple[float, list, list, int]:
    """First call, sorted wall and CPU seconds of a call on every device at once, and devices."""
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
    wall = sorted(sample[0] for sample in samples)
    cpu = sorted(sample[1] for sample in samples)
    return first, wall, cpu, len(devices)
