"""What an analysis was asked for."""

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, get_args

from jaxmed.analysis.inputs import check_level
from jaxmed.budget import check_count, check_whole
from jaxmed.inference.inversion import least_replicates
from jaxmed.vocabulary import Assume, Screened

__all__ = ["Progress", "Settings"]

Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What was asked for; goes into the record as it is.

    Raises:
      ValueError: a setting out of range.
    """

    composites: tuple[str, ...]
    effects: tuple[str, ...]  # estimators as asked for; ("auto",) for the rule
    basis: str  # as asked for; what became of it is in the record's `design`
    level: float
    standardise: bool
    seed: int | None
    permutations: int
    folds: int
    replicates: int
    splits: int = 0  # of the rows into folds; a reading in blocks has neither
    assume: Assume | None = None
    options: Mapping[str, Mapping[str, Any]] = dataclasses.field(default_factory=dict)
    screened: Screened = "unknown"

    def __post_init__(self) -> None:
        """Checks the ranges."""
        for name in ("permutations", "folds", "replicates", "splits"):
            check_whole(name, getattr(self, name))
        check_level(self.level)
        if self.screened not in get_args(Screened):
            raise ValueError(f"screened must be one of {get_args(Screened)}, not {self.screened!r}")
        ranges = {"permutations": 0, "folds": 0, "replicates": 100, "splits": min(self.folds, 1)}
        for name, least in ranges.items():
            check_count(name, getattr(self, name), least)
        draws = least_replicates(self.level)
        if self.replicates < draws:
            raise ValueError(
                f"replicates must be at least {draws} for limits at level {self.level:g}, not "
                f"{self.replicates}"
            )
        if self.folds == 1:
            raise ValueError("folds must be 0 (none) or at least 2, not 1")
