"""Where checked columns lie: on the devices that their arrays came from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from jaxmed.typing import Array

if TYPE_CHECKING:
    from jaxmed.data.mediation_data import MediationData

EXPLICIT = (
    "an array lies on a mesh with explicit axes, where every operation must be told how its result "
    "is sharded: make the mesh with axis_types=(jax.sharding.AxisType.Auto,) for each axis, or "
    "give host arrays to jaxmed.parallel"
)


def refuse_explicit_axes(*arrays: Any) -> None:
    """Refuse arrays whose sharding is part of their type.

    Raises:
      ValueError: an array is sharded along an axis of type `Explicit`.
    """
    for array in arrays:
        if isinstance(array, jax.Array):
            sharding = jax.typeof(array).sharding
            if AxisType.Explicit in sharding.mesh.axis_types:
                raise ValueError(EXPLICIT)


def placed(
    data: "MediationData", host: Sequence[Any], given: Sequence[Any], beside: Array
) -> "MediationData":
    """Host columns as JAX arrays where the given ones lie.

    Args:
      data: checked columns.
      host: what they were before the checks; a column that is still the same is not copied.
      given: what these were made from, in the same order, None for none.
      beside: the mediators, where columns go that came from the host.
    """

    def back(column: Any, before: Any, array: Any) -> Array | None:
        if column is None or (column is before and isinstance(array, jax.Array)):
            return array
        return _like(column, array if isinstance(array, jax.Array) else beside)

    columns = (data.exposure, data.mediators, data.outcome, data.covariates, data.weights)
    found = map(back, columns, host, given)
    return type(data)(*found, names=data.names)  # pyright: ignore[reportArgumentType]


def _like(column: np.ndarray, source: Array) -> Array:
    """The column on the devices of `source`, its rows split as there."""
    if not source.committed:  # JAX may move what nobody has placed
        return jnp.asarray(column)
    sharding = source.sharding
    if not isinstance(sharding, NamedSharding):
        (device,) = sharding.device_set
        return jax.device_put(column, device)
    rows = sharding.spec[0] if len(sharding.spec) else None
    # Columns of another array need not be a multiple of the devices that share those of `source`.
    whole = column.shape == source.shape
    spec = sharding.spec if whole else PartitionSpec(rows)
    return jax.device_put(column, NamedSharding(sharding.mesh, spec))
