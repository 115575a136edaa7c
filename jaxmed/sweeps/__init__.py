"""Sweeps: many replicates of one task as one compiled program, in chunks of fixed size."""

from jaxmed.sweeps.bootstrap import Bootstrap, bootstrap
from jaxmed.sweeps.jackknife import Jackknife, jackknife
from jaxmed.sweeps.levels import path_task
from jaxmed.sweeps.permutation import PermutationResult, permutation_test
from jaxmed.sweeps.quantile_sketch import quantiles
from jaxmed.sweeps.reducers import combine, moments, rejection_rate, stack
from jaxmed.sweeps.split_sample import SplitSample, split_sample
from jaxmed.sweeps.sweep import sweep
from jaxmed.sweeps.task import BlockTask, Cell, effect_scores, study_task

__all__ = [
    "BlockTask",
    "Bootstrap",
    "Cell",
    "Jackknife",
    "PermutationResult",
    "SplitSample",
    "bootstrap",
    "combine",
    "effect_scores",
    "jackknife",
    "moments",
    "path_task",
    "permutation_test",
    "quantiles",
    "rejection_rate",
    "split_sample",
    "stack",
    "study_task",
    "sweep",
]
