"""Ranges that the inference specification gives, as it prints them: a reference, not a target."""

from collections.abc import Mapping

from jaxmed.studies.composite_inference.designs import Shape

__all__ = ["ROWS", "SIZES", "WORST_PARTS"]

# Section 2, 30,000 replicates a cell, over the 16 nulls: joint, W, exact law at .05 and at .01.
SIZES: Mapping[Shape, tuple[str, str, str, str]] = {
    (30, 10): (".022-.103", ".026-.043", ".047-.053", ".008-.012"),
    (60, 20): (".029-.116", ".036-.047", ".046-.053", ".009-.011"),
    (100, 10): (".024-.140", ".036-.051", ".048-.053", ".008-.011"),
    (200, 20): (".029-.144", ".043-.050", ".047-.053", ".009-.011"),
    (200, 80): (".040-.116", ".045-.049", ".048-.051", ".009-.011"),
    (200, 180): (".041-.059", ".036-.050", ".048-.054", ".009-.012"),
    (500, 100): (".041-.142", ".046-.051", ".048-.052", ".009-.011"),
    (1000, 500): (".044-.107", ".047-.052", ".048-.052", ".009-.012"),
    (200, 3): (".009-.152", ".005-.050", ".043-.053", ".005-.011"),
    (60, 2): (".007-.135", ".001-.048", ".033-.051", ".003-.010"),
}

# Section 3, 10,000 data sets a cell, parts: weakest cell of percentile, range of inversion.
WORST_PARTS: Mapping[Shape, tuple[str, str]] = {
    (60, 20): (".822", ".941-.995"),
    (100, 10): (".834", ".951-.995"),
    (200, 20): (".851", ".951-.992"),
    (200, 80): (".778", ".953-.996"),
    (500, 100): (".874", ".947-.991"),
    (1000, 500): (".834", ".946-.991"),
}

# Section 4, ranges over the nulls, by the names of `rows.DESIGNS`.
ROWS: Mapping[str, Mapping[str, str]] = {
    "Gauss": {
        "cosine": "0-.054",
        "joint": ".028-.128",
        "IUT": ".052-.055",
        "W": ".038-.056",
        "exact law": ".044-.053",
        "W_R": ".038-.059",
    },
    "t5": {
        "cosine": "0-.059",
        "joint": ".028-.117",
        "IUT": ".043-.045",
        "W": ".040-.055",
        "exact law": ".042-.055",
        "W_R": ".044-.058",
    },
    "lognormal": {
        "cosine": "0-.059",
        "joint": ".027-.120",
        "IUT": ".093 (b null)",
        "W": ".044-.055",
        "exact law": ".046-.056",
        "W_R": ".052-.068",
    },
    "sd(e) = abs(M1)": {
        "cosine": "0-.058",
        "joint": ".034-.146",
        "IUT": ".104 (b null)",
        "W": ".045-.066",
        "exact law": ".046-.068",
        "W_R": ".042-.056",
    },
    "sd(e) = exp(A/2)": {
        "cosine": "0-.051",
        "joint": ".030-.130",
        "IUT": ".048-.055",
        "W": ".034-.056",
        "exact law": ".036-.057",
        "W_R": ".040-.053",
    },
    "sd(M given A) = exp(A/2)": {
        "cosine": "0-.056",
        "joint": ".145 (a null)",
        "IUT": ".54 (a null)",
        "W": ".113",
        "exact law": ".126",
        "W_R": ".044-.065",
    },
    "binary exposure": {
        "cosine": "0-.057",
        "joint": ".043-.133",
        "IUT": ".046-.048",
        "W": ".040-.055",
        "exact law": ".047-.057",
        "W_R": ".043-.058",
    },
    "Bernoulli outcome": {
        "cosine": ".018-.049",
        "joint": ".049-.058",
        "IUT": ".027-.054",
        "W": ".043-.052",
        "exact law": ".048-.059",
        "W_R": ".048-.055",
    },
}
