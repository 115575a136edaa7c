"""Which rows are trained on, and when they are too few."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_at_least, said
from jaxmed.data import validation
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import InvalidDataError, ShapeError
from jaxmed.gahmn.scaling import Scaled
from jaxmed.typing import Array, Key

__all__ = ["MIN_ARM", "check_rows", "holdout_rows", "small_arm"]

MIN_ARM = 20


def holdout_rows(key: Key, num_rows: int, holdout: float) -> tuple[Array, Array]:
    """Positions of training and held-out rows.

    Args:
      key: consumed.
      num_rows: n.
      holdout: share of the rows held out.
    """
    order = jax.random.permutation(key, num_rows)
    train = num_rows - round(holdout * num_rows)
    return jnp.sort(order[:train]), jnp.sort(order[train:])


def check_rows(data: MediationData, min_rows: int = 50) -> None:
    """Refuses too few rows, and a binary exposure with an arm below 20 rows.

    Args:
      data: concrete values are looked at, traced ones only for their shape.
      min_rows: least number of rows.
    Raises:
      ShapeError: fewer rows.
      InvalidDataError: an arm that is too small, with the column's name.
    """
    n = data.exposure.shape[0]
    check_at_least("min_rows", min_rows, 0)
    if n < min_rows:
        raise ShapeError(
            f"adversarial training on {n} rows is not to be trusted: at least "
            f"min_rows={said(min_rows)} are asked for; pass a lower min_rows to train all the same"
        )
    if validation.is_traced(data.exposure):
        return
    exposure = np.asarray(data.exposure)
    kept = exposure if data.weights is None else exposure[np.asarray(data.weights) > 0]
    values, counts = np.unique(kept, return_counts=True)
    name = data.names.exposure
    if len(values) == 1:
        raise InvalidDataError(
            f"exposure {name!r} has the value {values[0]:g} in all rows, so that one arm is "
            "empty: rows of both arms are needed"
        )
    if len(values) == 2 and counts.min() < MIN_ARM:
        arm, small = values[counts.argmin()], counts.min()
        raise InvalidDataError(
            f"exposure {name!r} has only {small} rows with the value {arm:g}: each arm needs "
            f"{MIN_ARM} for its distribution to be learned; merge levels or collect more rows"
        )


def small_arm(data: Scaled) -> Array:
    """SMALL_SAMPLE where an arm of a binary exposure has less than 20 rows; for traced data."""
    present = data.weights > 0
    rows = [jnp.sum(present & (data.exposure == arm)) for arm in (0, 1)]
    binary = rows[0] + rows[1] == jnp.sum(present)
    return st.when(binary & (jnp.minimum(*rows) < MIN_ARM), st.SMALL_SAMPLE)
