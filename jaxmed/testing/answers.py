"""Checks of what an estimator answers: its parts, its units, and data that have no answer."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.estimators.estimate import Effects, Estimate, MediatorEffects
from jaxmed.testing.subject import NotApplicableError, Subject, assert_close

PARTS = ("direct", "indirect", "total")
OTHER_KEYS = 4  # choices among few candidates may agree for one or two of them
WILD = 1e3  # times a column plus one: what a row without weight must not bring in


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
    table = found.mediators
    assert isinstance(table, MediatorEffects), (
        f"mediators is {type(table).__name__}, not MediatorEffects: "
        "estimators.parts.assemble.mediator_effects makes one"
    )
    for field in dataclasses.fields(table):
        if not field.metadata.get("static"):
            shape = getattr(table, field.name).shape
            assert shape == (p,), f"mediators.{field.name} has shape {shape}, not {(p,)}"
    assert table.reason.dtype == jnp.int32, f"mediators.reason is int32, not {table.reason.dtype}"
    assert found.selected.shape == (p,) and found.selected.dtype == bool, "selected is bool [p]"
    assert found.status.dtype == jnp.int32, f"status is int32, not {found.status.dtype}"
    assert found.notes.dtype == jnp.uint32, f"notes are uint32, not {found.notes.dtype}"


def answer(subject: Subject) -> None:
    """The data have an answer: a status below `status.FIRST_FATAL` and finite effects."""
    _ = subject.estimate  # which says so where there is none


def additivity(subject: Subject) -> None:
    """Direct and indirect effect make the total, or the status says that they do not."""
    found = subject.estimate
    if int(found.status) != st.NOT_ADDITIVE:
        direct, indirect, total = (float(getattr(found.effects, part)) for part in PARTS)
        message = "direct and indirect effect do not make the total"
        np.testing.assert_allclose(direct + indirect, total, rtol=1e-4, err_msg=message)


def determinism(subject: Subject) -> None:
    """The same key and data give the same bits, also from a program that is traced anew."""
    traced_anew = jax.jit(lambda key, data: subject.estimator(key, data))
    for case, program in {"call": subject.program, "trace": traced_anew}.items():
        again = program(subject.key, subject.data)
        assert _same_bits(again, subject.estimate), f"a second {case} gives other numbers"


def keys(subject: Subject) -> None:
    """Another key gives another answer where the method is said to be random, and only there."""
    others = (jax.random.fold_in(subject.key, i) for i in range(1, 1 + OTHER_KEYS))
    same = [_same_bits(subject.program(key, subject.data), subject.estimate) for key in others]
    if subject.random:
        assert not all(same), f"random=True, and {1 + OTHER_KEYS} keys give the same numbers"
    else:
        assert all(same), "another key gives other numbers: random=True says that this is meant"


def units(subject: Subject) -> None:
    """Effects are in outcome units per unit of exposure, whatever the units of the mediators."""
    data = subject.data
    found = subject.of(exposure=4 * data.exposure, outcome=data.outcome / 2)
    expected = jax.tree.map(lambda effect: effect / 8, subject.estimate.effects)
    assert_close(found.effects, expected, "exposure and outcome in other units")
    assert_close(found.selected, subject.estimate.selected, "exposure and outcome in other units")
    if subject.unit_free:
        # Powers of two, so that nothing is rounded: 1, 2, 4, 1/4, 1/2, and again.
        scale = 2.0 ** np.resize([0, 1, 2, -2, -1], data.mediators.shape[1])
        scale = jnp.asarray(scale, data.mediators.dtype)
        found = subject.of(mediators=data.mediators * scale[None, :])
        assert_close(found.effects, subject.estimate.effects, "mediators in other units")
        assert_close(found.selected, subject.estimate.selected, "mediators in other units")


def row_order(subject: Subject) -> None:
    """Rows in another order, where none of them is treated apart."""
    if not subject.exchangeable:
        raise NotApplicableError("exchangeable=False")
    order = np.random.default_rng(1).permutation(subject.data.exposure.shape[0])
    found = subject.program(subject.key, jax.tree.map(lambda column: column[order], subject.data))
    assert_close(found.effects, subject.estimate.effects, "rows in another order")


def weights(subject: Subject) -> None:
    """A row of weight 0 is no row, and one of weight 2 is two."""
    if not subject.weighted:
        raise NotApplicableError("weighted=False")
    data = subject.data
    ones = jnp.ones_like(data.exposure)
    one_out = ones.at[1].set(0)
    without = dataclasses.replace(data, weights=one_out)
    wild = jax.tree.map(lambda column: column.at[1].set(WILD * column[1] + 1), data)
    wild = dataclasses.replace(wild, weights=one_out)
    expected = subject.program(subject.key, without)
    found = subject.program(subject.key, wild)
    assert_close(found.effects, expected.effects, "wild values in a row of weight 0")
    assert_close(found.selected, expected.selected, "wild values in a row of weight 0")
    if subject.exchangeable:  # else the second of the two may be in another fold
        twice = jax.tree.map(lambda column: column.at[1].set(column[0]), data)
        expected = subject.program(subject.key, dataclasses.replace(twice, weights=ones))
        counted = dataclasses.replace(wild, weights=one_out.at[0].set(2))
        found = subject.program(subject.key, counted)
        assert_close(found.effects, expected.effects, "weight 2 instead of two rows")


def no_weights(subject: Subject) -> None:
    """Weights of None are ones."""
    ones = jnp.ones_like(subject.data.exposure)
    expected, found = (subject.of(weights=weights).effects for weights in (ones, None))
    assert_close(found, expected, "weights of None instead of ones")


def no_covariates(subject: Subject) -> None:
    """Without covariates: an answer, or a status or a ValueError that says why there is none."""
    names = dataclasses.replace(subject.data.names, covariates=(), groups=())
    _or_a_reason(subject, covariates=subject.data.covariates[:, :0], names=names)


def one_mediator(subject: Subject) -> None:
    """With one mediator: an answer, or a status or a ValueError that says why there is none."""
    names = dataclasses.replace(subject.data.names, mediators=subject.data.names.mediators[:1])
    _or_a_reason(subject, mediators=subject.data.mediators[:, :1], names=names)


def _or_a_reason(subject: Subject, **changes: object) -> None:
    """The answer to other columns has their shapes, and a NaN its status."""
    _ = subject.estimate
    changed = dataclasses.replace(subject.data, **changes)
    try:
        found = subject.program(subject.key, changed)
    except ValueError as error:
        raise NotApplicableError(f"refused: {error}") from error
    p = changed.mediators.shape[1]
    shapes = {found.selected.shape, *(leaf.shape for leaf in jax.tree.leaves(found.mediators))}
    assert shapes == {(p,)}, f"shapes {shapes} of the mediators, not {(p,)}"
    effects = np.array(jax.tree.leaves(found.effects))
    fatal = int(found.status) >= st.FIRST_FATAL
    assert fatal or np.isfinite(effects).all(), f"effects {effects} without a status"


def bad_data(subject: Subject) -> None:
    """A constant exposure and a NaN have no effects, and a status that says why."""
    _, data = subject.estimate, subject.data
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
    _ = subject.estimate
    few = jax.tree.map(lambda column: column[:4], subject.data)
    found = subject.program(subject.key, few)
    if int(found.status) >= st.FIRST_FATAL:
        assert np.isnan(float(found.effects.indirect)), "four rows: an effect and a fatal status"
    elif np.isnan(float(found.effects.indirect)):
        assert int(found.status) != st.OK, "four rows: an effect is NaN without a status"


def _same_bits(found: Estimate, expected: Estimate) -> bool:
    pairs = zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True)
    return all(np.array_equal(*map(np.asarray, pair), equal_nan=True) for pair in pairs)


def _no_effects(effects: Effects, case: str) -> None:
    for part in PARTS:
        value = float(getattr(effects, part))
        assert np.isnan(value), f"{case}: the {part} effect is {value}, not NaN"
