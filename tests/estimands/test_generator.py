"""What may stand in `generator=`: four methods or one that trains; what may not is said."""

import functools
import inspect
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from beyond_mediation import data, simulator

from jaxmed import estimands
from jaxmed.estimands.generator import generators_of

KEY = jax.random.key(1)
METHODS = ["mediator_noise", "mediators", "outcome_noise", "outcomes"]


def asked(generator, seeds=1):
    return generators_of(KEY, data(), generator, seeds)


def test_a_generator_has_four_methods():
    found = [n for n, _ in inspect.getmembers(estimands.Generator, inspect.isfunction)]
    assert [name for name in found if not name.startswith("_")] == METHODS
    assert isinstance(simulator(), estimands.Generator)
    found = asked(simulator(), seeds=3)
    assert found.count == 1 and found.one(0) is simulator() and int(found.status) == 0


class Sequel:
    """What trains: two simulators, of which the second has twice the direct effect."""

    def trained(self, key, data, seeds):
        del key, data
        own = simulator()

        def one(number):
            return own._replace(c=own.c * (1 + number))

        return estimands.Trained(seeds, one, jnp.int32(7))


def test_columns_are_means_over_what_was_trained():
    assert not isinstance(Sequel(), estimands.Generator)
    call = functools.partial(
        estimands.chain, KEY, data(weighted=True), [0, 1, 2], basis="linear", adjust="all", draws=2
    )
    many, alone = call(generator=Sequel(), seeds=2), call(generator=simulator())
    more = 0.5 * float(simulator().c)
    np.testing.assert_allclose(many.generated - alone.generated, [more, 0, 0, 0, more], atol=1e-10)
    assert int(many.generator_status) == 7 and int(many.status) == 0


@pytest.mark.parametrize("wrong", [3, "improved", len, type(simulator()), object()])
def test_anything_else_is_refused_with_what_there_is(wrong):
    with pytest.raises(ValueError, match="generator must be None, a configuration .* four methods"):
        asked(wrong)


def test_draws_of_another_shape_are_refused():
    class Column(type(simulator())):
        def outcomes(self, noise, exposure, mediators, covariates):
            return super().outcomes(noise, exposure, mediators, covariates)[:, None]

    message = r"mediators \[240, 6\] and outcomes \[240\], not \[240, 6\] and \[240, 1\]"
    with pytest.raises(ValueError, match=message):
        asked(Column(*simulator()))


WITHOUT = """
import sys
import jax, numpy as np
import jaxmed
rng = np.random.default_rng(0)
t, x = np.arange(60) % 2.0, rng.normal(size=(60, 1))
m = rng.normal(size=(60, 2)) + t[:, None]
data = jaxmed.mediation_data(t, m, m.sum(axis=1) + rng.normal(size=60), x)
key, linear = jax.random.key(0), {"basis": "linear"}
jaxmed.estimands.disparity(key, data, {"a": [0]}, **linear)
jaxmed.estimands.chain(key, data, [0], adjust="all", **linear)
jaxmed.estimands.policy_value(key, data, x[:, 0] > 0, **linear)
jaxmed.estimands.shift_value(key, data, {0: 1.0}, **linear)
print(*[m for m in ("flax", "optax", "jaxmed.gahmn") if m in sys.modules])
"""


def test_without_a_generator_nothing_of_the_networks_is_imported():
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT], capture_output=True, text=True, timeout=200, cwd=root
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
