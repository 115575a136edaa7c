"""Decomposition of a group disparity into parts through chosen sets of mediators."""

from collections.abc import Mapping, Sequence
from itertools import combinations

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.data import validation
from jaxmed.data.mediation_data import MediationData
from jaxmed.door import at_the_door
from jaxmed.estimands.generated_disparity import GeneratedDisparity, generated_disparity
from jaxmed.estimands.generator import Generator, Trainable, generators_of
from jaxmed.estimands.structural import (
    Adjust,
    Structural,
    check_options,
    legs_with,
    mean_of,
    on_mediators,
    select,
    settled,
    structural,
)
from jaxmed.estimands.terms import Terms, mediator_positions, terms_of
from jaxmed.estimators.parts.arms import Arms, arms_of
from jaxmed.estimators.parts.basis import Basis
from jaxmed.keys import as_key
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.base_span import project_out
from jaxmed.typing import Array, Key, pytree

__all__ = ["Disparity", "GeneratedDisparity", "disparity"]

RESERVED = ("disparity", "covariates", "direct", "other mediators", "unexplained")


@pytree
class Disparity:
    """A disparity and its parts, in units of the outcome.

    `terms` has "disparity" = the sets + "other mediators" + "direct" + "covariates", and
    "unexplained" = "disparity" - the sets.
    """

    terms: Terms
    gap: Terms  # "gap": of the union of all sets over the sum of their parts; all sets jointly
    generated: GeneratedDisparity | None
    selected: Array  # [p] bool, mediators of the outcome equation
    status: Array  # [] of the terms
    generator_status: Array | None  # [] of the training; it qualifies `generated` only


def disparity(
    key: Key,
    data: MediationData,
    sets: Mapping[str, Sequence[str | int]],
    *,
    generator: Generator | Trainable | None = None,
    seeds: int = 1,
    draws: int = 50,
    adjust: Adjust = "auto",
    basis: Basis = "splines_all_products",
    level: float = 0.95,
) -> Disparity:
    """Parts of E[Y | G=1] - E[Y | G=0] through sets of mediators.

    The part through S is E[Y(1, M_S(1), M_-S(1))] - E[Y(1, M_S(0), M_-S(1))] over the covariates
    of group 1: how the mean outcome of group 1 would change if S came to it as to group 0. It is
    causal if, given the covariates, nobody's group is confounded with mediators and outcome, and
    mediators are not confounded with the outcome given group and covariates; otherwise it is a
    decomposition of an association. Sets share no mediators; those in none are one part.

    In a partially linear model the part is the sum of a_k b_k over S, with group 1's covariates
    or any. "direct" is c; "covariates" is what the groups' different covariates explain.

    Args:
      key: consumed (folds of a lasso, training, draws).
      data: exposure is the group, two values, the larger one group 1.
      sets: names or positions of the mediators of each set.
      generator: draws beside the estimates: a configuration to train, a fit, or any object with
        the methods of `Generator`. None for none: `generated` and `generator_status` are None.
      seeds: trainings, where there is something to train.
      draws: of mediators and outcome for each individual.
      adjust: the outcome equation has "all" mediators, or those "selected" by three lassos (see
        `structural.select`); "auto" is "all" with at least four rows per mediator and basis
        column.
      basis: of the covariates.
      level: of the intervals.
    Returns:
      Disparity. `terms` are least squares estimates with intervals by influence functions that
      allow for unequal spread and are jointly normal. `gap` is of an outcome equation with one
      product of set scores for each pair of sets, -gamma_jk part_j part_k summed: 0 without
      interaction, and then its interval covers 0; its size is right where sets act on each
      other through their scores, and too small elsewhere; the generators' own gap is 0 to rounding
      wherever they are partially linear, as `improved` and `faithful` are.
    Raises:
      ValueError: an unknown or repeated mediator, sets that share one or have none, reserved
        names, an exposure with other than two values, an unknown option.
    Source: VanderWeele and Robinson (2014) for the estimands; MacKinnon and White (1985) for the
      variances. First-order normal: coverage in docs/beyond_mediation.md.
    """
    key = as_key(key)
    check_count("draws", draws)
    check_options(adjust, basis, level)
    members = _members(data, sets)
    check_two_values(data)
    folding, training, drawing = jax.random.split(key, 3)
    own = None if generator is None else generators_of(training, data, generator, seeds)
    terms, gap, selected, status, arms = _estimates(
        folding, *settled(data, basis), members, tuple(sets), adjust, level
    )
    return Disparity(
        terms,
        gap,
        None if own is None else generated_disparity(drawing, own, data, arms, members, draws),
        selected,
        status,
        None if own is None else own.status,
    )


@at_the_door("basis", "names", "adjust", "level")
def _estimates(
    key: Key,
    data: MediationData,
    basis: Basis,
    members: Array | np.ndarray,
    names: tuple[str, ...],
    adjust: str,
    level: float,
) -> tuple[Terms, Terms, Array, Array, Arms]:
    """Terms, gap, mediators of the outcome equation, status and the two groups."""
    legs = legs_with(data, basis)
    alpha = jnp.where(legs.constant, 0, legs.alpha.estimate)
    nothing = jnp.zeros(alpha.shape[0], bool)
    members = jnp.asarray(members)
    inside = members.astype(alpha.dtype)
    selected, code = select(key, legs, adjust, alpha[None] * inside, nothing)
    fit = structural(legs, selected)
    arms = arms_of(legs.rows.exposure, legs.rows.weights)
    # The coefficients are per unit of the exposure; the groups differ by the arms' width.
    found = _parts(fit, members, arms.width, names, legs.rows.exposure == arms.treated)
    method = "normal, influence functions, HC2"
    return (
        terms_of(found, level, method),
        terms_of(
            {"gap": _gap(fit, inside, arms.width)},
            level,
            f"{method}, one product a pair of sets",
        ),
        fit.selected,
        st.combine(code, fit.status),
        arms,
    )


def check_two_values(data: MediationData) -> None:
    """Raises ValueError where concrete exposures do not have two values."""
    if validation.is_traced(data.exposure, data.weights):
        return
    exposure = np.asarray(data.exposure)
    kept = exposure if data.weights is None else exposure[np.asarray(data.weights) > 0]
    count = len(np.unique(kept))
    if count != 2:
        raise ValueError(f"{data.names.exposure!r} must have two values here, it has {count}")


def _members(data: MediationData, sets: Mapping[str, Sequence[str | int]]) -> np.ndarray:
    """[J, p] bool."""
    if not sets:
        raise ValueError("at least one set of mediators is needed")
    taken: dict[int, str] = {}
    p = data.mediators.shape[1]
    rows = np.zeros((len(sets), p), bool)
    for row, (name, wanted) in zip(rows, sets.items(), strict=True):
        if name in RESERVED:
            raise ValueError(f"{name!r} is the name of another part: choose another for the set")
        positions = mediator_positions(data, wanted)
        for k in positions:
            if k in taken:
                label = data.names.mediators[k] if data.names.mediators else k
                raise ValueError(
                    f"mediator {label!r} is in the sets {taken[k]!r} and {name!r}: the parts of "
                    "sets that share mediators do not add up"
                )
            taken[k] = name
        row[list(positions)] = True
    return rows


def _parts(
    fit: Structural, members: Array, width: Array, names: tuple[str, ...], group: Array
) -> dict[str, tuple[Array, Array]]:
    """Every term with its influence."""
    w, y = fit.legs.rows.weights, fit.legs.rows.outcome
    first, second = (mean_of(w * side.astype(w.dtype), y) for side in (group, ~group))
    whole, whole_influence = first[0] - second[0], first[1] - second[1]

    def scaled(value: tuple[Array, Array]) -> tuple[Array, Array]:
        return width * value[0], width * value[1]

    parts = {name: scaled(fit.path(row)) for name, row in zip(names, members, strict=True)}
    others = scaled(fit.path(~jnp.any(members, axis=0)))
    direct = scaled((fit.direct, fit.of_direct()))
    known = [*parts.values(), others, direct]
    explained, explained_influence = (sum(x) for x in zip(*parts.values(), strict=True))
    adjusted, adjusted_influence = (sum(x) for x in zip(*known, strict=True))
    return {
        "disparity": (whole, whole_influence),
        **parts,
        "other mediators": others,
        "direct": direct,
        "covariates": (whole - adjusted, whole_influence - adjusted_influence),
        "unexplained": (whole - explained, whole_influence - explained_influence),
    }  # pyright: ignore[reportReturnType]


def _gap(fit: Structural, inside: Array, width: Array) -> tuple[Array, Array]:
    """Part of the union less the sum of the parts, where sets (1 inside) act on each other.

    With u_j = M_Sj b_Sj and the further terms gamma_jk u_j u_k of the outcome, the part of two
    sets together is that of either plus
    -gamma_jk E[(u_j(1) - u_j(0)) (u_k(1) - u_k(0))] = -gamma_jk part_j part_k.
    The influence is that of gamma: at gamma = 0 the parts' own has no first-order share.
    """
    legs = fit.legs
    w = legs.rows.weights
    parts = width * matmul(inside * fit.alpha[None], fit.beta)
    scores = matmul(legs.rows.mediators, (inside * fit.beta[None]).T)
    scores = scores - (matmul(w, scores) / legs.rows.count)[None]
    pairs = list(combinations(range(inside.shape[0]), 2))
    if not pairs:
        zero = jnp.zeros((), scores.dtype)
        return zero, jnp.zeros_like(w)
    products = jnp.stack([scores[:, j] * scores[:, k] for j, k in pairs], axis=1)
    base = jnp.concatenate([legs.rows.outcome_base, legs.rows.exposure[:, None]], axis=1)
    left = project_out(base, w, products)
    # Frisch-Waugh-Lovell: the products given everything that the outcome equation has.
    left = jax.vmap(lambda c: on_mediators(legs, c, fit.selected).residual, 1, 1)(left)
    size = sqrt(matmul(w, left * left))
    unit = divide(left, size)
    inverse = jnp.linalg.pinv(matmul((unit * w[:, None]).T, unit), hermitian=True)
    back = divide(matmul(unit, inverse), size)
    gamma = matmul(w * fit.residual, back)
    residual = fit.residual - matmul(left, gamma)
    shift = -jnp.stack([parts[j] * parts[k] for j, k in pairs])
    leverage = jnp.clip(fit.outcome.leverage, 0, 1 - 1e-3)
    return jnp.sum(gamma * shift), (
        jnp.sqrt(w) * matmul(back, shift) * residual / jnp.sqrt(1 - leverage)
    )
