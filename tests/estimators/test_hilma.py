"""HILMA against its releases, and what compat="correct" promises."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_data as rd

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.distributions.tails import normal_two_sided
from jaxmed.estimators.hilma import hilma
from jaxmed.estimators.hilma_kernel import debiased, moments_of
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.reference import ReferenceWouldStop
from jaxmed.estimators.parts.rows import rows_of


@functools.cache
def program(**options):
    """Without the mediators' product intervals, the slowest part to compile."""
    estimator = hilma(**options)

    def numbers(data):
        found = estimator(None, data)
        return found.effects, found.standard_errors, found.selected, found.status, found.details

    return jax.jit(numbers)


WALD = jax.jit(debiased)
two_sided = jax.jit(normal_two_sided)


def triple(effects):
    return np.array([effects.indirect, effects.direct, effects.total])


@pytest.mark.parametrize(
    "alias",
    rd.mostly_slow(["med", "lin", "mx400", "mx20", "hco", "gA100", "gB100", "gA500"], "lin"),
)
def test_release_has_no_correction(alias):
    stored = rd.call(alias, "hdmed_hilma")["result"]["a1"]
    effects, errors, *_, details = program(compat="r")(rd.data(alias, covariates=False))
    np.testing.assert_allclose(triple(effects), stored["estimate"], rtol=1e-8, atol=1e-10)
    p = float(two_sided(effects.indirect / errors.indirect))
    np.testing.assert_allclose(p, stored["pv"][0], rtol=1e-8, atol=1e-15)
    assert (np.asarray(details.omega) == 0).all() and not np.asarray(details.feasible).any()


CALLS = [(alias, "lam") for alias in ("gA100", "gB100", "med", "hco", "lin", "mx20", "mx400")]
CALLS += [(alias, "aic") for alias in ("med", "lin", "mx20")]
CALLS += [(alias, "complete") for alias in ("med", "lin", "mx20", "mx400")]
MOMENTS = jax.jit(
    lambda data, complete: moments_of(legs_of(rows_of(data)), standardise=False, complete=complete),
    static_argnums=1,
)


def stored_omega(record, k):
    return np.stack(
        [np.array([np.ravel(row)[k] for row in s["beta"]]) for s in record["intermediate"]["slim"]]
    )


@pytest.mark.parametrize(
    "alias, kind",
    [c if c[0] == "lin" else pytest.param(*c, marks=pytest.mark.slow) for c in CALLS],
)
def test_wald_steps_of_the_release(alias, kind):
    """Steps 2 and 4 from the stored scaled lasso and Omega; with "aic" also its criterion."""
    record = rd.call(alias, f"freebird_hilma_{kind}")
    moments = MOMENTS(rd.data(alias, covariates=False), kind == "complete")
    lasso, result = record["intermediate"]["scaled_lasso"], record["result"]
    penalties = np.atleast_1d(record["intermediate"]["slim"][0]["lambda"])
    chosen = int(np.argmin(np.abs(penalties - result["lambda_used"])))
    if kind == "aic":
        target = np.asarray(moments.targets * moments.sd)
        criterion = []
        for k in range(len(penalties)):
            omega = stored_omega(record, k)
            worst = np.abs(target - omega @ np.asarray(moments.gram)).max()
            criterion.append(float(moments.count) * worst + 2 * np.sum(omega != 0))
        assert int(np.argmin(criterion)) == chosen
    omega = stored_omega(record, chosen)
    wald = WALD(moments, np.ravel(lasso["coefficients"]), np.asarray(lasso["hsigma"]), omega)
    np.testing.assert_allclose(wald.indirect, result["beta_hat"], rtol=1e-10)
    p = two_sided(wald.indirect / np.sqrt(np.asarray(wald.covariance)[0, 0]))
    np.testing.assert_allclose(p, result["pvalue_beta_hat"], rtol=1e-8, atol=1e-15)
    if kind != "complete":
        np.testing.assert_allclose(wald.direct, np.ravel(result["alpha1_hat"])[0], rtol=1e-10)


# In every run test_wald_steps_of_the_release has the criterion, from the stored columns.
@pytest.mark.slow
@pytest.mark.parametrize("alias", ["lin", "mx20"])
def test_aic_chooses_the_releases_penalty(alias):
    result = rd.call(alias, "freebird_hilma_aic")["result"]
    effects, *_, details = program(compat="r", tuning="aic")(rd.data(alias, covariates=False))
    np.testing.assert_allclose(details.penalty, result["lambda_used"], rtol=1e-10)
    # Its rows end off the constraint; ours are exact.
    assert np.asarray(details.feasible).all()
    assert abs(float(effects.indirect) - result["beta_hat"]) < 5e-3


@pytest.mark.slow
@pytest.mark.programs(200, reason="it can raise outside of programs only")
def test_release_stops_where_its_solver_diverges():
    data = rd.data("gA500", covariates=False)
    *_, status, _ = program(compat="r", lam=0.0262776)(data)
    assert int(status) == st.REFERENCE_STOPS
    with pytest.raises(ReferenceWouldStop, match="diverges"):
        hilma(compat="r", lam=0.0262776)(None, data)


def with_weights(data, weights):
    return MediationData(
        data.exposure, data.mediators, data.outcome, data.covariates, weights, data.names
    )


@pytest.mark.slow
def test_weights_are_copies():
    data = rd.data("lin")
    weights = np.resize([1.0, 2.0, 0.0, 1.0], 150)
    copies = np.repeat(np.arange(150), weights.astype(int))
    copied = MediationData(
        data.exposure[copies],
        data.mediators[copies],
        data.outcome[copies],
        data.covariates[copies],
        None,
        data.names,
    )
    for a, b in zip(
        jax.tree.leaves(program()(with_weights(data, weights))),
        jax.tree.leaves(program()(copied)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-9)


def test_units_and_certificates():
    data = rd.data("lin")
    effects, errors, _, status, details = program()(data)
    assert int(status) == st.OK and np.asarray(details.feasible).all()
    assert float(details.excess.max()) < 1e-8 and float(np.abs(details.duality_gap).max()) < 1e-8
    other = MediationData(
        data.exposure * 10,
        data.mediators * np.resize([0.01, 1.0, 100.0], 30),
        data.outcome * 3,
        data.covariates * 7 + 1,
        None,
        data.names,
    )
    effects2, errors2, *_ = program()(other)
    np.testing.assert_allclose(triple(effects2), 0.3 * triple(effects), rtol=1e-6)
    np.testing.assert_allclose(triple(errors2), 0.3 * triple(errors), rtol=1e-6)


@pytest.mark.slow
def test_wide_and_degenerate():
    rng = np.random.default_rng(0)
    a, m = rng.normal(size=30), rng.normal(size=(30, 45))
    m[:, 7] = 2.0
    y = 0.0 * a
    none = np.zeros((30, 0))
    effects, _, selected, status, details = program()(MediationData(a, m, y, none))
    assert not np.asarray(selected).any() and np.isnan(triple(effects)).all()
    assert int(status) == st.CONSTANT_OUTCOME
    y = a + m[:, 0] + rng.normal(size=30)
    _, errors, selected, status, _ = program()(MediationData(a, m, y, none))
    assert np.isfinite(triple(errors)).all() and not bool(selected[7])
    one = program()(MediationData(a, m[:, :1], y, none))
    assert int(one[3]) == st.OK and np.isfinite(triple(one[0])).all()


@pytest.mark.slow
def test_complete_mediation_and_separate_covariates():
    data = rd.data("lin")
    effects, errors, _, status, details = program(complete=True)(data)
    assert (
        int(status) == st.NOT_ADDITIVE
        and float(effects.direct) == 0
        and np.isnan(float(errors.direct))
    )
    assert float(errors.total) == float(errors.indirect) > 0
    assert details.omega.shape == (1, 30) and float(effects.total) == float(effects.indirect)
    both = triple(program()(data)[0])
    split = triple(program(covariates_mediator=(0,))(data)[0])
    assert np.isfinite(split).all() and np.abs(split - both).max() > 1e-6


@pytest.mark.slow
def test_coverage():
    """Sparse linear truth; the interval of TIE and DE within 4 binomial errors of 95%."""
    alpha, beta, count = np.zeros(20), np.zeros(20), 300
    alpha[:6], beta[:3] = 0.5, 0.6
    fit = program()

    def one(key):
        keys = jax.random.split(key, 3)
        a = jax.random.normal(keys[0], (250,))
        m = a[:, None] * alpha + jax.random.normal(keys[1], (250, 20))
        y = 0.5 * a + m @ beta + jax.random.normal(keys[2], (250,))
        effects, errors, *_ = fit(MediationData(a, m, y, jnp.zeros((250, 0))))
        return (
            jnp.abs(effects.indirect - 0.9) < 1.96 * errors.indirect,
            jnp.abs(effects.direct - 0.5) < 1.96 * errors.direct,
        )

    hits = jax.jit(lambda keys: jax.lax.map(one, keys))(jax.random.split(jax.random.key(1), count))
    for hit in hits:
        assert abs(np.mean(hit) - 0.95) < 4 * np.sqrt(0.95 * 0.05 / count)


def test_configuration():
    for wrong in ({"tuning": "cv"}, {"num_penalties": 1}, {"penalty_ratio": 1.0}):
        with pytest.raises(ValueError, match="must be"):
            hilma(**wrong)
    with pytest.raises(ValueError, match="compat"):
        hilma(compat="R")
