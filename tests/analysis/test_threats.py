"""Threats to validity: each with data that have the flaw, and the same without it."""

import dataclasses
import json
from pathlib import Path
from typing import get_args

import compiled_programs
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from jaxmed.analysis.threats import (
    CODES,
    Crossed,
    Estimates,
    outcome_of_moments,
    outcome_of_values,
    threats_of_moments,
    threats_of_rows,
)
from jaxmed.analysis.threats.groups import leading_components
from jaxmed.analysis.threats.logistic import PRIOR_SD, logistic_logits
from jaxmed.analysis.threats.rows import rows_of
from jaxmed.analysis.threats.screening import FALSE_SHARES
from jaxmed.cli.parsers import make_parser
from jaxmed.data import covariate_basis, from_frame_with_report
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import mediation_data
from jaxmed.data.transforms import standardise
from jaxmed.vocabulary import Screened

N, P = 150, 20
FIELDS = {"code", "severity", "measured", "threshold", "sentence", "remedy"}


def columns(seed=0, n=N, p=P, q=2):
    """Gaussian data of a linear model with both paths: (a, m, y, x)."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, q))
    a = 0.4 * x.sum(axis=1) + rng.normal(size=n)
    m = np.outer(a, rng.normal(size=p)) * 0.3 + rng.normal(size=(n, p)) + x[:, :1]
    y = 0.5 * a + m @ rng.normal(size=p) * 0.2 + x.sum(axis=1) + rng.normal(size=n)
    return a, m, y, x


def estimates(data, **numbers):
    n = len(data.exposure) if data.weights is None else int(np.sum(np.asarray(data.weights) > 0))
    return Estimates(n, data.covariates.shape[1], data.mediators.shape[1], **numbers)


def threats(data, source=None, screened="no", **numbers):
    scaled = standardise(data)[0]
    found = threats_of_rows(
        data, scaled, estimates(data, **numbers), source=source, screened=screened
    )
    assert all(set(threat) == FIELDS for threat in found)
    json.dumps(found, allow_nan=False)
    return found


def codes(found):
    return [threat["code"] for threat in found]


def of(found, code, *words):
    """The one threat of a code whose sentence has these words."""
    chosen = [t for t in found if t["code"] == code and all(w in t["sentence"] for w in words)]
    assert len(chosen) == 1, found
    return chosen[0]


def report(n, **groups):
    """Of the reader, with columns without a role."""
    same = {"row_numbers": np.arange(n), "group_codes": groups}
    return DataReport(n, n, n, n, None, None, "error", {}, {}, {}, (), **same)


def residual(columns, x, weights=None):
    """Given intercept and covariates, by least squares."""
    root = np.ones(len(x)) if weights is None else np.sqrt(weights)
    base = root[:, None] * np.column_stack([np.ones(len(x)), x])
    scaled = (root * columns.T).T
    return scaled - base @ np.linalg.lstsq(base, scaled, rcond=None)[0]


def test_gaussian_data_have_none_and_none_is_missed_by_chance():
    found = [codes(threats(mediation_data(*columns(seed)))) for seed in range(200)]
    alarms = sum(bool(each) for each in found)
    assert alarms <= 6  # 1 in 100 is meant for LEVERAGE, nothing for the others
    assert {code for each in found for code in each} <= {"LEVERAGE"}


def test_the_ends_of_splines_are_no_alarm():
    alarms = 0
    for seed in range(40):
        a, m, y, x = columns(seed, 120, 3)
        given = mediation_data(a, m, y, x)
        alarms += bool(
            codes(
                threats_of_rows(
                    given, covariate_basis(given, "splines").data, estimates(given), screened="no"
                )
            )
        )
    assert alarms <= 3


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n, p", [(102, 517), (102, 49), (60, 5), (300, 200)])
def test_alarms_at_other_sizes(n, p, weighted):
    count = 40 if p < 100 else 10
    weights = np.random.default_rng(0).uniform(0.3, 3, n) if weighted else None
    alarms = [codes(threats(mediation_data(*columns(s, n, p), weights))) for s in range(count)]
    assert sum(map(bool, alarms)) <= 3


def test_no_program_is_compiled():
    data = mediation_data(*columns())
    on_device = jax.tree.map(jnp.asarray, data)
    both = data, on_device
    before = len(compiled_programs.asked)
    first, second = (threats_of_rows(d, d, estimates(d), screened="unknown") for d in both)
    assert len(compiled_programs.asked) == before
    assert first == second


def test_order_and_values():
    a, m, y, x = columns()
    y = (y > np.quantile(y, 0.97)).astype(float)
    m[:, 0] = np.where(m[:, 0] < 0.9, 0.0, m[:, 0])
    found = threats(mediation_data(a, m, y, x), screened="outcome", total=1.0, total_se=1.0)
    severities = [threat["severity"] for threat in found]
    assert severities == sorted(severities, key=("stop", "warn", "note").index)
    for severity in set(severities):
        within = [t["code"] for t in found if t["severity"] == severity]
        assert within == sorted(within, key=CODES.index)
    assert {"SCREENED_UNKNOWN", "RARE_01", "OUTCOME_01", "TOTAL_NEAR_ZERO"} <= set(codes(found))
    assert all(type(t["measured"]) in (float, type(None)) for t in found)


@pytest.mark.parametrize(
    "screened, severity, share",
    [
        ("unknown", "note", "in these rows?"),
        ("exposure", "warn", "2 % to 3 %"),
        ("outcome", "warn", "1 % to 57 %"),
        ("both", "warn", "63 % to 100 %"),
    ],
)
def test_screening(screened, severity, share):
    found = threats_of_moments(Estimates(100, 0, 5), None, screened=screened)
    assert of(found, "SCREENED_UNKNOWN")["severity"] == severity
    assert share in found[0]["sentence"] and "one half of the rows" in found[0]["remedy"]
    assert threats_of_moments(Estimates(100, 0, 5), None, screened="no") == []


def test_shares_of_the_sentences_are_those_measured():
    path = Path(__file__).parents[2] / "benchmarks" / "results" / "threats.json"
    cases = json.loads(path.read_text())["cases"]
    cells = [case["splits_10"] for case in cases if case["part"] == "screening"]
    assert len(cells) == 3 and all(cell["none"] == 0 for cell in cells)
    for way, (least, most) in FALSE_SHARES.items():
        shares = [cell[way] for cell in cells]
        np.testing.assert_allclose((least, most), (min(shares), max(shares)), atol=5e-4)


def test_screening_is_an_option_of_the_command():
    parser = make_parser()
    given = ["mediate", "f.csv", "--exposure", "a", "--outcome", "y", "--mediators", "m"]
    assert parser.parse_args(given).screened == "unknown"
    for screened in get_args(Screened):
        assert parser.parse_args([*given, "--screened", screened]).screened == screened
    with pytest.raises(SystemExit):
        parser.parse_args([*given, "--screened", "perhaps"])


def test_crossfit_above_total():
    def found(**numbers):
        numbers = {"total": 0.3, "total_se": 0.05, "direct": 0.1} | numbers
        return threats_of_moments(Estimates(100, 0, 5, **numbers), None, screened="no")

    above = Crossed(0.5, 0.2, 0.8)
    threat = of(found(upward=above), "CROSSFIT_ABOVE_TOTAL")
    assert (threat["measured"], threat["threshold"]) == (0.5, 0.3)
    assert "needs an opposing path, or screening" in threat["sentence"]
    below = Crossed(-0.5, -0.8, -0.2)
    assert found(downward=below) == []  # the direct effect is the opposing path
    assert "downward" in of(found(downward=below, direct=-0.1), "CROSSFIT_ABOVE_TOTAL")["sentence"]
    assert found(upward=Crossed(0.25, 0.2, 0.3)) == []
    assert found(upward=Crossed(0.5, -0.1, 1.1)) == []
    assert found(upward=above, direct=np.nan) == []


def test_covariates_that_leave_little_of_the_exposure():
    a, m, y, x = columns()
    near = x[:, 0] + 0.25 * a
    found = of(threats(mediation_data(near, m, y, x)), "OVERLAP")
    left = residual(near, x)
    share = (left @ left / (N - 3)) / near.var(ddof=1)
    np.testing.assert_allclose(found["measured"], share, rtol=1e-10)
    assert found["measured"] < found["threshold"] == 0.1
    assert "OVERLAP" not in codes(threats(mediation_data(x[:, 0] + a, m, y, x)))


def site_frame(seed=0, n=120, fixed=("C",)):
    rng = np.random.default_rng(seed)
    site = np.array(["A", "B", "C", "D"])[rng.integers(0, 4, n)]
    treated = rng.integers(0, 2, n).astype(float)
    treated[np.isin(site, fixed)] = 0.0
    m = rng.normal(size=(n, 3)) + 0.3 * treated[:, None]
    y = m.sum(axis=1) + treated + rng.normal(size=n)
    return {"t": treated, "y": y, "m": m, "site": site}


ROLES = {"exposure": "t", "outcome": "y", "mediators": "m_*", "covariates": ["site"]}


def test_a_level_without_contrast_is_named_and_can_be_left_out():
    frame = site_frame()
    data, source = from_frame_with_report(frame, **ROLES)
    found = of(threats(data, source), "OVERLAP")
    size = int(np.sum(frame["site"] == "C"))
    assert found["measured"] == size
    assert found["sentence"] == (
        f"In site C the exposure never varies: its {size} rows say nothing about the effect and "
        "rest on the linear model."
    )
    where = found["remedy"].split('"')[1]
    again, source = from_frame_with_report(frame, **ROLES, where=where)
    assert len(again.exposure) == 120 - size and threats(again, source) == []
    assert threats(*from_frame_with_report(site_frame(fixed=()), **ROLES)) == []


def test_the_reference_level_without_contrast():
    data, source = from_frame_with_report(site_frame(fixed=("A", "D")), **ROLES)
    sentence = of(threats(data, source), "OVERLAP")["sentence"]
    assert "site A" in sentence and "site D" in sentence
    # Without the reader's report the first level has no name.
    unnamed = of(threats(data), "OVERLAP")
    assert "the reference level of site" in unnamed["sentence"]
    assert unnamed["remedy"].count("'") == ("In site D" in unnamed["sentence"]) * 2


def test_groups_of_arrays_are_called_by_their_columns():
    frame = site_frame()
    dummies = np.column_stack([frame["site"] == level for level in "BCD"])
    names = {"covariates": ["two", "three", "four"], "groups": [["two", "three", "four"]]}
    data = mediation_data(frame["t"], frame["m"], frame["y"], dummies, names=names)
    found = of(threats(data), "OVERLAP")
    assert found["sentence"].startswith("In two, three, four three the exposure never varies")
    assert found["remedy"] == "Leave out the level (--where), or match."


def test_small_levels_without_contrast_are_a_note():
    frame = site_frame(n=400, fixed=())
    frame["site"][:3], frame["t"][:3] = "E", 1.0
    found = of(threats(*from_frame_with_report(frame, **ROLES)), "OVERLAP")
    assert (found["severity"], found["measured"]) == ("note", 3.0)


def test_a_level_that_holds_a_binary_covariate():
    a, m, y, x = columns()
    male = (x[:, 1] > 0).astype(float)
    a = np.where(male == 1, 2.0, a)
    found = of(threats(mediation_data(a, m, y, np.column_stack([x, male]))), "OVERLAP")
    assert "c3 = 1" in found["sentence"] and found["measured"] == male.sum()


def test_effective_rows_of_a_binary_exposure():
    _, m, y, x = columns(n=400)
    rng = np.random.default_rng(1)
    treated = (14 * x[:, 0] + rng.logistic(size=400) > 0).astype(float)
    data = mediation_data(treated, m, y, x)
    found = of(threats(data), "OVERLAP", "effective")
    # Plain maximum likelihood by Newton: the weak prior moves it by little.
    z, beta = np.column_stack([np.ones(400), x]), np.zeros(3)
    for _ in range(50):
        p = 1 / (1 + np.exp(-z @ beta))
        beta = beta + np.linalg.solve((z.T * (p * (1 - p))) @ z, z.T @ (treated - p))
    w = p * (1 - p)
    np.testing.assert_allclose(found["measured"], w.sum() ** 2 / (w @ w) / 400, rtol=0.15)
    assert found["measured"] < 0.25
    mild = (0.8 * x[:, 0] + rng.logistic(size=400) > 0).astype(float)
    assert "OVERLAP" not in codes(threats(mediation_data(mild, m, y, x)))


@pytest.mark.parametrize("separated", [False, True])
def test_logistic_regression_is_optimal_also_under_separation(separated):
    rng = np.random.default_rng(0)
    z = np.column_stack([np.ones(200), rng.normal(size=(200, 4))])
    signal = z @ np.array([0.2, 1.0, -1.0, 0.5, 0.0])
    treated = (signal + (0 if separated else rng.logistic(size=200)) > 0).astype(float)
    weights = rng.uniform(0.5, 2, 200)
    logits = logistic_logits(z, treated, weights)
    beta = np.linalg.lstsq(z, logits, rcond=None)[0]
    prior = np.array([0, 1, 1, 1, 1]) / PRIOR_SD**2
    gradient = z.T @ (weights * (treated - 1 / (1 + np.exp(-logits)))) - prior * beta
    np.testing.assert_allclose(gradient, 0, atol=1e-3)
    if separated:
        assert np.mean((logits > 0) == (treated == 1)) > 0.95


def test_a_separated_exposure_has_few_effective_rows():
    _, m, y, x = columns(n=200)
    treated = (x[:, 0] > 0).astype(float)
    found = of(threats(mediation_data(treated, m, y, x)), "OVERLAP", "effective")
    assert 0 < found["measured"] < 0.1


@pytest.mark.parametrize("role", ["covariate", "none"])
def test_site_that_determines_the_exposure(role):
    rng = np.random.default_rng(0)
    n = 160
    site = rng.integers(0, 4, n)
    frame = site_frame(n=n, fixed=()) | {"site": np.array(list("ABCD"))[site]}
    roles = ROLES | {"covariates": ["site"] if role == "covariate" else []}
    frame["t"] = rng.normal(size=n)
    assert "SITE_EXPOSURE" not in codes(threats(*from_frame_with_report(frame, **roles)))
    frame["t"] = 1.2 * site + rng.normal(size=n)
    found = of(threats(*from_frame_with_report(frame, **roles)), "SITE_EXPOSURE")
    means = np.array([frame["t"][site == k].mean() for k in range(4)])[site]
    left = np.sum((frame["t"] - means) ** 2) / (n - 4)
    np.testing.assert_allclose(found["measured"], 1 - left / frame["t"].var(ddof=1), rtol=1e-10)
    assert "'site' determines most of the exposure" in found["sentence"]
    assert ("within its levels" in found["sentence"]) == (role == "covariate")


def test_binary_outcome_in_rows_and_in_moments():
    a, m, y, x = columns()
    data = mediation_data(a, m, (y > 0).astype(float), x)
    found = threats(data)
    threat = of(found, "OUTCOME_01")
    assert threat["severity"] == "note" and "risk differences of a linear model" in str(threat)
    assert ".13 to .88" in threat["sentence"]
    y01 = data.outcome
    by_moments = outcome_of_moments("outcome", y01.mean(), y01.std(ddof=1), N)
    assert threats_of_moments(estimates(data), by_moments, screened="no") == found
    by_values = outcome_of_values("outcome", y01, np.ones(N))
    assert threats_of_moments(estimates(data), by_values, screened="no") == found
    other = of(threats(mediation_data(a, m, 1 + y01, x)), "OUTCOME_01")
    assert "two values, 1 and 2" in other["sentence"]
    assert not outcome_of_moments("y", 0.4, 0.3, 100).levels
    assert not outcome_of_moments("y", 4.0, 2.0, 100).levels


def test_rare_binary_outcome():
    a, m, y, x = columns(n=1000, p=4)
    few, many = (
        mediation_data(a, m, (y > np.quantile(y, q)).astype(float), x) for q in (0.97, 0.5)
    )
    found = of(threats(few), "RARE_01")
    assert found["measured"] == 0.03 and "is 1 in 30 rows of 1,000 (3 %)" in found["sentence"]
    assert "RARE_01" not in codes(threats(many))
    # Enough as a share, and too few for so many columns.
    crowded = mediation_data(*columns(n=200, p=40)[:2], (columns(n=200, p=40)[2] > 2).astype(float))
    events = min(crowded.outcome.sum(), 200 - crowded.outcome.sum())
    found = of(threats(crowded), "RARE_01")
    assert found["measured"] == events / 40 < 5


def test_counts():
    rng = np.random.default_rng(0)
    a, m, _, x = columns()
    spread = rng.negative_binomial(1.5, 0.3, N).astype(float)
    found = of(threats(mediation_data(a, m, spread, x)), "OUTCOME_COUNT")
    zeros = np.mean(spread == 0)
    assert found["measured"] == zeros > found["threshold"] == 0.2
    found = of(threats(mediation_data(a, m, spread + 1, x)), "OUTCOME_COUNT")
    np.testing.assert_allclose(found["measured"], spread.var() / (spread + 1).mean(), rtol=1e-12)
    pressure = np.round(rng.normal(120, 15, N))  # variance above the mean, and no count
    assert threats(mediation_data(a, m, pressure, x)) == []
    assert threats(mediation_data(a, m, rng.poisson(9, N) + 0.5, x)) == []


def test_total_near_zero_and_collinear_exposure():
    def found(**numbers):
        return threats_of_moments(Estimates(100, 2, 20, **numbers), None, screened="no")

    threat = of(found(total=-0.2, total_se=0.1), "TOTAL_NEAR_ZERO")
    assert (threat["measured"], threat["threshold"]) == (2.0, 3.0)
    assert found(total=0.4, total_se=0.1) == [] == found(total=0.4, total_se=0.0)
    # R2 of .95 with 20 mediators in 97 degrees of freedom.
    adjusted = 1 - 0.05 * 97 / 77
    threat = of(found(exposure_q=0.95 / 0.05), "COLLINEAR_EXPOSURE")
    np.testing.assert_allclose(threat["measured"], adjusted, rtol=1e-12)
    assert "rests on 6 %" in threat["sentence"]
    assert found(exposure_q=0.9 / 0.1) == []
    assert threats_of_moments(Estimates(100, 2, 200, exposure_q=1e9), None, screened="no") == []


def fitted_indirect(a, m, y, x, weights):
    """Total minus direct effect, by least squares."""
    root = np.sqrt(weights)
    base = np.column_stack([np.ones(len(a)), x])

    def first(*more):
        z = root[:, None] * np.column_stack([a, *more, base])
        return np.linalg.lstsq(z, root * y, rcond=None)[0][0]

    return first() - first(m)


@pytest.mark.parametrize("weighted", [False, True])
def test_the_estimate_without_a_row_is_that_of_the_other_rows(weighted):
    a, m, y, x = columns(n=80, p=6)
    a[17], m[17, 2], y[17] = a[17] + 3, 8.0, 14.0
    weights = np.random.default_rng(3).uniform(0.5, 2, 80) if weighted else np.ones(80)
    data = mediation_data(a, m, y, x, weights if weighted else None)
    found = of(threats(data), "LEVERAGE", "Without")
    assert "Without row 18 of those analysed (counted from 1)" in found["sentence"]
    rest = np.arange(80) != 17
    without = fitted_indirect(a[rest], m[rest], y[rest], x[rest], weights[rest])
    whole = fitted_indirect(a, m, y, x, weights)
    assert f"is {without:.3g} instead of {whole:.3g}" in found["sentence"]
    # First-order error of alpha'b.
    data = rows_of(data, data, None)
    t = residual(a, x, data.weights)
    e, r = residual(m, x, data.weights), residual(y, x, data.weights)
    z = np.column_stack([t, e])
    b, gram = np.linalg.lstsq(z, r, rcond=None)[0], np.linalg.inv(z.T @ z)
    alpha = e.T @ t / (t @ t)
    s2 = np.sum((r - z @ b) ** 2) / (80 - 4 - 6)
    left = r - t * (t @ r) / (t @ t)
    error = np.sqrt(s2 * alpha @ gram[1:, 1:] @ alpha + (left @ left / (80 - 4) - s2) / (t @ t))
    np.testing.assert_allclose(found["measured"], abs(without - whole) / error, rtol=1e-8)
    plain = mediation_data(*columns(n=80, p=6), data.weights if weighted else None)
    assert threats(plain) == []


def test_leverage_is_that_of_the_hat_matrix():
    a, m, y, x = columns()
    m[41] *= 40  # all mediators of one row on another scale
    found = of(threats(mediation_data(a, m, y, x)), "LEVERAGE", "leverage")
    z = residual(np.column_stack([a, m]), x)  # beyond the covariates
    base = np.column_stack([np.ones(N), x])
    slack = 1 - np.diagonal(base @ np.linalg.pinv(base))
    hat = np.diagonal(z @ np.linalg.pinv(z)) / slack
    np.testing.assert_allclose(found["measured"], hat[41], rtol=1e-8)
    assert "Row 42 " in found["sentence"] and hat[41] > 0.9
    many = columns()
    many[1][:6] = 16 * np.eye(6, P) + many[1][:6]
    z = np.column_stack([np.ones(N), many[3], many[0], many[1]])
    hat = np.diagonal(z @ np.linalg.pinv(z))
    assert 0.5 < hat[:6].min() and hat.max() < 0.9
    found = of(threats(mediation_data(*many)), "LEVERAGE", "leverage")
    assert found["measured"] == 6 / N and found["threshold"] == 0.01


def test_outliers():
    a, m, y, x = columns()
    y[6] = 60.0
    m[:, 3] = np.exp(2.5 * m[:, 3])
    found = threats(mediation_data(a, m, y, x))
    cells, heavy = of(found, "OUTLIERS", "median"), of(found, "OUTLIERS", "kurtosis")
    z = np.abs(y - np.median(y)) / stats.median_abs_deviation(y, scale="normal")
    np.testing.assert_allclose(cells["measured"], z[6], rtol=1e-4)
    assert "'outcome' (row 7 of those analysed" in cells["sentence"]
    np.testing.assert_allclose(heavy["measured"], stats.kurtosis(m[:, 3]), rtol=1e-8)
    assert "m4." in heavy["sentence"]
    assert "OUTLIERS" not in codes(threats(mediation_data(*columns())))
    # More than half of the cells alike: there is no spread to measure by.
    assert "OUTLIERS" not in codes(
        threats(mediation_data(np.maximum(a - 1, 0), m[:, :3], y * 0 + a, x))
    )


@pytest.mark.parametrize("share, severity", [(0.3, "note"), (0.6, "warn")])
def test_limit_of_detection(share, severity):
    a, m, y, x = columns()
    limit = np.quantile(m[:, 5], share)
    m[:, 5] = np.maximum(m[:, 5], limit)
    found = of(threats(mediation_data(a, m, y, x)), "ZERO_INFLATED")
    np.testing.assert_allclose(found["measured"], np.mean(m[:, 5] == limit))
    assert found["severity"] == severity and "m6" in found["sentence"]
    assert "1 of 20 mediators" in found["sentence"]


def test_genotypes_have_no_limit_of_detection():
    a, m, y, x = columns()
    m[:, 0] = np.random.default_rng(0).binomial(2, 0.3, N)
    m[:, 1] = m[:, 0] > 0
    assert threats(mediation_data(a, m, y, x)) == []


@pytest.mark.parametrize("n, p", [(N, P), (60, 300)])
def test_batch(n, p):
    a, m, y, x = columns(n=n, p=p)
    plate = np.random.default_rng(8).integers(0, 5, n)
    source = report(n, run=plate)
    assert "BATCH" not in codes(threats(mediation_data(a, m, y, x), source))
    shift = np.random.default_rng(9).normal(size=(5, p))
    m = m + shift[plate]
    found = of(threats(mediation_data(a, m, y, x), source), "BATCH")
    given = residual((m - m.mean(axis=0)) / m.std(axis=0, ddof=1), np.column_stack([x, a]))
    left = np.linalg.svd(given, full_matrices=False)[0][:, :5]
    means = np.array([left[plate == k].mean(axis=0) for k in range(5)])[plate]
    share = 1 - np.sum((left - means) ** 2, axis=0) / (n - 5) / left.var(axis=0, ddof=1)
    np.testing.assert_allclose(found["measured"], share.max(), rtol=1e-3)
    assert "'run', which is not among the covariates" in found["sentence"]


def test_leading_components_are_those_of_the_decomposition():
    rng = np.random.default_rng(0)
    a, m, y, x = columns(n=90, p=200)
    m = m + 3 * rng.normal(size=(90, 3)) @ rng.normal(size=(3, 200))
    weights = rng.uniform(0.5, 2, 90)
    data = mediation_data(a, m, y, x, weights)
    found = leading_components(rows_of(data, data, None))
    np.testing.assert_allclose(found.T @ found, np.eye(5), atol=1e-10)
    w = np.asarray(data.weights)
    sd = np.sqrt(w @ (m - w @ m / w.sum()) ** 2 / (90 - 1))
    given = residual(m / sd, np.column_stack([x, a]), w)
    left = np.linalg.svd(given)[0][:, :3]
    np.testing.assert_allclose(np.abs(np.sum(found[:, :3] * left, axis=0)), 1, rtol=1e-6)


@pytest.mark.parametrize(
    "name, values, alarm",
    [
        ("family", 60, True),
        ("patient_id", 12, True),  # more than 50 rows of a person are dependent, too
        ("plate", 20, True),
        ("site", 4, False),  # groups of more rows are for BATCH
        ("patient", 2, False),  # who is one
        ("age", 40, False),
        ("id", 240, False),  # unique
    ],
)
def test_clusters(name, values, alarm):
    n = 720 if values == 12 else 240
    group = np.random.default_rng(0).permutation(np.arange(n) % values)
    data = mediation_data(*columns(n=n, p=3))
    found = threats(data, report(n, **{name: group.astype(np.int32)}))
    assert ("CLUSTERS" in codes(found)) == alarm
    if alarm:
        sentence = f"Column '{name}' repeats ({values} values in {n} rows): intervals assume"
        assert sentence in of(found, "CLUSTERS")["sentence"]


def test_a_row_is_called_as_in_its_file(tmp_path):
    pytest.importorskip("pyarrow")
    a, m, y, x = columns(n=80, p=6)
    a[17], m[17, 2], y[17] = a[17] + 3, 8.0, 14.0
    table = np.column_stack([a, y, x, m])
    table[3, 1] = np.nan  # a row less
    names = ["a", "y", "c1", "c2", *(f"m{j}" for j in range(6))]
    path = tmp_path / "table.csv"
    lines = [",".join("" if np.isnan(v) else repr(float(v)) for v in row) for row in table]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")
    roles = {"exposure": "a", "outcome": "y", "mediators": "m*", "covariates": ["c1", "c2"]}
    data, source = from_frame_with_report(str(path), **roles, nan_policy="drop")
    found = of(threats(data, source), "LEVERAGE", "Without")
    assert "Without row 19 of the file" in found["sentence"]  # the header is row 1
    frame = dict(zip(names, table.T, strict=True))
    data, source = from_frame_with_report(frame, **roles, nan_policy="drop")
    found = of(threats(data, source), "LEVERAGE", "Without")
    assert "Without row 17 of the table (counted from 0)" in found["sentence"]


def flawed(seed=0):
    """Data with a flaw of nearly every kind."""
    a, m, y, x = columns(seed, n=120, p=8)
    a[17], m[17, 2], y[17] = a[17] + 3, 9.0, 24.0
    m[:, 1] = np.maximum(m[:, 1], 0.2)
    male = (x[:, 1] > 0.5).astype(float)
    a = np.where(male == 1, 1.0, a)
    x = np.column_stack([x, male])
    plate = np.arange(120) % 6
    m = m + 2 * np.random.default_rng(1).normal(size=(6, 8))[plate]
    return (a, m, y, x), report(120, plate=plate)


def test_rows_without_weight_are_as_if_absent():
    (a, m, y, x), _ = flawed()
    rng = np.random.default_rng(5)
    places = np.sort(rng.permutation(150)[:120])

    def spread(values):
        wild = 50 + 9 * rng.normal(size=(150, *values.shape[1:]))
        wild[places] = values
        return wild

    weights = np.zeros(150)
    weights[places] = 1.0
    plate = np.full(150, 9)
    plate[places] = np.arange(120) % 6
    long = mediation_data(spread(a), spread(m), spread(y), spread(x), weights)
    short = mediation_data(a, m, y, x)
    source, of_long = report(120, plate=np.arange(120) % 6), report(150, plate=plate)
    first = threats(short, dataclasses.replace(source, row_numbers=places))
    second = threats(long, of_long)
    assert [t["sentence"] for t in first] == [t["sentence"] for t in second]
    assert len(first) >= 5
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one["measured"], other["measured"], rtol=1e-9)


def test_a_weight_is_so_many_rows():
    """Where no degree of freedom enters, a row of weight two measures as two rows."""
    a, m, y, x = columns(n=100, p=4)
    y = np.random.default_rng(0).negative_binomial(1.0, 0.3, 100).astype(float)
    m[:, 0] = np.maximum(m[:, 0], 0.3)
    m[:, 1] = np.exp(2.5 * m[:, 1])
    y[6] = 500.0
    copies = np.random.default_rng(4).integers(1, 4, 100)
    weighted = threats(mediation_data(a, m, y, x, copies))
    repeated = threats(mediation_data(*(np.repeat(v, copies, axis=0) for v in (a, m, y, x))))
    for code in ("OUTCOME_COUNT", "ZERO_INFLATED"):
        np.testing.assert_allclose(of(weighted, code)["measured"], of(repeated, code)["measured"])
    for word in ("median", "kurtosis"):
        one, other = of(weighted, "OUTLIERS", word), of(repeated, "OUTLIERS", word)
        np.testing.assert_allclose(one["measured"], other["measured"], rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-155, 1e155])
@pytest.mark.parametrize("column", ["exposure", "outcome", "mediators", "covariates"])
def test_units_change_nothing(unit, column):
    (a, m, y, x), source = flawed()
    plain = mediation_data(a, m, y, x)
    # A 0/1 covariate in another unit is none.
    scaled = unit * np.asarray(getattr(plain, column))
    if column == "covariates":
        scaled[:, 2] = x[:, 2]
    changed = dataclasses.replace(plain, **{column: scaled})
    first, second = (
        threats_of_rows(d, standardise(d)[0], estimates(d), source=source) for d in (plain, changed)
    )
    assert codes(first) == codes(second) and len(first) >= 5
    for one, other in zip(first, second, strict=True):
        if one["measured"] is not None:
            np.testing.assert_allclose(one["measured"], other["measured"], rtol=1e-6)
    raw = threats_of_rows(changed, changed, estimates(changed), source=source)
    assert codes(raw) == codes(first)


def odd():
    """Data that no measure may trip over: (name, data, columns without a role)."""
    rng = np.random.default_rng(0)
    a, m, y, x = columns(n=30, p=4)
    ones = np.ones((30, 1))
    yield "three rows", mediation_data(a[:3], m[:3], y[:3]), {"id": np.zeros(3, int)}
    yield "one mediator", mediation_data(a, m[:, :1], y, x), {"plate": np.arange(30) % 15}
    yield "no degree of freedom", mediation_data(a, rng.normal(size=(30, 26)), y, x), {}
    yield "constant columns", mediation_data(a, np.hstack([m, ones]), y, np.hstack([x, ones])), {}
    yield "all mediators constant", mediation_data(a, np.ones((30, 3)), y), {"plate": np.arange(30)}
    yield "doubled mediators", mediation_data(a, np.hstack([m, m]), y, np.hstack([x, x])), {}
    yield "mediator is the exposure", mediation_data(a, np.hstack([m, a[:, None]]), y), {}
    yield "exposure is a covariate", mediation_data(a, m, y, a[:, None]), {}
    yield "outcome is fitted exactly", mediation_data(a, m, m.sum(axis=1), x), {}
    yield "covariates fill the rows", mediation_data(a, m, y, rng.normal(size=(30, 29))), {}
    yield "separated", mediation_data((x[:, 0] > 0).astype(float), m, y, x), {}
    yield "one treated", mediation_data(np.arange(30) == 3, m, np.arange(30) == 5, x), {}
    yield "integers", mediation_data(np.arange(30), m > 0, np.arange(30) % 2), {}
    missing = {"plate": np.full(30, -1), "family": np.r_[np.full(28, -1), 0, 1]}
    yield "missing codes", mediation_data(a, m, y), missing
    one = {"plate": np.zeros(30, int), "id": np.arange(30)}
    yield "one level, and all levels", mediation_data(a, rng.normal(size=(30, 90)), y), one
    single = [np.float32(v) for v in (a, m, y, x)]
    yield "float32", mediation_data(*single), {"plate": np.arange(30) % 3}
    weights = np.r_[np.zeros(20), np.full(10, 1e300)]
    yield "few weights", mediation_data(a, m, y, x, weights), {"plate": np.arange(30) % 3}
    huge = np.r_[1e300, np.full(29, 1e-300)]
    yield "one huge value", mediation_data(huge, np.column_stack([huge, a]), -huge), {}


ODD = list(odd())


@pytest.mark.parametrize("data, groups", [case[1:] for case in ODD], ids=[case[0] for case in ODD])
def test_odd_data_are_judged_and_not_refused(data, groups):
    n = len(data.exposure)
    groups = {name: np.asarray(codes, np.int32) for name, codes in groups.items()}
    with np.errstate(all="raise"):  # the caller's settings do not matter
        found = threats_of_rows(
            data, data, estimates(data), source=report(n, **groups), screened="both"
        )
    assert "SCREENED_UNKNOWN" in codes(found)
    json.dumps(found, allow_nan=False)


def test_a_report_of_other_rows_is_not_believed():
    (a, m, y, x), source = flawed()
    data = mediation_data(a[:110], m[:110], y[:110], x[:110])
    found = threats(data, source)
    assert not {"BATCH", "CLUSTERS"} & set(codes(found))
    assert "of those analysed" in str(found)
