"""Settings of the whole suite, made before JAX is imported."""

import atexit
import contextlib
import gc
import hashlib
import os
import platform
import shutil
import tempfile
from importlib import metadata
from pathlib import Path

pytest_plugins = ["compiled_programs", "pytester"]

# float64 unless JAX_ENABLE_X64=0 asks for the float32 run.
os.environ.setdefault("JAX_ENABLE_X64", "1")
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
# The suite compiles some thousand small programs once each: their compilation is what it waits for.
os.environ.setdefault("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")
if metadata.version("jaxlib").startswith("0.9."):  # an unknown flag would end the process elsewhere
    # Programs in one piece compile sooner and take fewer memory maps (see bounded_programs).
    flags = [os.environ.get("XLA_FLAGS", ""), "--xla_cpu_parallel_codegen_split_count=1"]
    if os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] != "0":
        flags.append("--xla_cpu_use_fusion_emitters=false")
    os.environ["XLA_FLAGS"] = " ".join(flags).strip()
# Stack traces written into every program are read by profilers only.
os.environ.setdefault("JAX_TRACEBACK_IN_LOCATIONS_LIMIT", "0")
# Workers and child processes share what they compile, and so does the next run. The folder is safe
# to delete, and deleted when it has grown to this many bytes: a run fills about a twentieth of it.
LARGEST_CACHE = 2 * 1024**3


def programs_folder() -> Path:
    """For this jaxlib and processor, of which JAX's own keys see little."""
    described = Path("/proc/cpuinfo")
    lines = described.read_text().splitlines() if described.exists() else [platform.processor()]
    machine = "".join([platform.machine(), *sorted({x for x in lines if x.startswith("flags")})])
    key = f"{metadata.version('jaxlib')}-{hashlib.sha256(machine.encode()).hexdigest()[:12]}"
    return Path(__file__).parents[1] / ".cache" / "programs" / key


def bytes_in(folder: Path) -> int:
    """Of its files; one that another run deletes meanwhile has none."""
    total = 0
    with contextlib.suppress(FileNotFoundError):  # the folder
        for path in folder.iterdir():
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
    return total


if "JAX_COMPILATION_CACHE_DIR" not in os.environ:  # workers have it from the process above
    folder = programs_folder()
    if bytes_in(folder) > LARGEST_CACHE:
        with contextlib.suppress(FileNotFoundError):  # another run is deleting it
            shutil.rmtree(folder)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.environ["JAX_COMPILATION_CACHE_DIR"] = str(folder)
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    # XLA calls every program it reads back one for another machine, for tuning preferences that
    # are no features of a processor; what fails still raises.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
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


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist
def pytest_xdist_make_scheduler(config, log):
    """A folder of tests is one piece of work, and so is a file that lies in none.

    Its files compile the same programs, which a second worker would compile again. The folders go
    out in their order, the files last: the small pieces level out what the large ones leave.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFolder(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            path = nodeid.split("::")[0]
            folder = path.removeprefix("tests/").rpartition("/")[0]
            return folder or path

    return ByFolder(config, log)


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
