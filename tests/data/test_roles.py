"""Categories as covariates: rare levels named and merged, many levels told of or refused."""

import numpy as np
import pytest

from jaxmed.data import InvalidDataError, from_frame_with_report
from jaxmed.data.columns import Factor
from jaxmed.data.roles import merge_rare

ROLES = {"exposure": "x", "outcome": "y", "mediators": "m"}


def table(sites, **more):
    rng = np.random.default_rng(0)
    n = len(sites)
    made = dict(zip("xym", rng.normal(size=(3, n)), strict=True))
    return made | {"site": np.asarray(sites)} | more


def read(sites, **more):
    return from_frame_with_report(table(sites), **ROLES, covariates=["site"], **more)


def test_rare_levels_are_named_and_merged_on_request():
    sites = list("aaaaaaaabbbbbbbbbcdde") + ["f"] * 9
    told = read(sites).report
    assert any("fewer than 3 rows: 'c' (1), 'd' (2), 'e' (1)" in q for q in told.questions)
    merged = read(sites, merge_rare=4)
    assert merged.data.names.covariates == ("site[b]", "site[f]", "site[c or d or e]")
    assert merged.data.names.groups == (merged.data.names.covariates,)
    assert merged.report.merged == {"site": "c, d, e as 'c or d or e'"}
    np.testing.assert_array_equal(merged.data.covariates[:, 2], np.isin(sites, list("cde")))


def test_the_merged_level_takes_in_the_next_rarest_until_it_has_enough_rows():
    column = Factor(np.array([0] * 8 + [1] * 2 + [2] * 6), ("a", "b", "c"))
    merged, what = merge_rare(column, 5)
    assert merged.levels == ("a", "b or c") and what == "b, c as 'b or c'"
    assert merge_rare(column, 2) == (column, "")
    full = Factor(np.array([0] * 5 + [1] * 5), ("a", "b"))
    assert merge_rare(full, 4) == (full, "")


def test_many_levels_are_told_of_and_too_many_are_an_identifier():
    many = [f"s{i % 35:02d}" for i in range(700)]
    assert any("has 35 levels" in question for question in read(many).report.questions)
    with pytest.raises(InvalidDataError, match="'site' has 35 levels in 140 rows: an identifier"):
        read(many[:140])
    with pytest.raises(InvalidDataError, match="has 12 levels in 12 rows: an identifier"):
        read([f"p{i}" for i in range(12)])


def test_numbers_under_a_name_of_groups_are_asked_about():
    sites = np.arange(40) % 4 + 1
    report = read(sites).report
    assert report.questions == (
        "'site' holds 1..4 and is used as a number: a category? factor=\"site\"",
    )
    declared = read(sites, factor="site")
    assert declared.data.names.covariates == ("site[2]", "site[3]", "site[4]")
    assert declared.report.questions == ()
    with pytest.raises(InvalidDataError, match="factor: there is no column 'sit'; did you mean"):
        read(sites, factor="sit")
