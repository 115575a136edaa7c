"""Which of several processes this one is, and sums over all of them.

A process becomes one of several by `join`, which reads what the launcher has left in the
environment. Collectives belong into supervised processes only: where a peer dies, JAX's
coordination service ends the others with it, and nothing inside them can catch that.
"""

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

__all__ = [
    "COORDINATOR",
    "COUNT",
    "INDEX",
    "Process",
    "join",
    "leave",
    "sum_over_processes",
    "this_process",
]

# Environment variables that the launcher sets; COUNT is "auto" where a cluster's own are read.
COORDINATOR = "JAXMED_COORDINATOR"
COUNT = "JAXMED_PROCESSES"
INDEX = "JAXMED_PROCESS"
HEARTBEAT_SECONDS = 10


class Process(NamedTuple):
    """This process among its peers."""

    index: int
    count: int

    def share(self, items: int) -> tuple[int, int]:
        """Start and stop of this process's part of a range of items."""
        return items * self.index // self.count, items * (self.index + 1) // self.count


def join() -> Process:
    """Connects this process with its peers where a launcher has started it; else does nothing.

    Before the first use of a device. `jax.distributed.initialize` finds SLURM, Open MPI,
    Kubernetes and TPU pods by itself; on one machine the launcher says where to meet.
    """
    count = os.environ.get(COUNT)
    if count is None or jax.distributed.is_initialized():
        return this_process()
    timeouts: dict[str, Any] = {
        "initialization_timeout": 120,
        "heartbeat_timeout_seconds": HEARTBEAT_SECONDS,
    }
    if count == "auto":
        jax.distributed.initialize(**timeouts)
    else:
        jax.distributed.initialize(
            os.environ[COORDINATOR], int(count), int(os.environ[INDEX]), **timeouts
        )
    return this_process()


def leave() -> None:
    """Parts from the peers, once all have come to this line: what follows is done alone."""
    if jax.distributed.is_initialized():
        jax.distributed.shutdown()


def this_process() -> Process:
    """Number 0 of 1 unless `join` has connected more."""
    if not jax.distributed.is_initialized():
        return Process(0, 1)
    return Process(jax.process_index(), jax.process_count())


def sum_over_processes(arrays: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Sums of float64 host arrays over all processes, the same in every one of them.

    Raises:
      RuntimeError: a peer died (where JAX does not end the process first).
    """
    if this_process().count == 1:
        return {name: np.asarray(values) for name, values in arrays.items()}
    # One device of each process: what is summed lies on the host.
    firsts = {device.process_index: device for device in reversed(jax.devices())}
    mesh = Mesh(np.array([firsts[i] for i in sorted(firsts)]), ("process",))
    parts, whole = (NamedSharding(mesh, PartitionSpec(*axis)) for axis in (("process",), ()))
    total = jax.jit(lambda x: x.sum(axis=0), out_shardings=whole)
    sums = {}
    with jax.enable_x64(True):
        for name, values in arrays.items():
            local = np.asarray(values, np.float64)[None]
            joint = jax.make_array_from_process_local_data(parts, local)
            sums[name] = np.asarray(total(joint).addressable_data(0))
    return sums
