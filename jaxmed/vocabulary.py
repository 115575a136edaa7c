"""Words that the command line and the library share, in a module without JAX.

`jaxmed --help` and a mistyped argument need the names of methods, not the methods. A registry that
maps a name to what it stands for lies where that is; a test holds its names to these.
"""

import difflib
from collections.abc import Collection, Sequence
from typing import Literal, get_args

__all__ = [
    "BASES",
    "CLOSED",
    "FIELD_METHODS",
    "LADDER",
    "LEDGER_NAME",
    "METHODS",
    "MOMENT_METHODS",
    "RUNGS",
    "UNSAFE",
    "Assume",
    "Compat",
    "Rung",
    "Screened",
    "check_field_methods",
    "check_methods",
    "check_moment_methods",
]

# What the covariates stand for; "auto" chooses from LADDER, each of which contains the one before.
Rung = Literal["linear", "quadratic", "second_degree", "splines", "additive", "products"]
RUNGS: tuple[Rung, ...] = get_args(Rung)
LADDER: tuple[Rung, ...] = ("linear", "quadratic", "second_degree", "splines")
BASES = ("auto", *RUNGS, "splines_all_products")
# With method="effects": how many mediators matter.
Assume = Literal["unknown", "sparse", "dense"]
# By what the mediators were chosen in the rows that are analysed.
Screened = Literal["unknown", "no", "exposure", "outcome", "both"]
# "r": what the released packages compute, defects included.
Compat = Literal["correct", "r"]

# Composites: closed forms of the paths, then those that draw random numbers or iterate.
CLOSED = ("maxie", "maxcor", "reg_outcome", "reg_exposure")
_OPEN = ("directions", "numerical", "lasso_exposure", "lasso_outcome")
METHODS = (*CLOSED, *_OPEN)
MOMENT_METHODS = (*CLOSED, "directions")
# What `compare` knows by name.
FIELD_METHODS = (
    *METHODS,
    "ols",
    "double_selection",
    "double_selection_zz",
    "post_selection",
    "hima",
    "guo",
    "plsem",
    "hima2",
    "ehima",
    "hdma",
    "hilma",
    "medfix",
    "pathway_lasso",
    "pcma",
    "spcma",
    "meddic",
    "gahmn",
)

# Of the releases of a site, beside its data.
LEDGER_NAME = "jaxmed_releases.jsonl"
# A terminal would obey the controls; a half of a surrogate pair has no bytes in UTF-8.
UNSAFE = "[\x00-\x1f\x7f-\x9f\ud800-\udfff]"


def check_methods(methods: Sequence[str]) -> None:
    """Raises ValueError for an empty list or an unknown name, with where that name lives."""
    unknown = [m for m in methods if m not in METHODS]
    if not unknown and methods:
        return
    elsewhere = [name for name in unknown if name in FIELD_METHODS]
    hint = f"; {', '.join(elsewhere)}: see compare" if elsewhere else ""
    near = difflib.get_close_matches(unknown[0], METHODS, n=2) if unknown and not elsewhere else []
    hint += f"; did you mean {', '.join(near)}?" if near else ""
    raise ValueError(
        f"there is no method {', '.join(map(repr, unknown)) or 'named'}: composites are "
        f'{", ".join(METHODS)}; "effects" and "gahmn" stand alone in mediate{hint}'
    )


def check_field_methods(names: Sequence[str], known: Collection[str] = FIELD_METHODS) -> None:
    """Raises ValueError for an empty list, an unknown name or one that comes twice."""
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        near = difflib.get_close_matches(unknown[0], known, n=3) if unknown else []
        hint = f"; did you mean {', '.join(near)}?" if near else ""
        alone = '; "effects" is a method of mediate' if "effects" in unknown else ""
        raise ValueError(
            f"there is no method {', '.join(map(repr, unknown)) or 'named'}: choose from "
            f"{', '.join(known)}{hint}{alone}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"methods come twice in {', '.join(names)}")


def check_moment_methods(methods: Sequence[str]) -> None:
    """Raises ValueError for an empty list, or a name that moments do not determine."""
    unknown = [m for m in methods if m not in MOMENT_METHODS]
    if unknown or not methods:
        raise ValueError(
            f"methods {unknown} need the rows of the data; moments give {', '.join(MOMENT_METHODS)}"
        )
