"""Milliseconds of one training step: growth with p, and beside a PyTorch loop of the same updates.

Everything in child processes pinned to one core. TORCH_PYTHON names an interpreter with torch
(this one if it has it); without one the comparison is left out and says so. On a GPU: 64 fits at
once against one at a time.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.harness import ONE_THREAD, goal, in_child, last_core, write

SIZES = (50, 100, 500, 2000, 10000)
STEPS = 200


def main(out: Path) -> None:
    core = last_core()
    cases = []
    for p in SIZES:
        row = in_child("gahmn_speed", "ours", core=core, p=p, block="mediators", mode="improved")
        cases.append({"p": p, "block": "mediators", "mode": "improved", "what": "growth"} | row)
        print(cases[-1], flush=True)
    goals = growth(cases)
    peer = torch_python()
    for p in (50, 500):
        for block in ("mediators", "outcome"):
            for mode in ("improved", "faithful"):
                case = {"p": p, "block": block, "mode": mode, "what": "against PyTorch"}
                ours = in_child("gahmn_speed", "ours", core=core, p=p, block=block, mode=mode)
                case["ours"] = ours
                if peer is not None:
                    case["torch"] = torch_loop(peer, core, p, block, mode)
                    ratio = case["torch"]["cpu_ms"] / ours["cpu_ms"]
                    text = f"p={p}, {mode}, {block}: PyTorch CPU time / ours"
                    goals.append(goal(text, ratio, at_least=1.5 if p == 500 else 4.0))
                cases.append(case)
                print(case, flush=True)
    notes = [] if peer else ["PyTorch: not run, no interpreter with torch"]
    import jax

    if jax.default_backend() == "gpu":
        cases.append({"what": "64 fits at once"} | fits_at_once())
        goals.append(
            goal("fits per second, 64 at once / one at a time", cases[-1]["ratio"], at_least=20.0)
        )
    else:
        notes.append("64 fits at once on a GPU: not run, no GPU")
    write("gahmn_speed", goals, cases, out, notes=notes)


def growth(cases: list[dict]) -> list[dict]:
    """c0 + c1 p by relative least squares, and the last ratio."""
    p = np.array([c["p"] for c in cases], float)
    ms = np.array([c["cpu_ms"] for c in cases])
    design = np.column_stack([np.ones(len(p)), p])
    weights = 1 / ms
    fit = np.linalg.lstsq(design * weights[:, None], ms * weights, rcond=None)[0]
    off = np.abs(design @ fit / ms - 1)
    return [
        goal(
            "c0 + c1 p, largest relative distance",
            float(off.max()),
            at_most=0.3,
            c0=float(fit[0]),
            c1=float(fit[1]),
        ),
        goal("ms per step, p = 10000 / p = 2000", float(ms[-1] / ms[-2]), at_most=6.5),
    ]


def ours(p: int, block: str, mode: str) -> dict:
    """CPU and wall milliseconds of a step, compile seconds apart; in a child."""
    import jax
    import jax.numpy as jnp

    program, state = training(p, block, mode)
    start = time.perf_counter()
    compiled = jax.jit(program).lower(state).compile()
    seconds = time.perf_counter() - start
    state, _ = jax.block_until_ready(compiled(state))  # first call, and warm-up
    best = []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        state, curve = jax.block_until_ready(compiled(state))
        best.append(
            (1e3 * (time.process_time() - cpu) / STEPS, 1e3 * (time.perf_counter() - wall) / STEPS)
        )
    assert bool(jnp.isfinite(curve.critic).all())
    cpu, wall = np.median(best, axis=0)
    return {"cpu_ms": float(cpu), "wall_ms": float(wall), "compile_s": seconds}


def training(p: int, block: str, mode: str):
    """(state -> state and curves of 200 steps, state) on random data of 800 rows."""
    import jax
    import jax.numpy as jnp

    from jaxmed.gahmn import faithful, improved
    from jaxmed.gahmn.config import WINDOW
    from jaxmed.gahmn.fitting import blocks_of, penalties
    from jaxmed.gahmn.scaling import Scaled
    from jaxmed.gahmn.training import begin, train

    config = improved() if mode == "improved" else faithful()
    keys = jax.random.split(jax.random.key(0), 4)
    n = 800
    data = Scaled(
        (jnp.arange(n) % 2).astype(jnp.float32),
        jax.random.normal(keys[0], (n, p)),
        jax.random.normal(keys[1], (n,)),
        jax.random.normal(keys[2], (n, 2)),
        jnp.ones(n),
        jnp.ones(p, bool),
    )
    which = blocks_of(config, data)[("mediators", "outcome").index(block)]
    weight = penalties(config, p)
    penalty = weight.mediator if block == "mediators" else weight.outcome
    support = None
    if block == "outcome" and mode == "improved":
        support = jnp.arange(p) < 4
    state = begin(which, keys[3], support=support)
    return lambda s: train(which, data, penalty, s, STEPS // WINDOW), state


def torch_python() -> str | None:
    given = os.environ.get("TORCH_PYTHON")
    if given:
        return given
    return sys.executable if importlib.util.find_spec("torch") else None


def torch_loop(python: str, core: int, p: int, block: str, mode: str) -> dict:
    script = Path(__file__).with_name("gahmn_torch.py")
    done = subprocess.run(
        ["taskset", "-c", str(core), python, str(script), str(p), block, mode, str(STEPS)],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | ONE_THREAD,
    )
    return json.loads(done.stdout.splitlines()[-1])


def fits_at_once(count: int = 64, p: int = 500) -> dict:
    """Mediator blocks of one step count: vectorised against one after another on this device."""
    import jax

    program, state = training(p, "mediators", "improved")
    many = jax.tree.map(lambda leaf: jax.numpy.stack([leaf] * count), state)
    one, together = jax.jit(program), jax.jit(jax.vmap(program))
    seconds = {}
    for name, run, start in (("one", one, state), ("together", together, many)):
        jax.block_until_ready(run(start))
        begun = time.perf_counter()
        jax.block_until_ready(run(start))
        seconds[name] = time.perf_counter() - begun
    memory = jax.devices()[0].memory_stats() or {}
    return {
        "fits": count,
        "p": p,
        "seconds": seconds,
        "ratio": seconds["one"] * count / seconds["together"],
        "peak_bytes": memory.get("peak_bytes_in_use"),
    }
