"""Inference that needs rows: permutation, leave-one-out variance, cross-fitting."""

import dataclasses
import functools

import jax

from jaxmed.analysis.compile import quick_jit
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.paths import Paths
from jaxmed.inference.cross_fit import CrossFit, cross_fitted_effects
from jaxmed.inference.joint_test import JointTest, joint_test
from jaxmed.inference.permutation import PermutationTest, exposure_permutation_test
from jaxmed.typing import Key, pytree

BOTH_SIGNS = (maxie, functools.partial(maxie, sign=-1))


@pytree
class RowsInference:
    """Results of one pass over the rows; None where not asked for or not possible."""

    permutation: PermutationTest | None
    leave_one_out: JointTest | None
    cross_fit: CrossFit | None  # of the concordant MaxIE composite
    cross_fit_suppression: CrossFit | None


def rows_inference(
    key: Key,
    data: MediationData,
    paths: Paths,
    *,
    permutations: int,
    folds: int,
    level: float,
) -> RowsInference:
    """Runs the three on concrete data.

    Args:
      key: consumed.
      data: rows.
      paths: of the same rows.
      permutations: 0 for none.
      folds: 0 for no cross-fitting.
      level: of the cross-fitted interval.
    """
    device = jax.tree.map(jax.numpy.asarray, dataclasses.replace(data, names=Names()))
    return _program(key, device, paths, permutations, folds, level)


def _rows_inference(
    key: Key,
    data: MediationData,
    paths: Paths,
    permutations: int,
    folds: int,
    level: float,
) -> RowsInference:
    permutation_key, fold_key = jax.random.split(key)
    crossed: list[CrossFit | None] = [None, None]
    if folds:
        crossed = list(cross_fitted_effects(fold_key, data, BOTH_SIGNS, folds=folds, level=level))
    return RowsInference(
        exposure_permutation_test(permutation_key, data, permutations, observed=paths)
        if permutations
        else None,
        joint_test(paths, data=data, variance="leave_one_out")
        if paths.regime == "primal"
        else None,
        *crossed,
    )


_program = quick_jit(_rows_inference, ("permutations", "folds", "level"))
