"""A run directory does not choose what is run: only the user's own word brings a file to life."""

import hashlib
import importlib.util
import json
import os
import py_compile
import shutil
import subprocess
import sys
import types
from pathlib import Path

import jax
import pytest

from jaxmed.cli import main
from jaxmed.cli.programs import program_folder, prune
from jaxmed.studies.keep_out import import_paths, is_inside, keep_out
from jaxmed.studies.replay import replay
from jaxmed.studies.run import open_run, plan_study, run_study, work_on
from jaxmed.studies.workers import pool_size
from jaxmed.sweeps import plan as plans
from jaxmed.sweeps.plan import PlanMismatchError

STUDY = """
import jax
from jaxmed.reports.sections import Section
from jaxmed.studies.study import Study
from jaxmed.sweeps import BlockTask, stack
from jaxmed.sweeps.task import Cell

TASK = BlockTask(lambda key, mean, size: {"law": mean + jax.random.normal(key, (size,))})

def cells(scale):
    return [Cell("law", TASK, 3.0, 8, 4, None, stack())]

STUDY = Study("own/law", "A law", cells, lambda results, once: [Section("law", "Law", ["x"])])
OTHER = STUDY
"""
POSIX = pytest.mark.skipif(os.name == "nt", reason="POSIX")


class Attack:
    """A directory that somebody changed: its plan names a program of theirs."""

    def __init__(self, folder):
        self.folder, self.out = folder, folder / "run"
        self.mine = folder / "mine.py"
        self.mine.write_text(STUDY)
        self.name = f"{self.mine}:STUDY"
        plan_study(self.name, self.out)
        self.marker = folder / "marker"

    def program(self, path):
        """A file that runs the study, and leaves the marker when it is imported."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"open({str(self.marker)!r}, 'w').close()\n{STUDY}")
        return path

    def record(self, **changes):
        """Another source in the plan, with a hash of the plan that fits."""
        plan = json.loads((self.out / "plan.json").read_text())
        plan["study"]["source"] |= changes
        plan["config"] = plans._config_hash(plan)
        (self.out / "plan.json").write_text(json.dumps(plan))

    def record_file(self, path):
        digest = hashlib.sha256(Path(path).read_bytes()).hexdigest()
        self.record(file=str(path), sha256=digest)


@pytest.fixture
def attack(tmp_path):
    return Attack(tmp_path)


def commands(attack, capsys):
    """resume, work and replay, in Python and on the command line."""
    out = str(attack.out)

    def shell(*words):
        def call(**options):
            given = [f"--{k}" if v is True else f"--{k}={v}" for k, v in options.items()]
            if main(["study", *words, *given]):
                raise ValueError(capsys.readouterr().err)

        return call

    return {
        "open_run": lambda **options: open_run(out, **options).__enter__(),
        "work_on": lambda **options: work_on(out, **options),
        "replay": lambda **options: replay(out, "law", 0, **options),
        "resume": shell("resume", out, "--workers", "1"),
        "work": shell("work", out),
        "again": shell("replay", out, "--cell", "law", "--replicate", "0"),
    }


def jaxmed(*words, env=types.MappingProxyType({}), **options):
    return subprocess.run(
        [sys.executable, "-m", "jaxmed", "study", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=100,
        env=os.environ | {"NPROC": str(pool_size())} | env,
        **options,
    )


WAYS = ("open_run", "work_on", "replay", "resume", "work", "again")


@pytest.mark.parametrize("way", WAYS)
def test_a_changed_plan_runs_nothing(attack, way, capsys, restored):
    call = commands(attack, capsys)[way]
    attack.record_file(attack.program(attack.folder / "theirs.py"))
    with pytest.raises(ValueError, match="name the study again, (study=|--study )"):
        call()
    with pytest.raises(ValueError, match="study.source.sha256"):
        call(study=attack.name)
    attack.record_file(attack.program(attack.out / "inside.py"))
    with pytest.raises(ValueError, match="inside the run directory"):
        call(trust=True)
    (attack.folder / "link.py").symlink_to(attack.out / "inside.py")
    with pytest.raises(ValueError, match="inside the run directory"):
        call(study=f"{attack.folder / 'link.py'}:STUDY")
    attack.record(registered=f"{attack.folder / 'theirs.py'}:STUDY")
    with pytest.raises(ValueError, match="no study of this jaxmed"):
        call(trust=True)
    assert not attack.marker.exists()


def test_trust_means_that_the_directory_chooses(attack):
    attack.record_file(attack.program(attack.folder / "theirs.py"))
    assert work_on(attack.out, trust=True)
    assert attack.marker.exists()


def test_a_file_that_changed_is_not_run(attack):
    attack.program(attack.mine)
    for options in ({"study": attack.name}, {"trust": True}):
        with pytest.raises(PlanMismatchError, match="sha256"):
            work_on(attack.out, **options)
    with pytest.raises(PlanMismatchError, match="sha256"):
        run_study(attack.name, out=attack.out)
    with pytest.raises(PlanMismatchError, match=r"variable \(STUDY there, OTHER now\)"):
        work_on(attack.out, study=f"{attack.mine}:OTHER")
    assert not attack.marker.exists()


def test_the_file_may_lie_elsewhere_by_now(attack):
    moved = attack.folder / "elsewhere" / "renamed.py"
    moved.parent.mkdir()
    shutil.move(attack.mine, moved)
    assert work_on(attack.out, study=f"{moved}:STUDY")
    with pytest.raises(ValueError, match="no file"):
        work_on(attack.out, trust=True)
    with pytest.raises(ValueError, match=r"name it FILE.py:VARIABLE, not table-3"):
        work_on(attack.out, study="table-3")


def test_nothing_in_a_directory_is_its_own_study(attack):
    inside = attack.program(attack.out / "inside.py")
    for call in (run_study, plan_study):
        with pytest.raises(ValueError, match="inside the run directory"):
            call(f"{inside}:STUDY", out=attack.out)
    assert not attack.marker.exists()


def test_a_cached_byte_code_is_not_run_in_place_of_the_file(attack):
    """Whoever writes beside a file may leave a .pyc of another program with its time and size."""
    theirs = attack.program(attack.mine).read_text()
    line = theirs.index("\n")
    py_compile.compile(str(attack.mine))
    facts = attack.mine.stat()
    attack.mine.write_text("#" * line + theirs[line:])
    os.utime(attack.mine, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert run_study(attack.name).results
    assert not attack.marker.exists()


def test_workers_get_the_study_and_import_nothing_from_the_directory(attack, monkeypatch):
    for module in ("jaxmed", "numpy", "jax", "json", "sitecustomize"):
        attack.program(attack.out / f"{module}.py")
    monkeypatch.chdir(attack.out)
    monkeypatch.syspath_prepend(str(attack.out))
    assert not any(Path(p).resolve() == attack.out.resolve() for p in import_paths("."))
    said = []
    run_study(attack.name, out=".", workers=1, say=said.append)
    assert said == [] and not attack.marker.exists()


def called(attack, name):
    """The run directory under the name of a package, with programs for its modules."""
    out = attack.folder / name
    shutil.move(attack.out, out)
    for module in ("__init__", "figure", "pyplot", "evil"):
        attack.program(out / f"{module}.py")
    if name == "jax_plugins":
        (out / "__init__.py").unlink()  # a namespace, all modules of which JAX imports
    return out


# Needed at the end, by a page; at the start, by workers alone; before jaxmed, by Python itself; and
# looked for by JAX though it is not there.
@pytest.mark.parametrize(
    "name",
    [
        pytest.param("jinja2", marks=pytest.mark.slow),
        pytest.param("matplotlib", marks=pytest.mark.slow),
        pytest.param("tqdm", marks=pytest.mark.slow),
        pytest.param("sitecustomize", marks=pytest.mark.slow),
        "jax_plugins",
    ],
)
def test_a_directory_called_as_a_package_is_not_imported(attack, name):
    out = called(attack, name)
    study = ("--study", attack.name, "--workers", "1")
    done = jaxmed("resume", name, *study, cwd=attack.folder)
    assert done.returncode == 0, done.stderr
    assert "Report:" in done.stdout and (out / "report.html").exists()
    assert not attack.marker.exists()


# In PYTHONPATH the user gives the folder to every Python, which imports `sitecustomize` itself. In
# every run test_what_is_only_in_the_directory_is_not_there has such a path, in one process.
@pytest.mark.slow
@pytest.mark.parametrize("name", ["jinja2", "matplotlib", "tqdm", "jax_plugins"])
def test_nor_is_one_that_lies_in_pythonpath(attack, name):
    out = called(attack, name)
    paths = os.pathsep.join(filter(None, [str(attack.folder), os.environ.get("PYTHONPATH")]))
    study = ("--study", attack.name, "--workers", "1")
    done = jaxmed("resume", out, *study, env={"PYTHONPATH": paths})
    assert done.returncode == 0, done.stderr
    assert (out / "report.html").exists() and not attack.marker.exists()


def test_what_is_only_in_the_directory_is_not_there(attack, monkeypatch, restored):
    """The rest of the folder that it lies in is, and what lies behind it on the path."""
    for module in ("tqdm/__init__", "only_here", "part/inner/__init__"):
        attack.program(attack.out / f"{module}.py")
    (attack.folder / "beside_the_run.py").write_text("")
    monkeypatch.chdir(attack.folder)
    monkeypatch.setattr(sys, "path", ["", str(attack.out), "run/part", *sys.path])
    keep_out("run")
    monkeypatch.chdir("/")
    for name in ("run", "run.only_here", "only_here", "inner"):
        with pytest.raises(ModuleNotFoundError):
            importlib.import_module(name)
    assert importlib.import_module("beside_the_run") and not attack.marker.exists()
    assert not is_inside(Path(str(importlib.util.find_spec("tqdm"))), attack.out)


@POSIX
@pytest.mark.parametrize("kind", ["pipe", "link", "folder"])
def test_logs_are_files_of_the_run(attack, kind):
    log = attack.out / "logs" / "worker-0.log"
    log.parent.mkdir()
    other = attack.folder / "other"
    other.write_text("mine\n")
    if kind == "pipe":
        os.mkfifo(log)
    elif kind == "link":
        log.symlink_to(other)
    else:
        log.mkdir()
    with pytest.raises(ValueError, match="no log of this run"):
        run_study(attack.name, out=attack.out, workers=1)
    assert other.read_text() == "mine\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR", raising=False)  # the tests' own
    return tmp_path / "caches"


@POSIX
def test_programs_lie_in_a_private_folder_of_the_user(home, attack):
    (attack.out / "cache").mkdir()  # of an older run, or planted
    done = jaxmed("work", attack.out, "--study", attack.name)
    assert done.returncode == 0, done.stderr
    (host,) = (home / "jaxmed" / "programs").iterdir()
    assert host.stat().st_mode & 0o777 == 0o700 and list(host.glob("*-cache"))
    assert not list((attack.out / "cache").iterdir())


@POSIX
def test_a_folder_that_others_may_fill_is_not_used(home, attack, monkeypatch):
    program_folder()
    (home / "jaxmed" / "programs").chmod(0o777)
    done = jaxmed("work", attack.out, "--study", attack.name)
    assert done.returncode == 0 and done.stderr.count("programs are not kept") == 1
    assert not list((home / "jaxmed").rglob("*-cache"))
    (home / "jaxmed" / "programs").chmod(0o700)
    owner = os.geteuid()
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    with pytest.raises(OSError, match="belongs to somebody else"):
        program_folder()
    monkeypatch.undo()
    monkeypatch.setenv("XDG_CACHE_HOME", str(attack.mine))  # a file
    with pytest.raises(OSError):
        program_folder()


def test_the_oldest_programs_go_first(tmp_path):
    for i in range(5):
        (tmp_path / f"{i}-cache").write_bytes(b"x" * 10)
        os.utime(tmp_path / f"{i}-cache", (i, i))
    prune(tmp_path, most=25)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["3-cache", "4-cache"]


def test_numbers_of_a_plan_stay_out_of_the_environment_until_they_are_sane(attack):
    plan = json.loads((attack.out / "plan.json").read_text()) | {"nproc": 10**9}
    plan["config"] = plans._config_hash(plan)
    (attack.out / "plan.json").write_text(json.dumps(plan))
    before = os.environ.get("NPROC"), jax.config.jax_compilation_cache_dir
    assert main(["study", "work", str(attack.out), "--study", attack.name]) == 2
    assert (os.environ.get("NPROC"), jax.config.jax_compilation_cache_dir) == before
