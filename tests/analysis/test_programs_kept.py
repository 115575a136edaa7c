"""A second call with the same method, options and shapes compiles nothing."""

import contextlib
import dataclasses
import gc
import weakref

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed.analysis.effects import effects
from jaxmed.analysis.least_squares import least_squares
from jaxmed.analysis.method_table import fit_method
from jaxmed.estimators import (
    Effects,
    Estimate,
    double_selection,
    hima,
    lasso_exposure,
    maxie,
    ols,
    reg_exposure,
)
from jaxmed.estimators.composites import from_composite
from jaxmed.estimators.estimate import MediatorEffects
from jaxmed.estimators.parts.kept import KEPT, kept

PROGRAM = "/jax/core/compile/backend_compile_duration"
COUNT = 4  # resamples


@contextlib.contextmanager
def counted():
    """A list with an entry for every program compiled inside."""
    compiled = []

    def listen(event, duration, **_):
        if event == PROGRAM:
            compiled.append(duration)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        yield compiled
    finally:
        jax.monitoring.unregister_event_duration_listener(listen)


def data_of(seed):
    return problem(np.random.default_rng(seed), 48, 6, 2)


def index_of(data):
    return jaxmed.maxie(jaxmed.paths(data)).index


@dataclasses.dataclass(frozen=True)
class Shifted:
    """A task of a sweep; equal ones share a program."""

    by: float

    def __call__(self, key, parameters):
        return {"value": parameters + self.by + jax.random.normal(key)}


CALLS = {
    "compare": lambda data: jaxmed.compare(data, ["ols"], key=1, bootstrap=COUNT),
    "effects": lambda data: effects(data, key=1),
    "bootstrap": lambda data: jaxmed.bootstrap(jax.random.key(1), data, reg_exposure(), COUNT),
    "jackknife": lambda data: jaxmed.jackknife(data, reg_exposure()),
    "permutation_test": lambda data: jaxmed.permutation_test(
        jax.random.key(1), data, index_of, COUNT
    ),
    "sweep": lambda data: jaxmed.sweep(
        jax.random.key(1), Shifted(2.0), COUNT, parameters=data.exposure[0]
    ),
}


@pytest.mark.parametrize("name", CALLS)
def test_second_call_compiles_nothing(name):
    with counted() as first:
        CALLS[name](data_of(1))
    with counted() as second:
        CALLS[name](data_of(2))
    assert not second, f"{len(second)} programs, {len(first)} in the first call"


def test_the_counter_sees_a_program():
    with counted() as found:
        jax.jit(lambda x: x - 17)(1.5)
    assert len(found) == 1


def test_equal_configurations_are_one_estimator():
    for factory in (maxie, lasso_exposure, ols, double_selection, hima):
        assert factory() is factory()
        assert factory(level=0.9) is factory(level=0.9)
        assert factory(level=0.9) is not factory()


def test_defaults_and_names_of_arguments_make_no_other_configuration():
    for factory in (maxie, lasso_exposure, ols, double_selection, hima):
        assert factory() is factory(level=0.95)
    library = jaxmed.regress_exposure
    assert from_composite(library) is from_composite(composite=library, level=0.95)
    assert kept(three)(1, 2) is not kept(three)(1, 2)  # other factories
    made = kept(three)
    with pytest.raises(TypeError, match=r"three\(\) got an unexpected .* 'c'"):
        made(1, c=2)
    assert made(1) is made(1, 2) is made(b=2, a=1) is not made(1, 3)


def three(a, b=2):
    return lambda: (a, b)


@dataclasses.dataclass
class Mine:
    """An estimator of a user's, equal to all others, that may change between two calls."""

    k: float
    told: list = dataclasses.field(default_factory=list)

    def __eq__(self, other):
        return isinstance(other, Mine)

    def __hash__(self):
        return 1

    def __call__(self, key, data):
        self.told.append(self.k)
        number = jnp.asarray(self.k * FACTOR["of a module"])
        all_three = Effects(number, number, number)
        fine = jnp.int32(0)
        return Estimate(all_three, all_three, all_three, None, None, fine, None)


FACTOR = {"of a module": 1.0}


def direct(estimator):
    found = fit_method(estimator, jax.random.key(1), data_of(1), timed=False)
    assert found.estimate is not None
    return float(found.estimate.effects.direct)


def test_a_users_estimator_is_compiled_in_every_call(monkeypatch):
    mine = Mine(1.0)
    assert direct(mine) == 1
    mine.k = 2.0
    assert direct(mine) == 2  # it changed
    assert direct(Mine(3.0)) == 3  # it says that it is equal
    monkeypatch.setitem(FACTOR, "of a module", 5.0)
    assert direct(mine) == 10  # it reads a global
    assert direct(mine.__call__) == 10
    assert direct(lambda key, data: mine(key, data)) == 10


def test_nothing_of_a_user_is_kept():
    def composite(paths):
        return jaxmed.maxie(paths)

    mine = Mine(1.0)
    direct(mine)
    made = from_composite(composite)
    assert from_composite(composite) is not made
    direct(made)
    found = [weakref.ref(value) for value in (composite, mine, made)]
    del composite, mine, made
    gc.collect()
    assert [reference() for reference in found] == [None] * 3


@pytest.mark.slow
def test_a_users_composite_is_compiled_in_every_call():
    class Oriented:
        sign = 1

        def __call__(self, paths):
            return jaxmed.maxie(paths, sign=self.sign)

    def effect(composite):
        found = jaxmed.cross_fitted_effect(
            jax.random.key(1), data_of(1), composite=composite, folds=2, splits=1, route="gram"
        )
        return float(found.indirect)

    composite = Oriented()
    first = effect(composite)
    composite.sign = -1
    assert effect(composite) != first


def test_limits_are_one_program_and_quantiles_of_a_report_none():
    columns = [jnp.asarray(c) for c in np.random.default_rng(3).uniform(0.1, 1, (10, 18))]
    table = MediatorEffects(*columns, jnp.zeros(18, jnp.int32))  # a new shape
    with counted() as found:
        limits = table.interval
    assert len(found) == 1
    np.testing.assert_array_equal(table.lower, limits.lower)
    data = jax.tree.map(np.asarray, data_of(1))
    with counted() as found:
        least_squares(data, data.covariates).to_dict(0.9, equal_variances=True)
    assert not found


def test_equal_numbers_of_other_types_are_other_configurations():
    assert maxie(sign=1) is not maxie(sign=True)


def test_a_configuration_with_arrays_is_not_kept():
    ids = np.arange(48) % 5
    assert double_selection(fold_ids=ids) is not double_selection(fold_ids=ids)


def test_memory_is_bounded():
    made = []

    @kept
    def factory(number):
        made.append(number)
        return lambda: number

    first = factory(0)
    for number in range(KEPT):
        factory(number + 1)
    assert factory(0) is not first and made == [*range(KEPT + 1), 0]


def test_what_a_factory_refuses_is_refused_again():
    for _ in range(2):
        with pytest.raises(ValueError, match="level"):
            ols(level=2.0)
