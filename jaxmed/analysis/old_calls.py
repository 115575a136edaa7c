"""Calls that `mediate` has taken the place of, as they were, while old names work."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jaxmed.analysis.call import call_of
from jaxmed.analysis.effects import effects
from jaxmed.analysis.levels import over_levels
from jaxmed.analysis.moments import analyse_moments
from jaxmed.analysis.result import MediationResult
from jaxmed.analysis.streamed import analyse_stream
from jaxmed.data.levels import LevelsData
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.streams import RowStream
from jaxmed.inference.total_indirect import TotalIndirectTest
from jaxmed.statistics.cross_moments import CrossMoments

__all__ = ["by_method", "mediate_moments", "mediate_stream", "names_of"]


def names_of(method: Any) -> tuple[str, ...]:
    """The names that the old second argument holds.

    Raises:
      ValueError: anything but names: estimators are given by `effects`.
    """
    several = (method,) if isinstance(method, str) else method
    if isinstance(several, Sequence) and all(isinstance(name, str) for name in several):
        return tuple(several)
    raise ValueError(
        "the second argument was composites by name: give estimators by effects=, as in "
        "mediate(data, effects=estimators.hima(), key=0)"
    )


def by_method(data: Any, names: tuple[str, ...], settings: Mapping[str, Any]) -> Any:
    """The result of the old call.

    Args:
      data: rows, or levels of an exposure.
      names: that hold "effects" or "gahmn".
      settings: of `mediate`.
    Raises:
      ValueError: one of the two beside another name.
    """
    if len(names) > 1:
        alone = min({"effects", "gahmn"} & set(names))
        raise ValueError(f'"{alone}" stood alone: name composites and effects apart')
    if not isinstance(data, MediationData | LevelsData):
        raise ValueError(f"{', '.join(names)} needs rows: name estimators by effects=")
    shared = {name: settings[name] for name in ("key", "level", "basis", "progress")}

    def analysed(rows: Any, source: Any) -> Any:
        if names == ("effects",):
            assume = settings["assume"] or "unknown"
            return effects(rows, assume=assume, source=source, **shared)
        # Brings flax and optax: only where it is asked for.
        from jaxmed.analysis.generative import generative

        return generative(rows, source=source, **shared)

    if isinstance(data, LevelsData):
        return over_levels(data, analysed, basis=settings["basis"])
    return analysed(data, settings["source"])


def mediate_moments(
    moments: CrossMoments,
    method: str | Sequence[str] = ("maxie", "maxcor"),
    *,
    robust: TotalIndirectTest | None = None,
    columns: Mapping[str, dict[str, Any]] | None = None,
    rows_dtype: Any = None,
    **settings: Any,
) -> MediationResult:
    """`mediate(moments)`; see `moments.analyse_moments` for the arguments."""
    call = call_of(composites=method, **_renamed(settings))
    return analyse_moments(moments, call, robust=robust, columns=columns, rows_dtype=rows_dtype)


def mediate_stream(
    stream: RowStream,
    method: str | Sequence[str] = ("maxie", "maxcor"),
    *,
    checkpoint: str | Path | None = None,
    **settings: Any,
) -> MediationResult:
    """`mediate(stream)`; see `streamed.analyse_stream` for the arguments."""
    call = call_of(composites=method, **_renamed(settings))
    return analyse_stream(stream, call, checkpoint=checkpoint)


def _renamed(settings: Mapping[str, Any]) -> dict[str, Any]:
    names = {"standardise_mediators": "standardise"}
    return {names.get(name, name): value for name, value in settings.items()}
