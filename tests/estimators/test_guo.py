"""Partially penalised least squares: anchors, certificates, the signed slope of the code."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
import reference_data as rd

from jaxmed import estimators
from jaxmed import status as st
from jaxmed.data.mediation_data import Names
from jaxmed.estimators.parts.reference import ReferenceWouldStop


@functools.cache
def program(**options):
    """Everything but the intervals of single mediators, the slowest part to compile."""
    estimator = estimators.guo(**options)

    def numbers(data):
        found = estimator(None, data)
        return {
            "effects": found.effects,
            "errors": found.standard_errors,
            "selected": found.selected,
            "status": found.status,
            "beta": found.mediators.beta,
            "details": found.details,
        }

    return jax.jit(numbers)


@pytest.mark.parametrize(
    "alias, direct, indirect",
    [
        pytest.param("lin", 0.419702, -0.304043, marks=pytest.mark.slow),
        pytest.param("mx20", 0.481135, 0.365040, marks=pytest.mark.slow),
    ],
)
def test_keeping_all_mediators_is_least_squares(alias, direct, indirect):
    data = rd.data(alias)
    found = program(keep=tuple(range(data.mediators.shape[1])))(data)
    np.testing.assert_allclose(found["effects"].direct, direct, atol=1e-6)
    np.testing.assert_allclose(found["effects"].indirect, indirect, atol=1e-6)


def numpy_variances(data, selected):
    """The source's formulas, written out with 1/n cross-moments."""
    n = len(data.exposure)
    v = np.column_stack([data.exposure, np.ones(n), data.covariates])
    m = data.mediators[:, selected]
    z = np.column_stack([m, v])
    rss_z = np.sum((data.outcome - z @ np.linalg.lstsq(z, data.outcome, rcond=None)[0]) ** 2)
    rss_v = np.sum((data.outcome - v @ np.linalg.lstsq(v, data.outcome, rcond=None)[0]) ** 2)
    s1 = rss_z / (n - z.shape[1])
    s2 = max(rss_v / (n - v.shape[1]) - s1, 0)
    vv, vm, mm = v.T @ v / n, v.T @ m / n, m.T @ m / n
    inverse = np.linalg.inv(vv)
    b = inverse @ vm @ np.linalg.inv(mm - vm.T @ inverse @ vm) @ vm.T @ inverse
    direct = s1 * (inverse + b)[0, 0] / n
    indirect = (s2 * inverse + s1 * b)[0, 0] / n
    return direct, indirect, (s1 + s2) * inverse[0, 0] / n


def test_variances_are_the_sources():
    data = rd.data("lin")
    found = program()(data)
    selected = np.flatnonzero(found["selected"])
    assert 3 <= selected.size < 15
    errors = found["errors"]
    got = [float(e) ** 2 for e in (errors.direct, errors.indirect, errors.total)]
    np.testing.assert_allclose(got, numpy_variances(data, selected), rtol=1e-9)
    effects = found["effects"]
    np.testing.assert_allclose(effects.direct + effects.indirect, effects.total, rtol=1e-12)


def test_the_sign_of_the_outcome_matters_only_for_the_authors_code():
    data = rd.data("lin")
    flipped = dataclasses.replace(data, outcome=-data.outcome)
    same = [program()(d) for d in (data, flipped)]
    np.testing.assert_array_equal(same[0]["selected"], same[1]["selected"])
    np.testing.assert_allclose(same[0]["beta"], -same[1]["beta"], rtol=1e-9)
    code = [program(compat="r")(d) for d in (data, flipped)]
    assert not np.array_equal(
        code[0]["details"].penalised_beta, -np.asarray(code[1]["details"].penalised_beta)
    )


def test_certificate_and_truth():
    data, truth = rd.data("lin"), rd.arrays("lin")
    found = program()(data)
    reached = np.isfinite(found["details"].hbic)
    assert reached[found["details"].index] and reached.sum() > 20
    assert float(np.max(found["details"].violation[reached])) < 1e-8
    active = np.flatnonzero(truth["true_b"])
    assert set(active) <= set(np.flatnonzero(found["selected"]))
    assert abs(float(found["effects"].indirect) - truth["true_tie"]) < 3 * float(
        found["errors"].indirect
    )


@pytest.mark.slow
def test_weights_are_copies_of_rows():
    data = rd.data("lin")
    counts = np.random.default_rng(0).multinomial(150, np.full(150, 1 / 150)).astype(float)
    weighted = program()(dataclasses.replace(data, weights=counts))
    rows = np.repeat(np.arange(150), counts.astype(int))
    copied = program()(jax.tree.map(lambda x: x[rows], data))
    np.testing.assert_array_equal(weighted["selected"], copied["selected"])
    for part in ("direct", "indirect", "total"):
        for leaf in ("effects", "errors"):
            np.testing.assert_allclose(
                getattr(weighted[leaf], part), getattr(copied[leaf], part), rtol=1e-8
            )


def test_nothing_to_find():
    data = rd.data("lin")
    rng = np.random.default_rng(3)
    everything = np.column_stack([np.ones(150), data.covariates, data.exposure, data.mediators])
    noise = rng.normal(size=150)
    noise -= everything @ np.linalg.lstsq(everything, noise, rcond=None)[0]
    found = program()(dataclasses.replace(data, outcome=data.exposure + noise))
    assert int(found["status"]) == st.EMPTY_SELECTION
    assert not np.any(found["selected"])
    np.testing.assert_allclose(found["effects"].direct, 1, atol=1e-9)
    np.testing.assert_allclose(found["effects"].indirect, 0, atol=1e-9)
    # A sum over no mediator has no error, and the total effect that of the direct effect.
    assert np.isnan(found["errors"].indirect)
    np.testing.assert_allclose(found["errors"].total, found["errors"].direct)


@pytest.mark.slow
@pytest.mark.programs(400, reason="it can raise outside of programs only")
def test_the_code_stops_with_fewer_than_two():
    data = rd.data("mx20")
    single = dataclasses.replace(data, mediators=data.mediators[:, :1], names=Names())
    with pytest.raises(ReferenceWouldStop, match="fewer than two"):
        estimators.guo(compat="r", num_penalties=2, ratio=0.5)(None, single)
    estimate = jax.jit(lambda d: estimators.guo(compat="r", num_penalties=2)(None, d).status)
    assert int(estimate(single)) == st.REFERENCE_STOPS


def test_prescreening_keeps_the_named_mediators():
    data = rd.data("mx20")
    found = program(prescreen=6, keep=("m20",))(data)
    candidates = np.asarray(found["details"].candidates)
    assert candidates.size == 6 and 19 in candidates
    assert bool(found["selected"][19])


def test_wrong_options_are_refused():
    with pytest.raises(ValueError, match="gamma must be above 2"):
        estimators.guo(gamma=1.5)
    with pytest.raises(ValueError, match="no mediator 'm99' to keep"):
        jax.jit(estimators.guo(keep=("m99",)))(None, rd.data("lin"))
    with pytest.raises(ValueError, match="prescreen must be positive"):
        estimators.guo(prescreen=0)
    with pytest.raises(ValueError, match="no covariate 'age'"):
        jax.jit(estimators.guo(covariates_outcome=("age",)))(None, rd.data("lin"))
