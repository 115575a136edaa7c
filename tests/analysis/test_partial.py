"""Finished methods on disk: an interrupted call goes on, and takes nothing that is not its own."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from light_estimators import product
from problems import problem

from jaxmed import compare
from jaxmed.analysis import partial as module
from jaxmed.analysis.partial import Finished, partial_results
from jaxmed.cli import main
from jaxmed.data.archive import read_arrays
from jaxmed.data.atomic import npz_bytes
from jaxmed.estimators.estimate import MediatorEffects
from jaxmed.estimators.parts.kept import kept
from jaxmed.registry import METHODS as METHODS_OF_THE_LIBRARY
from jaxmed.registry import Method
from jaxmed.typing import Interval

DATA = problem(np.random.default_rng(4), 30, 2, 1, scale=0.3)
GIVEN = {"key": 3, "bootstrap": 2, "basis": "linear"}
SECONDS = ("seconds", "bootstrap_seconds")


def scaled(by):
    """An estimator of one's own, whose code holds a number; a direct effect of NaN beside it."""

    def estimate(key, data):
        found = product(key, data)
        nan = jnp.full_like(found.effects.total, jnp.nan)
        none = Interval(nan, nan, method="none")
        effects = type(found.effects)(nan, by * found.effects.indirect, found.effects.total)
        columns = [by * jnp.arange(data.mediators.shape[1], dtype=nan.dtype)] * 10
        codes = jnp.zeros(data.mediators.shape[1], jnp.int32)
        return dataclasses.replace(
            found,
            effects=effects,
            standard_errors=type(effects)(nan, nan, nan),
            intervals=type(effects)(none, none, none),
            mediators=MediatorEffects(*columns, codes),
            selected=jnp.arange(data.mediators.shape[1]) == 0,
        )

    return estimate


def stops(key, data):
    raise KeyboardInterrupt


@kept
def small(*, level=0.95, by=1.0):
    del level
    return scaled(by)


@pytest.fixture(autouse=True, scope="module")
def stubs():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("small", "other"):
            method = Method(name, name.title(), f"{__name__}:small")
            patch.setitem(METHODS_OF_THE_LIBRARY, name, method)
        yield


METHODS = {"first": scaled(1.0), "second": scaled(2.0)}


@pytest.fixture(scope="module")
def whole():
    return compare(DATA, METHODS, **GIVEN)


@pytest.fixture
def fits(monkeypatch):
    """Names of the methods that were computed, not taken."""
    computed = []
    one = sys.modules[compare.__module__]._one

    def counted(method, run):
        computed.append(method.name)
        return one(method, run)

    monkeypatch.setattr(sys.modules[compare.__module__], "_one", counted)
    return computed


def interrupted(folder):
    with pytest.raises(KeyboardInterrupt):
        compare(DATA, METHODS | {"second": stops}, checkpoint=folder, **GIVEN)
    (path,) = folder.iterdir()
    return path


def assert_same(found, expected):
    timeless = [
        [{k: v for k, v in row.items() if k not in SECONDS} for row in result.rows]
        for result in (found, expected)
    ]
    # repr tells every bit, NaN included.
    assert repr(timeless[0]) == repr(timeless[1])
    assert list(found.mediators) == list(expected.mediators)
    for column, values in found.mediators.items():
        assert values.dtype == expected.mediators[column].dtype
        np.testing.assert_array_equal(values, expected.mediators[column])


def test_an_interrupted_comparison_goes_on(tmp_path, whole, fits):
    folder = tmp_path / "partial"
    interrupted(folder)
    fits.clear()
    said = []
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = compare(
            DATA, METHODS, checkpoint=folder, resume=True, progress=said.append, **GIVEN
        )
    assert fits == ["second"]
    assert_same(found, whole)
    assert not folder.exists()
    assert "1 finished method in" in said[0] and any("first: taken from" in s for s in said)
    assert any("second: no finished one" in s for s in said)


def test_without_resume_it_starts_afresh(tmp_path, whole, fits):
    folder = tmp_path / "partial"
    interrupted(folder)
    (folder / "notes.txt").write_text("of the user")
    fits.clear()
    said = []
    found = compare(DATA, METHODS, checkpoint=folder, progress=said.append, **GIVEN)
    assert fits == ["first", "second"] and "left out: a fresh start" in said[0]
    assert_same(found, whole)
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


CHANGES = {
    "data": lambda: {
        "data": dataclasses.replace(DATA, outcome=DATA.outcome + 1e-13 * (np.arange(30) == 3))
    },
    "weights": lambda: {"data": dataclasses.replace(DATA, weights=np.ones(30))},
    "dtype": lambda: {"data": type(DATA)(*(np.float32(x) for x in dataclasses.astuple(DATA)[:4]))},
    "code": lambda: {"methods": METHODS | {"first": scaled(1.5)}},
    "label": lambda: {"methods": {"other": METHODS["first"], "second": METHODS["second"]}},
    "key": lambda: {"key": 4},
    "level": lambda: {"level": 0.9},
    "bootstrap": lambda: {"bootstrap": 3},
    "standardise": lambda: {"standardise": False},
    "compat": lambda: {"compat": "r", "standardise": True},
    "covariates": lambda: {"covariates_outcome": (), "covariates_mediator": ()},
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_of_another_call_is_computed_anew(tmp_path, fits, change):
    folder = tmp_path / "partial"
    interrupted(folder)
    fits.clear()
    given = {"data": DATA, "methods": METHODS, **GIVEN} | CHANGES[change]()
    with pytest.warns(UserWarning, match="1 finished method in .* not used: of other data"):
        found = compare(
            given.pop("data"), given.pop("methods"), checkpoint=folder, resume=True, **given
        )
    assert len(fits) == 2 and len(found.rows) == 2 and not folder.exists()


def test_another_version_takes_nothing(tmp_path, fits, monkeypatch):
    folder = tmp_path / "partial"
    interrupted(folder)
    fits.clear()
    monkeypatch.setattr("jaxmed.analysis.fingerprints.__version__", "0.0.1")
    with pytest.warns(UserWarning, match="versions"):
        compare(DATA, METHODS, checkpoint=folder, resume=True, **GIVEN)
    assert fits == ["first", "second"]


def with_record(path, **changes):
    """The file with another record, sealed or not as it comes."""
    arrays = read_arrays(path)
    record = json.loads(str(arrays.pop("record"))) | changes
    path.write_bytes(npz_bytes({"record": np.asarray(json.dumps(record)), **arrays}))


def with_columns(path):
    arrays = read_arrays(path)
    name = f"{module.COLUMN}alpha"
    path.write_bytes(npz_bytes(arrays | {name: arrays[name] + 1}))


def flipped(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)


def as_folder(path):
    path.unlink()
    path.mkdir()


DAMAGES = {
    "empty": lambda path: path.write_bytes(b""),
    "half": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "a bit": flipped,
    "no record": lambda path: path.write_bytes(npz_bytes({"a": np.ones(2)})),
    "record": lambda path: with_record(path, method="other"),
    "rows": lambda path: with_record(path, rows=[{"total": 3.0}]),
    "columns": with_columns,
    "text": lambda path: path.write_text("method,total"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_said_and_computed_anew(tmp_path, whole, fits, damage):
    folder = tmp_path / "partial"
    DAMAGES[damage](interrupted(folder))
    fits.clear()
    with pytest.warns(UserWarning, match=r"^first: computed anew, .*\.partial\.npz"):
        found = compare(DATA, METHODS, checkpoint=folder, resume=True, **GIVEN)
    assert fits == ["first", "second"] and not folder.exists()
    assert_same(found, whole)


def test_a_sealed_file_of_another_call_under_this_name_is_refused(tmp_path, whole, fits):
    folder, other = tmp_path / "partial", tmp_path / "other"
    path = interrupted(folder)
    with pytest.raises(KeyboardInterrupt):
        compare(DATA, METHODS | {"second": stops}, checkpoint=other, **GIVEN | {"key": 9})
    (foreign,) = other.iterdir()
    path.write_bytes(foreign.read_bytes())
    fits.clear()
    with pytest.warns(UserWarning, match="first: computed anew, .*is of other data or settings"):
        found = compare(DATA, METHODS, checkpoint=folder, resume=True, **GIVEN)
    assert fits == ["first", "second"]
    assert_same(found, whole)


def test_methods_of_the_library_are_known_by_their_options(tmp_path, fits):
    folder = tmp_path / "partial"
    asked = {"a": small(by=3), "b": "small", "c": stops}
    given = GIVEN | {"bootstrap": 0}
    with pytest.raises(KeyboardInterrupt):
        compare(DATA, asked, checkpoint=folder, **given)
    fits.clear()
    asked["c"] = METHODS["second"]
    other = {"a": small(by=3.0)}  # equal, and of another type
    with partial_results(folder, resume=True, progress=None) as opened:
        compare(DATA, asked | other, checkpoint=opened, **given)
        assert fits == ["a", "c"]
        options = {"small": {"by": 2.0}}
        compare(DATA, asked, checkpoint=opened, options=options, **given)
        assert fits == ["a", "c", "b"]
        assert folder.exists()
    assert not folder.exists()


def test_options_that_nothing_tells_apart_are_not_kept(tmp_path):
    said = []
    with partial_results(tmp_path / "p", resume=False, progress=said.append) as opened:
        found, taken = opened.finished("own", lambda: None, lambda: Finished([{"a": 1}]))
    assert found.rows == [{"a": 1}] and not taken and "not kept" in said[0]
    assert not (tmp_path / "p").exists()


def test_values_come_back_as_they_were(tmp_path):
    row = {
        "nan": float("nan"),
        "infinite": -float("inf"),
        "tiny": 5e-324,
        "zero": -0.0,
        "third": 1 / 3,
        "whole": 3,
        "none": None,
        "flag": True,
        "text": "a\u2192b\n",
        "list": [1.0, float("nan")],
        "counts": {"RANK_DEFICIENT": 2},
    }
    columns = {"a": np.array([1 / 3, np.nan]), "b": np.array(["x", "long"]), "c": np.array([True])}
    keep = lambda: Finished([row, row], columns)  # noqa: E731
    name, identity = "a/b: \u03b1 " + "x" * 99, lambda: "0" * 64
    with pytest.raises(KeyboardInterrupt):
        with partial_results(tmp_path, resume=False, progress=None) as opened:
            opened.finished(name, identity, keep)
            raise KeyboardInterrupt
    (path,) = tmp_path.iterdir()
    assert len(path.name) <= 40 and path.name.isascii()
    with partial_results(tmp_path, resume=True, progress=None) as opened:
        found, taken = opened.finished(name, identity, stops)
    assert taken and repr(found.rows) == repr([row, row])
    for column, values in columns.items():
        np.testing.assert_array_equal(found.columns[column], values)


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path):
    path = tmp_path / "partial"
    path.write_text("mine")
    with pytest.raises(NotADirectoryError, match="is no folder"):
        compare(DATA, METHODS, checkpoint=path, **GIVEN)
    assert path.read_text() == "mine"


def test_halves_of_a_killed_writer_are_deleted(tmp_path):
    (tmp_path / f".first-0123{module.SUFFIX}.0123456789abcdef").write_bytes(b"half")
    with partial_results(tmp_path / "none", resume=False, progress=None):
        pass
    with partial_results(tmp_path, resume=True, progress=None):
        pass
    assert not list(tmp_path.glob(".*"))


# The command line


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("partial") / "rows.csv"
    dose = np.repeat(["low", "mid", "high"], 20)
    data = problem(np.random.default_rng(6), 60, 2, scale=0.0)
    columns = [*data.mediators.T, data.outcome]
    rows = (",".join([d, *map(repr, map(float, v))]) for d, *v in zip(dose, *columns, strict=True))
    path.write_text("\n".join(["dose,m1,m2,y", *rows]) + "\n")
    return path


def command(table, out, *more):
    roles = ["--exposure", "dose", "--outcome", "y", "--mediators", "m*"]
    shown = ["--levels", "low,mid,high", "--methods", "small,other", "--no-figures", "--seed", "2"]
    return ["compare", str(table), *roles, *shown, "--out", str(out), *more]


def timeless(folder):
    """The files of a result, without seconds and names of folders."""
    found = {}
    for path in sorted(folder.rglob("*.json")):
        document = json.loads(path.read_text())
        document.pop("sha256", None)  # of the seconds, too
        for row in document.get("table", ()):
            row.update(dict.fromkeys(SECONDS))
        found[str(path.relative_to(folder))] = document
    return found


def test_levels_go_on_at_the_method_that_was_interrupted(table, tmp_path, monkeypatch, capsys):
    pytest.importorskip("jinja2")
    place = sys.modules[compare.__module__]
    one, computed = place._one, []

    def third_stops(method, run):
        if len(computed) == 3:
            raise KeyboardInterrupt
        computed.append(method.name)
        return one(method, run)

    assert main(command(table, tmp_path / "whole", "--quiet")) == 0
    monkeypatch.setattr(place, "_one", third_stops)
    assert main(command(table, tmp_path / "cut")) == 130
    assert len(list((tmp_path / "cut/partial").iterdir())) == 3
    computed.append("from here on nothing stops")
    assert main(command(table, tmp_path / "cut", "--resume")) == 0
    assert computed[4:] == ["other"]
    assert timeless(tmp_path / "cut") == timeless(tmp_path / "whole")
    assert not (tmp_path / "cut/partial").exists()
    said = capsys.readouterr().err
    assert "method 1 of 2: Small" in said and "taken from" in said


@pytest.mark.slow
def test_a_process_that_is_killed_leaves_what_is_finished(table, tmp_path):
    root = Path(__file__).parents[2]
    line = [sys.executable, "-m", "jaxmed", *command(table, tmp_path / "out")]
    line[line.index("small,other")] = "reg_outcome,ols,double_selection,hima"
    line += ["--bootstrap", "500"]
    process = subprocess.Popen(line, cwd=root, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    folder = tmp_path / "out/partial"
    end = time.monotonic() + 300
    while time.monotonic() < end and len(list(folder.glob(f"[!.]*{module.SUFFIX}"))) < 2:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    again = subprocess.run(
        [*line, "--resume"], cwd=root, capture_output=True, text=True, timeout=900
    )
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("taken from") >= 2 and not folder.exists()
    line[line.index(str(tmp_path / "out"))] = str(tmp_path / "whole")
    subprocess.run(line, cwd=root, check=True, capture_output=True, timeout=900)
    assert timeless(tmp_path / "out") == timeless(tmp_path / "whole")
