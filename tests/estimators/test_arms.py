"""Which two exposures are compared."""

import jax
import numpy as np

from jaxmed.estimators.parts.arms import Arms
from jaxmed.estimators.parts.arms import arms_of as eager_arms_of


def test_arms_of_binary_and_numeric_exposures():
    arms_of = jax.jit(eager_arms_of)
    ones = np.ones(8)
    rare = np.asarray([0, 0, 0, 0, 0, 0, 0, 1.0])
    assert arms_of(rare, ones) == Arms(0.0, 1.0)
    numeric = arms_of(np.arange(8.0), ones)
    assert (numeric.control, numeric.treated) == (1.0, 5.0)
    mostly = arms_of(np.asarray([0, 0, 0, 0, 0, 0, 1.0, 2.0]), ones)
    assert (mostly.control, mostly.treated) == (0.0, 2.0)
    weights = np.asarray([1, 1, 1, 1, 1, 1, 1, 0.0])
    assert arms_of(np.where(np.arange(8) == 6, 2.0, rare), weights) == Arms(0.0, 2.0)
