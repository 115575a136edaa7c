"""Studies: the same bytes however they are run, interrupted and resumed; pages and replays."""

import contextlib
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

from jaxmed.cli import main
from jaxmed.data.documents import sealed
from jaxmed.studies.once import stored_once
from jaxmed.studies.registry import find_study
from jaxmed.studies.replay import replay
from jaxmed.studies.run import plan_study, run_study, work_on
from jaxmed.studies.workers import pool_size
from jaxmed.sweeps.plan import PlanMismatchError

pytest.importorskip("jinja2", reason="a study has a page")
pytest.importorskip("matplotlib", reason="a study has figures")

STUDY = """
import jax
import jax.numpy as jnp
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.studies.study import Study
from jaxmed.sweeps import BlockTask, combine, moments, stack, study_task
from jaxmed.sweeps.task import Cell

def generator(key, mean):
    rows = mean + jax.random.normal(key, (60, 8))
    return {"rows": rows, "gram": rows.T @ rows}

def largest(key, data):
    return jnp.linalg.eigvalsh(data["gram"])[-1]

def noisy(key, data):
    return data["rows"].mean() + jax.random.normal(key)

def score(estimate, data):
    return {"value": estimate, "status": jnp.where(estimate < -0.5, 30, 0)}

TASK = study_task(generator, {"largest": largest, "noisy": noisy}, score)
BLOCK = BlockTask(lambda key, mean, size: {"law": mean + jax.random.normal(key, (size,))})

def cells(scale):
    count = int(600 * scale)
    both = combine(moments=moments(), all=stack())
    return [
        Cell("data/mean=0", TASK, jnp.asarray(0.0), count, 32, 1, both),
        Cell("data/mean=1", TASK, jnp.asarray(1.0), count, 32, 1, both),
        Cell("law", BLOCK, jnp.asarray(3.0), count + 7, 64, None, stack()),
    ]

def once(key, scale):
    return {"draw": float(jax.random.normal(key)), "bits": str(jnp.ones(()).dtype)}

def figure():
    from jaxmed.reports.style import finish, new_figure, style
    with style():
        drawn = new_figure(4, 3)
        drawn.subplots().plot([0, 1], [1, 0])
        return finish(drawn)

def report(results, once):
    rows = []
    for name in ("data/mean=0", "data/mean=1"):
        found = results[name]["moments"]["noisy/value"]
        rows.append({"cell": name, "noisy": (found.mean, found.standard_error), "n": found.count})
    table = TidyTable({"cell": "Cell <i>", "noisy": "Noisy", "n": "Used"}, rows, "Means.")
    text = [f"law {results['law']['law'].mean():.3f}, {once['bits']}"]
    return [Section("means", "Means & more", text, table, figure, "A line.")]

STUDY = Study("own/small", "A small study", cells, report, once, seed=5)
"""
SCALE = 1.0


@pytest.fixture(scope="module")
def name(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "my_study.py"
    path.write_text(STUDY)
    return f"{path}:STUDY"


@pytest.fixture(scope="module")
def undisturbed(name):
    return run_study(name, scale=SCALE)


@pytest.fixture(scope="module")
def kept(name, tmp_path_factory):
    """A run directory, filled in this process."""
    directory = tmp_path_factory.mktemp("kept")
    run_study(name, out=directory, scale=SCALE)
    return directory


@pytest.fixture
def cold(tmp_path_factory, monkeypatch):
    """Programs are compiled anew: a run that is over at once cannot be interrupted."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cold")))


def columns(results):
    """Every replicate of every cell, as bytes."""
    return {
        f"{cell}: {column}": values.tobytes()
        for cell, result in results.items()
        for column, values in result.get("all", result).items()
    }


def chunks(directory):
    files = directory.glob("chunks/*/*.npz")  # not what a killed worker left half written
    return {str(p.relative_to(directory)): p.read_bytes() for p in files}


def jaxmed(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "jaxmed", "study", *map(str, words)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"NPROC": str(pool_size())},
        **options,
    )


def wait_for(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.01)


def test_a_directory_changes_nothing_and_resumes(name, undisturbed, kept):
    seen, before = [], chunks(kept)
    again = run_study(name, out=kept, scale=SCALE, progress=lambda *p: seen.append(p))
    assert columns(again.results) == columns(undisturbed.results)
    assert again.summary() == undisturbed.summary()
    assert again.once == undisturbed.once and again.once["bits"] == "float64"
    assert seen == [(1807, 1807)]  # nothing was left to do
    assert chunks(kept) == before


# Two workers, of which one dies, are in every run by way of the command line, with the same bytes;
# several devices are in tests/sweeps.
@pytest.mark.slow
@pytest.mark.parametrize(("workers", "devices"), [(2, 1), (1, 4)])
def test_workers_and_devices_give_the_same_bytes(
    name, undisturbed, kept, tmp_path, workers, devices
):
    said, seen = [], []
    found = run_study(
        name,
        out=tmp_path,
        scale=SCALE,
        workers=workers,
        devices=devices,
        progress=lambda *p: seen.append(p),
        say=said.append,
    )
    assert said == [] and seen[-1] == (1807, 1807)
    assert columns(found.results) == columns(undisturbed.results)
    assert chunks(tmp_path) == chunks(kept)


@pytest.mark.slow
def test_killed_workers_lose_nothing(tmp_path, cold):
    """SIGKILL at random moments; the survivors and the next ones go on.

    Five processes. One dead worker is in every run of the tests, by way of the command line: see
    test_command_line_survives_a_dead_worker_and_an_interruption.
    """
    rng = random.Random(3)
    path = tmp_path / "slow.py"
    path.write_text(STUDY.replace("(60, 8)", "(1000, 8)"))
    name, out = f"{path}:STUDY", tmp_path / "out"
    plan_study(name, out, scale=SCALE)
    workers = [jaxmed("work", out, "--study", name, "--worker", i) for i in range(2)]
    for kill in range(3):
        victim = workers.pop(0)
        wait_for(lambda pid=victim.pid: pid in lease_holders(out))
        time.sleep(rng.uniform(0, 0.1))
        victim.kill()
        victim.communicate()
        workers.append(jaxmed("work", out, "--study", name, "--worker", 2 + kill))
    assert lease_holders(out) or list(out.glob("chunks/*/*.npz"))
    assert len(list(out.glob("chunks/*/*.npz"))) < 48  # nobody was killed after the end
    for worker in workers:
        worker.kill()
        worker.communicate()
    result = run_study(name, out=out, scale=SCALE)
    undisturbed = run_study(name, out=tmp_path / "undisturbed", scale=SCALE)
    assert chunks(out) == chunks(tmp_path / "undisturbed")
    assert columns(result.results) == columns(undisturbed.results)


def lease_holders(directory):
    found = set()
    for path in directory.glob("chunks/*/*.lease"):
        with contextlib.suppress(FileNotFoundError, ValueError):
            found.add(json.loads(path.read_text())["pid"])
    return found


def test_command_line_survives_a_dead_worker_and_an_interruption(
    name, kept, tmp_path, restored, cold
):
    """A worker is killed, then Ctrl-C; the resumed run gives the same bytes and writes its page."""
    words = ("--scale", SCALE, "--nproc", pool_size(), "--workers", "2")
    first = jaxmed("run", name, "--out", tmp_path, *words)
    wait_for(lambda: lease_holders(tmp_path))
    with contextlib.suppress(ProcessLookupError):
        os.kill(min(lease_holders(tmp_path)), signal.SIGKILL)
    first.send_signal(signal.SIGINT)
    error = first.communicate(timeout=60)[1]
    again = f"jaxmed study resume {tmp_path} --study {name}"
    assert first.returncode == 130 and again in error, error
    assert main([*again.split()[1:], "--quiet", "--workers", "1"]) == 0
    assert not (tmp_path / "cache").exists()  # programs are no part of a run
    assert chunks(tmp_path) == chunks(kept)
    assert (tmp_path / "report.html").exists()


def test_a_dead_worker_is_named_with_its_exit_status(name, tmp_path, cold, capsys, restored):
    said = []
    assert main(["study", "work", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err.startswith("jaxmed: ")

    def kill_all(done, total):
        for pid in lease_holders(tmp_path):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    with pytest.raises(ValueError, match=r"chunk \d+ of cell .* exit status -9 \(SIGKILL\)"):
        run_study(name, out=tmp_path, scale=SCALE, workers=1, progress=kill_all, say=said.append)
    assert len(said) == 1 and "worker 0" in said[0]


def test_a_different_plan_is_refused(name, kept):
    with pytest.raises(PlanMismatchError, match=r"scale \(1.0 there, 0.5 now\)"):
        run_study(name, out=kept, scale=0.5)
    with pytest.raises(PlanMismatchError, match="seed"):
        run_study(name, out=kept, seed=6)


def test_a_changed_file_is_refused(tmp_path):
    path = tmp_path / "s.py"
    path.write_text(STUDY)
    plan_study(f"{path}:STUDY", tmp_path / "out")
    path.write_text(STUDY.replace("-0.5", "-0.6"))
    with pytest.raises(PlanMismatchError, match="study.source.sha256"):
        work_on(tmp_path / "out", study=f"{path}:STUDY")


def test_replay_equals_the_stacked_column(name, kept, undisturbed):
    stacked = undisturbed.results["data/mean=1"]["all"]
    for replicate in (0, 33, 599):
        found = replay(kept, "data/mean=1", replicate, study=name)
        for column, values in stacked.items():
            np.testing.assert_allclose(found.scores[column], values[replicate], rtol=1e-13)
        assert found.data is not None and found.data["rows"].shape == (60, 8)
        gram = found.data["rows"].T @ found.data["rows"]
        largest = np.linalg.eigvalsh(gram)[-1]
        np.testing.assert_allclose(largest, stacked["largest/value"][replicate], rtol=1e-12)
    found = replay(kept, "law", 606, study=name)
    assert found.data is None
    assert found.scores["law"] == undisturbed.results["law"]["law"][606]
    with pytest.raises(ValueError, match="between 0 and 606"):
        replay(kept, "law", 607, study=name)
    with pytest.raises(ValueError, match="data/mean=0"):
        replay(kept, "nothing", 0, study=name)


def test_replay_plan_and_status_on_the_command_line(name, kept, tmp_path, capsys, restored):
    out = tmp_path / "one.npz"
    words = ["--study", name, "--cell", "data/mean=0", "--replicate", "3", "--out", str(out)]
    assert main(["study", "replay", str(kept), *words]) == 0
    shown = capsys.readouterr().out
    assert "noisy/value" in shown and re.search(r"status of noisy: (OK|NOT_ESTIMATED)", shown)
    with np.load(out) as data:
        assert data["rows"].shape == (60, 8)
    assert main(["study", "status", str(kept)]) == 0
    shown = capsys.readouterr().out
    assert "own/small: 48 of 48 chunks" in shown and "data/mean=1" in shown
    words = ["--out", str(tmp_path / "planned"), "--nproc", str(pool_size())]
    assert main(["study", "plan", name, *words]) == 0
    shown = capsys.readouterr().out
    assert f"jaxmed study work {tmp_path / 'planned'} --study {name} --worker I" in shown
    assert f"jaxmed study resume {tmp_path / 'planned'} --study {name}" in shown
    assert main(["study", "status", str(tmp_path / "planned")]) == 0
    assert "0 of 48 chunks" in capsys.readouterr().out
    assert main(["study", "status", str(tmp_path)]) == 2
    assert "plan.json" in capsys.readouterr().err


def test_what_is_done_once_is_kept_and_made_again_when_damaged(name, kept):
    path = kept / "once.json"
    text = path.read_text()
    document = json.loads(text)
    values = document["values"]
    assert values["bits"] == "float64"
    other = sealed({"config": "0" * 64, "values": values | {"draw": 1.0}})
    changed = text.replace(repr(values["draw"]), repr(values["draw"] + 1))
    unsealed = json.dumps({"config": document["config"], "values": values})
    for broken in (text[:20], changed, json.dumps(other), unsealed, "null"):
        path.write_text(broken)
        said = []
        result = run_study(name, out=kept, scale=SCALE, say=said.append)
        assert len(said) == 1 and "computed again" in said[0] and path.read_text() == text
        assert result.once == values


def test_numbers_that_json_lacks_are_kept_all_the_same(tmp_path):
    values = {"x": [float("nan"), float("-inf"), 1.5], "y": {"a": float("inf")}, "z": (1, 2)}
    first, again = (stored_once(tmp_path, "a" * 64, lambda: values, print) for _ in range(2))
    assert repr(first) == repr(again) == repr(values | {"z": [1, 2]})
    (tmp_path / "once.json").unlink()
    (tmp_path / "once.json").mkdir()
    said = []
    assert repr(stored_once(tmp_path, "a" * 64, lambda: values, said.append)) == repr(first)
    assert "no regular file" in said[0] and (tmp_path / "once.odd").is_dir()


def test_page_tables_and_text(undisturbed, tmp_path):
    written = undisturbed.save(tmp_path)
    page = written[-1].read_text()
    assert written[-1].name == "report.html" and "<script" not in page
    assert "Cell &lt;i&gt;" in page and "Means &amp; more" in page
    assert "Monte Carlo standard error" in page and "data:image/svg+xml;base64," in page
    assert "seed 5, float64" in page and "1,807 in all" in page and jax.__version__ in page
    found = undisturbed.results["data/mean=0"]["moments"]["noisy/value"]
    assert found.missing > 0 and "NOT_ESTIMATED" in page
    assert re.search(r"-?0\.\d+ \(0\.0\d+\)", undisturbed.summary())
    line = (tmp_path / "tables" / "means.csv").read_text().splitlines()[1]
    assert line == f"data/mean=0,{found.mean},{found.standard_error},{found.count}"
    statuses = (tmp_path / "tables" / "statuses.csv").read_text()
    assert f"data/mean=0,noisy,NOT_ESTIMATED,{found.missing}\n" in statuses
    assert {p.name for p in (tmp_path / "figures").iterdir()} == {"means.png", "means.svg"}


def test_a_study_object_runs_through_a_directory_of_its_own(name, undisturbed, tmp_path):
    study = find_study(name)
    found = run_study(study, out=tmp_path)
    assert columns(found.results) == columns(undisturbed.results)
    with pytest.raises(ValueError, match="Python session"):
        work_on(tmp_path)
    with pytest.raises(ValueError, match="workers need"):
        run_study(study, out=tmp_path, workers=2)
    with pytest.raises(ValueError, match="workers need"):
        run_study(name, workers=2)


def test_studies_that_are_not_there_are_refused_with_what_is(name):
    file = name.rpartition(":")[0]
    with pytest.raises(ValueError, match=r"no study 'TASK'; it has \['STUDY'\]"):
        find_study(f"{file}:TASK")
    with pytest.raises(ValueError, match="no file"):
        find_study(f"{file}x.py:TASK")
