"""Data, a generator and a plain oracle for the tests of disparity, chain and policy."""

import functools
import runpy
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

import jaxmed

NAMES = ("ldl", "crp", "il6", "bmi", "hba1c", "egfr")


@functools.cache
def data(rows=240, seed=0, weighted=False):
    """Six mediators, two covariates, a binary exposure that depends on them; weights count rows."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 2))
    t = (rng.random(rows) < 1 / (1 + np.exp(-x[:, 0] / 2))).astype(float)
    m = np.outer(t, [1, 0.5, 0, 0.7, 0, -0.4]) + x @ rng.normal(size=(2, 6))
    m += rng.normal(size=(rows, 6)) * (0.5 + t)[:, None]
    m[:, 3:] += 0.5 * m[:, :3]
    y = 1 + 0.5 * t + m @ [0.8, 0, 0.5, 0.6, 0, 0.4] + x[:, 1] + rng.normal(size=rows)
    w = rng.integers(0, 4, rows).astype(float) if weighted else None
    plain = jaxmed.mediation_data(t, m, y, x, names={"mediators": NAMES})
    # Counts of rows, as a bootstrap makes them: not scaled to mean 1.
    return jaxmed.data.MediationData(
        plain.exposure, plain.mediators, plain.outcome, plain.covariates, w, plain.names
    )


def repeated(given):
    """The same rows, written out as often as their weight says."""
    index = np.repeat(np.arange(len(given.outcome)), given.weights.astype(int))
    return jaxmed.data.MediationData(
        given.exposure[index],
        given.mediators[index],
        given.outcome[index],
        given.covariates[index],
        None,
        given.names,
    )


def single(given):
    """The data in float32."""
    return jax.tree.map(lambda leaf: jnp.asarray(leaf, jnp.float32), given)


@functools.cache
def simulator():
    """The generator of the documentation, with coefficients that are not those of the data."""
    path = Path(__file__).parents[1] / "examples/linear_simulator.py"
    made = runpy.run_path(str(path))["LinearSimulator"]
    return made(
        a=jnp.asarray([0.5, 0.3, 0, 0.4, 0, -0.2]),
        b=jnp.asarray([0.4, 0, 0.3, 0.3, 0, 0.2]),
        c=jnp.asarray(0.25),
        g=jnp.asarray([[1.0, 0, 0.5, 0, 0, 0], [0, 0.5, 0, 0, 1.0, 0]]),
        h=jnp.asarray([0.0, 1.0]),
        s=jnp.linspace(0.5, 1.5, len(NAMES)),
        r=jnp.asarray(1.0),
    )


def regression(columns, target):
    """Coefficients [k, ...], residuals, leverages and (Z'Z)^-1 Z' of least squares."""
    onto = np.linalg.pinv(columns)
    coefficients = onto @ target
    return coefficients, target - columns @ coefficients, np.sum(columns * onto.T, axis=1), onto


def oracle(given):
    """Coefficients of both equations on [1, X, T, ...] and the influence of rows on them."""
    t, m, y, x = given.exposure, given.mediators, given.outcome, given.covariates
    base = np.column_stack([np.ones(len(y)), x])
    a, left, h, onto = regression(np.column_stack([base, t]), m)
    alpha_influence = onto[-1][:, None] * left / (1 - h)[:, None]
    b, left, h, onto = regression(np.column_stack([base, t, m]), y)
    outcome_influence = (onto * left / np.sqrt(1 - h)).T
    q = base.shape[1]
    return {
        "alpha": a[-1],
        "alpha_influence": alpha_influence,
        "direct": b[q],
        "direct_influence": outcome_influence[:, q],
        "beta": b[q + 1 :],
        "beta_influence": outcome_influence[:, q + 1 :],
    }


def centred_mean(values):
    """Mean and its influence."""
    n = len(values)
    return values.mean(), (values - values.mean()) / np.sqrt(n * (n - 1))


def paths_of(alpha, beta, direct, link):
    """The five paths of a chain per unit of exposure, from coefficients of both blocks and D."""
    alpha, beta, direct, link = (np.asarray(x) for x in (alpha, beta, direct, link))
    size = link.shape[1]
    carried = link @ alpha[:size]
    return [
        direct,
        alpha[:size] @ beta[:size],
        beta[size:] @ (alpha[size:] - carried),
        beta[size:] @ carried,
        direct + alpha @ beta,
    ]
