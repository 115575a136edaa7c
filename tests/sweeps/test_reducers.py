"""Reducers: associative, equal to NumPy on the whole, and honest about what is missing."""

import math

import numpy as np
import pytest

from jaxmed import status
from jaxmed.reports.endings import ending_rows
from jaxmed.sweeps import combine, moments, quantiles, rejection_rate, stack
from jaxmed.sweeps.reducers import rate_of

RNG = np.random.default_rng(0)


def columns(n):
    code = np.where(RNG.uniform(size=n) < 0.1, status.RANK_DEFICIENT, status.OK)
    code[:3] = status.NULL_PATH  # qualifies a number that exists
    return {
        "maxie/indirect": RNG.normal(2, 3, n),
        "maxie/p_value": RNG.uniform(size=n),
        "maxie/status": code,
        "other/indirect": np.where(RNG.uniform(size=n) < 0.2, np.nan, RNG.normal(size=n)),
    }


REDUCERS = [moments(), rejection_rate(0.1), quantiles([0.1, 0.5]), stack()]
REDUCERS.append(combine(mean=moments(), rate=rejection_rate()))


def values(result):
    """Every number of a result, in order."""
    if isinstance(result, dict):
        return [v for key in sorted(result, key=str) for v in values(result[key])]
    if hasattr(result, "values") and hasattr(result, "statuses"):
        return values(dict(result.values)) + values(
            {k: dict(v) for k, v in result.statuses.items()}
        )
    if hasattr(result, "__dataclass_fields__"):
        return [getattr(result, name) for name in result.__dataclass_fields__]
    return np.ravel(result).tolist()


@pytest.mark.parametrize("reducer", REDUCERS, ids=lambda r: r.name[:12])
def test_merge_is_associative_and_equals_the_whole(reducer):
    whole = columns(1000)
    a, b, c = (
        reducer.lift({k: v[s] for k, v in whole.items()})
        for s in (slice(0, 1), slice(1, 400), slice(400, None))
    )
    left = reducer.finish(reducer.merge(reducer.merge(a, b), c))
    right = reducer.finish(reducer.merge(a, reducer.merge(b, c)))
    at_once = reducer.finish(reducer.lift(whole))
    np.testing.assert_allclose(values(left), values(at_once), rtol=1e-12)
    np.testing.assert_allclose(values(right), values(at_once), rtol=1e-12)


def test_moments_against_numpy():
    data = columns(500)
    found = moments().finish(moments().lift(data))
    kept = data["maxie/indirect"][data["maxie/status"] < status.FIRST_FATAL]
    measure = found["maxie/indirect"]
    np.testing.assert_allclose(
        [measure.mean, measure.sd, measure.standard_error],
        [kept.mean(), kept.std(ddof=1), kept.std(ddof=1) / math.sqrt(kept.size)],
        rtol=1e-13,
    )
    assert measure.count + measure.missing == found.count == 500
    codes = found.statuses["maxie"]
    assert codes["NULL_PATH"] == 3 and sum(codes.values()) == 500
    assert codes["RANK_DEFICIENT"] == measure.missing > 0
    assert found["other/indirect"].missing == np.isnan(data["other/indirect"]).sum()


def test_moments_do_not_cancel_far_from_zero():
    data = {"x": 1e8 + RNG.normal(size=1000)}
    halves = [moments().lift({"x": part}) for part in np.split(data["x"], 2)]
    found = moments().finish(moments().merge(*halves))["x"]
    assert found.sd == pytest.approx(data["x"].std(ddof=1), rel=1e-6)


def test_rate_and_its_error():
    found = rejection_rate(0.5).finish(rejection_rate(0.5).lift({"p": np.linspace(0, 1, 101)}))
    assert found["p"].rate == pytest.approx(51 / 101)
    assert found["p"].standard_error == pytest.approx(math.sqrt(51 * 50 / 101**3))
    assert rate_of(0, 100).standard_error > 0.01  # not 0: nothing seen is not nothing there
    assert math.isnan(rate_of(0, 0).rate)


def test_quantiles_keep_their_accuracy():
    x = RNG.standard_cauchy(20_000)
    probabilities = [0.01, 0.3, 0.5, 0.99]
    reducer = quantiles(probabilities, accuracy=1e-3)
    found = reducer.finish(reducer.lift({"x": x}))["x"]
    for p in probabilities:
        exact = np.sort(x)[math.ceil(len(x) * p) - 1]
        assert found[p].value == pytest.approx(exact, rel=1.1e-3)
    # The error of a median is sqrt(pi^2/4/n) for a Cauchy variate.
    assert found[0.5].standard_error == pytest.approx(math.pi / 2 / math.sqrt(len(x)), rel=0.3)


def halves(reducer, column):
    """The reducer's value of a column that is folded from two halves."""
    lifted = [reducer.lift({"x": part}) for part in np.split(np.asarray(column, float), 2)]
    return reducer.finish(reducer.merge(*lifted))["x"]


@pytest.mark.parametrize("size", [3, 100])
def test_a_quantile_without_replicates_beyond_it_has_no_error(size):
    found = quantiles([0.001, 0.5, 0.999]).finish(
        quantiles([0.001, 0.5, 0.999]).lift({"x": RNG.normal(size=size)})
    )["x"]
    assert [math.isnan(found[p].standard_error) for p in found] == [True, size == 3, True]


def test_the_error_of_a_quantile_is_never_below_that_of_its_bin():
    found = halves(quantiles([0.5], accuracy=0.01), np.full(100, 7.0))[0.5]
    assert found.standard_error == pytest.approx(0.01 * found.value)


@pytest.mark.filterwarnings("error")
def test_infinite_values_are_not_missing():
    x = np.arange(1.0, 9.0)
    for where in ([0], [7], [0, 7]):
        column = x.copy()
        column[where] = np.inf
        found = halves(moments(), column)
        assert found.mean == math.inf and math.isnan(found.sd)
        assert (found.count, found.missing) == (8, 0)
    assert math.isnan(halves(moments(), [np.inf, 1, -np.inf, 2]).mean)
    x[[0, 7, 3]] = -np.inf, np.inf, np.nan
    found = halves(quantiles([0.01, 0.5, 0.99]), x)
    assert [found[0.01].value, found[0.99].value] == [-math.inf, math.inf]
    assert found[0.5].value == pytest.approx(5, rel=1e-3) and found[0.5].missing == 1
    assert math.isnan(found[0.99].standard_error)
    largest = halves(quantiles([0.5]), np.full(4, np.finfo(float).max))[0.5]
    assert largest.value == pytest.approx(np.finfo(float).max, rel=1.1e-3)


@pytest.mark.parametrize("reducer", REDUCERS, ids=lambda r: r.name[:12])
@pytest.mark.parametrize("codes", [[0, 24], [0, -1], [0, 99], [0.0, 30.0], [True, False]])
def test_unknown_statuses_are_refused(reducer, codes):
    with pytest.raises(ValueError, match="'m/status'.*jaxmed.status"):
        reducer.lift({"m/x": np.ones(2), "m/status": np.array(codes)})
    with pytest.raises(ValueError, match="'m/status'.*jaxmed.status"):
        ending_rows({"cell": {"m/status": np.array(codes)}})


def test_misuse_is_refused():
    with pytest.raises(ValueError, match="accuracy"):
        quantiles([0.5], accuracy=0.0)
    with pytest.raises(ValueError, match="level"):
        rejection_rate(5)
    with pytest.raises(ValueError, match="probabilities"):
        quantiles([0.5, 1.0])
    with pytest.raises(ValueError, match="at least one"):
        combine()
