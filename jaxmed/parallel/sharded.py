"""Statistics of rows, or of mediators, that are spread over the devices of a mesh.

One program on every device and one sum over them: nothing else is exchanged. Results are those of
one device to rounding (sums in another order), not to the last bit.
"""

import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from jaxmed.data.mediation_data import MediationData
from jaxmed.linalg import products
from jaxmed.linalg.safe import divide
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.dual_stats import DualStatistics, without_mediators
from jaxmed.typing import Array

__all__ = ["place", "sharded_dual", "sharded_moments", "sharded_weights"]

AXIS = "shard"


def _flat(mesh: Mesh | Any) -> Mesh:
    devices = mesh.devices.ravel() if isinstance(mesh, Mesh) else np.array(list(mesh))
    if devices.size == 0:
        raise ValueError("mesh names no device")
    return Mesh(devices, (AXIS,))


def _placed(mesh: Mesh, values: Any, axis: int) -> Array:
    """Zeros added up to a multiple of the devices, and one piece on each."""
    extra = -values.shape[axis] % mesh.size
    if extra:
        width = [(0, extra if i == axis else 0) for i in range(values.ndim)]
        values = np.pad(values, width) if isinstance(values, np.ndarray) else jnp.pad(values, width)
    spec: list[str | None] = [None] * values.ndim
    spec[axis] = AXIS
    return jax.device_put(values, NamedSharding(mesh, PartitionSpec(*spec)))


def place(data: MediationData, mesh: Mesh | Any) -> MediationData:
    """The rows in equal pieces on the devices, padded with rows of weight zero.

    Args:
      data: concrete.
      mesh: a mesh, all of whose devices are used, or a sequence of devices.
    """
    mesh = _flat(mesh)
    n, dtype = data.exposure.shape[0], data.mediators.dtype
    w = np.ones(n, dtype) if data.weights is None else data.weights
    columns = (data.exposure, data.mediators, data.outcome, data.covariates, w)
    placed = [_placed(mesh, values, 0) for values in columns]
    return MediationData(placed[0], placed[1], placed[2], placed[3], placed[4], data.names)


def sharded_moments(data: MediationData, mesh: Mesh | Any) -> CrossMoments:
    """`cross_moments` with the rows in equal pieces on the devices.

    Args:
      data: concrete; what `place` has put on these devices stays there.
      mesh: a mesh, all of whose devices are used, or a sequence of devices.
    Returns:
      CrossMoments of JAX arrays, the same on every device.
    """
    data = place(data, mesh)
    scalars, mean, comoment = _moments_program(_flat(mesh))(
        data.covariates, data.exposure, data.outcome, data.mediators, data.weights
    )
    return CrossMoments(
        scalars[0], scalars[1], scalars[2], mean, comoment, data.covariates.shape[1], data.names
    )


@functools.cache
def _moments_program(mesh: Mesh) -> Any:
    def piece(c: Array, a: Array, y: Array, x: Array, w: Array) -> tuple[Array, Array, Array]:
        def add(values: Array) -> Array:
            return jax.lax.psum(values, AXIS)

        columns = jnp.concatenate([c, a[:, None], y[:, None], x], axis=1)
        used = (w > 0).astype(x.dtype)
        scalars = add(jnp.stack([jnp.sum(used), jnp.sum(w), jnp.sum(w * w)]))
        mean = divide(add(products.matmul(w[None, :], columns)[0]), scalars[1])
        centred = jnp.sqrt(w)[:, None] * (columns - mean)
        return scalars, mean, add(products.gram(centred))

    rows, whole = PartitionSpec(AXIS), PartitionSpec()
    return jax.jit(jax.shard_map(piece, mesh=mesh, in_specs=(rows,) * 5, out_specs=(whole,) * 3))


def sharded_dual(data: MediationData, mesh: Mesh | Any) -> DualStatistics:
    """`dual_statistics` with the mediators in equal pieces on the devices; n x n is everywhere.

    Args:
      data: exposure [n], mediators [n, p], outcome [n], covariates [n, q], weights [n] or None.
        Mediators are padded with columns of zeros, which count nowhere.
      mesh: a mesh, all of whose devices are used, or a sequence of devices.
    Returns:
      DualStatistics without the mediators: composites of its paths have row coefficients x [n],
      and their weights are `sharded_weights(data, mesh, x)`.
    """
    mesh = _flat(mesh)
    stats = _frame(data)
    kernel = _kernel_program(mesh)(_placed(mesh, data.mediators, 1), stats.basis, stats.row_weights)
    p = data.mediators.shape[1]
    return DualStatistics(
        kernel, stats.basis, stats.exposure, stats.outcome, stats.row_weights, None, stats.status, p
    )


@functools.cache
def _kernel_program(mesh: Mesh) -> Any:
    def piece(x: Array, basis: Array, w: Array) -> Array:
        return jax.lax.psum(products.gram(_residual(x, basis, w).T), AXIS)

    specs = (PartitionSpec(None, AXIS), PartitionSpec(), PartitionSpec())
    return jax.jit(jax.shard_map(piece, mesh=mesh, in_specs=specs, out_specs=PartitionSpec()))


def sharded_weights(data: MediationData, mesh: Mesh | Any, coefficients: Array) -> Array:
    """Weights [p, k] of composites from row coefficients [n, k] of `sharded_dual`'s paths."""
    mesh = _flat(mesh)
    stats = _frame(data)
    found = _weights_program(mesh)(
        _placed(mesh, data.mediators, 1), stats.basis, stats.row_weights, coefficients
    )
    return found[: data.mediators.shape[1]]


@functools.cache
def _weights_program(mesh: Mesh) -> Any:
    def piece(x: Array, basis: Array, w: Array, rows: Array) -> Array:
        return products.matmul(_residual(x, basis, w).T, rows)

    specs = (PartitionSpec(None, AXIS), PartitionSpec(), PartitionSpec(), PartitionSpec())
    return jax.jit(jax.shard_map(piece, mesh=mesh, in_specs=specs, out_specs=PartitionSpec(AXIS)))


def _frame(data: MediationData) -> DualStatistics:
    """What the rows give without their mediators, on the default device."""
    rows = dataclasses.replace(data, mediators=data.mediators[:, :0])
    return without_mediators(jax.tree.map(jnp.asarray, rows))


def _residual(x: Array, basis: Array, w: Array) -> Array:
    """Mediators [n, k] times the root of the weights, off [1, covariates]."""
    root = jnp.sqrt(w)
    mean = divide(products.matmul(w[None, :], x), jnp.sum(w))
    x = root[:, None] * (x - mean)
    return x - products.matmul(basis, products.cross(basis, x))
