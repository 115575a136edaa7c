"""Where a study comes from: the registered ones, or a variable of the user's own file."""

import hashlib
import importlib.util
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax

from jaxmed.studies.lazy import LazyStudies
from jaxmed.studies.study import Study

__all__ = ["find_study", "name_of_source", "registered", "source_of"]


def registered() -> Mapping[str, Study]:
    """The studies that come with jaxmed, by name."""
    from jaxmed.studies import gahmn, generative_mediation, optimal_composite

    return LazyStudies.together(
        optimal_composite.STUDIES, generative_mediation.STUDIES, gahmn.STUDIES
    )


def find_study(name: str) -> Study:
    """A registered study, or `path/to/file.py:variable`.

    The file is run: treat it as the program that it is.

    Raises:
      ValueError: no such study, file or variable, with what there is.
    """
    if _is_file(name):
        return _from_file(*_split(name))
    studies = registered()
    if name not in studies:
        raise ValueError(
            f"no study {name!r}; there are {', '.join(studies)}, and your own as FILE.py:VARIABLE"
        )
    return studies[name]


def source_of(name: str) -> dict[str, str]:
    """Where a study of this name comes from, as a plan records it."""
    if not _is_file(name):
        return {"registered": name}
    path, variable = _split(name)
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


def _is_file(name: str) -> bool:
    return ".py:" in name


def _split(name: str) -> tuple[Path, str]:
    file, _, variable = name.rpartition(":")
    path = Path(file).resolve()
    if not path.is_file():
        raise ValueError(f"no file {path}")
    return path, variable


def _from_file(path: Path, variable: str) -> Study:
    name = f"jaxmed_study_{hashlib.sha256(str(path).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None  # the file is there and ends in .py
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    # Whatever the file computes when it is loaded has the same precision in every process.
    with jax.enable_x64(True):
        spec.loader.exec_module(module)
    found: Any = getattr(module, variable, None)
    if not isinstance(found, Study):
        names = [key for key, value in vars(module).items() if isinstance(value, Study)]
        raise ValueError(f"{path} has no study {variable!r}; it has {names}")
    return found
