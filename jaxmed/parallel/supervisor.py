"""Starts the processes of one job, and starts them again when one of them dies.

The parent never touches JAX: a crash, an abort by the coordination service or a kill ends
children only. What they had done is in their checkpoints.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jaxmed.parallel.processes import COORDINATOR, COUNT, INDEX

__all__ = ["supervise"]

POLL_SECONDS = 0.1
PATIENCE_SECONDS = 5.0  # between asking a child to end and ending it
USER_ERROR = 2  # exit status of a command that refused its data: trying again is no use

Say = Callable[[str], None]


def supervise(
    command: Sequence[str], processes: int | None, *, restarts: int = 3, say: Say | None = None
) -> int:
    """Runs a command as several processes until all of them succeed.

    Args:
      command: of every process.
      processes: on this machine; None: one, whose peers on other machines the cluster's own
        environment names (SLURM, Open MPI, Kubernetes).
      restarts: how often all are started again after one has died.
      say: called with a sentence on every start, death and restart.
    Returns:
      Exit status: 0, that of a command that refused its arguments or data (2), or that of the
      process that died last.
    """
    say = say or (lambda sentence: None)
    for attempt in range(restarts + 1):
        children = [
            subprocess.Popen(list(command), env=environment)
            for environment in _environments(processes)
        ]
        for index, child in enumerate(children):
            say(f"process {index} of {len(children)}: pid {child.pid}")
        try:
            status, index = _first_failure(children)
        finally:
            _end(children)
        if status == 0:
            return 0
        say(f"process {index} ended with {_describe(status)}")
        if status == USER_ERROR:
            return status
        if attempt < restarts:
            say(f"starting again from the last checkpoint ({restarts - attempt} left)")
    return status if status > 0 else 128 - status


def _environments(processes: int | None) -> list[Mapping[str, str]]:
    if processes is None:
        return [os.environ | {COUNT: "auto"}]
    # A port that is free now: the last one may still be held by a coordinator that was killed.
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    return [
        os.environ | {COORDINATOR: address, COUNT: str(processes), INDEX: str(index)}
        for index in range(processes)
    ]


def _first_failure(children: Sequence[subprocess.Popen[Any]]) -> tuple[int, int]:
    """Status and number of the first child that fails, or 0 when all have succeeded."""
    while True:
        statuses = [child.poll() for child in children]
        for index, status in enumerate(statuses):
            if status not in (None, 0):
                return status, index
        if all(status == 0 for status in statuses):
            return 0, 0
        time.sleep(POLL_SECONDS)


def _end(children: Sequence[subprocess.Popen[Any]]) -> None:
    """No child is left: one whose peer died would wait for it."""
    for child in children:
        if child.poll() is None:
            child.terminate()
    deadline = time.monotonic() + PATIENCE_SECONDS
    for child in children:
        try:
            child.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def _describe(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"status {status}"
