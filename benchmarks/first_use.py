"""What the first use costs: CPU seconds of whole processes, with an empty cache and a filled one.

`python -m benchmarks.first_use --before CHECKOUT` measures another checkout in turn with this one;
ratios need it. Cold is a process whose user has no cache folder yet, warm the next one of the same
user. A version that keeps no programs by default is as cold the second time: that is what its users
wait for. CPU seconds are those of a process and its children, the least of the rounds. Of a first
call of an estimand (without generators) the programs compiled are counted as well.
"""

import argparse
import compileall
import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import RESULTS, ROOT, goal, write

CALLS = ROOT / "benchmarks" / "first_calls.py"
TABLE = ROOT / "jaxmed" / "data" / "covid_plasma_proteome" / "data.csv.gz"
COLUMNS = (
    str(TABLE),
    "--exposure",
    "age",
    "--outcome",
    "hospital_free_days_45",
    "--mediators",
    "prot_*",
    "--covariates",
    "male",
    "--where",
    "covid == 1",
    "--quiet",
)
# Commands without a figure of how much is computed: nothing is compiled, so nothing is cached.
WORDS = {
    "help": ("--help",),
    "argument_error": ("mediate", *COLUMNS, "--basis", "cubic"),
}
# Each in a process with an empty cache, then in a second one.
COMMANDS = {
    "mediate": ("mediate", *COLUMNS, "--out", "report"),
    "evaluate": ("evaluate", *COLUMNS, "--out", "report"),
    "gahmn": ("mediate", *COLUMNS, "--method", "gahmn", "--steps", "50", "--out", "report"),
}
ESTIMANDS = ("disparity", "chain", "policy_value", "shift_value")
SESSIONS = ("compare", "maxie_eager", "maxie_jit", *ESTIMANDS)
CASES = (*WORDS, *COMMANDS, *SESSIONS)
# Of the other checkout's seconds for the same.
RATIOS = {
    ("help", "cold"): 0.35,
    ("argument_error", "cold"): 0.35,
    ("mediate", "cold"): 1.0,  # which has direct and indirect effect, and the other had not
    ("mediate", "warm"): 0.35,
}
PROGRAMS = 8  # of an estimand's first call: one, a key taken apart, columns chosen
SECOND_COMPARE = 0.05  # of the first call in the process
EAGER = 2.0  # times the first call of jax.jit


def main(
    out: Path, before: Path | None = None, rounds: int = 2, cases: tuple[str, ...] = CASES
) -> None:
    """Measures the cases of this checkout, and of another one where it is named."""
    sides = {"after": ROOT} | ({} if before is None else {"before": before.resolve()})
    for root in sides.values():
        compileall.compile_dir(root / "jaxmed", quiet=1)
    found: dict[str, dict[str, dict[str, float]]] = {side: {} for side in sides}
    for name in cases:
        for _ in range(rounds):
            for side, root in sides.items():
                for part, value in _measured(name, root):
                    least = found[side].setdefault(name, {})
                    least[part] = min(value, least.get(part, value))
        print(name, {side: found[side][name] for side in sides}, flush=True)
    write("first_use", _goals(found, cases), found, out, rounds=rounds, threads="default")


def _measured(name: str, root: Path) -> Iterator[tuple[str, float]]:
    """(cold, warm or the like, CPU seconds) of one case in an empty folder with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        if name in WORDS:
            yield "cold", _process(("-m", "jaxmed", *WORDS[name]), root, folder, {0, 2})[0]
        elif name in COMMANDS:
            for part in ("cold", "warm"):
                yield part, _process(("-m", "jaxmed", *COMMANDS[name]), root, folder, {0})[0]
        else:
            yield from json.loads(_process((str(CALLS), name), root, folder, {0})[1]).items()


def _process(
    words: tuple[str, ...], root: Path, folder: str, statuses: set[int]
) -> tuple[float, str]:
    """CPU seconds of a Python with the jaxmed of a checkout, and the last line that it printed."""
    start = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-P", *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), "XDG_CACHE_HOME": f"{folder}/cache"},
        capture_output=True,
        text=True,
        check=False,
    )
    end = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode not in statuses:
        raise RuntimeError(f"{words} of {root} failed:\n{done.stderr[-3000:]}")
    used = end.ru_utime - start.ru_utime + end.ru_stime - start.ru_stime
    return used, (done.stdout.splitlines() or [""])[-1]


def _goals(found: dict[str, dict[str, dict[str, float]]], cases: tuple[str, ...]) -> list[dict]:
    after, goals = found["after"], []
    if "before" in found:
        before = found["before"]
        for (name, part), limit in RATIOS.items():
            if name in cases:
                goals.append(
                    goal(
                        f"{name}, {part}: CPU seconds, after / before",
                        after[name][part] / before[name][part],
                        at_most=limit,
                    )
                )
    if "compare" in cases:
        ratio = after["compare"]["second"] / after["compare"]["first"]
        goals.append(goal("compare: second call / first", ratio, at_most=SECOND_COMPARE))
    for name in ESTIMANDS:
        if name in cases:
            programs = after[name]["programs"]
            goals.append(goal(f"{name}: programs of a first call", programs, at_most=PROGRAMS))
    if {"maxie_eager", "maxie_jit"} <= set(cases):
        ratio = after["maxie_eager"]["first"] / after["maxie_jit"]["first"]
        goals.append(goal("maxie(paths(data)): eager / jit, first calls", ratio, at_most=EAGER))
    return goals


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_use", description=__doc__)
    parser.add_argument("case", nargs="*", default=CASES, help=", ".join(CASES))
    parser.add_argument("--before", type=Path, metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR")
    options = parser.parse_args()
    main(options.out, options.before, options.rounds, tuple(options.case))
