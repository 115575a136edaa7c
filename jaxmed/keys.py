"""Keys and seeds: every form that stands for one JAX key becomes that key, misuse an error."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.budget import said
from jaxmed.typing import Array, Key

__all__ = ["as_key", "check_seed", "key_or_none"]

LARGEST_SEED = 2**32 - 1  # larger ones are cut off silently by JAX where x64 is disabled
RAW_SHAPE, RAW_KIND = (2,), "threefry2x32"  # of jax.random.PRNGKey


def as_key(key: Any, name: str = "key") -> Key:
    """The typed key that `key` stands for; the draws are the same whatever the form.

    Args:
      key: made by `jax.random.key`; or the two uint32 numbers of one (`jax.random.PRNGKey`,
        `jax.random.key_data`), on the host or on a device, traced or not.
      name: of the argument, for the message.

    Raises:
      ValueError: anything else, a seed and several keys included.
    """
    remedy = "pass one key made by jax.random.key(seed)"
    if not isinstance(key, jax.Array | np.ndarray):
        seed = isinstance(key, int | np.integer) and not isinstance(key, bool)
        if seed and 0 <= key <= LARGEST_SEED:
            remedy = f"pass jax.random.key({key})"
        raise ValueError(f"{name} must be a JAX key, not {said(key)}: {remedy}")
    if isinstance(key, jax.Array) and jnp.issubdtype(key.dtype, jax.dtypes.prng_key):
        if key.shape == ():
            return key
        raise ValueError(
            f"{name} holds keys of shape {list(key.shape)}: pass one of them, or use jax.vmap"
        )
    if (key.dtype, key.shape) != (np.uint32, RAW_SHAPE):
        raise ValueError(f"{name} is an array {key.dtype}{list(key.shape)}: {remedy}")
    raw: Array = jnp.asarray(key)
    return jax.random.wrap_key_data(raw, impl=RAW_KIND)


def key_or_none(key: Any, name: str = "key") -> Key | None:
    """`as_key`, where None says that nothing is drawn."""
    return None if key is None else as_key(key, name)


def check_seed(seed: Any, name: str = "a seed") -> int:
    """The seed as an int.

    Args:
      seed: whole number from 0 to 2^32 - 1, Python's or NumPy's.
      name: of the argument, for the message.

    Raises:
      ValueError: no whole number, or one out of range.
    """
    if isinstance(seed, bool | np.bool_) or not isinstance(seed, int | np.integer):
        raise ValueError(f"{name} must be a whole number, not {said(seed)}")
    if not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"{name} must be between 0 and 2^32 - 1, not {said(seed)}")
    return int(seed)
