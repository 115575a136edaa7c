"""Least squares on all mediators against explicit matrices, and what must not change it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from estimators.effects_oracle import Problem

from jaxmed import status
from jaxmed.data.mediation_data import MediationData
from jaxmed.distributions.fieller import BOUNDED
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.estimators.ols import ols
from jaxmed.estimators.parts.basis import default_splines

N, P, Q = 90, 7, 2
FITTED = {
    (basis, variance): jax.jit(ols(basis=basis, variance=variance))
    for basis in ("splines_all_products", "linear")
    for variance in ("difference", "path_sum")
}
splines = jax.jit(default_splines)
pytestmark = pytest.mark.float32
X64 = jax.config.jax_enable_x64
EXACT, CLOSE = (1e-10, 1e-7) if X64 else (1e-4, 2e-3)


def problem(n=N, p=P, q=Q, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, q))
    shape = np.tanh(x[:, :1]) + x[:, 1:2] ** 2 if q else np.zeros((n, 1))
    t = (rng.random(n) < 0.5) + 0.3 * shape[:, 0]
    m = t[:, None] * rng.uniform(-1, 1, p) + shape + (0.5 + t[:, None]) * rng.normal(size=(n, p))
    y = 1 + 0.5 * t + m[:, : min(p, 3)].sum(1) + shape[:, 0] + rng.normal(size=n) * (0.5 + t)
    return MediationData(*(np.asarray(v, float) for v in (t, m, y, x)))


def oracle(data, basis):
    ones = np.ones((len(data.exposure), 1))
    x = data.covariates
    if basis == "splines_all_products":
        x = np.asarray(splines(x, ones[:, 0]))
    return Problem(data.exposure, data.mediators, data.outcome, np.c_[ones, x])


@pytest.mark.skipif(not X64, reason="compared in float64")
@pytest.mark.parametrize(
    ("basis", "variance"), [("splines_all_products", "difference"), ("linear", "path_sum")]
)
def test_against_explicit_matrices(basis, variance):
    data = problem()
    peer = oracle(data, basis)
    found = jax.tree.map(np.asarray, FITTED[basis, variance](None, data))
    direct, indirect, direct_var, indirect_var = peer.effects(np.ones(P, bool), variance)
    np.testing.assert_allclose(found.effects.direct, direct, rtol=1e-9)
    np.testing.assert_allclose(found.effects.indirect, indirect, rtol=1e-9)
    np.testing.assert_allclose(found.standard_errors.direct, np.sqrt(direct_var), rtol=1e-8)
    np.testing.assert_allclose(found.standard_errors.indirect, np.sqrt(indirect_var), rtol=1e-8)
    pairs = [peer.coefficient(k, np.arange(P)) for k in range(P)]
    np.testing.assert_allclose(found.mediators.beta, [b for b, _ in pairs], rtol=1e-8)
    np.testing.assert_allclose(found.mediators.beta_se**2, [v for _, v in pairs], rtol=1e-8)
    np.testing.assert_allclose(found.mediators.alpha, peer.alpha, rtol=1e-9)
    np.testing.assert_allclose(found.mediators.alpha_se**2, peer.alpha_var, rtol=1e-8)
    np.testing.assert_allclose(found.details.df, N - P - 1 - peer.q)


@pytest.mark.slow
def test_parts_add_up_and_the_total_is_that_without_mediators():
    data = problem()
    found = FITTED["splines_all_products", "path_sum"](None, data)
    whole = found.effects.direct + found.effects.indirect
    np.testing.assert_allclose(found.effects.total, whole, atol=EXACT)
    np.testing.assert_allclose(np.sum(found.mediators.indirect), found.effects.indirect, atol=EXACT)
    peer = oracle(data, "splines_all_products")
    np.testing.assert_allclose(whole, peer.total, atol=EXACT)
    # IF of the total: t r / S through the outcome noise, and the noise of alpha.
    residual = peer.fit(np.arange(P))
    score = (peer.t / peer.ss) ** 2
    variance = np.sum(score * residual[1] ** 2 / (1 - residual[2]))
    variance += np.sum(score * (peer.u - residual[1]) ** 2 / (1 - peer.h0) ** 2)
    np.testing.assert_allclose(found.standard_errors.total**2, variance, rtol=CLOSE)


@pytest.mark.slow
def test_weights_are_copies():
    data = problem()
    times = np.random.default_rng(1).integers(1, 4, N)
    weighted = MediationData(
        data.exposure, data.mediators, data.outcome, data.covariates, times.astype(float)
    )
    copied = MediationData(
        *(np.repeat(v, times, axis=0) for v in (data.exposure, data.mediators, data.outcome)),
        np.repeat(data.covariates, times, axis=0),
    )
    for key in FITTED:
        one = jax.jit(ols(basis=key[0], variance=key[1]))(None, weighted)
        two = FITTED[key](None, copied)
        for left, right in (
            (one.effects, two.effects),
            (one.standard_errors, two.standard_errors),
            (one.mediators, two.mediators),
        ):
            jax.tree.map(
                lambda a, b: np.testing.assert_allclose(a, b, rtol=CLOSE, atol=CLOSE), left, right
            )
        if not X64:
            break


def test_units_and_order_of_mediators():
    data = problem()
    order, scale = np.r_[3, 0, 6, 5, 2, 1, 4], np.r_[-2.0, 0.1, 5, 1, 3, 0.5, 10]
    moved = MediationData(
        data.exposure, (data.mediators * scale)[:, order], data.outcome, data.covariates
    )
    fit = FITTED["splines_all_products", "difference"]
    one, two = (jax.tree.map(np.asarray, fit(None, d)) for d in (data, moved))
    np.testing.assert_allclose(one.effects.indirect, two.effects.indirect, rtol=CLOSE)
    np.testing.assert_allclose(
        one.standard_errors.indirect, two.standard_errors.indirect, rtol=CLOSE
    )
    np.testing.assert_allclose(
        one.mediators.indirect[order], two.mediators.indirect, rtol=CLOSE, atol=CLOSE
    )


def test_constant_mediators_and_too_few_rows():
    data = problem()
    flat = MediationData(
        data.exposure,
        np.c_[data.mediators[:, :2], np.ones(N), data.mediators[:, 3:]],
        data.outcome,
        data.covariates,
    )
    found = FITTED["linear", "path_sum"](None, flat)
    rest = MediationData(
        data.exposure, np.delete(data.mediators, 2, 1), data.outcome, data.covariates
    )
    peer = oracle(rest, "linear").effects(np.ones(P - 1, bool), "path_sum")
    np.testing.assert_allclose(found.effects.indirect, peer[1], rtol=CLOSE)
    assert int(found.mediators.reason[2]) == status.CONSTANT_MEDIATOR
    assert np.isnan(found.mediators.beta[2])
    assert not found.selected[2]

    @jax.jit
    def of_few(data):
        found = ols(basis="linear")(None, data)
        return found.status, found.effects.direct, found.mediators.beta

    code, direct, beta = of_few(problem(n=20, p=17))
    assert int(code) == status.TOO_FEW_ROWS
    assert np.isnan(direct)
    assert np.isnan(beta).all()
    twins = MediationData(
        data.exposure,
        np.c_[data.mediators[:, :6], data.mediators[:, 0]],
        data.outcome,
        data.covariates,
    )
    both = FITTED["linear", "path_sum"](None, twins)
    assert int(both.status) == status.OK and int(both.notes) & status.Note.SPAN_ONLY
    codes = [status.RANK_DEFICIENT, *[status.OK] * 5, status.RANK_DEFICIENT]
    assert both.mediators.reason.tolist() == codes


def test_separate_covariates():
    data = problem()
    fit = ols(basis="linear", variance="path_sum", covariates_mediator=[0])
    effects, errors = jax.jit(lambda d: (lambda e: (e.effects, e.standard_errors))(fit(None, d)))(
        data
    )
    ones = np.ones((N, 1))
    first = Problem(
        data.exposure, data.mediators, data.outcome, np.c_[ones, data.covariates[:, :1]]
    )
    second = oracle(data, "linear")
    b, r, h = second.fit(np.arange(P))
    np.testing.assert_allclose(effects.direct, b[0], rtol=CLOSE)
    np.testing.assert_allclose(effects.indirect, first.alpha @ b[1:], rtol=CLOSE)
    x = second.noise
    on_path = x @ np.linalg.solve(x.T @ x, first.alpha)
    variance = np.sum(on_path**2 * r**2 / (1 - h))
    path = (first.t / first.ss) ** 2 * (first.noise @ b[1:]) ** 2 / (1 - first.h0) ** 2
    np.testing.assert_allclose(np.square(errors.indirect), variance + path.sum(), rtol=CLOSE)
    with pytest.raises(ValueError, match="path_sum"):
        jax.eval_shape(lambda d: ols(basis="linear", covariates_mediator=[0])(None, d), data)


def test_options_are_checked():
    for options in ({"basis": "cubic"}, {"variance": "hc3"}, {"level": 1.0}):
        with pytest.raises(ValueError, match="must"):
            ols(**options)


def test_interval_of_the_proportion_mediated():
    """Fieller's, with the covariance that total = direct + indirect has: its limits are roots."""
    errors = (0.3, 0.2, 0.4)
    covariance = 0.2**2 + (0.4**2 - 0.3**2 - 0.2**2) / 2  # of indirect and total

    @jax.jit
    def interval(direct, indirect):
        effects = Effects(direct, indirect, direct + indirect)
        return Estimate(
            effects, Effects(*map(jnp.asarray, errors)), None, None, None, None, None
        ).proportion_interval(0.9)

    found = interval(1.0, 2.0)
    for share in (float(found.lower), float(found.upper)):
        spread = np.sqrt(0.2**2 - 2 * share * covariance + share**2 * 0.4**2)
        close = 1e-6 if jax.config.jax_enable_x64 else 1e-4
        assert abs(2 - 3 * share) == pytest.approx(1.6448536269514722 * spread, rel=close)
    assert found.lower < 2 / 3 < found.upper and found.level == 0.9
    # A total effect of 1.5 standard errors: nothing to be a share of.
    weak = interval(-1.4, 2.0)
    assert np.isnan(weak.lower) and np.isnan(weak.upper) and int(weak.kind) != BOUNDED
