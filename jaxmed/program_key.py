"""The name of a compiled program: two calls have one name only where one program answers both.

A program is made from source text, versions, settings, the machine, configuration, and the shapes
and types of arrays. Whatever cannot be written down safely has no name.
"""

import dataclasses
import functools
import hashlib
import importlib.metadata
import inspect
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.core import Tracer

from jaxmed.configuration import is_ours, origin_of

__all__ = ["processor", "program_key"]

PACKAGE = Path(__file__).parent
# Libraries whose functions become part of programs, or make them.
LIBRARIES = ("jax", "jaxlib", "numpy", "flax", "optax")
# Where and whether JAX keeps programs does not change them.
OF_THE_CACHE = ("jax_compilation_cache", "jax_persistent_cache", "jax_enable_compilation_cache")
# Variables that XLA reads: options, and the number of its threads.
VARIABLES = ("XLA_", "TF_", "NPROC", "LLVM_")


class _NoName(Exception):
    """Something that cannot be written down so that equal words mean equal programs."""


class _Leaf:
    """Stands for an array in the form of a tree."""


def program_key(
    function: Callable[..., Any],
    options: Sequence[Any],
    static: Mapping[str, Any],
    arguments: tuple[tuple[Any, ...], dict[str, Any]],
) -> str | None:
    """The name of the program that a call needs.

    Args:
      function: what is compiled: a function of a module of this package, which closes over
        nothing, or one that such a function made (`configuration.made_by`).
      options: of the compilation.
      static: arguments that are configuration, by name.
      arguments: the others, by position and by name.

    Returns:
      Hexadecimal digits; None where there is no safe name: a traced argument, an array that is
      placed or sharded, a function or configuration of unknown content.
    """
    if any(isinstance(leaf, Tracer) for leaf in jax.tree.leaves(arguments)):
        return None
    try:
        parts = [
            _surroundings(),
            _settings(),
            _form(function),
            _form(tuple(options)),
            _form(dict(static)),
            _tree_form(arguments),
            *(_array_form(leaf) for leaf in jax.tree.leaves(arguments)),
        ]
    except _NoName:
        return None
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _form(value: Any) -> str:
    """Configuration in words, by its types; equal words for equal values only."""
    kind = type(value)
    if value is None or kind in (bool, int, str, bytes):
        return f"{kind.__name__}:{value!r}"
    if kind is float:
        return f"float:{value.hex()}"
    if kind is _Leaf:
        return "leaf"
    if kind in (tuple, list):
        return f"{kind.__name__}({','.join(map(_form, value))})"
    if kind is dict and all(type(name) is str for name in value):
        items = (f"{name!r}:{_form(value[name])}" for name in sorted(value))
        return f"dict({','.join(items)})"
    if is_ours(kind) and dataclasses.is_dataclass(value):
        fields = (f"{f.name}={_form(getattr(value, f.name))}" for f in dataclasses.fields(value))
        return f"{kind.__module__}.{kind.__qualname__}({','.join(fields)})"
    if inspect.isfunction(value) and _is_plain(value):
        return f"function:{value.__module__}.{value.__qualname__}"
    if inspect.isfunction(value) and (origin := origin_of(value)) is not None:
        return f"made({_form(origin)})"
    if kind is functools.partial:
        return f"partial({_form(value.func)},{_form(value.args)},{_form(value.keywords)})"
    raise _NoName


def _is_plain(function: Callable[..., Any]) -> bool:
    """Whether its module finds this function under its name: it is what the source text says."""
    if not is_ours(function):
        return False
    found = getattr(sys.modules.get(function.__module__), function.__qualname__, None)
    while found is not None and found is not function:  # decorators hold what they wrap
        found = getattr(found, "__wrapped__", None)
    return found is function and not inspect.unwrap(function).__closure__


def _tree_form(tree: Any) -> str:
    structure = jax.tree.structure(tree)
    return _form(jax.tree.unflatten(structure, [_Leaf()] * structure.num_leaves))


def _array_form(leaf: Any) -> str:
    """Shape and type of an array where it may lie anywhere; JAX puts it on the default device."""
    if isinstance(leaf, jax.Array):
        if leaf.committed or leaf.devices() != {jax.devices()[0]}:
            raise _NoName
    elif not (
        type(leaf) in (bool, int, float, complex)
        or (isinstance(leaf, (np.ndarray, np.generic)) and leaf.dtype.kind in "biufc")
    ):
        raise _NoName
    kind: Any = jax.typeof(leaf)
    return f"{kind.dtype}{kind.shape}{kind.weak_type}"


def _settings() -> str:
    """Settings of JAX and variables of XLA, which may change within a process."""
    values = jax.config.values
    found = {
        name: getattr(jax.config, name, values[name])  # the attribute knows the context
        for name in sorted(values)
        if not name.startswith(OF_THE_CACHE)
    }
    if found["jax_disable_jit"] or found["jax_default_device"] is not None:
        raise _NoName
    variables = {k: v for k, v in sorted(os.environ.items()) if k.startswith(VARIABLES)}
    return f"{found!r}{variables!r}"


@functools.cache
def _surroundings() -> str:
    """What stays the same as long as the process lives."""
    if jax.process_count() > 1:
        raise _NoName
    device = jax.devices()[0]
    return repr(
        (
            _source(),
            _versions(),
            sys.version,
            platform.platform(),
            processor(),
            _cores(),
            device.platform,
            device.device_kind,
            device.client.platform_version,
            jax.device_count(),
        )
    )


@functools.cache
def _source() -> str:
    """A digest of the source text of this package."""
    digest = hashlib.sha256()
    paths = sorted(PACKAGE.rglob("*.py"))
    if Path(__file__) not in paths:  # installed without its source
        raise _NoName
    for path in paths:
        text = path.read_bytes()
        digest.update(f"{path.relative_to(PACKAGE)} {len(text)}\n".encode() + text)
    return digest.hexdigest()


def _versions() -> list[str]:
    found = []
    for name in LIBRARIES:
        try:
            found.append(f"{name} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return found


def processor() -> str:
    """Its model and its instructions, for which code is made."""
    facts = Path("/proc/cpuinfo")
    if not facts.exists():
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("vendor_id", "model name", "flags", "CPU ", "Features")
    lines = facts.read_text().splitlines()
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)}))


def _cores() -> int | None:
    """How many this process may use: loops are cut into so many parts."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
