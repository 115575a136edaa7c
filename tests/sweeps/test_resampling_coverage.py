"""Coverage of the bootstrap where it is regular: the total indirect effect with p << n."""

import jax
import numpy as np
import pytest

from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators import reg_exposure
from jaxmed.sweeps.bootstrap import bootstrap

REPEATS = 300


@pytest.mark.slow
def test_exponential_percentile_interval_covers_the_total_indirect_effect():
    rng, estimator, n, p = np.random.default_rng(0), reg_exposure(), 150, 4
    alpha, beta = np.array([0.8, 0.4, 0.0, 0.0]), np.array([0.5, 0.0, 0.5, 0.0])
    covered = {"indirect": 0, "total": 0}
    truth = {"indirect": alpha @ beta, "total": alpha @ beta + 0.3}
    for i in range(REPEATS):
        exposure = rng.normal(size=n)
        mediators = np.outer(exposure, alpha) + rng.normal(size=(n, p))
        outcome = 0.3 * exposure + mediators @ beta + rng.normal(size=n)
        data = MediationData(exposure, mediators, outcome, np.zeros((n, 0)))
        found = bootstrap(jax.random.key(i), data, estimator, 400, chunk=400)
        for name in covered:
            interval = found[name].intervals["percentile"]
            covered[name] += interval.lower <= truth[name] <= interval.upper
    for name, hits in covered.items():
        # 5 Monte Carlo errors; at n = 150 the bootstrap itself is short by about .01.
        assert abs(hits / REPEATS - 0.95) < 5 * np.sqrt(0.95 * 0.05 / REPEATS), name
