"""Under jit, where no value can be looked at, an outcome without variation is a status."""

import dataclasses

import jax
import numpy as np
import pytest
from problems import problem

from jaxmed import estimators
from jaxmed import status as st
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.rows import rows_of

BAD = {
    "zero": lambda data: np.zeros(40),
    "constant": lambda data: np.full(40, 0.1),
    "covariate": lambda data: 3 - 2 * data.covariates[:, 0],
    "sum": lambda data: data.covariates @ np.array([1.0, 0.5]),
}
fitted = jax.jit(jax.vmap(lambda d: estimators.ols(basis="linear")(None, d)))


def good():
    return problem(np.random.default_rng(0), 40, 3, 2, scale=0.0)


def batch(*items):
    return jax.tree.map(lambda *leaves: np.stack(leaves), *items)


def test_a_batch_has_the_reason_where_it_belongs():
    data = good()
    others = [dataclasses.replace(data, outcome=make(data)) for make in BAD.values()]
    found = fitted(batch(data, *others))
    alone = fitted(batch(*[data] * len(found.status)))
    assert found.status.tolist() == [st.OK] + [st.CONSTANT_OUTCOME] * len(BAD)
    for part in ("total", "direct", "indirect"):
        numbers = np.asarray(getattr(found.effects, part))
        np.testing.assert_allclose(numbers[0], getattr(alone.effects, part)[0], rtol=1e-12)
        assert np.isnan(numbers[1:]).all()
        assert np.isnan(np.asarray(getattr(found.intervals, part).lower)[1:]).all()
    assert (np.asarray(found.mediators.reason)[1:] == st.CONSTANT_OUTCOME).all()
    assert np.isnan(np.asarray(found.mediators.p_value)[1:]).all()


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_only_rows_with_weight_count(dtype):
    """A resample of a rare 0/1 outcome may have drawn none of the cases."""
    data = good()
    cases = (np.arange(40) < 3).astype(float)
    drawn = np.where(cases > 0, 0.0, 1.0)
    rare = dataclasses.replace(data, outcome=cases, weights=drawn)
    some = dataclasses.replace(rare, weights=np.where(np.arange(40) < 2, 0.0, 1.0))
    both = jax.tree.map(lambda leaf: leaf.astype(dtype), batch(rare, some))
    status = jax.jit(jax.vmap(lambda d: legs_of(rows_of(d)).status))(both)
    assert status.tolist() == [st.CONSTANT_OUTCOME, st.OK]


def test_the_graver_reason_stays():
    data = good()
    bad = dataclasses.replace(data, outcome=np.full(40, np.nan))
    both = dataclasses.replace(data, exposure=data.covariates[:, 0], outcome=np.zeros(40))
    only = dataclasses.replace(data, exposure=data.covariates[:, 0])
    status = jax.jit(jax.vmap(lambda d: legs_of(rows_of(d)).status))(batch(bad, both, only))
    assert status.tolist() == [st.NONFINITE, st.CONSTANT_OUTCOME, st.DEGENERATE_EXPOSURE]
