import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference_data import ALL_8, call, data, mostly_slow, positions

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.ehima import ehima
from jaxmed.estimators.parts.active_plus_one import active_plus_one
from jaxmed.estimators.parts.legs import legs_of
from jaxmed.estimators.parts.rows import rows_of


def simulated(seed, n=80, p=25, q=2, signal=1.0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, q))
    a = rng.normal(size=n) + 0.4 * x[:, 0]
    m = rng.normal(size=(n, p)) + 0.3 * x[:, :1]
    m[:, :3] += signal * np.outer(a, [1.0, -0.8, 0.7])
    y = 0.5 * a + signal * m[:, :3] @ [0.9, 0.8, -0.8] + x[:, 1] + rng.normal(size=n)
    return MediationData(a, m, y, x, None)


def fitted(**options):
    return jax.jit(ehima(**options), static_argnums=0)


CORRECT = fitted()


# BIC is flat where every active coefficient is past the penalty: indices may tie.
CASES = mostly_slow(ALL_8, "lin")


@pytest.mark.parametrize("alias", CASES)
def test_release_is_reproduced(alias):
    stored = call(alias, "HIMA_efficient")
    rows = data(alias)
    got = fitted(compat="r")(None, rows)
    p = rows.mediators.shape[1]
    mcp, wanted = stored["intermediate"]["mcp"], stored["intermediate"]["dact"]
    bic = np.asarray(got.details.path.bic)
    assert bic[mcp["chosen_index"] - 1] <= bic.min() + 1e-6
    support = np.asarray(mcp["coef_at_chosen"])[1:] != 0
    assert (support == (np.asarray(got.details.path.chosen) != 0)).all()
    np.testing.assert_allclose(got.details.path.penalties, mcp["lambda"], rtol=1e-10)
    np.testing.assert_allclose(got.mediators.alpha_p, wanted["p_a"], atol=1e-12, rtol=0)
    np.testing.assert_allclose(got.mediators.beta_p, wanted["p_b"], atol=1e-12, rtol=0)
    np.testing.assert_allclose(got.mediators.p_value, wanted["p_dact"], atol=1e-10, rtol=0)
    result = stored["result"]
    where = positions(np.atleast_1d(result["Index"]).tolist(), p)
    assert set(where) == set(np.flatnonzero(got.selected))
    table = got.mediators
    for name, values in {
        "alpha_hat": table.alpha,
        "alpha_se": table.alpha_se,
        "beta_hat": table.beta,
        "beta_se": table.beta_se,
        "IDE": table.indirect,
        "rimp": 100 * got.details.share,
        "pmax": table.p_value,
    }.items():
        np.testing.assert_allclose(
            np.asarray(values)[where], result[name], rtol=1e-8, atol=1e-14, err_msg=name
        )


def test_active_plus_one_is_p_regressions():
    rows = simulated(1, n=60, p=9)
    index, active = jnp.array([0, 2, 5, 7]), jnp.array([True, False, True, True])
    program = jax.jit(lambda data: active_plus_one(legs_of(rows_of(data)), index, active))
    leg, status = jax.tree.map(np.asarray, program(rows))
    assert int(status) == st.OK
    base = [np.ones(60), *rows.covariates.T, rows.exposure, *rows.mediators[:, [0, 5, 7]].T]
    for j in range(9):
        inside = j in (0, 5, 7)
        z = np.stack(base if inside else [*base, rows.mediators[:, j]], axis=1)
        place = 4 + (0, 5, 7).index(j) if inside else z.shape[1] - 1
        b, rss, *_ = np.linalg.lstsq(z, rows.outcome, rcond=None)
        df = 60 - z.shape[1]
        se = np.sqrt(rss[0] / df * np.linalg.inv(z.T @ z)[place, place])
        np.testing.assert_allclose(leg.estimate[j], b[place], rtol=1e-9)
        np.testing.assert_allclose(leg.standard_error[j], se, rtol=1e-9)
        assert leg.df[j] == df


@pytest.mark.slow
def test_finds_the_mediators_and_adds_up():
    got = CORRECT(None, simulated(2))
    assert list(np.flatnonzero(got.selected)[:3]) == [0, 1, 2]
    e = got.effects
    assert float(e.total) == pytest.approx(float(e.direct + e.indirect), abs=1e-12)
    assert abs(float(e.indirect) - (0.9 - 0.64 - 0.56)) < 4 * float(got.standard_errors.indirect)
    assert np.isfinite(got.mediators.lower).all() and np.isfinite(got.mediators.beta_se).all()
    assert float(got.details.path.violation) < 1e-8


def test_exposure_and_covariates_are_free_and_order_does_not_matter():
    rows = simulated(3)
    got = CORRECT(None, rows)
    path = got.details.path
    assert (np.asarray(path.coefficients)[np.asarray(path.solved), -3:] != 0).all()
    order = np.random.default_rng(0).permutation(25)
    scaled = MediationData(
        rows.exposure * 3, rows.mediators[:, order] * 0.2, -rows.outcome, rows.covariates, None
    )
    other = CORRECT(None, scaled)
    np.testing.assert_allclose(
        other.mediators.p_value, np.asarray(got.mediators.p_value)[order], rtol=1e-7
    )
    assert (np.asarray(other.selected) == np.asarray(got.selected)[order]).all()
    np.testing.assert_allclose(other.effects.indirect, -got.effects.indirect / 3, rtol=1e-8)


@pytest.mark.slow
def test_weights_are_copies():
    rows = simulated(4)
    weights = np.random.default_rng(1).integers(1, 3, 80).astype(float)
    copies = np.repeat(np.arange(80), weights.astype(int))
    fit = fitted(n_include=10, num_penalties=20)
    got = fit(None, MediationData(*(getattr(rows, k) for k in _PARTS), weights))
    want = fit(None, MediationData(*(getattr(rows, k)[copies] for k in _PARTS), None))
    for a, b in zip(
        jax.tree.leaves((got.effects, got.standard_errors, got.mediators)),
        jax.tree.leaves((want.effects, want.standard_errors, want.mediators)),
        strict=True,
    ):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-10)


_PARTS = ("exposure", "mediators", "outcome", "covariates")


@pytest.mark.slow
def test_one_mediator_is_plain_joint_significance():
    rows = simulated(5, p=4)
    one = MediationData(rows.exposure, rows.mediators[:, :1], rows.outcome, rows.covariates, None)
    got = CORRECT(None, one)
    table = got.mediators
    assert not bool(got.details.calibrated)
    assert float(table.p_value[0]) == max(float(table.alpha_p[0]), float(table.beta_p[0]))


def test_null_data_and_constant_mediators():
    """compat="correct" mostly reports none, and says so."""
    none = 0
    for seed in range(8):
        rows = simulated(100 + seed, signal=0.0)
        mediators = rows.mediators.copy()
        mediators[:, 7] = 2.5
        rows = MediationData(rows.exposure, mediators, rows.outcome, rows.covariates, None)
        got = CORRECT(None, rows)
        assert int(got.mediators.reason[7]) == st.CONSTANT_MEDIATOR and not got.selected[7]
        if not got.selected.any():
            none += 1
            assert int(got.status) == st.EMPTY_SELECTION
            assert float(got.effects.indirect) == 0 and np.isfinite(got.effects.direct)
        else:
            assert int(got.status) == st.SMALL_SAMPLE
    assert none >= 6


@pytest.mark.slow
def test_the_release_reports_one_on_null_data():
    """Defect D3; in every run test_release_is_reproduced has the same compat="r"."""
    released = fitted(compat="r")
    for seed in range(3):
        assert int(released(None, simulated(100 + seed, signal=0.0)).selected.sum()) >= 1


@pytest.mark.slow
def test_more_mediators_than_rows_under_vmap():
    batch = jax.tree.map(lambda *x: jnp.stack(x), *(simulated(s, n=25, p=30) for s in (6, 7)))
    fit = ehima(num_penalties=10)
    both = jax.jit(jax.vmap(lambda d: fit(None, d)))(batch)
    one = jax.jit(lambda d: fit(None, d))(simulated(7, n=25, p=30))
    np.testing.assert_allclose(both.mediators.p_value[1], one.mediators.p_value, rtol=1e-6)
    assert (both.selected[1] == one.selected).all()


@pytest.mark.parametrize(
    "options", [{"significance": 0.0}, {"n_include": 0}, {"penalty": "ridge"}, {"compat": "R"}]
)
def test_misuse(options):
    with pytest.raises(ValueError, match="must be"):
        ehima(**options)
