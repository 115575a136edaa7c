from pathlib import Path

import pytest

from jaxmed.reports.text import files_written, one_line, summary
from jaxmed.reports.verdict import verdict


@pytest.mark.parametrize("screened", [True, False])
def test_summary_fits_a_terminal(every, edit, threat_entry, screened):
    for kind, record in every.items():
        if screened:
            record = edit(
                record, threats=[threat_entry("OVERLAP", "warn", "In site C. " * 20, "x")]
            )
        text = summary(record)
        lines = text.splitlines()
        assert max(map(len, lines)) <= 100, kind
        assert len(lines) <= 85, kind
        assert "nan" not in text, kind


def test_what_answers_comes_first_then_effects_tests_and_mediators(every):
    text = summary(every["beside"])
    assert text.splitlines()[2].startswith("83% [32%, 171%] of the total effect of age on")
    heads = [
        "The total effect of age on",
        "\nEffects, ",
        "\nTests ",
        "\nLead mediators",
        "\nComposites, in sample",
        "\nPrimal regime",
        "\nData: ",
        "\nA causal reading",
    ]
    places = [text.index(head) for head in heads]
    assert places == sorted(places)
    assert text.index("\nComposites, in sample") < text.index("\nPrimal regime")
    flat = " ".join(text.split())
    assert " ".join(verdict(every["beside"]).paragraph) in flat


def test_every_estimator_has_its_line(every):
    lines = [" ".join(line.split()) for line in summary(every["beside"]).splitlines()]
    for line in (
        "Total effect OLS -0.365 [-0.555, -0.175]",
        "Total indirect effect OLS, all mediators -0.304 [-0.494, -0.114]",
        "Total indirect effect Double selection, robust -0.215 [-0.375, -0.0550]",
        "Proportion mediated Double selection, robust 59% [15%, 130%]",
        "Downward part OLS, all mediators -0.335 [-0.510, -0.160] -0.430",
    ):
        assert line in lines
    assert "With the total effect: the downward part (alpha beta < 0; the paper's suppression)" in (
        " ".join(lines)
    )


def test_dual_summary_says_what_does_not_exist_and_why(dual):
    text = " ".join(summary(dual).split())
    assert "row space" in text
    assert "with an interval and no intersection-union test exist" in text
    assert "needs a residual sum of squares" in text
    assert "Total indirect test" in text


def test_threats_are_listed_with_their_remedy(every, edit, threat_entry):
    found = [
        threat_entry("OUTLIERS", "note", "Some values are far out."),
        threat_entry("OVERLAP", "warn", "In site C the exposure never varies.", "leave out C"),
    ]
    text = summary(edit(every["beside"], threats=found))
    at = text.index("Threats to validity")
    assert "  warn In site C the exposure never varies. Remedy: leave out C\n" in text[at:]
    assert text.index("leave out C") < text.index("  note Some values are far out.")


def test_no_sentence_sends_what_a_terminal_obeys(every, edit, threat_entry):
    name = "age\x1b[31m\u202ered\r"
    record = edit(every["beside"], threats=[threat_entry("OVERLAP", "warn", f"{name} varies.")])
    record.document["data"]["exposure"]["name"] = name
    record.document["warnings"] = [f"{name} has 3 repeated values"]
    text = summary(record)
    assert not {"\x1b", "\u202e", "\r"} & set(text)
    assert "Warning: age\\x1b[31m\\u202ered\\r has" in text


def test_labels_are_shown(every):
    text = summary(every["labelled"])
    assert "  Protein 0 " in text and "prot_000" not in text


def test_one_line_has_headline_and_p_values(primal, dual):
    assert "intersection-union test p < 1e-35" in one_line(primal)
    assert "joint" not in one_line(dual)


def test_every_file_has_its_line_the_page_first():
    written = [Path("out/result.json"), Path("out/figures/a.png"), Path("out/report.html")]
    assert files_written(written).splitlines() == [
        "wrote out/report.html",
        "wrote out/result.json",
        "wrote out/figures/a.png",
    ]


def test_singular_record_has_no_number_and_a_reason(singular):
    text = summary(singular)
    assert "linearly dependent" in text
    assert verdict(singular).headline == "No test available"
