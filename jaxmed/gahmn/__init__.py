"""GAHMN: conditional generators of mediators and outcome, trained against critics."""

from jaxmed.gahmn.adversarial import Adversarial, GahmnDetails
from jaxmed.gahmn.chain import Chain, chain
from jaxmed.gahmn.config import BlockConfig, GahmnConfig, faithful, improved
from jaxmed.gahmn.counterfactual import Counterfactuals, counterfactuals, simulation_interval
from jaxmed.gahmn.disparity import Disparity, GeneratedDisparity, disparity
from jaxmed.gahmn.estimator import gahmn
from jaxmed.gahmn.fitted import Fitted, LinearPart, linear_part, one_seed
from jaxmed.gahmn.policy import PolicyValue, policy_value
from jaxmed.gahmn.rows import check_rows, holdout_rows
from jaxmed.gahmn.shift import ShiftValue, shift_value
from jaxmed.gahmn.terms import Term, Terms

__all__ = [
    "Adversarial",
    "BlockConfig",
    "Chain",
    "Counterfactuals",
    "Disparity",
    "Fitted",
    "GahmnConfig",
    "GahmnDetails",
    "GeneratedDisparity",
    "LinearPart",
    "PolicyValue",
    "ShiftValue",
    "Term",
    "Terms",
    "chain",
    "check_rows",
    "counterfactuals",
    "disparity",
    "faithful",
    "gahmn",
    "holdout_rows",
    "improved",
    "linear_part",
    "one_seed",
    "policy_value",
    "shift_value",
    "simulation_interval",
]
