"""The proportion mediated in tables: a number with limits, or a dash and the reason."""

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed import status as st
from jaxmed.analysis.proportion import HOLDS_ZERO, NO_ERROR, proportion_columns, share_of_total
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.reports.proportion import proportion_reasons, proportion_tables
from jaxmed.typing import Interval

NAN = float("nan")


def estimate(direct, indirect, errors, status=st.OK):
    total, half = direct + indirect, 1.96 * errors[2]
    interval = Interval(np.float64(total - half), np.float64(total + half), 0.95, "normal")
    effects = Effects(*map(jnp.asarray, (direct, indirect, total)))
    return Estimate(
        effects,
        Effects(*map(jnp.asarray, errors)),
        Effects(None, None, interval),
        None,
        None,
        jnp.int32(status),
        None,
    )


def test_a_clear_total():
    row = proportion_columns(estimate(1.0, 0.5, (0.2, 0.1, 0.2)))
    assert row["proportion_mediated"] == pytest.approx(1 / 3) and row["proportion_reason"] == ""
    assert row["proportion_lower"] < 1 / 3 < row["proportion_upper"]
    ((_, table),) = proportion_tables([{"label": "one"} | row])
    assert table.rows[0]["share"] == "33.3%" and table.rows[0]["interval"].startswith("[")
    assert not list(proportion_reasons(row))


def test_a_total_whose_interval_holds_zero_has_no_share():
    """total -.043 [-.255, .169]: -1599 % and the like are no finding."""
    row = proportion_columns(estimate(-0.68, 0.64, (0.1, 0.1, 0.108)))
    assert np.isnan([row["proportion_mediated"], row["proportion_lower"]]).all()
    assert row["proportion_reason"] == HOLDS_ZERO
    ((_, table),) = proportion_tables([{"label": "one"} | row])
    assert table.rows[0]["share"] == table.rows[0]["interval"] == "–"
    assert HOLDS_ZERO in next(proportion_reasons(row))


def test_an_indirect_effect_without_error():
    row = proportion_columns(estimate(1.0, 0.0, (0.2, NAN, 0.2), st.EMPTY_SELECTION))
    assert row["proportion_mediated"] == 0 and np.isnan(row["proportion_lower"])
    assert row["proportion_reason"] == st.message(st.EMPTY_SELECTION)


def test_methods_without_errors():
    row = proportion_columns(estimate(1.0, 0.5, (NAN, NAN, NAN)))
    assert np.isnan(row["proportion_mediated"]) and row["proportion_reason"] == NO_ERROR
    assert np.isnan(proportion_columns(None)["proportion_mediated"])


def test_an_exact_total_has_a_share():
    nothing = Interval(NAN, NAN, 0.95, "t")
    assert share_of_total(0.5, 2.0, nothing, 0.0) == (0.25, "")
    assert np.isnan(share_of_total(0.5, 0.0, nothing, 0.0)[0])
