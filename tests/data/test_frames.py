"""from_frame: the same data from every kind of table, with a report of what was done."""

import json

import numpy as np
import pytest

from jaxmed.data import (
    InvalidDataError,
    Names,
    ShapeError,
    UnknownColumnError,
    WhereError,
    covariate_basis,
    from_frame,
    from_frame_with_report,
)

N = 12
ROLES = dict(exposure="age", outcome="icu", mediators="prot_*")


def columns():
    rng = np.random.default_rng(1)
    table = {"age": rng.normal(50, 9, N), "icu": np.arange(N) % 2}
    table |= {f"prot_{name}": rng.normal(size=N) for name in "abc"}
    table |= {"prot_sum": rng.normal(size=N), "male": np.arange(N) % 4 == 0}
    table["site"] = np.array(list("bacbacbacbac"))
    table["arm"] = np.array((["drug", "none", "other"] * 4)[:N])
    table["w"] = np.r_[0, np.ones(N - 1)]
    return table


def as_pandas(table):
    return pytest.importorskip("pandas").DataFrame(table)


def as_polars(table):
    return pytest.importorskip("polars").DataFrame(table)


def as_anndata(table, sparse=False):
    anndata = pytest.importorskip("anndata")
    frame = as_pandas(table)
    frame.index = frame.index.astype(str)
    proteins = [name for name in table if name.startswith("prot_")]
    block = frame[proteins].to_numpy(dtype=float)
    if sparse:
        block = pytest.importorskip("scipy.sparse").csr_matrix(block)
    adata = anndata.AnnData(block, obs=frame.drop(columns=proteins))
    adata.var_names = proteins
    return adata


KINDS = {
    "dict": dict,
    "pandas": as_pandas,
    "polars": as_polars,
    "anndata": as_anndata,
    "sparse": lambda table: as_anndata(table, sparse=True),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


@every_kind
def test_every_kind_of_table_gives_the_same_data(kind):
    table = columns()
    result = from_frame_with_report(
        KINDS[kind](table),
        **ROLES,
        covariates=["male", "site"],
        weights="w",
        where="age > 0 and site in (a, b, c)",
    )
    data = result.data
    assert data.names == Names(
        "age",
        "icu",
        ("prot_a", "prot_b", "prot_c", "prot_sum"),
        ("male", "site[b]", "site[c]"),
        groups=(("site[b]", "site[c]"),),
    )
    np.testing.assert_array_equal(data.mediators[:, 1], table["prot_b"])
    np.testing.assert_array_equal(data.exposure, table["age"])
    np.testing.assert_array_equal(data.outcome, table["icu"])
    site = table["site"]
    expected = np.column_stack([table["male"], site == "b", site == "c"])
    np.testing.assert_array_equal(data.covariates, expected)
    np.testing.assert_array_equal(data.weights, table["w"])
    assert {leaf.dtype for leaf in (data.exposure, data.outcome, data.covariates)} == {
        np.dtype("f8")
    }
    assert result.report.dummies == {"site": ("site[b]", "site[c]")}
    assert result.report.reference_levels == {"site": "a"}
    assert from_frame(KINDS[kind](table), **ROLES).names.covariates == ()


@every_kind
def test_missing_values_are_refused_or_dropped_and_counted(kind):
    table = columns()
    table["prot_b"][4] = table["age"][4] = table["age"][7] = np.nan
    with pytest.raises(InvalidDataError, match=r"'age' 2, 'prot_b' 1; first in row 4 .*drop"):
        from_frame(KINDS[kind](table), **ROLES, where="icu in (0, 1)")
    result = from_frame_with_report(KINDS[kind](table), **ROLES, nan_policy="drop")
    assert result.report.missing == {"age": 2, "prot_b": 1}
    assert (result.report.rows_used, result.report.rows_dropped) == (N - 2, 2)
    np.testing.assert_array_equal(result.data.outcome, np.delete(table["icu"], [4, 7]))
    json.dumps(result.report.to_dict(), allow_nan=False)
    assert "2 rows dropped for missing values (age 2, prot_b 1)" in result.report.lines()


def test_rows_are_named_as_in_the_table_and_only_where_they_matter():
    table = columns()
    table["prot_b"][[1, 6]] = np.nan
    with pytest.raises(InvalidDataError, match="first in row 6 of the table, in 1 rows"):
        from_frame(table, **ROLES, where="icu == 0")
    table["prot_b"][6] = 0
    roles = ROLES | {"outcome": "prot_sum", "mediators": "prot_?"}
    assert from_frame(table, **roles, where="icu == 0 ", covariates="male").exposure.size == N // 2


@pytest.mark.parametrize(
    "spec, chosen",
    [
        ("prot_?", ("prot_a", "prot_b", "prot_c")),
        ("prot_c, prot_a", ("prot_c", "prot_a")),
        (["prot_sum", "prot_*"], ("prot_sum", "prot_a", "prot_b", "prot_c")),
        ("prot_[ab]", ("prot_a", "prot_b")),
        ("prot_a", ("prot_a",)),
        ("@file", ("prot_b", "prot_a")),
    ],
)
def test_mediators_by_name_glob_list_and_file(spec, chosen, tmp_path):
    if spec == "@file":
        (tmp_path / "names.txt").write_text("# two proteins\nprot_b\n\nprot_a\n")
        spec = f"@{tmp_path / 'names.txt'}"
    assert (
        from_frame(columns(), exposure="age", outcome="icu", mediators=spec).names.mediators
        == chosen
    )


def test_a_glob_never_picks_a_column_with_another_role():
    table = {name: column for name, column in columns().items() if column.dtype.kind != "U"}
    data = from_frame(
        table,
        exposure="age",
        outcome="prot_a",
        mediators="*",
        covariates="male,prot_c",
        weights="w",
    )
    assert data.names.mediators == ("icu", "prot_b", "prot_sum")
    with pytest.raises(InvalidDataError, match="'prot_a' already has another role"):
        from_frame(table, exposure="age", outcome="prot_a", mediators="prot_a,prot_b")
    with pytest.raises(InvalidDataError, match="'age' has two roles"):
        from_frame(table, exposure="age", outcome="icu", covariates=["age"], mediators="prot_*")


@pytest.mark.parametrize(
    "change, message",
    [
        ({"exposure": "Age"}, "exposure: there is no column 'Age'; did you mean 'age'"),
        ({"outcome": "icuu"}, "did you mean 'icu'"),
        ({"covariates": ["mle"]}, "covariates: .*'male'"),
        ({"mediators": "prot_a,prot_som"}, "mediators: .*'prot_sum'"),
        ({"mediators": "gene_*"}, "no column matches 'gene_\\*'"),
        ({"weights": "zzz"}, "weights: .*columns are 'age'"),
        ({"where": "agee > 3"}, "where: .*'age'"),
    ],
)
@every_kind
def test_unknown_columns_name_the_nearest(kind, change, message):
    with pytest.raises(UnknownColumnError, match=message):
        from_frame(KINDS[kind](columns()), **ROLES | change)


@every_kind
def test_a_categorical_exposure_needs_a_contrast(kind):
    table = columns()
    frame, roles = KINDS[kind](table), ROLES | {"exposure": "arm"}
    with pytest.raises(InvalidDataError, match=r"levels \['drug', 'none', 'other'\]: .*contrast="):
        from_frame(frame, **roles)
    result = from_frame_with_report(frame, **roles, contrast=("none", "drug"))
    used = table["arm"] != "other"
    np.testing.assert_array_equal(result.data.exposure, (table["arm"] == "drug")[used])
    np.testing.assert_array_equal(result.data.mediators[:, 0], table["prot_a"][used])
    assert result.report.contrast == ("none", "drug") and result.report.rows_contrast == used.sum()
    with pytest.raises(InvalidDataError, match="no rows with level 'placebo'"):
        from_frame(frame, **roles, contrast=("placebo", "drug"))
    with pytest.raises(ValueError, match="two different levels"):
        from_frame(frame, **roles, contrast=("drug", "drug"))


def test_a_contrast_of_a_numeric_exposure():
    table = columns() | {"dose": np.arange(N) % 4}
    data = from_frame(table, **ROLES | {"exposure": "dose"}, contrast=(0, 3))
    np.testing.assert_array_equal(data.exposure, [0, 1] * 3)


@every_kind
def test_text_where_numbers_are_needed(kind):
    frame = KINDS[kind](columns())
    with pytest.raises(TypeError, match="'site' holds text or categories"):
        from_frame(frame, **ROLES | {"outcome": "site"})
    if kind not in ("anndata", "sparse"):
        with pytest.raises(TypeError, match="mediator 'arm' holds text"):
            from_frame(frame, **ROLES | {"mediators": "prot_*,arm"})


@every_kind
def test_an_empty_or_constant_selection(kind):
    frame = KINDS[kind](columns())
    with pytest.raises(ShapeError, match="12 rows read; 0 rows with age > 1000"):
        from_frame(frame, **ROLES, where="age > 1000")
    with pytest.raises(InvalidDataError, match="exposure 'icu' is constant"):
        from_frame(frame, exposure="icu", outcome="age", mediators="prot_*", where="icu == 1")
    with pytest.raises(InvalidDataError, match=r"outcome 'w' is constant \(1\).*choose another"):
        from_frame(frame, exposure="age", outcome="w", mediators="prot_*", where="icu == 1")
    constant = dict(exposure="age", outcome="prot_sum", mediators="prot_?", where="icu == 1")
    kept = from_frame(frame, **constant, covariates="icu")
    assert covariate_basis(kept).dropped == {"icu": "icu is constant on the rows used: left out"}
    with pytest.raises(WhereError, match="character 5"):
        from_frame(frame, **ROLES, where="age ~ 3")


def test_levels_without_rows_make_no_dummies():
    frame = as_pandas(columns())
    frame["site"] = frame["site"].astype("category")
    data = from_frame(frame, **ROLES, covariates=["site"], where="site != a")
    assert data.names.covariates == ("site[c]",)


def test_missing_categories():
    for make in (as_pandas, as_polars):
        table = columns()
        table["site"] = np.array([None, *table["site"][1:]], dtype=object)
        table["site"] = table["site"].tolist()
        with pytest.raises(InvalidDataError, match="'site' 1; first in row 0"):
            from_frame(make(table), **ROLES, covariates=["site"])
        data = from_frame(make(table), **ROLES, covariates=["site"], nan_policy="drop")
        assert data.names.covariates == ("site[b]", "site[c]") and data.exposure.size == N - 1


@pytest.mark.parametrize("role", ["exposure", "covariates", "mediators"])
def test_pandas_na_is_a_missing_value(role):
    pandas = pytest.importorskip("pandas")
    frame = as_pandas(columns())
    column = {"exposure": "age", "covariates": "male", "mediators": "prot_b"}[role]
    frame[column] = frame[column].astype("boolean" if column == "male" else "Float64")
    assert from_frame(frame, **ROLES, covariates=["male"]).exposure.dtype == np.float64
    frame.loc[3, column] = pandas.NA
    with pytest.raises(InvalidDataError, match=f"'{column}' 1; first in row 3 .*drop"):
        from_frame(frame, **ROLES, covariates=["male"])
    kept = from_frame_with_report(frame, **ROLES, covariates=["male"], nan_policy="drop")
    assert kept.report.missing == {column: 1}


def test_polars_null_is_missing():
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(columns()).with_columns(
        polars.when(polars.col("icu") == 1).then(polars.col("male")).alias("male"),
        polars.when(polars.col("icu") == 1).then(polars.lit(3)).alias("prot_a"),
    )
    with pytest.raises(InvalidDataError, match="'male' 6, 'prot_a' 6"):
        from_frame(frame, **ROLES, covariates=["male"])
    with pytest.raises(TypeError, match="collect a LazyFrame"):
        from_frame(frame.lazy(), **ROLES)


def test_mixed_objects_identifiers_and_dates_are_refused_by_name():
    frame = as_pandas(columns())
    frame["prot_mixed"] = [1, "x"] * 6
    with pytest.raises(InvalidDataError, match=r"'prot_mixed' holds numbers, but 'x' \(row 1\)"):
        from_frame(frame, **ROLES)
    frame["prot_mixed"] = [{1}] * N
    with pytest.raises(TypeError, match="'prot_mixed' has dtype object and holds set"):
        from_frame(frame, **ROLES)
    frame["prot_mixed"] = np.arange(N) + 2**60
    with pytest.raises(InvalidDataError, match=r"'prot_mixed' holds integers beyond 2\*\*53"):
        from_frame(frame, **ROLES)
    frame["prot_mixed"] = pytest.importorskip("pandas").Timestamp("2020-01-01")
    with pytest.raises(TypeError, match="'prot_mixed' holds dates"):
        from_frame(frame, **ROLES)


def test_unusable_tables():
    with pytest.raises(TypeError, match="builtins.list is not a table"):
        from_frame([1, 2], **ROLES)
    with pytest.raises(ShapeError, match="column 'icu'"):
        from_frame({"age": np.ones(3), "icu": np.ones(4), "prot_a": np.ones(3)}, **ROLES)
    frame = as_pandas(columns())
    frame.columns = ["prot_a" if name == "prot_b" else name for name in frame.columns]
    with pytest.raises(InvalidDataError, match="two columns are called 'prot_a'"):
        from_frame(frame, **ROLES)


def test_float32_mediators_keep_their_precision_beside_dummies():
    table = columns()
    table |= {name: values.astype("f4") for name, values in table.items() if values.dtype == "f8"}
    data = from_frame(table, **ROLES, covariates=["site", "male"])
    assert data.mediators.dtype == data.exposure.dtype == data.covariates.dtype == np.float32
