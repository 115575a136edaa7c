"""Mediation by scores one at a time, for the data, their jackknife and all their resamples.

Every regression here is a function of weighted moments of products of columns. The moments of
all resamples, of all scores, are one product of the row counts with the matrix of row products.
"""

import jax
import jax.numpy as jnp

from jaxmed.estimators.parts.resampled import resample_counts
from jaxmed.estimators.parts.rows import Rows
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.statistics.base_span import project_out
from jaxmed.typing import Array, Key, pytree, static

CHUNK = 125  # resamples at a time


@pytree
class ScoreEffects:
    """Effects through each of K scores, fitted one at a time; leaves [..., K] but the total."""

    alpha: Array  # exposure -> score
    outcome_alpha: Array  # the same given the covariates of the outcome model
    beta: Array  # score -> outcome given the exposure
    total: Array  # [...] exposure -> outcome

    @property
    def indirect(self) -> Array:
        """Products alpha beta, [..., K]."""
        return self.alpha * self.beta

    def overall(self, kept: Array) -> tuple[Array, Array]:
        """Direct and indirect effect of the kept [K] scores together, [...] each.

        Scores that are uncorrelated given the exposure have the same coefficients together as
        alone.
        """
        used = jnp.where(kept, self.beta, 0)
        indirect = jnp.sum(jnp.where(kept, self.alpha, 0) * used, axis=-1)
        away = jnp.sum(jnp.where(kept, self.outcome_alpha, 0) * used, axis=-1)
        return self.total - away, indirect


@pytree
class RowProducts:
    """Products of columns, one row each: [columns x columns, columns x scores, scores^2]."""

    values: Array  # [n, c^2 + c K + K]
    num_columns: int = static(default=0)
    mediator: tuple[int, ...] = static(default=())  # regressors of the scores, exposure last
    outcome: tuple[int, ...] = static(default=())  # regressors of the outcome, exposure last


def row_products(rows: Rows, scores: Array) -> RowProducts:
    """Row products of the bases, exposure and outcome, and scores [n, K]."""
    w, n = rows.weights, scores.shape[0]
    changing = jnp.concatenate([rows.exposure[:, None], rows.outcome[:, None], scores], axis=1)
    # Coefficients stay the same and rounding small: both models have the columns taken out here.
    base = rows.outcome_base if rows.same_base else rows.outcome_base[:, :1]
    changing = project_out(base, w, changing)
    bases = [rows.mediator_base]
    first = rows.mediator_base.shape[1]
    second = tuple(range(first))
    if not rows.same_base:
        bases.append(rows.outcome_base[:, 1:])
        second = (0, *range(first, first + rows.outcome_base.shape[1] - 1))
    covariates = jnp.concatenate(bases, axis=1)
    centred = project_out(covariates[:, :1], w, covariates[:, 1:])
    size = sqrt(matmul(w, centred * centred) / jnp.sum(w))
    columns = jnp.concatenate([covariates[:, :1], divide(centred, size), changing[:, :2]], axis=1)
    scores, c = changing[:, 2:], columns.shape[1]
    inner = (columns[:, :, None] * columns[:, None, :]).reshape(n, -1)
    cross = (columns[:, :, None] * scores[:, None, :]).reshape(n, -1)
    values = jnp.concatenate([inner, cross, scores * scores], axis=1)
    exposure = c - 2
    return RowProducts(values, c, (*range(first), exposure), (*second, exposure))


def score_effects(products: RowProducts, moments: Array) -> ScoreEffects:
    """Effects from weighted sums [..., c^2 + c K + K] of the row products."""
    c = products.num_columns
    k = (moments.shape[-1] - c * c) // (c + 1)
    lead = moments.shape[:-1]
    inner = moments[..., : c * c].reshape(*lead, c, c)
    cross = moments[..., c * c : c * c + c * k].reshape(*lead, c, k)
    size = moments[..., c * c + c * k :]
    m, y = jnp.asarray(products.mediator), jnp.asarray(products.outcome)
    alpha = _regress(inner, m, cross[..., m, :])[..., -1, :]
    on_outcome = inner[..., y, -1:]
    slopes = _regress(inner, y, jnp.concatenate([cross[..., y, :], on_outcome], axis=-1))
    of_scores = slopes[..., :-1]
    left = size - jnp.sum(cross[..., y, :] * of_scores, axis=-2)
    shared = cross[..., -1, :] - jnp.sum(on_outcome * of_scores, axis=-2)
    gone = ~(left > 1e3 * jnp.finfo(left.dtype).eps * size)
    beta = jnp.where(gone, 0, divide(shared, jnp.where(gone, 1, left)))
    return ScoreEffects(alpha, of_scores[..., -1, :], beta, slopes[..., -1, -1])


def _regress(inner: Array, which: Array, right: Array) -> Array:
    """Least-squares coefficients of right [..., r, k] on columns `which`; absent columns get 0."""
    block = inner[..., which, :][..., which]
    scale = divide(1.0, sqrt(jnp.diagonal(block, axis1=-2, axis2=-1)))
    block = block * scale[..., :, None] * scale[..., None, :]
    inverse = jnp.linalg.pinv(block, hermitian=True)
    return scale[..., :, None] * matmul(inverse, scale[..., :, None] * right)


@pytree
class ComponentBootstrap:
    """Effects at the data, in all resamples, and with one row left out."""

    estimate: ScoreEffects  # [K]
    draws: ScoreEffects  # [B, K]
    jackknife: ScoreEffects  # [n, K], row i one time less
    row_weights: Array  # [n], of the jackknife


def component_bootstrap(key: Key, rows: Rows, scores: Array, replicates: int) -> ComponentBootstrap:
    """Bootstrap of rows with the scores held fixed.

    Args:
      key: of the resamples; the same for every score.
      rows: of the data; case weights are numbers of rows, also in the resamples.
      scores: [n, K].
      replicates: B.
    Source: mediation::mediate with lm and lm, no interaction; baselines B5.
    """
    products = row_products(rows, scores)
    values, w = products.values, rows.weights
    sums = matmul(w, values)

    def draw(replicate_key: Key) -> Array:
        return resample_counts(replicate_key, w)

    def chunk(keys: Key) -> ScoreEffects:
        return score_effects(products, matmul(jax.vmap(draw)(keys), values))

    chunks = -(-replicates // CHUNK)
    each = min(CHUNK, replicates)
    index = jnp.arange(chunks * each)
    keys = jax.vmap(lambda i: jax.random.fold_in(key, i))(index)
    keys = keys.reshape(chunks, each, *keys.shape[1:])
    blocks = jax.lax.map(chunk, keys)
    draws = jax.tree.map(
        lambda leaf: leaf.reshape(chunks * each, *leaf.shape[2:])[:replicates], blocks
    )
    return ComponentBootstrap(
        score_effects(products, sums), draws, score_effects(products, sums[None] - values), w
    )
