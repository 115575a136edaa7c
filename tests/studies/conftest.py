"""What the tests of studies share."""

import os
import sys

import jax
import pytest

from jaxmed.studies.workers import pool_size


@pytest.fixture
def restored(monkeypatch):
    """What the command line sets for its whole process."""
    for variable in ("NPROC", "XLA_PYTHON_CLIENT_PREALLOCATE"):
        monkeypatch.setenv(variable, os.environ.get(variable, str(pool_size())))
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path])
    names = (
        "jax_compilation_cache_dir",
        "jax_persistent_cache_min_compile_time_secs",
        "jax_persistent_cache_min_entry_size_bytes",
    )
    before = {name: getattr(jax.config, name) for name in names}
    yield
    for option, value in before.items():
        jax.config.update(option, value)
