"""Every public pure function once, as `(key, data) -> pytree` of a problem with more rows.

What has no data takes its numbers from them, so that one list serves all checks of settings.
"""

import dataclasses
import functools

import jax
import jax.numpy as jnp

import jaxmed
from jaxmed import estimands, simulate

ROOT_R2 = {"exposure_r2": 0.1, "outcome_r2": 0.1}


# Traced once for all functions of them.
PATHS = jax.jit(jaxmed.paths)


def of_paths(function):
    """A function of the paths of the data."""
    return lambda key, data: function(PATHS(data))


def with_key(function):
    """A random function of the paths of the data."""
    return lambda key, data: function(key, PATHS(data))


def p_values(data):
    """Two vectors of p-values in the precision of the data."""
    a, b = data.exposure, data.outcome
    return jax.nn.sigmoid(a), jax.nn.sigmoid(b)


def merged(key, data):
    """The moments of both halves, merged into those of none."""
    half = data.exposure.shape[0] // 2
    parts = (
        jax.tree.map(lambda leaf, s=s: leaf[s], data) for s in (slice(half), slice(half, None))
    )
    first, second = map(jaxmed.cross_moments, parts)
    p, q = data.mediators.shape[1], data.covariates.shape[1]
    nothing = jaxmed.zero_moments(p, q, dtype=data.exposure.dtype, names=first.names)
    return jaxmed.merge(jaxmed.merge(nothing, first), second)


def few_rows(data):
    """The first rows, of which there are fewer than the dual has at most."""
    p, q = data.mediators.shape[1], data.covariates.shape[1]
    return jax.tree.map(lambda leaf: leaf[: p + q], data)


def power_of(test, exposure="gaussian"):
    """Power by one test from few draws."""
    return lambda key, data: jaxmed.power(
        key, 60, 6, cosine=0.5, test=test, exposure=exposure, replicates=200, **ROOT_R2
    )


def of_two_groups(function, *args, **kwargs):
    """An estimand of the data with a binary exposure."""

    def call(key, data):
        group = (data.exposure > 0).astype(data.exposure.dtype)
        return function(key, dataclasses.replace(data, exposure=group), *args, **kwargs)

    return call


def linear(key, data):
    """Rows, moments and truth of a linear model of the sizes of the data."""
    p, dtype = data.mediators.shape[1], data.exposure.dtype
    one = jnp.ones(p, dtype)
    model = simulate.linear_sem(one, one, lower=jnp.eye(p, dtype=dtype))
    rows = simulate.sample(key, model, 40)
    return rows, simulate.sample_moments(key, model, 40), simulate.truth(model)


def law(data):
    """A law of the quadratics in the precision of the data."""
    numbers = (0.6, 0.5, 0.4, 1.0, 50.0, 48.0, 4.0)
    return jaxmed.Law(*(jnp.asarray(x, data.exposure.dtype) for x in numbers), "fixed")


# What of `jaxmed.__all__` is no pure function of arrays, and why.
ANALYSIS = "a whole analysis: programs, tables and figures from the host"
TABLE = "reads or changes tables and names on the host"
SENT_OUT = "sends programs out in chunks and gathers on the host"
NOT_PURE = {
    **dict.fromkeys(
        (
            "choose_effects",
            "compare",
            "evaluate",
            "mediate",
            "generative",
            "methods",
            "over_levels",
        ),
        ANALYSIS,
    ),
    **dict.fromkeys(
        (
            "covariate_basis",
            "drop_degenerate",
            "from_frame",
            "from_frame_with_report",
            "levels_from_frame",
            "read_result",
            "read_table",
            "stream",
        ),
        TABLE,
    ),
    **dict.fromkeys(
        (
            "bootstrap",
            "jackknife",
            "permutation_test",
            "run_study",
            "split_sample",
            "streamed_moments",
            "study_task",
            "sweep",
        ),
        SENT_OUT,
    ),
    "calibration_diagnostics": "numbers for a figure, of concrete p-values",
    "calibration_qq": "draws a figure",
}
PUBLIC = {
    "mediation_data": lambda key, data: jaxmed.mediation_data(
        data.exposure, data.mediators, data.outcome, data.covariates, data.weights
    ),
    "standardise": lambda key, data: jaxmed.standardise(data),
    "cross_moments": lambda key, data: jaxmed.cross_moments(data),
    "merge": merged,
    "paths": lambda key, data: jaxmed.paths(data),
    "paths of moments": lambda key, data: jaxmed.paths(jaxmed.cross_moments(data)),
    "paths by qr": lambda key, data: jaxmed.paths(data, route="qr"),
    "maxie": of_paths(jaxmed.maxie),
    "maxcor": of_paths(functools.partial(jaxmed.maxcor, sign=-1)),
    "regress_exposure": of_paths(jaxmed.regress_exposure),
    "regress_outcome": of_paths(jaxmed.regress_outcome),
    "evaluate_weights": of_paths(
        lambda paths: jaxmed.evaluate_weights(paths, jaxmed.maxie(paths).weights)
    ),
    "cosine_test": of_paths(jaxmed.cosine_test),
    "corrected_cosine_test": of_paths(jaxmed.corrected_cosine_test),
    "joint_test": of_paths(jaxmed.joint_test),
    "joint_test, leave one out": lambda key, data: jaxmed.joint_test(
        PATHS(data), data=data, variance="leave_one_out"
    ),
    "total_indirect_test": of_paths(jaxmed.total_indirect_test),
    "total_indirect_test, exact law": lambda key, data: jaxmed.total_indirect_test(
        PATHS(data), key=key, replicates=50
    ),
    "total_indirect_test, robust": lambda key, data: jaxmed.total_indirect_test(
        PATHS(data), data=data, variance="robust"
    ),
    "intersection_union_test": of_paths(jaxmed.intersection_union_test),
    "intersection_union_test, robust": lambda key, data: jaxmed.intersection_union_test(
        PATHS(data), data=data, variance="robust"
    ),
    "dual_total_test": lambda key, data: jaxmed.dual_total_test(
        key, few_rows(data), permutations=20, exchangeable_effects=True
    ),
    "indirect_estimates": of_paths(jaxmed.indirect_estimates),
    "indirect_interval": with_key(functools.partial(jaxmed.indirect_interval, replicates=50)),
    "cross_fitted_effect": functools.partial(jaxmed.cross_fitted_effect, folds=3, splits=2),
    "exposure_permutation_test": lambda key, data: jaxmed.exposure_permutation_test(key, data, 20),
    "dact": lambda key, data: jaxmed.dact(*p_values(data)),
    "hdmt": lambda key, data: jaxmed.hdmt(*p_values(data)),
    "power": power_of("joint"),
    "power of the cosine test": power_of("cosine", "fixed"),
    "power of the corrected test": power_of("corrected"),
    "power of intersection and union": power_of("intersection_union"),
    "size": lambda key, data: jaxmed.size(key, 60, 6, null="exposure", replicates=50),
    "sample_size": lambda key, data: jaxmed.sample_size(
        key, 6, cosine=0.5, replicates=50, **ROOT_R2
    ),
    "sample_quadratics": lambda key, data: jaxmed.sample_quadratics(key, law(data), 30),
    "printed_cosine_power": lambda key, data: jaxmed.printed_cosine_power(6, data.exposure / 10),
    "detection_threshold": lambda key, data: jaxmed.detection_threshold(6),
    "linear_sem": linear,
    "estimands.disparity": of_two_groups(estimands.disparity, {"a": [0], "b": [1, 2]}),
    "estimands.chain": lambda key, data: estimands.chain(key, data, [0, 1], basis="linear"),
    "estimands.policy_value": of_two_groups(estimands.policy_value, lambda x: x[:, 0] > 0),
    "estimands.shift_value": lambda key, data: estimands.shift_value(
        key, data, {1: 0.5}, basis="linear", adjust="selected"
    ),
}
