"""HIMA against its releases, and what compat="correct" promises."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
import reference_data as rd

from jaxmed import estimators
from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData

SMALL = ("med", "lin", "mx20")


@functools.cache
def program(**options):
    """The numbers that the releases have; intervals, the slowest part to compile, are left out."""
    estimator = estimators.hima(**options)

    def numbers(data):
        found = estimator(None, data)
        kept = {"effects": found.effects, "selected": found.selected, "status": found.status}
        return kept | {"details": found.details, "beta_p": found.mediators.beta_p}

    return jax.jit(numbers)


def fitted(alias, **options):
    return program(**options)(rd.data(alias))


def compare_with_release(alias, name, **options):
    record = rd.call(alias, name)
    found = fitted(alias, compat="r", **options)
    sis = record["intermediate"]["sis"]
    np.testing.assert_allclose(found["details"].screening_p, sis["pvalue"], rtol=1e-8)
    penalised = record["intermediate"]["penalised"]
    chosen = np.asarray(found["details"].path.bic)
    index = int(found["details"].path.index)
    assert abs(chosen[index] - np.min(penalised["bic"])) < 1e-5  # flat BIC: ties to 1e-6
    table, result = found["details"].table, record["result"]
    where = np.array([sis["columns"].index(label) for label in np.atleast_1d(result["Index"])], int)
    assert set(np.flatnonzero(found["selected"])) == set(where)
    sd_y = np.std(rd.data(alias).outcome)
    np.testing.assert_allclose(table.alpha[where], result["alpha_hat"], rtol=1e-8)
    np.testing.assert_allclose(table.beta[where], result["beta_hat"], atol=1e-5 * sd_y)
    np.testing.assert_allclose(table.indirect[where], result["IDE"], atol=1e-5 * sd_y)
    np.testing.assert_allclose(100 * table.share[where], result["rimp"], atol=1e-3)
    np.testing.assert_allclose(table.p_value[where], result["pmax"], rtol=1e-8)


# In every run test_release_hima_with_options has the same scale and cut, and test_release_hdmed the
# same penalty.
@pytest.mark.parametrize("alias", rd.mostly_slow(rd.ALL_8))
def test_release_hima_without_cut(alias):
    compare_with_release(alias, "HIMA_classic_all", significance=float("inf"))


@pytest.mark.parametrize("alias", rd.mostly_slow(SMALL, "lin"))
@pytest.mark.parametrize(
    "name, options",
    [
        ("HIMA_classic_scad_all", {"penalty": "scad"}),
        pytest.param("HIMA_classic_lasso_all", {"penalty": "lasso"}, marks=pytest.mark.slow),
        pytest.param("HIMA_classic_unscaled_all", {"scale": False}, marks=pytest.mark.slow),
    ],
)
def test_release_hima_with_options(alias, name, options):
    compare_with_release(alias, name, significance=float("inf"), **options)


@pytest.mark.parametrize("alias", rd.mostly_slow(["gA100", "lin", "mx20"]))
def test_release_hima_with_its_cut(alias):
    record = rd.call(alias, "HIMA_classic")["result"]
    found = fitted(alias, compat="r")
    reported = [f"m{j + 1}" for j in np.flatnonzero(found["selected"])]
    assert reported == list(np.atleast_1d(record["Index"]))


@pytest.mark.parametrize("alias", rd.mostly_slow(rd.ALL_8, "lin"))
def test_release_hdmed(alias):
    record = rd.call(alias, "hdmed_hima")
    found = fitted(alias, compat="r", flavor="hdmed")
    table = record["result"]["contributions"]
    columns = record["intermediate"]["sis"]["columns"]
    where = np.array([columns.index(label) for label in np.atleast_1d(table["mediator"])], int)
    np.testing.assert_array_equal(np.flatnonzero(found["selected"]), where)
    sd_y = np.std(rd.data(alias).outcome)
    beta = np.asarray(found["details"].penalised_beta)[where]
    np.testing.assert_allclose(beta, np.atleast_1d(table["beta"]), atol=1e-5 * sd_y)
    np.testing.assert_allclose(
        np.asarray(found["beta_p"])[where], np.atleast_1d(table["beta_pv"]), rtol=1e-7
    )
    effects = found["effects"]
    np.testing.assert_allclose(
        [effects.indirect, effects.direct, effects.total],
        record["result"]["effects"]["estimate"],
        atol=3e-5 * sd_y,
    )


@pytest.mark.slow
def test_scaled_and_unscaled_releases_agree():
    """Indirect effects per sd of the exposure and per unit."""
    scaled, raw = fitted("gA100", compat="r"), fitted("gA100", compat="r", flavor="hdmed")
    unit = np.std(rd.data("gA100").exposure, ddof=1)
    kept = np.asarray(scaled["selected"])
    data = rd.data("gA100")
    per_unit = np.asarray(scaled["details"].table.indirect)[kept] / unit
    alpha = [
        np.linalg.lstsq(
            np.column_stack([np.ones(1000), data.covariates, data.exposure]), column, rcond=None
        )[0][-1]
        for column in data.mediators[:, kept].T
    ]
    beta = np.asarray(raw["details"].penalised_beta)[kept]
    np.testing.assert_allclose(per_unit, alpha * beta, rtol=1e-6)


def least_squares(data, selected):
    """Direct and indirect effect of the refit, written out."""
    n = len(data.exposure)
    base = np.column_stack([np.ones(n), data.covariates, data.exposure])
    full = np.column_stack([base, data.mediators[:, selected]])
    coefficients = np.linalg.lstsq(full, data.outcome, rcond=None)[0]
    alpha = np.linalg.lstsq(base, data.mediators[:, selected], rcond=None)[0][-1]
    k = base.shape[1]
    return coefficients[k - 1], alpha @ coefficients[k:]


def test_correct_reports_the_refit_and_adds_up():
    data = rd.data("lin")
    found = fitted("lin")
    selected = np.flatnonzero(found["selected"])
    assert set(np.flatnonzero(rd.arrays("lin")["true_b"])) <= set(selected)
    direct, indirect = least_squares(data, selected)
    effects = found["effects"]
    np.testing.assert_allclose([effects.direct, effects.indirect], [direct, indirect], rtol=1e-10)
    np.testing.assert_allclose(effects.direct + effects.indirect, effects.total, rtol=1e-12)
    path = found["details"].path
    assert float(path.violation) < 1e-8 and not bool(path.beyond_convexity)


@pytest.mark.slow
@pytest.mark.parametrize("compat", ["correct", "r"])
@pytest.mark.parametrize("alias", ["gA100", "gB100", "mx400"])
def test_ending_the_path_early_changes_no_choice(alias, compat):
    early = fitted(alias, compat=compat)["details"]
    whole = fitted(alias, compat=compat, patience=0)["details"]
    assert int(np.sum(whole.path.solved)) >= int(np.sum(early.path.solved))
    np.testing.assert_array_equal(early.chosen, whole.chosen)
    np.testing.assert_allclose(early.penalised_beta, whole.penalised_beta, rtol=1e-6, atol=1e-9)


@pytest.mark.slow
def test_other_covariates_for_the_mediator_model():
    data = rd.data("lin")
    found = fitted("lin", covariates_mediator=("x1",))
    base = np.column_stack([np.ones(150), data.covariates[:, :1], data.exposure])
    alpha = np.linalg.lstsq(base, data.mediators, rcond=None)[0][-1]
    selected = np.flatnonzero(found["selected"])
    n = len(data.exposure)
    full = np.column_stack(
        [np.ones(n), data.covariates, data.exposure, data.mediators[:, selected]]
    )
    beta = np.linalg.lstsq(full, data.outcome, rcond=None)[0][4:]
    np.testing.assert_allclose(found["effects"].indirect, alpha[selected] @ beta, rtol=1e-9)


@pytest.mark.slow
def test_weights_are_copies_of_rows():
    data = rd.data("lin")
    counts = np.random.default_rng(0).multinomial(150, np.full(150, 1 / 150)).astype(float)
    rows = np.repeat(np.arange(150), counts.astype(int))
    for options in ({}, {"compat": "r", "flavor": "hdmed"}):
        weighted = program(**options)(dataclasses.replace(data, weights=counts))
        copied = program(**options)(jax.tree.map(lambda x, r=rows: x[r], data))
        np.testing.assert_array_equal(weighted["selected"], copied["selected"])
        np.testing.assert_allclose(
            weighted["effects"].indirect, copied["effects"].indirect, rtol=1e-8
        )


def logistic_data(n, seed):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, 1))
    exposure = rng.normal(size=n) + 0.3 * x[:, 0]
    alpha = np.array([0.8, 0.7, 0.6, 0, 0, 0.5, 0, 0, 0, 0])
    beta = np.array([0.9, -0.8, 0.7, 0.8, 0, 0, 0, 0, 0, 0])
    mediators = exposure[:, None] * alpha + 0.3 * x + rng.normal(size=(n, 10))
    eta = -0.2 + 0.4 * exposure + mediators @ beta + 0.3 * x[:, 0]
    outcome = (rng.random(n) < 1 / (1 + np.exp(-eta))).astype(float)
    return MediationData(exposure, mediators, outcome, x), alpha, beta


@pytest.mark.slow
def test_binary_outcome_finds_the_truth_on_the_log_odds_scale():
    data, alpha, beta = logistic_data(1500, 0)
    found = jax.jit(functools.partial(estimators.hima(family="binomial"), None))(data)
    assert int(found.status) == st.LOG_ODDS
    np.testing.assert_array_equal(np.asarray(found.selected)[:3], True)
    assert int(np.sum(found.selected)) <= 5
    # Numerical maximum likelihood on the selected, without any of the library's code.
    selected = np.flatnonzero(found.selected)
    columns = np.column_stack(
        [np.ones(1500), data.covariates, data.exposure, data.mediators[:, selected]]
    )
    b = np.zeros(columns.shape[1])
    for _ in range(30):
        pi = 1 / (1 + np.exp(-columns @ b))
        information = (columns * (pi * (1 - pi))[:, None]).T @ columns
        b = b + np.linalg.solve(information, columns.T @ (data.outcome - pi))
    np.testing.assert_allclose(found.effects.direct, b[2], rtol=1e-8)
    np.testing.assert_allclose(np.asarray(found.mediators.beta)[selected], b[3:], rtol=1e-8)
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    np.testing.assert_allclose(np.asarray(found.mediators.beta_se)[selected], errors[3:], rtol=1e-7)
    assert abs(float(found.effects.indirect) - alpha @ beta) < 3 * float(
        found.standard_errors.indirect
    )
    assert abs(float(found.effects.total - found.effects.direct - found.effects.indirect)) > 1e-3


@pytest.mark.slow
def test_a_separated_outcome_has_no_estimate():
    data, _, _ = logistic_data(200, 1)
    separated = dataclasses.replace(data, outcome=(data.exposure > 0).astype(float))
    found = jax.jit(functools.partial(estimators.hima(family="binomial"), None))(separated)
    assert int(found.status) == st.SEPARATED
    assert np.isnan(float(found.effects.direct))


def test_wrong_options_are_refused():
    for options, text in (
        ({"penalty": "ridge"}, "penalty must be"),
        ({"gamma": 1.0}, "gamma must be above 1"),
        ({"family": "poisson"}, "family must be"),
        ({"flavor": "mma"}, "flavor must be"),
        ({"compat": "python"}, "compat must be"),
        ({"adjust": "holm"}, "adjust must be"),
        ({"family": "binomial", "compat": "r"}, "must be used with"),
    ):
        with pytest.raises(ValueError, match=text):
            estimators.hima(**options)
    with pytest.raises(ValueError, match="n_include must be at least 1"):
        jax.jit(estimators.hima(n_include=0))(None, rd.data("lin"))
