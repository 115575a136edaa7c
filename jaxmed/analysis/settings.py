"""What an analysis was asked for."""

import dataclasses
from collections.abc import Callable

from jaxmed.analysis.inputs import check_level
from jaxmed.data.budget import BYTES_A_DRAW, check_fits

__all__ = ["Progress", "Settings"]

Progress = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Settings:
    """What was asked for; goes into the record as it is.

    Raises:
      ValueError: a setting out of range.
    """

    methods: tuple[str, ...]
    basis: str  # as asked for; what became of it is in the record's `design`
    level: float
    standardise: bool
    seed: int | None
    permutations: int
    folds: int
    replicates: int
    splits: int = 0  # of the rows into folds; a reading in blocks has neither

    def __post_init__(self) -> None:
        """Checks the ranges."""
        check_level(self.level)
        ranges = {"permutations": 0, "folds": 0, "replicates": 100, "splits": min(self.folds, 1)}
        for name, least in ranges.items():
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, not {getattr(self, name)}")
            check_fits(name, getattr(self, name), BYTES_A_DRAW)
        if self.folds == 1:
            raise ValueError("folds must be 0 (none) or at least 2, not 1")
