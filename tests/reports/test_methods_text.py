"""The methods section: what was done, and nothing else."""

import copy

import pytest

from jaxmed.reports.methods_text import citations, methods_text
from jaxmed.reports.references import BY_METHOD, REFERENCES


def said(record):
    return " ".join(methods_text(record.document))


def shorts(record):
    links = {REFERENCES[key].text: key for key in REFERENCES}
    return [links[entry["text"]] for entry in citations(record.document)]


def test_the_text_of_an_analysis_with_more_mediators_than_rows(every):
    assert methods_text(every["dual"].document) == [
        "We studied how the effect of age on hospital_free_days_45 runs through 517 mediators in "
        "102 rows. Mediators were divided by their standard deviation. Covariates: male: rank 2, "
        "basis linear (auto; 102 rows); the same columns stood in every model. How the mediators "
        "were chosen before the analysis was not stated.",
        "The total effect is that of age in the least squares regression of hospital_free_days_45 "
        "on it and the covariates. Direct and total indirect effect are by Double selection, "
        "robust (Belloni, Chernozhukov and Hansen 2014; Zhang and Zhang 2014; MacKinnon and White "
        "1985). The estimator was chosen for 102 rows and 517 mediators.",
        "Composite mediators, weighted sums of all mediators with standard deviation 1 given the "
        "covariates, are by MaxIE, MaxCor (He 2026). An upward composite has an indirect effect "
        "alpha beta above 0 (the paper's concordant), a downward one below 0 (the paper's "
        "suppression). Cross-fitted effects are those of composites learned on the other of 5 "
        "folds; the median over 10 splits of the rows is given (Chernozhukov et al. 2018).",
        "Tests are of the cosine of the two paths (He 2026); by 999 permutations of the exposure. "
        "Tests reject at 5%. Intervals are at 95%.",
        "One mediator at a time, exposure to mediator and mediator to outcome given the exposure "
        "were estimated by least squares; the p-value is the larger of the two, adjusted over the "
        "mediators (Benjamini and Hochberg 1995).",
        "Computed with jaxmed 0.1.0 (JAX 0.9.2, NumPy 2.4.6, Python 3.11.7) in float64, seed 0.",
    ]
    assert shorts(every["dual"]) == [
        "belloni",
        "zhang_zhang",
        "mackinnon_white",
        "he",
        "chernozhukov",
        "benjamini",
    ]


def test_two_estimators_and_a_share(every):
    text = said(every["beside"])
    assert "Direct and total indirect effect are by OLS, all mediators." in text
    assert "Beside it they are by Double selection, robust (Belloni" in text
    assert "with Fieller's interval (Fieller 1954)" in text
    assert "of the total indirect effect (p-value from 2000 draws of the exact law)" in text
    assert "fieller" in shorts(every["beside"])


@pytest.mark.parametrize("kind", ["not_asked", "near_zero", "single", "singular"])
def test_what_was_not_done_is_not_said(every, kind):
    text, found = said(every[kind]), shorts(every[kind])
    assert ("Direct and total indirect" in text) == (kind in ("near_zero", "single"))
    assert ("Fieller" in text) == ("fieller" in found) == (kind == "single")
    assert (
        ("Cross-fitted" in text)
        == ("chernozhukov" in found)
        == (kind in ("not_asked", "near_zero"))
    )
    assert ("of the cosine" in text) == (kind in ("not_asked", "near_zero"))
    assert ("One mediator at a time" in text) == ("benjamini" in found) == (kind != "singular")
    assert "nan" not in text and "None" not in text


def test_every_paper_named_is_cited_and_the_other_way_round(every):
    for kind, record in every.items():
        text = said(record)
        named = {key for key, reference in REFERENCES.items() if reference.short in text}
        assert named == set(shorts(record)), kind


def test_settings_are_told(every):
    record = every["dual"]
    document = copy.deepcopy(record.document)
    document["settings"] |= {"screened": "both", "seed": None, "standardise": False, "splits": 1}
    document["settings"]["composites"] = ["directions", "maxie", "lasso_outcome"]
    document["data"] |= {"weighted": True, "num_mediators_analysed": 510}
    text = " ".join(methods_text(document))
    assert "screened by their association with exposure and outcome" in text
    assert "a key that was passed in" in text and "divided by" not in text
    assert "median over" not in text and "in 102 rows with case weights." in text
    assert "7 of the mediators were left out" in text
    assert (
        "directions of mediation (Chen et al. 2018); MaxIE, lasso of the outcome (He 2026)" in text
    )


def test_a_users_own_estimator_has_no_paper(every, edit, effect_entry):
    by = ("mine", "My estimator {x}")
    choice = {"methods": ["mine"], "reason": "", "sentences": []}
    entry = effect_entry("total_indirect", 0.1, 0.0, 0.2, by=by)
    text = said(edit(every["dual"], [entry], choice=choice))
    assert "Direct and total indirect effect are by My estimator {x}." in text
    assert "chosen for" not in text


def test_an_estimator_asked_for_by_name_is_specified_by_the_analyst(every, edit):
    text = said(every["log_odds"])
    assert "The estimator was specified by the analyst." in text and "chosen for" not in text
    assert "on it and the covariates, a risk difference." in text
    assert (
        "are by HIMA (Zhang et al. 2016) on the log-odds scale, where they need not add up to its "
        "own total effect."
    ) in text
    two = {"methods": ["hima", "ols"], "reason": "asked for by name", "sentences": []}
    assert "The estimators were specified" in said(edit(every["log_odds"], choice=two))
    assert "risk difference" not in said(every["beside"])


def test_an_estimator_without_a_number_is_not_named(every):
    text = said(every["stopped"])
    assert "Double selection" not in text and "The estimator" not in text
    assert "belloni" not in shorts(every["stopped"])


def test_a_single_mediator_has_no_composite_and_no_exact_law(every):
    text, found = said(every["single"]), shorts(every["single"])
    assert "omposite" not in text and "exact law" not in text and "he" not in found
    assert "product of two normal variables" in text
    assert "by joint significance of its two paths" in text


def test_medians_over_draws_of_the_folds_are_told(every, edit):
    record = edit(every["sparse"])
    for entry in record.document["effects"]:
        if entry["quantity"] == "total_indirect" and entry["of_record"]:
            entry["splits"] = 10
    assert "Its estimates are medians over 10 draws of the folds (Chernozhukov et al" in said(
        record
    )
    assert shorts(record).index("chernozhukov") < shorts(record).index("fieller")
    assert "draws of the folds" not in said(every["sparse"])


def test_references_have_an_address_or_none():
    for key, reference in REFERENCES.items():
        assert reference.text and reference.short, key
        assert reference.link == "" or reference.link.startswith("https://"), key
    assert {key for keys in BY_METHOD.values() for key in keys} <= set(REFERENCES)
