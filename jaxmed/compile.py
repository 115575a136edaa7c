"""How the analyst's programs are compiled on a CPU: quickly, because each runs once or twice.

With XLA's defaults the compilation of some hundred scalar formulas takes longer than any analysis.
Their code need not be good: the work is in matrix products and factorisations, which are library
calls.
"""

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax

from jaxmed.program_key import program_key
from jaxmed.program_store import call_program, is_open

# The options of JAX_DISABLE_MOST_OPTIMIZATIONS, for one program instead of the process.
PLAIN_CODE = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
# Half the compile time where it exists (jaxlib 0.9; gone in 0.11): one kernel for all fusions.
SMALL_KERNELS = {"xla_cpu_use_fusion_emitters": False}
# Programs this small are compiled in one piece with a fifth less work than in parallel parts.
ONE_PART = {"xla_cpu_parallel_codegen_split_count": 1}


def _options(optimised: bool) -> dict[str, Any]:
    """Those options that the installed XLA knows."""
    wanted = SMALL_KERNELS | ONE_PART | ({} if optimised else PLAIN_CODE)
    return {name: value for name, value in wanted.items() if name in _supported()}


@functools.cache
def _supported() -> dict[str, Any]:
    """All options that the installed XLA knows, found by compiling nothing in particular."""
    wanted = SMALL_KERNELS | ONE_PART | PLAIN_CODE
    if _compiles(wanted):
        return wanted
    return {name: value for name, value in wanted.items() if _compiles({name: value})}


def _compiles(options: dict[str, Any]) -> bool:
    try:
        jax.jit(lambda x: x, compiler_options=options).lower(0).compile()
    except jax.errors.JaxRuntimeError as error:
        if "No such compile option" not in str(error):
            raise
        return False
    return True


def quick_jit(
    function: Callable[..., Any], static_argnames: Sequence[str] = (), *, optimised: bool = False
) -> Callable[..., Any]:
    """`jax.jit` with options for a short compilation where the default backend is a CPU.

    Where commands keep programs, a program of an earlier process is used as a whole.

    Args:
      function: as for `jax.jit`.
      static_argnames: as for `jax.jit`.
      optimised: True keeps LLVM's optimisation, for programs whose own loops are long.
    """
    places = _places(function, static_argnames)

    @functools.cache
    def program(backend: str) -> Callable[..., Any]:
        options = _options(optimised) if backend == "cpu" else None
        return jax.jit(function, static_argnames=static_argnames, compiler_options=options)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        backend = jax.default_backend()
        if is_open() and backend == "cpu":
            static, arguments = _apart(places, args, kwargs)
            key = program_key(function, (backend, optimised), static, arguments)
            if key is not None:
                return call_program(
                    key, lambda: program(backend).lower(*args, **kwargs), *arguments
                )
        return program(backend)(*args, **kwargs)

    return call


def _places(function: Callable[..., Any], names: Sequence[str]) -> dict[str, int]:
    """Positions of the static arguments among all."""
    every = list(inspect.signature(function).parameters)
    return {name: every.index(name) for name in names}


def _apart(
    places: dict[str, int], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[dict[str, Any], tuple[tuple[Any, ...], dict[str, Any]]]:
    """Static arguments by name, and the others as a compiled program takes them."""
    by_position = {name: args[i] for name, i in places.items() if i < len(args)}
    by_name = {name: kwargs[name] for name in places if name in kwargs}
    arrays = tuple(arg for i, arg in enumerate(args) if i not in places.values())
    named = {name: value for name, value in kwargs.items() if name not in places}
    return by_position | by_name, (arrays, named)
