"""Checks of what an estimator answers: its parts, its units, and data that have no answer."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.testing.subject import Subject, assert_close

PARTS = ("direct", "indirect", "total")


def structure(subject: Subject) -> None:
    """An Estimate of arrays: effects [], mediators [p], a bool for each, int32 and uint32 codes."""
    kinds: set[type] = set()

    def fit(key: jax.Array, data: object) -> Estimate:
        found = subject.estimator(key, data)
        kinds.update(map(type, jax.tree.leaves(found)))
        return found

    found = jax.eval_shape(fit, subject.key, subject.data)
    assert isinstance(found, Estimate), f"returns {type(found).__name__}, not Estimate"
    python = sorted(kind.__name__ for kind in kinds & {bool, int, float, complex})
    assert not python, f"leaves are Python's {python}: use jnp.asarray with the dtype of the data"
    p = subject.data.mediators.shape[1]
    for leaf in jax.tree.leaves((found.effects, found.standard_errors, found.intervals)):
        assert leaf.shape == (), f"effects, errors and limits are scalars, not {leaf.shape}"
    for field in dataclasses.fields(found.mediators):
        shape = getattr(found.mediators, field.name).shape
        assert shape == (p,), f"mediators.{field.name} has shape {shape}, not {(p,)}"
    assert found.selected.shape == (p,) and found.selected.dtype == bool, "selected is bool [p]"
    assert found.status.dtype == jnp.int32, f"status is int32, not {found.status.dtype}"
    assert found.notes.dtype == jnp.uint32, f"notes are uint32, not {found.notes.dtype}"


def additivity(subject: Subject) -> None:
    """Direct and indirect effect make the total, or the status says that they do not."""
    found = subject.estimate
    values = np.array([getattr(found.effects, part) for part in PARTS])
    if np.isnan(values).any():
        assert int(found.status) != st.OK, f"effects are NaN without a status: {values}"
        return
    if int(found.status) != st.NOT_ADDITIVE:
        np.testing.assert_allclose(values[0] + values[1], values[2], rtol=1e-4)


def determinism(subject: Subject) -> None:
    """The same key and data give the same bits, and the same program when traced again."""
    again = subject.program(subject.key, subject.data)
    jax.tree.map(np.testing.assert_array_equal, again, subject.estimate)
    first, second = (
        jax.make_jaxpr(lambda k, d: subject.estimator(k, d))(subject.key, subject.data)
        for _ in range(2)
    )
    assert len(first.jaxpr.eqns) == len(second.jaxpr.eqns), "two traces differ"
    for one, other in zip(first.consts, second.consts, strict=True):
        np.testing.assert_array_equal(one, other, err_msg="two traces have other constants")


def units(subject: Subject) -> None:
    """Effects are in outcome units per unit of exposure: powers of two change nothing else."""
    data = subject.data
    found = subject.of(exposure=4 * data.exposure, outcome=data.outcome / 2)
    expected = jax.tree.map(lambda effect: effect / 8, subject.estimate.effects)
    assert_close(found.effects, expected)
    assert_close(found.selected, subject.estimate.selected)


def row_order(subject: Subject) -> None:
    """Rows in another order, where none of them is treated apart."""
    if subject.exchangeable:
        turned = jax.tree.map(lambda column: column[::-1], subject.data)
        found = subject.program(subject.key, turned)
        assert_close(found.effects, subject.estimate.effects)


def bad_data(subject: Subject) -> None:
    """A constant exposure and a NaN have no effects, and a status that says why."""
    data = subject.data
    cases = {
        "a constant exposure": {"exposure": jnp.full_like(data.exposure, 2)},
        "a NaN": {"outcome": data.outcome.at[0].set(jnp.nan)},
    }
    for case, change in cases.items():
        found = subject.of(**change)
        assert int(found.status) >= st.FIRST_FATAL, f"{case}: status {st.name(found.status)}"
        _no_effects(found.effects, case)


def few_rows(subject: Subject) -> None:
    """Four rows: an answer that adds up, or a status that says why there is none."""
    few = jax.tree.map(lambda column: column[:4], subject.data)
    found = subject.program(subject.key, few)
    if int(found.status) >= st.FIRST_FATAL:
        assert np.isnan(float(found.effects.indirect)), "four rows: an effect and a fatal status"
    elif np.isnan(float(found.effects.indirect)):
        assert int(found.status) != st.OK, "four rows: an effect is NaN without a status"


def _no_effects(effects: Effects, case: str) -> None:
    for part in PARTS:
        value = float(getattr(effects, part))
        assert np.isnan(value), f"{case}: the {part} effect is {value}, not NaN"
