"""What every analysis checks before it starts: the key, the level and the data."""

import jax
import numpy as np

from jaxmed.data.mediation_data import MediationData, mediation_data
from jaxmed.typing import Key


def parse_key(key: Key | int) -> tuple[int | None, Key]:
    """(seed or None, JAX key); raises ValueError for anything else or a seed out of range."""
    if isinstance(key, jax.Array):
        typed = jax.numpy.issubdtype(key.dtype, jax.dtypes.prng_key)
        if not (typed and key.shape == ()) and (key.dtype, key.shape) != (np.uint32, (2,)):
            raise ValueError(
                f"key is an array {key.dtype}{list(key.shape)}: pass an integer seed, or one key "
                "made by jax.random.key(seed)"
            )
        return None, key
    if isinstance(key, bool) or not isinstance(key, int | np.integer):
        raise ValueError(f"key must be an integer seed or a JAX key, not {key!r}")
    if not 0 <= key < 2**32:
        # Larger seeds are cut off silently by JAX where x64 is disabled.
        raise ValueError(f"a seed must be between 0 and 2^32 - 1, not {key}")
    return int(key), jax.random.key(int(key))


def check_level(level: float) -> None:
    """Raises ValueError unless the level of intervals is in (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {level}")


def checked(data: MediationData) -> MediationData:
    """Host copy of the data with complete names, validated whatever way it was made.

    Raises:
      InvalidDataError, ShapeError: as `mediation_data`.
    """
    named = len(data.names.mediators) == data.mediators.shape[1]
    arrays = jax.tree.map(np.asarray, (data.exposure, data.mediators, data.outcome))
    data = mediation_data(
        *arrays,
        covariates=np.asarray(data.covariates),
        weights=None if data.weights is None else np.asarray(data.weights),
        names=data.names if named else None,
    )
    if data.weights is not None and not np.all(data.weights):
        # Rows without weight take no part: no regime, fold, permutation or split may count them.
        used = np.flatnonzero(data.weights)
        data = jax.tree.map(lambda values: values[used], data)
    return data
