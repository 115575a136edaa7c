"""The variance of the total from sites' sums equals that of the pooled rows."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from site_problems import SITES, pooled, sites

from jaxmed import status as st
from jaxmed.analysis.site_round import robust_total_test
from jaxmed.federated.archive import SiteFileError
from jaxmed.federated.merge import MergeError
from jaxmed.federated.merged import load_merged, merged_of, save_merged
from jaxmed.federated.noise import noise_for
from jaxmed.federated.rules import ReleaseRefused
from jaxmed.federated.second_round import load_sums, round_sums, save_sums
from jaxmed.federated.summary import summarise
from jaxmed.geometry.paths import paths
from jaxmed.inference.leave_one_out import row_sums
from jaxmed.inference.total_indirect import total_indirect_test

pytestmark = pytest.mark.skipif(
    not jax.config.jax_enable_x64, reason="equalities to 1e-8 need float64"
)


def summaries(parts):
    return [summarise(d, site=s) for d, s in zip(parts, SITES, strict=True)]


def sums_of(parts, merged):
    return [round_sums(d, merged, site=s) for d, s in zip(parts, SITES, strict=True)]


@jax.jit
def of_rows(data):
    return total_indirect_test(paths(data), data=data, variance="robust")


@pytest.mark.parametrize("weighted", [pytest.param(False, marks=pytest.mark.slow), True])
def test_equals_the_pooled_rows(weighted):
    parts = sites(weighted=weighted)
    merged = merged_of(summaries(parts))
    found = robust_total_test(merged, sums_of(parts, merged))
    data = jax.tree.map(jnp.asarray, pooled(parts))
    wanted = of_rows(data)
    assert int(found.status) == int(wanted.status)
    for one, two in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-8)


@pytest.mark.parametrize(
    "options",
    [pytest.param({"site_effects": True}, marks=pytest.mark.slow), {"covariates": "by_site"}],
)
def test_equals_the_pooled_rows_with_site_columns(options):
    parts = sites()
    merged = merged_of(summaries(parts), **options)
    sums = sums_of(parts, merged)
    own = pooled(parts).covariates
    place = np.repeat(np.eye(3), 60, axis=0)
    columns = [place[:, 1:], own]
    if "covariates" in options:
        columns = [place[:, 1:], *(place[:, [k]] * own for k in range(3))]
    data = jax.tree.map(jnp.asarray, pooled(parts, np.concatenate(columns, axis=1), ()))
    wanted = jax.jit(lambda d: row_sums(paths(d), d))(data)
    assert not wanted.exceeds
    for name, value in {
        "variance": wanted.outcome_side,
        "hc3": wanted.outcome_hc3,
        "exposure_side": wanted.exposure_side,
    }.items():
        np.testing.assert_allclose(sum(getattr(s, name) for s in sums), value, rtol=1e-8)


def test_a_degenerate_mediator_is_left_out_at_every_site():
    parts = sites()
    extra = [
        dataclasses.replace(
            d,
            mediators=np.concatenate([d.mediators, d.mediators[:, :1]], axis=1),
            names=dataclasses.replace(d.names, mediators=(*d.names.mediators, "x")),
        )
        for d in parts
    ]
    merged, plain = merged_of(summaries(extra)), merged_of(summaries(parts))
    found = robust_total_test(merged, sums_of(extra, merged))
    wanted = robust_total_test(plain, sums_of(parts, plain))
    np.testing.assert_allclose(found.p_value, wanted.p_value, rtol=1e-8)


def test_a_high_leverage_is_told_as_yes_or_no_and_falls_back_to_hc3():
    parts = sites()
    merged = merged_of(summaries(parts))
    sums = sums_of(parts, merged)
    assert {f.name for f in dataclasses.fields(sums[0])} == {
        "site",
        "merged",
        "count",
        "variance",
        "hc3",
        "exposure_side",
        "exceeds",
        "ledger",
        "given",
    }
    sums[1] = dataclasses.replace(sums[1], exceeds=True)
    found = robust_total_test(merged, sums)
    assert int(found.status) == st.VARIANCE_FALLBACK


def test_a_site_refuses_other_rows_few_rows_and_noise():
    parts = sites()
    merged = merged_of(summaries(parts))
    with pytest.raises(ReleaseRefused, match="not the one merged for 'north'"):
        round_sums(sites(1)[0], merged, site="north")
    with pytest.raises(ReleaseRefused, match="fewer than min_rows=100"):
        round_sums(parts[0], merged, site="north", min_rows=100)
    with pytest.raises(MergeError, match="'east' is none of the merged"):
        round_sums(parts[0], merged, site="east")
    half = dataclasses.replace(merged.moments, comoment=np.asarray(merged.moments.comoment) * 0.2)
    with pytest.raises(ReleaseRefused, match="cannot contain these rows"):
        round_sums(parts[0], dataclasses.replace(merged, moments=half), site="north")
    columns = summaries(parts)[0].columns
    noise = noise_for(columns, dict.fromkeys(columns, (0, 50)), epsilon=1, delta=1e-5, clip=4)
    noisy = merged_of([summarise(parts[0], site="north", noise=noise), *summaries(parts)[1:]])
    with pytest.raises(ReleaseRefused, match="hold noise"):
        round_sums(parts[1], noisy, site="south")


def test_the_coordinator_refuses_missing_and_foreign_sums():
    parts = sites()
    merged = merged_of(summaries(parts))
    sums = sums_of(parts, merged)
    with pytest.raises(MergeError, match="needed once from each of north, south, west"):
        robust_total_test(merged, sums[:2])
    with pytest.raises(MergeError, match="needed once"):
        robust_total_test(merged, [*sums, sums[0]])
    with pytest.raises(MergeError, match="other merged moments"):
        robust_total_test(merged_of(summaries(parts), site_effects=True), sums)
    with pytest.raises(MergeError, match="59 rows"):
        robust_total_test(merged, [dataclasses.replace(sums[0], count=59), *sums[1:]])


def test_files_of_the_second_round(tmp_path):
    parts = sites()
    merged = merged_of(summaries(parts), covariates="by_site")
    save_merged(merged, tmp_path / "merged.npz", key=b"k" * 32)
    again = load_merged(tmp_path / "merged.npz", key=b"k" * 32)
    assert again.digest == merged.digest and again.design == merged.design
    sums = sums_of(parts, again)
    assert load_sums(save_sums(sums[0], tmp_path / "s.npz")) == sums[0]
    with pytest.raises(SiteFileError, match="of this step"):
        load_sums(tmp_path / "merged.npz")
