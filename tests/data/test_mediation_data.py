"""mediation_data: what it keeps, casts and refuses (the bad-input table)."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.data import InvalidDataError, Names, ShapeError, covariate_basis, mediation_data

RNG = np.random.default_rng(0)
N, P = 20, 4


def problem(dtype=float):
    exposure, outcome = RNG.normal(size=(2, N)).astype(dtype)
    return exposure, RNG.normal(size=(N, P)).astype(dtype), outcome


@pytest.fixture
def float32_mode():
    jax.config.update("jax_enable_x64", False)
    yield
    jax.config.update("jax_enable_x64", True)


def test_fitting_arrays_are_kept_without_copy():
    exposure, mediators, outcome = problem()
    data = mediation_data(exposure, mediators, outcome)
    assert data.exposure is exposure and data.mediators is mediators and data.outcome is outcome
    assert data.covariates.shape == (N, 0) and data.weights is None
    assert data.names.mediators == ("m1", "m2", "m3", "m4")


def test_jax_arrays_stay_jax_arrays_and_lists_become_numpy():
    exposure, mediators, outcome = problem()
    data = mediation_data(exposure, jnp.asarray(mediators), outcome)
    assert all(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves(data))
    data = mediation_data(exposure.tolist(), mediators.tolist(), outcome.tolist())
    assert all(isinstance(leaf, np.ndarray) for leaf in jax.tree.leaves(data))


def test_fortran_order_becomes_contiguous():
    exposure, mediators, outcome = problem()
    data = mediation_data(exposure, np.asfortranarray(mediators), outcome)
    assert data.mediators.flags.c_contiguous
    np.testing.assert_array_equal(data.mediators, mediators)


@pytest.mark.parametrize("kind", ["int64", "bool", "float16", "uint8", "bfloat16"])
def test_other_numbers_become_the_default_float(kind):
    exposure, mediators, outcome = problem()
    values = (exposure > 0).astype(jnp.dtype(kind))
    data = mediation_data(values, (mediators > 0).astype(jnp.dtype(kind)), values)
    assert {leaf.dtype for leaf in jax.tree.leaves(data)} == {np.dtype("float64")}


def test_float32_stays_and_integers_have_no_say():
    exposure, mediators, outcome = problem("float32")
    data = mediation_data((exposure > 0).astype(int), mediators, outcome)
    assert {leaf.dtype for leaf in jax.tree.leaves(data)} == {np.dtype("float32")}
    assert data.mediators is mediators
    mixed = mediation_data(exposure.astype("float64"), mediators, outcome)
    assert {leaf.dtype for leaf in jax.tree.leaves(mixed)} == {np.dtype("float64")}


@pytest.mark.parametrize(
    "bad, word", [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")]
)
@pytest.mark.parametrize("where", ["exposure", "mediators", "outcome", "covariates", "weights"])
def test_nonfinite_values_name_variable_count_row_and_remedy(where, bad, word):
    exposure, mediators, outcome = problem()
    parts = dict(exposure=exposure, mediators=mediators, outcome=outcome)
    parts |= dict(covariates=RNG.normal(size=(N, 2)), weights=np.ones(N))
    parts[where][5 if parts[where].ndim == 1 else (5, 1)] = bad
    parts[where][9 if parts[where].ndim == 1 else (9, 1)] = bad
    name = {"mediators": "m2", "covariates": "c2"}.get(where, where)
    with pytest.raises(InvalidDataError, match=rf"'{name}' holds 2 {word}.*row 5") as caught:
        mediation_data(**parts)
    assert word != "NaN" or 'nan_policy="drop"' in str(caught.value)


def test_a_single_nan_in_a_large_float32_matrix_is_found():
    mediators = RNG.normal(size=(5000, 300)).astype("float32")
    mediators[4321, 299] = np.nan
    exposure = mediators[:, 0].copy()
    with pytest.raises(InvalidDataError, match=r"'m300' holds 1 NaN .*row 4321"):
        mediation_data(exposure, mediators, exposure)


def test_nan_policy_drop_leaves_out_rows_of_jax_arrays():
    exposure, mediators, outcome = problem()
    missing = exposure.copy()
    missing[3] = np.nan
    data = mediation_data(
        *map(jnp.asarray, (missing, mediators, outcome, mediators[:, :1])), nan_policy="drop"
    )
    np.testing.assert_array_equal(data.exposure, np.delete(exposure, 3))
    np.testing.assert_array_equal(data.mediators, np.delete(mediators, 3, axis=0))
    assert {len(leaf) for leaf in jax.tree.leaves(data)} == {N - 1}


def test_nan_policy_drop_leaves_out_rows_but_not_infinities():
    exposure, mediators, outcome = problem()
    mediators[3, 2] = outcome[7] = np.nan
    data = mediation_data(exposure, mediators, outcome, nan_policy="drop")
    keep = np.delete(np.arange(N), [3, 7])
    np.testing.assert_array_equal(data.mediators, mediators[keep])
    outcome[0] = np.inf
    with pytest.raises(InvalidDataError, match="infinite"):
        mediation_data(exposure, mediators, outcome, nan_policy="drop")
    with pytest.raises(ValueError, match="nan_policy"):
        mediation_data(exposure, mediators, outcome, nan_policy="ignore")
    with pytest.raises(ShapeError, match="left after dropping"):
        mediation_data(np.full(N, np.nan), mediators, outcome, nan_policy="drop")


def test_constant_exposure():
    _, mediators, outcome = problem()
    with pytest.raises(InvalidDataError, match="exposure 'dose' is constant"):
        mediation_data(np.full(N, 3.0), mediators, outcome, names=Names(exposure="dose"))
    weights = np.r_[np.zeros(10), np.ones(10)]
    with pytest.raises(InvalidDataError, match="constant"):
        mediation_data(1 - weights, mediators, outcome, weights=weights)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda d: {k: v[:2] for k, v in d.items()}, "at least 3"),
        (lambda d: d | {"mediators": d["mediators"][:, :0]}, "no mediator"),
        (lambda d: d | {"outcome": d["outcome"][1:]}, "outcome have 19 rows"),
        (lambda d: d | {"mediators": d["mediators"][1:]}, "mediators have 19 rows"),
        (lambda d: d | {"covariates": np.ones((5, 1))}, "covariates have 5 rows"),
        (lambda d: d | {"weights": np.ones(5)}, "weights have 5 rows"),
        (lambda d: d | {"mediators": d["outcome"]}, r"\[n, columns\]"),
        (lambda d: d | {"exposure": d["outcome"][:, None]}, "ravel"),
        (lambda d: d | {"weights": np.r_[1, 1, np.zeros(N - 2)]}, "non-zero weight"),
        (lambda d: d | {"names": {"mediators": ("a", "b")}}, "2 names for 4 mediators"),
    ],
)
def test_shapes(change, message):
    exposure, mediators, outcome = problem()
    with pytest.raises(ShapeError, match=message):
        mediation_data(**change(dict(exposure=exposure, mediators=mediators, outcome=outcome)))


def test_names_are_checked():
    names = {"exposure": "age", "mediators": list("abcd")}
    assert mediation_data(*problem(), names=names).names == Names(
        "age", "outcome", ("a", "b", "c", "d")
    )
    with pytest.raises(ValueError, match="mediator"):
        mediation_data(*problem(), names={"mediator": "a"})
    with pytest.raises(InvalidDataError, match="same name"):
        mediation_data(*problem(), names={"mediators": list("abca")})


def test_integers_beyond_two_to_the_53():
    _, mediators, outcome = problem()
    identifiers = np.arange(N) + 2**53
    with pytest.raises(InvalidDataError, match=r"'exposure'.*2\*\*53.*row 1"):
        mediation_data(identifiers, mediators, outcome)
    with pytest.raises(InvalidDataError, match="'m1'"):
        mediation_data(outcome, identifiers[:, None].astype("uint64"), outcome)


@pytest.mark.parametrize(
    "column, message",
    [
        (np.array(["a"] * N), "'m1' has dtype"),
        (np.array([1.0] * (N - 1) + ["x"], dtype=object), "holds str 'x' in row 19"),
        (np.array([1.0] * (N - 1) + [None], dtype=object), "NoneType"),
        (np.arange(N).astype(object), "cast it to float64"),
        (np.ma.masked_invalid(np.arange(N) * 1.0), "masked"),
        (np.arange(N) * 1j, "complex"),
        (np.arange(N).astype("datetime64[D]"), "datetime64"),
    ],
)
def test_types_that_are_not_numbers(column, message):
    exposure, _, outcome = problem()
    with pytest.raises(TypeError, match=message):
        mediation_data(exposure, column[:, None], outcome)


@pytest.mark.skipif(np.dtype(np.longdouble) == np.dtype(float), reason="longdouble is float64 here")
def test_longdouble():
    exposure, mediators, outcome = problem()
    with pytest.raises(TypeError, match="'outcome' is longdouble"):
        mediation_data(exposure, mediators, outcome.astype(np.longdouble))


@pytest.mark.parametrize("scale", [1e150, 1e-150])
def test_extreme_scales_pass_in_float64_and_are_refused_in_float32(scale, float32_mode):
    exposure, mediators, outcome = problem()
    with pytest.raises(InvalidDataError, match="'m2' has magnitude .*jax_enable_x64"):
        mediation_data(exposure, mediators * np.array([1, scale, 1, 1]), outcome)
    jax.config.update("jax_enable_x64", True)
    data = mediation_data(exposure, mediators * scale, outcome)
    np.testing.assert_array_equal(data.mediators, mediators * scale)


@pytest.mark.parametrize(
    "scale, fine", [(1e14, True), (1e16, False), (1e-14, True), (1e-17, False)]
)
def test_the_safe_range_of_float32(scale, fine):
    exposure, mediators, outcome = problem("float32")
    outcome = np.sign(outcome) * np.float32(scale)
    if fine:
        assert mediation_data(exposure, mediators, outcome).outcome is outcome
        return
    with pytest.raises(InvalidDataError, match="'outcome' has magnitude"):
        mediation_data(exposure, mediators, outcome)


def test_a_zero_float32_column_is_not_a_small_one():
    exposure, mediators, outcome = problem("float32")
    mediators[:, 0] = 0
    assert mediation_data(exposure, mediators, outcome).mediators is mediators


def test_weights_sum_to_the_number_of_rows_used():
    weights = RNG.uniform(0.5, 2, N)
    weights[:3] = 0
    data = mediation_data(*problem(), weights=weights)
    assert np.isclose(data.weights.sum(), N - 3, rtol=1e-14)
    np.testing.assert_allclose(
        data.weights / weights.clip(1e-300), (N - 3) / weights.sum() * (weights > 0)
    )
    np.testing.assert_array_equal(mediation_data(*problem(), weights=np.full(N, 7)).weights, 1.0)
    assert np.isfinite(mediation_data(*problem(), weights=weights * 1e307).weights).all()
    with pytest.raises(InvalidDataError, match="negative weight in row 4"):
        mediation_data(*problem(), weights=np.where(np.arange(N) == 4, -1, 1))
    with pytest.raises(InvalidDataError, match="all zero"):
        mediation_data(*problem(), weights=np.zeros(N))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dependent_covariates_stay_as_given_and_are_told(dtype):
    exposure, mediators, outcome = problem(dtype)
    a, b = (1000 + RNG.normal(size=(2, N))).astype(dtype)
    assert not covariate_basis(mediation_data(exposure, mediators, outcome, np.c_[a, b])).dropped
    for columns, name in ((np.c_[a, np.ones(N)], "c2"), (np.c_[a, b, a - 2 * b], "c3")):
        data = mediation_data(exposure, mediators, outcome, columns.astype(dtype))
        assert data.covariates.shape == columns.shape
        assert list(covariate_basis(data, "linear").dropped) == [name]


def test_under_jit_and_vmap_only_shapes_are_checked():
    exposure, mediators, outcome = problem()
    weights = RNG.uniform(1, 2, N)
    concrete = mediation_data(exposure, jnp.asarray(mediators), outcome, weights=weights)
    build = lambda x, m, y, w: mediation_data(x, m, y, weights=w)  # noqa: E731
    traced = jax.jit(build)(exposure, mediators, outcome, weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-15), traced, concrete)
    batched = jax.vmap(lambda x: mediation_data(x, mediators, outcome).exposure)
    assert batched(jnp.stack([jnp.full(N, jnp.nan), jnp.zeros(N)])).shape == (2, N)
    with pytest.raises(ShapeError):
        jax.jit(build)(exposure[1:], mediators, outcome, weights)
    with pytest.raises(ValueError, match="under jit"):
        jax.jit(lambda x: mediation_data(x, mediators, outcome, nan_policy="drop"))(exposure)


def test_sparse_mediators_are_made_dense():
    sparse = pytest.importorskip("scipy.sparse")
    rng = np.random.default_rng(0)
    block = sparse.random(20, 4, 0.4, format="csc", random_state=1)
    x, y = rng.normal(size=(2, 20))
    found = mediation_data(x, block, y, covariates=block[:, :2])
    np.testing.assert_array_equal(found.mediators, block.toarray())
    np.testing.assert_array_equal(found.covariates, block.toarray()[:, :2])
