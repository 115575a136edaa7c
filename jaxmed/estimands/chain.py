"""Path-specific effects of a chain of two blocks of mediators, X -> M1 -> M2 -> Y."""

from collections.abc import Sequence
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData
from jaxmed.door import at_the_door
from jaxmed.estimands.generated_paths import generated_paths
from jaxmed.estimands.generator import Generator, Trainable, generators_of
from jaxmed.estimands.structural import (
    Adjust,
    Structural,
    check_options,
    legs_with,
    on_mediators,
    select,
    settled,
    structural,
    support_of,
    uses_all,
)
from jaxmed.estimands.terms import Terms, mediator_positions, terms_of
from jaxmed.estimators.parts import supports as sp
from jaxmed.estimators.parts.arms import Arms, arms_of
from jaxmed.estimators.parts.basis import Basis
from jaxmed.keys import as_key
from jaxmed.linalg.products import matmul
from jaxmed.typing import Array, Key, pytree

__all__ = ["Chain", "chain"]

PATHS = ("direct", "first", "second", "first then second", "total")


@pytree
class Chain:
    """Effects along the four paths, outcome units for the exposure's contrast.

    `effects` has "direct", "first" (exposure -> M1 -> outcome), "second" (exposure -> M2 ->
    outcome), "first then second" (exposure -> M1 -> M2 -> outcome) and "total", their sum.
    """

    effects: Terms
    pairs: Array  # [p1, p2] effect through mediator j of the first, then k of the second block
    link: Array  # [p2, p1] D: mediator of the second block per unit of one of the first
    second_alpha: Array  # [p2] exposure -> second block given the first
    generated: Array | None  # [5] the same paths by the generators, with `link`
    selected: Array  # [p1 + p2] bool, mediators of the outcome equation: first block, then second
    status: Array  # [] of the effects
    generator_status: Array | None  # [] of the training; it qualifies `generated` only


def chain(
    key: Key,
    data: MediationData,
    first: Sequence[str | int],
    second: Sequence[str | int] | None = None,
    *,
    generator: Generator | Trainable | None = None,
    seeds: int = 1,
    draws: int = 50,
    adjust: Adjust = "sparse",
    basis: Basis = "splines_all_products",
    level: float = 0.95,
) -> Chain:
    """Effects through the first block only, the second only, both in turn, and the rest.

        M1 = a1 T + g1(X) + e1,   M2 = a2 T + D M1 + g2(X) + e2,
        Y  = c T + b1.M1 + b2.M2 + g0(X) + e

    so that the effects are a1.b1, a2.b2, b2.D a1 and c, times the exposure's contrast. They add
    up to the total effect of least squares exactly, whatever is selected. No order is assumed
    within a block, and no mediator of the second block acts on the first.

    Args:
      key: consumed (folds of a lasso, training, draws).
      data: both blocks are columns of the mediators; columns in neither are not looked at.
      first: names or positions of M1.
      second: of M2; all mediators that are not in M1 if None.
      generator: draws beside the estimates, as in `disparity`, of the columns of M1, then M2;
        None for none.
      seeds: trainings, where there is something to train.
      draws: of mediators and outcome for each individual, from generators without `linear_part`.
      adjust: "sparse": the equation of Y and that of every mediator of M2 by lasso and BIC;
        "all" mediators in all of them; "selected": Y as in `structural.select`, M2 by lasso and
        BIC with those of M1 that are in the equation of Y; "auto" is "all" with at least four
        rows per mediator and basis column, else "selected". "sparse" has up to a third less
        error, and intervals that hold where no coefficient is near the threshold of selection;
        "all" needs no such luck.
      basis: of the covariates.
      level: of the intervals.
    Returns:
      Chain. `generated` has D of least squares: the generators draw both blocks at once and know
        nothing of their order. The rest is the generators' a, b and c where they have them
        (`linear_part`), else means over draws: Y(1, M(1)) less Y(0, M(1)), less Y with M1(0), less
        Y with M2(0), and less Y with M2(1) - D (M1(1) - M1(0)).
    Raises:
      ValueError: an unknown or repeated mediator, a mediator in both blocks, an empty block, an
        unknown option.
    Source: Daniel et al. (2015) for the paths; linear structural equations, where the paths are
      identified without assumptions on cross-world independence of M1 and M2. First-order normal
      intervals; where a1 and b1 (or D and b2) are both near 0 they are conservative.
    """
    key = as_key(key)
    check_count("draws", draws)
    check_options(adjust, basis, level)
    rows, size = _two_blocks(data, first, second)
    folding, training, drawing = jax.random.split(key, 3)
    own = None if generator is None else generators_of(training, rows, generator, seeds)
    found, arms = _estimates(folding, *settled(rows, basis), size, adjust, level)
    if own is None:
        return found
    drawn = generated_paths(drawing, own, rows, arms, found.link, size, draws)
    return replace(found, generated=drawn, generator_status=own.status)


# Optimised: a lasso for every mediator of M2 is most of the time where there are many.
@at_the_door("basis", "size", "adjust", "level", optimised=True)
def _estimates(
    key: Key, data: MediationData, basis: Basis, size: int, adjust: str, level: float
) -> tuple[Chain, Arms]:
    """Everything but what generators say, and the exposures that are compared."""
    legs = legs_with(data, basis)
    alpha = jnp.where(legs.constant, 0, legs.alpha.estimate)
    p = alpha.shape[0]
    in_first = (jnp.arange(p) < size).astype(alpha.dtype)
    directions = jnp.stack([alpha * in_first, alpha * (1 - in_first)])
    selected, code = select(key, legs, adjust, directions, jnp.zeros(p, bool))
    fit = structural(legs, selected)
    link, through, codes = _link(fit, size, "all" if uses_all(adjust, legs) else adjust)
    arms = arms_of(legs.rows.exposure, legs.rows.weights)
    found = {
        name: (arms.width * value, arms.width * influence)
        for name, (value, influence) in _paths(fit, link, through, size).items()
    }
    a1, b2 = fit.alpha[:size], fit.beta[size:]
    return Chain(
        terms_of(found, level, "normal, influence functions, HC2"),
        arms.width * a1[:, None] * link.T * b2[None],
        link,
        fit.alpha[size:] - matmul(link, a1),
        None,
        fit.selected,
        st.combine(code, fit.status, codes),
        None,
    ), arms


def _two_blocks(
    data: MediationData, first: Sequence[str | int], second: Sequence[str | int] | None
) -> tuple[MediationData, int]:
    """The data with the mediators of both blocks, the first one first, and its size."""
    one = mediator_positions(data, first)
    if second is None:
        second = [k for k in range(data.mediators.shape[1]) if k not in one]
    two = mediator_positions(data, second)
    both = [k for k in one if k in two]
    names = data.names.mediators
    if both:
        label = names[both[0]] if names else both[0]
        raise ValueError(f"mediator {label!r} is in both blocks")
    index = list(one + two)
    kept = tuple(names[k] for k in index) if names else ()
    return replace(
        data,
        mediators=jnp.take(jnp.asarray(data.mediators), np.asarray(index), axis=1),
        names=replace(data.names, mediators=kept),
    ), len(one)


def _link(fit: Structural, size: int, adjust: str) -> tuple[Array, Array, Array]:
    """D [p2, p1], the influence [p2, n] on D_k.a1 with a1 held, and a status."""
    legs = fit.legs
    p = legs.mediators.shape[1]
    in_first = (jnp.arange(p) < size) & ~legs.constant
    a1 = fit.alpha * in_first.astype(fit.alpha.dtype)
    ready = sp.standardised(legs)
    root = jnp.sqrt(legs.rows.weights)

    def one(column: Array) -> tuple[Array, Array, Array]:
        support = in_first
        if adjust != "all":
            support, _ = support_of(legs, ready, column, in_first)
        if adjust not in ("all", "sparse"):
            support = support | (in_first & fit.selected)
        found = on_mediators(legs, column, support)
        return found.coefficients, root * matmul(found.back, a1) * found.scores, found.status

    link, through, codes = jax.lax.map(one, legs.mediators[:, size:].T)
    return link[:, :size], through, jnp.max(codes)


def _paths(
    fit: Structural, link: Array, through: Array, size: int
) -> dict[str, tuple[Array, Array]]:
    """The paths per unit of exposure, with their influence."""
    a, b = fit.alpha, fit.beta
    in_first = jnp.arange(a.shape[0]) < size
    one, two = jnp.zeros_like(a), jnp.zeros_like(a)
    carried = matmul(link, a[:size])  # D a1
    weight = matmul(b[size:], link)  # D'b2
    one, two = one.at[:size].set(weight), two.at[size:].set(carried)
    # D.a1 enters through b2, D and a1.
    chained = jnp.sum(b[size:] * carried)
    chained_influence = fit.of_beta(two) + matmul(b[size:], through) + fit.of_alpha(one)
    direct = (fit.direct, fit.of_direct())
    first, second = fit.path(in_first), fit.path(~in_first)
    found = {
        "direct": direct,
        "first": first,
        "second": (second[0] - chained, second[1] - chained_influence),
        "first then second": (chained, chained_influence),
    }
    total = [sum(parts) for parts in zip(*found.values(), strict=True)]
    return {**found, "total": (total[0], total[1])}  # pyright: ignore[reportReturnType]
