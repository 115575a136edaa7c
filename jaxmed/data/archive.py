"""Arrays of an .npz archive, without pickle, each checked before it is allocated."""

import errno
import math
import zipfile
import zlib
from pathlib import Path
from typing import IO

import numpy as np

from jaxmed.data.unpack import too_large
from jaxmed.data.validation import InvalidDataError

__all__ = ["LARGEST_NPZ_BYTES", "read_arrays"]

# A few hundred KB of zip can inflate to gigabytes: what the archive promises is summed first.
LARGEST_NPZ_BYTES = 16 * 2**30


def read_arrays(path: str | Path, max_bytes: int = LARGEST_NPZ_BYTES) -> dict[str, np.ndarray]:
    """Arrays of an .npz archive, without pickle, each checked before it is allocated.

    Args:
      path: the archive.
      max_bytes: refuse archives that unpack to more.

    Raises:
      InvalidDataError: not an archive, truncated, objects inside, a header that does not fit the
        size of its member, or more than max_bytes.
    """
    path = Path(path)
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            total = sum(member.file_size for member in members)
            if total > max_bytes:
                raise too_large(path, f"{total:,} bytes", max_bytes)
            arrays = {}
            for member in members:
                name = member.filename.removesuffix(".npy")
                if name in arrays:
                    raise InvalidDataError(f"{path.name}: two arrays are called {name!r}")
                with archive.open(member) as stream:
                    arrays[name] = _read_npy(stream, member, path)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise InvalidDataError(f"{path.name}: damaged archive ({error})") from error
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        # The archive says that a member begins before the file does.
        raise InvalidDataError(f"{path.name}: damaged archive ({error})") from error
    return arrays


def _read_npy(stream: IO[bytes], member: zipfile.ZipInfo, path: Path) -> np.ndarray:
    """One array, after its header was found to agree with the size of the member."""
    where = f"{path.name}: {member.filename}"
    try:
        version = np.lib.format.read_magic(stream)
        readers = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }
        if version not in readers:
            raise InvalidDataError(f"{where}: unsupported npy version {version}")
        shape, fortran, dtype = readers[version](stream)
    except InvalidDataError:
        raise
    except Exception as error:  # NumPy parses the header as Python text, with errors of any type
        raise InvalidDataError(f"{where}: not a readable npy array ({error})") from error
    if dtype.hasobject or dtype.kind not in "biufcU":
        raise InvalidDataError(
            f"{where}: holds {dtype}; only numbers and strings are read (objects would need pickle)"
        )
    size = math.prod(shape) * dtype.itemsize
    if any(length < 0 for length in shape) or size != member.file_size - stream.tell():
        raise InvalidDataError(
            f"{where}: the header says shape {shape} of {dtype}, the file holds "
            f"{member.file_size - stream.tell()} bytes of data"
        )
    # Read in pieces: the zip's own size may lie too, and then the data end early.
    buffer = bytearray()
    while len(buffer) < size and (piece := stream.read(min(size - len(buffer), 1 << 24))):
        buffer += piece
    if len(buffer) != size or stream.read(1):
        raise InvalidDataError(f"{where}: the data end after {len(buffer)} of {size} bytes")
    flat = np.frombuffer(buffer, dtype)
    return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
