"""What a number depends on, as one hash: whether a stored row is the row that is asked for."""

import hashlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.analysis.chosen_methods import Chosen
from jaxmed.configuration import key_of, origin_of
from jaxmed.data.documents import canonical
from jaxmed.data.mediation_data import MediationData
from jaxmed.typing import Key
from jaxmed.version import __version__

__all__ = ["fingerprint", "method_settings"]


def fingerprint(settings: Mapping[str, Any], arrays: Sequence[Any] = ()) -> str:
    """SHA-256 of settings, arrays and the software that computes with them.

    Args:
      settings: values of any kind; what JSON does not know counts by its `repr`.
      arrays: concrete, by type, shape and bytes; keys by their two numbers.
    """
    software = {"jaxmed": __version__, "jax": jax.__version__, "device": jax.default_backend()}
    digest = hashlib.sha256(canonical([_json(settings), software]))
    for array in arrays:
        if isinstance(array, jax.Array) and jnp.issubdtype(array.dtype, jax.dtypes.prng_key):
            array = jax.random.key_data(array)
        host = np.ascontiguousarray(array)
        digest.update(canonical([str(host.dtype), list(host.shape)]))
        digest.update(host.tobytes())
    return digest.hexdigest()


def method_settings(method: Chosen, key: Key, data: MediationData) -> dict[str, Any] | None:
    """What tells one method of a call from any other; None where that cannot be known.

    Args:
      method: of the registry, by name and options; an estimator that a factory of the library
        made, by the factory and its arguments; any other, by its traced program, which holds the
        code, constants included.
      key: of the fit.
      data: of the fit.
    """
    own: dict[str, Any] = {"name": method.name, "label": method.label}
    if method.method is not None:
        entry = method.method
        if not all(_stays(value) for _, value in method.options):
            return None
        return own | {
            "method": entry.name,
            "place": entry.place,
            "settings": [entry.settings, entry.separate],
            "options": method.options,
        }
    estimator: Any = method.estimator
    origin = origin_of(estimator) if inspect.isfunction(estimator) else None
    if origin is not None:
        factory, args, kwargs = origin
        place = f"{factory.__module__}.{factory.__qualname__}"
        return own | {"factory": place, "arguments": [args, kwargs]}
    try:
        program = jax.jit(lambda key, data: estimator(key, data)).lower(key, data)
    except ValueError:  # it refuses the data, which is its row
        return None
    return own | {"program": hashlib.sha256(program.as_text().encode()).hexdigest()}


def _stays(value: Any) -> bool:
    """False for what its `repr` does not tell from another value: a user's object or function."""
    if isinstance(value, list | tuple):
        return all(_stays(item) for item in value)
    return key_of(value) is not None


def _json(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _json(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json(item) for item in value]
    return repr(value)  # 1.0 and True are other options than 1
