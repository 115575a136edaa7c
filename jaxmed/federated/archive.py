"""Small .npz files of numbers and JSON metadata, with a digest and an optional signature.

Nothing in them is executed or unpickled, and sizes are checked before anything is unpacked.
"""

import dataclasses
import hashlib
import hmac
import io
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.archive import read_arrays
from jaxmed.data.atomic import atomic_write
from jaxmed.data.documents import DocumentError, canonical, check_document, parse_document
from jaxmed.data.forms import Fields, Kind, Text, Whole

__all__ = [
    "Content",
    "MAX_BYTES",
    "SiteFileError",
    "archive_bytes",
    "digest_of",
    "read_any",
    "read_archive",
    "read_key",
    "write_archive",
]

# About 2,800 columns; a caller with more says so.
MAX_BYTES = 64 * 2**20
MAX_METADATA_BYTES = 4 * 2**20
SHORTEST_KEY = 16
_METADATA, _DIGEST, _HMAC = "metadata", "sha256", "hmac"


class SiteFileError(DocumentError):
    """A file of a federated analysis that cannot be trusted: names file, field and remedy."""


@dataclasses.dataclass(frozen=True)
class Content:
    """What an archive holds."""

    metadata: dict[str, Any]  # plain JSON values; "schema" and "version" among them
    arrays: dict[str, np.ndarray]  # float64 or uint8


def digest_of(content: Content) -> str:
    """sha256 of the canonical bytes: sorted JSON, then name, shape and little-endian numbers."""
    return _hashed(content, hashlib.sha256()).hexdigest()


def _hashed(content: Content, state: Any) -> Any:
    def put(part: bytes | memoryview) -> None:
        state.update(len(part).to_bytes(8, "little"))
        state.update(part)

    put(canonical(content.metadata))
    for name in sorted(content.arrays):
        array = np.ascontiguousarray(content.arrays[name], "<f8")
        put(name.encode())
        put(repr(array.shape).encode())
        put(array.reshape(-1).view(np.uint8).data)  # no copy
    return state


def read_key(path: str | Path) -> bytes:
    """The secret of a key file, surrounding blanks removed.

    Raises:
      ValueError: shorter than 16 bytes.
    """
    key = Path(path).read_bytes().strip()
    if len(key) < SHORTEST_KEY:
        raise ValueError(
            f"{Path(path).name}: a key of {len(key)} bytes; at least {SHORTEST_KEY} are needed, "
            'e.g. from python -c "import secrets; print(secrets.token_hex(32))"'
        )
    return key


def write_archive(path: str | Path, content: Content, key: bytes | None = None) -> Path:
    """Writes the file whole or not at all; with a key it is signed (HMAC-SHA256)."""
    return atomic_write(path, archive_bytes(content, key))


def archive_bytes(content: Content, key: bytes | None = None) -> bytes:
    """What `write_archive` writes."""
    # First, so that a file that was cut short is still known for what it is.
    members = {_METADATA: np.frombuffer(canonical(content.metadata), np.uint8)}
    members |= {name: np.asarray(array, "<f8") for name, array in content.arrays.items()}
    members[_DIGEST] = np.frombuffer(_hashed(content, hashlib.sha256()).digest(), np.uint8)
    if key is not None:
        signature = _hashed(content, hmac.new(key, digestmod=hashlib.sha256)).digest()
        members[_HMAC] = np.frombuffer(signature, np.uint8)
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **members)
    return buffer.getvalue()


def read_archive(
    path: str | Path,
    schema: str,
    version: int,
    form: Mapping[str, Kind],
    arrays: Sequence[str],
    *,
    key: bytes | None = None,
    max_bytes: int = MAX_BYTES,
) -> Content:
    """The content of a file, after digest and (with a key) signature were found right.

    Args:
      path: the file.
      schema: that it has to state.
      version: of the schema.
      form: of the other fields of its metadata.
      arrays: names of the float64 arrays that it has to hold.
      key: refuses files that are not signed with it.
      max_bytes: refuses files that unpack to more.
    Raises:
      FileNotFoundError: no such file.
      SiteFileError: damaged, hostile, changed, of another kind, or not signed with the key.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    members = _members(path, arrays, max_bytes)
    _check_types(path, members)
    metadata = _metadata(path, members, schema, version, form)
    content = Content(metadata, {n: members[n] for n in arrays})
    _check_origin(path, content, members, key)
    return content


def read_any(
    path: str | Path,
    schemas: Collection[str],
    *,
    key: bytes | None = None,
    max_bytes: int | None = None,
) -> Content | None:
    """The content of a file of one of these schemas, of any version; None: it is something else.

    Args:
      path: any file.
      schemas: that are looked for.
      key: where the file is signed, the signature must be of this key.
      max_bytes: refuses files of `write_archive` that unpack to more; None: the file is our own.
    Raises:
      SiteFileError: it looks like a file of `write_archive` and is damaged or too large, or the
        signature is of another key.
    """
    path = Path(path)
    if not _looks_written_here(path):
        return None
    try:
        if max_bytes is not None:
            _check_size(path, max_bytes)
        members = read_arrays(path)
    except (SiteFileError, MemoryError, PermissionError):
        raise
    except Exception as error:  # zipfile raises errors of many types on a damaged file
        raise SiteFileError(path.name, "archive", str(error) or repr(error), _AGAIN) from error
    _check_types(path, members)
    metadata = _parsed(path, members, Fields({}, open=True))
    if metadata.get("schema") not in schemas:
        return None
    arrays = {n: members[n] for n in members if n not in (_METADATA, _DIGEST, _HMAC)}
    content = Content(metadata, arrays)
    _check_origin(path, content, members, key if _HMAC in members else None)
    return content


def _looks_written_here(path: Path) -> bool:
    try:
        with zipfile.ZipFile(path) as archive:
            return {f"{_METADATA}.npy", f"{_DIGEST}.npy"} <= set(archive.namelist())
    except OSError:
        raise
    except Exception:  # damaged; cut short, it has lost its table of contents
        with path.open("rb") as stream:
            return stream.read(100)[30:].startswith(f"{_METADATA}.npy".encode())


_AGAIN = "ask the sender to write the file again"


def _check_types(path: Path, members: Mapping[str, np.ndarray]) -> None:
    for name, array in members.items():
        wanted = np.uint8 if name in (_METADATA, _DIGEST, _HMAC) else np.float64
        if array.dtype != wanted:
            raise SiteFileError(
                path.name, name, f"has dtype {array.dtype}, not {np.dtype(wanted)}", _AGAIN
            )


def _members(path: Path, arrays: Sequence[str], max_bytes: int) -> dict[str, np.ndarray]:
    """All arrays, once the table of contents was found to be as it must."""
    try:
        with zipfile.ZipFile(path) as archive:
            sizes = [(m.filename.removesuffix(".npy"), m.file_size) for m in archive.infolist()]
        required = {_METADATA, _DIGEST, *arrays}
        names = [name for name, _ in sizes]
        odd = (required - set(names)) or (set(names) - required - {_HMAC})
        if odd or len(set(names)) < len(names):
            raise SiteFileError(
                path.name,
                min(odd, default="members"),
                "is missing, unknown or there twice",
                "is this a file of `jaxmed site`, of this step?",
            )
        _check_metadata(path, dict(sizes)[_METADATA])
        return read_arrays(path, max_bytes)
    except (SiteFileError, MemoryError, PermissionError):
        raise
    except Exception as error:  # zipfile raises errors of many types on a damaged file
        raise SiteFileError(path.name, "archive", str(error) or repr(error), _AGAIN) from error


def _check_size(path: Path, max_bytes: int) -> None:
    with zipfile.ZipFile(path) as archive:
        size = sum(member.file_size for member in archive.infolist())
        described = archive.getinfo(f"{_METADATA}.npy").file_size
    if size > max_bytes:
        raise SiteFileError(
            path.name,
            "archive",
            f"unpacks to more than {max_bytes} bytes",
            "if it is no release of this site, move it to another folder",
        )
    _check_metadata(path, described)


def _check_metadata(path: Path, size: int) -> None:
    if size > MAX_METADATA_BYTES:
        raise SiteFileError(
            path.name, _METADATA, f"unpacks to more than {MAX_METADATA_BYTES} bytes", _AGAIN
        )


def _metadata(
    path: Path,
    members: Mapping[str, np.ndarray],
    schema: str,
    version: int,
    form: Mapping[str, Kind],
) -> dict[str, Any]:
    found = _parsed(path, members, Fields({"schema": Text(), "version": Whole()}, open=True))
    if found["schema"] != schema:
        raise SiteFileError(
            path.name, "schema", f"is {found['schema']!r}, not {schema!r}", "give that file"
        )
    if found["version"] != version:
        raise SiteFileError(
            path.name,
            "version",
            f"is {found['version']!r}, this jaxmed reads {version}",
            "let all sites use the same version of jaxmed",
        )
    whole = Fields({"schema": Text(), "version": Whole(), **form})
    return check_document(found, whole, file=path.name, remedy=_AGAIN, error=SiteFileError)


def _parsed(path: Path, members: Mapping[str, np.ndarray], form: Fields) -> dict[str, Any]:
    return parse_document(
        members[_METADATA].tobytes(), form, file=path.name, remedy=_AGAIN, error=SiteFileError
    )


def _check_origin(
    path: Path, content: Content, members: Mapping[str, np.ndarray], key: bytes | None
) -> None:
    digest = _hashed(content, hashlib.sha256()).digest()
    if not hmac.compare_digest(digest, members[_DIGEST].tobytes()):
        raise SiteFileError(
            path.name, _DIGEST, "does not fit the content: the file was changed", _AGAIN
        )
    if key is None:
        return
    if _HMAC not in members:
        raise SiteFileError(
            path.name,
            _HMAC,
            "is missing: the file is not signed",
            "let the site sign it (--hmac-key)",
        )
    signature = _hashed(content, hmac.new(key, digestmod=hashlib.sha256)).digest()
    if not hmac.compare_digest(signature, members[_HMAC].tobytes()):
        raise SiteFileError(
            path.name,
            _HMAC,
            "was made with another key, or the file was changed",
            "compare keys with the site, over another channel",
        )
