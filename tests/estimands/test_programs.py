"""Called on arrays, an estimand is one program, and no program the second time."""

import dataclasses

import jax
import numpy as np
import pytest
from beyond_mediation import data
from compiled_programs import asked

from jaxmed import door, estimands
from jaxmed.estimators.parts.basis import with_basis
from jaxmed.estimators.parts.rows import rows_of

KEY = jax.random.key(2)
TREATED = data().covariates[:, 1] > 0
CALLS = {
    "disparity": lambda d: estimands.disparity(KEY, d, {"lipids": ["ldl"]}, basis="linear"),
    "chain": lambda d: estimands.chain(KEY, d, ["ldl"], ["crp"], basis="linear", adjust="all"),
    "policy_value": lambda d: estimands.policy_value(KEY, d, TREATED, folds=2, basis="linear"),
    "shift_value": lambda d: estimands.shift_value(KEY, d, {"ldl": 1.0}, basis="linear"),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_program(name):
    given, before = data(), len(asked)
    found = CALLS[name](given)
    programs = asked[before:]
    assert programs.count("jit(_estimates)") == 1, programs
    # Small ones, once a process for each shape: a key is taken apart, columns are chosen.
    assert len(programs) <= 6, programs
    before = len(asked)
    names = dataclasses.replace(given.names, mediators=("ldl", "crp", "il6", "x", "y", "z"))
    again = CALLS[name](dataclasses.replace(given, names=names))
    assert asked[before:] == []
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(again), strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_basis_that_looks_at_the_numbers_has_looked():
    given = data()
    found = estimands.shift_value(KEY, given, {"ldl": 1.0}, basis="auto", adjust="all")
    columns = with_basis(rows_of(given), "auto").outcome_base[:, 1:]
    known = dataclasses.replace(given, covariates=columns)
    other = estimands.shift_value(KEY, known, {"ldl": 1.0}, basis="given", adjust="all")
    np.testing.assert_array_equal(found.values.estimate, other.values.estimate)
    with pytest.raises(ValueError, match="traced data do not have"):
        jax.jit(lambda d: estimands.shift_value(KEY, d, {"ldl": 1.0}, basis="auto"))(given)


@pytest.mark.parametrize("name", ["chain", pytest.param("policy_value", marks=pytest.mark.slow)])
def test_its_numbers_are_those_of_the_plain_function(name, monkeypatch):
    found = CALLS[name](data())
    monkeypatch.setattr(door, "_is_traced", lambda arguments: True)
    plain = jax.jit(CALLS[name])(data())
    for mine, theirs in zip(jax.tree.leaves(found), jax.tree.leaves(plain), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-10, atol=1e-12)
