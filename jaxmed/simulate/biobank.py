"""A simulated biobank: age, a panel of correlated proteins, and a rare binary diagnosis.

Everything up to the diagnosis is Gaussian, so that the population effects of the linear working
model are known in closed form (`biobank_truth`) although the outcome is 0/1.
"""

import jax
import jax.numpy as jnp
from jax.scipy.stats import norm

from jaxmed.budget import check_at_least, check_count
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.distributions.tails import normal_quantile
from jaxmed.keys import as_key
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import sqrt
from jaxmed.simulate.linear_sem import Truth
from jaxmed.typing import Array, ArrayLike, Key, pytree

__all__ = [
    "Biobank",
    "biobank",
    "biobank_truth",
    "optimal_weights",
    "population_indirect",
    "sample_biobank",
]

AGE_MEAN, AGE_SD = 56.8, 8.2  # years: a cohort recruited between 40 and 70
_GLOBAL_SHARE = 0.05  # of a protein's variance: batch, dilution
_BLOCK_SHARES = (0.1, 0.5)  # of a protein's variance, uniform: organ, pathway


@pytree
class Biobank:
    """Parameters of the biobank; `biobank` makes one.

    z standard normal, age = age_mean + age_sd z;
    X = age_effects z + loadings f + specific_sd u, every protein of variance 1 given age;
    liability = X outcome_effects + direct z + residual_sd e, of mean 0 and variance 1;
    diagnosis = 1 where the liability exceeds `threshold`.
    """

    age_effects: Array  # [p] protein sd (given age) per sd of age; zero for most proteins
    loadings: Array  # [p, 1 + blocks] on one global factor and on the protein's block
    specific_sd: Array  # [p]
    outcome_effects: Array  # [p] liability per protein sd
    direct: Array  # [] liability per sd of age
    residual_sd: Array  # [] of the liability given age and proteins
    threshold: Array  # []
    age_mean: Array  # [] years
    age_sd: Array  # [] years

    @property
    def num_mediators(self) -> int:
        """P, from the shape."""
        return self.age_effects.shape[-1]

    @property
    def prevalence(self) -> Array:
        """Share of persons with the diagnosis."""
        return norm.sf(self.threshold)


def biobank(
    key: Key,
    num_mediators: int,
    *,
    num_blocks: int = 20,
    prevalence: ArrayLike = 0.025,
    exposure_strength: ArrayLike = 2.14,
    outcome_strength: ArrayLike = 0.65,
    alignment: ArrayLike = 0.15,
    total: ArrayLike = 0.49,
    age_share: float = 0.3,
    disease_share: float = 0.02,
    dtype: jnp.dtype | type = float,
) -> Biobank:
    """A biobank with the strengths of its two paths and their angle given exactly.

    The effects on the disease are the sum of two parts: small ones along the whole direction in
    which the panel ages, and large ones of few proteins that age does not touch (as of a disease
    that changes proteins before it is diagnosed). Their mixture is what `alignment` sets. The
    defaults put the population near what the paper prints for its test set: an R2 of age on the
    panel of .82, a total effect of .0035 per year, composites that mediate about 1.6 of it.

    Args:
      key: PRNG key; consumed.
      num_mediators: p, static.
      num_blocks: of proteins that share a factor, static.
      prevalence: of the diagnosis.
      exposure_strength: kA = sqrt(a' Omega^-1 a), per sd of age; R2 of age is kA^2 / (1 + kA^2).
      outcome_strength: kY = sqrt(b' Omega b), on the liability.
      alignment: c0, cosine between the two paths.
      total: liability per sd of age.
      age_share: of proteins that change with age, static.
      disease_share: of proteins with a large effect on the disease, static.
      dtype: of the parameters and of what is sampled.

    Returns:
      Biobank; residual_sd is NaN where kY^2 + total^2 exceeds 1.

    Raises:
      ValueError: fewer than 10 proteins, or no block.
    """
    key = as_key(key)
    check_at_least("num_blocks", num_blocks, 1)
    check_count("num_mediators", num_mediators, 10, 8 * (num_blocks + 8))
    keys = jax.random.split(key, 4)
    p = num_mediators
    num_ageing, num_disease = max(round(age_share * p), 2), max(round(disease_share * p), 2)
    loadings, specific = _factors(keys[0], p, num_blocks, dtype)
    order = jax.random.permutation(keys[1], p)
    ageing, disease = order[:num_ageing], order[num_ageing : num_ageing + num_disease]
    raw = jnp.zeros(p, dtype).at[ageing].set(jax.random.normal(keys[2], (num_ageing,), dtype))
    raw_ageing = _solve(loadings, specific, raw)
    scale = jnp.asarray(exposure_strength, dtype) / sqrt(jnp.sum(raw * raw_ageing))
    age_effects, along = scale * raw, raw_ageing / sqrt(jnp.sum(raw * raw_ageing))

    # Proteins untouched by age are orthogonal to the ageing direction, whatever their correlation.
    sizes = jax.random.normal(keys[3], (num_disease,), dtype)
    across = jnp.zeros(p, dtype).at[disease].set(jnp.sign(sizes) * (0.5 + jnp.abs(sizes)))
    across = across / sqrt(jnp.sum(across * _multiply(loadings, specific, across)))
    c0, strength = jnp.asarray(alignment, dtype), jnp.asarray(outcome_strength, dtype)
    outcome_effects = strength * (c0 * along + jnp.sqrt(1 - c0**2) * across)
    total = jnp.asarray(total, dtype)
    return Biobank(
        age_effects=age_effects,
        loadings=loadings,
        specific_sd=specific,
        outcome_effects=outcome_effects,
        direct=total - jnp.sum(age_effects * outcome_effects),
        residual_sd=jnp.sqrt(1 - strength**2 - total**2),
        threshold=-normal_quantile(jnp.asarray(prevalence, dtype)),
        age_mean=jnp.asarray(AGE_MEAN, dtype),
        age_sd=jnp.asarray(AGE_SD, dtype),
    )


def sample_biobank(key: Key, model: Biobank, num_rows: int) -> MediationData:
    """Independent persons; the key is consumed.

    Args:
      key: PRNG key.
      model: the biobank.
      num_rows: n, static.

    Returns:
      MediationData: exposure age in years, mediators X, outcome 0/1.
    """
    key = as_key(key)
    columns = model.num_mediators + model.loadings.shape[1] + 3
    check_count("num_rows", num_rows, 1, columns * model.loadings.dtype.itemsize)
    keys = jax.random.split(key, 4)
    dtype = model.age_effects.dtype
    z, residual = jax.random.normal(keys[0], (2, num_rows), dtype)
    factors = jax.random.normal(keys[1], (num_rows, model.loadings.shape[1]), dtype)
    specific = jax.random.normal(keys[2], (num_rows, model.num_mediators), dtype)
    # One product for age and factors: the panel is written once.
    causes = jnp.concatenate([z[:, None], factors], axis=1)
    effects = jnp.concatenate([model.age_effects[:, None], model.loadings], axis=1)
    panel = matmul(causes, effects.T) + model.specific_sd * specific
    liability = (
        matmul(panel, model.outcome_effects) + model.direct * z + model.residual_sd * residual
    )
    return MediationData(
        model.age_mean + model.age_sd * z,
        panel,
        (liability > model.threshold).astype(dtype),
        jnp.zeros((num_rows, 0), dtype),
        None,
        Names(exposure="age", outcome="diagnosis"),
    )


def biobank_truth(model: Biobank) -> Truth:
    """Population effects in the linear working model: probability of the diagnosis per year of age.

    For Gaussian causes v, Cov(diagnosis, v) = phi(threshold) Cov(liability, v) (Stein's identity):
    the least-squares coefficients of the diagnosis are those of the liability times phi.
    """
    slope = norm.pdf(model.threshold) / model.age_sd
    k_a, k_y = _strengths(model)
    total_indirect = jnp.sum(model.age_effects * model.outcome_effects)
    cosine = total_indirect / (k_a * k_y)
    return Truth(
        direct=slope * model.direct,
        total_indirect=slope * total_indirect,
        concordant=slope * k_a * k_y * (1 + cosine) / 2,
        suppression=-slope * k_a * k_y * (1 - cosine) / 2,
        cosine=cosine,
    )


def optimal_weights(model: Biobank) -> Array:
    """Population weights [p] of the MaxIE composite: both paths at unit length, added."""
    k_a, k_y = _strengths(model)
    ageing = _solve(model.loadings, model.specific_sd, model.age_effects)
    return ageing / k_a + model.outcome_effects / k_y


def population_indirect(model: Biobank, weights: Array) -> Array:
    """Population indirect effect of any composite: probability of the diagnosis per year of age.

    Args:
      model: the biobank.
      weights: [p] per unit of each protein; only their direction matters.
    """
    slope = norm.pdf(model.threshold) / model.age_sd
    image = _multiply(model.loadings, model.specific_sd, weights)
    path = jnp.sum(model.age_effects * weights) * jnp.sum(model.outcome_effects * image)
    return slope * path / jnp.sum(weights * image)


def _strengths(model: Biobank) -> tuple[Array, Array]:
    f, sd, a, b = model.loadings, model.specific_sd, model.age_effects, model.outcome_effects
    return sqrt(jnp.sum(a * _solve(f, sd, a))), sqrt(jnp.sum(b * _multiply(f, sd, b)))


def _factors(key: Key, p: int, blocks: int, dtype: jnp.dtype | type) -> tuple[Array, Array]:
    """Loadings [p, 1 + blocks] and specific sd [p]; each protein has variance 1."""
    key_share, key_sign = jax.random.split(key)
    share = jax.random.uniform(
        key_share, (p,), dtype, minval=_BLOCK_SHARES[0], maxval=_BLOCK_SHARES[1]
    )
    sign = jax.random.rademacher(key_sign, (p,), dtype)
    block = jnp.arange(p) * blocks // p
    own = jax.nn.one_hot(block, blocks, dtype=dtype) * (sign * jnp.sqrt(share))[:, None]
    shared = jnp.full((p, 1), _GLOBAL_SHARE**0.5, dtype)
    return jnp.concatenate([shared, own], axis=1), jnp.sqrt(1 - _GLOBAL_SHARE - share)


def _multiply(loadings: Array, specific: Array, vector: Array) -> Array:
    """Omega v for Omega = F F' + diag(specific^2)."""
    return specific**2 * vector + matmul(loadings, matmul(loadings.T, vector))


def _solve(loadings: Array, specific: Array, vector: Array) -> Array:
    """Omega^-1 v, by Woodbury: the blocks are few, the proteins many."""
    precise = loadings / specific[:, None] ** 2
    inner = jnp.eye(loadings.shape[1], dtype=loadings.dtype) + matmul(loadings.T, precise)
    ahead = vector / specific**2
    return ahead - matmul(
        precise, jnp.linalg.solve(inner, matmul(precise.T, vector)[:, None])[:, 0]
    )
