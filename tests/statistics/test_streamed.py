"""Moments and kernels of streams against those of arrays in memory."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxmed.data import InvalidDataError, from_frame
from jaxmed.data.streams import stream
from jaxmed.geometry.paths import dual_paths, paths
from jaxmed.parallel.streamed import streamed_moments, streamed_sums
from jaxmed.statistics.cross_moments import cross_moments
from jaxmed.statistics.dual_stats import dual_statistics
from jaxmed.statistics.kernel_sums import column_weights, kernel_sums
from jaxmed.statistics.moment_columns import degenerate_mediators, keep_mediators
from jaxmed.statistics.moment_sums import MomentSums

pd = pytest.importorskip("pandas")
pytest.importorskip("pyarrow")
ROLES = {"exposure": "a", "outcome": "y", "mediators": "m*", "covariates": ["c", "site"]}


def table(n, p, shift=10.0, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame(rng.normal(size=(n, p)) + shift, columns=[f"m{j + 1}" for j in range(p)])
    frame["a"], frame["c"] = rng.normal(size=(2, n))
    frame["m1"] += frame.a + frame.c
    frame["y"] = frame.m1 - frame.m2 + frame.a + rng.normal(size=n)
    frame["site"] = rng.choice(list("xyz"), n)
    frame["w"] = rng.uniform(0.5, 2, n)
    return frame


def relative(found, exact):
    scale = np.sqrt(np.diagonal(exact.comoment))
    return np.abs((found.comoment - exact.comoment) / scale / scale[:, None]).max()


@pytest.fixture
def small_blocks(monkeypatch):
    monkeypatch.setattr("jaxmed.data.streams.row_stream.LEAST_ROWS", 100)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("shift", [0.0, 1e6])
def test_moments_of_blocks(tmp_path, small_blocks, weights, shift):
    frame = table(2050, 6, shift)
    frame.to_parquet(tmp_path / "d.parquet")
    roles = ROLES | {"weights": weights, "where": "a > -1.5"}
    exact = cross_moments(from_frame(frame, **roles))
    heard = []
    found = streamed_moments(
        stream(tmp_path / "d.parquet", **roles, block_bytes=1),
        progress=lambda done, total: heard.append((done, total)),
    )
    assert heard == [(i + 1, 21) for i in range(21)]
    assert found.names == exact.names and found.num_covariates == exact.num_covariates
    # Rounding of the columns themselves: eps * shift per value.
    assert relative(found, exact) < 1e-12 + 1e-14 * shift
    assert found.mean == pytest.approx(exact.mean, rel=1e-14, abs=1e-13)
    for part in ("count", "weight", "weight_square"):
        assert getattr(found, part) == pytest.approx(float(getattr(exact, part)), rel=1e-13)


def test_single_precision_products_are_summed_in_double(tmp_path, small_blocks):
    frame = table(20000, 4, shift=100.0)
    single = frame.astype({f"m{j + 1}": "float32" for j in range(4)})
    single.to_parquet(tmp_path / "d.parquet")
    exact = cross_moments(
        from_frame(single.astype({f"m{j + 1}": "float64" for j in range(4)}), **ROLES)
    )
    found = streamed_moments(stream(tmp_path / "d.parquet", **ROLES, block_bytes=1))
    assert found.comoment.dtype == np.float64
    assert relative(found, exact) < 3e-7
    assert found.mean == pytest.approx(exact.mean, rel=1e-8, abs=1e-8)


def test_many_blocks_fold_their_means():
    data = from_frame(table(1300, 3), **ROLES)
    exact, sums = cross_moments(data), MomentSums.zero(8)
    fields = ("exposure", "mediators", "outcome", "covariates")
    for row in range(1300):
        part = {name: getattr(data, name)[row : row + 1].copy() for name in fields}
        sums.add(dataclasses.replace(data, **part))
    assert len(sums.sizes) < 1300
    found = sums.moments(3, data.names)
    assert relative(found, exact) < 1e-12
    again = sums.moments(3, data.names)  # asking changes nothing
    assert np.array_equal(again.comoment, found.comoment)


def test_dropped_rows_leave_the_weights_on_their_scale(tmp_path):
    frame = table(300, 4)
    frame.loc[::17, "m2"] = np.nan
    frame.to_parquet(tmp_path / "d.parquet")
    roles = ROLES | {"weights": "w", "nan_policy": "drop"}
    exact = cross_moments(from_frame(frame, **roles))
    found = streamed_moments(stream(tmp_path / "d.parquet", **roles))
    assert relative(found, exact) < 1e-13
    assert float(found.weight) == pytest.approx(float(exact.weight))


def test_an_interrupted_reading_ends_with_the_same_bits(tmp_path, small_blocks):
    table(1000, 5).to_parquet(tmp_path / "d.parquet")
    source = stream(tmp_path / "d.parquet", **ROLES, block_bytes=1)
    whole = streamed_moments(source)

    def stop(done, total):
        if done == 4:
            raise KeyboardInterrupt

    checkpoint = tmp_path / "moments.npz"
    with pytest.raises(KeyboardInterrupt):
        streamed_moments(source, checkpoint=checkpoint, every=0, progress=stop)
    heard = []
    resumed = streamed_moments(
        source, checkpoint=checkpoint, progress=lambda done, total: heard.append(done)
    )
    assert heard == [5, 6, 7, 8, 9, 10]
    assert np.array_equal(resumed.comoment, whole.comoment)
    assert np.array_equal(resumed.mean, whole.mean)
    other = stream(tmp_path / "d.parquet", **(ROLES | {"where": "a > 0"}), block_bytes=1)
    with pytest.raises(InvalidDataError, match="belongs to another file"):
        streamed_moments(other, checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:-50])
    with pytest.raises(InvalidDataError, match="damaged"):
        streamed_moments(source, checkpoint=checkpoint)


@pytest.mark.parametrize("weights", [None, "w"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_kernel_by_columns(tmp_path, monkeypatch, weights, dtype):
    monkeypatch.setattr("jaxmed.statistics.kernel_sums.CACHED_COLUMNS", 16)
    monkeypatch.setattr("jaxmed.statistics.kernel_sums.READ_BYTES", 1)
    frame = table(40, 90).astype({f"m{j + 1}": dtype for j in range(90)})
    frame["m7"] = np.float64(3).astype(dtype)
    frame.to_parquet(tmp_path / "d.parquet")
    roles = ROLES | {"weights": weights}
    data = from_frame(frame.astype({f"m{j + 1}": "float64" for j in range(90)}), **roles)
    exact = jax.tree.map(np.asarray, jax.jit(dual_statistics)(data))
    source = stream(tmp_path / "d.parquet", **roles)
    found = kernel_sums(source, standardised=False)
    tolerance = 1e-12 if dtype == "float64" else 1e-5
    assert np.abs(found.stats.kernel - exact.kernel).max() < tolerance * np.abs(exact.kernel).max()
    assert np.flatnonzero(found.columns.reasons).tolist() == [6] and found.stats.num_mediators == 89
    square = np.einsum("ij,ij->j", exact.mediators.array(), exact.mediators.array())
    assert found.columns.square == pytest.approx(square, rel=10 * tolerance, abs=tolerance)
    cross = np.asarray(exact.exposure @ exact.mediators.array())
    assert found.columns.exposure_cross == pytest.approx(cross, rel=tolerance, abs=100 * tolerance)
    rows = np.asarray(jax.jit(dual_paths)(found.stats).exposure_weights)
    weight = column_weights(source, found, rows[:, None])[:, 0]
    expected = np.asarray(jax.jit(paths)(data).exposure_weights)
    assert np.abs(weight - expected).max() < 100 * tolerance * np.abs(expected).max()


def test_degenerate_mediators_from_moments():
    rng = np.random.default_rng(3)
    frame = table(80, 6)
    frame["m3"], frame["m5"], frame["m6"] = 2.5, frame.m2, 2 * frame.m2
    moments = cross_moments(from_frame(frame, **ROLES))
    reasons = degenerate_mediators(moments)
    assert reasons.tolist() == [0, 0, 41, 0, 42, 0]
    order = rng.permutation(6)
    assert np.array_equal(degenerate_mediators(keep_mediators(moments, order))[:1], [0])
    kept = keep_mediators(moments, np.flatnonzero(reasons == 0))
    direct = cross_moments(from_frame(frame, **(ROLES | {"mediators": ["m1", "m2", "m4", "m6"]})))
    assert kept.names == direct.names
    assert kept.comoment == pytest.approx(direct.comoment, rel=1e-13, abs=1e-11)
    with pytest.raises(InvalidDataError, match="every mediator is constant"):
        keep_mediators(moments, [])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_products_on_a_device(tmp_path, small_blocks, dtype):
    frame = table(1230, 5, shift=30.0)
    frame.astype({f"m{j + 1}": dtype for j in range(5)}).to_parquet(tmp_path / "d.parquet")
    source = stream(tmp_path / "d.parquet", **ROLES, weights="w", block_bytes=1)
    exact, device = streamed_moments(source), jax.devices()[0]
    found = streamed_moments(source, device=device)
    assert relative(found, exact) < (1e-13 if dtype == "float64" else 1e-6)
    assert found.mean == pytest.approx(
        exact.mean, rel=1e-13 if dtype == "float64" else 1e-6, abs=1e-8
    )

    def stop(done, total):
        if done == 5:
            raise KeyboardInterrupt

    state = {"checkpoint": tmp_path / "m.npz", "every": 0, "device": device}
    with pytest.raises(KeyboardInterrupt):
        streamed_moments(source, **state, progress=stop)
    resumed = streamed_moments(source, **state)
    assert np.array_equal(resumed.comoment, found.comoment)
    with pytest.raises(InvalidDataError, match="no checkpoint of a stream"):
        streamed_moments(source, checkpoint=state["checkpoint"])


def test_single_precision_sums_on_a_device_keep_their_digits(tmp_path, small_blocks):
    """A thousand equal blocks: plain float32 sums would be off by 1e-5."""
    frame = table(100, 2)
    single = frame.astype({"m1": "float32", "m2": "float32"})
    pd.concat([single] * 400, ignore_index=True).to_parquet(tmp_path / "d.parquet")
    source = stream(tmp_path / "d.parquet", **ROLES, block_bytes=1)
    one = streamed_sums(source, 0, 1, device=jax.devices()[0]).sums.within
    all_blocks = streamed_sums(source, 0, 400, device=jax.devices()[0]).sums.within
    assert np.abs(all_blocks / 400 - one).max() < 1e-9 * np.abs(one).max()
