"""What must not wait for JAX: importing jaxmed, help, and errors in arguments."""

import argparse
import ast
import importlib
import json
import pickle
import pydoc
import subprocess
import sys
from pathlib import Path

import pytest

import jaxmed
from jaxmed import vocabulary
from jaxmed.analysis.field_methods import FIELD_METHODS
from jaxmed.analysis.fit import CLOSED_FORMS
from jaxmed.analysis.methods import OPEN
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
    ["mediate", "t.csv", *ROLES, "--method", "maxi"],
    ["mediate", "t.csv", *ROLES, "--method", ""],
    ["mediate", "t.csv", *ROLES, "--steps", "5"],
    ["mediate", "t.csv", *ROLES, "--assume", "sparse"],
    ["mediate", "t.csv", *ROLES, "--cache", "c", "--no-cache"],
    ["evaluate", "t.csv", *ROLES, "--methods", "ols"],
    ["compare", "t.csv", *ROLES, "--methods", "lasso"],
    ["compare", "t.csv", *ROLES, "--methods", "ols,ols"],
    ["compare", "t.csv", *ROLES, "--compat", "R"],
    ["site", "mediate", "m.npz", "--method", "numerical"],
    ["study", "run"],
]


def test_help_of_every_command_and_wrong_arguments_import_no_jax():
    calls = [[*words, "--help"] for words in COMMANDS] + WRONG
    assert len(COMMANDS) > 18
    assert in_child(WITHOUT_JAX, json.dumps(calls)) == "done"


def test_every_command_has_its_function():
    leaves = {words: p.get_default("run") for words, p in COMMANDS.items() if p.get_default("run")}
    assert len(leaves) == 18
    for words, run in leaves.items():
        place = dict(zip(run.__code__.co_freevars, run.__closure__, strict=True))
        module, _, name = place["place"].cell_contents.rpartition(".")
        assert name in importlib.import_module(f"jaxmed.cli.{module}").__all__, words


def test_names_of_methods_are_those_of_the_registries():
    assert tuple(dict.fromkeys(name for name, _ in CLOSED_FORMS)) == vocabulary.CLOSED
    assert (*vocabulary.CLOSED, *OPEN) == vocabulary.METHODS
    assert set(vocabulary.METHODS) <= set(FIELD_METHODS)
    assert set(FIELD_METHODS) == set(vocabulary.FIELD_METHODS)
    assert len(set(vocabulary.FIELD_METHODS)) == len(vocabulary.FIELD_METHODS)


# ---- names of the package


def typed_imports():
    """(module, name) of what `jaxmed/__init__` imports for type checkers."""
    tree = ast.parse((ROOT / "jaxmed" / "__init__.py").read_text())
    (block,) = (n for n in tree.body if isinstance(n, ast.If))
    return {(n.module, alias.name) for n in block.body for alias in n.names}


def test_one_list_of_public_names():
    places = {(m, name) for m, names in jaxmed._PLACES.items() for name in names}
    modules = {"estimators", "parallel", "simulate", "studies", "sweeps"}
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
    for name in ("mediates", "_mediate", "__path_of_nothing__"):
        with pytest.raises(AttributeError, match=f"module 'jaxmed' has no attribute '{name}'"):
            getattr(jaxmed, name)


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
