"""Shares of true nulls among many tests of one kind."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy import special

from jaxmed.calibration.adjust import benjamini_hochberg
from jaxmed.typing import Array, ArrayLike

STEP = 0.1  # of the frequencies
NODES = 101  # of the triangle kernel's integral
EXACT_KS_BELOW = 100


def check_pair(p_exposure: ArrayLike, p_outcome: ArrayLike) -> tuple[Array, Array]:
    """Both as floating vectors of one dtype.

    Raises:
      ValueError: not two vectors of equal length.
    """
    first, second = jnp.asarray(p_exposure), jnp.asarray(p_outcome)
    if first.ndim != 1 or first.shape != second.shape or first.shape[0] == 0:
        raise ValueError(
            "two vectors of p-values of equal length are needed, not shapes "
            f"{first.shape} and {second.shape}; use vmap for batches"
        )
    dtype = jnp.result_type(first, second)
    if dtype not in (jnp.float32, jnp.float64):
        dtype = jnp.float32
    return first.astype(dtype), second.astype(dtype)


def present_pair(p_a: Array, p_b: Array) -> tuple[Array, Array, Array]:
    """(tests with both p-values [m] bool, both p-values with 1/2 in the places of the others)."""
    present = ~(jnp.isnan(p_a) | jnp.isnan(p_b))
    return present, jnp.where(present, p_a, 0.5), jnp.where(present, p_b, 0.5)


def null_proportion(z: Array, present: Array) -> Array:
    """Share of standard normal scores among z [m], from their characteristic function.

    Args:
      z: normal scores, null ones standard normal.
      present: [m] bool, those that count.
    Source: Jin and Cai (2007): 1 - the largest estimated share of signals over the frequencies
      0, .1, ..., sqrt(log m), triangle kernel.
    """
    dtype = z.dtype
    count = jnp.sum(present).astype(dtype)
    last = np.sqrt(np.log(max(z.shape[0], 2)))
    frequencies = STEP * np.arange(int(np.floor(last / STEP + 1e-10)) + 1)
    nodes = np.linspace(0, 1, NODES)
    kernel = (1 - nodes) / np.sum(1 - nodes)
    growth = kernel * np.exp(np.outer(frequencies, nodes) ** 2 / 2)
    z = jnp.where(present, z, 0)

    def signal(pair: tuple[Array, Array]) -> Array:
        frequency, weights = pair
        # cos(j angle) for all j by rotation: one cosine instead of a hundred.
        angle = frequency * z / (NODES - 1)
        turn, lift = jnp.cos(angle), jnp.sin(angle)

        def rotate(state: tuple[Array, Array], weight: Array) -> tuple[tuple[Array, Array], Array]:
            cosine, sine = state
            mean = jnp.sum(jnp.where(present, cosine, 0)) / count
            return (cosine * turn - sine * lift, sine * turn + cosine * lift), weight * mean

        start = (jnp.ones_like(z), jnp.zeros_like(z))
        return 1 - jnp.sum(jax.lax.scan(rotate, start, weights)[1])

    signals: Array = jax.lax.map(
        signal, (jnp.asarray(frequencies, dtype), jnp.asarray(growth, dtype))
    )
    used = jnp.asarray(frequencies, dtype) <= jnp.sqrt(jnp.log(count)) + 1e-6
    return jnp.clip(1 - jnp.max(jnp.where(used, signals, -jnp.inf)), 0, 1)


def uniform_p_value(p: Array, present: Array) -> Array:
    """p-value of the one-sided Kolmogorov-Smirnov test that p [m] is not smaller than uniform.

    Exact (Birnbaum and Tingey 1951) below 100 tests, exp(-2 m D^2) from there on.
    """
    dtype = p.dtype
    count = jnp.sum(present).astype(dtype)
    ordered = jnp.sort(jnp.where(present, p, jnp.inf))
    rank = jnp.arange(1, p.shape[0] + 1, dtype=dtype)
    distance = jnp.max(jnp.where(rank <= count, rank / count - ordered, -jnp.inf))
    limit = jnp.exp(-2 * count * distance**2)
    j = jnp.arange(min(p.shape[0], EXACT_KS_BELOW) + 1, dtype=dtype)
    inside = j <= jnp.floor(count * (1 - distance))
    left, right = distance + j / count, 1 - distance - j / count
    tiny = jnp.finfo(dtype).tiny
    log_choose = (
        special.gammaln(count + 1)
        - special.gammaln(j + 1)
        - special.gammaln(jnp.maximum(count - j, 0) + 1)
    )
    # 0^0 = 1 at the last term.
    power = jnp.where(count - j == 0, 0, (count - j) * jnp.log(jnp.maximum(right, tiny)))
    terms = jnp.exp(log_choose + (j - 1) * jnp.log(jnp.maximum(left, tiny)) + power)
    exact = jnp.clip(distance * jnp.sum(jnp.where(inside, terms, 0)), 0, 1)
    return jnp.where(distance <= 0, 1, jnp.where(count < EXACT_KS_BELOW, exact, limit))


def storey(p: Array, present: Array, threshold: float) -> Array:
    """min(1, share of p above the threshold / (1 - threshold))."""
    above = jnp.sum(present & (p >= threshold)) / jnp.sum(present)
    return jnp.minimum(1, above.astype(p.dtype) / (1 - threshold))


def q_values(p: Array, present: Array) -> Array:
    """Storey's q-values [m], NaN where not present.

    The null share is the value at .95 of a cubic smoothing spline with 3 degrees of freedom
    through its estimates at .05, .10, ..., .95 (Storey and Tibshirani 2003).
    """
    shares = jnp.stack([jnp.sum(present & (p >= level)) / (1 - level) for level in _LEVELS]).astype(
        p.dtype
    ) / jnp.sum(present).astype(p.dtype)
    null = jnp.clip(jnp.dot(jnp.asarray(_SMOOTHER, p.dtype), shares), 0, 1)
    return null * benjamini_hochberg(jnp.where(present, p, jnp.nan))


_LEVELS = np.round(np.arange(0.05, 0.96, 0.05), 2)


def _smoother(levels: np.ndarray, freedom: float) -> np.ndarray:
    """Weights of the last fitted value of a cubic smoothing spline on equispaced points."""
    size, step = len(levels), levels[1] - levels[0]
    second = np.zeros((size, size - 2))
    band = np.zeros((size - 2, size - 2))
    for j in range(size - 2):
        second[j : j + 3, j] = np.array([1, -2, 1]) / step
        band[j, j] = 2 * step / 3
        if j:
            band[j, j - 1] = band[j - 1, j] = step / 6
    values, vectors = np.linalg.eigh(second @ np.linalg.solve(band, second.T))
    values = np.maximum(values, 0)
    low, high = -30.0, 10.0
    for _ in range(100):
        middle = (low + high) / 2
        trace = np.sum(1 / (1 + np.exp(middle) * values))
        low, high = (middle, high) if trace > freedom else (low, middle)
    return vectors[-1] / (1 + np.exp(low) * values) @ vectors.T


_SMOOTHER = _smoother(_LEVELS, 3.0)
