"""What must not wait for JAX: importing jaxmed, help, and errors in arguments."""

import argparse
import ast
import importlib
import json
import os
import pickle
import pydoc
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import jaxmed
from jaxmed import registry
from jaxmed.analysis.fit import CLOSED_FORMS
from jaxmed.cli.parsers import make_parser

ROOT = Path(__file__).parents[1]
SLOW = ("jax", "numpy", "pandas")
ROLES = ["--exposure", "x", "--outcome", "y", "--mediators", "m"]


def in_child(code, *arguments, env=None):
    """What a new process prints last, as JSON."""
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
        env=env,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def parsers(parser, words=()):
    """(words of the command, its parser) of the command line and all its commands."""
    yield words, parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for word, part in action.choices.items():
                yield from parsers(part, (*words, word))


COMMANDS = dict(parsers(make_parser()))


def test_importing_jaxmed_imports_no_jax():
    code = f"import sys, json, jaxmed; print(json.dumps([m for m in {SLOW} if m in sys.modules]))"
    assert in_child(code) == []


# One process for them all: each call of main is as the first one, as far as JAX goes.
WITHOUT_JAX = """
import contextlib, io, json, sys
from jaxmed.cli import main
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    slow = [m for m in ("jax", "numpy", "pandas") if m in sys.modules]
    assert not slow, (arguments, slow)
    assert status == (0 if "--help" in arguments else 2), (arguments, status, err.getvalue())
print(json.dumps("done"))
"""
WRONG = [
    [],
    ["meditate"],
    ["mediate"],
    ["mediate", "t.csv"],
    ["mediate", "t.csv", *ROLES, "--colour", "red"],
    ["mediate", "t.csv", *ROLES, "--basis", "cubic"],
    ["mediate", "t.csv", *ROLES, "--permutations", "many"],
    ["mediate", "t.csv", *ROLES, "--composites", "maxi"],
    ["mediate", "t.csv", *ROLES, "--composites", ""],
    ["mediate", "t.csv", *ROLES, "--steps", "5"],
    ["mediate", "t.csv", *ROLES, "--effects", "ols", "--assume", "sparse"],
    ["mediate", "t.csv", *ROLES, "--effects", "lasso"],
    ["mediate", "t.csv", *ROLES, "--options", "hdma"],
    ["mediate", "t.csv", *ROLES, "--cache", "c", "--no-cache"],
    ["evaluate", "t.csv", *ROLES, "--methods", "ols"],
    ["compare", "t.csv", *ROLES, "--methods", "lasso"],
    ["compare", "t.csv", *ROLES, "--methods", "ols,ols"],
    ["compare", "t.csv", *ROLES, "--compat", "R"],
    ["site", "mediate", "m.npz", "--composites", "numerical"],
    ["study", "run"],
]


def test_help_of_every_command_and_wrong_arguments_import_no_jax():
    calls = [[*words, "--help"] for words in COMMANDS] + WRONG
    assert len(COMMANDS) > 18
    assert in_child(WITHOUT_JAX, json.dumps(calls)) == "done"


def test_every_command_has_its_function():
    leaves = {words: p.get_default("run") for words, p in COMMANDS.items() if p.get_default("run")}
    assert len(leaves) == 20
    for words, run in leaves.items():
        place = dict(zip(run.__code__.co_freevars, run.__closure__, strict=True))
        module, _, name = place["place"].cell_contents.rpartition(".")
        assert name in importlib.import_module(f"jaxmed.cli.{module}").__all__, words


def test_closed_forms_are_those_of_the_registry():
    assert tuple(dict.fromkeys(name for name, _ in CLOSED_FORMS)) == registry.CLOSED


# ---- names of the package


def typed_imports():
    """(module, name) of what `jaxmed/__init__` imports for type checkers."""
    tree = ast.parse((ROOT / "jaxmed" / "__init__.py").read_text())
    (block,) = (n for n in tree.body if isinstance(n, ast.If))
    return {(n.module, alias.name) for n in block.body for alias in n.names}


def test_one_list_of_public_names():
    places = {(m, name) for m, names in jaxmed._PLACES.items() for name in names}
    modules = {"estimands", "estimators", "federated", "gahmn"}
    modules |= {"parallel", "simulate", "studies", "sweeps"}
    assert typed_imports() == places | {("jaxmed", name) for name in modules}
    public = {name for _, name in places} | modules | {"__version__"}
    assert sorted(jaxmed.__all__) == sorted(public)


def test_every_public_name_is_there_and_stays_the_same():
    found = {name: getattr(jaxmed, name) for name in jaxmed.__all__}
    assert found == {name: getattr(jaxmed, name) for name in jaxmed.__all__}
    assert set(jaxmed.__all__) <= set(dir(jaxmed))
    space = {}
    exec("from jaxmed import *", space)
    assert {name: space[name] for name in jaxmed.__all__} == found


def test_modules_are_attributes_and_others_are_not():
    assert jaxmed.geometry is importlib.import_module("jaxmed.geometry")
    for name in ("mediates", "_mediate", "__path_of_nothing__", "geometry.paths", "a.b", "a b", ""):
        with pytest.raises(AttributeError, match=f"module 'jaxmed' has no attribute '{name}'"):
            getattr(jaxmed, name)


def test_every_public_name_is_listed_before_it_is_used():
    code = "import jaxmed; assert set(jaxmed.__all__) <= set(dir(jaxmed)); hasattr(jaxmed, 'a.b')"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[1])


def test_an_import_that_fails_within_a_module_shows_itself(monkeypatch):
    monkeypatch.setitem(sys.modules, "jaxmed.simulate.covariance", None)
    for name in [m for m in sys.modules if m.startswith("jaxmed.simulate")]:
        if name != "jaxmed.simulate.covariance":
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.delitem(vars(jaxmed), "simulate", raising=False)
    with pytest.raises(ModuleNotFoundError, match="covariance"):
        _ = jaxmed.simulate


def test_public_functions_pickle_and_help_lists_them():
    for name in ("maxie", "mediate", "paths", "cosine_test", "Paths"):
        value = getattr(jaxmed, name)
        assert pickle.loads(pickle.dumps(value)) is value
    text = pydoc.plain(pydoc.render_doc(jaxmed))
    assert "maxie(paths:" in text and "Mediation analysis of one data set" in text


# ---- compiled programs outlast the process

# `prepare` of every command that compiles, and what JAX is then set to. For each call of it, by a
# user with another cache perhaps, JAX is set as it starts.
SETTINGS = """
import contextlib, io, json, os, sys
import jax
from jaxmed.cli.parsers import make_parser
from jaxmed.cli import data_file
from jaxmed.program_store import open_store
names = ("jax_enable_compilation_cache", "jax_compilation_cache_dir",
         "jax_persistent_cache_min_compile_time_secs", "jax_persistent_cache_min_entry_size_bytes")
first = [getattr(jax.config, name) for name in names]
found = []
for cache, call in json.loads(sys.argv[1]):
    open_store(None)
    for name, value in zip(names, first):
        jax.config.update(name, value)
    os.environ["XDG_CACHE_HOME"] = cache
    with contextlib.redirect_stderr(io.StringIO()) as said:
        data_file.prepare(make_parser().parse_args(call))
    found.append([[getattr(jax.config, name) for name in names], said.getvalue()])
print(json.dumps(found))
"""
CALL = ["mediate", "t.csv", *ROLES]


def prepared(tmp_path, *more, **env):
    """(settings of JAX, what was said) after `prepare`, of a user whose cache is in tmp_path."""
    return all_prepared([(tmp_path, *more)], **env)[0]


def all_prepared(calls, **env):
    """The same of several calls (folder of the cache, options), in one new process."""
    calls = [[str(cache), [*CALL, *more]] for cache, *more in calls]
    clean = {k: v for k, v in os.environ.items() if "CACHE" not in k}
    done = subprocess.run(
        [sys.executable, "-c", SETTINGS, json.dumps(calls)],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=ROOT,
        env={**clean, **env},
    )
    assert done.returncode == 0 and not done.stderr, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_programs_are_kept_in_a_private_folder_that_is_told_of_once(tmp_path):
    first, again = all_prepared([(tmp_path,), (tmp_path,)])
    (used, folder, least, size), said = first
    assert used and Path(folder).parent == tmp_path / "jaxmed" / "programs"
    assert (least, size) == (0.0, -1)
    assert stat.S_IMODE(Path(folder).stat().st_mode) == 0o700
    assert said.count("\n") == 1 and folder in said
    assert "may be deleted" in said and "--no-cache" in said
    assert again == [[used, folder, least, size], ""]


def test_no_cache_and_another_folder(tmp_path):
    none, other = tmp_path / "none", tmp_path / "other"
    without, mine = all_prepared([(none, "--no-cache"), (other, "--cache", str(tmp_path / "mine"))])
    (used, _, _, _), said = without
    assert not used and said == ""
    (used, folder, _, _), said = mine
    assert used and folder == str(tmp_path / "mine") and said == ""
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_settings_of_jax_come_before_ours(tmp_path):
    mine = str(tmp_path / "jax")
    (_, folder, least, _), said = prepared(tmp_path, JAX_COMPILATION_CACHE_DIR=mine)
    assert folder == mine and least > 0 and said == ""
    (used, folder, _, _), said = prepared(tmp_path, JAX_ENABLE_COMPILATION_CACHE="0")
    assert not used and folder is None and said == ""
    least = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "2"}
    assert prepared(tmp_path, **least)[0][2] == 2.0


@pytest.mark.skipif(os.name == "nt", reason="folders of a profile are its user's")
def test_a_folder_that_others_may_write_to_is_said_and_left_alone(tmp_path):
    (tmp_path / "jaxmed").mkdir()
    (tmp_path / "jaxmed").chmod(0o777)
    (tmp_path / "file").write_text("")
    open_to_all, no_folder, quiet = all_prepared(
        [(tmp_path,), (tmp_path / "file",), (tmp_path / "file", "--quiet")]
    )
    (_, folder, _, _), said = open_to_all
    assert folder is None and "others may write to" in said and said.count("\n") == 1
    (_, folder, _, _), said = no_folder
    assert folder is None and said.startswith("jaxmed: compiled programs are not kept: ")
    assert quiet[1] == ""


def test_every_command_that_compiles_has_no_cache():
    without = {words for words, p in COMMANDS.items() if "--no-cache" not in p.format_help()}
    groups = {(), ("study",), ("site",)}
    assert without - groups == {("study", "list"), ("study", "status"), ("launch",), ("methods",)}
