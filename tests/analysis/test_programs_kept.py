"""A second call with the same method, options and shapes compiles nothing."""

import contextlib
import dataclasses

import jax
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed.estimators import double_selection, hima, lasso_exposure, maxie, ols, reg_exposure
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
    "compare": lambda data: jaxmed.compare(data, ["reg_exposure"], key=1, bootstrap=COUNT),
    "effects": lambda data: jaxmed.mediate(data, "effects", key=1),
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
