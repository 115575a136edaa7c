"""Public pure functions are one program each where a user calls them, and plain inside another."""

import ast
import dataclasses
import inspect
from collections import Counter
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem
from public_functions import NOT_PURE

import jaxmed
from jaxmed import door
from jaxmed.data.mediation_data import Names
from jaxmed.inference.cosine_test import TooFewDimensionsError

PACKAGE = Path(jaxmed.__file__).parent
KEY = jax.random.key(3)
RNG = np.random.default_rng(5)


def on_device(data):
    return jax.tree.map(jnp.asarray, data)


PRIMAL = on_device(problem(RNG, 48, 6, 2))
DUAL = on_device(problem(RNG, 13, 17, 1))
P_VALUES = jnp.asarray(RNG.uniform(size=(2, 60)))
LAW = jaxmed.Law(*map(jnp.asarray, (0.6, 0.5, 0.4, 1.0, 50.0, 48.0, 4.0)), "fixed")
R2 = {"exposure_r2": 0.2, "outcome_r2": 0.3, "cosine": 0.5}
DRAWS = {"replicates": 100}


def paths_of(data):
    return jaxmed.paths(data)


# Name of the public function -> (label -> (arguments made beforehand, call with them)).
CALLS = {
    "paths": {
        "primal": (lambda: PRIMAL, lambda d: jaxmed.paths(d)),
        "qr": (lambda: PRIMAL, lambda d: jaxmed.paths(d, route="qr")),
        "dual": (lambda: DUAL, lambda d: jaxmed.paths(d)),
        "moments": (lambda: jaxmed.cross_moments(PRIMAL), lambda m: jaxmed.paths(m)),
    },
    "cross_moments": {"": (lambda: PRIMAL, lambda d: jaxmed.cross_moments(d))},
    "merge": {
        "": (
            lambda: [jaxmed.cross_moments(PRIMAL)] * 2,
            lambda parts: jaxmed.merge(*parts),
        )
    },
    "standardise": {"": (lambda: PRIMAL, lambda d: jaxmed.standardise(d))},
    "maxie": {
        "": (lambda: paths_of(PRIMAL), lambda p: jaxmed.maxie(p)),
        "suppression": (lambda: paths_of(DUAL), lambda p: jaxmed.maxie(p, sign=-1)),
    },
    "maxcor": {"": (lambda: paths_of(PRIMAL), lambda p: jaxmed.maxcor(p))},
    "regress_exposure": {"": (lambda: paths_of(PRIMAL), lambda p: jaxmed.regress_exposure(p))},
    "regress_outcome": {"": (lambda: paths_of(PRIMAL), lambda p: jaxmed.regress_outcome(p))},
    "evaluate_weights": {
        "": (
            lambda: (paths_of(PRIMAL), jnp.asarray([1.0, 2.0, -1.0, 0.0, 0.5, 1.0])),
            lambda pair: jaxmed.evaluate_weights(*pair),
        )
    },
    "cosine_test": {
        "": (lambda: paths_of(PRIMAL), lambda p: jaxmed.cosine_test(p)),
        "printed": (lambda: paths_of(DUAL), lambda p: jaxmed.cosine_test(p, df="printed")),
    },
    "corrected_cosine_test": {
        "": (lambda: paths_of(PRIMAL), lambda p: jaxmed.corrected_cosine_test(p))
    },
    "joint_test": {
        "": (lambda: paths_of(PRIMAL), lambda p: jaxmed.joint_test(p)),
        "leave_one_out": (
            lambda: (paths_of(PRIMAL), PRIMAL),
            lambda pair: jaxmed.joint_test(pair[0], data=pair[1], variance="leave_one_out"),
        ),
        "without rows": (
            lambda: paths_of(PRIMAL),
            lambda p: jaxmed.joint_test(p, variance="leave_one_out"),
        ),
    },
    "total_indirect_test": {
        "": (lambda: paths_of(PRIMAL), lambda p: jaxmed.total_indirect_test(p)),
        "exact law": (
            lambda: paths_of(PRIMAL),
            lambda p: jaxmed.total_indirect_test(p, key=KEY, replicates=50),
        ),
        "robust": (
            lambda: (paths_of(PRIMAL), PRIMAL),
            lambda pair: jaxmed.total_indirect_test(pair[0], data=pair[1], variance="robust"),
        ),
        "without rows": (
            lambda: paths_of(PRIMAL),
            lambda p: jaxmed.total_indirect_test(p, variance="robust"),
        ),
    },
    "intersection_union_test": {
        "": (lambda: paths_of(PRIMAL), lambda p: jaxmed.intersection_union_test(p)),
        "robust": (
            lambda: (paths_of(PRIMAL), PRIMAL),
            lambda p: jaxmed.intersection_union_test(p[0], data=p[1], variance="robust"),
        ),
        "without rows": (
            lambda: paths_of(PRIMAL),
            lambda p: jaxmed.intersection_union_test(p, variance="robust"),
        ),
    },
    "dual_total_test": {
        "": (
            lambda: DUAL,
            lambda d: jaxmed.dual_total_test(KEY, d, permutations=19, exchangeable_effects=True),
        ),
        "of host arrays": (
            lambda: jax.tree.map(np.asarray, DUAL),
            lambda d: jaxmed.dual_total_test(KEY, d, permutations=19),
        ),
    },
    "indirect_estimates": {"": (lambda: paths_of(PRIMAL), lambda p: jaxmed.indirect_estimates(p))},
    "indirect_interval": {
        "": (lambda: paths_of(PRIMAL), lambda p: jaxmed.indirect_interval(KEY, p, **DRAWS))
    },
    "cross_fitted_effect": {
        "": (
            lambda: PRIMAL,
            lambda d: jaxmed.cross_fitted_effect(KEY, d, folds=2, splits=1),
        )
    },
    "exposure_permutation_test": {
        "primal": (
            lambda: (PRIMAL, paths_of(PRIMAL)),
            lambda p: jaxmed.exposure_permutation_test(KEY, p[0], 19, observed=p[1]),
        ),
        "dual": (
            lambda: (DUAL, paths_of(DUAL)),
            lambda p: jaxmed.exposure_permutation_test(KEY, p[0], 19, observed=p[1]),
        ),
    },
    "sample_quadratics": {"": (lambda: LAW, lambda law: jaxmed.sample_quadratics(KEY, law, 30))},
    "power": {
        "": (lambda: 50, lambda n: jaxmed.power(KEY, n, 4, test="cosine", **R2, **DRAWS)),
        "joint": (lambda: 50, lambda n: jaxmed.power(KEY, n, 4, **R2, **DRAWS)),
    },
    "size": {"": (lambda: 51, lambda n: jaxmed.size(KEY, n, 4, null="exposure", **DRAWS))},
    "sample_size": {
        "": (lambda: 4, lambda p: jaxmed.sample_size(KEY, p, test="cosine", **R2, **DRAWS)),
        "joint": (lambda: 4, lambda p: jaxmed.sample_size(KEY, p, **R2, **DRAWS)),
    },
    "detection_threshold": {"": (lambda: 40.0, lambda p: jaxmed.detection_threshold(p))},
    "printed_cosine_power": {"": (lambda: 40.0, lambda p: jaxmed.printed_cosine_power(p, 0.4))},
    "dact": {"": (lambda: P_VALUES, lambda p: jaxmed.dact(*p))},
    "hdmt": {"": (lambda: P_VALUES, lambda p: jaxmed.hdmt(*p))},
}
# Pure, and no program of their own.
NO_PROGRAM = {
    "mediation_data": "checks concrete columns on the host, and only shapes inside a program",
    "zero_moments": "makes zeros",
}
# Further calls of functions that are dear to compile.
DEAR = {"power joint", "sample_size joint"}
# Loops of `power` and of `paths`, whose plain functions are compared in every run.
LOOPS = {"size", "sample_size", "cross_fitted_effect"}


def cases(slow):
    for name, calls in CALLS.items():
        for label, call in calls.items():
            case = f"{name} {label}".strip()
            yield pytest.param(*call, id=case, marks=[pytest.mark.slow] if case in slow else [])


CASES, PLAIN = list(cases(DEAR)), list(cases(DEAR | LOOPS))
# Arrays that are made or cast on their way into a program.
UNPACKING = {"jit(_unstack)", "jit(unstack)"}  # of the arguments, here; by versions of JAX
CONVERSIONS = {"jit(convert_element_type)", "jit(broadcast_in_dim)"} | UNPACKING


@pytest.fixture(scope="module", autouse=True)
def no_programs_of_others():
    # Once a process, options of the compiler are tried out, for either kind of program.
    jaxmed.detection_threshold(3.0)
    jaxmed.sample_quadratics(KEY, LAW, 2)
    jax.clear_caches()


@pytest.fixture
def compiled():
    """Names of the programs compiled since the test began."""
    names = Counter()

    def listen(event, seconds, **about):
        if event == "/jax/core/compile/backend_compile_duration":
            names[about.get("fun_name", "?")] += 1

    jax.monitoring.register_event_duration_secs_listener(listen)
    yield names
    jax.monitoring.unregister_event_duration_listener(listen)


# Where draws enter, 3e-8 was seen after other tests of the same process and 0 alone.
DRAWN = 1e-6


def same(result, other, tolerance=1e-12):
    assert jax.tree.structure(result) == jax.tree.structure(other)
    pairs = zip(jax.tree.leaves(result), jax.tree.leaves(other), strict=True)
    for mine, theirs in (map(np.asarray, pair) for pair in pairs):
        assert mine.dtype == theirs.dtype
        tolerance = tolerance if mine.dtype != np.float32 else 1e-5
        scale = max(1.0, float(np.nanmax(np.abs(theirs), initial=0)) if theirs.size else 1.0)
        np.testing.assert_allclose(mine, theirs, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize(("made", "call"), CASES)
def test_one_program(made, call, compiled):
    arguments = made()
    compiled.clear()
    found = call(arguments)
    programs = {name: k for name, k in compiled.items() if name not in CONVERSIONS}
    assert sum(programs.values()) <= 1, programs
    compiled.clear()
    same(call(arguments), found)
    assert not compiled


@pytest.mark.parametrize(("made", "call"), PLAIN)
def test_its_numbers_are_those_of_the_plain_function(made, call, monkeypatch):
    arguments = made()
    found = call(arguments)
    monkeypatch.setattr(door, "_is_traced", lambda arguments: True)
    drawn = DRAWN if "bootstrap" in str(jax.tree.structure(found)) else 1e-12
    same(found, jax.jit(lambda: call(arguments))(), drawn)


def test_the_list_holds_every_public_function():
    functions = {name for name in jaxmed.__all__ if inspect.isroutine(getattr(jaxmed, name))}
    assert functions == set(CALLS) | set(NO_PROGRAM) | set(NOT_PURE)
    assert len(functions) == len(CALLS) + len(NO_PROGRAM) + len(NOT_PURE)


def decorated():
    """(module, function) of everything that is compiled at the door."""
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text()
        for node in ast.walk(ast.parse(text)) if "at_the_door" in text else ():
            calls = getattr(node, "decorator_list", ())
            if any(
                getattr(call, "func", call).id == "at_the_door"
                for call in calls
                if isinstance(getattr(call, "func", call), ast.Name)
            ):
                yield ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts), node.name


def test_only_public_functions_and_their_parts_are_compiled_at_the_door():
    found = [(m, name) for m in (jaxmed, jaxmed.estimands) for name in m.__all__]
    found = {(name, getattr(m, name)) for m, name in found if callable(getattr(m, name))}
    public, homes = {name for name, _ in found}, {each.__module__ for _, each in found}
    # What NumPy leaves to do for `paths`, the estimates behind `indirect_estimates`, and the
    # columns of `covariate_basis`.
    parts = {
        "jaxmed.statistics.dual_stats",
        "jaxmed.statistics.joint_factor",
        "jaxmed.inference.debiased",
        "jaxmed.data.spline_columns",
    }
    found = list(decorated())
    assert len(found) > 20
    for module, name in found:
        assert module in homes | parts and (name in public or name.startswith("_")), (module, name)


def test_a_function_keeps_its_name_signature_and_text():
    assert jaxmed.maxie.__name__ == "maxie" and "bisect" in jaxmed.maxie.__module__
    assert jaxmed.maxie.__doc__.startswith("The composite of largest indirect effect")
    assert jaxmed.maxie is jaxmed.geometry.bisector.maxie


def test_inside_a_program_nothing_is_called_as_a_program():
    def whole(data):
        found = jaxmed.paths(data)
        return jaxmed.maxie(found).indirect, jaxmed.cosine_test(found).p_value

    text = str(jax.make_jaxpr(whole)(PRIMAL))
    assert "compiler_options_kvs=(('" not in text and "name=maxie" not in text
    # Also where nothing in the call depends on what is traced.
    bound = jax.jit(lambda x: x * jaxmed.detection_threshold(40.0))(2.0)
    np.testing.assert_allclose(bound, 2 * jaxmed.detection_threshold(40.0), rtol=1e-14)


@pytest.mark.programs(120, reason="vmap and grad outside jit run a plain function op by op")
def test_batches_and_derivatives():
    batch = jax.tree.map(lambda x: jnp.stack([x, x + 0.1 * x**2]), PRIMAL)

    def statistic(data):
        found = jaxmed.paths(data)
        return jaxmed.maxie(found).indirect + jaxmed.cosine_test(found).statistic

    one_by_one = [statistic(jax.tree.map(lambda x, i=i: x[i], batch)) for i in range(2)]
    np.testing.assert_allclose(jax.jit(jax.vmap(statistic))(batch), one_by_one, rtol=1e-10)
    found = jaxmed.paths(PRIMAL)
    pairs = np.array([[1.0, -2.0, 0.5, 0.0, 1.0, 1.0], [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]])
    each = [jaxmed.evaluate_weights(found, weights).index for weights in pairs]
    several = jax.vmap(lambda weights: jaxmed.evaluate_weights(found, weights).index)(pairs)
    np.testing.assert_allclose(several, each, rtol=1e-12)
    slope = jax.grad(lambda w: jaxmed.evaluate_weights(found, w).index)
    plain = jax.jit(jax.grad(lambda w: jaxmed.evaluate_weights.__wrapped__(found, w).index))
    weights = jnp.asarray(pairs[0])
    np.testing.assert_allclose(slope(weights), plain(weights), rtol=1e-12)
    # And of a program that was compiled at the door, from outside.
    np.testing.assert_allclose(jax.jit(slope)(weights), plain(weights), rtol=1e-10)


def test_new_names_are_no_new_program(compiled):
    def call(data):
        moments = jaxmed.cross_moments(data)
        assert moments.names == data.names
        return jaxmed.merge(moments, moments), jaxmed.paths(data), jaxmed.standardise(data)

    call(PRIMAL)
    compiled.clear()
    names = Names("dose", "score", tuple("abcdef"), ("k", "l"))
    merged, _, (scaled, _) = call(dataclasses.replace(PRIMAL, names=names))
    assert merged.names == names == scaled.names
    assert not compiled


def test_decisions_on_concrete_numbers_stay_on_the_host():
    collinear = dataclasses.replace(
        PRIMAL, mediators=PRIMAL.mediators.at[:, 2].set(PRIMAL.mediators[:, 1] * (1 + 1e-9))
    )
    assert jaxmed.paths(PRIMAL).route == "gram" and jaxmed.paths(collinear).route == "qr"
    host = jax.tree.map(np.asarray, PRIMAL)
    assert isinstance(jaxmed.cross_moments(host).comoment, np.ndarray)
    assert isinstance(jaxmed.standardise(host)[0].mediators, np.ndarray)
    one = jaxmed.paths(dataclasses.replace(PRIMAL, mediators=PRIMAL.mediators[:, :1]))
    found = jaxmed.indirect_interval(KEY, one, part="total", **DRAWS)
    assert found.interval.method == "product of normals"


MISUSE = {
    "sign": lambda: jaxmed.maxie(paths_of(PRIMAL), sign=2),
    "sign must be": lambda: jaxmed.maxcor(paths_of(PRIMAL), sign=[1]),
    "route must be": lambda: jaxmed.paths(PRIMAL, route="svd"),
    "route must be .* not 'zzz'": lambda: jaxmed.cross_fitted_effect(KEY, PRIMAL, route="zzz"),
    "moments determine": lambda: jaxmed.paths(jaxmed.cross_moments(DUAL)),
    "df is": lambda: jaxmed.cosine_test(paths_of(PRIMAL), df="mine"),
    "angle needs two": lambda: jaxmed.cosine_test(
        jaxmed.paths(dataclasses.replace(PRIMAL, mediators=PRIMAL.mediators[:, :1]))
    ),
    "2 weights for 6": lambda: jaxmed.evaluate_weights(paths_of(PRIMAL), jnp.ones(2)),
    "variance is": lambda: jaxmed.joint_test(paths_of(PRIMAL), variance="mine"),
    "variance is .classical. or .robust.": lambda: jaxmed.intersection_union_test(
        paths_of(PRIMAL), variance="hc3"
    ),
    "total_indirect_test.paths. and": lambda: jaxmed.dual_total_test(KEY, PRIMAL),
    "level lies between 0 and 1, not 2": lambda: jaxmed.dual_total_test(KEY, DUAL, level=2),
    "permutations must be at least 1": lambda: jaxmed.dual_total_test(KEY, DUAL, permutations=0),
    "different columns": lambda: jaxmed.merge(
        jaxmed.cross_moments(PRIMAL), jaxmed.cross_moments(DUAL)
    ),
    r"pass jax.random.key\(3\)": lambda: jaxmed.indirect_interval(3, paths_of(PRIMAL)),
    "level lies": lambda: jaxmed.indirect_interval(KEY, paths_of(PRIMAL), level=1.5),
    "50 folds of 48 rows": lambda: jaxmed.cross_fitted_effect(KEY, PRIMAL, folds=50),
    "count must be at least 1": lambda: jaxmed.exposure_permutation_test(KEY, PRIMAL, 0),
    "count must be a whole": lambda: jaxmed.sample_quadratics(KEY, LAW, 2.5),
    "n must lie": lambda: jaxmed.power(KEY, 0, 4, **R2),
    "test is": lambda: jaxmed.power(KEY, 50, 4, test="all", **R2),
    "null is": lambda: jaxmed.size(KEY, 50, 4, null="none"),
    "between level and 1": lambda: jaxmed.sample_size(KEY, 4, power=0.01, **R2),
    "two vectors": lambda: jaxmed.dact(P_VALUES[0], P_VALUES[1, 1:]),
    "exact must be": lambda: jaxmed.hdmt(*P_VALUES, exact=2),
}


@pytest.mark.parametrize("message", MISUSE)
def test_misuse_is_said_as_before(message):
    with pytest.raises(ValueError, match=message) as caught:
        MISUSE[message]()
    assert (caught.type is TooFewDimensionsError) == (message == "angle needs two")


def test_a_wrong_argument_is_pythons_error():
    with pytest.raises(TypeError, match="colour"):
        jaxmed.maxie(paths_of(PRIMAL), colour="red")
