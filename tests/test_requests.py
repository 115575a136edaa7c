"""Requests that no memory holds: refused at every door before anything is compiled or allocated.

Each refusal names its argument; `test_counts.py` has those that need a data set of their own.
"""

import jax
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed import budget, estimators, gahmn, simulate
from jaxmed.cli import main
from jaxmed.distributions.gram_law import sample_gram_paths
from jaxmed.gahmn import BlockConfig, GahmnConfig
from jaxmed.inference.cross_fit import cross_fitted_effect
from jaxmed.inference.debiased import bootstrap_estimates
from jaxmed.simulate.biobank import biobank
from jaxmed.simulate.partially_linear import partially_linear
from jaxmed.simulate.sparse_paths import sparse_paths
from jaxmed.sparse.folds import assign_folds
from jaxmed.statistics.moment_sums import MomentSums
from jaxmed.sweeps.shared_resamples import shared_resamples
from jaxmed.sweeps.split_sample import held_out_effects

DATA = problem(np.random.default_rng(0), 40, 3, 1, scale=0.0)
DUAL = problem(np.random.default_rng(0), 12, 16, 1)
KEY = jax.random.key(0)
SEM = simulate.linear_sem([0.3, 0.2], [0.3, 0.0])
LAW = simulate.law_of(SEM, 50)
R2 = {"exposure_r2": 0.2, "outcome_r2": 0.2, "cosine": 0.3}
MAXIE = estimators.maxie()
STUDY = "optimal-composite/figure-1"


def draw(key, parameters):
    del parameters
    return {"x": jax.random.normal(key)}


def first(data):
    return data.exposure[0]


COUNTS = {
    "sweep count": (
        "count",
        lambda v: jaxmed.sweep(KEY, draw, v, reducer=jaxmed.sweeps.reducers.stack()),
    ),
    "sweep chunk": ("chunk", lambda v: jaxmed.sweep(KEY, draw, 4, chunk=v)),
    "bootstrap": ("count", lambda v: jaxmed.bootstrap(KEY, DATA, MAXIE, v)),
    "bootstrap chunk": ("chunk", lambda v: jaxmed.bootstrap(KEY, DATA, MAXIE, 4, chunk=v)),
    "permutation": ("count", lambda v: jaxmed.permutation_test(KEY, DATA, first, v)),
    "permutation chunk": ("chunk", lambda v: jaxmed.permutation_test(KEY, DATA, first, 4, chunk=v)),
    "split_sample": ("count", lambda v: jaxmed.split_sample(KEY, DATA, MAXIE, held_out_effects, v)),
    "split_sample chunk": (
        "chunk",
        lambda v: jaxmed.split_sample(KEY, DATA, MAXIE, held_out_effects, 4, chunk=v),
    ),
    "jackknife chunk": ("chunk", lambda v: jaxmed.jackknife(DATA, MAXIE, chunk=v)),
    "shared": ("count", lambda v: shared_resamples(KEY, DATA, "a", MAXIE, v)),
    "compare chunk": ("chunk", lambda v: jaxmed.compare(DATA, ["ols"], key=0, chunk=v)),
    "cross-fit splits": ("splits", lambda v: cross_fitted_effect(KEY, DATA, splits=v)),
    "mediate splits": ("splits", lambda v: jaxmed.mediate(DATA, key=0, splits=v)),
    "estimates": ("replicates", lambda v: bootstrap_estimates(KEY, LAW, v)),
    "total_test": (
        "replicates",
        lambda v: jaxmed.total_indirect_test(LAW, key=KEY, replicates=v),
    ),
    "interval": ("replicates", lambda v: jaxmed.indirect_interval(KEY, LAW, replicates=v)),
    "quadratics": ("count", lambda v: jaxmed.sample_quadratics(KEY, LAW, v)),
    "gram paths": ("num_mediators", lambda v: sample_gram_paths(KEY, LAW, v)),
    "power": ("replicates", lambda v: jaxmed.power(KEY, 50, 3, **R2, replicates=v)),
    "size": ("replicates", lambda v: jaxmed.size(KEY, 50, 3, null="both", replicates=v)),
    "sample": ("num_rows", lambda v: simulate.sample(KEY, SEM, v)),
    "sample_moments": ("num_rows", lambda v: simulate.sample_moments(KEY, SEM, v)),
    "biobank": ("num_mediators", lambda v: biobank(KEY, v)),
    "sparse_paths": ("num_mediators", lambda v: sparse_paths(KEY, v, 3, 1)),
    "partially_linear": ("num_mediators", lambda v: partially_linear("A", v)),
    "factor": ("p", lambda v: simulate.ar1_factor(v, 0.5)),
    "other factor": ("p", lambda v: simulate.equicorrelated_factor(v, 0.5)),
    "moments": ("num_mediators|the number of columns", jaxmed.zero_moments),
    "pathway_lasso": ("splits", lambda v: estimators.pathway_lasso(splits=v)),
    "numerical": ("restarts", lambda v: estimators.numerical(restarts=v)),
    "directions": ("starts", lambda v: estimators.directions(starts=v)),
    "double_selection": ("folds", lambda v: estimators.double_selection(folds=v)),
    "lasso": ("folds", lambda v: estimators.lasso_exposure(folds=v)),
    "dual permutations": (
        "permutations",
        lambda v: jaxmed.dual_total_test(KEY, DUAL, permutations=v),
    ),
    "gahmn batch": ("batch", lambda v: gahmn.gahmn(batch=v)),
    "gahmn rows": ("batch", lambda v: BlockConfig(batch=v)),
    "gahmn latent": ("latent", lambda v: GahmnConfig(latent=v)),
    "gahmn hidden": ("hidden", lambda v: GahmnConfig(hidden=(v,))),
    "gahmn noise": ("noise_inputs", lambda v: GahmnConfig(noise_inputs=v)),
    "gahmn critic": ("critic_widths", lambda v: GahmnConfig(critic_widths=(v,))),
    "gahmn draws": ("mean_draws", lambda v: GahmnConfig(mean_draws=v)),
    "counterfactuals": ("draws", lambda v: gahmn.counterfactuals(KEY, None, None, draws=v)),
    "workers": ("workers", lambda v: jaxmed.run_study(STUDY, out="none", workers=v)),
    "devices": ("devices", lambda v: jaxmed.run_study(STUDY, devices=v)),
}
ABSURD = {"10^13": 10**13, "10^400": 10**400, "inf": float("inf"), "nan": float("nan"), "-1": -1}


@pytest.mark.parametrize("value", ABSURD)
def test_counts_are_refused_by_name(value):
    for door, (name, call) in COUNTS.items():
        with pytest.raises(ValueError, match=f"^({name}) ") as caught:
            call(ABSURD[value])
        assert len(str(caught.value)) < 300, door


REALS = {
    "level": lambda v: jaxmed.mediate(DATA, key=0, level=v),
    "holdout": lambda v: jaxmed.evaluate(DATA, ["maxie"], key=0, holdout=v),
    "share": lambda v: jaxmed.split_sample(KEY, DATA, MAXIE, held_out_effects, 4, share=v),
    "scale": lambda v: jaxmed.run_study(STUDY, scale=v),
    "n": lambda v: jaxmed.power(KEY, v, 3, **R2),
    "p": lambda v: jaxmed.power(KEY, 50, v, **R2),
    "power": lambda v: jaxmed.sample_size(KEY, 3, **R2, power=v),
    "max_rows": lambda v: jaxmed.sample_size(KEY, 3, **R2, max_rows=v),
    "seed": lambda v: jaxmed.run_study(STUDY, seed=v),
    "accuracy": lambda v: jaxmed.sweeps.quantile_sketch.quantiles((0.5,), v),
}


@pytest.mark.parametrize("value", ABSURD)
def test_numbers_are_refused_by_name(value):
    for door, call in REALS.items():
        with pytest.raises(ValueError, match=f"^{door} ") as caught:
            call(ABSURD[value])
        assert len(str(caught.value)) < 200


def test_more_folds_than_rows():
    with pytest.raises(ValueError, match="folds must be at most the 40 rows, not 41"):
        assign_folds(KEY, 40, 41)


def test_vectorised_copies_of_the_data():
    large = problem(np.random.default_rng(0), 200, 100)
    with pytest.raises(ValueError, match="^chunk is .* or a batch of a few$"):
        jaxmed.bootstrap(KEY, large, MAXIE, 4, chunk=10**6, batch=None)
    with pytest.raises(ValueError, match="^batch is "):
        jaxmed.bootstrap(KEY, large, MAXIE, 4, chunk=10**6, batch=10**6)


def test_squares_of_rows_and_columns():
    with pytest.raises(ValueError, match="^the number of columns of the moments is 10,000,000"):
        MomentSums.zero(10**7)


def test_the_limit_of_a_shell_counts(monkeypatch):
    """An address space of 6 GiB leaves a request a quarter of it."""
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda what: (6 * 2**30, 6 * 2**30))
    assert budget.default_budget() <= 1.5 * 2**30


def test_the_sentence(monkeypatch):
    monkeypatch.setattr(budget, "memory", lambda: 2**32)
    with pytest.raises(ValueError) as caught:
        budget.check_count("replicates", 10**9)
    assert str(caught.value) == (
        "replicates is 1,000,000,000, which takes about 238 GiB, beyond the 1.0 GiB that a request "
        "may take here: at most 4,194,304"
    )


OPTIONS = [
    ("study run {study} --out {out}", "--workers", "1000000"),
    ("study run {study} --out {out}", "--devices", "1000000000"),
    ("study run {study} --out {out}", "--nproc", "1000000000"),
    ("study run {study} --out {out}", "--scale", "1e30"),
    ("study run {study} --out {out}", "--scale", "inf"),
    ("study run {study} --out {out}", "--scale", "nan"),
    ("study plan {study} --out {out}", "--scale", "1e30"),
    ("study plan {study} --out {out}", "--seed", "-1"),
    ("launch", "--processes", "1000000"),
    ("launch", "--restarts", "-1"),
    ("mediate {file} {roles}", "--permutations", "1e13"),
    ("mediate {file} {roles}", "--seed", "1" + "0" * 400),
    ("mediate {file} {roles}", "--level", "1e400"),
    ("evaluate {file} {roles}", "--holdout", "1e30"),
    ("compare {file} {roles} --methods ols", "--bootstrap", "1e13"),
]


@pytest.mark.parametrize(("command", "option", "value"), OPTIONS)
def test_options(command, option, value, tmp_path, capsys):
    file = tmp_path / "t.csv"
    rows = np.column_stack([DATA.exposure, DATA.outcome, DATA.mediators])
    np.savetxt(file, rows, delimiter=",", header="x,y,m1,m2,m3", comments="")
    words = {
        "study": STUDY,
        "out": tmp_path / "out",
        "file": file,
        "roles": "--exposure x --outcome y --mediators m* --quiet",
    }
    given = command.format(**words).split()
    rest = ["--", "mediate"] if command == "launch" else []
    assert main([*given, option, value, *rest]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"jaxmed: {option} ") or "seed" in said, said
    assert len(said.splitlines()) == 1 and len(said) < 300


@pytest.mark.parametrize(
    "value", ["1e400", "1" + "0" * 400, "nan", "-inf", "2.5"], ids=lambda v: v[:6]
)
def test_counts_that_cannot_be_meant(value, tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["mediate", str(tmp_path / "t.csv"), f"--replicates={value}"])
    assert len(capsys.readouterr().err.splitlines()[-1]) < 200
