"""What every analysis checks before it starts: the key, the level and the data."""

from typing import Any

import jax
import numpy as np

from jaxmed.budget import said
from jaxmed.data.mediation_data import MediationData, mediation_data
from jaxmed.data.validation import is_traced
from jaxmed.keys import as_key, check_seed
from jaxmed.typing import Key


def parse_key(key: Key | int) -> tuple[int | None, Key]:
    """(seed or None, JAX key); raises ValueError for anything else or a seed out of range."""
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        seed = check_seed(key)
        return seed, jax.random.key(seed)
    if isinstance(key, jax.Array | np.ndarray):
        return None, as_key(key)
    raise ValueError(f"key must be an integer seed or a JAX key, not {said(key)}")


def check_level(level: float) -> None:
    """Raises ValueError unless the level of intervals is in (0, 1)."""
    if not 0 < level < 1:
        raise ValueError(f"level must be between 0 and 1, not {said(level)}")


def check_flag(name: str, value: bool) -> None:
    """Raises ValueError for anything but True or False."""
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, not {said(value)}")


def refuse_traced(name: str, *values: Any) -> None:
    """Refuses to be traced: an analysis decides by the values of the data.

    Args:
      name: of the function.
      values: data and keys that it was called with.

    Raises:
      ValueError: one of them is traced by jax.jit, vmap or grad.
    """
    if is_traced(*jax.tree.leaves(values)):
        raise ValueError(
            f"jaxmed.{name} runs on the host and cannot be traced by jax.jit, vmap or grad: call "
            "it on concrete data. The estimators are what runs inside a program, as in "
            "jax.jit(jaxmed.estimators.ols())(key, data); estimators.* has all of them"
        )


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
