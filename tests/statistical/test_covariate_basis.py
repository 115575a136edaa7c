"""Coverage under the default basis of the covariates, and how often "the basis matters" is said."""

import jax
import numpy as np
import pytest
from confounded import CONFOUNDING, TIE, confounded

from jaxmed import Names, covariate_basis
from jaxmed.analysis.basis_effects import design_block
from jaxmed.analysis.design import designed
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.ols import ols

TARGET = 0.90
ROWS = (85, 200, 500)
# Shares of product sets in which a quadratic basis is found out, by rows.
FOUND_OUT = {85: 0.5, 200: 0.95, 500: 0.99}


def sets(n, confounding, count):
    rng = np.random.default_rng([n, CONFOUNDING.index(confounding)])
    return [confounded(rng, n, confounding) for _ in range(count)]


def standard_error(share, count):
    return np.sqrt(max(share * (1 - share), 1 / count) / count)


@jax.jit
@jax.vmap
def intervals(one):
    """Of the indirect effect; one program for all sets of one shape."""
    return ols()(None, one).intervals.indirect


def covered(data):
    """Whether the interval of the indirect effect holds the truth."""
    on_basis = [covariate_basis(one).data for one in data]
    stacked = MediationData(
        *(
            np.stack([np.asarray(getattr(one, field)) for one in on_basis])
            for field in ("exposure", "mediators", "outcome", "covariates")
        ),
        names=Names(),
    )
    found = intervals(stacked)
    return np.asarray((found.lower <= TIE) & (found.upper >= TIE))


def fires(data, basis):
    """Share of sets in which the basis is said to matter."""
    said = [design_block(designed(one, basis), one, 0.95)["matters"]["moved"] for one in data]
    return np.mean(said)


@pytest.mark.parametrize(
    ("n", "count"),
    [(85, 100), *(pytest.param(n, 400, marks=pytest.mark.slow) for n in ROWS)],
)
@pytest.mark.parametrize("confounding", CONFOUNDING)
def test_coverage_under_auto(n, count, confounding):
    share = np.mean(covered(sets(n, confounding, count)))
    assert share >= TARGET - 2 * standard_error(TARGET, count)


@pytest.mark.parametrize("n", [85, *(pytest.param(n, marks=pytest.mark.slow) for n in (200, 500))])
def test_a_product_that_a_quadratic_basis_misses_is_said(n):
    count = 100
    share = fires(sets(n, "product", count), "quadratic")
    assert share >= FOUND_OUT[n] - 2 * standard_error(FOUND_OUT[n], count)


@pytest.mark.parametrize("n", [85, *(pytest.param(n, marks=pytest.mark.slow) for n in (200, 500))])
@pytest.mark.parametrize("confounding", ["linear", "curved"])
def test_false_alarms_are_rare(n, confounding):
    count = 200
    share = fires(sets(n, confounding, count), "quadratic")
    assert share <= 0.03 + 2 * standard_error(0.03, count)
