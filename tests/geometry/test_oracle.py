"""Paths, composites and the cosine test against plain NumPy on 50 problems of 32 shapes.

Every shape is a program: four of them are quick, two of these at the boundary of the regimes.
"""

import jax
import numpy as np
import oracle
import pytest
from problems import problem

from jaxmed.geometry.bisector import maxie
from jaxmed.geometry.paths import paths
from jaxmed.inference.cosine_test import cosine_test


def shapes():
    rng = np.random.default_rng(20261121)
    cases = []
    for i in range(32):
        n = int(rng.integers(12, 90))
        q = i % 4
        if i < 20:  # within 2 of the boundary n - 2 - q, both sides
            p = n - 2 - q + i % 5 - 2
        else:
            p = int(rng.integers(2, n + 51))
        cases.append((i, n, max(p, 2), q))
    # Other problems of the last twelve shapes: one program serves both.
    cases += [(i, *cases[20 + (i - 20) % 12][1:]) for i in range(32, 50)]
    # At the boundary and beside it, and of any size one in either regime.
    wide = next(case for case in cases[20:] if case[2] > case[1] - 2 - case[3])
    shown = (cases[20][1:], wide[1:])
    quick = {*cases[2:4], *(case for case in cases[20:] if case[1:] in shown)}
    return [
        pytest.param(case, id=str(case), marks=() if case in quick else pytest.mark.slow)
        for case in cases
    ]


@jax.jit
def solve(data):
    """Op by op every shape would compile for three times as long."""
    result = paths(data)
    return result, [maxie(result, sign=sign) for sign in (1, -1)], cosine_test(result)


@pytest.mark.parametrize("case", shapes())
def test_agrees_with_the_definition(case):
    seed, n, p, q = case
    data = problem(np.random.default_rng(seed), n, p, q, binary=seed % 3 == 0)
    expected = oracle.solve(data)
    result, composites, test = solve(data)
    # Relative 1e-9 while the problem is well conditioned, else its condition number times rounding.
    tolerance = 1e-9 if expected.condition < 1e6 else 1e-15 * expected.condition
    assert result.regime == ("primal" if p <= n - 2 - q else "dual")
    quadratics = result.quadratics
    close(quadratics.cosine, expected.cosine, tolerance, absolute=tolerance)
    close(result.angle, expected.angle, tolerance)
    close(quadratics.exposure_exposure, expected.q_aa, tolerance)
    close(quadratics.outcome_outcome, expected.q_yy, tolerance)
    close(quadratics.exposure_ss, expected.tau, tolerance)
    close(result.total_effect, expected.total, tolerance, absolute=tolerance)
    strength = np.sqrt(expected.q_aa * expected.q_yy)
    close(quadratics.exposure_outcome, expected.q_ay, tolerance, absolute=tolerance * strength)
    if result.regime == "primal" and n - 2 - q > p:
        # A difference of sums of squares: its error is relative to what it is a part of.
        whole = expected.q_yy + expected.rss
        close(quadratics.residual_ss, expected.rss, tolerance, absolute=tolerance * whole)
    sides = ((expected.h_plus, expected.w_plus), (expected.h_minus, expected.w_minus))
    for composite, (effect, weights) in zip(composites, sides, strict=True):
        close(composite.indirect, effect, tolerance)
        unit = np.abs(weights).max()
        np.testing.assert_allclose(
            np.asarray(composite.weights) / unit, weights / unit, atol=10 * tolerance
        )
    if expected.df >= 1:
        close(test.statistic, expected.statistic, 3 * tolerance, absolute=3 * tolerance)
        assert float(test.df) == expected.df


def close(value, expected, relative, absolute=0.0):
    np.testing.assert_allclose(float(value), expected, rtol=relative, atol=absolute)
