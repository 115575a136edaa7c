"""Every method of the registry, and an estimator of one's own, through all that take a method."""

import csv
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from problems import problem

import jaxmed
from jaxmed.cli import main
from jaxmed.estimators import Effects, Estimate, MediatorEffects
from jaxmed.registry import METHODS
from jaxmed.sweeps.reducers import stack
from jaxmed.typing import Interval

N, P = 60, 3
PARTS = ("direct", "indirect", "total")
DATA = problem(np.random.default_rng(3), N, P, 1, signal=0.9, scale=0.0)
# Whose programs compile in a few seconds; `make test-slow` has them all.
QUICK = ("ols",)
EVERY = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in METHODS]


def first_mediator(key, data):
    """An estimator as a user writes one: the path through the first mediator."""
    del key
    one = jnp.ones_like(data.exposure)
    w = one if data.weights is None else data.weights
    base = jnp.column_stack([one, data.exposure, data.covariates])
    full = jnp.column_stack([base, data.mediators[:, 0]])
    total, direct = (
        jnp.linalg.solve((w[:, None] * x).T @ x, (w[:, None] * x).T @ data.outcome)[1]
        for x in (base, full)
    )
    nan = jnp.full_like(total, jnp.nan)
    none = Interval(nan, nan, method="none")
    column = jnp.full(data.mediators.shape[1], nan)
    codes = jnp.zeros(data.mediators.shape[1], jnp.int32)
    return Estimate(
        Effects(direct, total - direct, total),
        Effects(nan, nan, nan),
        Effects(none, none, none),
        MediatorEffects(*[column] * 10, codes),
        jnp.arange(data.mediators.shape[1]) == 0,
        jnp.int32(0),
        None,
    )


def few_steps(name):
    """Options that spare generators a long training."""
    if name != "gahmn":
        return {}
    from jaxmed.gahmn import improved

    return {name: {"config": improved().with_steps(50)}}


def has_answer(row):
    return np.isfinite([row[part] for part in PARTS]).all() or row["reason"]


@pytest.mark.parametrize("name", EVERY)
def test_compare(name):
    found = jaxmed.compare(DATA, name, key=1, bootstrap=2, options=few_steps(name), basis="linear")
    row = found[name]
    assert has_answer(row) and row["resamples"] == 2, row["reason"]
    assert found.document["settings"]["methods"] == [name]
    assert row["label"].startswith(METHODS[name].label)


@pytest.mark.parametrize("name", EVERY)
def test_mediate(name):
    settings = {"permutations": 0, "folds": 0, "replicates": 100, "basis": "linear"}
    found = jaxmed.mediate(DATA, key=1, effects=name, options=few_steps(name), **settings)
    assert found.methods == (name,)
    rows = found.effects.where(method=name)
    values = [rows[q]["estimate"] for q in ("direct_effect", "total_indirect")]
    assert np.isfinite(values).all() or rows["total_indirect"]["reason"]
    assert rows["total_indirect"]["of_record"]
    assert name in found.record.document["settings"]["effects"]


@pytest.mark.parametrize("name", EVERY)
def test_study(name):
    if name == "gahmn":
        pytest.skip("its training by default takes minutes")
    task = jaxmed.study_task(lambda key, data: data, [name])
    ready = jax.tree.map(jnp.asarray, DATA)
    scores = jaxmed.sweep(jax.random.key(1), task, 2, parameters=ready, chunk=2, reducer=stack())
    assert {f"{name}/{part}" for part in PARTS} <= set(scores)


@pytest.mark.slow
@pytest.mark.parametrize("name", METHODS)
def test_bootstrap(name):
    if name == "gahmn":
        pytest.skip("as an estimator with few steps: its training by default takes minutes")
    found = jaxmed.bootstrap(jax.random.key(1), DATA, name, 2, chunk=2)
    assert set(found.measures) == set(PARTS) and found.count == 2
    assert found.settings["repeats"] == {"kind": "method", "name": name, "statistic": "effects"}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    path = tmp_path_factory.mktemp("door") / "rows.csv"
    columns = [DATA.exposure, DATA.outcome, DATA.covariates[:, 0], *DATA.mediators.T]
    np.savetxt(path, np.column_stack(columns), delimiter=",", header="a,y,c,m1,m2,m3", comments="")
    return path


@pytest.mark.parametrize("name", EVERY)
def test_compare_on_the_command_line(name, table, tmp_path):
    if name == "gahmn":
        pytest.skip("its training by default takes minutes")
    roles = ["--exposure", "a", "--outcome", "y", "--mediators", "m*", "--covariates", "c"]
    more = ["--methods", name, "--basis", "linear", "--seed", "1", "--quiet"]
    assert main(["compare", str(table), *roles, *more, "--out", str(tmp_path), "--no-figures"]) == 0
    with (tmp_path / "compare.csv").open() as stream:
        (row,) = csv.DictReader(stream)
    assert row["method"] == name and row["resampling"] == "none asked for"
    library = jaxmed.compare(DATA, name, key=1, basis="linear")[name]
    for part in PARTS:
        np.testing.assert_allclose(float(row[part]), library[part], rtol=1e-9)


@pytest.mark.parametrize("name", EVERY)
def test_mediate_on_the_command_line(name, table, tmp_path):
    if name == "gahmn":
        pytest.skip("its training by default takes minutes")
    roles = ["--exposure", "a", "--outcome", "y", "--mediators", "m*", "--covariates", "c"]
    more = ["--permutations", "0", "--folds", "0", "--replicates", "100", "--basis", "linear"]
    more += ["--effects", name, "--quiet", "--out", str(tmp_path), "--no-figures"]
    assert main(["mediate", str(table), *roles, *more]) == 0
    document = jaxmed.read_result(tmp_path / "result.json")
    assert document["choice"]["methods"] == [name]


def test_an_estimator_of_ones_own():
    slope = np.linalg.lstsq(
        np.column_stack([np.ones(N), DATA.exposure, DATA.covariates]), DATA.outcome, rcond=None
    )[0][1]
    compared = jaxmed.compare(DATA, first_mediator, key=1, bootstrap=3, basis="linear")
    row = compared["first_mediator"]
    assert row["total"] == pytest.approx(slope, rel=1e-9) and row["failed"] == {}
    assert row["label"] == "first_mediator"
    settings = {"permutations": 0, "folds": 0, "replicates": 100, "basis": "linear"}
    found = jaxmed.mediate(DATA, key=1, effects={"own": first_mediator, "all": "ols"}, **settings)
    assert found.methods == ("own", "all")
    rows = found.effects.where(method="own")
    assert rows["total_indirect"]["estimate"] == pytest.approx(row["indirect"], rel=1e-9)
    assert math.isnan(rows["total_indirect"]["lower"])
    task = jaxmed.study_task(lambda key, data: data, {"own": first_mediator, "all": "ols"})
    ready = jax.tree.map(jnp.asarray, DATA)
    scores = jaxmed.sweep(jax.random.key(1), task, 2, parameters=ready, chunk=2, reducer=stack())
    np.testing.assert_allclose(scores["own/total"], slope, rtol=1e-9)
    resampled = jaxmed.bootstrap(jax.random.key(1), DATA, first_mediator, 3, chunk=3)
    assert resampled["total"].estimate == pytest.approx(slope, rel=1e-9)
    assert resampled.settings["repeats"]["name"] == "first_mediator"
