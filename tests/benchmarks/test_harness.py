"""The harness measures, compares and writes; the benchmarks themselves are not run here."""

import json

import numpy as np

from benchmarks import harness, peers
from benchmarks.__main__ import names


def test_interleaved_and_speed():
    calls = {"fast": lambda: sum(range(10)), "slow": lambda: sum(range(100_000))}
    timings = harness.interleaved(calls, seconds=0.0, least=5)
    ratios = harness.speed(timings, "fast", "slow")
    assert ratios["by_wall_min"] > 1
    assert timings["fast"]["rounds"] == 5


def test_goal_and_record(tmp_path):
    rows = [harness.goal("fast enough", 2.0, at_least=1.5), harness.goal("small", 2.0, at_most=1.0)]
    assert [row["met"] for row in rows] == [True, False]
    record = json.loads(harness.write("smoke", rows, {}, tmp_path).read_text())
    assert {"cpu", "jax", "numpy", "commit", "date"} <= set(record["environment"])


def test_child_runs_with_its_own_environment():
    shape = harness.in_child("peers", "thread_settings", env={"OMP_NUM_THREADS": "1"})
    assert shape["OMP_NUM_THREADS"] == "1"


def test_every_benchmark_is_listed():
    assert {"fit", "big_fit", "dual", "compile_time", "optimisers"} <= set(names())


def test_numpy_peer_agrees_with_the_oracle():
    from oracle import solve
    from problems import problem

    data = problem(np.random.default_rng(0), 60, 7)
    ours, exact = peers.primal(data.exposure, data.mediators, data.outcome), solve(data)
    assert np.isclose(ours["T"], exact.statistic, rtol=1e-9)
    assert np.isclose(ours["indirect"], exact.h_plus, rtol=1e-9)
    assert np.allclose(ours["weights"], exact.w_plus, rtol=1e-8)
    data = problem(np.random.default_rng(1), 30, 80)
    ours, exact = peers.dual(data.exposure, data.mediators, data.outcome), solve(data)
    assert np.isclose(ours["T"], exact.statistic, rtol=1e-8)
    assert np.allclose(ours["weights"], exact.w_plus, rtol=1e-6, atol=1e-9)
