"""The joint test with the leave-one-out variance from the sums of several sites."""

import dataclasses
from collections.abc import Sequence

from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import Names
from jaxmed.federated.merged import Merged
from jaxmed.federated.second_round import RoundSums, analysed, check_sums
from jaxmed.geometry.paths import primal_paths
from jaxmed.inference.joint_test import JointTest, joint_test_from
from jaxmed.inference.leave_one_out import usable_variance
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.joint_factor import factor_moments
from jaxmed.typing import Array

__all__ = ["leave_one_out_test"]


def leave_one_out_test(merged: Merged, sums: Sequence[RoundSums]) -> JointTest:
    """The joint test whose T1 is protected against heteroscedastic outcome errors.

    Equals `joint_test(paths, data=pooled, variance="leave_one_out")` up to rounding.

    Args:
      merged: what the sites were given.
      sums: one answer from every site (`federated.round_sums`).
    Returns:
      JointTest; VARIANCE_FALLBACK where HC3 replaces the variance.
    Raises:
      MergeError: a site is missing, there twice, answers to other moments or with other counts.
    """
    check_sums(merged, sums)
    variance, hc3 = (float(sum(getattr(s, name) for s in sums)) for name in ("variance", "hc3"))
    moments = dataclasses.replace(analysed(merged), names=Names())
    return _program(moments, variance, hc3, any(s.exceeds for s in sums))


def _test(moments: CrossMoments, variance: Array, hc3: Array, exceeds: Array) -> JointTest:
    q = primal_paths(factor_moments(moments)).quadratics
    return joint_test_from(q, *usable_variance(q, variance, hc3, exceeds))


_program = quick_jit(_test)
