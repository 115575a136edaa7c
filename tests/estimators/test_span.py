"""Dependent mediators: joint effects are those of the span, whichever columns describe it."""

import functools

import jax
import numpy as np
import pytest

from jaxmed import status as st
from jaxmed.analysis.least_squares import least_squares
from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.ols import ols

N = 80


@functools.cache
def composition(dtype=np.float64):
    """Shares of five parts, which sum to 1; exposure, outcome and one covariate."""
    rng = np.random.default_rng(2)
    a, x = rng.normal(size=N), rng.normal(size=(N, 1))
    parts = np.exp(rng.normal(size=(N, 5)) + 0.4 * a[:, None] * np.array([1, 0, 0, -1, 0]))
    shares = parts / parts.sum(axis=1, keepdims=True)
    y = 0.8 * a + 2 * shares[:, 0] - shares[:, 1] + x[:, 0] + 0.5 * rng.normal(size=N)
    return tuple(np.asarray(v, dtype) for v in (a, shares, y, x))


def variants(dtype=np.float64):
    """Descriptions of one span: mediators and how many of them count."""
    a, shares, _, x = composition(dtype)
    column = np.column_stack
    return {
        "first dropped": shares[:, 1:],
        "last dropped": shares[:, :-1],
        "all": shares,
        "affine copy": column([shares[:, :-1], 32 + 1.8 * shares[:, 2]]),
        "copy first": column([shares[:, 2], shares[:, :-1]]),
        "exposure among them": column([shares[:, :-1], a]),
        "with a covariate": column([shares[:, 1:], shares[:, 1] - 2 * x[:, 0]]),
        "constant": column([shares, np.ones(N, dtype)]),
    }


FEW = [name for name in variants() if name != "constant"]  # one shape less
PROGRAMS = {
    v: quick_jit(lambda d, v=v: ols(variance=v)(None, d)) for v in ("difference", "path_sum")
}


def fitted(name, dtype=np.float64, variance="difference"):
    a, _, y, x = composition(dtype)
    data = MediationData(*map(np.asarray, (a, variants(dtype)[name], y, x)))
    return jax.tree.map(np.asarray, PROGRAMS[variance](data)), data


def joint(found):
    parts = ("direct", "indirect", "total")
    return np.array(
        [
            [float(getattr(whole, part)) for part in parts]
            for whole in (found.effects, found.standard_errors)
        ]
    )


@pytest.mark.parametrize(
    ("dtype", "variance", "names"),
    [
        pytest.param(np.float64, "difference", FEW, id="float64-difference"),
        pytest.param(np.float32, "path_sum", FEW, id="float32-path_sum", marks=pytest.mark.slow),
        *(
            pytest.param(d, v, variants(), id=f"{d.__name__}-{v}-all", marks=pytest.mark.slow)
            for d in (np.float64, np.float32)
            for v in PROGRAMS
        ),
    ],
)
def test_joint_results_do_not_depend_on_the_columns(dtype, variance, names):
    wanted, _ = fitted("first dropped", dtype, variance)
    assert int(wanted.status) == st.OK and not int(wanted.notes) & st.Note.SPAN_ONLY
    a, _, y, x = composition(dtype)
    base = np.column_stack([np.ones(N), a, x, composition()[1][:, 1:]])
    direct = np.linalg.lstsq(base, np.float64(y), rcond=None)[0][1]
    assert float(wanted.effects.direct) == pytest.approx(direct, rel=1e-3)
    for name in names:
        found, _ = fitted(name, dtype, variance)
        rtol = 1e-9 if dtype == np.float64 else 1e-4
        np.testing.assert_allclose(joint(found), joint(wanted), rtol=rtol, err_msg=name)
        assert float(found.details.df) == N - 7, name
        dependent = name not in ("first dropped", "last dropped", "exposure among them")
        assert bool(int(found.notes) & st.Note.SPAN_ONLY) == dependent, name
        assert int(found.status) == st.OK, name


def test_coefficients_that_the_span_leaves_open():
    found, _ = fitted("affine copy")
    table, alone = found.mediators, fitted("last dropped")[0].mediators
    tied = np.array([False, False, True, False, True])
    assert (np.asarray(table.reason) == np.where(tied, st.RANK_DEFICIENT, st.OK)).all()
    for part in ("beta", "beta_se", "p_value", "lower"):
        assert (np.isnan(getattr(table, part)) == tied).all()
        own = np.asarray(getattr(alone, part))[[0, 1, 3]]
        np.testing.assert_allclose(np.asarray(getattr(table, part))[[0, 1, 3]], own, rtol=1e-8)
    np.testing.assert_allclose(table.alpha[4], 1.8 * table.alpha[2], rtol=1e-9)
    everything = fitted("all")[0].mediators
    assert (np.asarray(everything.reason) == st.RANK_DEFICIENT).all()


def test_a_dependency_that_needs_the_exposure_has_no_direct_effect():
    a, shares, y, x = composition()
    mixed = np.column_stack([shares[:, :-1], shares[:, 0] + a])
    data = MediationData(*map(np.asarray, (a, mixed, y, x)))
    found = PROGRAMS["difference"](data)
    assert int(found.status) == st.RANK_DEFICIENT and np.isnan(joint(found)[:, :2]).all()
    # The total effect needs no mediator, nor does its error.
    twin = least_squares(data, x)
    assert np.isnan(twin.direct)
    np.testing.assert_allclose(
        [found.effects.total, found.standard_errors.total], [twin.total, twin.total_se], rtol=1e-9
    )


@pytest.mark.slow
def test_neighbours_in_a_batch_keep_every_bit():
    a, shares, y, x = composition()
    rng = np.random.default_rng(7)
    regular = rng.normal(size=(N, 4)) + a[:, None]
    copied = np.column_stack([shares[:, :3], shares[:, 1]])
    one, two, three = (
        MediationData(*map(np.asarray, (a, m, y, x))) for m in (regular, copied, regular[:, ::-1])
    )
    program = jax.jit(jax.vmap(lambda d: ols()(None, d)))
    stack = lambda *each: jax.tree.map(lambda *v: np.stack(v), *each)  # noqa: E731
    mixed, clean = (
        jax.tree.map(np.asarray, program(stack(one, other, three))) for other in (two, one)
    )
    for i in (0, 2):
        jax.tree.map(lambda u, v, i=i: np.testing.assert_array_equal(u[i], v[i]), mixed, clean)
    assert int(mixed.notes[1]) & st.Note.SPAN_ONLY and np.isfinite(mixed.effects.direct[1])


@pytest.mark.parametrize(
    "name", [*FEW, *(pytest.param(v, marks=pytest.mark.slow) for v in variants() if v not in FEW)]
)
def test_host_twin(name):
    found, data = fitted(name)
    twin = least_squares(data, composition()[3])
    numbers = [
        [twin.direct, twin.indirect, twin.total],
        [twin.direct_se, twin.indirect_se, twin.total_se],
    ]
    np.testing.assert_allclose(numbers, joint(found), rtol=1e-8)
    assert twin.df == N - 7
