"""How many draws, folds and trainings are asked for: a whole number that memory holds, or an error.

All of it is refused before anything is compiled or drawn.
"""

import jax
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import estimators
from jaxmed.analysis.generative import generative
from jaxmed.analysis.noisy_intervals import noisy_intervals
from jaxmed.cli import main
from jaxmed.gahmn import GahmnConfig, gahmn
from jaxmed.gahmn.config import BlockConfig
from jaxmed.inference.permutation import exposure_permutation_test

DATA = problem(np.random.default_rng(0), 40, 3, 2, scale=0.0)
ENOUGH = ("permutations", "n_seeds", "count")  # of which one is enough
DUAL = problem(np.random.default_rng(0), 12, 16, 1)
KEY = jax.random.key(0)
COUNTS = {
    "mediate permutations": ("permutations", lambda k: jaxmed.mediate(DATA, key=0, permutations=k)),
    "mediate replicates": ("replicates", lambda k: jaxmed.mediate(DATA, key=0, replicates=k)),
    "mediate folds": ("folds", lambda k: jaxmed.mediate(DATA, key=0, folds=k)),
    "moments": (
        "replicates",
        lambda k: jaxmed.mediate(jaxmed.cross_moments(DATA), key=0, replicates=k),
    ),
    "compare": ("bootstrap", lambda k: jaxmed.compare(DATA, ["ols"], key=0, bootstrap=k)),
    "gahmn trainings": ("n_seeds", lambda k: generative(DATA, key=0, n_seeds=k)),
    "gahmn steps": ("steps", lambda k: GahmnConfig().with_steps(k)),
    "gahmn estimator": ("n_seeds", lambda k: gahmn(n_seeds=k)),
    "gahmn resamples": ("resamples", lambda k: gahmn(resamples=k)),
    "noise": ("draws", lambda k: noisy_intervals(KEY, [], draws=k)),
    "noise, exact law": ("replicates", lambda k: noisy_intervals(KEY, [], replicates=k)),
    "pcma": ("replicates", lambda k: estimators.pcma(replicates=k)),
    "spcma": ("replicates", lambda k: estimators.spcma(replicates=k)),
    "permutation": ("count", lambda k: exposure_permutation_test(KEY, DATA, count=k)),
    "dual": ("permutations", lambda k: jaxmed.dual_total_test(KEY, DUAL, permutations=k)),
}


@pytest.mark.parametrize("what", COUNTS)
def test_more_than_memory_holds(what):
    name, call = COUNTS[what]
    with pytest.raises(ValueError, match=f"^{name} is 10,000,000,000,000.* at most "):
        call(10**13)


@pytest.mark.parametrize("value", [1e3, 2.5, float("nan"), "999", None, True])
@pytest.mark.parametrize("what", COUNTS)
def test_what_is_no_whole_number(what, value):
    name, call = COUNTS[what]
    with pytest.raises(ValueError, match=f"^{name} must be a whole number, not "):
        call(value)


@pytest.mark.parametrize("value", [-1, 1])
def test_too_few(value):
    for what, (name, call) in COUNTS.items():
        if what == "noise, exact law" or (value == 1 and name in ENOUGH):
            continue
        with pytest.raises(ValueError, match=r"\d") as caught:
            call(value)
        assert "whole number" not in str(caught.value), what


def test_numpy_counts_are_counts():
    assert BlockConfig(steps=np.int64(100)).steps == 100


@pytest.mark.parametrize("name", ["chunk", "batch"])
def test_sizes_of_compare(name):
    with pytest.raises(ValueError, match=f"^{name} must be a whole number, not 1.5"):
        jaxmed.compare(DATA, ["ols"], key=0, **{name: 1.5})


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("mediate", "--permutations"),
        ("mediate", "--replicates"),
        ("mediate", "--folds"),
        ("generative", "--trainings"),
        ("generative", "--steps"),
        ("compare --methods ols", "--bootstrap"),
    ],
)
def test_options_of_the_command_line(command, option, tmp_path, capsys):
    columns = [DATA.exposure, DATA.outcome, *DATA.mediators.T]
    path = tmp_path / "t.csv"
    rows = np.column_stack([np.tile(c, 2) for c in columns])
    np.savetxt(path, rows, delimiter=",", header="x,y,m1,m2,m3", comments="")
    name, *more = command.split()
    roles = ["--exposure", "x", "--outcome", "y", "--mediators", "m*", "--quiet"]
    assert main([name, str(path), *roles, *more, option, "10000000000000"]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"jaxmed: {option} is 10,000,000,000,000"), said
    assert len(said.splitlines()) == 1
