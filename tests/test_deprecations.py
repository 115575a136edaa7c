"""Every old name of the table: it warns, it works, and it goes when its day has come."""

import dataclasses
import datetime
import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from problems import problem

import jaxmed
import jaxmed.gahmn
from jaxmed import deprecations
from jaxmed.cli import main
from jaxmed.cli.parsers import make_parser
from jaxmed.deprecations import ENTRIES, Deprecation, warn

ROOT = Path(__file__).parents[1]
# What the option is called with, by its old name: a call that is not the default's.
OPTIONS = {
    entry.old: 0.2 if entry.old.endswith("(alpha)") else "zz"
    for entry in ENTRIES
    if entry.kind == "option"
} | {
    "jaxmed.gahmn.gahmn(penalty)": "path",
    "jaxmed.gahmn.BlockConfig(penalty)": 0.2,
    **{f"jaxmed.estimators.{name}(scale)": False for name in ("ehima", "hima", "hima2")},
}
ANALYSES = {
    "jaxmed.mediate": {"data": None, "key": 1},
    "jaxmed.analysis.generative.generative": {"data": None, "key": 1},
    "jaxmed.compare": {"data": None, "methods": "ols", "key": 1},
    "jaxmed.evaluate": {"data": None, "key": 1},
}


def with_option(path, value):
    """The function of a path `f(option)`, called with this value of the option.

    An analysis is asked for what it refuses, which tells the names apart as well.
    """
    function, _, option = path.rstrip(")").partition("(")
    if function not in ANALYSES:
        return object_of(function)(**{option: value})
    with pytest.raises(ValueError, match=value) as refused:
        object_of(function)(**ANALYSES[function], **{option: value})
    return str(refused.value)


FLAGS = {
    "--method": "maxie",
    "--composites": "maxie",
    "--mode": "faithful",
    "--noise": "printed",
    "--steps": "7",
    "--trainings": "7",
}


def typed(line):
    """The value that a flag of a command line gives to its option, when the command begins."""
    *command, flag = line.split()[1:]
    roles = ["--exposure", "a", "--outcome", "y", "--mediators", "m*"]
    roles = [] if command[0] == "site" else roles
    options = make_parser().parse_args([*command, "no.csv", *roles, flag, FLAGS.get(flag, "path")])
    with pytest.raises((ValueError, OSError)):
        options.run(options)
    return getattr(options, {"--penalty": "tuning", "--method": "composites"}.get(flag, flag[2:]))


def small_result():
    """An analysis of few rows, of few programs."""
    data = problem(np.random.default_rng(0), 60, 4)
    settings = {"permutations": 0, "folds": 0, "replicates": 100, "basis": "linear"}
    return jaxmed.mediate(data, key=0, effects=(), **settings)


def object_of(path):
    module, _, name = path.rpartition(".")
    return getattr(importlib.import_module(module), name)


def used(entry):
    """What the old name gives, and what the new one does."""
    if entry.kind == "flag":
        return typed(entry.old), typed(entry.new)
    if entry.kind == "option":
        value = OPTIONS[entry.old]
        return with_option(entry.old, value), with_option(entry.new, value)
    if entry.kind == "name":
        return object_of(entry.old), object_of(entry.target or entry.new)
    if entry.kind == "call":
        name = entry.new.rpartition(".")[2]
        table = getattr(small_result(), name)
        return table(), [dict(row) for row in table]
    new = importlib.import_module(entry.new)
    name = new.__all__[0]
    return getattr(importlib.import_module(entry.old), name), getattr(new, name)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.old)
def test_an_old_name_warns_and_works(entry):
    importlib.import_module("jaxmed.gahmn")  # whose names some of them are
    with pytest.warns(FutureWarning if entry.kind == "flag" else DeprecationWarning) as caught:
        old, new = used(entry)
    if callable(old):
        assert old is new  # equal configurations are one estimator
    assert old == new
    (text,) = {str(each.message) for each in caught}
    for part in (entry.old, entry.new, entry.until, entry.day.isoformat()):
        assert part in text
    if entry.kind != "flag":
        assert all(each.filename == __file__ for each in caught), "it names the user's line"


def test_an_option_by_both_names_is_refused():
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="one of the two"):
        jaxmed.estimators.hima(alpha=0.1, significance=0.1)


def test_a_field_is_replaced_read_and_unpickled_by_its_old_name():
    block = jaxmed.gahmn.BlockConfig(steps=100, lam=0.2)
    with pytest.warns(DeprecationWarning, match=r"BlockConfig\(lam\)") as caught:
        assert dataclasses.replace(block, penalty=0.3) == dataclasses.replace(block, lam=0.3)
        assert block.penalty == 0.2
    assert [each.filename for each in caught] == [__file__] * 2
    assert pickle.loads(pickle.dumps(block)) == block
    before = block.__reduce_ex__(2)[2]
    again = object.__new__(type(block))
    again.__setstate__({"penalty" if k == "lam" else k: v for k, v in before.items()})
    assert again == block


def test_a_flag_warns_in_a_line_of_the_command(capsys):
    roles = ["--exposure", "a", "--outcome", "y", "--mediators", "m*", "--method", "gahmn"]
    assert main(["mediate", "no_such_file.csv", *roles, "--penalty", "path"]) == 2
    *warned, last = capsys.readouterr().err.splitlines()
    assert [line.split(" is now ")[0] for line in warned] == [
        f"jaxmed: warning: jaxmed mediate {flag}" for flag in ("--method", "--penalty")
    ]
    assert "no_such_file.csv" in last
    with pytest.raises(SystemExit):
        main(["mediate", "--help"])
    shown = capsys.readouterr().out
    assert "--penalty" not in shown and "--method" not in shown and "--effects" in shown


def overdue(entry, today):
    assert today < entry.day, f"remove {entry.old}: its day, {entry.day}, has come"


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.old)
def test_no_entry_is_past_its_day(entry):
    overdue(entry, datetime.date.today())


def test_an_entry_past_its_day_is_to_be_removed():
    day = datetime.date(2027, 6, 1)
    entry = Deprecation("option", "jaxmed.power(alpha)", "jaxmed.power(level)", "0.1", "0.2", day)
    overdue(entry, day - datetime.timedelta(1))
    with pytest.raises(AssertionError, match=r"remove jaxmed.power\(alpha\)"):
        overdue(entry, day)


def test_an_option_warns_from_the_function_that_has_it(monkeypatch):
    day = datetime.date(2027, 6, 1)
    entry = Deprecation("option", "jaxmed.f(old)", "jaxmed.f(new)", "0.1", "0.2", day)
    monkeypatch.setattr(deprecations, "ENTRIES", (entry,))

    def f(*, old):
        assert warn("option", "jaxmed.f(old)", stacklevel=2) is entry
        return old

    with pytest.warns(DeprecationWarning, match=r"jaxmed\.f\(old\) is now .*f\(new\)") as caught:
        assert f(old=1) == 1
    assert caught[0].lineno == inspect.currentframe().f_lineno - 1


def test_entries_are_one_for_each_old_name():
    keys = [(entry.kind, entry.old) for entry in ENTRIES]
    assert len(keys) == len(set(keys))
    for entry in ENTRIES:
        begin = "jaxmed " if entry.kind == "flag" else "jaxmed."
        assert entry.old.startswith(begin) and entry.new.startswith(begin)


def test_an_old_module_has_no_file():
    files = {name for _, name, _ in pkgutil.walk_packages(jaxmed.__path__, "jaxmed.")}
    assert not files & {entry.old for entry in ENTRIES if entry.kind == "module"}


STATEMENTS = """
import warnings
warnings.simplefilter("ignore")
import jaxmed.gahmn.disparity
import jaxmed.gahmn.chain as chain
from jaxmed.gahmn.terms import Terms
from jaxmed.gahmn import *
from jaxmed import estimands
assert jaxmed.gahmn.disparity is estimands.disparity and chain is estimands.chain
assert Terms is estimands.Terms and "disparity" not in globals()
from jaxmed.gahmn.shift import *
assert shift_value is estimands.shift_value
warnings.simplefilter("error")
import jaxmed.gahmn
try:
    jaxmed.gahmn.nothing
except AttributeError as error:
    assert "nothing" in str(error)
"""


def test_every_form_of_import_gives_the_same():
    done = subprocess.run(
        [sys.executable, "-c", STATEMENTS], cwd=ROOT, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr


def test_the_page_shows_the_table():
    lines = (ROOT / "docs/deprecations.md").read_text().splitlines()
    rows = [line for line in lines if line.startswith("|") and "`" in line]
    shown = [row.strip("| ").replace("`", "").split(" | ") for row in rows]
    assert shown == [
        [entry.kind, entry.old, entry.new, entry.since, f"{entry.until}, {entry.day.isoformat()}"]
        for entry in ENTRIES
    ]
