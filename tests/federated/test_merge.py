"""Merged summaries equal the pooled rows, with and without site effects."""

import dataclasses
import functools

import jax
import numpy as np
import oracle
import pytest
from site_problems import SITES, indicators, pooled, sites

from jaxmed.analysis.fit import fit, fit_moments
from jaxmed.analysis.mediate import mediate
from jaxmed.data.validation import InvalidDataError
from jaxmed.federated.merge import MergeError, merge_sites
from jaxmed.federated.merged import merged_of
from jaxmed.federated.summary import summarise
from jaxmed.geometry.paths import paths
from jaxmed.registry import MOMENT_METHODS as METHODS
from jaxmed.statistics.cross_moments import cross_moments

pytestmark = pytest.mark.skipif(
    not jax.config.jax_enable_x64, reason="equalities to 1e-10 need float64"
)


def summaries(parts):
    return [summarise(d, site=s) for d, s in zip(parts, SITES, strict=True)]


@functools.cache
def plain():
    parts = sites()
    merged = merged_of(summaries(parts))
    options = {"key": 3, "replicates": 500}
    rows = mediate(
        pooled(parts), composites=METHODS, permutations=0, folds=0, basis="linear", **options
    )
    return rows, mediate(merged.moments, composites=METHODS, source=merged.report, **options)


def close(one, two, tolerance=1e-10):
    one, two = np.asarray(one, float), np.asarray(two, float)
    scale = np.max(np.nan_to_num(np.abs(two)), initial=1e-300)
    np.testing.assert_allclose(one, two, rtol=tolerance, atol=tolerance * scale)


def same_moments(found, wanted, tolerance=1e-11):
    size = np.sqrt(np.diag(wanted.comoment))
    gap = np.abs(found.comoment - wanted.comoment) / size / size[:, None]
    assert gap.max() < tolerance
    for name in ("count", "weight", "weight_square", "mean"):
        close(getattr(found, name), getattr(wanted, name), tolerance)


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_those_of_all_rows(weighted):
    parts = sites(weighted=weighted)
    merged = merge_sites(summaries(parts))
    same_moments(merged, cross_moments(pooled(parts)))
    assert merged.names == parts[0].names


def test_every_closed_form_effect_and_test_is_that_of_all_rows():
    rows, moments = plain()
    for name in ("mediators", "total", "direct", "cosine", "corrected", "joint"):
        jax.tree.map(close, getattr(moments.fit, name), getattr(rows.fit, name))
    jax.tree.map(close, moments.fit.intersection_union, rows.fit.intersection_union)
    jax.tree.map(close, moments.fit.paths.quadratics, rows.fit.paths.quadratics)


def test_intervals_with_the_same_key_and_all_weights_are_those_of_all_rows():
    rows, moments = plain()
    found = {e["quantity"]: e for e in moments.record.document["effects"]}
    wanted = {e["quantity"]: e for e in rows.record.document["effects"]}
    assert len(found) == 6
    for quantity, effect in found.items():
        for field in ("estimate", "naive", "standard_error", "lower", "upper"):
            close(effect[field], wanted[quantity][field])
    columns = [c for c in rows.record.mediators if c.startswith("weight_")]
    assert len(columns) == 2 * 7
    for name in columns:
        close(moments.record.mediators[name], rows.record.mediators[name])


@pytest.mark.parametrize("weighted", [False, True])
def test_site_effects_equal_explicit_site_columns(weighted):
    parts = sites(weighted=weighted)
    merged = merge_sites(summaries(parts), site_effects=True)
    whole = pooled(parts)
    columns = np.concatenate([whole.covariates, indicators(parts)[:, 1:]], axis=1)
    names = ("age", "male", "site[south]", "site[west]")
    same_moments(merged, cross_moments(pooled(parts, columns, names)))
    assert merged.names.covariates == names


def by_site():
    """Merged moments with slopes by site, and the rows with explicit products."""
    parts = sites()
    merged = merge_sites(summaries(parts), covariates="by_site")
    site = indicators(parts)
    own = [site[:, [k]] * pooled(parts).covariates for k in range(3)]
    whole = pooled(parts, np.concatenate([site[:, 1:], *own], axis=1), merged.names.covariates)
    assert merged.names.covariates[2] == "site[north]:age" and merged.num_covariates == 8
    return merged, whole


def test_slopes_by_site_are_those_of_the_definition():
    merged, whole = by_site()
    found, wanted = jax.jit(paths)(merged), oracle.solve(whole)
    for name, part in (("q_aa", "exposure_exposure"), ("q_ay", "exposure_outcome")):
        close(getattr(found.quadratics, part), getattr(wanted, name), 1e-9)
    for name, part in (("q_yy", "outcome_outcome"), ("rss", "residual_ss")):
        close(getattr(found.quadratics, part), getattr(wanted, name), 1e-9)
    close(found.cosine, wanted.cosine, 1e-9)
    close(found.total_effect, wanted.total, 1e-9)


@pytest.mark.slow
def test_slopes_by_site_equal_explicit_products():
    merged, whole = by_site()
    rows, moments = fit(whole, methods=("maxie",)), fit_moments(merged, methods=("maxie",))
    for name in ("total", "direct", "joint", "mediators"):
        jax.tree.map(close, getattr(moments, name), getattr(rows, name))


def test_sites_may_have_different_covariates_with_slopes_by_site():
    parts = sites()
    parts[1] = dataclasses.replace(
        parts[1],
        covariates=parts[1].covariates[:, :1],
        names=dataclasses.replace(parts[1].names, covariates=("age",)),
    )
    merged = merge_sites(summaries(parts), covariates="by_site")
    assert "site[south]:male" not in merged.names.covariates
    with pytest.raises(MergeError, match="covariates differ at position 2: north has 'male'"):
        merge_sites(summaries(parts))


def test_a_site_with_fewer_rows_than_columns_may_take_part():
    parts = sites(rows=(60, 60, 30))
    few = summarise(parts[2], site="west", max_ratio=0.5)
    found = merge_sites([*summaries(parts)[:2], few])
    same_moments(found, cross_moments(pooled(parts)))


def test_float32_rows_are_accumulated_in_float64():
    parts = sites()
    single = [jax.tree.map(lambda v: v.astype(np.float32), d) for d in parts]
    merged = merged_of(summaries(single))
    assert merged.moments.comoment.dtype == np.float64 and merged.rows_dtype == "float32"
    exact = [jax.tree.map(lambda v: v.astype(np.float64), d) for d in single]
    same_moments(merged.moments, cross_moments(pooled(exact)))


def test_a_summary_twice_is_an_error():
    found = summaries(sites())
    with pytest.raises(MergeError, match="'north' is given twice"):
        merge_sites([*found, found[0]])
    other = summarise(sites(1)[0], site="north")
    with pytest.raises(MergeError, match="two summaries are labelled 'north'"):
        merge_sites([*found, other])
    with pytest.raises(MergeError, match="no summary"):
        merge_sites([])


def renamed(data, change):
    """The same rows in another order, their columns changed."""
    order = np.random.default_rng(0).permutation(len(data.outcome))
    return change(jax.tree.map(lambda v: v[order], data))


def without_male(data):
    names = dataclasses.replace(data.names, covariates=("age",))
    return dataclasses.replace(data, covariates=data.covariates[:, :1], names=names)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda d: d, {}),
        (lambda d: d, {"site_effects": True}),
        (without_male, {"covariates": "by_site"}),
    ],
)
def test_one_data_set_under_two_labels_is_an_error(weighted, change, options):
    parts = sites(weighted=weighted)
    again = summarise(renamed(parts[0], change), site="east")
    with pytest.raises(MergeError, match="'north' and 'east' are the same: one data set"):
        merge_sites([*summaries(parts), again], **options)


def test_a_constant_column_does_not_hide_that_data_are_the_same():
    data = sites()[0]
    columns = np.concatenate([data.mediators, np.full((60, 1), 0.1)], axis=1)
    names = dataclasses.replace(data.names, mediators=(*data.names.mediators, "x"))
    data = dataclasses.replace(data, mediators=columns, names=names)
    again = summarise(renamed(data, lambda d: d), site="east")
    with pytest.raises(MergeError, match="one data set"):
        merge_sites([summarise(data, site="north"), again])


@pytest.mark.parametrize("field", ["exposure", "mediators", "outcome", "covariates"])
def test_data_that_differ_in_one_value_are_not_the_same(field):
    data = sites()[0]
    values = np.array(getattr(data, field))
    values.reshape(60, -1)[0, 0] += 1e-5
    other = dataclasses.replace(data, **{field: values})
    merge_sites([summarise(d, site=s) for d, s in ((data, "north"), (other, "east"))])


def test_the_first_different_column_is_named():
    parts = sites()
    names = dataclasses.replace(parts[1].names, mediators=("m1", "m3", "m2", "m4", "m5"))
    parts[1] = dataclasses.replace(parts[1], names=names)
    with pytest.raises(MergeError, match="mediators differ at position 2: north has 'm2', south"):
        merge_sites(summaries(parts))


def test_a_covariate_of_the_site_cannot_stand_beside_site_effects():
    parts = sites(q=1)
    parts = [
        dataclasses.replace(
            d,
            covariates=np.concatenate([d.covariates, np.full((60, 1), k)], axis=1),
            names=dataclasses.replace(d.names, covariates=("age", "beds")),
        )
        for k, d in enumerate(parts)
    ]
    with pytest.raises(MergeError, match="'beds' is constant within every site"):
        merge_sites(summaries(parts), site_effects=True)
    # Its slopes by site do not exist and are left out.
    assert merge_sites(summaries(parts), covariates="by_site").num_covariates == 5


@pytest.mark.parametrize(
    ("shift", "slope", "options", "named"),
    [
        (0, 0, {}, "'age':"),
        (3, 0, {"site_effects": True}, r"'age', 'site\[south\]', 'site\[west\]':"),
        (
            3,
            1,
            {"covariates": "by_site"},
            r"'site\[south\]', 'site\[west\]', 'site\[north\]:age', 'site\[south\]:age', "
            r"'site\[west\]:age':",
        ),
    ],
)
def test_an_exposure_that_covariates_and_sites_determine(shift, slope, options, named):
    told = [
        dataclasses.replace(d, exposure=(1 + slope * k) * d.covariates[:, 0] + shift * k)
        for k, d in enumerate(sites())
    ]
    merged = merge_sites(summaries(told), **options)
    with pytest.raises(InvalidDataError, match=f"exposure 'dose' has no variation .* {named}"):
        mediate(merged, key=0, replicates=100)
