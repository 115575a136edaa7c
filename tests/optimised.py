"""Programs of many numbers: with the optimisations that the rest of the quick run goes without."""

import functools
import os

import jax

# Programs that run for a moment are compiled the quick way (see conftest.py). Where a program draws
# or sums for seconds, optimising it costs less than it saves.
QUICK = os.environ.get("JAX_DISABLE_MOST_OPTIMIZATIONS", "0") != "0"
OPTIONS = {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": False}
OPTIMISED = OPTIONS if QUICK else None
jit_for_many = functools.partial(jax.jit, compiler_options=OPTIMISED)
