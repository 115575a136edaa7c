"""MedDiC: least squares where there are few columns, de-biased direct effect elsewhere."""

import jax
import numpy as np
import pytest
import reference_data as reference

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.meddic import meddic


def test_few_columns_are_least_squares():
    """The anchors of mx20: DE, TIE, TE of least squares; errors are those of the influences."""
    fit = jax.jit(meddic())(None, reference.data("mx20"))
    np.testing.assert_allclose(
        [fit.effects.direct, fit.effects.indirect, fit.effects.total],
        [0.481135, 0.365040, 0.846175],
        atol=1e-6,
    )
    np.testing.assert_allclose(fit.details.sum_of_paths, fit.effects.indirect, rtol=1e-10)
    raw = reference.arrays("mx20")
    a, y = raw["A"].ravel(), raw["Y"].ravel()
    n = len(a)

    def rows(design):
        """Influence of every row on the exposure's coefficient, corrected for its df."""
        inverse = np.linalg.inv(design.T @ design)
        error = y - design @ (inverse @ design.T @ y)
        return (design @ inverse[:, 1]) * error * np.sqrt(n / (n - design.shape[1]))

    total = rows(np.c_[np.ones(n), a])
    direct = rows(np.c_[np.ones(n), a, raw["M"]])
    for part, influence in (("total", total), ("direct", direct), ("indirect", total - direct)):
        error = np.sqrt(np.sum(influence**2))
        np.testing.assert_allclose(getattr(fit.standard_errors, part), error, rtol=1e-8)


def draw(n, p, seed, effect=0.8):
    rng = np.random.default_rng(seed)
    a, x = rng.normal(size=n), rng.normal(size=(n, 1))
    m = rng.normal(size=(n, p)) + 0.4 * x
    m[:, :2] += effect * a[:, None]
    y = 0.5 * a + effect * m[:, :2].sum(axis=1) + x[:, 0] + rng.normal(size=n)
    return MediationData(a, m, y, x)


@pytest.mark.slow
def test_many_columns():
    """p > n: near the truth, the right mediators, and equal to row copies under weights."""
    data = draw(60, 80, 3)
    weights = np.random.default_rng(4).integers(1, 3, 60).astype(float)
    run = jax.jit(meddic(lam_node=0.2))
    weighted = MediationData(data.exposure, data.mediators, data.outcome, data.covariates, weights)
    fit = run(None, weighted)
    assert abs(float(fit.effects.direct) - 0.5) < 4 * float(fit.standard_errors.direct)
    assert abs(float(fit.effects.indirect) - 1.28) < 4 * float(fit.standard_errors.indirect)
    assert list(np.flatnonzero(fit.selected)) == [0, 1]
    index = np.repeat(np.arange(60), weights.astype(int))
    parts = (data.exposure, data.mediators, data.outcome, data.covariates)
    copied = jax.jit(meddic(lam_node=0.2, dense=0.0))(
        None, MediationData(*(np.asarray(part)[index] for part in parts))
    )
    np.testing.assert_allclose(copied.effects.direct, fit.effects.direct, atol=1e-8)
    np.testing.assert_allclose(
        copied.standard_errors.indirect, fit.standard_errors.indirect, atol=1e-8
    )


@pytest.mark.slow
@pytest.mark.parametrize("dense", [pytest.param(0.2, marks=pytest.mark.slow), 0.0])
def test_null_constant_and_single_mediators(dense):
    rng = np.random.default_rng(2)
    m = rng.normal(size=(80, 4))
    m[:, 1] = 3.0
    data = MediationData(rng.normal(size=80), m, rng.normal(size=80), np.zeros((80, 0)))
    fit = jax.jit(meddic(dense=dense, lam_node=0.2))(None, data)
    assert int(fit.status) == st.EMPTY_SELECTION
    assert int(fit.mediators.reason[1]) == st.CONSTANT_MEDIATOR
    assert np.isnan(fit.mediators.beta[1]) and np.isfinite(float(fit.standard_errors.indirect))
    one = MediationData(data.exposure, m[:, :1], data.outcome, data.covariates)
    single = jax.jit(meddic(dense=dense, lam_node=0.2))(None, one)
    design = np.c_[np.ones(80), data.exposure, m[:, 0]]
    b = np.linalg.lstsq(design, np.asarray(data.outcome), rcond=None)[0]
    np.testing.assert_allclose(single.mediators.beta, b[2:], rtol=1e-8)


def test_misuse():
    with pytest.raises(ValueError, match='compat must be "correct"'):
        meddic(compat="r")
    with pytest.raises(ValueError, match="pass a key"):
        jax.jit(meddic(dense=0.0))(None, draw(20, 3, 1))
