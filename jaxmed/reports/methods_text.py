"""A methods section and its references, from what an analysis was asked for and has done."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jaxmed.reports.format import count, finite, percent
from jaxmed.reports.references import BY_METHOD, REFERENCES

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
    for method in document["choice"]["methods"]:
        found += BY_METHOD.get(method, ())
    if _has_share(document):
        found.append("fieller")
    for method in settings["composites"]:
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
        e["quantity"] == "proportion_mediated" and finite(e["lower"]) for e in document["effects"]
    )


def _data(document: Document) -> Iterator[str]:
    data, settings = document["data"], document["settings"]
    given, used = data["num_mediators"], data["num_mediators_analysed"]
    yield (
        f"We studied how the effect of {data['exposure']['name']} on {data['outcome']['name']} "
        f"runs through {count(given, 'mediator')} in {count(data['rows_used'], 'row')}"
        + (" with case weights." if data["weighted"] else ".")
    )
    if used < given:
        yield f"{given - used} of the mediators were left out as constant, duplicated or dependent."
    if settings["standardise"]:
        yield "Mediators were divided by their standard deviation."
    yield f"{document['design']['sentence'].rstrip('.')}; the same columns stood in every model."
    yield _SCREENED[settings["screened"]]


def _effects(document: Document) -> Iterator[str]:
    data, choice = document["data"], document["choice"]
    yield (
        f"The total effect is that of {data['exposure']['name']} in the least squares regression "
        f"of {data['outcome']['name']} on it and the covariates."
    )
    for place, method in enumerate(choice["methods"]):
        what = "Direct and total indirect effect are by" if not place else "Beside it they are by"
        yield f"{what} {_label(document, method)}{_cite(BY_METHOD.get(method, ()))}."
    if choice["methods"] and choice["reason"]:
        yield f"The estimator was chosen for {choice['reason'].rstrip('.')}."
    if _has_share(document):
        yield (
            "The proportion mediated is the total indirect effect over the total effect, with "
            f"Fieller's interval{_cite(['fieller'])}."
        )


def _label(document: Document, method: str) -> str:
    # The total effect is of least squares without mediators, under a label of its own.
    own = (e for e in document["effects"] if e["quantity"] != "total_effect")
    return next((e["method_label"] for e in own if e["method"] == method), method)


def _composites(document: Document) -> Iterator[str]:
    settings = document["settings"]
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
    done = [entry for entry in document["tests"] if finite(entry["p_value"])]
    named = [
        _TESTS[e["test"]].format_map(counts) if e["test"] in _TESTS else e["label"] for e in done
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
