"""GAHMN: conditional generators of mediators and outcome, trained against critics."""

from jaxmed.deprecations import moved, old_modules
from jaxmed.estimands.generator import LinearPart
from jaxmed.gahmn.adversarial import Adversarial, GahmnDetails
from jaxmed.gahmn.config import BlockConfig, GahmnConfig, faithful, improved
from jaxmed.gahmn.counterfactual import Counterfactuals, counterfactuals, simulation_interval
from jaxmed.gahmn.estimator import gahmn
from jaxmed.gahmn.fitted import Fitted, linear_part, one_seed
from jaxmed.gahmn.rows import check_rows, holdout_rows

old_modules(__name__)
__getattr__ = moved(__name__)

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
