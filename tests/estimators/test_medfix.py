"""MedFix against the release, with its folds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_data as reference

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.medfix import FoldIds, medfix

SLOW = [(a, "hdmed_medfix_lasso") for a in reference.ALL_8 if a != "lin"]
SLOW += [(a, "hdmed_medfix") for a in ("med", "lin", "mx20", "gA100")]
CALLS = [("lin", "hdmed_medfix_lasso"), *(pytest.param(*c, marks=pytest.mark.slow) for c in SLOW)]


@pytest.mark.parametrize(("alias", "name"), CALLS)
def test_release(alias, name):
    stored, data = reference.call(alias, name), reference.data(alias)
    inner, result = stored["intermediate"], stored["result"]
    n, p = data.mediators.shape
    grid = inner["lambda2_grid"]
    own = np.zeros((0, n)) if grid is None else np.asarray(grid["foldid"]).reshape(-1, n)
    first, second = inner["initial_fit"], inner["adaptive_fit"]
    ids = FoldIds(
        *(np.asarray(f).astype(int) - 1 for f in (own, first["foldid"], second["foldid"]))
    )
    fit = medfix(nlambda2=len(own), fold_ids=ids, compat="r")
    estimate = jax.tree.map(np.asarray, jax.jit(lambda d: fit(None, d))(data))
    details = estimate.details
    assert int(estimate.status) == st.OK
    if grid is not None:
        np.testing.assert_allclose(details.ridge_loss, grid["min_cvm"], atol=5e-4)
    np.testing.assert_allclose(details.initial.penalties, first["lambda"], rtol=1e-10)
    # Beyond the choice the path is dense (gA500: 500 columns of 800 rows) and gcdnet stops early:
    # its losses there are off by up to 1.3e-3, and no choice depends on them.
    reached = int(np.argmin(first["cvm"])) + 10
    np.testing.assert_allclose(details.initial.loss[:reached], first["cvm"][:reached], atol=5e-4)

    where = reference.positions(stored["result"]["contributions"]["mediator"], p)
    table = {k: np.asarray(v) for k, v in result["contributions"].items() if k != "mediator"}
    selected = np.zeros(p, bool)
    selected[where] = table["beta"] != 0
    message = (
        f"chosen {details.initial.chosen}, {details.adaptive.chosen}; losses "
        f"{details.initial.loss.min()} and {first['min_cvm']}, "
        f"{details.adaptive.loss.min()} and {second['min_cvm']}"
    )
    np.testing.assert_array_equal(estimate.selected, selected, err_msg=message)
    unit = np.nanmax(np.abs(table["beta"]))
    ours = np.asarray(estimate.mediators.beta)[where]
    np.testing.assert_allclose(ours, table["beta"], atol=2e-3 * unit, err_msg=message)
    alpha = np.asarray(estimate.mediators.alpha)[where]
    np.testing.assert_allclose(alpha, table["alpha"], rtol=1e-8)
    np.testing.assert_allclose(estimate.mediators.alpha_p[where], table["alpha_pv"], rtol=1e-6)
    np.testing.assert_allclose(estimate.effects.total, table["te"][0], rtol=1e-9)


def simulated(n=80, p=8, signal=1.0):
    rng = np.random.default_rng(5)
    x, t = rng.standard_normal((n, 1)), rng.standard_normal(n)
    m = rng.standard_normal((n, p)) + x
    m[:, :2] += t[:, None]
    y = signal * m[:, :3].sum(axis=1) + t + x[:, 0] + rng.standard_normal(n)
    return t, m, y, x


def initial_of(estimate):
    """Without what follows the first fit, which this test would only compile."""
    return dataclasses.replace(estimate.details, adaptive=None)


@pytest.mark.slow
def test_ridges_are_those_asked_for():
    """The elastic net meets its optimality conditions with a ridge of the range."""
    t, m, y, x = simulated()
    fit = medfix(
        nlambda2=1, lambda2=(0.3, 0.3), folds=3, num_penalties=10, fold_ids=np.arange(80) % 3
    )
    details = jax.tree.map(
        np.asarray, jax.jit(lambda d: initial_of(fit(None, d)))(MediationData(t, m, y, x))
    )
    np.testing.assert_allclose(details.ridges, [0.3], rtol=1e-12)
    base = np.c_[np.ones(80), t, x]
    columns, outcome = (v - base @ np.linalg.lstsq(base, v, rcond=None)[0] for v in (m, y))
    # Penalties are of columns of mean square 1, coefficients of variables of variance 1.
    columns, outcome = columns / columns.std(axis=0), outcome / outcome.std(ddof=1)
    b = np.asarray(details.initial.coefficients) * np.sqrt(79 / 80)
    score = columns.T @ (outcome - columns @ b) / 80 - 0.3 * b
    penalty = details.initial.penalties[details.initial.chosen]
    assert np.any(b != 0) and np.all(np.abs(score) <= penalty + 1e-8)
    np.testing.assert_allclose(score[b != 0], penalty * np.sign(b[b != 0]), atol=1e-8)


@pytest.mark.slow
def test_weights_are_row_counts_and_effects_add_up():
    t, m, y, x = simulated()
    m[:, 7] = 2.0
    counts = np.random.default_rng(0).integers(0, 3, len(t))
    folds = np.arange(len(t)) % 4
    keep = np.repeat(np.arange(len(t)), counts)
    fits = [
        jax.jit(lambda d, f=f: medfix(nlambda2=2, folds=4, fold_ids=f)(None, d))(d)
        for f, d in (
            (folds, MediationData(t, m, y, x, counts.astype(float))),
            (folds[keep], MediationData(t[keep], m[keep], y[keep], x[keep])),
        )
    ]
    for one, two in zip(*map(jax.tree.leaves, fits), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-7, atol=1e-8)
    estimate = fits[0]
    assert estimate.selected[:3].all() and not estimate.selected[7]
    assert int(estimate.mediators.reason[7]) == st.CONSTANT_MEDIATOR
    assert float(estimate.details.adaptive.violation) < 1e-11
    assert float(estimate.details.initial.violation) < 1e-11
    effects = estimate.effects
    np.testing.assert_allclose(effects.direct + effects.indirect, effects.total, rtol=1e-12)


@pytest.mark.slow
def test_nothing_to_select():
    t, m, _, x = simulated()
    fit = jax.jit(lambda d: medfix(nlambda2=0, fold_ids=np.arange(80) % 10)(None, d))
    estimate = fit(MediationData(t, m, jnp.asarray(t), x))
    assert int(estimate.status) == st.EMPTY_SELECTION and not estimate.selected.any()
    assert float(estimate.effects.indirect) == 0
    with pytest.raises(ValueError, match="pass a key"):
        jax.eval_shape(lambda d: medfix()(None, d), MediationData(t, m, t, x))
