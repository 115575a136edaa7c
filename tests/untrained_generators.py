"""GAHMN's generators without their training, which tests of identities do not need."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from beyond_mediation import NAMES, data

from jaxmed.gahmn import Fitted, improved
from jaxmed.gahmn.fitting import Generators
from jaxmed.gahmn.networks import OutcomeGenerator, mediator_generator
from jaxmed.gahmn.scaling import scale_of


@functools.cache
def generators():
    """Untrained generators whose linear parts are not zero: effects are identities in them."""
    config, dtype = improved(), np.dtype("float32")
    mediators = mediator_generator(config, len(NAMES), 2, dtype)
    outcome = OutcomeGenerator(config, len(NAMES), 2, dtype)
    first, second, noise = map(drawn, (mediators.init, outcome.init, mediators.mean_noise))
    first["exposure"] = np.asarray([0.5, 0.3, 0, 0.4, 0, -0.2], dtype)
    second["mediators"] = np.asarray([0.4, 0, 0.3, 0.3, 0, 0.2], dtype)
    second["exposure"] = np.asarray(0.25, dtype)
    left = Generators(
        first,
        second,
        noise,
        np.linspace(0.5, 1.5, len(NAMES)),
        None,
        None,
        first["exposure"] != 0,
        second["mediators"] != 0,
    )
    left = jax.tree.map(lambda leaf: jnp.asarray(leaf[None]), left)
    return Fitted(jax.jit(scale_of)(data()), left, config)


def drawn(init):
    """Arrays of the shapes that an initialisation makes, drawn without compiling it."""
    rng = np.random.default_rng(7)

    def one(leaf):
        scale = leaf.shape[0] ** -0.5 if leaf.ndim > 1 else 1.0
        return (scale * rng.normal(size=leaf.shape)).astype(leaf.dtype)

    return jax.tree.map(one, jax.eval_shape(init, jax.random.key(0)))
