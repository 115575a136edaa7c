"""Checks of an estimator under JAX's settings: promotion, precision, NaNs, devices."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.testing.subject import Subject
from jaxmed.typing import Array


def strict_promotion(subject: Subject) -> None:
    """No dtypes are mixed without saying so (`jax_numpy_dtype_promotion`)."""
    # Of float32 data under x64, where a default dtype is another one than theirs.
    with jax.numpy_dtype_promotion("strict"):
        subject.traced(jnp.float32)


def rank_promotion(subject: Subject) -> None:
    """No axes are added without saying so (`jax_numpy_rank_promotion`)."""
    with jax.numpy_rank_promotion("raise"):
        subject.traced(jnp.float32)


def precision(subject: Subject) -> None:
    """float32 data have float32 answers, float64 data float64 ones."""
    for dtype, found in subject.traces.items():
        for path, leaf in jax.tree_util.tree_leaves_with_path(found):
            where = jax.tree_util.keystr(path)
            if jnp.issubdtype(leaf.dtype, jnp.floating):
                assert leaf.dtype == dtype, f"{where} of {dtype} data is {leaf.dtype}"


def debug_nans(subject: Subject) -> None:
    """No NaN is made for a result that has none (`jax_debug_nans`)."""
    free = [not np.isnan(leaf).any() for leaf in _numbers(subject.estimate)]

    def without_nan(key: Array, data: object) -> list[Array]:
        found = _numbers(subject.estimator(key, data))
        return [leaf for leaf, kept in zip(found, free, strict=True) if kept]

    with jax.debug_nans(True):
        jax.block_until_ready(jax.jit(without_nan)(subject.key, subject.data))


def placement(subject: Subject) -> None:
    """Data on one device are fitted there, also where it is not the first."""
    device = jax.devices()[-1]
    found = subject.program(*jax.device_put((subject.key, subject.data), device))
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        assert leaf.devices() == {device}, f"{jax.tree_util.keystr(path)} is on {leaf.devices()}"


def _numbers(estimate: object) -> list[Array]:
    leaves = jax.tree.leaves(estimate)
    return [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
