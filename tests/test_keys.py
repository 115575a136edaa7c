"""Every form of a key is the same key, at every door; what is no key is refused by name."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import estimands, estimators, gahmn, simulate
from jaxmed.analysis.effects import effects
from jaxmed.analysis.noisy_intervals import noisy_intervals
from jaxmed.distributions.gram_law import sample_gram_paths
from jaxmed.estimators import Effects, Estimate
from jaxmed.inference.cross_fit import cross_fitted_effect
from jaxmed.inference.intervals import indirect_intervals
from jaxmed.inference.permutation import exposure_permutation_test
from jaxmed.keys import as_key, check_seed, key_or_none
from jaxmed.linalg.random import chi_square
from jaxmed.simulate.biobank import biobank
from jaxmed.simulate.sparse_paths import sparse_paths
from jaxmed.sweeps.shared_resamples import resample_rows, shared_resamples
from jaxmed.sweeps.split_sample import held_out_effects
from jaxmed.sweeps.task import StudyTask, named_key

SEED = 7
TYPED = jax.random.key(SEED)
NO_FACTORIES = {
    "Effects",
    "Estimate",
    "MediatorEffects",
    "ReferenceWouldStop",
    "WeightDetails",
    "from_composite",
    "from_weights",
    "oracle",
}
FORMS = {
    "raw": jax.random.PRNGKey(SEED),
    "host": np.asarray(jax.random.key_data(TYPED)),
}
DATA = problem(np.random.default_rng(0), 48, 6, 2, scale=0.0)
DUAL = problem(np.random.default_rng(1), 12, 16, 1)
PATHS = jax.jit(jaxmed.paths)(DATA)
SEM = simulate.linear_sem([0.3, 0.2, 0.0], [0.3, 0.0, 0.2], direct=0.1)
LAW = jax.jit(simulate.law_of)(SEM, 50)
R2 = {"exposure_r2": 0.2, "outcome_r2": 0.3, "cosine": 0.5, "replicates": 100}
MAXIE = estimators.maxie()
PCMA = estimators.pcma(components=1, replicates=20)
ESTIMATORS = sorted(set(estimators.__all__) - NO_FACTORIES)


def draw(key, parameters):
    del parameters
    return {"x": jax.random.normal(key)}


def drawn(key, data):
    """An estimator whose effects are a draw and a weighted sum."""
    weights = 1.0 if data.weights is None else data.weights
    found = jax.random.normal(key) + jnp.sum(weights * data.outcome)
    return Estimate(Effects(found, found, found), None, None, None, None, jnp.int32(0), None)


def first_of(data):
    return jnp.vdot(data.exposure, data.mediators[:, 0])


# Doors that take a key and no seed.
DOORS = {
    "sweep": lambda k: jaxmed.sweep(k, draw, 4, chunk=4),
    "bootstrap": lambda k: jaxmed.bootstrap(k, DATA, drawn, 2, chunk=2)["indirect"].mean,
    "permutation_test": lambda k: jaxmed.permutation_test(k, DATA, first_of, 4, chunk=4).draws,
    "jackknife": lambda k: jaxmed.jackknife(DATA, drawn, key=k, groups=np.arange(48) % 2).draws[
        "indirect"
    ],
    "shared_resamples": lambda k: shared_resamples(k, DATA, "drawn", drawn, 2).effects["total"],
    "resample_rows": lambda k: resample_rows(k, 9),
    "named_key": lambda k: jax.random.key_data(named_key(k, "a")),
    "study_task": lambda k: StudyTask(lambda k, p: jax.random.normal(k), {}, None).data(k, None),
    "power": lambda k: jaxmed.power(k, 50, 4, test="cosine", **R2),
    "indirect_interval": lambda k: jaxmed.indirect_interval(k, PATHS, replicates=100),
    "exposure_permutation_test": lambda k: exposure_permutation_test(k, DATA, 19).p_value,
    "total_indirect_test": lambda k: jaxmed.total_indirect_test(PATHS, key=k, replicates=100),
    "dual_total_test": lambda k: jaxmed.dual_total_test(k, DUAL, permutations=19).p_permutation,
    "cross_fitted_effect": lambda k: cross_fitted_effect(k, DATA, folds=2, splits=1).indirect,
    "sample_quadratics": lambda k: jaxmed.sample_quadratics(k, LAW, 3),
    "sample_gram_paths": lambda k: sample_gram_paths(k, LAW, 3),
    "chi_square": lambda k: chi_square(k, 3.0, (4,)),
    "simulate.sample": lambda k: simulate.sample(k, SEM, 5),
    "simulate.sample_moments": lambda k: simulate.sample_moments(k, SEM, 9),
    "simulate.biobank": lambda k: biobank(k, 200),
    "simulate.sparse_paths": lambda k: sparse_paths(k, 9, 3, 1),
}
DOORS["estimators.pcma"] = lambda k: PCMA(k, DATA).effects
# Of many operations: all forms, which stay concrete, in one program.
FORMULAS = {
    "sample_gram_paths",
    "chi_square",
    "simulate.sample_moments",
    "simulate.biobank",
    "simulate.sparse_paths",
    "estimators.pcma",
}
# Doors whose work is long, or that of another door: the key is looked at first.
LONG = {
    "size": lambda k: jaxmed.size(k, 50, 3, null="both", replicates=100),
    "sample_size": lambda k: jaxmed.sample_size(k, 3, power=0.5, **R2),
    "indirect_intervals": lambda k: indirect_intervals(k, PATHS, replicates=100)["total"],
    "split_sample": lambda k: (
        jaxmed.split_sample(k, DATA, MAXIE, held_out_effects, 2, chunk=2).means["indirect"].mean
    ),
    "evaluate": lambda k: jaxmed.evaluate(DATA, ["maxie"], key=k).rows[0]["indirect"],
    "effects": lambda k: effects(DATA, key=k).rows,
    "gahmn": lambda k: gahmn.gahmn()(k, DATA),
    "counterfactuals": lambda k: gahmn.counterfactuals(k, None, None),
    "disparity": lambda k: estimands.disparity(k, DATA, {}),
    "chain": lambda k: estimands.chain(k, DATA, [], []),
    "policy_value": lambda k: estimands.policy_value(k, DATA, None),
    "shift_value": lambda k: estimands.shift_value(k, DATA, None),
    "noisy_intervals": lambda k: noisy_intervals(k, []),
}
LONG |= {
    f"estimators.{name}": lambda k, name=name: getattr(estimators, name)()(k, DATA)
    for name in ESTIMATORS
}
# Doors that take a seed as well.
ANALYSES = {
    "mediate": lambda k: numbers(
        jaxmed.mediate(DATA, key=k, basis="linear", permutations=99, folds=0, replicates=200)
    ),
    "compare": lambda k: jaxmed.compare(DATA, ["ols"], key=k, bootstrap=2).rows[0][
        "total_bootstrap_lower"
    ],
}
NO_KEYS = {
    "float": 1.5,
    "text": "7",
    "list": [0, 7],
    "int64": np.array([0, 7]),
    "one number": np.zeros(1, np.uint32),
    "several": jax.random.split(TYPED, 3),
    "raw, several": jax.random.split(jax.random.PRNGKey(0), 3),
    "float array": jnp.zeros(2),
    "bool": True,
}


def numbers(result):
    """The parts of a record that come from draws, among others."""
    return [list(result.effects), list(result.tests)]


def same(a, b):
    leaves = [jax.tree.leaves(x) for x in (a, b)]
    assert len(leaves[0]) == len(leaves[1])
    for one, other in zip(*leaves, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))


@pytest.mark.parametrize("door", DOORS)
def test_every_form_draws_the_same(door):
    def each():
        return [DOORS[door](form) for form in (TYPED, *FORMS.values())]

    expected, *others = jax.jit(each)() if door in FORMULAS else each()
    for found in others:
        same(found, expected)


@pytest.mark.parametrize("door", ANALYSES)
def test_a_seed_and_every_form_draw_the_same(door):
    expected = ANALYSES[door](TYPED)
    for form in (SEED, np.int64(SEED), *FORMS.values()):
        same(ANALYSES[door](form), expected)


@pytest.mark.parametrize("value", NO_KEYS)
def test_what_is_no_key_is_refused_at_every_door(value):
    for call in (DOORS | LONG | ANALYSES).values():
        with pytest.raises(ValueError, match=r"^key .*pass|^key must be an integer seed or"):
            call(NO_KEYS[value])


def test_a_missing_key_is_refused_at_every_door():
    takes_none = {
        "jackknife",
        "total_indirect_test",
        *(f"estimators.{name}" for name in ESTIMATORS),
    }
    for door, call in (DOORS | LONG).items():
        if door in takes_none:
            continue  # None says that nothing is drawn; an estimator that draws refuses it
        with pytest.raises(ValueError, match="key"):
            call(None)


def test_a_seed_where_a_key_is_needed_says_which_key():
    with pytest.raises(ValueError, match=r"not 3: pass jax\.random\.key\(3\)$"):
        jaxmed.sweep(3, draw, 4)


@pytest.mark.parametrize("seed", [-1, 2**32, 10**400, np.int64(-5)])
def test_seeds_out_of_range(seed):
    with pytest.raises(ValueError, match="between 0 and 2.32 - 1") as caught:
        check_seed(seed)
    assert len(str(caught.value)) < 120


def test_traced_raw_keys():
    program = jax.jit(lambda k: simulate.sample(k, SEM, 5))
    same(program(FORMS["raw"]), simulate.sample(TYPED, SEM, 5))
    draws = jax.jit(jax.vmap(lambda k: chi_square(k, 3.0, ())))
    same(draws(jax.random.split(FORMS["raw"], 3)), draws(jax.random.split(TYPED, 3)))


def test_a_key_of_another_kind_stays_as_it_is():
    other = jax.random.key(0, impl="rbg")
    assert as_key(other) is other and key_or_none(None) is None
