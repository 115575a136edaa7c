"""Weak signals (A/4): the intervals of record cover, those of a refit as if selected do not."""

import jax
import numpy as np
import pytest

from jaxmed import sweep
from jaxmed.estimators.double_selection import double_selection
from jaxmed.estimators.ols import ols
from jaxmed.estimators.post_selection import post_selection
from jaxmed.simulate.partially_linear import partially_linear, sample
from jaxmed.sweeps.reducers import stack
from jaxmed.sweeps.task import study_task

BASIS = "splines_all_products"  # curves of two covariates confound
REPLICATES, ROWS, P = 200, 800, 100
MODEL = partially_linear("A/4", P)


def scores(estimate, data):
    del data
    interval, table = estimate.intervals.indirect, estimate.mediators
    truth, one = MODEL.total_indirect, MODEL.indirect[3]
    return {
        "indirect": (interval.lower <= truth) & (truth <= interval.upper),
        "product": (table.lower[3] <= one) & (one <= table.upper[3]),
        "delta": abs(table.indirect[3] - one) <= 1.959964 * table.indirect_se[3],
    }


@pytest.mark.slow
def test_weak_signals():
    task = study_task(
        lambda key, model: sample(key, model, ROWS),
        {
            "ols": ols(basis=BASIS),
            "double": double_selection(basis=BASIS, nodewise=False),
            "refit": post_selection(basis=BASIS),
        },
        scores,
    )
    columns = sweep(
        jax.random.key(7), task, REPLICATES, parameters=MODEL, reducer=stack(), chunk=50
    )
    rate = {name: np.mean(values) for name, values in columns.items()}
    assert 0.91 <= rate["double/indirect"] <= 0.99
    assert 0.91 <= rate["ols/indirect"] <= 0.99
    assert rate["refit/indirect"] < 0.90
    assert rate["ols/product"] >= rate["ols/delta"] - 0.01
