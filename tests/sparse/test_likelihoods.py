"""Binomial, Poisson and Cox: derivatives, certificates in NumPy, peers, batches."""

import itertools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optimised import jit_for_many

from jaxmed import status
from jaxmed.sparse.likelihood_bic_path import likelihood_bic_path
from jaxmed.sparse.likelihoods import Binomial, Poisson, cox
from jaxmed.sparse.path import largest_penalty, penalty_grid
from jaxmed.sparse.penalties import L1
from jaxmed.sparse.proximal_newton import Problem, free_fit, likelihood_path
from jaxmed.sparse.shapes import shape_of

FAMILIES = ("binomial", "poisson", "breslow", "efron")
ROWS = 80


def table(p, seed=0):
    """Columns [p, n], eta, and an outcome of every family; ties and rows without weight."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(ROWS, p)) + 0.5 * rng.normal(size=(ROWS, 1))
    x = (x - x.mean(0)) / x.std(0)
    eta = x[:, :3] @ [0.8, -0.5, 0.4]
    weights = rng.uniform(0.5, 1.5, ROWS)
    weights[[3, 40]] = 0
    return {
        "columns": x.T,
        "weights": weights / weights.sum(),
        "binomial": (rng.uniform(size=ROWS) < 1 / (1 + np.exp(-eta))).astype(float),
        "poisson": rng.poisson(np.exp(0.5 * eta)).astype(float),
        "offset": rng.normal(size=ROWS) / 4,
        "time": np.round(rng.exponential(np.exp(-eta)), 1),
        "event": (rng.uniform(size=ROWS) < 0.7).astype(float),
    }


def problem(family, t):
    columns, weights = jnp.asarray(t["columns"]), jnp.asarray(t["weights"])
    if family == "binomial":
        return Problem(columns, Binomial(jnp.asarray(t["binomial"]), weights))
    if family == "poisson":
        likelihood = Poisson(jnp.asarray(t["poisson"]), weights, jnp.asarray(t["offset"]))
        return Problem(columns, likelihood)
    likelihood, order = cox(jnp.asarray(t["time"]), jnp.asarray(t["event"]), weights, family)
    return Problem(columns[:, order], likelihood)


@partial(jax.jit, static_argnums=0)
def derivatives(family, t, eta):
    """Residual and curvature times the columns, beside those of automatic differentiation."""
    own = problem(family, t)
    likelihood, x = own.likelihood, own.columns
    hessian = jax.hessian(likelihood.loss)(eta)
    if likelihood.is_diagonal:
        images = x * likelihood.curvature(eta)[None, :]
    else:
        images = likelihood.images(eta, x)
    residual = (likelihood.residual(eta), -jax.grad(likelihood.loss)(eta))
    return residual, (images, x @ hessian)


@pytest.mark.parametrize("family", FAMILIES)
def test_derivatives_are_those_of_the_loss(family):
    eta = np.random.default_rng(2).normal(size=ROWS)
    for ours, automatic in derivatives(family, table(5), eta):
        np.testing.assert_allclose(ours, automatic, atol=1e-14)


SPREADS = ((20, "float64", "efron"), (600, "float64", "breslow"), (40, "float32", "efron"))
EXTREMES = [
    pytest.param(*case, ties, marks=() if quick == ties else pytest.mark.slow)
    for *case, quick in SPREADS
    for ties in ("efron", "breslow")
]


@pytest.mark.parametrize(("spread", "dtype", "ties"), EXTREMES)
def test_hazards_may_differ_by_any_factor(spread, dtype, ties):
    """The early deaths have the large hazards: sums of the late ones must not drown them."""
    t = table(5)
    order = np.argsort(t["time"])
    eta = np.empty(ROWS)
    eta[order] = np.linspace(spread, 0, ROWS)
    x = t["columns"]
    numbers = [np.asarray(v, dtype) for v in (t["time"], t["event"], t["weights"], eta, x)]

    @jax.jit
    def found(time, event, weights, eta, x):
        likelihood, order = cox(time, event.astype(bool), weights, ties)
        e = eta[order]
        places = jnp.argsort(order)
        images = likelihood.images(e, x[:, order])
        return likelihood.loss(e), likelihood.residual(e)[places], images[:, places]

    loss, residual, images = found(*numbers)
    w, extended = t["weights"], np.longdouble(eta)
    died = (t["event"] > 0) & (w > 0)
    risk = w * np.exp(extended - spread)
    hazard, image, total = np.zeros(ROWS, risk.dtype), np.zeros(x.shape, risk.dtype), 0.0
    for time in np.unique(t["time"][died]):
        at_risk, tied = risk * (t["time"] >= time), risk * (died & (t["time"] == time))
        count = int((tied > 0).sum())
        members = died & (t["time"] == time)
        for k in range(members.sum()):
            part = k / members.sum() if ties == "efron" else 0
            own = at_risk - part * tied
            chance = own / own.sum()
            mean = x @ chance
            weight = w[members].mean()
            hazard += weight * chance
            image += weight * chance * (x - mean[:, None])
            total += weight * (np.log(own.sum()) + spread)
        assert count == members.sum()
    total -= np.sum(w[died] * extended[died])
    close = 1e-12 if dtype == "float64" else 1e-5
    np.testing.assert_allclose(loss, float(total), rtol=close, atol=close)
    np.testing.assert_allclose(residual, np.where(died, w, 0) - hazard, atol=close)
    np.testing.assert_allclose(images, np.asarray(image, float), atol=5 * close)


def test_hazards_beyond_all_numbers_are_an_infinite_loss():
    """The line search then takes a shorter step."""
    t = table(5)
    eta = -2e3 * t["time"]

    @jax.jit
    def loss(time, event, weights, eta):
        likelihood, order = cox(time, event, weights)
        return likelihood.loss(eta[order])

    assert float(loss(*(jnp.asarray(t[k]) for k in ("time", "event", "weights")), eta)) == np.inf


def partial_likelihood(t, eta, ties):
    """-log partial likelihood over the weights' sum, term by term in NumPy."""
    w, risk, total = t["weights"], t["weights"] * np.exp(eta), 0.0
    for time in np.unique(t["time"]):
        died = (t["time"] == time) & (t["event"] > 0) & (w > 0)
        at_risk, tied = risk[t["time"] >= time].sum(), risk[died].sum()
        total -= np.sum(w[died] * eta[died])
        for k in range(died.sum()):
            part = k / died.sum() if ties == "efron" else 0
            total += w[died].mean() * np.log(at_risk - part * tied)
    return total


@pytest.mark.parametrize("ties", ["efron", "breslow"])
def test_partial_likelihood_of_ties_and_weights(ties):
    t, eta = table(5), np.random.default_rng(3).normal(size=ROWS)

    def loss(t, eta):
        likelihood, order = cox(*(jnp.asarray(t[k]) for k in ("time", "event", "weights")), ties)
        return likelihood.loss(eta[order]), likelihood.loss(eta[order] + 3)

    found, moved = jax.jit(loss)(t, eta)
    assert found == pytest.approx(partial_likelihood(t, eta, ties), rel=1e-12)
    assert moved == pytest.approx(float(found), rel=1e-12)  # no intercept in it


def test_unknown_ties_are_refused():
    one = jnp.ones(3)
    with pytest.raises(ValueError, match="efron"):
        cox(one, one, one, "exact")


@partial(jax.jit, static_argnums=0)
def solved(family, t):
    own = problem(family, t)
    p, n = own.columns.shape
    factors = jnp.ones(p)
    if family in ("binomial", "poisson"):
        own = Problem(jnp.concatenate([jnp.ones((1, n)), own.columns]), own.likelihood)
        factors = jnp.concatenate([jnp.zeros(1), factors])
    start, score = free_fit(own, factors, tolerance=1e-9)
    grid = penalty_grid(largest_penalty(score, factors), 5, 0.1)
    fit = likelihood_path(own, start, grid, lambda v: L1(v * factors), tolerance=1e-9 * grid[0])
    eta = fit.coefficients @ own.columns
    scores = jax.vmap(own.score)(eta)
    return grid, fit, factors, scores


QUICK = {("binomial", 100), ("poisson", 12), ("breslow", 12), ("efron", 100)}


@pytest.mark.parametrize(
    ("family", "p"),
    [
        pytest.param(*case, marks=() if case in QUICK else pytest.mark.slow)
        for case in itertools.product(FAMILIES, (12, 100))
    ],
)
def test_certificate_from_the_score(family, p):
    grid, fit, factors, scores = solved(family, table(p))
    assert (np.asarray(fit.status) == status.OK).all()
    b, bound = np.asarray(fit.coefficients), np.asarray(grid)[:, None] * np.asarray(factors)
    size = np.abs(np.asarray(scores))
    nonzero = np.abs(np.asarray(scores) - bound * np.sign(b))
    breach = np.where(b != 0, nonzero, np.maximum(size - bound, 0))
    assert breach.max() < 1e-8 * float(grid[0])
    kept = (b != 0).sum(axis=1)
    assert kept[0] == np.sum(np.asarray(factors) == 0) and kept[-1] > 3


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_batch_is_each_alone(family):
    tables = [table(12, seed) for seed in range(3)]
    stacked = jax.tree.map(lambda *x: jnp.stack(x), *tables)
    batch = jit_for_many(jax.vmap(lambda t: solved(family, t)[1].coefficients))(stacked)
    for one, t in zip(batch, tables, strict=True):
        np.testing.assert_allclose(one, solved(family, t)[1].coefficients, atol=1e-8)


def test_separated_outcomes_end_with_a_status():
    x = np.linspace(-1, 1, 30)
    data = Problem(np.stack([np.ones(30), x]), Binomial((x > 0) * 1.0, np.full(30, 1 / 30)))

    @jax.jit
    def solve(data):
        free = jnp.zeros(2)
        state, _ = free_fit(data, free, tolerance=1e-12)
        grid, limit = jnp.ones(1), jnp.asarray(1e-14)
        return state, likelihood_path(data, state, grid, lambda v: L1(v * free), tolerance=limit)

    state, fit = solve(data)
    assert np.isfinite(np.asarray(state.coefficients)).all()
    assert int(state.status) == int(fit.status[0]) == status.NOT_CONVERGED


@pytest.mark.parametrize("separating", [False, True])
def test_counts_without_a_maximum_have_a_status(separating):
    """All 0, or all 0 where a free column is 1."""
    rng = np.random.default_rng(0)
    group = np.arange(ROWS) < ROWS // 3
    counts = rng.poisson(2.0, ROWS) * (~group if separating else 0.0)
    columns = np.concatenate([np.ones((1, ROWS)), group[None], rng.normal(size=(3, ROWS))])
    factors, share = np.r_[0.0, 0.0, np.ones(3)], np.full(ROWS, 1 / ROWS)

    @jax.jit
    def solve(counts):
        data = Problem(columns, Poisson(counts, share, np.zeros(ROWS)))
        start, score = free_fit(data, factors, tolerance=1e-9)
        grid = penalty_grid(largest_penalty(score, factors), 4, 0.1)
        limit = jnp.maximum(1e-9 * grid[0], 1e-15)
        path = likelihood_path(data, start, grid, lambda v: L1(v * factors), tolerance=limit)
        chosen = likelihood_bic_path(data, ROWS * 1.0, factors, shape_of("mcp"), count=4, ratio=0.1)
        return start, path.status, chosen.status

    start, codes, chosen = solve(counts)
    assert int(start.status) == int(chosen) == status.SEPARATED
    assert np.isfinite(np.asarray(start.coefficients)).all()
    assert separating or (np.asarray(codes) >= status.NOT_CONVERGED).all()
    start, codes, chosen = solve(counts + 1.0 * (rng.random(ROWS) < 0.5))
    assert int(start.status) == int(chosen) == status.OK
    assert (np.asarray(codes) == status.OK).all()


@pytest.mark.parametrize(("size", "offset"), [(1e12, 0.0), (2.0, -30.0)])
def test_counts_far_from_the_start(size, offset):
    rng = np.random.default_rng(0)
    counts = rng.poisson(size, ROWS).astype(float)
    weights = np.full(ROWS, 1 / ROWS)
    data = Problem(np.ones((1, ROWS)), Poisson(counts, weights, np.full(ROWS, offset)))
    state, _ = jax.jit(lambda d: free_fit(d, jnp.zeros(1), tolerance=1e-10))(data)
    wanted = np.log(counts.mean()) - offset
    assert float(state.coefficients[0]) == pytest.approx(wanted, abs=1e-8)
    assert int(state.status) == status.OK
