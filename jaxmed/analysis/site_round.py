"""The test of the total indirect effect with the variance from the rows of several sites."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import Names
from jaxmed.federated.merged import Merged
from jaxmed.federated.second_round import RoundSums, analysed, check_sums
from jaxmed.geometry.paths import primal_paths
from jaxmed.inference.leave_one_out import RowSums
from jaxmed.inference.robust_total import robust_test_from
from jaxmed.inference.total_indirect import TotalIndirectTest
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.joint_factor import factor_moments

__all__ = ["robust_total_test"]


def robust_total_test(merged: Merged, sums: Sequence[RoundSums]) -> TotalIndirectTest:
    """The test that holds where the spread of mediators and errors depends on anything.

    Equals `total_indirect_test(paths, data=pooled, variance="robust")` up to rounding.

    Args:
      merged: what the sites were given.
      sums: one answer from every site (`federated.round_sums`).
    Returns:
      TotalIndirectTest; VARIANCE_FALLBACK where HC3 replaces the outcome side.
    Raises:
      MergeError: a site is missing, there twice, answers to other moments or with other counts.
    """
    check_sums(merged, sums)
    names = ("variance", "hc3", "exposure_side", "exposure_hc3")
    outcome_side, hc3, exposure_side, exposure_hc3 = (
        np.float64(sum(getattr(s, name) for s in sums)) for name in names
    )
    moments = dataclasses.replace(analysed(merged), names=Names())
    exceeds = np.asarray(any(s.exceeds for s in sums))
    single = moments.num_mediators == 1
    total: Any = (outcome_side, hc3, exposure_side, exposure_hc3, exceeds)
    return _program(moments, RowSums(*total), single)


def _test(moments: CrossMoments, sums: RowSums, single: bool) -> TotalIndirectTest:
    return robust_test_from(primal_paths(factor_moments(moments)), sums, single=single)


_program = quick_jit(_test, ("single",))
