"""Screening orders and components from merged moments equal those of the pooled rows."""

import dataclasses

import jax
import numpy as np
import pytest
from site_problems import SITES, pooled, sites

from jaxmed.data.validation import InvalidDataError, ShapeError
from jaxmed.estimators.guo import _candidates
from jaxmed.estimators.hima_stages import candidates_of
from jaxmed.estimators.parts.component_bootstrap import row_products, score_effects
from jaxmed.estimators.parts.components import components_of, kept_components
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.federated.merge import merge_sites
from jaxmed.federated.single_mediators import components, guo_screen, hima_screen, marginal
from jaxmed.federated.summary import summarise
from jaxmed.linalg.products import matmul

pytestmark = pytest.mark.skipif(
    not jax.config.jax_enable_x64, reason="equalities to 1e-10 need float64"
)


class Settings:
    n_include = 3


def merged():
    return merge_sites([summarise(d, site=s) for d, s in zip(sites(), SITES, strict=True)])


@jax.jit
def of_rows(data):
    legs = legs_of(rows_of(data))
    found = components_of(legs, None)
    scores = matmul(legs.rows.mediators, found.loadings)
    products = row_products(legs.rows, scores)
    effects = score_effects(products, matmul(legs.rows.weights, products.values))
    kept = kept_components(found, None, 0.8)
    index, p_value = candidates_of(legs, Settings)
    free = np.zeros(5, bool)
    return {
        "hima": (index, p_value),
        "guo": _candidates(legs, jax.numpy.asarray(free), 2),
        "alpha": effects.alpha,
        "beta": effects.beta,
        "loadings": found.loadings,
        "share": found.share,
        "kept": kept,
        "overall": effects.overall(kept),
        "legs": (legs.alpha.estimate, legs.beta.estimate, legs.beta.p_value),
    }


def close(one, two):
    np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-10 * np.max(np.abs(two)))


def test_equal_to_the_pooled_rows():
    data, whole = pooled(sites()), merged()
    wanted = of_rows(jax.tree.map(jax.numpy.asarray, data))
    # Closed over, so that the number of rows stays concrete; one program instead of many.
    (index, p_value), (kept, score), found, effects = jax.jit(
        lambda: (hima_screen(whole, 3), guo_screen(whole, 2), components(whole), marginal(whole))
    )()
    np.testing.assert_array_equal(index, wanted["hima"][0])
    close(p_value, wanted["hima"][1])
    np.testing.assert_array_equal(kept, wanted["guo"])
    np.testing.assert_array_equal(kept, np.sort(np.argsort(-np.asarray(score))[:2]))
    for name in ("alpha", "beta", "loadings", "share"):
        close(getattr(found, name), wanted[name])
    np.testing.assert_array_equal(found.kept, wanted["kept"])
    close(found.direct, wanted["overall"][0])
    close(found.indirect, wanted["overall"][1])
    close(found.total, found.direct + found.indirect)
    for one, two in zip((effects.alpha, effects.beta, effects.beta_p), wanted["legs"], strict=True):
        close(one, two)


def test_all_components_together_are_the_joint_regression():
    whole = merged()
    found = jax.jit(lambda: components(whole, 5))()
    data = pooled(sites())
    design = np.column_stack([np.ones(180), data.covariates, data.exposure, data.mediators])
    slopes = np.linalg.lstsq(design, data.outcome, rcond=None)[0]
    close(found.direct, slopes[3])
    close(matmul(found.loadings, found.beta), slopes[4:])


def test_more_mediators_than_rows_need_the_rows():
    small = merged()
    few = type(small)(*(np.asarray(8.0),) * 3, small.mean, small.comoment, 2, small.names)
    with pytest.raises(ShapeError, match="5 mediators on 8 rows need the rows"):
        components(few)
    with pytest.raises(ValueError, match="components must be at least 1"):
        components(small, 0)


@pytest.mark.parametrize("call", [marginal, hima_screen, guo_screen, components])
@pytest.mark.parametrize("role", ["exposure", "outcome"])
def test_what_covariates_determine_is_refused_by_name(call, role):
    parts = sites()
    told = [dataclasses.replace(d, **{role: 2 * d.covariates[:, 0] + 1}) for d in parts]
    merged = merge_sites([summarise(d, site=s) for d, s in zip(told, SITES, strict=True)])
    name = getattr(merged.names, role)
    with pytest.raises(InvalidDataError, match=f"the {role} '{name}' has no .* given 'age':"):
        call(merged)
