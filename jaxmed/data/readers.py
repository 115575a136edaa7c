"""Tables from files, chosen by suffix; nothing in a file is ever executed.

.csv and .csv.gz (pandas), .parquet (pandas, pyarrow), .npz (NumPy alone), .h5ad (anndata).
"""

import errno
import importlib
import math
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from jaxmed.data.validation import InvalidDataError, ShapeError

SUFFIXES = (".csv", ".csv.gz", ".parquet", ".npz", ".h5ad")
# A few hundred KB of zip can inflate to gigabytes: what the archive promises is summed first.
LARGEST_NPZ_BYTES = 16 * 2**30


def read_table(path: str | Path) -> Any:
    """A table that `from_frame` takes, read by the suffix of the file name.

    An .npz gives a dict of columns: a 1-d array is a column of its name, a 2-d array ``M`` of k
    columns gives ``M_1`` to ``M_k``.

    Args:
      path: a file ending in .csv, .csv.gz, .parquet, .npz or .h5ad.

    Returns:
      A pandas DataFrame, AnnData, or a dict of NumPy arrays.

    Raises:
      FileNotFoundError: no such file.
      ImportError: the extra that reads this format is not installed; it is named.
      InvalidDataError: an unknown suffix, or a damaged or hostile file.
    """
    path = Path(path)
    lower = path.name.lower()
    suffix = next((s for s in SUFFIXES if lower.endswith(s)), None)
    if suffix is None:
        raise InvalidDataError(f"{path.name}: unknown file type; known are {', '.join(SUFFIXES)}")
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    if suffix == ".npz":
        return read_npz(path)
    if suffix == ".h5ad":
        anndata = library("anndata", "anndata", suffix)
        return parsed(path, lambda: anndata.read_h5ad(path))
    pandas = library("pandas", "io", suffix)
    if suffix == ".parquet":
        library("pyarrow", "io", suffix)
        return parsed(path, lambda: pandas.read_parquet(path, engine="pyarrow"))
    options = csv_options(path, pandas)
    return parsed(path, lambda: pandas.read_csv(path, low_memory=False, **options))


def csv_options(path: Path, pandas: Any) -> dict[str, Any]:
    """Arguments of `pandas.read_csv` that every reading of this file shares."""
    options: dict[str, Any] = {"compression": "gzip" if path.suffix.lower() == ".gz" else None}
    if tuple(int(part) for part in pandas.__version__.split(".")[:2]) < (3, 1):
        # Before 3.1 the default parser of pandas loses the last bit of about a third of all floats.
        options["float_precision"] = "round_trip"
    return options


def library(name: str, extra: str, suffix: str) -> Any:
    """An optional library; ImportError with the extra that brings it where it is missing."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f'reading {suffix} needs {name}: pip install "jaxmed[{extra}]"'
        ) from error


def parsed(path: Path, parse: Any) -> Any:
    """The result of a parser; whatever it raises on a damaged file becomes InvalidDataError.

    Parsers of foreign formats raise errors of many types, their own and KeyError, AttributeError,
    OverflowError alike, so that no list of them is complete.
    """
    try:
        return parse()
    except (MemoryError, PermissionError):
        raise
    except Exception as error:
        raise InvalidDataError(
            f"{path.name}: cannot be read ({type(error).__name__}: {error})"
        ) from error


def read_npz(path: str | Path, max_bytes: int = LARGEST_NPZ_BYTES) -> dict[str, np.ndarray]:
    """Columns of an .npz archive; see `read_arrays` for how it is read.

    Raises:
      InvalidDataError: as `read_arrays`.
      ShapeError: arrays of different lengths, or neither 1-d nor 2-d.
    """
    return _as_columns(read_arrays(path, max_bytes), Path(path))


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
                raise InvalidDataError(
                    f"{path.name}: unpacks to {total} bytes, more than the {max_bytes} allowed"
                )
            arrays = {}
            for member in members:
                with archive.open(member) as stream:
                    arrays[member.filename.removesuffix(".npy")] = _read_npy(stream, member, path)
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


def _as_columns(arrays: dict[str, np.ndarray], path: Path) -> dict[str, np.ndarray]:
    columns: dict[str, np.ndarray] = {}
    for name, array in arrays.items():
        if array.ndim == 1:
            named = {name: array}
        elif array.ndim == 2:
            named = {f"{name}_{j + 1}": array[:, j] for j in range(array.shape[1])}
        else:
            raise ShapeError(
                f"{path.name}: array {name!r} has {array.ndim} dimensions; columns [n] and "
                "matrices [n, k] are read"
            )
        twice = set(named) & set(columns)
        if twice:
            raise InvalidDataError(f"{path.name}: two columns are called {min(twice)!r}")
        columns |= named
    lengths = {column.shape[0] for column in columns.values()}
    if len(lengths) != 1:
        raise ShapeError(f"{path.name}: arrays have different numbers of rows {sorted(lengths)}")
    return columns
