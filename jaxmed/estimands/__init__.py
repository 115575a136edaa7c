"""Quantities beyond one indirect effect, each with an interval: parts, paths, values of policies.

The estimates are least squares and doubly robust means with their influence functions. Generators
add a column of draws where they are given.
"""

from jaxmed.estimands.chain import Chain, chain
from jaxmed.estimands.disparity import Disparity, GeneratedDisparity, disparity
from jaxmed.estimands.generator import (
    Generator,
    LinearPart,
    PartiallyLinear,
    Trainable,
    Trained,
)
from jaxmed.estimands.policy import PolicyValue, policy_value
from jaxmed.estimands.shift import ShiftValue, shift_value
from jaxmed.estimands.terms import Term, Terms

__all__ = [
    "Chain",
    "Disparity",
    "GeneratedDisparity",
    "Generator",
    "LinearPart",
    "PartiallyLinear",
    "PolicyValue",
    "ShiftValue",
    "Term",
    "Terms",
    "Trainable",
    "Trained",
    "chain",
    "disparity",
    "policy_value",
    "shift_value",
]
