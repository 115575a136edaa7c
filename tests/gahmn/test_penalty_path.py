"""The penalty by held-out rows: its loss against NumPy, common curves, weak effects."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status as st
from jaxmed.data.mediation_data import Names
from jaxmed.gahmn import gahmn, improved
from jaxmed.gahmn.fitting import Penalties
from jaxmed.gahmn.penalty_path import MULTIPLES, PathFit, mediator_loss, path_of
from jaxmed.gahmn.scaling import Scaled
from jaxmed.studies.gahmn.firms import look_alike, paths_of

KEY = jax.random.key(2)
ALPHA = np.array([2.0, -1.5, 0.0])


def rows(n=400):
    rng = np.random.default_rng(0)
    t = (rng.random(n) < 0.4).astype(float)
    m = 2 + t[:, None] * ALPHA + rng.normal(size=(n, 3))
    return Scaled(
        *map(jnp.asarray, (t, m, rng.normal(size=n), rng.normal(size=(n, 1)))),
        jnp.asarray(rng.integers(0, 3, n), float),
        jnp.asarray([True, True, False]),
    )


def test_loss_of_the_exposures_part_against_numpy():
    held = rows()
    left, w = np.asarray(held.mediators), np.asarray(held.weights)
    copied = np.repeat(np.arange(len(w)), w.astype(int))
    error = (left - np.outer(held.exposure, ALPHA))[copied][:, :2]
    assert float(mediator_loss(held, jnp.asarray(left), jnp.asarray(ALPHA))) == pytest.approx(
        error.var(axis=0).mean(), rel=1e-12
    )


def test_curves_of_single_fits_do_not_decide():
    """Fits with the true effects at one multiple, and curves that are off by more than these."""
    held, count = rows(), len(MULTIPLES)
    shrunk = jnp.asarray([1.6, 1.3, 1.0, 0.7, 0.5, 0.3, 0.1, 0.0])
    noise = 0.5 * jax.random.normal(KEY, (count, round(0.2 * 400), 3))
    fits = PathFit(
        jnp.ones((count, 3), bool),
        shrunk[:, None] * ALPHA,
        2 + noise - noise.mean(axis=0),
        jnp.asarray([3.0, 2.0, 1.0, 0.5, jnp.nan, 1.0, 2.0, 3.0]),
    )
    base = Penalties(jnp.asarray(0.1), jnp.asarray(0.2))
    found = jax.jit(lambda d, f: path_of(KEY, d, base, f))(held, fits)
    assert int(np.argmin(found.loss[:, 0])) in (1, 2, 3)
    assert float(found.chosen.outcome) == pytest.approx(0.2 * MULTIPLES[3])
    assert found.loss.shape == (count, 2) and float(found.best[1]) == pytest.approx(MULTIPLES[3])
    # A fit that diverged is left out of the curves and is not chosen.
    broken = dataclasses.replace(fits, curve=fits.curve.at[0].set(jnp.nan))
    broken = dataclasses.replace(broken, alpha=broken.alpha.at[0].set(jnp.nan))
    again = jax.jit(lambda d, f: path_of(KEY, d, base, f))(held, broken)
    assert float(again.best[0]) > MULTIPLES[0] and np.isnan(again.loss[0, 0])


@pytest.mark.slow
def test_weak_effects_that_the_configured_penalty_loses():
    """Exposure effects of a sixth of a standard deviation, 3000 rows: t values about 4."""
    data = dataclasses.replace(look_alike(jax.random.key(1), 3000, 20), names=Names())
    alpha = np.asarray(paths_of(20)[0])
    kept = {}
    for tuning in ("given", "path"):
        found = jax.jit(gahmn(improved(), interval="ols", tuning=tuning))(KEY, data)
        kept[tuning] = np.asarray(found.details.adversarial.alpha) != 0
        flat = int(found.details.adversarial.status) == st.CRITIC_FLAT
        assert flat == (tuning == "given")
    assert not kept["given"].any()
    assert kept["path"][alpha != 0].mean() >= 0.75
