"""Moments of a file whose blocks are shared among processes."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from jaxmed.data.streams import RowStream
from jaxmed.parallel.processes import sum_over_processes, this_process
from jaxmed.parallel.streamed import streamed_sums
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.moment_sums import MomentSums
from jaxmed.typing import Counted

__all__ = ["SharedMoments", "part_file", "shared_moments"]


class SharedMoments(NamedTuple):
    """Moments of all rows, and how many were dropped for a missing mediator."""

    moments: CrossMoments
    dropped: int


def part_file(checkpoint: str | Path, index: int, count: int) -> Path:
    """The checkpoint of one process: `name.npz` itself, or `name.1-of-4.npz`."""
    path = Path(checkpoint)
    return path if count == 1 else path.with_suffix(f".{index}-of-{count}{path.suffix}")


def shared_moments(
    stream: RowStream,
    *,
    checkpoint: str | Path | None = None,
    every: float = 30.0,
    progress: Counted | None = None,
) -> SharedMoments:
    """`streamed_moments` where every process reads its share of the blocks; all get the whole.

    Args:
      stream: of the same file in every process.
      checkpoint: `part_file` makes one of it for every process.
      every: seconds between two checkpoints.
      progress: called with the blocks done and all blocks of this process.
    """
    me = this_process()
    start, stop = me.share(stream.num_blocks)
    path = None if checkpoint is None else part_file(checkpoint, me.index, me.count)
    found = streamed_sums(stream, start, stop, checkpoint=path, every=every, progress=progress)
    sums = found.sums if me.count == 1 else _joint(found.sums)
    dropped = int(sum_over_processes({"dropped": np.array(float(found.dropped))})["dropped"])
    stream.check_rows(dropped)
    return SharedMoments(sums.moments(stream.num_covariates, stream.names), dropped)


def _joint(sums: MomentSums) -> MomentSums:
    """Sums of all processes: first their mean, then the co-moments about it."""
    d = len(sums.within)
    size, mean = sums.folded_mean()
    first = sum_over_processes(
        {"weights": sums.weights, "size": np.array(size), "moment": size * mean}
    )
    joint_mean = first["moment"] / first["size"]
    step = (mean - joint_mean) * np.sqrt(size)
    within = sum_over_processes({"within": sums.within + np.outer(step, step)})["within"]
    return MomentSums(within, first["weights"], joint_mean.reshape(1, d), first["size"].reshape(1))
