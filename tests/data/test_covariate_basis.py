"""The basis of the covariates: which columns, what rank, what is left out and what is said."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from confounded import NAMES, confounded

import jaxmed
import jaxmed.status
from jaxmed import InvalidDataError, Names, covariate_basis
from jaxmed.analysis.least_squares import least_squares
from jaxmed.estimators.parts.basis import with_basis
from jaxmed.estimators.parts.rows import rows_of
from jaxmed.statistics.base_span import base_span, project_out
from jaxmed.vocabulary import LADDER, RUNGS

pytestmark = pytest.mark.float32
TIGHT = jax.config.jax_enable_x64
ATOL = 1e-9 if TIGHT else 2e-3
PATHS, MAXIE = jax.jit(jaxmed.paths), jax.jit(jaxmed.maxie)
SITE = ("site[B]", "site[C]", "site[D]")


def data_of(covariates, names=(), groups=(), *, p=3, weights=None, seed=0):
    """Any exposure, mediators and outcome beside covariates [n, q]."""
    rng = np.random.default_rng(seed)
    n = len(covariates)
    dtype = np.float64 if TIGHT else np.float32
    names = tuple(names) or tuple(f"c{j + 1}" for j in range(np.shape(covariates)[1]))
    full = Names(covariates=names, groups=groups)
    columns = (rng.normal(size=n), rng.normal(size=(n, p)), rng.normal(size=n), covariates)
    columns = [np.asarray(column, dtype) for column in columns]
    weights = None if weights is None else np.asarray(weights, dtype)
    return jaxmed.mediation_data(*columns, weights=weights, names=full)


def table(n=400, continuous=2, seed=1, **options):
    """Continuous covariates of large mean, a 0/1 one and a factor of four levels."""
    rng = np.random.default_rng(seed)
    x = 50 + 10 * rng.normal(size=(n, continuous))
    site = rng.integers(0, 4, n)
    columns = np.c_[x, rng.integers(0, 2, n), site[:, None] == [1, 2, 3]].astype(float)
    names = [f"x{j + 1}" for j in range(continuous)] + ["sex", *SITE]
    return data_of(columns, names, (SITE,), **options)


def span_residual(columns, values):
    base = np.column_stack([np.ones(len(values)), columns]).astype(float)
    base = base / np.linalg.norm(base, axis=0)
    return values - base @ np.linalg.lstsq(base, values, rcond=1e-12)[0]


def by_hand(data, basis):
    """Columns of a basis from its definition, one after the other."""
    c = np.asarray(data.covariates, float)
    continuous = [j for j in range(c.shape[1]) if len(np.unique(c[:, j])) > 2]
    z = (c - c.mean(axis=0)) / c.std(axis=0)
    columns = [c]
    if basis != "linear":
        columns += [z[:, [j]] ** 2 for j in continuous]
    if basis in ("second_degree", "splines"):
        columns += [
            z[:, [j]] * z[:, [k]] for i, j in enumerate(continuous) for k in continuous[i + 1 :]
        ]
    if basis in ("splines", "additive"):
        for j in continuous:
            knots = np.quantile(z[:, j], [0.25, 0.5, 0.75])
            columns += [z[:, [j]] ** 3, *(np.maximum(z[:, [j]] - k, 0) ** 3 for k in knots)]
    return np.column_stack(columns)


@pytest.mark.parametrize(
    ("basis", "rank"),
    [("linear", 7), ("quadratic", 9), ("second_degree", 10), ("splines", 18), ("additive", 17)],
)
def test_rungs_span_what_they_say(basis, rank):
    data = table()
    design = covariate_basis(data, basis)
    assert (design.basis, design.chosen_by, design.rank) == (basis, "request", rank)
    assert design.columns.shape == (400, rank - 1) and len(design.names) == rank - 1
    assert design.columns.dtype == data.covariates.dtype and not design.dropped
    values = np.random.default_rng(3).normal(size=400)
    expected = span_residual(by_hand(data, basis), values)
    np.testing.assert_allclose(span_residual(design.columns, values), expected, atol=ATOL)
    assert np.linalg.matrix_rank(np.c_[np.ones(400), by_hand(data, basis)]) == rank


def test_linear_columns_are_the_covariates_as_they_are():
    data = table()
    design = covariate_basis(data, "linear")
    np.testing.assert_array_equal(design.columns, data.covariates)
    assert design.data.names.covariates == data.names.covariates
    assert design.data.names.groups == data.names.groups
    richer = covariate_basis(data, "splines")
    np.testing.assert_array_equal(richer.columns[:, :6], data.covariates)
    assert richer.linear == (0, 1, 2, 3, 4, 5)
    np.testing.assert_array_equal(richer.data.mediators, data.mediators)


@pytest.mark.programs(200, reason="the host makes its columns with JAX, one operation at a time")
@pytest.mark.parametrize("basis", [*RUNGS, "splines_all_products"])
def test_host_and_program_span_the_same(basis):
    data = table(n=300)
    values = np.random.default_rng(4).normal(size=300)
    host = covariate_basis(data, basis)

    @jax.jit
    def traced(data, values):
        rows = with_basis(rows_of(data), basis)
        left = project_out(rows.outcome_base, rows.weights, values)
        return left, base_span(rows.outcome_base, rows.weights).rank

    unnamed = dataclasses.replace(data, names=Names())
    residual, rank = traced(unnamed, jnp.asarray(values, data.outcome.dtype))
    np.testing.assert_allclose(residual, span_residual(host.columns, values), atol=ATOL)
    assert int(rank) == host.rank


def test_no_product_within_a_factor_and_no_square_of_two_values():
    design = covariate_basis(table(), "products")
    products = [name for name in design.names if " * " in name]
    assert not [name for name in products if name.count("site") > 1]
    # x1 x2, each with sex and three levels, sex with three levels.
    assert len(products) == 1 + 2 * 4 + 3
    assert not any("sex^" in name or "]^" in name for name in design.names)


def test_few_values_get_no_square_or_cubic():
    rng = np.random.default_rng(5)
    score, grade, wide = rng.integers(1, 7, 300), rng.integers(1, 8, 300), rng.integers(1, 12, 300)
    design = covariate_basis(
        data_of(np.c_[score, grade, wide], ["six", "seven", "eleven"]), "additive"
    )
    assert [n for n in design.names if n.endswith("^2")] == ["seven^2", "eleven^2"]
    assert [n for n in design.names if n.endswith("^3")] == ["eleven^3"]


@pytest.mark.parametrize(
    ("n", "p", "continuous", "expected"),
    [
        (85, 10, 4, "second_degree"),  # 19 of 85 / 4
        (200, 10, 4, "second_degree"),  # splines have 35 of 200 / 8
        (500, 10, 4, "splines"),
        (500, 480, 4, "linear"),  # a quarter of the 10 residual degrees of freedom
        (85, 11, 7, "quadratic"),  # second degree has 37
        (60, 100, 2, "linear"),  # dual: 9 of 60 / 8
        (90, 100, 2, "second_degree"),  # 10 of 90 / 8
        (300, 10, 0, "linear"),
        (300, 10, 1, "splines"),
    ],
)
def test_auto_takes_the_richest_that_the_sizes_allow(n, p, continuous, expected):
    design = covariate_basis(table(n=n, continuous=continuous, p=p))
    assert (design.basis, design.chosen_by) == (expected, "auto")


def test_auto_names_the_lower_of_two_equal_rungs():
    rng = np.random.default_rng(0)
    ten = rng.integers(0, 10, 300)
    design = covariate_basis(data_of(np.c_[ten, rng.integers(0, 2, 300)], ["dose", "sex"]))
    assert design.basis == "quadratic" and design.rank == 4


def test_ladder_is_nested():
    data = table(n=2000, continuous=3)
    names = [set(covariate_basis(data, rung).names) for rung in LADDER]
    assert all(lower < higher for lower, higher in zip(names, names[1:], strict=False))


@pytest.mark.parametrize("basis", ["linear", "quadratic", "splines"])
def test_dependent_and_constant_covariates_are_left_out_by_name(basis):
    data = table()
    extra = np.c_[
        data.covariates, np.full(400, 7.3), data.covariates[:, 0] - 2 * data.covariates[:, 1]
    ]
    more = data_of(extra, (*data.names.covariates, "batch", "index"), (SITE,))
    found, without = covariate_basis(more, basis), covariate_basis(data, basis)
    assert found.dropped == {
        "batch": "batch is constant on the rows used: left out",
        "index": "index is a function of the others: left out",
    }
    assert found.warnings == list(found.dropped.values())
    assert found.names == without.names and found.rank == without.rank
    np.testing.assert_array_equal(found.columns, without.columns)
    assert "left out batch, index" in found.sentence()


def test_all_levels_of_a_factor_leave_the_last_out():
    site = np.random.default_rng(0).integers(0, 3, 50)
    group = ("site[A]", "site[B]", "site[C]")
    data = data_of((site[:, None] == [0, 1, 2]).astype(float), group, (group,))
    design = covariate_basis(data)
    assert design.dropped == {"site[C]": "site[C] is a function of the others: left out"}
    assert design.rank == 3 and design.data.names.groups == (("site[A]", "site[B]"),)
    assert "site (2 columns)" in design.sentence()


@pytest.mark.parametrize("basis", [*RUNGS, "auto"])
def test_weights_are_repeated_rows(basis):
    data = table(n=150)
    times = np.random.default_rng(6).integers(0, 4, 150)
    weighted = table(n=150, weights=times)
    again = np.repeat(np.arange(150), times)
    copied = data_of(data.covariates[again], data.names.covariates, (SITE,))
    # The scale of weights in the data is a convention; copies count as rows.
    weighted = dataclasses.replace(weighted, weights=times.astype(data.exposure.dtype))
    one, many = covariate_basis(weighted, basis), covariate_basis(copied, basis)
    assert one.rows == many.rows == times.sum()
    assert (one.basis, one.rank, one.names) == (many.basis, many.rank, many.names)
    np.testing.assert_allclose(one.columns[again], many.columns, atol=1e-9 if TIGHT else 1e-3)


def test_order_of_rows_changes_nothing():
    data = table()
    order = np.random.default_rng(7).permutation(400)
    shuffled = jax.tree.map(lambda leaf: leaf[order], data)
    one, two = covariate_basis(data), covariate_basis(shuffled)
    assert (one.names, one.rank) == (two.names, two.rank)
    np.testing.assert_allclose(one.columns[order], two.columns, atol=ATOL)


def test_units_and_shifts_of_a_covariate_keep_the_span():
    data = table()
    moved = dataclasses.replace(data, covariates=data.covariates * np.r_[1000, 0.01, 1, 1, 1, 1])
    values = np.random.default_rng(8).normal(size=400)
    one, two = (covariate_basis(d, "splines").columns for d in (data, moved))
    np.testing.assert_allclose(span_residual(one, values), span_residual(two, values), atol=ATOL)


def test_no_covariates():
    design = covariate_basis(data_of(np.zeros((30, 0))))
    assert (design.rank, design.basis, design.columns.shape) == (1, "linear", (30, 0))
    assert design.sentence() == "Covariates: none: rank 1, basis linear (auto; 30 rows)"


def test_a_function_makes_its_columns():
    data = table()

    def waves(covariates, weights):
        return np.c_[np.sin(covariates[:, 0] / 10), covariates[:, 1], 2 * covariates[:, 1]]

    design = covariate_basis(data, waves)
    assert (design.basis, design.rank, design.names) == ("waves", 3, ("waves 1", "waves 2"))
    assert list(design.dropped) == ["waves 3"] and design.linear is None
    with pytest.raises(ValueError, match=r"return \[n, r\]"):
        covariate_basis(data, lambda covariates, weights: covariates[0])
    with pytest.raises(InvalidDataError, match="not finite"):
        covariate_basis(data, lambda covariates, weights: covariates * np.nan)
    with pytest.raises(ValueError, match="named one"):
        design.positions([0])


def test_columns_of_some_covariates():
    design = covariate_basis(table(), "second_degree")
    own = [design.names[i] for i in design.positions([0, 2])]
    assert own == ["x1", "sex", "x1^2"]
    assert design.positions(range(6)) == tuple(range(design.rank - 1))
    assert design.positions([]) == ()


def test_sentence_and_dictionary():
    design = covariate_basis(table(n=197, continuous=1))
    assert design.sentence() == (
        "Covariates: x1 (cubic spline), sex, site (3 columns): rank 11, basis splines "
        "(auto; 197 rows)"
    )
    found = covariate_basis(table(n=197), "second_degree")
    assert "x1 (with square), x2 (with square), sex, site (3 columns) and 1 product" in (
        found.sentence()
    )
    assert found.to_dict() == {
        "basis": "second_degree",
        "chosen_by": "request",
        "rank": 10,
        "columns": list(found.names),
        "dropped": {},
    }


def test_jax_arrays_stay_jax_arrays():
    data = jax.tree.map(jnp.asarray, table())
    design = covariate_basis(data)
    assert isinstance(design.columns, jax.Array) and isinstance(design.data.covariates, jax.Array)


def test_misuse_is_refused():
    data = table()
    with pytest.raises(ValueError, match="basis must be"):
        covariate_basis(data, "cubic")
    with pytest.raises(ValueError, match="call it before jit"):
        jax.jit(lambda d: covariate_basis(d).columns)(dataclasses.replace(data, names=Names()))
    bad = data.covariates.copy()
    bad[3, 0] = np.nan
    with pytest.raises(InvalidDataError, match="finite"):
        covariate_basis(dataclasses.replace(data, covariates=bad))


def test_groups_are_of_covariates():
    with pytest.raises(InvalidDataError, match="'age' is none"):
        data_of(np.eye(30)[:, :2], ["a", "b"], (("a", "age"),))
    with pytest.raises(InvalidDataError, match="comes twice"):
        data_of(np.eye(30)[:, :2], ["a", "b"], (("a", "b"), ("b",)))


@pytest.mark.programs(80, reason="paths outside jit are half of what is tested")
@pytest.mark.parametrize(("n", "p"), [(90, 4), (40, 60)])
@pytest.mark.parametrize("kind", ["constant", "copy", "sum"])
def test_paths_of_dependent_covariates_are_a_status(n, p, kind):
    data = dataclasses.replace(table(n=n, p=p), names=Names())
    c = data.covariates
    extra = {"constant": np.full(n, 0.1), "copy": c[:, 1], "sum": c[:, 0] - 2 * c[:, 1]}[kind]
    more = dataclasses.replace(data, covariates=np.c_[c, extra.astype(c.dtype)])
    for found in (jaxmed.paths(more), PATHS(more)):
        assert int(found.status) == jaxmed.status.RANK_DEFICIENT
        assert np.isnan([found.cosine, found.total_effect, MAXIE(found).indirect]).all()
    if p == 4:
        found = PATHS(jaxmed.cross_moments(more))
        assert int(found.status) == jaxmed.status.RANK_DEFICIENT


def test_dependent_covariates_give_the_right_answer_or_a_status():
    data = table()
    twice = dataclasses.replace(
        data,
        covariates=np.c_[data.covariates, data.covariates[:, 0]],
        names=Names(),
    )
    result = PATHS(twice)
    assert int(result.status) == jaxmed.status.RANK_DEFICIENT and np.isnan(float(result.cosine))
    assert np.isnan(float(result.total_effect))
    found = jax.jit(jaxmed.estimators.ols())(None, twice)
    expected = least_squares(data, data.covariates)  # without a program
    np.testing.assert_allclose(found.effects.total, expected.total, rtol=ATOL)
    np.testing.assert_allclose(
        found.standard_errors.indirect, expected.indirect_se, rtol=1e3 * ATOL
    )
    np.testing.assert_allclose(found.details.df, expected.df)


def test_auto_inside_an_estimator_is_for_concrete_data():
    data = confounded(np.random.default_rng(0), 120, "linear")
    unnamed = dataclasses.replace(covariate_basis(data).data, names=Names())
    rows = with_basis(rows_of(data), "auto")
    for base in (rows.mediator_base, rows.outcome_base):
        np.testing.assert_array_equal(base[:, 0], 1)
        np.testing.assert_allclose(base[:, 1:], unnamed.covariates, atol=ATOL)
    with pytest.raises(ValueError, match="covariate_basis"):
        jax.jit(jaxmed.estimators.ols(basis="auto"))(None, data)
    assert data.names == NAMES


@pytest.mark.slow
@pytest.mark.programs(500, reason="a basis is chosen outside jit")
def test_auto_outside_jit_is_the_basis_given_beforehand():
    data = confounded(np.random.default_rng(0), 120, "linear")
    unnamed = dataclasses.replace(covariate_basis(data).data, names=Names())
    given = jax.jit(jaxmed.estimators.ols())(None, unnamed)
    auto = jaxmed.estimators.ols(basis="auto")(None, data)
    rtol = 1e-9 if TIGHT else 1e-3
    np.testing.assert_allclose(auto.effects.total, given.effects.total, rtol=rtol)
