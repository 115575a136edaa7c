"""Twenty `kill -9` of workers at random moments of a study; the same bytes after it is resumed."""

import contextlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.harness import ROOT, goal, write

KILLS, WORKERS, SEED = 20, 2, 20260101
STUDY = """
import jax
import jax.numpy as jnp
from jaxmed.studies.study import Study
from jaxmed.sweeps import combine, moments, stack, study_task
from jaxmed.sweeps.task import Cell

def generator(key, mean):
    return mean + jax.random.normal(key, (1000, 20))

def largest(key, rows):
    return jnp.linalg.eigvalsh(rows.T @ rows)[-1]

TASK = study_task(generator, {"largest": largest}, lambda estimate, rows: {"value": estimate})
CELLS = [
    Cell(f"mean={m}", TASK, jnp.asarray(m), 50_000, 256, 1, combine(moments=moments(), all=stack()))
    for m in (0.0, 0.5, 1.0)
]
STUDY = Study("kills", "Kills", lambda scale: CELLS, lambda results, once: [])
"""


def main(out: Path) -> None:
    from jaxmed.studies.run import plan_study

    os.environ["NPROC"] = "2"  # before JAX starts, as `jaxmed study` does in its workers
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "kills.py"
        file.write_text(STUDY)
        name, whole, torn = f"{file}:STUDY", Path(folder) / "whole", Path(folder) / "torn"
        start = time.monotonic()
        expected = _run(name, whole)
        seconds = time.monotonic() - start
        plan_study(name, torn)
        kills = _kill(torn, name)
        start = time.monotonic()
        found = _run(name, torn)
        resumed = time.monotonic() - start
        same_files = _chunks(whole) == _chunks(torn)
        same_results = repr(_bytes(expected)) == repr(_bytes(found))
        cases = {
            "undisturbed_s": seconds,
            "resume_s": resumed,
            "chunks": len(_chunks(whole)),
            "kills": kills,
        }
    lost = max(kill["chunks_in_hand"] for kill in kills)
    goals = [
        goal("kill -9 of a worker during the study", len(kills), at_least=KILLS),
        goal("chunk files byte-identical to the undisturbed run", same_files, at_least=1),
        goal("folded results byte-identical, every replicate once", same_results, at_least=1),
        goal("chunks lost by one kill, at most", lost, at_most=1),
    ]
    write("study_kills", goals, cases, out, workers=WORKERS, seed=SEED)


def _run(name: str, directory: Path):
    """The study to its end with two workers."""
    from jaxmed.studies.run import run_study

    return run_study(name, out=directory, workers=WORKERS).results


def _kill(directory: Path, name: str) -> list[dict]:
    """Kills a random one of two workers, up to a second after it began to work, and replaces it."""
    rng, started = random.Random(SEED), 0
    workers: list[subprocess.Popen] = []
    kills: list[dict] = []
    while len(kills) < KILLS:
        while len(workers) < WORKERS:
            workers.append(_worker(directory, name, started))
            started += 1
        victim = workers.pop(rng.randrange(WORKERS))
        while not _held(directory, victim.pid) and victim.poll() is None:
            time.sleep(0.01)
        time.sleep(rng.random())
        if victim.poll() is not None:  # the study came to its end before the kills did
            break
        victim.kill()
        victim.wait()
        in_hand, done = _held(directory, victim.pid), len(_chunks(directory))
        kills.append({"chunks_in_hand": in_hand, "chunks_done": done})
    for worker in workers:
        worker.kill()
        worker.wait()
    return kills


def _worker(directory: Path, name: str, number: int) -> subprocess.Popen:
    words = ["study", "work", str(directory), "--study", name, "--worker", str(number)]
    return subprocess.Popen(
        [sys.executable, "-m", "jaxmed", *words], cwd=ROOT, stderr=subprocess.DEVNULL
    )


def _held(directory: Path, pid: int) -> int:
    """Chunks that a process has claimed and not written."""
    count = 0
    for path in directory.glob("chunks/*/*.lease"):
        with contextlib.suppress(FileNotFoundError, ValueError):
            count += (
                json.loads(path.read_text())["pid"] == pid and not path.with_suffix(".npz").exists()
            )
    return count


def _chunks(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.glob("chunks/*/*.npz")}


def _bytes(results) -> dict[str, bytes]:
    return {name: found["all"]["largest/value"].tobytes() for name, found in results.items()}
