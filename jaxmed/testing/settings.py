"""Checks of an estimator under JAX's settings: promotion, precision, NaNs, devices."""

import jax
import jax.numpy as jnp

from jaxmed.testing.nans import makers
from jaxmed.testing.subject import NotApplicableError, Subject


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
    """No operation makes a NaN of arguments without one, though the result may mask it.

    A NaN that is written down, for a quantity that the method does not have, is no such operation.
    """
    _ = subject.estimate
    found = makers(subject.estimator, subject.key, subject.data)
    assert not found, f"a NaN is made by {'; '.join(found)}"


def placement(subject: Subject) -> None:
    """Data on one device are fitted there, also where it is not the first."""
    if len(jax.devices()) == 1:
        raise NotApplicableError("there is one device")
    _, device = subject.estimate, jax.devices()[-1]
    found = subject.program(*jax.device_put((subject.key, subject.data), device))
    for path, leaf in jax.tree_util.tree_leaves_with_path(found):
        assert leaf.devices() == {device}, f"{jax.tree_util.keystr(path)} is on {leaf.devices()}"
