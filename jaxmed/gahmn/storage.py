"""Pytrees of arrays in npz files with a json beside them: no pickle, nothing half written."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data.archive import read_arrays
from jaxmed.data.atomic import atomic_write, npz_bytes
from jaxmed.data.documents import DocumentError, check_document, read_document, sealed
from jaxmed.data.forms import Choice, Fields
from jaxmed.data.validation import InvalidDataError
from jaxmed.estimators.parts.arms import Arms
from jaxmed.gahmn.fitted import Fitted
from jaxmed.gahmn.fitting import Generators
from jaxmed.gahmn.scaling import Scale
from jaxmed.gahmn.stored_config import FACTS, READABLE, SCHEMA, SCHEMA_VERSION, config_from

__all__ = ["StoredStateError", "load_fitted", "read_tree", "save_fitted", "write_tree"]


class StoredStateError(ValueError):
    """A file does not hold what it should; the message says what, and what to do."""


def _named(tree: Any) -> dict[str, Any]:
    """Leaves by their path, keys of random numbers as their data."""
    leaves = jax.tree_util.tree_flatten_with_path(tree)[0]
    return {jax.tree_util.keystr(path): leaf for path, leaf in leaves}


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def write_tree(path: Path, tree: Any) -> None:
    """Writes every leaf of a pytree of arrays under its path, whole or not at all."""
    arrays = {
        name: np.asarray(jax.random.key_data(leaf) if _is_key(leaf) else leaf)
        for name, leaf in _named(tree).items()
    }
    atomic_write(path, npz_bytes(arrays), durable=True)


def read_tree(path: Path, template: Any) -> Any:
    """The pytree of a file, with the structure, shapes and types of a template.

    Raises:
      StoredStateError: the file is damaged, or holds something else.
    """
    wanted = _named(template)
    try:
        found = read_arrays(path)
    except (OSError, InvalidDataError) as error:
        raise StoredStateError(f"{path} is damaged ({error}): delete it to start anew") from error
    if set(found) != set(wanted):
        raise StoredStateError(f"{path} holds other arrays than this fit has: delete it")
    leaves = []
    for name, like in wanted.items():
        array, key = found[name], _is_key(like)
        like = jax.eval_shape(jax.random.key_data, like) if key else like
        if array.shape != like.shape or array.dtype != like.dtype:
            raise StoredStateError(
                f"{path}: {name} is {array.dtype}{array.shape}, not {like.dtype}{like.shape}: "
                "another fit's file; delete it to start anew"
            )
        leaf = jnp.asarray(array)
        leaves.append(jax.random.wrap_key_data(leaf) if key else leaf)
    return jax.tree.unflatten(jax.tree.structure(template), leaves)


def save_fitted(directory: str | Path, fitted: Fitted, names: dict[str, Any] | None = None) -> None:
    """Writes generators.npz and generators.json.

    Args:
      directory: made where it does not exist.
      fitted: generators of all seeds.
      names: column names and what else a reader should know; plain values.
    """
    folder = Path(directory)
    flat: dict[str, np.ndarray] = {}

    def walk(prefix: str, value: Any) -> None:
        if isinstance(value, dict):
            for key, part in value.items():
                walk(f"{prefix}/{key}", part)
        elif dataclasses.is_dataclass(value):
            for field in dataclasses.fields(value):
                walk(f"{prefix}/{field.name}", getattr(value, field.name))
        elif value is not None:
            flat[prefix] = np.asarray(value)

    walk("scale", fitted.scale)
    walk("generators", fitted.generators)
    atomic_write(folder / "generators.npz", npz_bytes(flat))
    facts = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "config": dataclasses.asdict(fitted.config),
        "names": names or {},
    }
    facts = json.loads(json.dumps(facts))  # lists for tuples, as they read back
    atomic_write(folder / "generators.json", json.dumps(sealed(facts), indent=2) + "\n")


def load_fitted(directory: str | Path) -> Fitted:
    """The generators that `save_fitted` wrote.

    Raises:
      StoredStateError: not such a folder, or a damaged file.
    """
    folder = Path(directory)
    try:
        facts = _facts(folder / "generators.json")
        arrays = read_arrays(folder / "generators.npz")
    except (OSError, DocumentError, InvalidDataError) as error:
        raise StoredStateError(f"{folder} holds no readable generators: {error}") from error
    try:
        nested = _nested(arrays)
        scale = nested["scale"]
        given = {field.name: None for field in dataclasses.fields(Generators)}
        return Fitted(
            Scale(**(scale | {"arms": Arms(**scale["arms"])})),
            Generators(**(given | nested["generators"])),
            config_from(facts["config"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise StoredStateError(f"{folder}: a part is missing or unknown: {error}") from error


def _facts(path: Path) -> dict[str, Any]:
    """What generators.json says; sealed from version 2 on."""
    remedy = f"this version reads {SCHEMA} {' and '.join(map(str, READABLE))}"
    head = Fields({"schema": Choice((SCHEMA,)), "schema_version": Choice(READABLE)}, open=True)
    found = read_document(path, head, remedy=remedy)
    seal = found["schema_version"] == SCHEMA_VERSION
    return check_document(found, FACTS, file=path.name, remedy=remedy, seal=seal)


def _nested(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    nested: dict[str, Any] = {}
    for name, array in arrays.items():
        *way, last = name.split("/")
        place = nested
        for part in way:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise KeyError(f"{name!r} lies in an array")
        place[last] = jnp.asarray(array)
    return nested
