"""One primal fit on one thread beside NumPy and SciPy: inside jit, and from host arrays."""

from pathlib import Path

import numpy as np

from benchmarks.harness import goal, in_child, interleaved, last_core, random_problem, speed, write

IN_JIT = {(500, 20): 1.5, (1000, 100): 0.85, (1000, 500): 0.55, (5000, 1000): None}
HOST = ((100, 5), (500, 20), (1000, 100), (1000, 500), (5000, 1000))
BATCH = 16


def main(out: Path) -> None:
    core = last_core()
    jit = [in_child("fit", "inside_jit", core=core, n=n, p=p) for n, p in IN_JIT]
    host = [in_child("fit", "from_host", core=core, n=n, p=p) for n, p in HOST]
    goals = []
    for case, least in zip(jit, IN_JIT.values(), strict=True):
        name, s = f"({case['n']}, {case['p']})", case["speed"]
        if least is not None:
            _row(goals, f"in jit, float64 / numpy float64, {name}", s["jax64/numpy64"], least)
            if "jax_mapped64/numpy64" in s:
                text = f"in jit, {BATCH} fits a program, float64 / numpy float64, {name}"
                _row(goals, text, s["jax_mapped64/numpy64"], least)
        _row(goals, f"in jit, float32 / numpy float64, {name}", s["jax32/numpy64"], 1.0)
        _row(goals, f"in jit, float32 / numpy float32, {name}", s["jax32/numpy32"], 0.7)
    for case in host:
        name = f"({case['n']}, {case['p']})"
        if case["n"] * case["p"] >= 500_000:
            _row(
                goals,
                f"fit from host / numpy same tables, {name}",
                case["speed"]["fit/tables"],
                0.9,
            )
            _row(
                goals, f"fit from host / numpy paths alone, {name}", case["speed"]["fit/paths"], 0.9
            )
        else:
            extra = (
                case["timings"]["fit"]["wall_median_ms"]
                - case["timings"]["numpy_paths"]["wall_median_ms"]
            )
            goals.append(
                goal(f"fit from host, ms over numpy paths alone, {name}", extra, at_most=3)
            )
    write("fit", goals, {"inside_jit": jit, "from_host": host}, out, threads=1)


def _row(goals: list, text: str, ratios: dict, least: float) -> None:
    goals.append(goal(text, ratios["by_wall_median"], at_least=least, **ratios))


def inside_jit(n: int, p: int) -> dict:
    """Paths, MaxIE and T from device arrays; alone, and as one of 16 in a larger program."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    from benchmarks import peers
    from jaxmed import MediationData, cosine_test, maxie, paths

    def one(data):
        result = paths(data)
        return maxie(result), cosine_test(result).statistic

    calls, errors = {}, {}
    program, mapped = jax.jit(one), jax.jit(lambda many: jax.lax.map(one, many))
    exact = peers.primal(*random_problem(n, p))
    for dtype in ("float64", "float32"):
        a, x, y = (v.astype(dtype) for v in random_problem(n, p))
        data = jax.tree.map(jnp.asarray, MediationData(a, x, y, np.zeros((n, 0), dtype)))
        bits = dtype[-2:]
        calls[f"jax{bits}"] = lambda d=data: jax.block_until_ready(program(d))
        calls[f"numpy{bits}"] = lambda v=(a, x, y): peers.primal(*v)
        calls[f"numpy_tuned{bits}"] = lambda v=(a, x, y): peers.primal(*v, tuned=True)
        if n * p <= 100_000:
            many = jax.tree.map(lambda v: jnp.stack([v] * BATCH), data)
            calls[f"jax_mapped{bits}"] = lambda m=many: jax.block_until_ready(mapped(m))
        composite, statistic = program(data)
        errors[dtype] = {
            "T": float(abs(statistic / exact["T"] - 1)),
            "weights": float(
                np.linalg.norm(composite.weights - exact["weights"])
                / np.linalg.norm(exact["weights"])
            ),
        }
    timings = interleaved(calls)
    for name in list(timings):
        if "mapped" in name:  # per fit
            timings[name] = {k: v if k == "rounds" else v / BATCH for k, v in timings[name].items()}
    pairs = [("jax64", "numpy64"), ("jax32", "numpy64"), ("jax32", "numpy32")]
    pairs += [("jax64", "numpy_tuned64"), ("jax32", "numpy_tuned32")]
    if "jax_mapped64" in timings:
        pairs += [("jax_mapped64", "numpy64"), ("jax_mapped32", "numpy32")]
    return {
        "n": n,
        "p": p,
        "relative_error": errors,
        "speed": {f"{ours}/{peer}": speed(timings, ours, peer) for ours, peer in pairs},
        "timings": timings,
    }


def from_host(n: int, p: int) -> dict:
    """The whole `fit` of `mediate` from NumPy arrays in float64, its parts, and two peers.

    `fit` gives both composites in both directions, four tests, total and direct effects and the
    table of single mediators; "paths" is MaxIE and T alone, "tables" adds the table.
    """
    import jax

    jax.config.update("jax_enable_x64", True)
    from benchmarks import peers
    from jaxmed import MediationData, cross_moments
    from jaxmed.analysis import fit as module

    rows = random_problem(n, p)
    data = MediationData(*rows, np.zeros((n, 0)))
    methods, level = ("maxie", "maxcor"), 0.95
    programs = module.LARGE if p >= module.LARGE_FROM else module.SMALL
    moments = cross_moments(data)
    device = jax.tree.map(jax.numpy.asarray, moments)

    def tables():
        return peers.primal(*rows), peers.single_mediators(*rows)

    calls = {
        "fit": lambda: jax.block_until_ready(module.fit(data, methods=methods, level=level)),
        "numpy_paths": lambda: peers.primal(*rows),
        "numpy_tables": tables,
        "part_moments": lambda: cross_moments(data),
        "part_program": lambda: jax.block_until_ready(programs.moments(device, methods, level)),
    }
    timings = interleaved(calls)
    result, exact, table = module.fit(data), peers.primal(*rows), peers.single_mediators(*rows)
    return {
        "n": n,
        "p": p,
        "relative_error": {
            "T": float(abs(result.cosine.statistic / exact["T"] - 1)),  # type: ignore[union-attr]
            "single_mediator_beta": float(
                np.max(np.abs(result.mediators.beta / table["beta"] - 1))
            ),
        },
        "speed": {
            "fit/paths": speed(timings, "fit", "numpy_paths"),
            "fit/tables": speed(timings, "fit", "numpy_tables"),
        },
        "timings": timings,
    }
