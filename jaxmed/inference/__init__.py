"""Tests, intervals and power of the composite mediator; pure functions of paths or rows."""

from jaxmed.inference.cosine_test import CosineTest, corrected_cosine_test, cosine_test
from jaxmed.inference.dual_total import DualTotalTest, dual_total_test
from jaxmed.inference.intersection_union import IntersectionUnionTest, intersection_union_test
from jaxmed.inference.intervals import (
    IndirectEstimates,
    IndirectInterval,
    indirect_estimates,
    indirect_interval,
    indirect_intervals,
)
from jaxmed.inference.joint_test import JointTest, joint_test
from jaxmed.inference.power import power, printed_cosine_power, sample_size, size
from jaxmed.inference.total_indirect import TotalIndirectTest, total_indirect_test

__all__ = [
    "CosineTest",
    "DualTotalTest",
    "IndirectEstimates",
    "IndirectInterval",
    "IntersectionUnionTest",
    "JointTest",
    "TotalIndirectTest",
    "corrected_cosine_test",
    "cosine_test",
    "dual_total_test",
    "indirect_estimates",
    "indirect_interval",
    "indirect_intervals",
    "intersection_union_test",
    "joint_test",
    "power",
    "printed_cosine_power",
    "sample_size",
    "size",
    "total_indirect_test",
]
