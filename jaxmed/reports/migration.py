"""Documents of earlier versions in the form of today's: what `read_result` makes of them."""

from typing import Any

__all__ = ["migrated"]

BY_VERSION_2 = "written by version 2"
OLS = {"method": "ols", "method_label": "OLS, all mediators"}
MAXIE = {"method": "maxie", "method_label": "MaxIE, cross-fitted"}
# quantity of version 2 -> its label of version 3, and by which estimator it is
QUANTITIES = {
    "total_effect": ("Total effect", {"method": "ols", "method_label": "OLS"}),
    "direct_effect": ("Direct effect", OLS),
    "total_indirect": ("Total indirect effect", OLS),
    "concordant": ("Upward part", OLS),
    "suppression": ("Downward part", OLS),
    "cross_fitted": ("Cross-fitted upward part", MAXIE),
    "cross_fitted_suppression": ("Cross-fitted downward part", MAXIE),
}
OF_RECORD = ("total_effect", "direct_effect", "total_indirect")
DIRECTIONS = {"concordant": "upward", "suppression": "downward"}


def migrated(document: dict[str, Any]) -> dict[str, Any]:
    """A document of `jaxmed.mediate` version 2 as version 3; its numbers are not touched.

    Effects are those of least squares on all mediators, which was the only estimator; in the dual,
    where it has none, the empty entries of the direct and the total indirect effect are gone.
    Composites and parts are named by what they do to the outcome. What version 2 did not do is
    empty: no method was chosen, no threat was looked for, no methods paragraph was written.

    Args:
      document: without the seal, in the form of version 2.
    Returns:
      A new document; it is not yet checked.
    """
    dual = document["paths"]["regime"] == "dual"
    settings = {name: value for name, value in document["settings"].items() if name != "methods"}
    return document | {
        "schema_version": 3,
        "settings": {"composites": document["settings"]["methods"], "effects": []}
        | settings
        | {"screened": "unknown"},
        "effects": [
            _effect(entry)
            for entry in document["effects"]
            if not (dual and entry["quantity"] in ("direct_effect", "total_indirect"))
        ],
        "composites": [_composite(entry) for entry in document["composites"]],
        "choice": {"methods": [], "reason": BY_VERSION_2, "sentences": []},
        "threats": [],
        "methods_text": [],
        "citations": [],
    }


def _effect(entry: dict[str, Any]) -> dict[str, Any]:
    label, method = QUANTITIES[entry["quantity"]]
    return entry | {"label": label} | method | {"of_record": entry["quantity"] in OF_RECORD}


def _composite(entry: dict[str, Any]) -> dict[str, Any]:
    direction = entry["direction"]
    if direction not in DIRECTIONS:
        return entry
    return entry | {"label": entry["label"].removesuffix(direction) + DIRECTIONS[direction]}
