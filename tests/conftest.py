"""Settings of the whole suite, made before JAX is imported."""

import atexit
import gc
import os
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

# float64 unless JAX_ENABLE_X64=0 asks for the float32 run.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# The suite compiles some thousand small programs once each: their compilation is what it waits for.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if metadata.version("jaxlib").startswith("0.9."):  # an unknown flag would end the process elsewhere
    flags = os.environ.get("XLA_FLAGS", "")
    # Programs in one piece compile sooner and take fewer memory maps (see bounded_programs).
    os.environ["XLA_FLAGS"] = (
        f"{flags} --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
    ).strip()
# Stack traces written into every program are read by profilers only.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# Small factorisations are slower, and their time erratic, on several BLAS threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
if "PYTEST_XDIST_WORKER" not in os.environ:  # workers have it from the process that starts them
    # Studies keep compiled programs in the user's cache: one folder for the session, then none.
    caches = tempfile.mkdtemp(prefix="jaxmed-caches-")
    atexit.register(shutil.rmtree, caches, ignore_errors=True)
    os.environ["XDG_CACHE_HOME"] = caches
if "PYTEST_XDIST_WORKER" in os.environ:
    # Two workers share the cores: Eigen pools of all cores each would fight.
    flags = os.environ.get("XLA_FLAGS", "")
    if "xla_cpu_multi_thread_eigen" not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} --xla_cpu_multi_thread_eigen=false".strip()

# Tracing makes many objects and little garbage: at the default every 700 of them start a search.
gc.set_threshold(50_000, 20, 50)

import jax  # noqa: E402
import pytest  # noqa: E402

# A plugin may have imported JAX before the lines above.
jax.config.update("jax_enable_x64", os.environ["JAX_ENABLE_X64"].lower() in ("1", "true", "on"))

try:
    import hypothesis
except ImportError:  # its tests skip themselves
    pass
else:
    hypothesis.settings.register_profile(
        "jaxmed", deadline=None, derandomize=True, max_examples=100, database=None
    )
    hypothesis.settings.load_profile("jaxmed")


@pytest.fixture
def strict_promotion():
    """No implicit mixing of dtypes inside the test."""
    with jax.numpy_dtype_promotion("strict"):
        yield


@pytest.fixture(autouse=True, scope="module")
def bounded_programs():
    """Drops compiled programs before there are too many.

    Each holds memory maps, of which Linux grants a process 65,530; the next one crashes it.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_text().count("\n") > 25_000:
        jax.clear_caches()
        gc.collect()
