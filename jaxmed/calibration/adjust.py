"""Adjusted p-values that need nothing but the p-values."""

import jax
import jax.numpy as jnp

from jaxmed.typing import Array


def benjamini_hochberg(p_value: Array) -> Array:
    """Benjamini-Hochberg adjusted p-values [p]; NaN entries are not counted and stay NaN."""
    present = ~jnp.isnan(p_value)
    count = jnp.sum(present).astype(p_value.dtype)
    order = jnp.argsort(jnp.where(present, p_value, jnp.inf), descending=True)
    # Rank 1 is the smallest; absent ones sort first here and are made neutral for the running
    # minimum.
    rank = (p_value.shape[0] - jnp.arange(p_value.shape[0])).astype(p_value.dtype)
    scaled = jnp.where(present[order], p_value[order] * count / rank, jnp.inf)
    adjusted = jnp.minimum(jax.lax.cummin(scaled), 1)
    result = jnp.zeros_like(p_value).at[order].set(adjusted)
    return jnp.where(present, result, jnp.nan)


def bonferroni(p_value: Array) -> Array:
    """min(1, m p) with m the number of p-values that are not NaN; NaN stays NaN."""
    count = jnp.sum(~jnp.isnan(p_value)).astype(p_value.dtype)
    return jnp.minimum(p_value * count, 1)
