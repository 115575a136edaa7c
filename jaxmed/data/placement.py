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
    """Host columns as JAX arrays on the devices of the mediators.

    Where nobody has placed the mediators, the first column that was placed decides. Columns keep
    how they are split over these devices; those from elsewhere are split by rows as the others.

    Args:
      data: checked columns.
      host: what they were before the checks; a column that is still the same is not copied.
      given: what these were made from, in the same order, None for none.
      beside: the mediators, where columns go that came from the host.

    Raises:
      ValueError: rows that the devices of sharded columns cannot share.
    """
    arrays = [array for array in given if isinstance(array, jax.Array)]
    chosen = next((array for array in (beside, *arrays) if array.committed), beside)

    def back(name: str, column: Any, before: Any, array: Any) -> Array | None:
        if not isinstance(array, jax.Array):
            return None if column is None else _like(name, column, chosen)
        if array.committed and _devices(array) != _devices(chosen):
            return _like(name, column, chosen)
        whole = column is before and column.shape == array.shape  # no cast, no row left out
        return array if whole else _like(name, column, array)

    names = ("exposure", "mediators", "outcome", "covariates", "weights")
    columns = (getattr(data, name) for name in names)
    found = map(back, names, columns, host, given)
    return type(data)(*found, names=data.names)  # pyright: ignore[reportArgumentType]


def _devices(array: Array) -> tuple[Any, ...]:
    """In their order, which one program needs to be the same for all arguments."""
    sharding = array.sharding
    if isinstance(sharding, NamedSharding):
        return tuple(sharding.mesh.devices.flat)  # pyright: ignore[reportOptionalMemberAccess]
    return tuple(sorted(sharding.device_set, key=lambda device: device.id))


def _like(name: str, column: np.ndarray, source: Array) -> Array:
    """The column on the devices of `source`, its rows split as there."""
    if not source.committed:  # JAX may move what nobody has placed
        return jnp.asarray(column)
    sharding = source.sharding
    if isinstance(sharding, NamedSharding) and column.shape != source.shape:
        rows = sharding.spec[0] if len(sharding.spec) else None
        sharding = NamedSharding(sharding.mesh, PartitionSpec(rows))
    try:
        sharding.shard_shape(column.shape)
    except ValueError as error:
        raise ValueError(
            f"{name} of shape {column.shape} cannot be split over {len(sharding.device_set)} "
            f"devices as a column of shape {source.shape} is, by {sharding}: leave out rows until "
            "their number is a multiple of the devices, or give host arrays to jaxmed.parallel"
        ) from error
    return jax.device_put(column, sharding)
