"""Two parts of the rows, one to learn on and one to judge on, on the scale of the first."""

import dataclasses
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from jaxmed.data.mediation_data import MediationData
from jaxmed.data.transforms import Standardisation
from jaxmed.typing import Array

__all__ = ["on_scale", "part_strata"]

RowNumbers = TypeVar("RowNumbers", Array, np.ndarray)


def part_strata(
    strata: Sequence[RowNumbers], holdout: float
) -> tuple[list[RowNumbers], list[RowNumbers]]:
    """Training and test rows of every stratum, so that a rare outcome is in both parts.

    Args:
      strata: row numbers of each, in random order.
      holdout: share of test rows; the number in a stratum is rounded.
    """
    held = [round(holdout * rows.shape[0]) for rows in strata]
    train = [rows[count:] for rows, count in zip(strata, held, strict=True)]
    return train, [rows[:count] for rows, count in zip(strata, held, strict=True)]


def on_scale(data: MediationData, scales: Standardisation) -> MediationData:
    """Mediators on the scale of other rows, which is the one of composites learned there."""
    scaled = (data.mediators - scales.mean[None, :]) / scales.sd[None, :]
    return dataclasses.replace(data, mediators=scaled)
