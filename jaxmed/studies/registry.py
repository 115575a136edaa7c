"""Where a study comes from: the registered ones, or a variable of the user's own file."""

import hashlib
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from jaxmed.studies.lazy import LazyStudies
from jaxmed.studies.study import Study

__all__ = [
    "find_study",
    "is_file",
    "name_of_source",
    "registered",
    "source_of",
    "split_name",
]


def registered() -> Mapping[str, Study]:
    """The studies that come with jaxmed, by name."""
    from jaxmed.studies import (
        composite_inference,
        gahmn,
        generative_mediation,
        optimal_composite,
    )

    return LazyStudies.together(
        optimal_composite.STUDIES,
        composite_inference.STUDIES,
        generative_mediation.STUDIES,
        gahmn.STUDIES,
    )


def find_study(name: str, sha256: str | None = None) -> Study:
    """A registered study, or `path/to/file.py:variable`.

    The file is run: treat it as the program that it is.

    Args:
      name: of the study.
      sha256: that the file must have to be run; any by default.

    Raises:
      ValueError: no such study, file or variable, with what there is; or another hash.
    """
    if is_file(name):
        return _from_file(*split_name(name), sha256)
    studies = registered()
    if name not in studies:
        raise ValueError(
            f"no study {name!r}; there are {', '.join(studies)}, and your own as FILE.py:VARIABLE"
        )
    return studies[name]


def source_of(name: str) -> dict[str, str]:
    """Where a study of this name comes from, as a plan records it."""
    if not is_file(name):
        return {"registered": name}
    path, variable = split_name(name)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"file": str(path), "variable": variable, "sha256": digest}


def name_of_source(source: Mapping[str, str]) -> str:
    """The name that finds a study again, from what its plan records.

    Raises:
      ValueError: the study was an object of a Python session.
    """
    if "registered" in source:
        return source["registered"]
    if "file" in source:
        return f"{source['file']}:{source['variable']}"
    raise ValueError(
        "the study of this run was made in a Python session: call jaxmed.run_study(study, out=...) "
        "there again, or put the study into a file and name it FILE.py:VARIABLE"
    )


def is_file(name: str) -> bool:
    """Whether a study's name is that of a file with a variable."""
    return ".py:" in name


def split_name(name: str) -> tuple[Path, str]:
    """File, all links resolved, and variable.

    Raises:
      ValueError: no such file.
    """
    file, _, variable = name.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise ValueError(f"no file {path}")
    return path, variable


def _from_file(path: Path, variable: str, sha256: str | None) -> Study:
    raw = path.read_bytes()
    if sha256 is not None and hashlib.sha256(raw).hexdigest() != sha256:
        raise ValueError(f"{path} has changed since its hash was taken: nothing of it was run")
    name = f"jaxmed_study_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    module = types.ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses look their module up
    # Whatever the file computes when it is loaded has the same precision in every process.
    with jax.enable_x64(True):
        # The bytes that were hashed: a loader would read again, and prefer a cached .pyc.
        exec(compile(raw, str(path), "exec", dont_inherit=True), vars(module))
    found: Any = getattr(module, variable, None)
    if not isinstance(found, Study):
        names = [key for key, value in vars(module).items() if isinstance(value, Study)]
        raise ValueError(f"{path} has no study {variable!r}; it has {names}")
    return found
