"""A methods section and its references, from what an analysis was asked for and has done."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxmed.reports.format import count, finite, percent
from jaxmed.reports.references import BY_METHOD, REFERENCES
from jaxmed.reports.shares import LOG_ODDS, on_log_odds, withheld

__all__ = ["citations", "methods_text"]

Document = Mapping[str, Any]
_COMPOSITES = {
    "maxie": "MaxIE",
    "maxcor": "MaxCor",
    "reg_outcome": "regression of the outcome",
    "reg_exposure": "regression of the exposure",
    "directions": "directions of mediation",
    "numerical": "numerical optimisation",
    "lasso_exposure": "lasso of the exposure",
    "lasso_outcome": "lasso of the outcome",
}
_TESTS = {
    "total": "of the total indirect effect (p-value from {replicates} draws of the exact law)",
    "total_robust": "of the total indirect effect allowing unequal variances",
    "cosine": "of the cosine of the two paths{cosine}",
    "corrected_cosine": "of the cosine, corrected for a null exposure path",
    "joint": "of the joint null of one path",
    "intersection_union": "that both paths exist (intersection-union)",
    "dual_total": "of the total indirect effect by random effects (the larger of a REML and a "
    "permutation p-value)",
    "permutation": "by {permutations} permutations of the exposure",
}
# In one dimension the mediator is its own composite, and its two coefficients say it all.
_OF_ONE = {
    "total": "of the indirect effect by joint significance of its two paths (the larger p-value)",
    "total_robust": "of the same allowing unequal variances",
}
ASKED_FOR = "asked for by name"  # the reason of a choice that no rule has made
_SCREENED = {
    "unknown": "How the mediators were chosen before the analysis was not stated.",
    "no": "The mediators were not chosen by these rows.",
    "exposure": "The mediators had been screened by their association with the exposure.",
    "outcome": "The mediators had been screened by their association with the outcome.",
    "both": "The mediators had been screened by their association with exposure and outcome.",
}


def methods_text(document: Document) -> list[str]:
    """Paragraphs for the methods section of a paper, of this analysis and nothing else.

    Args:
      document: of `jaxmed.mediate`, version 3; its `methods_text` and `citations` are not read.
    Returns:
      Paragraphs: data and covariates, effects, composites and tests, single mediators, software.
    """
    parts = (_data, _effects, _composites, _tests, _mediators, _software)
    return [" ".join(sentences) for part in parts if (sentences := list(part(document)))]


def citations(document: Document) -> list[dict[str, str]]:
    """`text` and `link` (may be empty) of every paper that `methods_text` names, in its order."""
    return [{"text": REFERENCES[key].text, "link": REFERENCES[key].link} for key in _keys(document)]


def _keys(document: Document) -> list[str]:
    settings = document["settings"]
    found: list[str] = []
    for method in _estimated(document):
        found += BY_METHOD.get(method, ())
    if any(_draws(document, method) for method in _estimated(document)):
        found.append("chernozhukov")
    if _has_share(document):
        found.append("fieller")
    for method in () if _is_single(document) else settings["composites"]:
        found += BY_METHOD.get(method, ())
    if _present(document, "effects", "quantity", "cross_fitted"):
        found.append("chernozhukov")
    if _present(document, "tests", "test", "cosine"):
        found.append("he")
    if document["mediator_summary"]["count"]:
        found.append("benjamini")
    return list(dict.fromkeys(found))


def _cite(keys: Sequence[str]) -> str:
    shorts = [REFERENCES[key].short for key in keys]
    return f" ({'; '.join(shorts)})" if shorts else ""


def _present(document: Document, table: str, field: str, name: str) -> bool:
    """True where an effect or test of that name has a number."""
    number = {"effects": "estimate", "tests": "p_value"}[table]
    return any(e[field] == name and finite(e[number]) for e in document[table])


def _has_share(document: Document) -> bool:
    return any(
        e["quantity"] == "proportion_mediated" and finite(e["lower"]) and not withheld(document, e)
        for e in document["effects"]
    )


def _is_single(document: Document) -> bool:
    paths = document["paths"]
    return paths.get("dimension") == 1 and paths["regime"] != "dual"


def _of_method(document: Document, method: str) -> list[Mapping[str, Any]]:
    """Direct and total indirect effect by a method, those with an estimate."""
    return [
        e
        for e in document["effects"]
        if e["quantity"] in ("direct_effect", "total_indirect")
        and e["method"] == method
        and finite(e["estimate"])
    ]


def _estimated(document: Document) -> list[str]:
    """The methods of direct and indirect effect that gave an answer, that of record first."""
    return [method for method in document["choice"]["methods"] if _of_method(document, method)]


def _draws(document: Document, method: str) -> int:
    """Draws of the folds that the estimates of a method are the medians over; 0 for one draw."""
    draws: list[int] = [int(e.get("splits") or 0) for e in _of_method(document, method)]
    return max((number for number in draws if number > 1), default=0)


def _data(document: Document) -> Iterator[str]:
    data, settings = document["data"], document["settings"]
    given, used = data["num_mediators"], data["num_mediators_analysed"]
    yield (
        f"We studied how the effect of {data['exposure']['name']} on {data['outcome']['name']} "
        f"runs through {count(given, 'mediator')} in {count(data['rows_used'], 'row')}"
        + (" with case weights." if data["weighted"] else ".")
    )
    if used < given:
        were = "was" if given - used == 1 else "were"
        yield (
            f"{given - used} of the mediators {were} left out as constant, duplicated or dependent."
        )
    if settings["standardise"]:
        yield "Mediators were divided by their standard deviation."
    yield f"{document['design']['sentence'].rstrip('.')}; the same columns stood in every model."
    yield _SCREENED[settings["screened"]]


def _effects(document: Document) -> Iterator[str]:
    data, reason = document["data"], document["choice"]["reason"].rstrip(".")
    methods = _estimated(document)
    odds = {m for m in methods if any(on_log_odds(document, e) for e in _of_method(document, m))}
    yield (
        f"The total effect is that of {data['exposure']['name']} in the least squares regression "
        f"of {data['outcome']['name']} on it and the covariates"
        f"{', a risk difference' * bool(odds)}."
    )
    for place, method in enumerate(methods):
        what = "Direct and total indirect effect are by" if not place else "Beside it they are by"
        scale = f" {LOG_ODDS}, where they need not add up to its own total effect"
        yield (
            f"{what} {_label(document, method)}{_cite(BY_METHOD.get(method, ()))}"
            f"{scale * (method in odds)}."
        )
        if draws := _draws(document, method):
            yield (
                f"Its estimates are medians over {draws} draws of the folds"
                f"{_cite(['chernozhukov'])}."
            )
    if methods and reason == ASKED_FOR:
        yield (
            "The estimator was specified by the analyst."
            if len(methods) == 1
            else "The estimators were specified by the analyst."
        )
    elif methods and reason:
        yield f"The estimator was chosen for {reason}."
    if _has_share(document):
        yield (
            "The proportion mediated is the total indirect effect over the total effect, with "
            f"Fieller's interval{_cite(['fieller'])}."
        )


def _label(document: Document, method: str) -> str:
    # The total effect is of least squares without mediators, under a label of its own.
    return _of_method(document, method)[0]["method_label"]


def _composites(document: Document) -> Iterator[str]:
    settings = document["settings"]
    if _is_single(document):
        yield (
            "The interval of the indirect effect is by the distribution of the product of two "
            "normal variables, its two coefficients."
        )
        return
    if settings["composites"]:
        # A method is cited once, behind the last one of its paper.
        groups: dict[tuple[str, ...], list[str]] = {}
        method: str
        for method in settings["composites"]:
            groups.setdefault(BY_METHOD.get(method, ()), []).append(_COMPOSITES.get(method, method))
        named = "; ".join(f"{', '.join(m)}{_cite(keys)}" for keys, m in groups.items())
        yield (
            f"Composite mediators, weighted sums of all mediators with standard deviation 1 given "
            f"the covariates, are by {named}. An upward composite has an indirect effect alpha "
            "beta above 0 (the paper's concordant), a downward one below 0 (the paper's "
            "suppression)."
        )
    if _present(document, "effects", "quantity", "concordant"):
        yield (
            "The upward and the downward part are debiased; their intervals and that of the total "
            "indirect effect of least squares hold what a test by the exact law of the two paths "
            f"does not reject, with {settings['replicates']} draws."
        )
    if _present(document, "effects", "quantity", "cross_fitted"):
        splits = settings["splits"]
        of_splits = f"; the median over {splits} splits of the rows is given" if splits > 1 else ""
        yield (
            f"Cross-fitted effects are those of composites learned on the other of "
            f"{settings['folds']} folds{of_splits}{_cite(['chernozhukov'])}."
        )


def _tests(document: Document) -> Iterator[str]:
    settings = document["settings"]
    counts = {
        "replicates": settings["replicates"],
        "permutations": settings["permutations"],
        "cosine": _cite(["he"]),
    }
    words = _TESTS | (_OF_ONE if _is_single(document) else {})
    done = [entry for entry in document["tests"] if finite(entry["p_value"])]
    named = [
        words[e["test"]].format_map(counts) if e["test"] in words else e["label"] for e in done
    ]
    if named:
        yield f"Tests are {'; '.join(named)}. Tests reject at {percent(1 - settings['level'])}."
    yield f"Intervals are at {percent(settings['level'])}."


def _mediators(document: Document) -> Iterator[str]:
    if document["mediator_summary"]["count"]:
        yield (
            "One mediator at a time, exposure to mediator and mediator to outcome given the "
            "exposure were estimated by least squares; the p-value is the larger of the two, "
            f"adjusted over the mediators{_cite(['benjamini'])}."
        )


def _software(document: Document) -> Iterator[str]:
    software, seed = document["software"], document["settings"]["seed"]
    drawn = "a key that was passed in" if seed is None else f"seed {seed}"
    yield (
        f"Computed with jaxmed {software['jaxmed']} (JAX {software['jax']}, NumPy "
        f"{software['numpy']}, Python {software['python']}) in {software['precision']}, "
        f"{drawn}."
    )
