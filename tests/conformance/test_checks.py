"""The published list of checks, over every estimator of the library."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_estimator import BY_POSITION, BY_UNITS, DIFFERENTIABLE, METHODS, RANDOM_METHODS

from jaxmed import status as st
from jaxmed.data.mediation_data import Names
from jaxmed.estimators import maxie, ols
from jaxmed.estimators.estimate import Effects, Estimate, MediatorEffects
from jaxmed.linalg.safe import divide
from jaxmed.testing import CHECKS, QUICK, check_estimator, example_data
from jaxmed.typing import Interval

# Traced, not compiled.
TRACED = ("structure", "strict_promotion", "rank_promotion")
# One device has nothing to tell; test_checks_of_several_devices has two.
DEVICES = ("placement", "shard_map")
# One of each kernel in the quick run.
FIRST = {
    "ols",
    "double_selection",
    "hima",
    "guo",
    "hdma",
    "hilma",
    "meddic",
    "maxie",
    "lasso_outcome",
}
NAMES = [name if name in FIRST else pytest.param(name, marks=pytest.mark.slow) for name in METHODS]


def check(name, only, data=None):
    return check_estimator(
        METHODS[name],
        data,
        key=jax.random.key(3),
        differentiable=name in DIFFERENTIABLE,
        exchangeable=name not in BY_POSITION,
        random=name in RANDOM_METHODS,
        unit_free=name not in BY_UNITS,
        only=only,
    )


@pytest.mark.parametrize("name", NAMES)
def test_parts_and_promotion_in_one_trace(name):
    """Of float32 data under x64, where a default dtype is another one than theirs."""
    with jax.numpy_dtype_promotion("strict"), jax.numpy_rank_promotion("raise"):
        assert check(name, TRACED[:1], example_data(dtype=jnp.float32)) == TRACED[:1]


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_traced_checks(name):
    assert check(name, TRACED) == TRACED


# A full model, and a composite of the paths. The slow list has all checks of all estimators.
CHEAP = {
    "ols": [
        "answer",
        "additivity",
        "keys",
        "units",
        "row_order",
        "weights",
        "bad_data",
        "gradient",
    ],
    "maxie": list(QUICK),
}


@pytest.mark.parametrize("name", ["ols", pytest.param("maxie", marks=pytest.mark.slow)])
def test_checks_of_a_cheap_estimator(name):
    only = [check for check in CHEAP[name] if check not in TRACED + DEVICES]
    assert check(name, only) == tuple(only)


op_by_op = pytest.mark.programs(2000, reason="one of the two is called operation by operation")
SEVERALLY = [
    pytest.param(name, marks=op_by_op) if name == "eager" else name
    for name in CHECKS
    if name not in TRACED + DEVICES
]


@pytest.mark.slow
@pytest.mark.parametrize("only", SEVERALLY)
@pytest.mark.parametrize("name", METHODS)
def test_every_check(name, only):
    if not check(name, [only]):
        pytest.skip("nothing to look at: not promised, or refused")


SEVERAL_DEVICES = """
import jax
jax.config.update("jax_enable_x64", True)
from every_estimator import METHODS
from jaxmed.testing import check_estimator

for name in METHODS:
    ran = check_estimator(METHODS[name], key=jax.random.key(3), only=CHECKS)
    assert ran == CHECKS, (name, ran)
    print(name)
"""


@pytest.mark.slow
@pytest.mark.programs(1, reason="those of the child are not seen")
def test_checks_of_several_devices():
    """Every estimator on the second of two devices, and on both."""
    flags = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
    path = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", f"CHECKS = {DEVICES!r}\nNAMES = ()\n{SEVERAL_DEVICES}"],
        env={**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": path},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == list(METHODS)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_traced_checks_with_more_mediators_than_rows(name):
    assert check(name, TRACED, example_data(30, 45, 1)) == TRACED


def first_mediator(key, data):
    """A small method that keeps every promise: the product of two simple slopes."""
    del key
    columns = (data.exposure, data.mediators[:, 0], data.outcome)
    a, m, y = map(jnp.asarray, columns)
    w = jnp.ones_like(a) if data.weights is None else jnp.asarray(data.weights)
    a, m, y = (v - jnp.sum(w * v) / jnp.sum(w) for v in (a, m, y))
    size = jnp.sum(w * a * a)
    constant = st.when(~(size > 0), st.DEGENERATE_EXPOSURE)
    status = st.combine(constant, st.when(~jnp.isfinite(jnp.sum(y * y)), st.NONFINITE))
    fatal = st.is_fatal(status)
    alpha, total = divide(jnp.sum(w * a * m), size), divide(jnp.sum(w * a * y), size)
    rest, left = m - alpha * a, y - total * a
    beta = divide(jnp.sum(w * rest * left), jnp.sum(w * rest * rest))
    parts = (total - alpha * beta, alpha * beta, total)
    nan = jnp.full_like(total, jnp.nan)
    none = jnp.full_like(jnp.asarray(data.mediators)[0], jnp.nan)
    reason = jnp.full(none.shape, st.NOT_ESTIMATED, jnp.int32)
    return Estimate(
        Effects(*(jnp.where(fatal, nan, part) for part in parts)),
        Effects(nan, nan, nan),
        Effects(*[Interval(nan, nan)] * 3),
        MediatorEffects(*[none] * 10, reason),
        jnp.arange(none.size) == 0,
        status,
        None,
    )


def broken(**changes):
    """`first_mediator` with fields made anew from (key, data, estimate)."""

    def method(key, data):
        found = first_mediator(key, data)
        made = {name: make(key, data, found) for name, make in changes.items()}
        return dataclasses.replace(found, **made)

    return method


def times(factor):
    """`first_mediator` with all three effects times a function of the data."""
    return broken(
        effects=lambda key, data, found: jax.tree.map(lambda e: e * factor(data), found.effects)
    )


def detail(make):
    """`first_mediator` with a detail made of the data."""
    return broken(details=lambda key, data, found: make(data))


def through_host(data):
    """One, by way of the host, which knows neither vmap nor export."""
    one = jax.ShapeDtypeStruct((), data.exposure.dtype)
    return jax.pure_callback(np.ones_like, one, data.outcome[0])


def few(data):
    """NaN for fewer than ten rows, and one otherwise."""
    return jnp.nan if data.exposure.shape[0] < 10 else 1.0


def masked(data):
    """Zero over zero where the first outcome is compared with itself, and masked."""
    gap = data.outcome - data.outcome[0]
    return jnp.where(gap == 0, 0, gap / gap)


def unanswered(key, data):
    """No effects, whatever the data are."""
    found = first_mediator(key, data)
    nothing = jax.tree.map(lambda effect: jnp.full_like(effect, jnp.nan), found.effects)
    return dataclasses.replace(found, effects=nothing, status=jnp.int32(st.TOO_FEW_ROWS))


def drawn_while_traced(data):
    """A number of the host's generator, which is part of the program that is being traced."""
    return jnp.asarray(RANDOM.normal(size=3), data.exposure.dtype)


def unweighted(key, data):
    """`first_mediator` of rows that all count the same."""
    return first_mediator(key, dataclasses.replace(data, weights=None))


def of_zeros(key, data):
    """`first_mediator` where None is taken for rows that count nothing."""
    if data.weights is None:
        data = dataclasses.replace(data, weights=data.exposure**2)
    return first_mediator(key, data)


def size_of(column):
    """Mean square of a column in units of one."""
    return lambda data: 1 + jnp.mean(getattr(data, column) ** 2)


def nothing_without(column):
    """NaN where a column is narrower than in the example."""
    width = getattr(example_data(), column).shape[1]
    return lambda data: 1.0 if getattr(data, column).shape[1] == width else jnp.nan


RANDOM = np.random.default_rng(0)
# By check: (method that breaks it, what is said of it).
BROKEN = {
    "structure": [
        (detail(lambda data: 1.0), "leaves are Python's"),
        (broken(mediators=lambda key, data, found: None), "mediators is NoneType"),
        (
            broken(
                mediators=lambda key, data, found: dataclasses.replace(
                    found.mediators, reason=found.mediators.reason.astype(jnp.int8)
                )
            ),
            "mediators.reason is int32, not int8",
        ),
    ],
    "precision": [(detail(lambda data: jnp.zeros((), jnp.float16)), "data is float16")],
    "strict_promotion": [
        (
            detail(lambda data: data.exposure * jnp.arange(data.exposure.size)),
            "raised TypePromotionError while in check 'strict_promotion'",
        )
    ],
    "rank_promotion": [
        (
            detail(lambda data: data.mediators - data.mediators[0]),
            "raised ValueError while in check 'rank_promotion'.*\n.*could not be broadcast",
        )
    ],
    "answer": [(unanswered, "no answer to the data .TOO_FEW_ROWS.: data= brings")],
    "additivity": [
        (
            broken(
                effects=lambda key, data, found: dataclasses.replace(
                    found.effects, total=data.exposure[0]
                )
            ),
            "do not make the total",
        )
    ],
    "determinism": [(detail(drawn_while_traced), "a second trace gives other numbers")],
    "keys": [
        (
            broken(details=lambda key, data, found: jax.random.normal(key)),
            "another key gives other numbers: random=True",
        )
    ],
    "units": [
        (times(size_of("exposure")), "exposure and outcome in other units"),
        (times(size_of("mediators")), "mediators in other units"),
    ],
    "row_order": [
        (times(lambda data: data.outcome[0] / data.outcome[1]), "rows in another order"),
        # What a reversal does not see.
        (times(lambda data: data.outcome[0] + data.outcome[-1]), "rows in another order"),
    ],
    "weights": [
        (unweighted, "wild values in a row of weight 0"),
        (
            times(lambda data: jnp.sum(jnp.where(data.weights > 0, 1, 0)) / data.outcome.size),
            "weight 2 instead of two rows",
        ),
    ],
    "bad_data": [
        (
            broken(status=lambda key, data, found: jnp.zeros((), jnp.int32)),
            "a constant exposure: status OK",
        )
    ],
    "vmap": [(times(through_host), "raised NotImplementedError while in check 'vmap'")],
    "gradient": [
        (times(lambda data: 0), "every derivative in the mediators is zero"),
        (
            times(lambda data: 1 + jnp.sqrt(jnp.sum((data.outcome - data.outcome) ** 2))),
            "no finite derivative in the outcome",
        ),
    ],
    "export": [(times(through_host), "raised NotImplementedError while in check 'export'")],
    "debug_nans": [(detail(masked), "a NaN is made by div .*test_checks.py")],
    "no_weights": [(of_zeros, "weights of None instead of ones")],
    "no_covariates": [(times(nothing_without("covariates")), "without a status")],
    "one_mediator": [(times(nothing_without("mediators")), "without a status")],
    "few_rows": [(times(few), "an effect is NaN without a status")],
    "eager": [
        (
            times(lambda data: 2.0 if isinstance(data.exposure, jax.core.Tracer) else 1.0),
            "without jit, of JAX arrays",
        ),
        (
            times(lambda data: 2.0 if isinstance(data.exposure, np.ndarray) else 1.0),
            "without jit, of NumPy arrays",
        ),
    ],
}
CASES = [
    pytest.param(name, *case, id=f"{name} {i}")
    for name, cases in BROKEN.items()
    for i, case in enumerate(cases)
]
# A pure function of arrays cannot break the first; the others need two devices.
UNBROKEN = {"donated", *DEVICES}


def test_a_sound_method_passes_every_check():
    expected = tuple(name for name in CHECKS if name not in DEVICES)
    assert check_estimator(first_mediator, differentiable=True) == expected


def test_every_check_has_a_case_that_it_finds():
    assert set(BROKEN) == set(CHECKS) - UNBROKEN


@pytest.mark.parametrize(("name", "method", "message"), CASES)
def test_a_check_finds_what_it_looks_for(name, method, message):
    # The base passes them all (test above), so that what fails is what was changed.
    found = f"(?s)check '{name}'.*{message}" if "raised" not in message else f"(?s){message}"
    with pytest.raises(AssertionError, match=found):
        check_estimator(method, differentiable=True, only=[name])


def test_an_error_of_the_estimator_is_no_finding():
    def fails(key, data):
        raise KeyError("age")

    with pytest.raises(AssertionError, match="^raised KeyError while in check 'units'"):
        check_estimator(fails, only=["units"])


def test_what_is_not_promised_is_not_said_to_have_run():
    promised = {"differentiable": False, "exchangeable": False, "weighted": False}
    only = ["answer", "gradient", "row_order", "weights"]
    assert check_estimator(first_mediator, **promised, only=only) == ("answer",)


def test_a_random_method_has_two_answers_to_two_keys():
    drawn = broken(details=lambda key, data, found: jax.random.normal(key))
    assert check_estimator(drawn, random=True, only=["keys"]) == ("keys",)
    with pytest.raises(AssertionError, match="random=True, and 5 keys give the same numbers"):
        check_estimator(first_mediator, random=True, only=["keys"])


def test_names_of_columns_are_kept():
    names = Names("dose", "score", ("a", "b", "c", "d", "e", "f"), ("age", "sex"))
    data = dataclasses.replace(example_data(), names=names)
    estimator = ols(covariates_mediator=["age", "sex"], covariates_outcome=["age", "sex"])
    only = ("structure", "no_covariates")
    assert check_estimator(estimator, data, only=only) == only[:1]  # without ages it refuses


def test_unknown_checks_are_refused():
    with pytest.raises(ValueError, match="no check"):
        check_estimator(first_mediator, only=["shape"])


def test_what_is_no_estimator_or_no_data_is_refused_in_words():
    data = example_data()
    with pytest.raises(TypeError, match=r"pass maxie\(\), not maxie"):
        check_estimator(maxie, only=["structure"])
    with pytest.raises(TypeError, match="an estimator is a function .* not Estimate"):
        check_estimator(first_mediator(None, data), only=["structure"])
    with pytest.raises(TypeError, match="data.mediators is None"):
        missing = dataclasses.replace(data, mediators=None)
        check_estimator(first_mediator, missing, only=["structure"])
    with pytest.raises(TypeError, match="data.exposure holds int64.*mediation_data"):
        whole = dataclasses.replace(data, exposure=np.arange(48))
        check_estimator(first_mediator, whole, only=["structure"])
    with pytest.raises(TypeError, match="not ndarray"):
        check_estimator(first_mediator, np.zeros(3), only=["structure"])


def test_what_export_needs_is_named(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"jaxmed\[testing\]"):
        check_estimator(first_mediator, only=["export"])
