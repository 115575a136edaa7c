"""Whole programs between processes: found again where nothing differs, and only there."""

import contextlib
import functools
import io
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import program_key as keys
from jaxmed.analysis.fit import fit_moments
from jaxmed.analysis.law_inference import law_inference
from jaxmed.cli.programs import keep_programs, prune
from jaxmed.compile import quick_jit
from jaxmed.estimators import double_selection, maxcor, maxie, ols
from jaxmed.estimators.parts.kept import kept
from jaxmed.inference.power import printed_cosine_power
from jaxmed.program_key import program_key
from jaxmed.program_store import ENDING, is_open, open_store
from jaxmed.typing import Interval

ROOT = Path(__file__).parents[1]


@pytest.fixture
def folder(tmp_path):
    open_store(tmp_path)
    yield tmp_path
    open_store(None)


def files(folder):
    return sorted(path for path in folder.iterdir() if path.name.endswith(ENDING))


def power(**settings):
    return float(printed_cosine_power(40.0, 0.4, **settings))


# ---- between processes

SECOND = """
import json, sys
from pathlib import Path
sys.path.insert(0, "tests")
import jax, jax.numpy as jnp, numpy as np
jax.config.update("jax_enable_x64", True)
import jaxmed
from jaxmed.program_store import open_store
from problems import problem
done = []
def note(event, seconds, **about):
    if event.startswith("/jax/core/compile/"):
        done.append(about.get("fun_name", "?"))
data = jax.tree.map(jnp.asarray, problem(np.random.default_rng(5), 13, 17, 1))
open_store(Path(sys.argv[1]))
jax.monitoring.register_event_duration_secs_listener(note)
found = jaxmed.paths(data), jaxmed.detection_threshold(40.0)
print(json.dumps([[np.asarray(x).tobytes().hex() for x in jax.tree.leaves(found)],
                  str(jax.tree.structure(found)), done]))
"""
# Of an argument on its way into a program.
CONVERSION = ("convert_element_type", "jit(convert_element_type)")


def in_child(folder, code=SECOND):
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=ROOT,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_second_process_traces_lowers_and_compiles_nothing_of_them(tmp_path):
    numbers, form, done = in_child(tmp_path)
    assert len(files(tmp_path)) == 2 and "jit(_threshold)" in done, sorted(set(done))
    assert {path.stat().st_mode & 0o777 for path in files(tmp_path)} == {0o600}
    written = [path.stat().st_mtime_ns for path in files(tmp_path)]
    again, same_form, done = in_child(tmp_path)
    assert (again, same_form) == (numbers, form)
    # What has JAX look up LAPACK's functions is lowered, never compiled.
    assert set(done) <= {"cholesky", "jit(cholesky)", *CONVERSION}
    assert written == [path.stat().st_mtime_ns for path in files(tmp_path)]


# ---- one name, one program


def test_configuration_and_settings_have_files_of_their_own(folder):
    first = power()
    assert power() == first and len(files(folder)) == 1
    assert power(level=0.1) > first and len(files(folder)) == 2
    assert power(side="concordant") != first and len(files(folder)) == 3
    with jax.enable_x64(not jax.config.jax_enable_x64):
        power()
    assert len(files(folder)) == 4
    with jax.default_matmul_precision("float32"):
        power()
    assert len(files(folder)) == 5
    open_store(folder)
    assert power() == first and len(files(folder)) == 5


@pytest.mark.parametrize("part", ["_source", "_versions", "processor", "_cores"])
def test_other_source_versions_or_machine_have_files_of_their_own(folder, monkeypatch, part):
    first = power()
    monkeypatch.setattr(keys, part, lambda: "another")
    keys._surroundings.cache_clear()
    try:
        assert power() == first and len(files(folder)) == 2
    finally:
        keys._surroundings.cache_clear()


def test_every_source_file_is_part_of_the_name(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "PACKAGE", tmp_path)
    monkeypatch.setattr(keys, "__file__", str(tmp_path / "program_key.py"))
    source = keys._source.__wrapped__
    with pytest.raises(keys._NoName):
        source()
    found = set()
    (tmp_path / "deep").mkdir()
    for name, text in (("program_key.py", "a"), ("deep/b.py", "a"), ("deep/b.py", "b")):
        (tmp_path / name).write_text(text)
        found.add(source())
    assert len(found) == 3


def key_of(*args, function=fit_moments, static=None, **kwargs):
    return program_key(function, ("cpu", False), static or {}, (args, kwargs))


def test_shapes_types_and_static_fields_are_part_of_the_name():
    calls = [
        (np.ones(3),),
        (np.ones(4),),
        (np.ones((3, 1)),),
        (np.ones(3, np.int32),),
        (1.0,),
        (1,),
        (True,),
        (np.float64(1),),
        ([np.ones(3)],),
        ((np.ones(3),),),
        (np.ones(3), None),
        (Interval(1.0, 2.0, 0.95),),
        (Interval(1.0, 2.0, 0.9),),
        (Interval(1.0, 2.0, 0.9, "t"),),
        ({"a": 1.0},),
        ({"b": 1.0},),
        (jax.random.key(1),),
    ]
    names = [key_of(*call) for call in calls]
    statics = (1, 1.0, True, "1", None, (1,), (1, 1), 0.0, -0.0)
    names += [key_of(static={"level": value}) for value in statics]
    names += [key_of(a=np.ones(3)), key_of(b=np.ones(3)), key_of(function=jaxmed.merge)]
    assert None not in names and len(set(names)) == len(names)
    assert key_of(np.zeros(3)) == key_of(np.ones(3)) == key_of(jnp.ones(3))


def closing(value):
    def inner(x):
        return x + value

    return inner


def test_what_has_no_safe_name_is_not_kept(folder):
    own = functools.partial(fit_moments, level=0.9)
    assert key_of(function=own) not in (None, key_of())
    for function in (closing(1), lambda x: x, closing, functools.partial(closing, 1)):
        assert key_of(1.0, function=function) is None
    assert key_of(static={"path": ROOT}) is None and key_of(static={"f": closing}) is None
    assert key_of(Interval(1.0, 2.0, ROOT)) is None
    assert key_of(jax.device_put(1.0, jax.devices()[0])) is None
    assert key_of(np.asarray(["a"])) is None
    assert key_of(static={"array": np.ones(2)}) is None
    seen = []
    jax.jit(lambda x: seen.append(key_of(x)))(1.0)
    assert seen == [None]
    with jax.disable_jit():
        assert key_of(1.0) is None
    assert float(quick_jit(closing(2))(1.0)) == 3.0 and not files(folder)


def test_estimators_are_named_by_factory_and_configuration():
    made = [
        maxie(),
        maxie(level=0.9),
        maxie(sign=-1),
        maxcor(),
        ols(),
        ols(level=0.9),
        double_selection(),
        double_selection(covariates_outcome=(0,)),
    ]
    names = [key_of(1.0, function=estimator) for estimator in made]
    assert None not in names and len(set(names)) == len(names)
    assert key_of(1.0, function=maxie(level=0.9)) == names[1]
    # What was not remembered, or only looks like one that was, has no name.
    assert key_of(1.0, function=double_selection(fold_ids=np.zeros(9, int))) is None

    @functools.wraps(made[0])
    def other(key, data):
        return made[0](key, data)

    assert key_of(1.0, function=other) is None
    assert key_of(1.0, function=kept(closing)(1)) is None  # no factory of the package


def test_a_function_put_in_place_of_another_is_not_kept(monkeypatch):
    module = sys.modules[fit_moments.__module__]
    assert key_of() is not None
    monkeypatch.setattr(module, "fit_moments", closing(1))
    assert key_of() is None


# ---- files


@pytest.mark.parametrize("damage", ["empty", "short", "bit", "other", "text"])
def test_a_damaged_or_foreign_file_is_replaced(folder, damage):
    first = power()
    (path,) = files(folder)
    good = path.read_bytes()
    power(level=0.9)
    (other,) = set(files(folder)) - {path}
    changed = bytearray(good)
    changed[len(good) // 2] ^= 1
    contents = {
        "empty": b"",
        "short": good[:-9],
        "bit": bytes(changed),
        "other": other.read_bytes(),
        "text": b"not a program",
    }
    path.write_bytes(contents[damage])
    open_store(folder)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert power() == first
    assert path.read_bytes() != contents[damage] and len(path.read_bytes()) > 1000
    open_store(folder)
    assert power() == first


def test_what_cannot_be_written_is_said_and_computed(folder):
    open_store(folder / "missing")
    with pytest.warns(UserWarning, match="a compiled program is not kept"):
        found = power()
    open_store(None)
    assert power() == found


def test_what_this_process_compiled_before_is_answered(tmp_path):
    """XLA cannot write a program with a sort that it compiled for a call without the store."""
    data = jax.tree.map(jnp.asarray, problem(np.random.default_rng(0), 48, 6, 2))
    arguments = jax.random.key(0), jaxmed.paths(data)
    expected = law_inference(*arguments, level=0.95, replicates=100)
    open_store(tmp_path)
    try:
        found = law_inference(*arguments, level=0.95, replicates=100)
    finally:
        open_store(None)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_array_equal(one, other)


def test_callbacks_are_not_kept(folder, monkeypatch):
    module = sys.modules[printed_cosine_power.__module__]

    def calls_back(x):
        return jax.pure_callback(lambda v: np.asarray(v), jax.ShapeDtypeStruct((), x.dtype), x)

    calls_back.__module__, calls_back.__qualname__ = module.__name__, "calls_back"
    monkeypatch.setattr(module, "calls_back", calls_back, raising=False)
    with jax.enable_x64(True):
        assert float(quick_jit(calls_back)(np.float64(3.0))) == 3.0
    assert program_key(calls_back, (), {}, ((1.0,), {})) and not files(folder)


SET = (
    "jax_compilation_cache_dir",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
    "jax_persistent_cache_min_entry_size_bytes",
)


@pytest.fixture
def settings():
    before = {name: getattr(jax.config, name) for name in SET}
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", True)
    yield
    open_store(None)
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.skipif(os.name == "nt", reason="folders of a profile are its user's")
def test_only_in_a_private_folder_and_never_without_cache(settings, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "own"))
    keep_programs(print)
    assert is_open()
    keep_programs(print, wanted=False)
    assert not is_open()
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", None)
    (tmp_path / "own" / "jaxmed").chmod(0o777)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        keep_programs(print)
    assert not is_open() and "others may write" in said.getvalue()
    mine = tmp_path / "mine"
    keep_programs(print, mine)
    assert is_open()
    mine.chmod(0o777)
    keep_programs(print, mine)
    assert not is_open()


def test_they_are_pruned_with_the_rest(tmp_path):
    for age, name in enumerate(("new-cache", f"old{ENDING}", f"older{ENDING}")):
        (tmp_path / name).write_bytes(b"123")
        os.utime(tmp_path / name, (1000 - age, 1000 - age))
    prune(tmp_path, most=6)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new-cache", f"old{ENDING}"]
