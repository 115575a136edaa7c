"""How streams scale: what was measured here, and what follows for many hosts on paper.

Measured: sharded moments on 1, 2, 4 and 8 forced devices of this machine (which has as many cores
as it has: more devices than cores cannot be faster), and the sum of a [d, d] matrix over two
processes on loopback. Extrapolated, and labelled so: H hosts that read their shares of a file and
add their sums once, from the rates in streams.json and a network that is assumed, not measured.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import RESULTS, goal, in_child, write

DEVICES = (1, 2, 4, 8)
ROWS, COLUMNS = 40_000, 512
SIZES = (1000, 3000)
HOSTS = (1, 2, 4, 8, 32, 128, 1000)
# Of a cluster's network, per host; typical of 25 Gbit Ethernet. Assumed.
BYTES_PER_SECOND, LATENCY = 2.5e9, 50e-6

JOB = """
import sys, time, json
import jax
jax.config.update("jax_enable_x64", True)
import numpy as np
from jaxmed.parallel.processes import join, leave, sum_over_processes
me = join()
found = {}
for d in json.loads(sys.argv[2]):
    values = {"x": np.full((d, d), 1.0 + me.index)}
    sum_over_processes(values)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        total = sum_over_processes(values)["x"]
        seconds.append(time.perf_counter() - start)
    assert (total == 3).all()
    found[d] = min(seconds)
leave()
if me.index == 0:
    open(sys.argv[1], "w").write(json.dumps(found))
"""


def main(out: Path) -> None:
    devices = [
        in_child("scaling", "sharded", env={"XLA_FLAGS": _flags(k)}, count=k) for k in DEVICES
    ]
    reduce = _all_reduce()
    rates = _stream_rates(out)
    paper = [_on_paper(hosts, rates, *case) for case in CASES for hosts in HOSTS]
    worst = max(entry["difference"] for entry in devices)
    goals = [goal("moments on 1 to 8 devices, largest relative difference", worst, at_most=1e-12)]
    cores = os.cpu_count() or 1
    two = devices[0]["seconds"] / devices[1]["seconds"]
    text = f"speed of 2 devices against 1, which has all {cores} cores already (reported)"
    goals.append(goal(text, two, at_least=0.0))
    write(
        "scaling",
        goals,
        {"devices": devices, "all_reduce_seconds": reduce, "on_paper": paper},
        out,
        assumed={"bytes_per_second": BYTES_PER_SECOND, "latency": LATENCY},
        rates=rates,
    )
    for row in paper:
        print({k: round(v, 3) if isinstance(v, float) else v for k, v in row.items()}, flush=True)


# (rows, mediators) of files that the extrapolation is about.
CASES = ((500_000, 3_000), (2_000_000, 1_000))


def _flags(count: int) -> str:
    return f"--xla_force_host_platform_device_count={count}"


def sharded(count: int) -> dict:
    """Seconds of sharded moments on `count` devices; no flag of XLA keeps one to one core."""
    import jax

    jax.config.update("jax_enable_x64", True)
    from jaxmed import cross_moments, mediation_data
    from jaxmed.parallel.sharded import place, sharded_moments

    rng = np.random.default_rng(0)
    data = mediation_data(
        rng.normal(size=ROWS), rng.normal(size=(ROWS, COLUMNS)), rng.normal(size=ROWS)
    )
    exact = cross_moments(data)
    devices = jax.devices()[:count]
    spread = place(data, devices)
    found = jax.block_until_ready(sharded_moments(spread, devices))
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        jax.block_until_ready(sharded_moments(spread, devices))
        seconds.append(time.perf_counter() - start)
    scale = np.sqrt(np.diagonal(exact.comoment))
    difference = (np.asarray(found.comoment) - exact.comoment) / scale / scale[:, None]
    return {
        "devices": count,
        "seconds": min(seconds),
        "difference": float(np.abs(difference).max()),
        "flops_per_second": ROWS * COLUMNS**2 / min(seconds),
    }


def _all_reduce() -> dict[str, float]:
    """Seconds of one sum over two processes on loopback, by d."""
    from jaxmed.parallel.supervisor import supervise

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "found.json"
        command = [sys.executable, "-c", JOB, str(path), json.dumps(SIZES)]
        status = supervise(command, 2, restarts=0)
        if status:
            raise subprocess.CalledProcessError(status, command)
        return json.loads(path.read_text())


def _stream_rates(out: Path) -> dict[str, float]:
    """Multiplications (n p^2) and bytes per second of one host, from streams.json."""
    path = out / "streams.json"
    found = json.loads((path if path.exists() else RESULTS / "streams.json").read_text())
    primal, (_, p) = found["cases"]["primal"], found["primal"]
    return {
        "products_per_second": primal["stream"]["rows_per_second"] * p**2,
        "bytes_per_second": primal["read"]["rows_per_second"] * p * 4,
        "measured": found["environment"]["cpu"],
    }


def _on_paper(hosts: int, rates: dict[str, Any], rows: int, p: int) -> dict[str, Any]:
    """Seconds of a shared stream: a host's share at the slower of its two rates, then one sum.

    Ring all-reduce of d x d float64: 2 (H-1)/H of the bytes through every host, log2 H latencies.
    Not counted: start-up (seconds), reading from one shared file system, stragglers, the closed
    forms at the end (on one host, O(p^3)).
    """
    share = (
        max(rows * p**2 / rates["products_per_second"], rows * p * 4 / rates["bytes_per_second"])
        / hosts
    )
    volume = 8.0 * (p + 2) ** 2
    reduce = 0.0
    if hosts > 1:
        reduce = 2 * (hosts - 1) / hosts * volume / BYTES_PER_SECOND + LATENCY * math.log2(hosts)
    one = share * hosts
    return {
        "rows": rows,
        "mediators": p,
        "hosts": hosts,
        "stream_seconds": share,
        "all_reduce_seconds": reduce,
        "speed_up": one / (share + reduce),
        "extrapolated": True,
    }
