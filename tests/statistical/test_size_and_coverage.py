"""Size of the path tests over 400,000 law replicates, and coverage of the percentile interval.

Tolerances are 5 Monte Carlo standard errors, plus half a unit of the reference's last digit. The
reference is itself a simulation of 400,000 replicates, hence the factor sqrt(2) there: its cell
(60, 20), r = .1, says .052 for the corrected test, where 3.2 million replicates give .0505 (.0001).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from optimised import jit_for_many

from jaxmed import inference
from jaxmed.distributions import tails
from jaxmed.distributions.exact_law import law, sample_quadratics

REPLICATES = 400_000
BLOCK = 8000
# Columns: both paths null; outcome path null, kA = 1; exposure path null with
# r = kY^2/sigma^2 = .1, 1, infinity (here 1e6). tau = n, no covariates.
STRENGTHS = [(0.0, 0.0), (1.0, 0.0), (0.0, np.sqrt(0.1)), (0.0, 1.0), (0.0, 1e3)]
REFERENCE = {
    (60, 20): {
        "cosine": ".050 .049 .043 .026 .019",
        "corrected": ".055 .054 .052 .049 .051",
        "joint": ".030 .050 .036 .048 .050",
        "p_outcome": ".05 .05 .07 .25 1",
        "p_exposure": ".055 .33 .051 .049 .050",
    },
    (200, 80): {
        "cosine": ".050 .050 .041 .021 .012",
        "corrected": ".054 .054 .050 .050 .051",
        "joint": ".040 .050 .044 .050 .050",
        "p_outcome": ".05 .05 .07 .21 1",
        "p_exposure": ".054 .30 .050 .050 .050",
    },
    (1000, 500): {
        "cosine": ".050 .050 .040 .016 .0057",
        "corrected": ".052 .052 .049 .050 .051",
        "joint": ".046 .050 .048 .050 .050",
        "p_outcome": ".05 .05 .06 .17 1",
        "p_exposure": ".052 .26 .049 .050 .050",
    },
}


@jit_for_many
def rejections(key, population):
    m, p = population.residual_df, population.num_mediators
    cosine_limit, outcome_limit, exposure_limit = (
        tails.t_quantile(0.975, df) for df in (p - 1, m - p, m)
    )

    def block(block_key):
        q = sample_quadratics(block_key, population, BLOCK)
        joint = inference.joint_test(q)
        outcome = jnp.abs(joint.statistic_outcome) >= outcome_limit
        exposure = jnp.abs(joint.statistic_exposure) >= exposure_limit
        rows = {
            "cosine": jnp.abs(inference.cosine_test(q).statistic) >= cosine_limit,
            "corrected": jnp.abs(inference.corrected_cosine_test(q).statistic) >= cosine_limit,
            "joint": outcome & exposure,
            "p_outcome": outcome,
            "p_exposure": exposure,
        }
        return jax.tree.map(jnp.sum, rows)

    counts = jax.lax.map(block, jax.random.split(key, REPLICATES // BLOCK))
    return jax.tree.map(lambda count: jnp.sum(count) / REPLICATES, counts)


# One cell of the table in every run, the others in make test-slow.
CELLS = [
    pytest.param(cell, marks=pytest.mark.slow) if number else cell
    for number, cell in enumerate(REFERENCE)
]


@functools.cache
def rates(cell):
    """Rejection rates of one cell, by test, over the strengths."""
    n, p = cell
    columns = []
    for column, (k_a, k_y) in enumerate(STRENGTHS):
        population = law(k_a, k_y, 0.0, exposure_ss=float(n), residual_df=n - 2, num_mediators=p)
        key = jax.random.fold_in(jax.random.key(list(REFERENCE).index(cell)), column)
        columns.append(rejections(key, population))
    return {name: np.array([float(column[name]) for column in columns]) for name in columns[0]}


def standard_error(rate):
    return np.sqrt(rate * (1 - rate) / REPLICATES)


@pytest.mark.parametrize("cell", CELLS)
def test_every_row_of_the_table(cell):
    for name, printed in REFERENCE[cell].items():
        for ours, text in zip(rates(cell)[name], printed.split(), strict=True):
            digits = len(text.partition(".")[2])
            rounding = 0.5 * 10.0**-digits if digits else 0.005
            tolerance = 5 * np.sqrt(2) * standard_error(float(text)) + rounding
            assert abs(ours - float(text)) <= tolerance, (name, text, ours)


@pytest.mark.parametrize("cell", CELLS)
def test_bounds(cell):
    size = rates(cell)
    error = 5 * standard_error(0.05)
    assert abs(size["cosine"][1] - 0.05) < error and abs(size["joint"][1] - 0.05) < error
    assert abs(size["p_outcome"][:2] - 0.05).max() < error
    assert (size["joint"][3:] > 0.047).all() and (size["joint"][3:] < 0.052).all()
    assert size["joint"].max() <= 0.054 and 0.03 - error < size["joint"][0] < 0.046 + error
    assert (size["corrected"] > 0.044).all() and (size["corrected"] < 0.058).all()


SHARES = {0.05: ".045", 0.1: ".039", 0.25: ".023", 0.4: ".011", 0.5: ".0058", 0.75: ".0001"}
QUICK_SHARES = (0.1, 0.5)


@pytest.mark.parametrize(
    ("share", "printed"),
    [
        pytest.param(*case, marks=[] if case[0] in QUICK_SHARES else pytest.mark.slow)
        for case in SHARES.items()
    ],
)
def test_cosine_under_a_null_exposure_path(share, printed):
    population = law(0.0, 1e3, 0.0, exposure_ss=1e3, residual_df=998, num_mediators=1000 * share)
    rate = float(rejections(jax.random.key(50), population)["cosine"])
    # The table is the asymptotic formula 2 Phi(-1.96 / sqrt(1-k)); k = p/998, not p/1000.
    slack = 5 * standard_error(rate) + 0.5 * 10.0 ** -len(printed[1:]) + 3e-4
    assert abs(rate - float(printed)) < slack


@pytest.mark.slow
@pytest.mark.parametrize(("n", "p"), [(200, 20), (200, 80), (1000, 500)])
def test_coverage_of_the_percentile_interval(n, p):
    count, truth = 2000, 0.75
    population = law(1.0, 1.0, 0.5, exposure_ss=float(n), residual_df=n - 2, num_mediators=p)
    key_data, key_boot = jax.random.split(jax.random.key(n + p))
    covered = coverage(key_data, key_boot, population, truth, count)
    error = np.sqrt(0.945 * 0.055 / count)
    assert 0.93 - 5 * error < covered < 0.96 + 5 * error


def coverage(key_data, key_boot, population, truth, count):
    draws = SAMPLE(key_data, population, count)
    intervals = BOOTSTRAP(jax.random.split(key_boot, count), draws).interval
    return float(jnp.mean((intervals.lower <= truth) & (truth <= intervals.upper)))


SAMPLE = jax.jit(sample_quadratics, static_argnums=2)
BOOTSTRAP = jit_for_many(
    lambda keys, draws: jax.lax.map(
        lambda args: inference.indirect_interval(*args, method="percentile", replicates=400),
        (keys, draws),
    )
)


@pytest.mark.parametrize(
    ("n", "p", "size"),
    [
        (200, 20, 0.131),
        pytest.param(200, 80, 0.097, marks=pytest.mark.slow),
        pytest.param(1000, 100, 0.141, marks=pytest.mark.slow),
        (10_000, 40, 0.160),
    ],
)
def test_joint_test_is_too_large_where_active_paths_are_orthogonal(n, p, size):
    """The figures of its docstring; an improved test has to change both."""
    one = jnp.ones(())
    population = law(one, one, 0 * one, exposure_ss=n, residual_df=n - 2, num_mediators=p)
    found = float(rejections(jax.random.key(5), population)["joint"])
    assert abs(found - size) < 5 * np.sqrt(2 * size * (1 - size) / 100_000)
