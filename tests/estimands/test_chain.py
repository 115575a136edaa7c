"""Chain: oracle of the four paths and their covariance, identities, supports, errors."""

import functools

import jax
import numpy as np
import pytest
from beyond_mediation import NAMES, data, oracle, paths_of, regression, repeated, simulator, single

from jaxmed import estimands
from jaxmed.simulate.chain import ChainModel, sample_chain

KEY = jax.random.key(1)
FIRST = ("ldl", "crp", "il6")


@functools.cache
def fitted(dtype="float64", adjust="all"):
    given = data(weighted=True)
    given = given if dtype == "float64" else single(given)
    blocks = (FIRST,) if dtype == "float64" else ([2, 0, 1], ["egfr", "bmi", "hba1c"])
    return estimands.chain(KEY, given, *blocks, basis="linear", adjust=adjust)


def test_paths_and_their_covariance_are_those_of_plain_least_squares_on_copied_rows():
    given, found = repeated(data(weighted=True)), fitted()
    plain = oracle(given)
    t, m, x = given.exposure, given.mediators, given.covariates
    columns = np.column_stack([np.ones(len(t)), x, t, m[:, :3]])
    d, left, h, onto = regression(columns, m[:, 3:])
    link = d[-3:].T  # [p2, p1]
    a1, b1, b2 = plain["alpha"][:3], plain["beta"][:3], plain["beta"][3:]
    a2 = d[3]
    of_alpha, of_beta = plain["alpha_influence"], plain["beta_influence"]
    through = (a1 @ onto[-3:])[:, None] * left / np.sqrt(1 - h)[:, None]
    chained = of_beta[:, 3:] @ (link @ a1) + through @ b2 + of_alpha[:, :3] @ (link.T @ b2)
    both = of_beta[:, 3:] @ plain["alpha"][3:] + of_alpha[:, 3:] @ b2
    paths = {
        "direct": (plain["direct"], plain["direct_influence"]),
        "first": (a1 @ b1, of_beta[:, :3] @ a1 + of_alpha[:, :3] @ b1),
        "second": (a2 @ b2, both - chained),
        "first then second": (b2 @ link @ a1, chained),
    }
    paths["total"] = tuple(sum(v[i] for v in paths.values()) for i in (0, 1))
    assert found.effects.names == tuple(paths)
    np.testing.assert_allclose(found.effects.estimate, [v for v, _ in paths.values()], atol=1e-9)
    stacked = np.stack([v for _, v in paths.values()])
    np.testing.assert_allclose(found.effects.covariance, stacked @ stacked.T, rtol=1e-7, atol=1e-12)
    np.testing.assert_allclose(found.link, link, atol=1e-9)
    np.testing.assert_allclose(found.second_alpha, a2, atol=1e-9)


@pytest.mark.parametrize("adjust", ["all", "sparse"])
def test_paths_add_up_to_the_total_effect_whatever_is_selected(adjust):
    given, found = repeated(data(weighted=True)), fitted(adjust=adjust)
    columns = np.column_stack([np.ones(len(given.outcome)), given.covariates, given.exposure])
    total = regression(columns, given.outcome)[0][-1]
    assert float(found.effects["total"].estimate) == pytest.approx(total, abs=1e-9)
    parts = dict.fromkeys(("direct", "first", "second", "first then second"), -1.0)
    left = found.effects.contrast({"total": 1.0, **parts})
    assert abs(float(left.estimate)) < 1e-10 and float(left.standard_error) < 1e-7
    assert float(found.pairs.sum()) == pytest.approx(
        float(found.effects["first then second"].estimate), abs=1e-10
    )


def test_float32_and_blocks_in_another_order():
    found, fine = fitted(dtype="float32"), fitted()
    assert found.effects.estimate.dtype == found.effects.covariance.dtype == np.float32
    np.testing.assert_allclose(found.effects.estimate, fine.effects.estimate, atol=2e-4)
    errors = (np.sqrt(np.diagonal(f.effects.covariance)) for f in (found, fine))
    np.testing.assert_allclose(*errors, rtol=2e-3)
    order = np.asarray([2, 0, 1])
    np.testing.assert_allclose(found.link, np.asarray(fine.link)[order][:, order], atol=2e-4)


def test_truth_of_a_chain():
    model = ChainModel(
        *map(
            np.asarray,
            (
                [1.0, 0, 0.6],
                [0, 0.5, 0],
                [[0.8, 0, 0], [0, 0, 0], [0, 0, 0.5]],
                [0.5, 0, 0],
                [1.0, 0.8, 0],
                0.5,
                0.3,
            ),
        )
    )
    truth = {k: float(v) for k, v in model.effects.items()}
    assert truth == pytest.approx(
        {"direct": 0.5, "first": 0.5, "second": 0.4, "first then second": 0.8, "total": 2.2}
    )
    given = jax.jit(lambda k: sample_chain(k, model, 400))(jax.random.key(4))
    found = estimands.chain(KEY, given, [0, 1, 2], adjust="all")
    at = {name: i for i, name in enumerate(found.effects.names)}
    for name, value in truth.items():
        error = np.sqrt(np.asarray(found.effects.covariance)[at[name], at[name]])
        assert abs(float(found.effects.estimate[at[name]]) - value) < 4 * error, name
    assert int(found.status) == 0
    assert found.generated is None and found.generator_status is None


def test_generated_paths_are_those_of_the_generators_coefficients():
    """By means over draws, and from the coefficients where the generator knows them."""
    own = simulator()

    def linear_part(self):
        return estimands.LinearPart(own.a, own.b, own.c)

    knowing = type("Knowing", (type(own),), {"linear_part": linear_part})(*own)
    call = functools.partial(
        estimands.chain, KEY, data(weighted=True), FIRST, basis="linear", adjust="all"
    )
    drawn, exact = call(generator=own, draws=2), call(generator=knowing)
    expected = paths_of(*own[:3], drawn.link)
    np.testing.assert_allclose(exact.generated, expected, rtol=1e-12)
    np.testing.assert_allclose(drawn.generated, expected, rtol=1e-9)
    assert int(drawn.generator_status) == int(exact.generator_status) == 0


def test_misuse_is_refused():
    for blocks, message in (
        ((["ldl", "x"],), "no mediator 'x'; mediators are: " + ", ".join(NAMES)),
        ((["ldl"], ["crp", 0]), "'ldl' is in both blocks"),
        ((["ldl", "ldl"],), "named twice"),
        ((NAMES,), "at least one"),
    ):
        with pytest.raises(ValueError, match=message):
            estimands.chain(KEY, data(), *blocks)
    with pytest.raises(ValueError, match="level must lie"):
        estimands.chain(KEY, data(), FIRST, level=2.0)
    with pytest.raises(ValueError, match="draws must be at least 1, not 0"):
        estimands.chain(KEY, data(), FIRST, draws=0)
