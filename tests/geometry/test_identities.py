"""Algebraic identities and invariances of paths and composites."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import oracle
import pytest
from problems import problem

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.geometry import paths as module
from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.composite import evaluate_weights
from jaxmed.geometry.index import maxcor
from jaxmed.geometry.single_path import regress_exposure, regress_outcome
from jaxmed.statistics.cross_moments import cross_moments

SHAPES = [(60, 20, 2), (40, 70, 1)]
# Op by op these compile for longer; test_jit_vmap_and_moments_agree_with_eager compares the two.
paths = jax.jit(module.paths, static_argnames="route")
COMPOSITES = {
    "maxie+": lambda p: maxie(p),
    "maxie-": lambda p: maxie(p, sign=-1),
    "maxcor+": lambda p: maxcor(p),
    "maxcor-": lambda p: maxcor(p, sign=-1),
    "outcome": regress_outcome,
    "exposure": regress_exposure,
}
evaluate = jax.jit(evaluate_weights)


@jax.jit
def solve(data):
    """Paths and every composite in one program."""
    found = module.paths(data)
    return found, {name: function(found) for name, function in COMPOSITES.items()}


@pytest.fixture(params=SHAPES, ids=str, scope="module")
def data(request):
    return problem(np.random.default_rng(7), *request.param)


@pytest.fixture(scope="module")
def solved(data):
    return solve(data)


@pytest.mark.parametrize("name", COMPOSITES)
def test_effects_are_those_of_the_weights(data, solved, name):
    """Whatever the geometry says, two plain regressions on the score say the same."""
    result, composite = solved[0], solved[1][name]
    alpha, beta, indirect, index = oracle.effects(data, np.asarray(composite.weights))
    np.testing.assert_allclose(composite.exposure_effect, alpha, rtol=1e-10)
    np.testing.assert_allclose(composite.outcome_effect, beta, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(composite.indirect, indirect, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(composite.index, index, rtol=1e-9, atol=1e-10)
    again = evaluate(result, np.asarray(composite.weights) * -3.0)
    np.testing.assert_allclose(again.indirect, composite.indirect, rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose(again.weights, composite.weights, rtol=1e-8, atol=1e-9)
    assert composite.exposure_effect >= 0


def test_parts_add_up(solved):
    result, composites = jax.tree.map(np.asarray, solved)
    concordant, suppression = composites["maxie+"], composites["maxie-"]
    total_indirect = result.quadratics.total_indirect
    np.testing.assert_allclose(
        concordant.indirect + suppression.indirect, total_indirect, rtol=1e-12
    )
    np.testing.assert_allclose(
        concordant.direct + concordant.indirect, concordant.total, rtol=1e-12
    )
    assert concordant.indirect >= 0 >= suppression.indirect
    if result.regime == "primal":
        single = composites["exposure"]
        np.testing.assert_allclose(single.indirect, total_indirect, rtol=1e-12)


@pytest.mark.parametrize("name", ["maxie+", "maxie-", "maxcor+", "maxcor-"])
def test_no_random_direction_is_better(data, solved, name):
    result, composite = solved[0], solved[1][name]
    rng = np.random.default_rng(0)
    p = data.mediators.shape[1]
    column = 3 if name.startswith("maxcor") else 2
    sign = 1 if name.endswith("+") else -1
    best = sign * float([composite.indirect, composite.index][column == 3])
    _, x, _ = oracle.residuals(data)
    for _ in range(300):
        w = rng.normal(size=p) if result.regime == "primal" else x.T @ rng.normal(size=len(x))
        near = np.asarray(composite.weights) * (1 + 0.05 * rng.normal(size=p))
        candidates = (w, near) if result.regime == "primal" else (w,)
        for candidate in candidates:
            assert sign * oracle.effects(data, candidate)[column] <= best * (1 + 1e-10)


def slope_of(part):
    return jax.jit(jax.grad(lambda w, found: getattr(evaluate_weights(found, w), part)))


def test_gradient_vanishes_at_the_optimum():
    """In the primal, where every direction of weights is free."""
    result, composites = solve(problem(np.random.default_rng(8), *SHAPES[0]))
    for name, part in (("maxie+", "indirect"), ("maxcor+", "index")):
        w = np.asarray(composites[name].weights)
        gradient = np.asarray(slope_of(part)(w, result))
        worth = float(getattr(composites[name], part))
        assert np.max(np.abs(gradient * w)) < 1e-10 * abs(worth)


def test_primal_on_the_row_space_is_the_dual():
    n, p, q = SHAPES[1]
    data = problem(np.random.default_rng(9), n, p, q)
    a, x, _ = oracle.residuals(data)
    z = x - np.outer(a, a @ x) / (a @ a)
    m = n - 2 - q
    v = np.linalg.svd(z, full_matrices=False)[2][:m].T
    reduced = MediationData(data.exposure, data.mediators @ v, data.outcome, data.covariates)
    (primal, first_of), (dual, second_of) = solve(reduced), solve(data)
    assert (primal.regime, dual.regime) == ("primal", "dual")
    for field in ("cosine", "exposure_exposure", "outcome_outcome", "exposure_outcome"):
        np.testing.assert_allclose(
            getattr(primal.quadratics, field), getattr(dual.quadratics, field), rtol=1e-10
        )
    for name in ("maxie+", "maxie-", "maxcor+", "maxcor-"):
        first, second = first_of[name], second_of[name]
        np.testing.assert_allclose(v @ first.weights, second.weights, rtol=1e-7, atol=1e-9)
        np.testing.assert_allclose(first.indirect, second.indirect, rtol=1e-10)


def transformed(data, change):
    return dataclasses.replace(data, **{k: f(getattr(data, k)) for k, f in change.items()})


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_invariances(shape):
    rng = np.random.default_rng(11)
    data = problem(rng, *shape)
    base = jax.tree.map(np.asarray, solve(data)[0])
    p = shape[1]
    rotation = np.linalg.qr(rng.normal(size=(p, p)))[0]
    order = rng.permutation(shape[0])
    changes = {
        "rotation": ({"mediators": lambda x: x @ rotation}, 1, 1),
        "common scale": ({"mediators": lambda x: 7.5 * x}, 1, 1),
        "sign of the exposure": ({"exposure": lambda a: -a}, -1, -1),
        "units of the outcome": ({"outcome": lambda y: 3 * y + 5}, 1, 3),
        "units of the exposure": ({"exposure": lambda a: 4 * a - 1}, 1, 0.25),
    }
    if shape[1] < shape[0]:
        units = 10 ** rng.uniform(-3, 3, p)
        changes["column scale"] = ({"mediators": lambda x: x * units}, 1, 1)
    for name, (change, cosine_factor, total_factor) in changes.items():
        other = solve(transformed(data, change))[0]
        np.testing.assert_allclose(
            other.cosine, cosine_factor * base.cosine, rtol=1e-9, err_msg=name
        )
        np.testing.assert_allclose(
            other.quadratics.total_indirect,
            total_factor * base.quadratics.total_indirect,
            rtol=1e-9,
            err_msg=name,
        )
    rows = {k: (lambda v: v[order]) for k in ("exposure", "mediators", "outcome", "covariates")}
    permuted = solve(transformed(data, rows))[0]
    np.testing.assert_allclose(permuted.cosine, base.cosine, rtol=1e-12)


of_moments = jax.jit(lambda moments: maxie(module.paths(moments)))


@pytest.mark.parametrize(
    "shape", [SHAPES[0], pytest.param(SHAPES[1], marks=pytest.mark.slow)], ids=str
)
def test_jit_vmap_and_moments_agree_with_eager(shape):
    batch = [problem(np.random.default_rng(i), *shape) for i in range(3)]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *batch)
    together = jax.tree.map(
        np.asarray, jax.jit(jax.vmap(lambda d: maxie(module.paths(d))))(stacked)
    )
    for i, data in enumerate(batch):
        alone = maxie(module.paths(data))
        np.testing.assert_allclose(together.indirect[i], alone.indirect, rtol=1e-10)
        np.testing.assert_allclose(together.weights[i], alone.weights, rtol=1e-8, atol=1e-10)
        if shape[1] < shape[0]:
            from_moments = of_moments(cross_moments(data))
            np.testing.assert_allclose(from_moments.indirect, alone.indirect, rtol=1e-11)


@functools.cache
def slopes(names):
    """Of several composites at once: derivative in the outcome, and a central difference."""
    data = problem(np.random.default_rng(5), 40, 6, 1)
    direction = np.random.default_rng(6).normal(size=40)

    def values(step):
        moved = dataclasses.replace(data, outcome=data.outcome + step * direction)
        found = module.paths(moved, route="gram")
        composites = [COMPOSITES[name](found) for name in names]
        found = jnp.stack([composite.index + composite.indirect for composite in composites])
        return found, found

    slope_and_value = jax.jit(jax.jacrev(values, has_aux=True))
    high, low = (np.asarray(slope_and_value(step)[1]) for step in (1e-5, -1e-5))
    slope = np.asarray(slope_and_value(0.0)[0])
    return dict(zip(names, np.c_[slope, (high - low) / 2e-5], strict=True))


BEST = ("maxie+", "maxcor+", "outcome")
OTHERS = ("maxie-", "maxcor-", "exposure")


@pytest.mark.parametrize(
    ("names", "name"),
    [
        *((BEST, name) for name in BEST),
        *(pytest.param(OTHERS, name, marks=pytest.mark.slow) for name in OTHERS),
    ],
)
def test_gradients_of_the_closed_forms(names, name):
    """Reverse mode against a central difference."""
    slope, numeric = slopes(names)[name]
    np.testing.assert_allclose(slope, numeric, rtol=1e-6, atol=1e-9)


def test_case_weights_are_repeated_rows():
    rng = np.random.default_rng(3)
    rows, p, q = SHAPES[0]
    data = problem(rng, 56, p, q)
    times = np.resize([1, 1, 0, 2, 1, 0, 2], 56)
    times[:4] += 1  # the whole has as many rows as the data of the other tests
    repeated = jax.tree.map(lambda v: np.repeat(v, times, axis=0), data)
    count = np.count_nonzero(times)
    weighted = dataclasses.replace(data, weights=times * count / times.sum())
    assert len(repeated.outcome) == rows
    whole, _ = solve(repeated)
    for route in ("gram", "qr"):
        found = paths(weighted, route=route)
        np.testing.assert_allclose(found.cosine, whole.cosine, rtol=1e-10)
        assert int(found.status) == st.WEIGHTED
        assert float(found.quadratics.residual_df) == count - 2 - q


def test_zero_weights_in_the_dual_remove_rows():
    rows, p, q = SHAPES[1]
    data = problem(np.random.default_rng(4), rows + 10, p, q)
    present = np.arange(rows + 10) % 5 != 0
    weighted = dataclasses.replace(data, weights=present.astype(float))
    kept = jax.tree.map(lambda v: v[present], data)
    first, best = jax.jit(lambda d: (module.paths(d), maxie(module.paths(d))))(weighted)
    second, composites = solve(kept)
    np.testing.assert_allclose(first.cosine, second.cosine, rtol=1e-10)
    weights = best.weights, composites["maxie+"].weights
    np.testing.assert_allclose(*weights, rtol=1e-7, atol=1e-9)
    df = rows - 2 - q
    assert float(first.quadratics.residual_df) == float(second.quadratics.residual_df) == df
