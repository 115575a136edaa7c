"""Sweeps: many replicates of one task as one compiled program, in chunks of fixed size."""

from jaxmed.sweeps.reducers import (
    combine,
    moments,
    quantiles,
    rejection_rate,
    stack,
)
from jaxmed.sweeps.sweep import sweep
from jaxmed.sweeps.task import BlockTask, Cell, effect_scores, study_task

__all__ = [
    "BlockTask",
    "Cell",
    "combine",
    "effect_scores",
    "moments",
    "quantiles",
    "rejection_rate",
    "stack",
    "study_task",
    "sweep",
]
