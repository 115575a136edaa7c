"""Moments of a file in blocks of rows, with a checkpoint that a killed run goes on from."""

import dataclasses
import time
from pathlib import Path

import jax
import numpy as np

from jaxmed.data.archive import read_arrays
from jaxmed.data.atomic import atomic_write, npz_bytes
from jaxmed.data.streams import RowStream
from jaxmed.data.streams.threads import core_for_reading
from jaxmed.data.validation import InvalidDataError
from jaxmed.parallel.device_sums import DeviceSums
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.moment_sums import MomentSums
from jaxmed.typing import Counted, Device

__all__ = ["StreamedSums", "streamed_moments", "streamed_sums"]

Sums = MomentSums | DeviceSums


@dataclasses.dataclass(frozen=True)
class StreamedSums:
    """Sums over the blocks of one range, and the rows that were dropped on the way."""

    sums: MomentSums
    dropped: int


def streamed_moments(
    stream: RowStream,
    *,
    checkpoint: str | Path | None = None,
    every: float = 30.0,
    device: Device | None = None,
    progress: Counted | None = None,
) -> CrossMoments:
    """Moments of all rows of a file, in the memory of a few blocks and of the moments.

    Args:
      stream: rows of a file, from `jaxmed.stream`.
      checkpoint: a file that holds the sums every `every` seconds and at the end; a run that finds
        one of the same stream goes on behind its last block, to the same bits.
      every: seconds.
      device: where blocks are multiplied; by default JAX's, but on CPUs by NumPy's BLAS, which
        takes half the time for a product of a block with itself.
      progress: called with the number of blocks done and of all.
    Returns:
      CrossMoments of float64 NumPy arrays.
    Raises:
      InvalidDataError: a missing or infinite mediator, a damaged file, a checkpoint of other data.
      ShapeError: fewer than 3 rows have all mediators.
    """
    found = streamed_sums(
        stream,
        0,
        stream.num_blocks,
        checkpoint=checkpoint,
        every=every,
        device=device,
        progress=progress,
    )
    stream.check_rows(found.dropped)
    return found.sums.moments(stream.num_covariates, stream.names)


def streamed_sums(
    stream: RowStream,
    start: int,
    stop: int,
    *,
    checkpoint: str | Path | None = None,
    every: float = 30.0,
    device: Device | None = None,
    progress: Counted | None = None,
) -> StreamedSums:
    """Sums over blocks start..stop; the other arguments as `streamed_moments`."""
    mark = f"{stream.fingerprint()}:{start}-{stop}"
    d = stream.num_covariates + 2 + stream.num_mediators
    done, dropped, sums = start, 0, _zero(stream, d, device)
    path = None if checkpoint is None else Path(checkpoint)
    if path is not None and path.exists():
        done, dropped, sums = _restored(path, mark, sums, d)
    saved = time.monotonic()
    with core_for_reading():
        for block in stream.blocks(done, stop):
            sums.add(block.data)
            done, dropped = block.index + 1, dropped + block.dropped
            if path is not None and (done == stop or time.monotonic() - saved > every):
                _save(path, mark, done, dropped, sums)
                saved = time.monotonic()
            if progress is not None:
                progress(done - start, stop - start)
    return StreamedSums(sums.on_host(), dropped)


def _zero(stream: RowStream, d: int, device: Device | None) -> Sums:
    if device is None and jax.default_backend() == "cpu":
        return MomentSums.zero(d)
    device = jax.local_devices()[0] if device is None else device
    return DeviceSums.zero(d, stream.dtype, stream.block_rows, device)


def _save(path: Path, mark: str, done: int, dropped: int, sums: Sums) -> None:
    state = {"mark": np.array(mark), "progress": np.array([done, dropped]), **sums.arrays()}
    atomic_write(path, npz_bytes(state))


def _restored(path: Path, mark: str, zero: Sums, d: int) -> tuple[int, int, Sums]:
    arrays = read_arrays(path, max_bytes=24 * d * (d + 1024) + 2**20)
    if set(arrays) != {"mark", "progress", *zero.arrays()}:
        raise InvalidDataError(f"{path.name} is no checkpoint of a stream: delete it to begin anew")
    if str(arrays.pop("mark")) != mark:
        raise InvalidDataError(
            f"{path.name} belongs to another file, or to other columns, rows or blocks of it: "
            "delete it to begin anew"
        )
    done, dropped = arrays.pop("progress").tolist()
    try:
        return done, dropped, zero.restored(arrays)
    except ValueError as error:
        raise InvalidDataError(f"{path.name} is damaged: delete it to begin anew") from error
