"""The plan of a run: everything that determines its numbers, in one file and one hash."""

import hashlib
import json
import platform
import zlib
from collections.abc import Iterator, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data.atomic import atomic_write
from jaxmed.data.documents import DocumentError, canonical, parse_document, read_document
from jaxmed.keys import check_seed
from jaxmed.sweeps.chunks import program_digest
from jaxmed.sweeps.plan_form import PLAN, SCHEMA, SCHEMA_VERSION, counts_wrong
from jaxmed.sweeps.sweep import check_cell
from jaxmed.sweeps.task import Cell
from jaxmed.version import __version__

__all__ = [
    "PlanMismatchError",
    "check_cells",
    "make_plan",
    "read_plan",
    "store_plan",
]

Plan = dict[str, Any]

# What does not change a number: the page's title, where a study's file lies, and Python itself.
_NEUTRAL = ("config", "study.title", "study.source.file", "versions.python")
_MOST_DIFFERENCES = 8


class PlanMismatchError(ValueError):
    """A run directory holds another plan; the message says what differs."""


def make_plan(
    cells: Sequence[Cell],
    *,
    study: Mapping[str, Any],
    scale: float,
    seed: int,
    precision: str,
    nproc: int,
) -> Plan:
    """The plan of a run, as JSON values.

    Workers, devices and hosts are no part of it: they do not change a bit of the results, as long
    as processors are of one model. The code is: every cell has a digest of its program.

    Args:
      cells: of the study at this scale.
      study: name, title and source.
      scale: share of the full number of replicates, as the study reads it.
      seed: of the study's key, 0 to 2^32 - 1.
      precision: "float32" or "float64".
      nproc: size of XLA's thread pool on CPUs.

    Raises:
      ValueError: cells or seed out of range, or a name that a plan cannot hold (`plan_form`).
    """
    check_cells(cells)
    seed = check_seed(seed)
    plan: Plan = {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "study": dict(study),
        "scale": float(scale),
        "seed": int(seed),
        "precision": precision,
        "nproc": int(nproc),
        "platform": jax.default_backend(),
        "versions": {
            "jaxmed": __version__,
            "jax": jax.__version__,
            "jaxlib": metadata.version("jaxlib"),
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
        "cells": _describe(cells),
    }
    whole = plan | {"config": _config_hash(plan)}
    # What could not be read back is not begun.
    return parse_document(
        canonical(whole), PLAN, file="plan of the run", remedy="change the study or its settings"
    )


def check_cells(cells: Sequence[Cell]) -> None:
    """Raises ValueError where there is no cell, one out of range, or two of one name or key."""
    if not cells:
        raise ValueError("a study needs at least one cell")
    seen: dict[int, str] = {}
    for cell in cells:
        check_cell(cell)
        code = zlib.crc32(cell.name.encode())
        if code in seen:
            raise ValueError(
                f"cells {seen[code]!r} and {cell.name!r} would draw the same random numbers "
                "(same name, or same hash of the name): rename one"
            )
        seen[code] = cell.name


def store_plan(directory: str | Path, plan: Plan) -> None:
    """Writes the plan into a run directory, or checks the one that is there.

    Raises:
      PlanMismatchError: the directory belongs to a run with other numbers.
    """
    path = Path(directory) / "plan.json"
    if not path.exists():
        text = json.dumps(plan, indent=1, sort_keys=True, ensure_ascii=False)
        atomic_write(path, text + "\n", durable=True)
        return
    found = read_plan(directory)
    if found["config"] != plan["config"]:
        differences = "; ".join(_differences(found, plan))
        raise PlanMismatchError(
            f"{directory} holds a run that differs in {differences}. Take another directory, or "
            "delete this one"
        )


def read_plan(directory: str | Path) -> Plan:
    """The plan of a run directory.

    Raises:
      ValueError: no plan there.
      DocumentError: one that cannot be read, has another form or was changed by hand.
    """
    path = Path(directory) / "plan.json"
    if not path.is_file():
        raise ValueError(f"{directory} is no run directory: it has no plan.json")
    remedy = f"restore plan.json in {directory}, or take another directory"
    plan = read_document(path, PLAN, remedy=remedy)
    if (wrong := counts_wrong(plan["cells"])) is not None:
        raise DocumentError(path.name, *wrong, remedy)
    if plan["config"] != _config_hash(plan):
        raise DocumentError(
            path.name, "config", "does not fit the content: the file was changed", remedy
        )
    return plan


def _describe(cells: Sequence[Cell]) -> list[dict[str, Any]]:
    key = jax.random.key(0, impl="threefry2x32")
    programs: dict[Any, str] = {}  # cells of one task and shape share theirs

    def program(cell: Cell) -> str:
        avals = jax.tree.map(jax.typeof, cell.parameters)
        leaves, structure = jax.tree.flatten(avals)
        name = (cell.task, cell.chunk, cell.batch, tuple(leaves), structure)
        if name not in programs:
            programs[name] = program_digest(cell, key)
        return programs[name]

    return [
        {
            "name": cell.name,
            "count": cell.count,
            "chunk": cell.chunk,
            "batch": cell.batch,
            "reducer": cell.reducer.name,
            "num_chunks": cell.num_chunks,
            "program": program(cell),
            "parameters": _digest(cell.parameters),
        }
        for cell in cells
    ]


def _digest(parameters: Any) -> str:
    """sha256 of the leaves of a pytree: name, dtype, shape and bytes of each."""
    digest = hashlib.sha256()
    for path, leaf in jax.tree_util.tree_leaves_with_path(parameters):
        if isinstance(leaf, jax.Array) and jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
            leaf = jax.random.key_data(leaf)
        array = np.asarray(leaf)
        digest.update(f"{jax.tree_util.keystr(path)} {array.dtype.str} {array.shape};".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _config_hash(plan: Plan) -> str:
    """sha256 of the canonical JSON of what determines the numbers."""
    kept = {name: value for name, value in _flat(plan) if name not in _NEUTRAL}
    return hashlib.sha256(canonical(kept)).hexdigest()


def _differences(there: Plan, now: Plan) -> list[str]:
    """What determines the numbers and is not the same, in words."""
    old, new = dict(_flat(there)), dict(_flat(now))
    names = [name for name in (*old, *(n for n in new if n not in old)) if name not in _NEUTRAL]
    found = [
        f"{name} ({old.get(name, 'absent')} there, {new.get(name, 'absent')} now)"
        for name in names
        if old.get(name) != new.get(name)
    ]
    more = len(found) - _MOST_DIFFERENCES
    return [*found[:_MOST_DIFFERENCES], *([f"{more} more"] if more > 0 else [])]


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Leaves of nested JSON values by dotted names; a cell goes by its own name."""
    if isinstance(value, dict):
        for name, item in value.items():
            yield from _flat(item, f"{prefix}.{name}" if prefix else name)
    elif isinstance(value, list):
        for position, item in enumerate(value):
            name = item.get("name", position) if isinstance(item, dict) else position
            yield from _flat(item, f"{prefix}[{name}]")
    else:
        yield prefix, value
