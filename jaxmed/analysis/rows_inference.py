"""Inference that needs rows: permutation, variance from the rows, cross-fitting."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from jaxmed.analysis.fit import LARGE_FROM
from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.paths import Paths, regime_of
from jaxmed.inference.cross_fit import CrossFit, cross_fitted_effects
from jaxmed.inference.dual_total import DualTotalTest
from jaxmed.inference.permutation import PermutationTest, exposure_permutation_test
from jaxmed.inference.robust_total import robust_total_test
from jaxmed.inference.total_indirect import TotalIndirectTest
from jaxmed.status import NEEDS_ROWS, NO_NOTES
from jaxmed.typing import Key, pytree

BOTH_SIGNS = (maxie, functools.partial(maxie, sign=-1))


@pytree
class RowsInference:
    """Results of one pass over the rows; None where not asked for or not possible."""

    permutation: PermutationTest | None
    robust: TotalIndirectTest | None  # of the total, by the variance from the rows
    cross_fit: CrossFit | None  # of the concordant MaxIE composite
    cross_fit_suppression: CrossFit | None
    dual_total: DualTotalTest | None = None  # of rows, or of a kernel of them


def rows_inference(
    key: Key,
    data: MediationData,
    paths: Paths,
    *,
    permutations: int,
    folds: int,
    splits: int,
    level: float,
    single: bool,
) -> RowsInference:
    """The three in one program; `rows_program` compiles it.

    Args:
      key: consumed.
      data: rows in canonical order (`data.row_order`); their names are part of the program, so
        leave them out.
      paths: of the same rows.
      permutations: 0 for none.
      folds: 0 for no cross-fitting.
      splits: of the rows into folds.
      level: of the cross-fitted interval.
      single: whether the mediators have one dimension.
    """
    permutation_key, fold_key = jax.random.split(key)
    crossed: list[CrossFit | None] = [None, None]
    if folds:
        # Under jit "auto" could not leave the Gram route: the folds take the one of all rows.
        crossed = list(
            cross_fitted_effects(
                fold_key,
                data,
                BOTH_SIGNS,
                folds=folds,
                splits=splits,
                route="auto" if paths.regime == "dual" else paths.route,
                level=level,
                in_order=True,
            )
        )
    return RowsInference(
        exposure_permutation_test(permutation_key, data, permutations, observed=paths)
        if permutations
        else None,
        robust_total_test(paths, data, single=single) if paths.regime == "primal" else None,
        crossed[0],
        crossed[1],
    )


_STATIC = ("permutations", "folds", "splits", "level", "single")
_small, _large = (quick_jit(rows_inference, _STATIC, optimised=slow) for slow in (False, True))


def rows_program(data: MediationData) -> Callable[..., RowsInference]:
    """`rows_inference` compiled for data of this shape."""
    (n, p), q = data.mediators.shape, data.covariates.shape[1]
    # Primal folds add up and mask p^2 numbers many times, dual ones n^2, from some size on worth
    # LLVM's time.
    size = p if regime_of(n, p, q) == "primal" else n
    return _large if size >= LARGE_FROM else _small


def without_rows(
    paths: Paths,
    robust: TotalIndirectTest | None = None,
    dual_total: DualTotalTest | None = None,
) -> RowsInference:
    """What moments alone leave of the three: NaN with NEEDS_ROWS, and no cross-fitting.

    Args:
      paths: of the moments, or of the kernel.
      robust: where sites have returned the sums for it.
      dual_total: of the kernel.
    """
    nan: Any = np.asarray(np.nan)
    code: Any = np.asarray(max(int(paths.status), NEEDS_ROWS), np.int32)
    fields: dict[str, Any] = dict.fromkeys(TotalIndirectTest.__dataclass_fields__, nan)
    missing = TotalIndirectTest(**fields | {"status": code, "notes": NO_NOTES})
    permutation = PermutationTest(paths.cosine, nan, code)
    if paths.regime == "dual":  # no residual, with or without rows
        return RowsInference(permutation, None, None, None, dual_total)
    return RowsInference(permutation, robust or missing, None, None)
