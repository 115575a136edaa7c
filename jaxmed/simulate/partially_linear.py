"""The partially linear design with many mediators: binary exposure, nonlinear confounding.

M_k = alpha_k A + g_k(X) + e_k and Y = 2 + direct A + M beta + g_0(X) + N(0, 1), X two independent
standard normals and A a fair coin, independent of X; g_k is a random quadratic,
g_0 = -2 sqrt|X_1 + 5| + sin(1.5 X_2), and cov(e_j, e_k) = correlation^|j-k| (0.1 + 0.3 |X_1| +
0.3 A).

Source: Zhang et al. (2026, AAAI 40:28247), eq. (15), which prints -0.5 A for the direct effect but
tabulates +0.5, the value used here.
"""

from typing import Literal, get_args

import jax
import jax.numpy as jnp

from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.keys import as_key
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import sqrt
from jaxmed.typing import Array, ArrayLike, Key, pytree

__all__ = ["PartiallyLinear", "Setting", "curves_of", "known_basis", "partially_linear", "sample"]

Setting = Literal[
    "A", "B", "A/4", "B/4", "D", "D2", "DV", "DB", "N0", "Na", "NA", "Nb", "NB", "Nd", "ND", "Nw"
]
_STRONG_A = (1.6, 1.2, 0.8, 0.4, 1.6)
_STRONG_B = (0.0, 0.0, 1.6, 1.2, 0.8, 0.4, 1.6)
_ONES_B = (0.0, 0.0, 1.0, 1.0, 1.0, 1.0)


@pytree
class PartiallyLinear:
    """Parameters of the design; `partially_linear` makes one by the name of its setting."""

    alpha: Array  # [p] exposure -> mediator
    beta: Array  # [p] mediator -> outcome, outcome units per mediator unit
    direct: Array  # [] exposure -> outcome given the mediators
    correlation: Array  # [] of the noise of neighbouring mediators

    @property
    def num_mediators(self) -> int:
        """P, from the shape."""
        return self.alpha.shape[-1]

    @property
    def indirect(self) -> Array:
        """True indirect effect of every mediator, [p]."""
        return self.alpha * self.beta

    @property
    def total_indirect(self) -> Array:
        """True total indirect effect."""
        return jnp.sum(self.indirect, axis=-1)

    @property
    def total(self) -> Array:
        """True total effect."""
        return self.direct + self.total_indirect


def partially_linear(
    setting: Setting, num_mediators: int, *, correlation: ArrayLike = 0.5, direct: ArrayLike = 0.5
) -> PartiallyLinear:
    """The design in one of its settings.

    "A", "B": strong and sparse, as printed; "A/4", "B/4": both paths divided by 4. "D": 0.15 on
    both paths of mediators 1-30; "D2": of every third of the first 90. "DV": 0.07 on both paths of
    every third mediator. "DB": "A" and 0.07 on the outcome path of every third from the 7th on.
    Total indirect effect 0: "N0" nothing; "Na", "NA" weak (0.15 on 30) or strong exposure paths
    alone; "Nb", "NB" outcome paths alone (0.15 on 30; 1 on four); "Nd" (0.3 on 1-15 and on 21-35),
    "ND" (strong on 1-5, 1 on 11-14) and "Nw" (weak on 1-5, 0.25 on 6-9) both, but not of the same
    mediators.

    Args:
      setting: one of the names above.
      num_mediators: p, static.
      correlation: in [0, 1).
      direct: effect of the exposure given the mediators.
    Raises:
      ValueError: an unknown setting, or too few mediators for it.
    Source: Zhang et al. (2026) for A and B; specification of the intervals for the others.
    """
    if setting not in get_args(Setting):
        raise ValueError(f"setting must be one of {get_args(Setting)}, not {setting!r}")
    check_count("num_mediators", num_mediators)
    every_third = range(0, num_mediators, 3)
    alpha: dict[int, float] = {}
    beta: dict[int, float] = {}
    match setting:
        case "A" | "A/4" | "DB":
            share = 4 if setting == "A/4" else 1
            alpha, beta = _from(0, _STRONG_A, share), _from(0, _ONES_B, share)
            if setting == "DB":
                beta |= dict.fromkeys(range(6, num_mediators, 3), 0.07)
        case "B" | "B/4":
            share = 4 if setting == "B/4" else 1
            alpha, beta = _from(0, (1.0,) * 5, share), _from(0, _STRONG_B, share)
        case "D":
            alpha = beta = dict.fromkeys(range(30), 0.15)
        case "D2":
            alpha = beta = dict.fromkeys(range(0, 90, 3), 0.15)
        case "DV":
            alpha = beta = dict.fromkeys(every_third, 0.07)
        case "Na":
            alpha = dict.fromkeys(range(30), 0.15)
        case "NA":
            alpha = _from(0, _STRONG_A)
        case "Nb":
            beta = dict.fromkeys(range(30), 0.15)
        case "NB":
            beta = _from(0, _ONES_B)
        case "Nd":
            alpha, beta = dict.fromkeys(range(15), 0.3), dict.fromkeys(range(20, 35), 0.3)
        case "ND":
            alpha, beta = _from(0, _STRONG_A), dict.fromkeys(range(10, 14), 1.0)
        case "Nw":
            alpha = _from(0, (0.4, 0.3, 0.2, 0.1, 0.4))
            beta = dict.fromkeys(range(5, 9), 0.25)
    needed = 1 + max((*alpha, *beta), default=0)
    if num_mediators < needed:
        raise ValueError(
            f"setting {setting} needs at least {needed} mediators, not {num_mediators}"
        )
    return PartiallyLinear(
        _dense(alpha, num_mediators),
        _dense(beta, num_mediators),
        jnp.asarray(direct, float),
        jnp.asarray(correlation, float),
    )


def sample(
    key: Key, model: PartiallyLinear, num_rows: int, curves: Array | None = None
) -> MediationData:
    """One data set of independent rows, with curves g_k of its own; the key is consumed.

    Args:
      key: PRNG key.
      model: one model (batch models by vmap).
      num_rows: n, static.
      curves: coefficients [p, 5] from `curves_of`, for another sample of the same population.
    Returns:
      MediationData of the model's dtype, with the covariates X_1, X_2.
    """
    key = as_key(key)
    dtype, p = model.alpha.dtype, model.num_mediators
    check_count("num_rows", num_rows, 1, (p + 4) * dtype.itemsize)
    keys = _keys(key)
    exposure = jax.random.bernoulli(keys[0], 0.5, (num_rows,)).astype(dtype)
    x = jax.random.normal(keys[1], (2, num_rows), dtype)
    curves = curves_of(key, model) if curves is None else curves
    variance = 0.1 + 0.3 * jnp.abs(x[0]) + 0.3 * exposure
    noise = sqrt(variance) * autoregressive(keys[3], model.correlation, p, num_rows)
    # Rows of this array are the mediators: a long last axis is drawn and mixed faster.
    mediators = model.alpha[:, None] * exposure + matmul(curves, jnp.stack(quadratic(x))) + noise
    outcome = 2 + model.direct * exposure + matmul(model.beta, mediators) + outcome_curve(x)
    outcome = outcome + jax.random.normal(keys[4], (num_rows,), dtype)
    return MediationData(exposure, mediators.T, outcome, x.T, None, Names())


def _keys(key: Key) -> Array:
    return jax.random.split(key, 5)


def curves_of(key: Key, model: PartiallyLinear) -> Array:
    """Coefficients [p, 5] of X_1, X_2, X_1^2, X_2^2 and X_1 X_2 in the g_k that `sample` draws.

    Args:
      key: the one that `sample` gets.
      model: as there.
    """
    key = as_key(key)
    p = model.num_mediators
    return jax.random.uniform(_keys(key)[2], (p, 5), model.alpha.dtype, -1, 1)


def known_basis(covariates: Array, weights: Array) -> Array:
    """The functions of the covariates [n, 2] that the design is made of, [n, 6], for an oracle."""
    del weights
    x = covariates.T
    return jnp.stack([*quadratic(x), outcome_curve(x)], axis=1)


def quadratic(x: Array) -> list[Array]:
    """The functions of the covariates x [2, n] that the curves of the mediators are made of."""
    return [x[0], x[1], x[0] ** 2, x[1] ** 2, x[0] * x[1]]


def outcome_curve(x: Array) -> Array:
    """g_0 [n] of the covariates x [2, n]."""
    return -2 * jnp.sqrt(jnp.abs(x[0] + 5)) + jnp.sin(1.5 * x[1])


def autoregressive(key: Key, correlation: Array, p: int, num_rows: int) -> Array:
    """Standard normals [p, n] of which rows i and j have the correlation to the power |i - j|."""
    key = as_key(key)
    fresh = jax.random.normal(key, (p, num_rows), correlation.dtype)
    rest = sqrt(1 - correlation * correlation)

    def step(before: Array, new: Array) -> tuple[Array, Array]:
        now = correlation * before + rest * new
        return now, now

    _, others = jax.lax.scan(step, fresh[0], fresh[1:])
    return jnp.concatenate([fresh[:1], others])


def _from(start: int, values: tuple[float, ...], divisor: float = 1) -> dict[int, float]:
    return {start + i: value / divisor for i, value in enumerate(values)}


def _dense(entries: dict[int, float], p: int) -> Array:
    where, values = jnp.asarray(list(entries), int), jnp.asarray(list(entries.values()), float)
    return jnp.zeros(p).at[where].set(values)
