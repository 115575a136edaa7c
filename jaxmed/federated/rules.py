"""Thresholds of a release, and the refusal. Thresholds, not differential privacy."""

import dataclasses

__all__ = [
    "FLOOR",
    "LARGEST_GROUP",
    "LARGEST_SHARE",
    "LARGEST_SIZE",
    "ReleaseRefused",
    "Rules",
    "rules_of",
]

# No setting goes below this number of rows, nor lets a person be more of a sum than this share.
FLOOR = 10
LARGEST_SHARE = 0.5
# Share of the squares of a combination that fewer persons than make a class may have, at most so
# many of them.
LARGEST_GROUP, LARGEST_SIZE = 0.9, 4


class ReleaseRefused(ValueError):
    """The summary would say too much about single persons; the reason names column and number."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """Thresholds of a release.

    Raises:
      ValueError: fewer rows than the floor of 10, a ratio outside (0, 1), a negative cell, a share
        of one person above one half.
    """

    min_rows: int = 20
    max_ratio: float = 0.33  # of columns to persons
    min_cell: int = 5  # smallest number of persons, other than 0, that a class may have
    max_share: float = 0.2  # of one person in a released sum; 1 / min_cell by default

    def __post_init__(self) -> None:
        """Refuses thresholds that protect nobody."""
        if self.min_rows < FLOOR:
            raise ValueError(f"min_rows must be at least {FLOOR}, not {self.min_rows}")
        if not 0 < self.max_ratio < 1:
            raise ValueError(f"max_ratio must lie between 0 and 1, not {self.max_ratio}")
        if self.min_cell < 1:
            raise ValueError(f"min_cell must be at least 1, not {self.min_cell}")
        if not 0 < self.max_share <= LARGEST_SHARE:
            raise ValueError(
                f"max_share must lie between 0 and {LARGEST_SHARE}, not {self.max_share}"
            )


def rules_of(min_rows: int, max_ratio: float, min_cell: int, max_share: float | None) -> Rules:
    """Rules with a share of 1 / min_cell where none is given."""
    share = min(LARGEST_SHARE, 1 / max(min_cell, 1)) if max_share is None else max_share
    return Rules(min_rows, max_ratio, min_cell, share)
