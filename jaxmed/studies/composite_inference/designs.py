"""Where the inference is tried: strengths and alignment of the paths, rows and mediators."""

from collections.abc import Iterable, Sequence

import jax
import jax.numpy as jnp

from jaxmed.distributions.exact_law import Law, base_draws, law, quadratics_at
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.typing import Key

__all__ = [
    "COVERAGE_SHAPES",
    "FEW",
    "NULLS",
    "SETTINGS",
    "SINGLE",
    "SINGLE_NULLS",
    "SINGLE_SETTINGS",
    "SIZE_SHAPES",
    "Setting",
    "Shape",
    "data_sets",
    "label",
    "nulls_of",
    "number",
    "law_at",
    "laws_at",
    "shape_name",
]

Setting = tuple[float, float, float]  # kA, kY, c0; residual sd 1
Shape = tuple[int, int]  # rows, mediators

# Total indirect effect 0: both paths null, one path null, or two active paths at 90 degrees.
NULLS: Sequence[Setting] = (
    (0.0, 0.0, 0.0),
    (0.1, 0.0, 0.0),
    (0.3, 0.0, 0.0),
    (1.0, 0.0, 0.0),
    (0.0, 0.1, 0.0),
    (0.0, 0.3, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, 10.0, 0.0),
    (0.1, 0.1, 0.0),
    (0.2, 0.2, 0.0),
    (0.3, 0.3, 0.0),
    (0.5, 0.5, 0.0),
    (1.0, 1.0, 0.0),
    (3.0, 3.0, 0.0),
    (0.2, 1.0, 0.0),
    (1.0, 0.2, 0.0),
)

# A single mediator is parallel to itself: two active paths are no null.
SINGLE_NULLS = tuple(null for null in NULLS if 0 in null[:2])

SETTINGS: Sequence[Setting] = (
    (0.3, 1.0, 1.0),
    (1.0, 0.3, 1.0),
    (0.5, 0.5, 1.0),
    (0.5, 2.0, 1.0),
    (2.0, 0.5, 1.0),
    (0.3, 0.3, 1.0),
    (0.2, 0.2, 1.0),
    (0.1, 1.0, 1.0),
    (1.0, 0.1, 1.0),
    (1.0, 1.0, 1.0),
    (1.0, 1.0, 0.5),
    (3.0, 3.0, 0.5),
    (0.5, 0.5, 0.5),
    (0.3, 0.3, 0.5),
    (0.1, 1.0, 0.5),
    (1.0, 0.1, 0.5),
    (1.0, 1.0, 0.0),
    (0.3, 1.0, 0.0),
    (0.3, 0.3, 0.0),
    (0.2, 0.2, 0.0),
    (1.0, 0.0, 0.0),
    (0.0, 1.0, 0.0),
    (0.0, 0.0, 0.0),
    (0.3, 1.0, -0.5),
    (1.0, 0.3, -0.5),
    (1.0, 1.0, -0.5),
    (1.0, 1.0, -1.0),
)
SINGLE_SETTINGS = tuple(s for s in SETTINGS if abs(s[2]) == 1 or 0 in s[:2])

FEW: Sequence[Shape] = tuple((n, p) for p in (2, 5, 10) for n in (60, 276))
SINGLE: Sequence[Shape] = ((60, 1), (276, 1))
SIZE_SHAPES: Sequence[Shape] = (
    (30, 10),
    (60, 20),
    (100, 10),
    (200, 20),
    (200, 80),
    (200, 180),
    (500, 100),
    (1000, 500),
    (200, 3),
    (60, 2),
    *(shape for shape in FEW if shape != (60, 2)),
)
COVERAGE_SHAPES: Sequence[Shape] = (
    (60, 20),
    (100, 10),
    (200, 20),
    (200, 80),
    (500, 100),
    (1000, 500),
    *FEW,
)


def laws_at(settings: Iterable[Setting], shape: Shape) -> Law:
    """The laws of several settings: strengths and alignment [k], sizes scalar."""
    k_a, k_y, alignment = map(jnp.asarray, zip(*settings, strict=True))
    n, p = shape
    return law(
        k_a,
        k_y,
        alignment,
        exposure_ss=float(n),
        residual_df=float(n - 2),
        num_mediators=float(p),
    )


def law_at(setting: Setting, shape: Shape) -> Law:
    """The law of one setting, scalar leaves."""
    return jax.tree.map(lambda leaf: leaf.reshape(()), laws_at([setting], shape))


def data_sets(key: Key, laws: Law) -> PathQuadratics:
    """One independent data set of each law of `laws_at`, leaves [k]."""
    count = laws.exposure_strength.size
    m, p = laws.residual_df, laws.num_mediators
    draws = base_draws(key, m, p, count, laws.exposure_strength.dtype)
    found = quadratics_at(draws, laws)
    return jax.tree.map(lambda leaf: jnp.broadcast_to(leaf, (count,)), found)


def nulls_of(shape: Shape) -> Sequence[Setting]:
    """The nulls that exist with so many mediators."""
    return SINGLE_NULLS if shape[1] == 1 else NULLS


def number(value: float) -> str:
    """E.g. ".3"."""
    return f"{value:g}".replace("0.", ".")


def label(setting: Setting) -> str:
    """E.g. ".3 1 .5"."""
    return " ".join(map(number, setting))


def shape_name(shape: Shape) -> str:
    """Part of a cell's name."""
    return "n={}/p={}".format(*shape)
