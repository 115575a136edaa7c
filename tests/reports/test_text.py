import copy
import dataclasses

import pytest

from jaxmed.reports.text import one_line, summary
from jaxmed.reports.verdict import verdict


def changed(record, **p_values):
    """The record with other p-values of its tests."""
    document = copy.deepcopy(record.document)
    for entry in document["tests"]:
        entry["p_value"] = p_values.get(entry["test"], entry["p_value"])
    return dataclasses.replace(record, document=document)


@pytest.mark.parametrize("kind", ["primal", "dual", "tiny", "binary", "singular"])
def test_summary_fits_a_terminal(every, kind):
    lines = summary(every[kind]).splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 62
    assert "nan" not in summary(every[kind]).replace("nan_policy", "")


def test_dual_summary_says_what_does_not_exist_and_why(dual):
    text = summary(dual)
    assert "row space" in text
    assert "intervals and no intersection-union test" in " ".join(text.split())
    assert "needs a residual sum of squares" in " ".join(text.split())
    assert "Total indirect test" in text


def with_total(record, lower, upper):
    for entry in record.document["effects"]:
        if entry["quantity"] == "total_indirect":
            entry["lower"], entry["upper"] = lower, upper
    return record


def test_offsetting_paths_are_told_from_nothing_found(primal):
    both = verdict(changed(primal, total=0.4, intersection_union=1e-30))
    assert both.headline == "Paths of both signs that offset each other"
    assert "silent" in both.sentences[0]
    nothing = verdict(changed(primal, total=0.4, intersection_union=0.3))
    assert nothing.headline == "No indirect effect shown"
    assert "does not show that there is none" in nothing.sentences[0]
    record = with_total(changed(primal, total=0.001, intersection_union=1e-30), 0.1, 0.2)
    assert verdict(record).headline.startswith("Net indirect effect")


def test_unequal_variances_are_told_where_they_change_the_answer(primal):
    text = verdict(changed(primal, total=0.001, total_robust=0.3)).sentences[0]
    assert "allowing unequal variances p = 0.30" in text
    assert "unequal" not in verdict(changed(primal, total=0.001, total_robust=0.01)).sentences[0]


def test_paths_whose_parts_reach_zero_are_not_called_offsetting(primal):
    record = changed(primal, total=0.4, intersection_union=1e-3)
    for entry in record.document["effects"]:
        if entry["quantity"] == "suppression":
            entry["upper"] = 0.0
    assert verdict(record).headline == "Both paths exist; no net indirect effect shown"


def test_dual_verdict_follows_both_tests_of_alignment(dual):
    assert verdict(changed(dual, cosine=0.2, permutation=0.3)).headline == (
        "No net indirect effect shown"
    )
    assert "disagree" in verdict(changed(dual, cosine=0.04, permutation=0.06)).headline
    aligned = verdict(changed(dual, cosine=0.01, permutation=0.02)).headline
    assert aligned.endswith("higher outcome") == (dual.document["paths"]["cosine"] > 0)


def test_dual_verdict_is_that_of_the_random_effects_where_it_exists(dual):
    record = copy.deepcopy(changed(dual, cosine=0.2, permutation=0.3))
    entry = dict(record.test("cosine")) | {"test": "dual_total", "statistic": -2.5, "p_value": 0.01}
    record.document["tests"].append(entry)
    found = verdict(record)
    assert found.headline == "Net indirect effect toward a lower outcome"
    assert "random-effects test p = 0.010" in found.sentences[0]
    assert "unrelated" in found.sentences[0]
    entry["p_value"] = 0.2
    assert verdict(record).headline == "No net indirect effect shown"


def test_one_line_has_headline_and_p_values(primal, dual):
    assert "intersection-union test p < 1e-35" in one_line(primal)
    assert "joint" not in one_line(dual)


def test_singular_record_has_no_number_and_a_reason(singular):
    text = summary(singular)
    assert "linearly dependent" in text
    assert verdict(singular).headline == "No test available"
