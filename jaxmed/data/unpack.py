"""The bytes of a file, unpacked by what it begins with, within a budget of memory."""

import bz2
import errno
import gzip
import hashlib
import io
import lzma
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from jaxmed.data.library import library
from jaxmed.data.validation import InvalidDataError

__all__ = ["compression_of", "digest_of", "opened", "unpacked", "zip_size"]

PIECE = 1 << 22
MAGIC = {
    b"\x1f\x8b": "gz",
    b"BZh": "bz2",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zst",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
}


def digest_of(path: Path) -> str:
    """SHA-256 of the bytes of a file, as they lie there."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def compression_of(path: Path) -> str | None:
    """How a file is packed, by its first bytes; None where it is not.

    Raises:
      InvalidDataError: the name says that it is packed, and it does not begin so.
    """
    with path.open("rb") as file:
        start = file.read(8)
    kind = next((kind for magic, kind in MAGIC.items() if start.startswith(magic)), None)
    named = path.suffix.lower().removeprefix(".")
    if kind is None and named in MAGIC.values():
        raise InvalidDataError(
            f"{path.name}: damaged archive (it does not begin as .{named} does; text that is not "
            "packed is called .csv)"
        )
    return kind


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The content of a file as a stream of bytes, unpacked on the way.

    Raises:
      InvalidDataError: a damaged archive, or a zip of several files.
      ImportError: zstandard, where pyarrow is missing.
    """
    kind = compression_of(path)
    with _errors(path):
        if kind == "gz":
            with gzip.open(path, "rb") as file:
                yield file  # pyright: ignore[reportReturnType]
        elif kind == "bz2":
            with bz2.open(path, "rb") as file:
                yield file  # pyright: ignore[reportReturnType]
        elif kind == "xz":
            with lzma.open(path, "rb") as file:
                yield file  # pyright: ignore[reportReturnType]
        elif kind == "zst":
            arrow = library("pyarrow", "io", ".zst")
            with arrow.input_stream(str(path), compression="zstd") as file:
                yield file
        elif kind == "zip":
            with zipfile.ZipFile(path) as archive, archive.open(_only_member(archive, path)) as f:
                yield f
        else:
            with path.open("rb") as file:
                yield file


def _only_member(archive: zipfile.ZipFile, path: Path) -> zipfile.ZipInfo:
    members = [
        m
        for m in archive.infolist()
        if not m.is_dir()
        and not any(part.startswith((".", "__MACOSX")) for part in m.filename.split("/"))
    ]
    if len(members) != 1:
        names = ", ".join(repr(m.filename) for m in members[:5]) or "nothing"
        raise InvalidDataError(
            f"{path.name} holds {names}: an archive of one table is read; unpack it first"
        )
    if members[0].flag_bits & 1:
        raise InvalidDataError(f"{path.name} is encrypted: unpack it first")
    return members[0]


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    """What the libraries raise on damaged archives, as one type."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        raise InvalidDataError(f"{path.name}: damaged archive ({error})") from error
    except OSError as error:
        # Libraries call a damaged stream an OSError without a number, or with EINVAL.
        if error.errno not in (None, errno.EINVAL):
            raise
        raise InvalidDataError(f"{path.name}: damaged archive ({error})") from error


def unpacked(path: Path, limit: int) -> bytes:
    """The whole content of a file.

    Args:
      path: the file.
      limit: largest content in bytes.

    Raises:
      InvalidDataError: a damaged archive, or more than the limit (seen before it is held).
    """
    content = io.BytesIO()
    with opened(path) as stream:
        while piece := stream.read(PIECE):
            content.write(piece)
            if content.tell() > limit:
                raise too_large(path, f"{content.tell():,} bytes or more", limit)
    return content.getvalue()


def zip_size(path: Path) -> int:
    """Bytes that the members of a zip (a spreadsheet is one) unpack to; 0 where it is none."""
    if not zipfile.is_zipfile(path):
        return 0
    with _errors(path), zipfile.ZipFile(path) as archive:
        return sum(member.file_size for member in archive.infolist())


def too_large(path: Path, size: str, limit: int) -> InvalidDataError:
    """The refusal of a file whose content is beyond the budget, with the remedy."""
    return InvalidDataError(
        f"{path.name} unpacks to {size}, beyond the {limit:,} bytes of memory it may take: allow "
        "more with memory=BYTES, or store it as .parquet, which is read in blocks"
    )
