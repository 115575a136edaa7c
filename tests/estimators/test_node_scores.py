"""Node-wise penalties by cross-validation: moments against rows, our grid against the release's."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import reference_data as reference

from jaxmed.estimators.parts.node_scores import choose_penalty, node_design, own_paths


def mx20():
    raw = reference.arrays("mx20")
    stored = reference.call("mx20", "hdmed_hdma")["intermediate"]["nodewise_cv"]
    columns = jnp.asarray(np.c_[raw["M"], raw["A"].ravel()])
    ones = jnp.ones(columns.shape[0])
    folds = jnp.asarray(stored["foldid"]).astype(int) - 1
    return columns, ones, folds, stored


@pytest.mark.slow
def test_choice_from_our_grid_and_early_end():
    """CV error at our choice is at most 1.001 of the least on the stored grid."""
    columns, ones, folds, stored = mx20()

    @jax.jit
    def run(penalties, design):
        return choose_penalty(design, folds, 10, penalties)

    @jax.jit
    def prepare():
        design = node_design(ones[:, None], columns, ones)
        return design, own_paths(design).pooled(100)

    design, grid = prepare()
    np.testing.assert_allclose(grid[:10], stored["lambdas"][:10], rtol=2e-2)
    own, theirs = run(grid, design), run(jnp.asarray(stored["lambdas"]), design)
    assert float(jnp.min(own.error)) <= 1.001 * float(jnp.min(theirs.error))
    index = int(np.argmin(np.abs(stored["lambdas"] - stored["lambda_min"])))
    assert float(theirs.error[index]) <= 1.001 * float(jnp.min(theirs.error))
    assert np.sum(np.isfinite(own.error)) < 100  # the dense end is not visited ...
    whole = jax.jit(lambda g, d: choose_penalty(d, folds, 10, g, patience=100))(grid, design)
    assert np.all(np.isfinite(whole.error))
    assert float(whole.penalty) == float(own.penalty)  # ... and was not needed


def test_error_is_that_of_refits():
    """Errors from moments are those of lassos refitted on the training rows."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(40, 3)) @ np.array([[1, 0.6, 0.2], [0, 1, 0.5], [0, 0, 1.0]])
    folds = np.arange(40) % 2
    ones = jnp.ones(40)
    design = jax.jit(node_design)(ones[:, None], jnp.asarray(x), ones)
    penalty = 0.2
    choice = jax.jit(
        lambda d: choose_penalty(d, jnp.asarray(folds), 2, jnp.asarray([penalty, penalty / 2]))
    )(design)
    scaled, losses = np.asarray(design.columns), []
    for fold in range(2):
        train, held = scaled[folds != fold], scaled[folds == fold]
        mean = train.mean(axis=0)
        train, held = train - mean, held - mean
        size = np.sqrt(np.mean(train**2, axis=0))
        for j in range(3):
            others = [k for k in range(3) if k != j]
            z, b = train[:, others] / size[others], np.zeros(2)
            for _ in range(500):
                for k in range(2):
                    u = z[:, k] @ (train[:, j] - z @ b) / len(train) + b[k]
                    b[k] = np.sign(u) * max(abs(u) - penalty, 0)
            losses.append(np.mean((held[:, j] - held[:, others] / size[others] @ b) ** 2))
    np.testing.assert_allclose(choice.error[0], np.mean(losses), rtol=1e-3)
