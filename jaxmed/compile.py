"""How the analyst's programs are compiled on a CPU: quickly, because each runs once or twice.

With XLA's defaults the compilation of some hundred scalar formulas takes longer than any analysis.
Their code need not be good: the work is in matrix products and factorisations, which are library
calls.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import jax

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

    Args:
      function: as for `jax.jit`.
      static_argnames: as for `jax.jit`.
      optimised: True keeps LLVM's optimisation, for programs whose own loops are long.
    """

    @functools.cache
    def program(backend: str) -> Callable[..., Any]:
        options = _options(optimised) if backend == "cpu" else None
        return jax.jit(function, static_argnames=static_argnames, compiler_options=options)

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        return program(jax.default_backend())(*args, **kwargs)

    return call
