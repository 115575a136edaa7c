"""Linearly dependent mediators: what is joint is that of their span, whatever the columns."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.statistics.joint_factor import factor_moments

N, P = 60, 5


def base(dtype=np.float64, weights=None):
    data = problem(np.random.default_rng(5), N, P, 1, scale=0.0)
    x = data.mediators - data.mediators.min() + 1
    shares = x / x.sum(axis=1, keepdims=True)
    data = dataclasses.replace(data, mediators=shares[:, :-1], weights=weights)
    return shares, jax.tree.map(lambda v: v.astype(dtype), data)


KINDS = {
    "all shares": lambda m, s, d: s,
    "another share dropped": lambda m, s, d: s[:, 1:],
    "duplicate": lambda m, s, d: np.c_[m, m[:, 0]],
    "affine copy first": lambda m, s, d: np.c_[30 * m[:, 2] - 7, m],
    "sum": lambda m, s, d: np.c_[m[:, :2], m.sum(axis=1), m[:, 2:]],
    "exposure": lambda m, s, d: np.c_[m[:, :1], d.exposure, m[:, 1:]],
    "covariate": lambda m, s, d: np.c_[m, 3 - 2 * d.covariates[:, 0]],
    "constant": lambda m, s, d: np.c_[m, np.full(N, 1e6)],
    "many": lambda m, s, d: np.c_[s, s @ np.random.default_rng(0).normal(size=(P, 20))],
}


def composites_of(paths):
    found = {f"maxie{s}": jaxmed.maxie(paths, sign=s) for s in (1, -1)}
    return found | {f"maxcor{s}": jaxmed.maxcor(paths, sign=s) for s in (1, -1)}


def joint(paths, composites=None):
    """What the span determines."""
    found = composites or composites_of(paths)
    effects = {
        f"{name} {part}": getattr(c, part)
        for name, c in found.items()
        for part in ("indirect", "direct", "total", "index", "exposure_effect", "outcome_effect")
    }
    tests = {
        "cosine": jaxmed.cosine_test(paths),
        "joint": jaxmed.joint_test(paths),
        "union": jaxmed.intersection_union_test(paths),
    }
    q = paths.quadratics
    return (
        effects
        | {"p " + name: test.p_value for name, test in tests.items()}
        | {"rank": q.dimension, "rss": q.residual_ss, "total": paths.total_effect}
    )


@functools.partial(jax.jit, static_argnames="route")
def solve(data, route):
    """Joint results, the paths, and the weights of the maximal indirect effect."""
    paths = jaxmed.paths(data, route=route)
    composites = composites_of(paths)
    return joint(paths, composites), paths, composites["maxie1"].weights


programs = {route: functools.partial(solve, route=route) for route in ("gram", "qr")}


# Each pair of weights and precision is a program for each number of columns and route. Quick are
# both routes of five columns, one of other numbers, and one of single precision.
PAIRS = ((False, np.float64), (False, np.float32), (True, np.float64), (True, np.float32))
OTHER_NUMBERS = ("another share dropped", "many")


def is_quick(kind, pair, route):
    if kind in OTHER_NUMBERS:
        return pair == PAIRS[0] and route == "qr"
    return pair == PAIRS[0] or (pair == PAIRS[1] and route == "gram")


@pytest.mark.parametrize(
    ("kind", "weighted", "dtype", "route"),
    [
        pytest.param(
            kind, *pair, route, marks=() if is_quick(kind, pair, route) else pytest.mark.slow
        )
        for kind in KINDS
        for pair in PAIRS
        for route in programs
        # 19 columns too many: eps times their number is above what is asked.
        if (kind, pair[1], route) != ("many", np.float32, "gram")
    ],
)
def test_joint_results_do_not_depend_on_the_columns(kind, weighted, dtype, route):
    weights = np.resize([1.0, 2.0, 0.5, 0.5], N) if weighted else None
    shares, data = base(np.float64, weights)
    more = dataclasses.replace(data, mediators=KINDS[kind](data.mediators, shares, data))
    rtol = 1e-9 if dtype == np.float64 else 1e-4
    expected = programs["qr"](data)[0]
    found, paths, _ = programs[route](jax.tree.map(lambda v: v.astype(dtype), more))
    assert int(paths.notes) & st.Note.SPAN_ONLY or kind == "another share dropped"
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=rtol, atol=rtol, err_msg=name)


@pytest.mark.parametrize("kind", ["all shares", "affine copy first", "exposure", "many"])
def test_weights_have_the_smallest_norm_in_standardised_mediators(kind):
    shares, data = base()
    more = dataclasses.replace(data, mediators=KINDS[kind](data.mediators, shares, data))
    weights = np.asarray(programs["qr"](more)[2])
    own = np.asarray(programs["qr"](data)[2])
    design = np.c_[np.ones(N), data.covariates, data.exposure]

    def residual(columns):
        return columns - design @ np.linalg.lstsq(design, columns, rcond=None)[0]

    score = residual(data.mediators @ own)
    np.testing.assert_allclose(residual(more.mediators @ weights), score, atol=1e-12)
    sd = more.mediators.std(axis=0)
    least = np.linalg.pinv(residual(more.mediators / sd), rcond=1e-10) @ score
    np.testing.assert_allclose(weights * sd, least, atol=1e-10)


def test_in_a_batch_the_others_keep_every_bit():
    shares, data = base()
    good = dataclasses.replace(data, mediators=problem(np.random.default_rng(1), N, P).mediators)
    bad = dataclasses.replace(data, mediators=shares)
    stack = lambda *sets: jax.tree.map(lambda *v: np.stack(v), *sets)  # noqa: E731
    program = jax.jit(jax.vmap(lambda d: joint(jaxmed.paths(d, route="gram"))))
    mixed, alone = program(stack(good, bad, good)), program(stack(good, good, good))
    expected = programs["qr"](data)[0]
    for name, values in mixed.items():
        others = np.asarray(values)[[0, 2]]
        np.testing.assert_array_equal(others, np.asarray(alone[name])[:2], err_msg=name)
        np.testing.assert_allclose(values[1], expected[name], rtol=1e-9, atol=1e-9)


def test_the_total_effect_is_there_whatever_the_mediators_are():
    shares, data = base()
    design = np.c_[np.ones(N), data.exposure, data.covariates]
    total = np.linalg.lstsq(design, data.outcome, rcond=None)[0][1]
    spanned = np.c_[data.exposure, data.covariates] @ np.c_[np.eye(2), np.ones((2, 1)), -np.eye(2)]
    for mediators in (shares, spanned, np.zeros_like(shares)):
        for program in programs.values():
            found, paths, _ = program(dataclasses.replace(data, mediators=mediators))
            np.testing.assert_allclose(found["total"], total, rtol=1e-10)
    assert int(paths.status) == st.CONSTANT_MEDIATOR and np.isnan(found["maxie1 indirect"])


def test_moments_that_are_none_are_no_dependence():
    """Noise that makes a co-moment matrix indefinite is not answered by leaving columns out."""
    _, data = base()
    moments = jaxmed.cross_moments(data)
    bent = np.array(moments.comoment)
    bent[3, 4] = bent[4, 3] = 1.5 * np.sqrt(bent[3, 3] * bent[4, 4])
    factor = jax.jit(factor_moments)(dataclasses.replace(moments, comoment=bent))
    assert int(factor.status) == st.RANK_DEFICIENT


@pytest.mark.parametrize(
    ("shape", "x64"),
    [((N, P), True), ((20, 30), True), pytest.param((N, P), False, marks=pytest.mark.slow)],
)
def test_outcome_without_variation_is_a_status(shape, x64):
    n, p = shape
    data = problem(np.random.default_rng(0), n, p, 1, scale=0.0)
    if not x64:
        data = dataclasses.replace(data, weights=np.resize([1.0, 2.0, 0.5, 0.5], n))
    dual = jax.jit(lambda d: [jaxmed.paths(d, route=route) for route in ("gram", "qr")])
    for outcome in (np.full(n, 2.5), data.covariates @ [2.0] - 3):
        bad = dataclasses.replace(data, outcome=outcome)
        bad = jax.tree.map(lambda v: v.astype("f8" if x64 else "f4"), bad)
        both = [program(bad)[1] for program in programs.values()] if p < n else dual(bad)
        for paths in both:
            assert int(paths.status) == st.CONSTANT_OUTCOME
            assert np.isnan(paths.total_effect)


estimate = jax.jit(jaxmed.estimators.maxie())


@pytest.mark.parametrize("dtype", [pytest.param("f8", marks=pytest.mark.slow), "f4"])
def test_estimators_answer_in_any_unit(dtype):
    data = jax.tree.map(
        lambda v: np.asarray(v, dtype), problem(np.random.default_rng(2), N, P, 1, scale=0.0)
    )
    plain, small = estimate(None, data), 1e-20 if dtype == "f4" else 1e-155
    for column, unit in (("outcome", small), ("outcome", 1 / small), ("exposure", 1 / small)):
        other = dataclasses.replace(data, **{column: getattr(data, column) * unit})
        found = estimate(None, other)
        factor = unit if column == "outcome" else 1 / unit
        for part in ("direct", "indirect", "total"):
            np.testing.assert_allclose(
                getattr(found.effects, part) / factor, getattr(plain.effects, part), rtol=1e-4
            )
        np.testing.assert_allclose(found.mediators.p_value, plain.mediators.p_value, rtol=1e-3)
        assert int(found.status) == st.OK
    _, paths, _ = programs["gram"](dataclasses.replace(data, outcome=data.outcome * small))
    assert int(paths.status) >= st.FIRST_FATAL  # never "a path is null"


def test_estimate_keeps_the_total_and_says_why():
    shares, data = base()
    more = dataclasses.replace(data, mediators=np.zeros_like(shares))
    found = estimate(None, jax.tree.map(lambda v: v.astype(np.float32), more))
    assert np.isfinite(float(found.effects.total)) and np.isnan(float(found.effects.indirect))
    assert int(found.status) == st.CONSTANT_MEDIATOR
    assert isinstance(more, MediationData)
