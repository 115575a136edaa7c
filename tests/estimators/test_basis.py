"""Spline bases against splines written out, and what they must do with awkward covariates."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.data.basis_columns import weighted_quantiles
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.parts import basis as parts
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.statistics import base_span

N = 90
pytestmark = pytest.mark.float32
TIGHT = jax.config.jax_enable_x64
spline_program = jax.jit(parts.spline_basis, static_argnames=("knots", "tensor", "kind"))
project_out = jax.jit(base_span.project_out)


def spline_basis(x, weights, *, knots=3, tensor=True, kind="bspline"):
    """As a program: op by op it compiles for longer."""
    return np.asarray(spline_program(x, weights, knots=knots, tensor=tensor, kind=kind))


both_kinds = pytest.mark.parametrize(
    "kind",
    [
        pytest.param("truncated", marks=pytest.mark.skipif(not TIGHT, reason="ill-conditioned")),
        "bspline",
    ],
)


@pytest.fixture(scope="module")
def covariates():
    rng = np.random.default_rng(7)
    return np.column_stack([rng.normal(3, 2, N), rng.gamma(2, 50, N)])


def truncated_by_hand(x, knots):
    """[1, x, x^2, x^3, truncated cubes] of every column and the product of all."""
    columns = [np.ones(len(x)), np.prod(x, axis=1)]
    for j in range(x.shape[1]):
        z = (x[:, j] - x[:, j].mean()) / x[:, j].std()
        columns += [z, z**2, z**3]
        for probability in np.arange(1, knots + 1) / (knots + 1):
            columns.append(np.maximum(z - np.quantile(z, probability), 0) ** 3)
    return np.column_stack(columns)


def residual(base, y):
    return y - base @ np.linalg.lstsq(base, y, rcond=None)[0]


@both_kinds
@pytest.mark.parametrize("knots", [0, 3])
def test_both_kinds_span_cubic_splines_and_the_product(covariates, kind, knots):
    y = np.sin(covariates[:, 0]) + np.log(covariates[:, 1]) + 0.01 * np.prod(covariates, axis=1)
    basis = spline_basis(covariates, np.ones(N), knots=knots, kind=kind)
    assert basis.shape == (N, 2 * (knots + 3) + 1)
    base = np.column_stack([np.ones(N), basis])
    found = project_out(base, np.ones(N), y)
    np.testing.assert_allclose(
        found, residual(truncated_by_hand(covariates, knots), y), atol=1e-9 if TIGHT else 5e-3
    )
    np.testing.assert_allclose(basis.mean(axis=0), 0, atol=1e-12 if TIGHT else 1e-5)
    np.testing.assert_allclose((basis**2).mean(axis=0), 1, rtol=1e-12 if TIGHT else 1e-4)
    if kind == "bspline":
        assert np.linalg.cond(base) < 500


def test_columns_of_every_choice_of_products():
    x, ones = np.random.default_rng(1).normal(size=(50, 3)), np.ones(50)

    def shape(x, **options):
        return jax.eval_shape(lambda x: parts.spline_basis(x, ones, **options), x).shape

    assert shape(x, knots=2, tensor=False) == (50, 15)
    assert shape(x, knots=2, tensor=True) == (50, 18)
    assert shape(x[:, :0]) == (50, 0)
    full = spline_basis(x, ones, knots=2, tensor="full")
    assert full.shape == (50, 15 + 3 * 25)
    product = full[:, 0] * full[:, 5]  # of the first two covariates' first columns
    expected = (product - product.mean()) / product.std()
    np.testing.assert_allclose(full[:, 15], expected, atol=1e-5)


def test_weights_are_copies(covariates):
    # As many copies as rows, so that the same programs serve both.
    weights = np.random.default_rng(2).multinomial(N, np.full(N, 1 / N)).astype(float)
    where = np.repeat(np.arange(N), weights.astype(int))
    probabilities = np.asarray([0.1, 0.5, 0.8])
    quantiles = jax.jit(functools.partial(weighted_quantiles, jnp))
    rtol = 1e-12 if TIGHT else 1e-4
    expected = np.quantile(covariates[where], probabilities, axis=0)
    for found in (
        quantiles(covariates, weights, probabilities),
        weighted_quantiles(np, covariates, weights, probabilities),
    ):
        np.testing.assert_allclose(found, expected, rtol=rtol)
    for tensor in (True, "full"):
        once = spline_basis(covariates, weights, tensor=tensor)
        many = spline_basis(covariates[where], np.ones(N), tensor=tensor)
        np.testing.assert_allclose(once[where], many, atol=1e3 * rtol)


@both_kinds
def test_binary_and_constant_covariates_are_harmless(covariates, kind):
    rng = np.random.default_rng(3)
    binary, levels = rng.integers(0, 2, N) * 5.0 - 1, rng.integers(0, 3, N).astype(float)
    x = np.column_stack([covariates[:, 0], binary, levels, np.full(N, 4.0)])
    y = rng.normal(size=N)
    basis = spline_basis(x, np.ones(N), tensor=False, kind=kind)
    assert np.all(np.isfinite(basis))
    # Two values enter once; a constant not at all.
    assert (np.abs(basis).max(axis=0) > 0)[6:12].tolist() == [True] + 5 * [False]
    assert not np.any(basis[:, 18:])
    alone = truncated_by_hand(x[:, :1], 3)
    dummies = np.column_stack([alone, binary, levels == 1, levels == 2])
    found = project_out(np.column_stack([np.ones(N), basis]), np.ones(N), y)
    atol = 1e-8 if TIGHT else 1e-2
    np.testing.assert_allclose(found, residual(dummies, y), atol=atol)


def test_a_covariate_that_is_not_a_number_shows(covariates):
    x = covariates.copy()
    x[3, 0] = np.nan
    assert np.all(np.isnan(spline_basis(x, np.ones(N))))


def data_of(covariates):
    rng = np.random.default_rng(4)
    return MediationData(
        rng.normal(size=N), rng.normal(size=(N, 3)), rng.normal(size=N), covariates
    )


def test_with_basis_replaces_both_bases(covariates):
    data = data_of(covariates)

    def based(data, basis, mediator=None, outcome=None):
        return parts.with_basis(rows_of(data, mediator, outcome), basis)

    def shapes(*options):
        rows = jax.eval_shape(lambda d: based(d, "splines_all_products", *options), data)
        return rows.mediator_base.shape, rows.outcome_base.shape

    def untouched(data):
        rows = rows_of(data)
        assert parts.with_basis(rows, "linear") is rows
        assert parts.with_basis(rows, "given") is rows

    jax.eval_shape(untouched, data)
    assert shapes() == ((N, 14), (N, 14))
    assert shapes([0], [0, 1]) == ((N, 7), (N, 14))
    assert shapes([], [])[0] == (N, 1)
    splines, own = jax.jit(
        lambda d: (based(d, "splines_all_products"), based(d, lambda x, weights: jnp.sin(x)))
    )(data)
    np.testing.assert_array_equal(splines.mediator_base[:, 0], 1)
    np.testing.assert_allclose(own.outcome_base[:, 1:], np.sin(covariates), atol=1e-4)


def test_misuse_is_refused(covariates):
    def use(basis):
        jax.eval_shape(lambda d: parts.with_basis(rows_of(d), basis), data_of(covariates))

    with pytest.raises(ValueError, match="basis must be"):
        use("spline")
    with pytest.raises(ValueError, match=r"return \[n, r\]"):
        use(lambda x, weights: x[:5])
    for wrong in ({"kind": "natural"}, {"knots": -1}, {"tensor": "yes"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            parts.spline_basis(covariates, np.ones(N), **wrong)
