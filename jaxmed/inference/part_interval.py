"""The interval of one part of the indirect effect, and what it is for a single mediator."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.inference.debiased import Part, indirect_estimates, naive_indirect
from jaxmed.inference.residual import HasQuadratics
from jaxmed.inference.single_mediator import is_single, single_mediator, single_mediator_limits
from jaxmed.status import NO_NOTES, combine_notes
from jaxmed.typing import Array, Interval, pytree

__all__ = ["IndirectInterval", "chosen_interval", "single_interval"]

PRODUCT, NO_INTERVAL = "product of normals", "none"


@pytree
class IndirectInterval:
    """One part of the indirect effect with its interval; leaves of one shape."""

    estimate: Array  # debiased, outcome per exposure
    naive: Array  # in-sample, as the paper reports it
    interval: Interval
    standard_error: Array  # closed form with "inversion", else sd of the bootstrap estimates
    status: Array  # int32
    notes: Array | np.uint32 = NO_NOTES  # uint32 bits, see `status.Note`


def single_interval(
    paths: HasQuadratics, *, level: float = 0.95, part: Part = "total"
) -> IndirectInterval:
    """What `indirect_interval` says where r = 1, without any draw; it means nothing elsewhere.

    The total indirect effect has the product interval of the single mediator and its delta
    standard error; the parts have neither.
    """
    q = paths.quadratics
    estimates = indirect_estimates(q)
    if part == "total":
        mediator = single_mediator(q, estimates.residual_sd**2)
        interval = Interval(*single_mediator_limits(mediator, level), level, PRODUCT)
        error = mediator.standard_error
    else:
        error = jnp.full_like(estimates.total, jnp.nan)
        interval = Interval(error, error, level, NO_INTERVAL)
    return IndirectInterval(
        estimate=estimates.part(part),
        naive=naive_indirect(q, part),
        interval=interval,
        standard_error=error,
        status=estimates.status,
        notes=combine_notes(q.notes) if part == "total" else estimates.notes,
    )


def chosen_interval(
    q: PathQuadratics, several: IndirectInterval, single: bool | None, level: float, part: Part
) -> IndirectInterval:
    """The interval of one mediator or of several, or of both where it is not known which."""
    alone = single_interval(q, level=level, part=part)
    if single is None:
        return _mix(is_single(q), alone, several)
    return alone if single else several


def _mix(single: Array, alone: IndirectInterval, several: IndirectInterval) -> IndirectInterval:
    """Both under one compile-time name, since r is not known while tracing."""
    name = f"{several.interval.method}; {alone.interval.method} for a single mediator"

    def named(one: IndirectInterval) -> IndirectInterval:
        interval = dataclasses.replace(one.interval, method=name)
        return dataclasses.replace(one, interval=interval)

    return jax.tree.map(lambda x, y: jnp.where(single, x, y), named(alone), named(several))
