"""One small training that the tests of this folder share."""

import jax
import jax.numpy as jnp
import pytest

from jaxmed.gahmn import improved
from jaxmed.gahmn.scaling import scale_of, scaled
from jaxmed.simulate.partially_linear import partially_linear, sample

ROWS, MEDIATORS, STEPS = 300, 12, 150


@pytest.fixture(scope="session")
def data():
    drawn = jax.jit(lambda k, m: sample(k, m, ROWS))
    return drawn(jax.random.key(4), partially_linear("A", MEDIATORS))


@pytest.fixture(scope="session")
def config():
    return improved().with_steps(STEPS)


@pytest.fixture(scope="session")
def ready(data):
    """The data as networks see them, in float64: comparisons are to rounding."""
    return jax.jit(lambda d: scaled(d, scale_of(d), jnp.dtype(jnp.float64)))(data)
