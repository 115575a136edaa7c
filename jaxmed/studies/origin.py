"""Which program a run directory may start: the one it was made with, named by the user, not by it.

A run directory is data. Its plan records where the study came from, and has no secret: whoever can
write to the directory can record another file. So nothing here imports anything, and what the plan
names is run only where the user names it too, or trusts the directory.
"""

from collections.abc import Mapping
from pathlib import Path

from jaxmed.studies.keep_out import is_inside
from jaxmed.studies.registry import is_file, name_of_source, registered
from jaxmed.sweeps.plan import PlanMismatchError, read_plan

__all__ = ["check_origin", "named_again"]


def named_again(
    directory: str | Path, source: Mapping[str, str], study: str | None, trust: bool
) -> str:
    """The name of the study of a run: the registered one, or the file that the user allows.

    Args:
      directory: of the run.
      source: that its plan records.
      study: FILE.py:VARIABLE of the user, who may keep the file elsewhere by now.
      trust: take the path that the plan records.

    Raises:
      ValueError: a study of a file that was neither named nor trusted, a registered one that is
        not there, or a study of a Python session.
    """
    recorded = name_of_source(source)
    if "registered" in source:
        # A file may be called anything: only what jaxmed brings along is registered.
        if recorded not in registered():
            raise ValueError(f"{directory} was made with {recorded!r}, no study of this jaxmed")
        if study is not None and study != recorded:
            raise ValueError(f"{directory} was made with the study {recorded}, not {study}")
        return recorded
    if study is None and not trust:
        raise ValueError(
            f"{directory} was made with a study of the file {source['file']}. A directory does not "
            f'choose what is run: name the study again, study="{recorded}", or say that you '
            "trust all who can write there, trust=True"
        )
    name = recorded if study is None else study
    if not is_file(name):
        raise ValueError(f"{directory} was made with a file: name it FILE.py:VARIABLE, not {name}")
    return name


def check_origin(directory: str | Path, source: Mapping[str, str]) -> None:
    """Raises where a study may not be run on a directory; before it is imported.

    Args:
      directory: of the run, which may not exist yet.
      source: of the study (`source_of`), with the hash of its file as it is now.

    Raises:
      ValueError: the file lies inside the directory.
      PlanMismatchError: the directory was made with another study, or its file has changed.
    """
    if "file" in source and is_inside(Path(source["file"]), Path(directory)):
        raise ValueError(
            f"{source['file']} lies inside the run directory {directory}, from which nothing is "
            "run: keep the study's file elsewhere"
        )
    if not (Path(directory) / "plan.json").exists():
        return
    there = read_plan(directory)["study"]["source"]
    names = [n for n in {**there, **source} if n != "file" and there.get(n) != source.get(n)]
    if names:
        listed = "; ".join(
            f"study.source.{n} ({there.get(n, 'absent')} there, {source.get(n, 'absent')} now)"
            for n in names
        )
        raise PlanMismatchError(
            f"{directory} was made with another study, or its file has changed: {listed}. Nothing "
            "was run. Name the file as it was, or take another directory"
        )
