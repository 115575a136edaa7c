"""What lies where a file of a run belongs, and is none, is moved out of the way and kept."""

import contextlib
import os
import secrets
from pathlib import Path

__all__ = ["set_aside"]


def set_aside(path: Path, suffix: str) -> Path:
    """Renames a file, folder or pipe to one of the same name with another suffix.

    Returns:
      Where it is now; a name that is taken by what cannot be replaced gets a random part.
    """
    aside = path.with_suffix(suffix)
    with contextlib.suppress(FileNotFoundError):  # another worker was faster
        try:
            os.replace(path, aside)
        except OSError as error:
            if isinstance(error, FileNotFoundError):
                raise
            aside = path.with_suffix(f".{secrets.token_hex(4)}{suffix}")
            os.replace(path, aside)
    return aside
