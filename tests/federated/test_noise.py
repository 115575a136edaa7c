"""The Gaussian mechanism: its standard deviation, its effect, and intervals that know of it."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from site_problems import SITES, pooled, sites

from jaxmed import status as st
from jaxmed.analysis.law_inference import law_inference
from jaxmed.analysis.noisy_intervals import noisy_intervals
from jaxmed.federated.archive import SiteFileError
from jaxmed.federated.bounds import read_bounds
from jaxmed.federated.merge import merge_sites
from jaxmed.federated.noise import add_noise, gaussian_sigma, noise_for, redraw, scaled_second
from jaxmed.federated.summary import summarise
from jaxmed.geometry.paths import paths

pytestmark = pytest.mark.float32
BOUNDS = {"age": (50, 10), "male": (0.5, 0.5), "dose": (1, 2), "score": (10, 10)}
BOUNDS |= {f"m{j}": (2, 3) for j in range(1, 6)}
COLUMNS = ("age", "male", "dose", "score", "m1", "m2", "m3", "m4", "m5")


def mechanism(epsilon=1.0, clip=6.0):
    return noise_for(COLUMNS, BOUNDS, epsilon=epsilon, delta=1e-5, clip=clip)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 5.0, 50.0])
def test_sigma_spends_exactly_delta(epsilon):
    sigma = gaussian_sigma(epsilon, 1e-5, 3.0) / 3

    def normal(x):
        return math.erfc(-x / math.sqrt(2)) / 2

    leak = normal(0.5 / sigma - epsilon * sigma)
    leak -= math.exp(epsilon) * normal(-0.5 / sigma - epsilon * sigma)
    assert leak == pytest.approx(1e-5, rel=1e-6)
    # Never more than the classical bound, which holds for epsilon below 1.
    if epsilon < 1:
        assert sigma < math.sqrt(2 * math.log(1.25e5)) / epsilon


def test_one_person_changes_the_released_matrix_by_at_most_the_sensitivity():
    data = sites()[0]
    noise = dataclasses.replace(mechanism(), epsilon=50.0)
    data = dataclasses.replace(data, outcome=np.where(np.arange(60) == 7, 1e4, data.outcome))
    less = dataclasses.replace(
        data,
        **{
            f: np.delete(getattr(data, f), 7, axis=0)
            for f in ("exposure", "outcome", "mediators", "covariates")
        },
    )
    both = [
        summarise(d, site="a", noise=noise, generator=np.random.default_rng(0)).moments
        for d in (data, less)
    ]
    change = scaled_second(both[0], noise) - scaled_second(both[1], noise)
    assert np.linalg.norm(change) <= noise.clip**2 * (1 + 1e-9)
    assert np.linalg.norm(change) > 0.99 * noise.clip**2


def test_without_cut_rows_and_with_little_noise_the_moments_come_back():
    data = sites()[0]
    noise = mechanism(epsilon=50.0, clip=1e4)
    quiet = redraw(
        summarise(data, site="a").moments,
        noise,
        _Silent(),  # type: ignore[arg-type]
    )
    plain = summarise(data, site="a").moments
    np.testing.assert_allclose(quiet.mean, plain.mean, rtol=1e-12)
    np.testing.assert_allclose(quiet.comoment, plain.comoment, rtol=1e-9, atol=1e-9)
    assert float(quiet.count) == pytest.approx(60)


class _Silent:
    def standard_normal(self, count):
        return np.zeros(count)


def test_noise_has_its_size_and_is_symmetric():
    noise = mechanism()
    found = add_noise(np.zeros((200, 200)), noise)
    np.testing.assert_array_equal(found, found.T)
    values = found[np.triu_indices(200)]
    assert values.std() == pytest.approx(noise.sigma, rel=5 / math.sqrt(2 * values.size))
    assert abs(values.mean()) < 5 * noise.sigma / math.sqrt(values.size)
    assert not np.array_equal(found, add_noise(np.zeros((200, 200)), noise))


@pytest.mark.parametrize(
    "change",
    [{"epsilon": 0}, {"epsilon": 51}, {"delta": 1}, {"clip": 1}, {"clip": math.inf}],
)
def test_mechanisms_without_meaning_are_refused(change):
    options = {"epsilon": 1.0, "delta": 1e-5, "clip": 4.0} | change
    with pytest.raises(ValueError, match="epsilon lies in"):
        noise_for(COLUMNS, BOUNDS, **options)
    with pytest.raises(ValueError, match="scale of 'age'"):
        noise_for(COLUMNS, {}, epsilon=1, delta=1e-5, clip=4)
    with pytest.raises(ValueError, match="positive"):
        noise_for(COLUMNS, BOUNDS | {"age": (0, 0)}, epsilon=1, delta=1e-5, clip=4)


def noisy_summaries(epsilon, rows=(60, 60, 60), seed=0):
    rng = np.random.default_rng(seed)
    return [
        summarise(d, site=s, noise=mechanism(epsilon), generator=rng)
        for d, s in zip(sites(rows=rows), SITES, strict=True)
    ]


def test_intervals_are_those_of_the_law_without_noise():
    found = noisy_intervals(
        jax.random.key(1),
        [summarise(d, site=s) for d, s in zip(sites(), SITES, strict=True)],
        draws=20,
        replicates=500,
    )
    assert found.failed == 0 and found.status == st.OK
    law_key, _ = jax.random.split(jax.random.key(1))
    merged = dataclasses.replace(
        merge_sites([summarise(d, site=s) for d, s in zip(sites(), SITES, strict=True)]),
        names=type(pooled(sites()).names)(),
    )
    law = law_inference(law_key, jax.jit(paths)(merged), level=0.95, replicates=500).intervals
    rel = 1e-6 if jax.config.jax_enable_x64 else 1e-3
    for part, one in found.parts.items():
        assert one.noise_sd == pytest.approx(0, abs=rel)
        assert one.lower == pytest.approx(float(law[part].interval.lower), rel=rel)
        assert one.upper == pytest.approx(float(law[part].interval.upper), rel=rel)


def test_noise_widens_the_intervals():
    one = noisy_intervals(
        jax.random.key(1), noisy_summaries(8.0, rows=(3000, 3000, 3000)), draws=20, replicates=500
    )
    total = one.parts["total"]
    assert one.failed == 0 and total.noise_sd > 0
    assert total.lower < total.sampling_lower < total.sampling_upper < total.upper
    two = noisy_intervals(
        jax.random.key(1), noisy_summaries(2.0, rows=(3000, 3000, 3000)), draws=20, replicates=500
    )
    assert two.parts["total"].noise_sd > total.noise_sd


def test_noise_that_leaves_nothing_says_so():
    found = noisy_intervals(
        jax.random.key(1), noisy_summaries(0.01), draws=20, replicates=500, site_effects=True
    )
    assert st.is_fatal(found.status) and math.isnan(found.parts["total"].lower)
    assert "not positive definite" in found.sentence
    with pytest.raises(ValueError, match="at least 20 draws"):
        noisy_intervals(jax.random.key(1), noisy_summaries(1.0), draws=5)


def test_bounds_from_files(tmp_path):
    (tmp_path / "b.csv").write_text("column,centre,scale\nage,50,10\nmale,0.5,0.5\n")
    (tmp_path / "b.json").write_text('{"age": [50, 10], "male": [0.5, 0.5]}')
    wanted = {"age": (50.0, 10.0), "male": (0.5, 0.5)}
    assert read_bounds(tmp_path / "b.csv") == read_bounds(tmp_path / "b.json") == wanted
    for text in ("age,50\n", "column,centre,scale\nage,50,10\nage,1,1\n", "column,centre,scale\na"):
        (tmp_path / "c.csv").write_text(text)
        with pytest.raises(ValueError, match="c.csv: bounds"):
            read_bounds(tmp_path / "c.csv")
    wrong = (
        "[]",
        '{"age": 3}',
        '{"age": ["x", 1]}',
        '{"age": [1e999, 1]}',
        '{"age": [NaN, 1]}',
        '{"age": [1, 1], "age": [2, 1]}',
        '{"age": [',
    )
    for text in wrong:
        (tmp_path / "c.json").write_text(text)
        with pytest.raises(SiteFileError, match="c.json: .*a json column"):
            read_bounds(tmp_path / "c.json")
