"""Timing that survives a shared machine, child processes with fixed threads, and JSON results.

Both sides of a comparison are timed in turn (A B A B ...), so that they meet the same machine; a
ratio compares their median wall times, with the ratios of minima and of CPU times beside it.
"""

import datetime
import importlib
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).resolve().parent / "results"
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false",
}
Call = Callable[[], object]


def once(call: Call) -> tuple[float, float]:
    """Wall and CPU milliseconds of one call, CPU of all threads of this process."""
    cpu, wall = time.process_time(), time.perf_counter()
    call()
    return 1e3 * (time.perf_counter() - wall), 1e3 * (time.process_time() - cpu)


def interleaved(calls: dict[str, Call], *, seconds: float = 4.0, least: int = 7) -> dict[str, dict]:
    """First call and steady state in milliseconds of several calls timed in turn.

    Rounds go on until `seconds` have passed and `least` rounds are done (1000 at most).
    """
    first = {name: once(call)[0] for name, call in calls.items()}
    for call in calls.values():
        call()
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    end, rounds = time.monotonic() + seconds, 0
    while rounds < least or (time.monotonic() < end and rounds < 1000):
        for name, call in calls.items():
            samples[name].append(once(call))
        rounds += 1
    return {name: summary(values, first[name]) for name, values in samples.items()}


def summary(samples: list[tuple[float, float]], first: float) -> dict[str, float]:
    """Median and minimum of (wall, CPU) samples; milliseconds."""
    wall, cpu = np.asarray(samples).T
    return {
        "wall_median_ms": float(np.median(wall)),
        "wall_min_ms": float(wall.min()),
        "cpu_median_ms": float(np.median(cpu)),
        "first_call_ms": first,
        "rounds": len(samples),
    }


def speed(timings: dict[str, dict], ours: str, peer: str) -> dict[str, float]:
    """How many times as fast as `peer` we are, by three clocks."""
    return {
        f"by_{clock}": timings[peer][f"{clock}_ms"] / timings[ours][f"{clock}_ms"]
        for clock in ("wall_median", "wall_min", "cpu_median")
    }


def goal(
    text: str,
    measured: float,
    *,
    at_least: float | None = None,
    at_most: float | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One row of the table of goals."""
    target = at_least if at_least is not None else at_most
    assert target is not None
    met = measured >= target if at_least is not None else measured <= target
    sense = ">=" if at_least is not None else "<="
    return {
        "goal": text,
        "measured": measured,
        "target": f"{sense} {target:g}",
        "met": bool(met),
        **more,
    }


def in_child(
    module: str,
    function: str,
    *,
    env: dict[str, str] | None = None,
    core: int | None = None,
    timeout: float = 1500,
    **arguments: Any,
) -> Any:
    """Result of `module.function(**arguments)` in a new process with its own environment.

    Args:
      module: within this package, e.g. "fit".
      function: returns something that JSON can hold.
      env: added to the environment; ONE_THREAD by default.
      core: the only core the child may use; None for all.
      timeout: seconds.
      arguments: of the function.
    """
    call = json.dumps([module, function, core, arguments])
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.harness", call],
        cwd=ROOT,
        env={**os.environ, **(ONE_THREAD if env is None else env)},
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module}.{function} {arguments} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def last_core() -> int:
    """The core to pin to: the last one this process may use."""
    return max(os.sched_getaffinity(0))


def environment() -> dict[str, Any]:
    """Where and with what this was measured."""
    import jax
    import jaxlib
    import scipy

    def git(*words: str) -> str:
        done = subprocess.run(
            ["git", *words], cwd=ROOT, capture_output=True, text=True, check=False
        )
        return done.stdout.strip()

    return {
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "commit": git("rev-parse", "--short", "HEAD"),
        "uncommitted_changes": bool(git("status", "--porcelain", "--", "jaxmed", "benchmarks")),
        "device": str(jax.devices()[0].device_kind),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "jax": jax.__version__,
        "jaxlib": jaxlib.__version__,
        "numpy": np.__version__,
        "scipy": scipy.__version__,
    }


def cpu_model() -> str:
    """Model name and widest vector instructions of the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    fields = {key.strip(): value.strip() for key, value in fields.items()}
    flags = fields.get("flags", "").split()
    widest = next((f for f in ("avx512f", "avx2", "avx") if f in flags), "")
    return f"{fields.get('model name', platform.machine())} {widest}".strip()


def write(name: str, goals: list[dict], cases: Any, out: Path = RESULTS, **more: Any) -> Path:
    """Writes OUT/NAME.json and prints the goals."""
    out.mkdir(parents=True, exist_ok=True)
    record = {"name": name, "environment": environment(), "goals": goals, **more, "cases": cases}
    path = out / f"{name}.json"
    path.write_text(json.dumps(record, indent=1) + "\n")
    for row in goals:
        mark = "met   " if row["met"] else "MISSED"
        print(
            f"{name:13s} {mark} {row['goal']}: {row['measured']:.4g} (target {row['target']})",
            flush=True,
        )
    return path


def random_problem(n: int, p: int, dtype: str = "float64", seed: int = 0) -> tuple[np.ndarray, ...]:
    """(exposure [n], mediators [n, p], outcome [n]) of a linear model, drawn in row blocks."""
    rng = np.random.default_rng(seed)
    exposure = rng.normal(size=n).astype(dtype)
    mediators = np.empty((n, p), dtype)
    alpha = (rng.normal(size=p) / np.sqrt(p)).astype(dtype)
    beta = (alpha + rng.normal(size=p) / np.sqrt(p)).astype(dtype)
    for start in range(0, n, 2048):
        block = mediators[start : start + 2048]
        rng.standard_normal(dtype=dtype, out=block)  # type: ignore[arg-type]
        block += np.outer(exposure[start : start + 2048], alpha)
    outcome = mediators @ beta + 0.3 * exposure + rng.normal(size=n).astype(dtype)
    return exposure, mediators, outcome.astype(dtype)


def reset_peak() -> None:
    """Starts the peak of resident memory anew."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass  # the peak then includes the generation of the data, which only makes it larger


def status_mb(field: str) -> float:
    """A field of /proc/self/status in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) / 1024
    raise KeyError(field)


def peak_mb() -> float:
    """Peak of resident memory since `reset_peak`, MB."""
    try:
        return status_mb("VmHWM")
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def _child(call: str) -> None:
    module, function, core, arguments = json.loads(call)
    if core is not None:
        os.sched_setaffinity(0, {core})
    result = getattr(importlib.import_module(f"benchmarks.{module}"), function)(**arguments)
    print(json.dumps(result))


if __name__ == "__main__":
    _child(sys.argv[1])
