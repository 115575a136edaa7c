"""GAHMN: conditional generators of mediators and outcome, trained against critics."""

from jaxmed.gahmn.config import BlockConfig, GahmnConfig, faithful, improved
from jaxmed.gahmn.counterfactual import Counterfactuals, counterfactuals, simulation_interval
from jaxmed.gahmn.estimator import Adversarial, GahmnDetails, check_rows, gahmn, holdout_rows
from jaxmed.gahmn.fitted import Fitted, LinearPart, linear_part, one_seed

__all__ = [
    "Adversarial",
    "BlockConfig",
    "Counterfactuals",
    "Fitted",
    "GahmnConfig",
    "GahmnDetails",
    "LinearPart",
    "check_rows",
    "counterfactuals",
    "faithful",
    "gahmn",
    "holdout_rows",
    "improved",
    "linear_part",
    "one_seed",
    "simulation_interval",
]
