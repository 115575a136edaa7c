"""Worker processes of a run: started, watched and ended by their parent."""

import dataclasses
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxmed.studies.keep_out import worker_command
from jaxmed.vocabulary import UNSAFE

__all__ = ["Worker", "default_workers", "pool_size", "run_workers"]

_GRACE = 10.0  # seconds to finish after SIGTERM
_MOST_WORKERS = 8  # by default: each is a whole JAX, some hundred megabytes


@dataclasses.dataclass
class Worker:
    """One child process and its log."""

    number: int
    process: subprocess.Popen[bytes]
    log: Path

    def ending(self) -> str:
        """How it ended, in words, with the last line of its log."""
        status = self.process.returncode
        how = f"exit status {status}"
        if status < 0:
            how += f" ({signal.Signals(-status).name})"
        lines = self.log.read_text(errors="replace").strip().splitlines()
        last = f"ends: {re.sub(UNSAFE, '?', lines[-1])}" if lines else "is empty"
        return f"worker {self.number} ended with {how}; {self.log} {last}"


def pool_size() -> int:
    """Size of the thread pool that XLA makes on CPUs: NPROC, or the usable cores."""
    return int(os.environ.get("NPROC", 0)) or usable_cores()


def usable_cores() -> int:
    """Cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers(platform: str) -> int:
    """A worker a core on CPUs, up to 8; one, with all its devices, on accelerators."""
    return min(usable_cores(), _MOST_WORKERS) if platform == "cpu" else 1


def run_workers(
    directory: Path,
    plan: Mapping[str, Any],
    *,
    workers: int,
    devices: int | None,
    study: str | None = None,
    watch: Callable[[], None],
    say: Callable[[str], None],
) -> Sequence[Worker]:
    """Runs worker processes on a run directory until all have ended.

    Args:
      directory: of the run.
      plan: its plan.
      workers: how many.
      devices: of each; on CPUs so many are made. None for what JAX finds.
      study: FILE.py:VARIABLE of a study that is not registered.
      watch: called five times a second at first, every two seconds in a long run.
      say: told of every worker that failed, when it does.

    Returns:
      The workers that failed. None is started again: the others take over their chunks.
    """
    start = time.monotonic()
    failed: list[Worker] = []
    alive: list[Worker] = []
    try:
        for number in range(workers):
            alive.append(_start(directory, plan, number, devices, study))
        while alive:
            watch()
            time.sleep(min(0.2 + (time.monotonic() - start) / 50, 2.0))
            for child in [c for c in alive if c.process.poll() is not None]:
                alive.remove(child)
                if child.process.returncode:
                    failed.append(child)
                    say(child.ending())
    finally:
        _end(alive)
    watch()
    return failed


def _start(
    directory: Path, plan: Mapping[str, Any], number: int, devices: int | None, study: str | None
) -> Worker:
    command = worker_command(directory, ["study", "work", str(directory)])
    command += ["--worker", str(number), "--parent", str(os.getpid())]
    if devices is not None:
        command += ["--devices", str(devices)]
    if study is not None:
        command += ["--study", study]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {
        "NPROC": str(plan["nproc"]),
        # The last bits of a factorisation may depend on the number of its threads.
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "JAX_ENABLE_X64": "1" if plan["precision"] == "float64" else "0",
    }
    log = _log(directory, number)
    with log.open("ab") as stream:
        # A session of its own: Ctrl-C reaches the parent alone, which ends its children in order.
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Worker(number, process, log)


def _log(directory: Path, number: int) -> Path:
    """The log of a worker; what is no file of the run is not written to."""
    log = directory / "logs" / f"worker-{number}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    if log.parent.is_symlink() or log.is_symlink() or (log.exists() and not log.is_file()):
        raise ValueError(f"{log} is no log of this run: remove it")
    return log


def _end(workers: Sequence[Worker]) -> None:
    """Ends workers: asked first, so that they give their leases back, killed after a while."""
    for worker in workers:
        worker.process.terminate()
    deadline = time.monotonic() + _GRACE
    for worker in workers:
        try:
            worker.process.wait(max(deadline - time.monotonic(), 0.1))
        except subprocess.TimeoutExpired:
            worker.process.kill()
            worker.process.wait()
