"""Degenerate problems: every method of the field gives a number that holds, or says why not."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from every_estimator import METHODS

from jaxmed import estimators, registry
from jaxmed import status as st
from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import MediationData

# In the quick run what compiles soon: all mediators, a penalty on them, a composite.
QUICK = {"ols", "guo", "maxie"}
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]
PARTS = ("direct", "indirect", "total")
N, P = 60, 6
CASES = ("regular", "no signal", "duplicate", "exact outcome", "exposure only")
COLUMNS = ("alpha", "alpha_se", "beta", "beta_se", "indirect", "lower", "upper", "p_value")


def test_every_method_of_the_list_is_here():
    assert set(METHODS) == set(registry.METHODS) - {"gahmn"}  # which trains networks


def data_of(case, p=P):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(N, 2))
    a = rng.normal(size=N) + 0.5 * x[:, 0]
    m = rng.normal(size=(N, p)) + 0.3 * x[:, 1:]
    other = np.random.default_rng(8)
    if case == "no signal":
        m = other.normal(size=(N, p))
    else:
        m[:, 0] += 1.2 * a
    y = 0.5 * a + 1.2 * m[:, 0] + x[:, 0] + rng.normal(size=N)
    if case == "no signal":
        y = other.normal(size=N)
    if case == "duplicate":
        m[:, -1] = m[:, 1 % p]
    if case == "exact outcome":
        y = a + m[:, 0] - x[:, 0]
    if case == "exposure only":
        y = 2 * a + x[:, 1]
    return MediationData(a, m, y, x, np.ones(N))


@functools.cache
def program(name):
    def parts(data):
        found = METHODS[name](jax.random.key(3), data)
        kept = (found.effects, found.standard_errors, found.intervals, found.p_values)
        return kept, found.mediators, found.selected, found.status, found.notes

    return quick_jit(parts)


@functools.cache
def fitted(name, case, p=P):
    return jax.tree.map(np.asarray, program(name)(data_of(case, p)))


def triple(effects):
    return np.array([float(getattr(effects, part)) for part in PARTS])


def limits(found):
    intervals = found[0][2]
    return np.array(
        [[float(getattr(intervals, p).lower), float(getattr(intervals, p).upper)] for p in PARTS]
    )


def least_squares_total(data):
    base = np.column_stack([np.ones(N), data.exposure, data.covariates])
    return np.linalg.lstsq(base, np.asarray(data.outcome), rcond=None)[0][1]


def check(found, data):
    """What holds for every answer to every problem."""
    (effects, errors, _, p_values), mediators, _, status, notes = found
    code, bits = int(status), int(notes)
    numbers = np.concatenate([triple(effects), triple(errors), limits(found).ravel()])
    # That a share means little is no reason, and that a method has no errors none for an effect.
    if np.isnan(triple(effects)).any():
        assert code != st.OK, "an effect that is NaN without a reason"
    if np.isnan(numbers).any():
        assert code != st.OK or bits & ~st.Note.WEAK_TOTAL, "a NaN without a reason"
    table = np.stack([np.asarray(getattr(mediators, column)) for column in COLUMNS])
    silent = np.isnan(table).any(axis=0) & (mediators.reason == st.OK)
    assert not silent.any(), f"mediators without numbers and without reason: {silent}"

    lower, upper = limits(found).T
    assert (np.isnan(lower) == np.isnan(upper)).all() and not (lower >= upper).any()
    # Nor one that rounding alone keeps open.
    size = np.nanmax(np.abs(numbers), initial=0)
    assert not (upper - lower <= 1e-14 * size).any()
    assert not (np.asarray(mediators.lower) >= np.asarray(mediators.upper)).any()
    exact = triple(errors) == 0
    assert not (triple(p_values)[exact] > 0).any(), "an effect without error has p > 0"
    if code >= st.FIRST_FATAL:
        return
    direct, indirect, total = triple(effects)
    assert direct + indirect == pytest.approx(total, abs=1e-9)
    if code != st.NOT_ADDITIVE:
        assert total == pytest.approx(least_squares_total(data), abs=1e-8)
    if indirect == 0:
        assert np.isnan([triple(p_values)[1], lower[1], upper[1]]).all()
        assert code in (st.EMPTY_SELECTION, st.ZERO_RESIDUAL, st.NULL_PATH, st.NOT_CONVERGED)
        assert direct == total


@pytest.mark.parametrize("name", NAMES)
def test_every_number_holds_or_has_a_reason(name):
    for case in CASES:
        check(fitted(name, case), data_of(case))


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_a_single_mediator(name):
    for case in ("regular", "no signal", "exact outcome"):
        check(fitted(name, case, 1), data_of(case, 1))


@pytest.mark.parametrize("name", ["ols", pytest.param("maxie", marks=pytest.mark.slow)])
def test_duplicates_count_once(name):
    """The effects of both are those of five mediators, and the note says so."""
    found = fitted(name, "duplicate")
    assert int(found[4]) & st.Note.SPAN_ONLY and int(found[3]) == st.OK
    data = data_of("duplicate")
    base = np.column_stack([np.ones(N), data.exposure, data.covariates, data.mediators[:, :-1]])
    direct = np.linalg.lstsq(base, np.asarray(data.outcome), rcond=None)[0][1]
    if name == "ols":
        assert triple(found[0][0])[0] == pytest.approx(direct, rel=1e-9)


def test_methods_that_select_select_nothing_without_signal():
    found = fitted("guo", "no signal")
    (effects, errors, _, p_values), _, selected, status, _ = found
    assert not selected.any() and int(status) == st.EMPTY_SELECTION
    assert triple(effects)[1] == 0 and np.isnan(triple(errors)[1]) and np.isnan(triple(p_values)[1])
    assert (
        triple(errors)[0] == pytest.approx(triple(errors)[2], rel=1e-12) and triple(errors)[2] > 0.1
    )
    assert (
        limits(found)[0] == pytest.approx(limits(found)[2]) and np.isfinite(limits(found)[0]).all()
    )


GAPS = {
    "hilma, a large penalty": estimators.hilma(lam=0.5),
    "pathway_lasso, as released": estimators.pathway_lasso(
        lam=0.5, selection="none", compat="r", max_iterations=200
    ),
}


@pytest.mark.parametrize(
    "name",
    [pytest.param("hilma, a large penalty", marks=pytest.mark.slow), "pathway_lasso, as released"],
)
def test_shrunken_effects_show_their_gap(name):
    data = data_of("regular")
    found = quick_jit(lambda d: GAPS[name](None, d))(data)
    gap = float(found.effects.total) - least_squares_total(data)
    assert float(found.details.gap) == pytest.approx(gap, abs=1e-9)
    assert abs(gap) > 1e-3 and int(found.status) >= st.NOT_ADDITIVE


# What an answer must not depend on, and the methods for which it does (docs/invariants.md).
FOLDS = {
    "double_selection",
    "double_selection_zz",
    "hima2",
    "hdma",
    "medfix",
    "pathway_lasso",
    "meddic",
    "lasso_exposure",
    "lasso_outcome",
    "plsem",
}
DEPENDS = {
    "rows": FOLDS,  # drawn by the place of a row
    "columns": set(),
    "outcome plus exposure": {"reg_outcome", "lasso_outcome"},  # models without the exposure
    "outcome plus covariate": set(),
    "mediators' units": {"directions", "pcma", "spcma"},  # of unit norm, or variance
    "outcome's units": set(),
    "exposure's units": set(),
}


def changed(data):
    """The same problem said differently: what -> data, and effects from those of the change."""
    rng = np.random.default_rng(9)
    rows, columns = rng.permutation(N), rng.permutation(P)
    units = np.asarray([1, 10, 0.1, 3, 7, 0.3])
    y, a = data.outcome, data.exposure
    same = lambda effects: effects  # noqa: E731
    replace = dataclasses.replace
    return {
        "rows": (jax.tree.map(lambda v: v[rows], data), same),
        "columns": (replace(data, mediators=data.mediators[:, columns]), same),
        "outcome plus exposure": (
            replace(data, outcome=y + 2 * a),
            lambda e: e - np.array([2, 0, 2]),
        ),
        "outcome plus covariate": (replace(data, outcome=y + 3 * data.covariates[:, 0]), same),
        "mediators' units": (replace(data, mediators=data.mediators * units + 5), same),
        "outcome's units": (replace(data, outcome=1e3 * y - 7), lambda e: e / 1e3),
        "exposure's units": (replace(data, exposure=0.037 * a + 2), lambda e: e * 0.037),
    }


@pytest.mark.parametrize("name", NAMES)
def test_invariants(name):
    expected = fitted(name, "regular")[0][0]
    for what, (data, back) in changed(data_of("regular")).items():
        if name in DEPENDS[what]:
            continue
        found = jax.tree.map(np.asarray, program(name)(data))[0][0]
        np.testing.assert_allclose(
            back(triple(found)), triple(expected), rtol=1e-7, atol=1e-8, err_msg=what
        )
