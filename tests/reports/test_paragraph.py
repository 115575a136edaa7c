"""The first paragraph and the headline, word for word."""

import dataclasses
import itertools

import numpy as np
import pytest

from jaxmed.reports.verdict import verdict

CROSS_FITTED = (
    "On rows they have not learned from, the downward composite (with the total) carries "
    "-0.305 [-0.489, -0.141], which holds up out of sample; the upward composite (against the "
    "total) carries 0.0120 [-0.0710, 0.0950], not distinguishable from zero. No composite is the "
    "net effect."
)
MEDIATORS = (
    "One at a time, 6 of 40 mediators pass both paths at a 5% FDR (6 at 10%); the first are "
    "prot_000 (q = 2.5e-9), prot_002 (q = 8.4e-9), prot_005 (q = 4.0e-6), prot_003 (q = 4.2e-5), "
    "prot_001 (q = 0.00041)."
)
TESTS = (
    "The two tests agree: a net indirect effect is shown (test of the total indirect effect, "
    "p = 0.0020), and so is the existence of both paths (intersection-union test, p = 1.0e-5)."
)
PARAGRAPHS = {
    "beside": (
        "The total effect of age on hospital_free_days_45 is -0.365 [-0.555, -0.175] (95% "
        "interval). Through the mediators runs -0.304 [-0.494, -0.114] (total indirect effect), "
        "83% [32%, 171%] of the total effect (Fieller's interval); -0.0610 [-0.301, 0.179] does "
        "not (direct effect). The estimator is OLS, all mediators. Beside it, Double selection, "
        "robust gives -0.215 [-0.375, -0.0550] through the mediators and -0.150 [-0.350, 0.0500] "
        f"directly. {TESTS} {CROSS_FITTED} {MEDIATORS}"
    ),
    "sparse": (
        "The total effect of age on hospital_free_days_45 is -0.365 [-0.555, -0.175] (95% "
        "interval). Through the mediators runs -0.215 [-0.375, -0.0550] (total indirect effect), "
        "59% [15%, 130%] of the total effect (Fieller's interval); -0.150 [-0.350, 0.0500] does "
        "not (direct effect). The estimator is Double selection, robust. Beside it, OLS, all "
        "mediators gives -0.304 [-0.494, -0.114] through the mediators and -0.0610 [-0.301, "
        f"0.179] directly. {TESTS} {CROSS_FITTED} {MEDIATORS}"
    ),
    "near_zero": (
        "The total effect of age on hospital_free_days_45 is 0.0200 [-0.170, 0.210] (95% interval, "
        "which holds zero). Through the mediators runs 0.300 [0.100, 0.500] (total indirect "
        "effect); -0.280 [-0.500, -0.0600] does not (direct effect). The estimator is OLS, all "
        "mediators. No share of the total effect is given: the interval of the total effect holds "
        "zero: a share of it says nothing. The two tests agree: a net indirect effect is shown "
        "(test of the total indirect effect, p = 0.0030), and so is the existence of both paths "
        "(intersection-union test, p = 0.00010). On rows they have not learned from, the upward "
        "composite carries 0.0401 [0.0285, 0.0517], which holds up out of sample; the downward "
        "composite carries -0.0335 [-0.0451, -0.0219], which holds up out of sample. No composite "
        f"is the net effect. {MEDIATORS}"
    ),
    "stopped": (
        "The total effect of age on hospital_free_days_45 is -0.365 [-0.555, -0.175] (95% "
        "interval). How much of it runs through the mediators could not be estimated by Double "
        "selection, robust: needs at least 10 rows in every fold. The tests agree: a net indirect "
        "effect is not shown at 5% (cosine test p = 0.78, permutation of the exposure p = 0.86). "
        "That does not exclude one, nor paths of both signs that offset each other. On rows they "
        "have not learned from, the downward composite (with the total) carries -0.0645 [-0.109, "
        "-0.0198], which holds up out of sample; the upward composite (against the total) carries "
        "0.0751 [0.0303, 0.120], which holds up out of sample. No composite is the net effect. "
        "One at a time, none of the 517 mediators passes both paths at a 10% FDR."
    ),
    "single": (
        "The total effect of age on hospital_free_days_45 is 0.500 [0.300, 0.700] (95% interval). "
        "Through crp runs 0.200 [0.100, 0.320] (indirect effect), 40% [20%, 70%] of the total "
        "effect (Fieller's interval); 0.300 [0.100, 0.500] does not (direct effect). The estimator "
        "is OLS, all mediators. The two tests agree: an indirect effect is shown (test of the "
        "indirect effect, p = 0.0010), and so is the existence of both paths (intersection-union "
        "test, p = 0.0010)."
    ),
}
HEADLINES = {
    "beside": "83% [32%, 171%] of the total effect of age on hospital_free_days_45 runs through "
    "the mediators",
    "sparse": "59% [15%, 130%] of the total effect of age on hospital_free_days_45 runs through "
    "the mediators",
    "near_zero": "Net indirect effect toward a higher outcome (0.300); no share of the total "
    "effect can be given",
    "stopped": "No net indirect effect estimated, and none shown by tests at 5%",
    "not_asked": "No net indirect effect estimated, and none shown by tests at 5%",
    "single": "40% [20%, 70%] of the total effect of age on hospital_free_days_45 runs through crp",
    "dual": "Not shown that any of the effect of age runs through the mediators",
    "singular": "No test available",
}


@pytest.mark.parametrize("kind", PARAGRAPHS)
def test_the_first_paragraph_in_full(every, kind):
    assert " ".join(verdict(every[kind]).paragraph) == PARAGRAPHS[kind]


@pytest.mark.parametrize("kind", HEADLINES)
def test_the_headline_answers_how_much_runs_through_the_mediators(every, kind):
    assert verdict(every[kind]).headline == HEADLINES[kind]


def test_the_order_is_always_the_same(every):
    marks = ("The total effect", "Through the mediators runs", "The t", "On rows", "One at a time")
    for kind in ("primal", "dual", "beside", "sparse", "near_zero", "moments", "labelled"):
        said = " ".join(verdict(every[kind]).paragraph)
        places = [said.index(mark, 20 if i == 2 else 0) for i, mark in enumerate(marks)]
        assert places == sorted(places), kind


def test_a_downward_composite_goes_with_a_negative_total_and_an_upward_one_with_a_positive(
    every, edit, effect_entry
):
    said = " ".join(verdict(every["beside"]).paragraph)
    assert "the downward composite (with the total)" in said
    positive = edit(every["beside"], [effect_entry("total_effect", 0.365, 0.175, 0.555)])
    said = " ".join(verdict(positive).paragraph)
    assert "the upward composite (with the total) carries 0.0120" in said
    assert said.index("the upward composite") < said.index("the downward composite (against")


def test_a_negative_share_runs_against_the_total(every, edit, effect_entry):
    record = edit(
        every["beside"],
        [
            effect_entry("total_indirect", 0.2, 0.1, 0.3),
            effect_entry("proportion_mediated", -0.55, -1.2, -0.2),
        ],
    )
    assert verdict(record).headline == (
        "Net indirect effect toward a higher outcome, against the total effect (0.200 of -0.365)"
    )


def test_an_interval_that_holds_zero_is_not_shown_and_not_nothing(every, edit, effect_entry):
    record = edit(
        every["beside"],
        [effect_entry("total_indirect", -0.1, -0.3, 0.1)],
        {"total": 0.3, "total_robust": 0.3, "intersection_union": 0.4},
    )
    found = verdict(record)
    assert found.headline == (
        "Not shown that any of the effect of age runs through the mediators "
        "(83% [32%, 171%] of the total effect)"
    )
    said = " ".join(found.paragraph)
    assert "that anything runs through the mediators is not shown, nor that nothing does." in said
    assert "neither a net indirect effect" in said and "That does not show" in said


LAW, OTHER = "beside", "sparse"
DISAGREE = "Test and interval of the net indirect effect disagree: no firm conclusion"
OFFSET = "Paths of both signs offset each other: no net indirect effect shown"


@pytest.mark.parametrize(
    ("kind", "shown", "p_total", "p_union", "headline", "sentence"),
    [
        (LAW, True, 0.3, 0.01, DISAGREE, "The test does not reject where the interval leaves zero"),
        (LAW, False, 0.01, 0.01, DISAGREE, "The test rejects where the interval holds zero"),
        (
            OTHER,
            False,
            0.01,
            0.01,
            "Net indirect effect shown by least squares, not by Double selection, robust",
            "Double selection, robust does not show a net indirect effect by its interval, and "
            "least squares does by its test",
        ),
        (
            OTHER,
            True,
            0.3,
            0.01,
            "the mediators; least squares does not show it",
            "Double selection, robust shows a net indirect effect by its interval, and least "
            "squares does not by its test",
        ),
        (
            LAW,
            False,
            0.3,
            0.01,
            "Both paths exist; no net indirect effect shown",
            "The two tests d",
        ),
        (LAW, True, 0.01, 0.3, "the mediators; the two tests disagree", "The two tests disagree"),
    ],
)
def test_tests_and_intervals_that_disagree_are_told(
    every, edit, effect_entry, kind, shown, p_total, p_union, headline, sentence
):
    record = every[kind]
    first = record.effect("total_indirect")
    by = (first["method"], first["method_label"])
    ends = (-0.5, -0.1) if shown else (-0.5, 0.1)
    p_values = {"total": p_total, "total_robust": p_total, "intersection_union": p_union}
    found = verdict(edit(record, [effect_entry("total_indirect", -0.2, *ends, by=by)], p_values))
    assert headline in found.headline
    assert sentence in " ".join(found.paragraph)


def test_offsetting_paths_are_told_from_paths_that_may_not_meet(every, edit, effect_entry):
    no_net = {"total": 0.4, "total_robust": 0.5, "intersection_union": 1e-9}
    effects = [effect_entry("total_indirect", 0.02, -0.1, 0.14)]
    parts = [
        effect_entry("concordant", 0.3, 0.2, 0.4),
        effect_entry("suppression", -0.28, -0.4, -0.16),
    ]
    found = verdict(edit(every["beside"], [*effects, *parts], no_net))
    assert found.headline.startswith(OFFSET)
    assert (
        "Paths of both signs offset each other: the upward part, 0.300 [0.200, 0.400], and the "
        "downward part, -0.280 [-0.400, -0.160]."
    ) in " ".join(found.paragraph)
    found = verdict(edit(every["beside"], effects, no_net))
    assert found.headline.startswith("Both paths exist; no net indirect effect shown (83% [")
    assert "Whether the two paths meet in the same mediators" in " ".join(found.paragraph)


def test_a_part_of_the_other_sign_beside_a_net_effect_is_told(every, edit, effect_entry):
    record = edit(every["beside"], [effect_entry("concordant", 0.1, 0.02, 0.18)])
    assert "the net effect is what is left" in " ".join(verdict(record).paragraph)


def test_unequal_variances_are_told_where_they_change_the_answer(every, edit):
    found = verdict(edit(every["beside"], p_values={"total_robust": 0.3}))
    assert found.headline.endswith("the mediators, if variances are equal")
    assert "Allowing unequal variances, the test has p = 0.30" in " ".join(found.paragraph)
    assert "unequal" not in " ".join(verdict(every["beside"]).paragraph)


def test_threats_are_told_by_their_weight(every, edit, threat_entry):
    warn = threat_entry("OVERLAP", "warn", "In site C the exposure never varies")
    stop = threat_entry("SAME_ROWS", "stop", "The mediators were chosen on these rows.")
    notes = [threat_entry(code, "note", "x") for code in ("OUTLIERS", "NONLINEAR")]
    found = verdict(edit(every["beside"], threats=[*notes, warn]))
    assert found.paragraph[-2:] == (
        "A threat was found: In site C the exposure never varies.",
        "2 further notes below: OUTLIERS, NONLINEAR.",
    )
    assert found.headline == HEADLINES["beside"]
    found = verdict(edit(every["beside"], threats=[*notes, warn, stop]))
    assert found.headline == "Headline withheld: a threat stops it (SAME_ROWS)"
    assert found.paragraph[-3] == ("Threats were found: The mediators were chosen on these rows.")
    assert verdict(edit(every["beside"], threats=notes[:1])).paragraph[-1] == (
        "1 note below: OUTLIERS."
    )


@pytest.mark.parametrize(
    ("random", "cosine", "permuted"),
    list(itertools.product([None, 0.01, 0.4], [0.01, 0.2], [0.02, 0.3])),
)
def test_the_tests_of_the_dual(every, edit, random, cosine, permuted):
    record = edit(every["not_asked"], p_values={"cosine": cosine, "permutation": permuted})
    if random is not None:
        entry = record.test("cosine") | {"test": "dual_total", "statistic": -2.5}
        record.document["tests"].append(entry | {"p_value": random})
    found = verdict(record)
    said = " ".join(found.paragraph)
    ps = [p for p in (random, cosine, permuted) if p is not None]
    agree = len({p <= 0.05 for p in ps}) == 1
    assert ("The tests agree" in said) == agree and ("The tests disagree" in said) == (not agree)
    if random == 0.01:
        assert found.headline.startswith("The effects on the outcome run against those of the exp")
        assert "If effects of different mediators are unrelated" in said
        assert "the mediators' effects on hospital_free_days_45 run against the effects of" in said
        assert "a net indirect effect is shown" not in said
    elif random is None and agree and cosine == 0.01:
        assert found.headline.startswith("Paths aligned: net indirect effect toward a ")
    elif min(cosine, permuted) > 0.05:
        assert found.headline.startswith("No net indirect effect")
    else:
        assert found.headline == "Tests of the net indirect effect disagree"


@pytest.mark.parametrize(
    ("shown", "random", "headline", "sentence"),
    [
        (True, 0.4, "the mediators; no test confirms it", "shows a net indirect effect by its"),
        (
            False,
            0.01,
            "their size is not known; no net indirect effect shown by Double selection, robust",
            "does not show a net indirect effect by its interval, and the random-effects test rej",
        ),
    ],
)
def test_the_tests_of_the_dual_are_of_no_estimator(
    every, edit, effect_entry, shown, random, headline, sentence
):
    by = ("double_selection_zz", "Double selection, robust")
    ends = (-0.5, -0.1) if shown else (-0.5, 0.1)
    effects = [
        effect_entry("total_effect", -0.365, -0.555, -0.175),
        effect_entry("total_indirect", -0.3, *ends, by=by),
        effect_entry("proportion_mediated", 0.8, 0.3, 1.4, by=by),
    ]
    record = edit(every["dual"], effects, {"cosine": random, "permutation": random})
    entry = record.test("cosine") | {"test": "dual_total", "statistic": -2.5}
    record.document["tests"].append(entry | {"p_value": random})
    found = verdict(record)
    assert headline in found.headline and "no firm conclusion" not in found.headline
    assert sentence in " ".join(found.paragraph)


def test_two_estimators_may_be_of_one_method(every, edit, effect_entry):
    mine = {"by": ("ols", "OLS, my own"), "of_record": False}
    record = edit(every["beside"])
    record.document["effects"] += [
        effect_entry("direct_effect", 0.7, 0.6, 0.8, **mine),
        effect_entry("total_indirect", -0.9, -1.2, -0.6, **mine),
    ]
    said = " ".join(verdict(record).paragraph)
    assert "OLS, my own gives -0.900 [-1.20, -0.600] through the mediators and 0.700 [0.600" in said
    # The test of least squares is not of an estimator that merely has its name.
    for e in record.document["effects"]:
        if e["quantity"] == "total_indirect":
            e["of_record"] = e["method_label"] == "OLS, my own"
    for test in record.document["tests"]:
        test["p_value"] = 0.4
    found = verdict(record)
    assert found.headline.endswith("; least squares does not show it")
    assert "by its test: they are two estimators" in " ".join(found.paragraph)


def test_an_estimator_asked_for_beside_that_gives_no_answer_is_told(every, edit, effect_entry):
    why = ("STOPPED", "the outcome is no number")
    lost = {"by": ("hima", "HIMA"), "of_record": False, "status": why}
    record = edit(every["beside"])
    record.document["effects"].append(effect_entry("total_indirect", float("nan"), **lost))
    assert "HIMA gives no answer" not in " ".join(verdict(record).paragraph)  # not asked for
    record.document["choice"]["methods"] = ["ols", "hima"]
    assert "HIMA gives no answer: the outcome is no number." in verdict(record).paragraph


@pytest.mark.parametrize(
    ("tested", "q05", "q10", "sentence"),
    [
        (60, 1, 1, "1 of 60 mediators passes both paths at a 5% FDR (1 at 10%); it is prot_000"),
        (60, 2, 2, "2 of 60 mediators pass both paths at a 5% FDR (2 at 10%); they are prot_000"),
        (60, 0, 2, "0 of 60 mediators pass both paths at a 5% FDR (2 at 10%); those are prot_000"),
        (60, 0, 1, "0 of 60 mediators pass both paths at a 5% FDR (1 at 10%); that is prot_000"),
        (60, 0, 6, "(6 at 10%); the first are prot_000"),
        (1, 0, 0, "the mediator does not pass both paths at a 10% FDR"),
        (2, 0, 0, "none of the 2 mediators passes both paths"),
    ],
)
def test_mediators_are_counted_in_grammar(every, edit, tested, q05, q10, sentence):
    record = edit(every["beside"])
    table = dict(record.mediators)
    q = np.full(len(table["name"]), 0.5)
    q[:q10], q[:q05] = 0.08, 0.01
    names = [str(name) for name in table["name"]]
    summary = {"count": tested, "q05": q05, "q10": q10, "lead": names}
    record.document["mediator_summary"] |= summary
    record = dataclasses.replace(record, mediators=table | {"q_value": q})
    assert sentence in verdict(record).paragraph[-1]


def test_no_test_of_the_total_is_no_test_of_alignment(every, edit, effect_entry):
    nan = float("nan")
    record = edit(
        every["beside"],
        [effect_entry("total_indirect", -0.3)],
        {"total": nan, "total_robust": nan},
    )
    found = verdict(record)
    assert found.headline == "Too few rows for a test of the net indirect effect"
    assert "So few rows are left beyond the mediators" in " ".join(found.paragraph)


@pytest.mark.parametrize(
    "kind", ["dual", "stopped", "not_asked", "singular", "near_zero", "single"]
)
def test_no_number_is_said_that_does_not_exist(every, kind):
    found = verdict(every[kind])
    said = " ".join((found.headline, *found.paragraph, *found.remarks))
    assert "nan" not in said.split() and "–" not in said and "None" not in said
