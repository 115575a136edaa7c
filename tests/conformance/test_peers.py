"""Least squares as peers print it: one estimand has one number, errors where defined alike.

Where definitions differ the test says how: what a peer simulates or resamples is compared within
its own Monte Carlo error, or not at all.
"""

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest

import jaxmed
from jaxmed import Names, mediation_data
from jaxmed.analysis.effects import effects
from jaxmed.compile import quick_jit
from jaxmed.statistics.cross_moments import CrossMoments

REFERENCE = Path(__file__).parents[1] / "reference"
PEERS = REFERENCE / "peers"
FAST = {"key": 1, "permutations": 0, "folds": 0, "replicates": 200, "effects": ()}


def peer(name):
    return json.loads((PEERS / f"{name}.json").read_text())


def names_of(found):
    groups = tuple(tuple(group) for group in found.get("groups", ()))
    covariates = tuple(found["covariates"])
    return Names(found["exposure"], found["outcome"], (found["mediator"],), covariates, groups)


def moments_of(found):
    """Exact moments: the stored sums are whole numbers."""
    n, sums = found["rows"], np.asarray(found["sums"], float)
    comoment = np.asarray(found["products"], float) - np.outer(sums, sums) / n
    count = np.float64(n)
    return CrossMoments(
        count, count, count, sums / n, comoment, len(found["covariates"]), names_of(found)
    )


def rows_of(found):
    """Rows that have the stored moments: least squares cannot tell them from the peer's."""
    moments, q = moments_of(found), len(found["covariates"])
    n, d = found["rows"], moments.mean.size
    noise = np.random.default_rng(0).normal(size=(n, d))
    unit = np.linalg.qr(noise - noise.mean(axis=0))[0]
    rows = moments.mean + unit @ np.linalg.cholesky(moments.comoment).T
    covariates, exposure, outcome = rows[:, :q], rows[:, q], rows[:, q + 1]
    return mediation_data(exposure, rows[:, q + 2 :], outcome, covariates, names=moments.names)


def close(found, expected, digits=9):
    assert found == pytest.approx(expected, rel=10.0**-digits)


def record_of(found, door):
    """Of a peer's data by moments, or by rows that have them."""
    if door == "moments":
        return jaxmed.mediate(moments_of(found), key=1, replicates=200).record
    return jaxmed.mediate(rows_of(found), basis="linear", **FAST).record


def effect(record, name):
    entry = record.effect(name)
    return entry["estimate"], entry["standard_error"]


def mediator(record, name):
    return record.mediators[name][0], record.mediators[f"{name}_se"][0]


def printed(found, name):
    entry = found["result"][name]
    return entry["coef"], entry["se"]


def residual_variance(found):
    """Of the mediator given exposure and covariates."""
    moments, q = moments_of(found), len(found["covariates"])
    products, given = moments.comoment, list(range(q + 1))
    cross = products[given, q + 2]
    left = products[q + 2, q + 2] - cross @ np.linalg.solve(products[np.ix_(given, given)], cross)
    return left / (found["rows"] - q - 2)


@pytest.mark.parametrize("door", ["moments", "rows"])
def test_statsmodels_on_its_framing_data(door):
    found = peer("statsmodels_framing")
    record = record_of(found, door)
    for name in ("alpha", "beta"):
        close(mediator(record, name), printed(found, name))
    for name in ("direct", "total"):
        close(effect(record, f"{name}_effect"), printed(found, name))
    # Mediation prints means of draws around the coefficients of the fit: ours are these.
    drawn, indirect = found["simulated"], record.mediators["indirect"][0]
    several = 4 / math.sqrt(drawn["n_rep"])
    assert abs(indirect - drawn["ACME (average)"]) < several * drawn["ACME sd"]
    direct, error = effect(record, "direct_effect")
    assert abs(direct - drawn["ADE (average)"]) < several * error
    # Their spread is wider than the error of a product: every draw adds residuals to the mediator
    # of each of the n rows, twice, which is no error of estimation.
    (a, a_se), (b, b_se) = mediator(record, "alpha"), mediator(record, "beta")
    close(record.mediators["indirect_se"][0], math.hypot(a * b_se, b * a_se))
    residuals = 2 * residual_variance(found) / found["rows"]
    wider = (a * b_se) ** 2 + (b * a_se) ** 2 + (a_se * b_se) ** 2 + (b**2 + b_se**2) * residuals
    assert math.sqrt(wider) == pytest.approx(drawn["ACME sd"], rel=0.015)


@pytest.mark.slow
@pytest.mark.parametrize("door", ["moments", "rows"])
def test_pingouin_on_its_mediation_data(door):
    found = peer("pingouin_mediation")
    record = record_of(found, door)
    close(mediator(record, "alpha"), printed(found, "M ~ X"))
    close(record.mediators["alpha_p"][0], found["result"]["M ~ X"]["pval"], 6)
    close(effect(record, "total_effect"), printed(found, "Total"))
    close(effect(record, "direct_effect"), printed(found, "Direct"))
    # Its error of the indirect effect is a bootstrap's, of 500 draws: comparable, not the same.
    estimate, resampled = printed(found, "Indirect")
    close(record.mediators["indirect"][0], estimate)
    assert record.mediators["indirect_se"][0] == pytest.approx(resampled, rel=0.15)
    # Its path "Y ~ M" leaves the exposure out: the total effect of M, not beta.
    swapped = found | {"exposure": "M", "mediator": "X"}
    order = [2, 1, 0]
    swapped["sums"] = np.asarray(found["sums"])[order]
    swapped["products"] = np.asarray(found["products"])[np.ix_(order, order)]
    alone = jaxmed.mediate(moments_of(swapped), key=1, replicates=200).record
    close(effect(alone, "total_effect"), printed(found, "Y ~ M"))


# REG procedure and effects of a SAS macro, as printed in regmedint's reference results, for 0 and 3
# covariates: coefficients with errors, effects of the contrast 1.1 -> 2.3 with errors, and the
# covariance of direct effect and beta.
SAS = {
    0: {
        "alpha": (0.74338, 0.55315),
        "beta": (64.58406, 27.64243),
        "direct": (-87.70048, 253.93518),
        "nde": (-105.241, 304.722),
        "nie": (57.613, 49.456),
        "total": (-47.628, 306.733),
        "covariance": -568.02,
    },
    3: {
        "alpha": (0.60723, 0.54646),
        "beta": (67.86116, 28.67906),
        "direct": (-98.05706, 258.57815),
        "nde": (-117.668, 310.294),
        "nie": (49.448, 49.162),
        "total": (-68.220, 312.771),
        "covariance": -499.44,
    },
}
CONTRAST = 2.3 - 1.1


def pbc(q):
    table = np.genfromtxt(REFERENCE / "pbc" / "pbc.csv", delimiter=",", names=True)
    covariates = ("age", "male", "stage")[:q]
    columns = [table[name] for name in covariates]
    return mediation_data(
        table["trt"],
        table["bili"][:, None],
        table["alk_phos"],
        np.column_stack(columns) if columns else None,
        names=Names("trt", "alk_phos", ("bili",), covariates),
    )


def to_print(found, expected, decimals):
    """Equal to the last digit printed."""
    np.testing.assert_allclose(found, expected, atol=0.51 * 10.0**-decimals, rtol=0)


@pytest.mark.parametrize("q", [0, pytest.param(3, marks=pytest.mark.slow)])
def test_sas_on_the_liver_trial(q):
    listing = SAS[q]
    record = jaxmed.mediate(pbc(q), basis="linear", **FAST).record
    for name in ("alpha", "beta"):
        to_print(mediator(record, name), listing[name], 5)
    direct = effect(record, "direct_effect")
    to_print(direct, listing["direct"], 5)
    to_print(np.multiply(direct, CONTRAST), listing["nde"], 3)
    indirect = record.mediators["indirect"][0], record.mediators["indirect_se"][0]
    to_print(np.multiply(indirect, CONTRAST), listing["nie"], 3)
    # The macro's error of the total is that of a sum, given the mediators' model; ours is that of
    # the outcome's model without mediator, which has the same coefficient.
    total = effect(record, "total_effect")
    to_print(total[0] * CONTRAST, listing["total"][0], 3)
    together = 2 * listing["alpha"][0] * listing["covariance"]
    summed = math.sqrt(direct[1] ** 2 + indirect[1] ** 2 + together)
    to_print(summed * CONTRAST, listing["total"][1], 3)
    assert abs(total[1] * CONTRAST / listing["total"][1] - 1) < 0.02
    row = effects(pbc(q), key=1, basis="linear").rows[0]
    for part, name in (("direct", "nde"), ("indirect", "nie"), ("total", "total")):
        to_print(row[part] * CONTRAST, listing[name][0], 3)


def weighted(seed=0, n=120, p=6, q=2):
    rng = np.random.default_rng(seed)
    covariates = rng.normal(size=(n, q))
    exposure = covariates[:, 0] + rng.normal(size=n)
    mediators = (
        exposure[:, None] * [0.5, 0.2, 0.0, 0.0, 0.0, 0.0]
        + covariates[:, 1:]
        + rng.normal(size=(n, p))
    )
    slopes = [0.4, 0.0, 0.3, 0.0, 0.0, 0.0]
    outcome = mediators @ slopes + 0.5 * exposure + covariates[:, 1] + rng.normal(size=n)
    weights = rng.choice([0.0, 1.0, 2.0, 5.0], n)
    return mediation_data(exposure, mediators, outcome, covariates, weights)


def solved(weights, outcome, *columns):
    """Coefficients of weighted least squares after the intercept, by `numpy.linalg.lstsq`."""
    design = np.column_stack([np.ones(len(outcome)), *columns])
    root = np.sqrt(weights)
    return np.linalg.lstsq(design * root[:, None], outcome * root, rcond=None)[0][1:]


def test_case_weights_are_weighted_least_squares():
    data = weighted()
    raw = np.asarray(data.weights)
    a, y, m, c = data.exposure, data.outcome, data.mediators, data.covariates
    total = solved(raw, y, a, c)[0]
    fitted = solved(raw, y, a, m, c)
    direct, beta = fitted[0], fitted[1:7]
    alpha = np.array([solved(raw, m[:, j], a, c)[0] for j in range(6)])
    unnamed = dataclasses.replace(data, names=Names())
    peer = quick_jit(lambda d: jaxmed.estimators.ols(basis="linear")(None, d))(unnamed)
    close(float(peer.effects.total), total)
    close(float(peer.effects.direct), direct)
    close(float(peer.effects.indirect), float(alpha @ beta))
    np.testing.assert_allclose(peer.mediators.alpha, alpha, rtol=1e-9)
    np.testing.assert_allclose(peer.mediators.beta, beta, rtol=1e-9)
    record = jaxmed.mediate(data, basis="linear", **FAST).record
    close(record.effect("total_effect")["estimate"], total)
    close(record.effect("direct_effect")["estimate"], direct)
    np.testing.assert_allclose(record.mediators["alpha"], alpha, rtol=1e-9)
    # One mediator at a time, as `mediate` tabulates them.
    single = [solved(raw, y, a, m[:, j], c)[1] for j in range(6)]
    np.testing.assert_allclose(record.mediators["beta"], single, rtol=1e-9)
    row = effects(data, key=1, basis="linear").rows[0]
    for part, expected in (("total", total), ("direct", direct), ("indirect", total - direct)):
        close(row[part], expected)
    # Weights have no unit.
    other = dataclasses.replace(data, weights=7.5 * raw)
    close(effects(other, key=1, basis="linear").rows[0]["direct"], direct)
