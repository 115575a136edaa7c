"""Disparity: oracle of estimates and covariances, identities, interaction, names, errors."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from beyond_mediation import NAMES, centred_mean, data, oracle, repeated, simulator, single

from jaxmed import estimands

SETS = {"lipids": ["ldl"], "inflammation": ["crp", "il6"]}
KEY = jax.random.key(1)


@functools.cache
def decomposed(dtype="float64"):
    given = data(weighted=True)
    given = given if dtype == "float64" else single(given)
    return estimands.disparity(KEY, given, SETS, basis="linear", adjust="all")


def test_terms_and_their_covariance_are_those_of_plain_least_squares_on_copied_rows():
    given, found = repeated(data(weighted=True)), decomposed()
    plain = oracle(given)

    def path(where):
        a, b = plain["alpha"][where], plain["beta"][where]
        influence = plain["beta_influence"][:, where] @ a + plain["alpha_influence"][:, where] @ b
        return a @ b, influence

    group = given.exposure == 1
    whole, influence = 0.0, np.zeros(len(group))
    for side, sign in ((group, 1), (~group, -1)):
        mean, own = centred_mean(given.outcome[side])
        whole += sign * mean
        influence[side] += sign * own
    terms = {
        "disparity": (whole, influence),
        "lipids": path([0]),
        "inflammation": path([1, 2]),
        "other mediators": path([3, 4, 5]),
        "direct": (plain["direct"], plain["direct_influence"]),
    }
    known = [terms[name] for name in list(terms)[1:]]
    terms["covariates"] = tuple(terms["disparity"][i] - sum(v[i] for v in known) for i in (0, 1))
    terms["unexplained"] = tuple(
        terms["disparity"][i] - terms["lipids"][i] - terms["inflammation"][i] for i in (0, 1)
    )
    assert found.terms.names == tuple(terms)
    np.testing.assert_allclose(found.terms.estimate, [v for v, _ in terms.values()], atol=1e-9)
    stacked = np.stack([v for _, v in terms.values()])
    np.testing.assert_allclose(found.terms.covariance, stacked @ stacked.T, rtol=1e-7, atol=1e-12)


def test_the_parts_add_up_to_the_disparity():
    terms = decomposed().terms
    parts = (*SETS, "other mediators", "direct", "covariates")
    left = terms.contrast({"disparity": 1.0, **dict.fromkeys(parts, -1.0)})
    assert abs(float(left.estimate)) < 1e-10 and float(left.standard_error) < 1e-7
    rest = ("other mediators", "direct", "covariates", "unexplained")
    values = [float(terms[name].estimate) for name in rest]
    assert sum(values[:3]) == pytest.approx(values[3], abs=1e-10)


@pytest.mark.slow  # quick is that of the chain, which has the same regressions
def test_float32_stays_float32_and_agrees():
    found, fine = decomposed(dtype="float32"), decomposed()
    assert found.terms.estimate.dtype == found.terms.covariance.dtype == np.float32
    np.testing.assert_allclose(found.terms.estimate, fine.terms.estimate, atol=2e-4)
    np.testing.assert_allclose(found.terms.standard_error, fine.terms.standard_error, rtol=2e-3)


def test_gap_is_that_of_a_product_of_two_sets():
    rng = np.random.default_rng(3)
    n, gamma = 400, 0.3
    t = (np.arange(n) % 2).astype(float)
    m = np.outer(t, [1.0, 0.8]) + rng.normal(size=(n, 2))
    y = 0.5 * t + m @ [1.0, 1.0] + gamma * m[:, 0] * m[:, 1] + 0.5 * rng.normal(size=n)
    given = dataclasses.replace(data(n), exposure=t, mediators=m, outcome=y, names=data().names)
    given = dataclasses.replace(given, names=dataclasses.replace(given.names, mediators=()))
    sets = {"one": [0], "two": [1]}
    found = estimands.disparity(KEY, given, sets, basis="linear")
    gap = found.gap["gap"]
    truth = -gamma * 1.0 * 0.8
    # The parts of the additive fit that the gap is made of are themselves of order one off.
    assert float(gap.interval.upper) < 0
    assert abs(float(gap.estimate) - truth) < 0.5 * abs(truth)


@pytest.fixture(scope="module")
def generated():
    """With a generator, and of selected mediators."""
    sets = {**SETS, "all others": ["bmi", "hba1c", "egfr"]}
    options = {"generator": simulator(), "basis": "linear", "draws": 3, "adjust": "selected"}
    return estimands.disparity(KEY, data(), sets, **options)


def test_generated_parts_have_no_gap_and_are_the_products_of_the_generator(generated):
    found, own = generated, simulator()
    indirect = np.asarray(own.a * own.b)
    parts = [indirect[where].sum() for where in ([0], [1, 2], [3, 4, 5])]
    np.testing.assert_allclose(found.generated.parts, parts, atol=1e-10)
    assert abs(float(found.generated.gap)) < 1e-10
    np.testing.assert_allclose(found.generated.union, indirect.sum(), atol=1e-10)
    assert int(found.generator_status) == 0


def test_a_generated_disparity_has_each_groups_own_covariates(generated):
    own, given = simulator(), data()
    x, group = given.covariates, given.exposure == 1
    curve = x @ np.asarray(own.g @ own.b + own.h)
    whole = float(own.c + (own.a * own.b).sum()) + curve[group].mean() - curve[~group].mean()
    # The noise of three draws is in the difference of two groups.
    assert float(generated.generated.disparity) == pytest.approx(whole, abs=0.5)


def test_without_a_generator_there_is_no_generated_column():
    assert decomposed().generated is None and decomposed().generator_status is None


def test_selected_mediators_hold_those_that_act(generated):
    assert np.all(np.asarray(generated.selected)[[0, 2, 3, 5]]) and int(generated.status) == 0


@pytest.mark.parametrize(
    ("sets", "message"),
    [
        ({}, "at least one set"),
        ({"a": []}, "at least one"),
        ({"a": ["ldl", "crpp"]}, "no mediator 'crpp'; mediators are: " + ", ".join(NAMES)),
        ({"a": [9]}, "no mediator 9"),
        ({"a": "ldl"}, "not the string"),
        ({"a": ["ldl", 0]}, "named twice"),
        ({"a": ["ldl"], "b": [0]}, "'ldl' is in the sets 'a' and 'b'"),
        ({"direct": ["ldl"]}, "name of another part"),
    ],
)
def test_sets_that_are_refused(sets, message):
    with pytest.raises(ValueError, match=message):
        estimands.disparity(KEY, data(), sets)


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="two values"):
        many = dataclasses.replace(data(), exposure=np.arange(240.0))
        estimands.disparity(KEY, many, SETS)
    with pytest.raises(ValueError, match="adjust must be"):
        estimands.disparity(KEY, data(), SETS, adjust="none")
    with pytest.raises(ValueError, match="there is no 'lipid'; there are: disparity, lipids"):
        decomposed().terms["lipid"]
    assert [row["name"] for row in decomposed().terms.rows()] == list(decomposed().terms.names)


def test_a_basis_made_of_numpy_is_that_of_a_name():
    found = estimands.disparity(
        KEY, data(weighted=True), SETS, basis=lambda c, w: np.asarray(c) * 2, adjust="all"
    )
    np.testing.assert_allclose(found.terms.estimate, decomposed().terms.estimate, rtol=1e-9)
