"""Words that the command line and the library share, in a module without JAX."""

from typing import Literal, get_args

__all__ = [
    "BASES",
    "LADDER",
    "LEDGER_NAME",
    "RUNGS",
    "UNSAFE",
    "Assume",
    "Compat",
    "Rung",
    "Screened",
]

# What the covariates stand for; "auto" chooses from LADDER, each of which contains the one before.
Rung = Literal["linear", "quadratic", "second_degree", "splines", "additive", "products"]
RUNGS: tuple[Rung, ...] = get_args(Rung)
LADDER: tuple[Rung, ...] = ("linear", "quadratic", "second_degree", "splines")
BASES = ("auto", *RUNGS, "splines_all_products")
# How many mediators matter, for the choice of an estimator.
Assume = Literal["unknown", "sparse", "dense"]
# How mediators were chosen in the rows that are analysed.
Screened = Literal["unknown", "no", "exposure", "outcome", "both"]
# "r": what the released packages compute, defects included.
Compat = Literal["correct", "r"]

# Of the releases of a site, beside its data.
LEDGER_NAME = "jaxmed_releases.jsonl"
# A terminal would obey the controls; a half of a surrogate pair has no bytes in UTF-8.
UNSAFE = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"
