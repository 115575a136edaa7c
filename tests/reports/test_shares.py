"""Shares of the total effect, and effects that are no part of it: log odds."""

import pytest

from jaxmed.reports.captions import caption
from jaxmed.reports.document import page
from jaxmed.reports.shares import NEAR_ZERO
from jaxmed.reports.text import summary
from jaxmed.reports.verdict import verdict


def paragraph(record):
    return " ".join(verdict(record).paragraph)


def test_log_odds_are_named_and_are_no_part_of_a_risk_difference(every):
    record = every["log_odds"]
    assert paragraph(record).startswith(
        "The total effect of age on hospital_free_days_45 is -0.365 [-0.555, -0.175] (95% "
        "interval), a risk difference by least squares. Through the mediators runs 0.142 [0.0500, "
        "0.240] on the log-odds scale (total indirect effect); 1.46 [0.800, 2.12] does not (direct "
        "effect). By the same estimator the total effect is 1.58 [0.900, 2.26] on that scale: "
        "direct and indirect effect need not add up to it, and no share is given. The estimator is "
        "HIMA. Beside it, OLS, all mediators gives -0.304 [-0.494, -0.114] through the mediators "
    )
    assert verdict(record).headline.startswith(
        "Net indirect effect toward a higher outcome (0.142 on the log-odds scale); no share of"
    )
    assert "12%" not in summary(record) + page(record, {})


def test_log_odds_beside_least_squares_have_a_total_of_their_own(every, edit):
    effects = every["log_odds"].document["effects"]
    turned = [e | {"of_record": e["method"] == "ols"} for e in effects]
    turned.sort(key=lambda e: not e["of_record"])
    said = paragraph(edit(every["log_odds"], turned))
    assert "83% [32%, 171%] of the total effect" in said
    assert (
        "Beside it, HIMA gives 0.142 [0.0500, 0.240] through the mediators and 1.46 [0.800, 2.12] "
        "directly on the log-odds scale, beside a total effect of 1.58 [0.900, 2.26]; the two need "
        "not add up."
    ) in said


def test_tables_say_which_rows_are_log_odds(every):
    text = summary(every["log_odds"])
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "Effects, days per year; log odds: on the log-odds scale, and no part of the" in text
    assert "Total indirect effect HIMA 0.142 [0.0500, 0.240] log odds" in lines
    assert "Proportion mediated HIMA – –" in lines
    assert "Total indirect effect OLS, all mediators -0.304 [-0.494, -0.114]" in lines
    html = page(every["log_odds"], {})
    assert "HIMA, on the log-odds scale" in html and "all mediators, on the" not in html
    assert "log-odds scale have no row" in caption(every["log_odds"], "decomposition")
    assert "log-odds" not in caption(every["beside"], "decomposition")
    assert "log-odds" not in summary(every["beside"]) + page(every["beside"], {})


@pytest.mark.parametrize("by", ["size", "threat"])
def test_no_share_of_a_total_effect_near_zero(every, edit, effect_entry, threat_entry, by):
    record = every["beside"]
    if by == "size":  # 2.9 standard errors
        record = edit(record, [effect_entry("total_effect", -0.29, -0.49, -0.09)])
    else:
        record = edit(record, threats=[threat_entry("TOTAL_NEAR_ZERO", "note", "Near zero.")])
    found = verdict(record)
    assert found.headline == (
        "Net indirect effect toward a lower outcome (-0.304); no share of the total effect can be "
        "given"
    )
    assert paragraph(record).count(NEAR_ZERO) == 1
    shown = summary(record) + page(record, {})
    assert "[32%, 171%]" not in shown and "[15%, 130%]" not in shown
    assert "[32%, 171%]" in summary(every["beside"])
    for composite in record.document["composites"]:
        composite |= {"proportion_mediated": 0.77, "proportion_reason": ""}
    table = summary(record).split("Composites, in sample")[1].split("Primal regime")[0]
    assert "77%" not in table and NEAR_ZERO[:40] in table
    assert NEAR_ZERO in page(record, {})


@pytest.mark.parametrize(
    ("size", "share", "headline"),
    [
        ((-0.3, -0.5, -0.1), (0.8, -0.1, 1.7), "lower outcome (-0.300); its share of the total"),
        ((0.2, 0.1, 0.3), (-0.5, -1.2, 0.1), "higher outcome (0.200); its share of the total"),
        ((0.2, 0.1, 0.3), (-0.5, -1.2, -0.1), "against the total effect (0.200 of -0.365)"),
        ((-0.3, -0.5, -0.1), (0.8, 0.1, 1.7), "80% [10%, 170%] of the total effect of age on"),
    ],
)
def test_a_share_runs_through_the_mediators_where_its_interval_is_above_zero(
    every, edit, effect_entry, size, share, headline
):
    effects = [
        effect_entry("total_indirect", *size),
        effect_entry("proportion_mediated", *share),
    ]
    assert headline in verdict(edit(every["beside"], effects)).headline
