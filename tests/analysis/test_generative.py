"""`generative`: tables, generated rows, interruption, command line."""

import json
import os
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import jaxmed
from jaxmed.analysis.effects import effects
from jaxmed.analysis.generative import generative
from jaxmed.cli import main
from jaxmed.data import InvalidDataError, ShapeError, mediation_data
from jaxmed.gahmn import improved
from jaxmed.gahmn.storage import StoredStateError, load_fitted
from jaxmed.simulate.partially_linear import partially_linear, sample

P = 6
CONFIG = improved().with_steps(100)
NAMES = {
    "exposure": "smoker",
    "outcome": "fev",
    "mediators": tuple(f"cpg{k}" for k in range(P)),
    "covariates": ("x1", "x2"),
}


@pytest.fixture(scope="module")
def data():
    drawn = jax.jit(lambda key: sample(key, partially_linear("A", P), 200))(jax.random.key(4))
    mediators = np.array(drawn.mediators)
    mediators[:, 5] = 3.0
    return mediation_data(
        np.asarray(drawn.exposure),
        mediators,
        np.asarray(drawn.outcome),
        np.asarray(drawn.covariates),
        names=NAMES,
    )


class Stopped(Exception):
    """Raised from the progress, as an interruption would be."""


@pytest.fixture(scope="module")
def sentences():
    """What the analysis in one piece says of its progress."""
    return []


@pytest.fixture(scope="module")
def whole(data, sentences):
    """The analysis in one piece."""
    with pytest.warns(UserWarning, match="cpg5"):
        return generative(data, key=7, config=CONFIG, n_seeds=2, progress=sentences.append)


def interrupted(data, folder, word):
    """The same analysis, stopped at a sentence with its training kept in a folder."""

    def stop(sentence):
        if sentence.startswith(word):
            raise Stopped

    with pytest.warns(UserWarning), pytest.raises(Stopped):
        generative(data, key=7, config=CONFIG, n_seeds=2, checkpoint=folder, progress=stop)


@pytest.mark.slow
def test_an_interrupted_training_ends_with_identical_weights(data, whole, sentences, tmp_path):
    for word in ("mediators: step", "outcome: step"):
        interrupted(data, tmp_path, word)
    heard = []
    with pytest.warns(UserWarning):
        again = generative(
            data, key=7, config=CONFIG, n_seeds=2, checkpoint=tmp_path, progress=heard.append
        )
    pairs = zip(jax.tree.leaves(whole.details), jax.tree.leaves(again.details), strict=True)
    assert all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    assert any("going on after step" in s for s in heard)
    assert any("critic loss" in s for s in sentences)
    assert whole.rows[0] == again.rows[0]


@pytest.fixture(scope="module")
def folder(data, tmp_path_factory):
    """What an interruption in the first block leaves."""
    place = tmp_path_factory.mktemp("training")
    interrupted(data, place, "mediators: step")
    return place


@pytest.mark.slow
def test_another_fit_does_not_go_on_there(data, folder):
    with pytest.warns(UserWarning), pytest.raises(StoredStateError, match="another seed"):
        generative(data, key=8, config=CONFIG, n_seeds=2, checkpoint=folder)


def test_two_rows_and_named_mediators(whole):
    record, own = whole.rows
    assert record["method"] == "gahmn" and own["method"] == "gahmn_adversarial"
    assert record["direct_lower"] < record["direct"] < record["direct_upper"]
    assert np.isnan(own["direct_se"]) and "no sampling error" in own["interval"]
    assert whole.names == NAMES["mediators"][:5] and whole.seeds == 2
    text = whole.summary()
    assert "smoker" in text and "fev" in text and "generators alone" in text
    table = whole.mediators
    first = table["mediator"] == "cpg5"
    assert set(table["status"][first]) == {"CONSTANT_MEDIATOR"}
    assert len(whole.document["seeds"]) == 2 and whole.document["settings"]["seed"] == 7


def test_generated_rows(whole, data):
    x = np.asarray(data.covariates)[:4]
    drawn = whole.generate(1, exposure=1.0, covariates=x, count=3)
    assert drawn["mediators"].shape == (3, 4, 5) and drawn["outcome"].shape == (3, 4)
    again = whole.generate(1, exposure=np.ones(4), covariates=x, count=3)
    np.testing.assert_array_equal(drawn["outcome"], again["outcome"])
    levels = whole.quantiles(1, 0.0, x, levels=(0.1, 0.9), count=40)
    assert (levels["outcome"][0] < levels["outcome"][1]).all()
    mean = whole.predict(1.0, x)
    low = whole.predict(0.0, x)
    alpha = np.asarray(whole.details.adversarial.alpha)
    np.testing.assert_allclose(
        mean["mediators"] - low["mediators"], np.tile(alpha, (4, 1)), atol=1e-5
    )
    observed = whole.predict(1.0, x, np.asarray(data.mediators)[:4, :5])
    assert observed["outcome"].shape == (4,)
    part = whole.effects_for(np.asarray(data.covariates)[:, 0] > 0, draws=5)
    np.testing.assert_allclose(part.effects.direct, part.direct[0], rtol=1e-5)
    with pytest.raises(ShapeError, match=r"\[n, 2\]"):
        whole.generate(1, 1.0, x[:, :1])
    with pytest.raises(ShapeError, match="exposures"):
        whole.predict(np.ones(3), x)
    with pytest.raises(ShapeError, match="order of `names`"):
        whole.predict(1.0, x, np.ones((4, 2)))


def test_saved_page_and_generators(whole, tmp_path):
    paths = whole.save(tmp_path)
    names = {path.name for path in paths}
    assert {"gahmn.csv", "generators.png", "learning_curves.svg", "generators.npz"} <= names
    files = (tmp_path / name for name in ("generators.json", "gahmn.json"))
    trained, document = (json.loads(path.read_text()) for path in files)
    assert document["settings"]["config"] == trained["config"]
    page = (tmp_path / "report.html").read_text()
    assert "What the generators learned" in page and "Learning curves" in page
    again = load_fitted(tmp_path)
    pairs = zip(jax.tree.leaves(again), jax.tree.leaves(whole.details.fitted), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


@pytest.mark.slow
def test_a_penalty_path_goes_on_after_its_last_training(data, tmp_path):
    def stop(sentence):
        if sentence.startswith("penalty: training 4"):
            raise Stopped

    given = {"key": 7, "config": CONFIG, "tuning": "path"}
    with pytest.warns(UserWarning):
        whole = generative(data, **given)
    with pytest.warns(UserWarning), pytest.raises(Stopped):
        generative(data, **given, checkpoint=tmp_path, progress=stop)
    heard = []
    for _ in range(2):  # the second time everything is there
        with pytest.warns(UserWarning):
            again = generative(data, **given, checkpoint=tmp_path, progress=heard.append)
        pairs = zip(jax.tree.leaves(whole.details), jax.tree.leaves(again.details), strict=True)
        assert all(np.array_equal(a, b, equal_nan=True) for a, b in pairs)
    assert [s[:19] for s in heard if s.startswith("penalty: training")] == [
        f"penalty: training {k}" for k in (4, 5, 6, 7, 8)
    ]
    chosen = whole.details.path
    assert chosen.best[0] == chosen.multiples[np.argmin(chosen.loss[:, 0])]
    np.testing.assert_allclose(chosen.chosen.mediator, chosen.best[0] * 0.1 / 5, rtol=1e-6)
    told = whole.document["choice"]["sentences"]
    assert any("Penalty by held-out rows" in sentence for sentence in told)
    assert whole.document["settings"]["tuning"] == "path"
    with pytest.warns(UserWarning), pytest.raises(StoredStateError, match="other settings"):
        generative(data, key=7, config=CONFIG, checkpoint=tmp_path)


def test_refusals(data):
    with pytest.raises(ValueError, match="tuning must be"):
        generative(data, key=1, tuning="cv")
    with pytest.raises(ValueError, match="gahmn: an estimator"):
        jaxmed.mediate(data, composites=("gahmn", "maxie"), key=1)
    with pytest.raises(ValueError, match="interval must be"):
        generative(data, key=1, interval="bootstrap")
    with pytest.raises(ValueError, match="n_seeds"):
        generative(data, key=1, n_seeds=0)
    few = np.zeros(200)
    few[:3] = 1
    few_rows = (
        few,
        np.asarray(data.mediators),
        np.asarray(data.outcome),
        np.asarray(data.covariates),
    )
    small = mediation_data(*few_rows, names=NAMES)
    with pytest.raises(InvalidDataError, match="'smoker' has only 3 rows"):
        jaxmed.generative(small, key=1)


def write(data, path):
    names = [*NAMES["mediators"], "x1", "x2", "smoker", "fev", "dose"]
    columns = np.column_stack(
        [data.mediators, data.covariates, data.exposure, data.outcome, np.arange(200) % 3]
    )
    lines = [",".join(map(repr, row)) for row in columns.tolist()]
    levels = ("low", "mid", "high")
    lines = [line.rsplit(",", 1)[0] + "," + levels[i % 3] for i, line in enumerate(lines)]
    path.write_text("\n".join([",".join(names), *lines]) + "\n")


BASE = ["--outcome", "fev", "--mediators", "cpg*", "--covariates", "x1,x2"]


def test_command_line(data, tmp_path, capsys):
    file = tmp_path / "data.csv"
    write(data, file)
    out = tmp_path / "out"
    given = ["generative", str(file), "--exposure", "smoker", *BASE, "--seed", "3"]
    given += ["--steps", "100", "--trainings", "2"]  # the programs of `whole`
    assert main([*given, "--out", str(out), "--no-figures"]) == 0
    shown = capsys.readouterr()
    assert "jaxmed: warning: 1 mediators were left out" in shown.err and "cpg5" in shown.err
    assert "generators alone" in shown.out and "critic loss" in shown.err
    assert (out / "training" / "state.json").exists() and (out / "generators.json").exists()
    read = jaxmed.read_result(out / "gahmn.json")
    assert read["seeds"] and read["data"]["files"][0]["file"] == "data.csv"
    old = ["mediate", *given[1:4], *BASE, "--mode", "faithful"]
    assert main([*old, "--method", "maxie"]) != 0
    assert "--mode is an option of `jaxmed generative`" in capsys.readouterr().err
    assert main([*given[:2], "--exposure", "dose", *BASE]) != 0
    told = capsys.readouterr().err
    assert "dose" in told and "low" in told and "contrast" in told


@pytest.mark.slow
def test_a_killed_process_goes_on(data, tmp_path):
    """SIGKILL in the middle of the training, then the same command again."""
    file = tmp_path / "data.csv"
    write(data, file)
    base = [sys.executable, "-m", "jaxmed", "generative", str(file), "--exposure", "smoker", *BASE]
    base += ["--steps", "2000", "--no-figures"]
    subprocess.run([*base, "--out", str(tmp_path / "whole")], check=True, capture_output=True)
    command = [*base, "--out", str(tmp_path / "killed")]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    state = tmp_path / "killed" / "training" / "state.json"
    end = time.monotonic() + 900  # a busy machine compiles for minutes
    while not state.exists() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert state.exists() and not (tmp_path / "killed" / "generators.npz").exists()
    subprocess.run(command, check=True, capture_output=True)
    first, second = (load_fitted(tmp_path / name) for name in ("whole", "killed"))
    pairs = zip(jax.tree.leaves(first), jax.tree.leaves(second), strict=True)
    assert all(np.array_equal(a, b) for a, b in pairs)


def test_the_total_effect_is_that_of_the_other_commands(data, whole):
    design = whole.document["design"]
    peer = effects(data, key=7)
    assert design["basis"] != "linear" and design == peer.document["design"]
    assert whole.rows[0]["total"] == pytest.approx(peer.rows[0]["total"], abs=1e-10)
    assert whole.covariates.shape[1] == 2  # the generators learn from the covariates themselves
    assert whole.summary().startswith("Covariates: x1 (cubic spline)")
    assert whole.document["settings"]["basis"] == "auto"
