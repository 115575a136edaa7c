"""Law of the Gram factor: one replicate of n rows and p mediators in O(p^2) work (Bartlett).

Between the data (n p normals) and the exact law of the quadratics (nine numbers) lies the
triangular factor of the mediators' residual cross products, of which the data need nothing else.
"""

import jax
import jax.numpy as jnp
from jax import lax

from jaxmed import status
from jaxmed.budget import check_at_least, check_fits
from jaxmed.distributions.exact_law import Law
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.keys import as_key
from jaxmed.linalg.products import matmul
from jaxmed.linalg.random import chi_square
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.linalg.triangular import solve_lower, solve_upper_transposed
from jaxmed.typing import Array, Key

__all__ = ["sample_gram_paths", "sample_gram_quadratics"]


def sample_gram_paths(key: Key, law: Law, num_mediators: int) -> tuple[Array, Array, Array, Array]:
    """The two path vectors of one data set in p coordinates; the key is consumed.

    With whitened mediators (the paths do not change), S = T'T is Wishart(m, I): T is upper
    triangular with T_ii^2 ~ chi2(m - i), i = 0..p-1, and standard normals above. Given it,
    A'X = tau a' + sqrt(tau) N', so that the exposure path is T^-T times that, and the outcome path
    is T b + sigma N, with a and b the population's paths turned into the first two coordinates.

    Args:
      key: PRNG key.
      law: scalar leaves; its `num_mediators` must equal the static one, which cannot be seen
        (`sample_gram_quadratics` answers with a status) where it is traced.
      num_mediators: 1 <= p <= m, static.

    Returns:
      exposure path [p] (exposure units), outcome path [p], residual sum of squares [], tau [].

    Raises:
      ValueError: num_mediators < 1, or other than the law's concrete one.

    Source: Bartlett (1933). Exact under the conditions of `exact_law`.
    """
    key = as_key(key)
    _require_mediators(law, num_mediators)
    p, dtype = num_mediators, law.exposure_strength.dtype
    m, sigma = law.residual_df, law.residual_sd
    upper_key, chi_key, noise_key = jax.random.split(key, 3)
    index = jnp.arange(p, dtype=dtype)
    # One call for all chi-squares: the generator takes most of the compilation.
    degrees = jnp.concatenate([m - index, jnp.stack([m - p, m + 1])])
    squares = chi_square(chi_key, jnp.maximum(degrees, 0), (p + 2,), dtype)
    diagonal, residual, square = jnp.sqrt(squares[:p]), squares[p], squares[p + 1]
    triangle = jax.random.normal(upper_key, (-(-p // 2), p), dtype)
    noise = jax.random.normal(noise_key, (2, p), dtype)
    tau = law.exposure_ss / (m + 1) * square if law.exposure == "gaussian" else law.exposure_ss
    first, second = (index == 0).astype(dtype), (index == 1).astype(dtype)
    a = law.exposure_strength * first
    across = sqrt(1 - law.alignment * law.alignment)
    b = law.outcome_strength * (law.alignment * first + across * second)
    covector = tau * a + jnp.sqrt(tau) * noise[0]
    exposure_path = _solve_transposed(triangle, diagonal, covector[:, None])
    # T b touches the first two columns of T only.
    outcome_path = first * (diagonal[0] * b[0]) + sigma * noise[1]
    if p > 1:
        outcome_path = outcome_path + (triangle[0, 1] * first + diagonal[1] * second) * b[1]
    return exposure_path[:, 0], outcome_path, sigma * sigma * residual, tau


def _require_mediators(law: Law, num_mediators: int) -> None:
    check_at_least("num_mediators", num_mediators, 1)
    check_fits("num_mediators", num_mediators, law.exposure_strength.dtype.itemsize, power=2)
    try:
        known = float(law.num_mediators)
    except jax.errors.ConcretizationTypeError:
        return
    if known != num_mediators:
        raise ValueError(
            f"num_mediators={num_mediators} and a law of {known:g} mediators: pass the law's number"
        )


def _solve_transposed(rectangle: Array, diagonal: Array, b: Array) -> Array:
    """T^-T b for T of the given diagonal and strict upper triangle from a [ceil(p/2), p] array.

    T = [[U, W], [0, L']]: the rectangle holds W on its right; on its left the part above the
    diagonal serves for U and the part below for L, so that every number is used once and the
    p x p matrix is never written.
    """
    half, p = rectangle.shape
    rest = p - half
    square = rectangle[:, :half]
    rows = jnp.arange(half)

    def with_diagonal(values: Array) -> Array:
        return jnp.where(rows[:, None] == rows, jnp.pad(values, (0, half - len(values))), square)

    first = solve_upper_transposed(with_diagonal(diagonal[:half]), b[:half])
    if rest == 0:
        return first
    remaining = b[half:] - matmul(rectangle[:, half:].T, first)
    lower = with_diagonal(diagonal[half:])[:rest, :rest]
    return jnp.concatenate([first, solve_lower(lower, remaining)])


def sample_gram_quadratics(key: Key, law: Law, num_mediators: int) -> PathQuadratics:
    """Path quadratics of one data set through its Gram factor; scalar leaves.

    Agrees in law with `exact_law.sample_quadratics` and with data; see `sample_gram_paths` for
    the arguments. NaN with NOT_IN_DUAL where p > m or m < 1, and with NOT_APPLICABLE where a
    traced law is one of another number of mediators.

    Raises:
      ValueError: num_mediators < 1, or other than the law's concrete one.
    """
    a, y, residual_ss, tau = sample_gram_paths(key, law, num_mediators)
    m = law.residual_df
    code = status.combine(
        status.when((num_mediators > m) | (m < 1), status.NOT_IN_DUAL),
        status.when(num_mediators != law.num_mediators, status.NOT_APPLICABLE),
    )

    def exists(value: Array) -> Array:
        return jnp.where(code == status.OK, value, jnp.nan)

    norm_a, norm_y = jnp.sqrt(jnp.sum(a * a)), jnp.sqrt(jnp.sum(y * y))
    unit_a, unit_y = divide(a, norm_a), divide(y, norm_y)
    plus, minus = jnp.sum((unit_a + unit_y) ** 2), jnp.sum((unit_a - unit_y) ** 2)
    strength = norm_a / jnp.sqrt(tau)
    cosine = (plus - minus) / 4
    return PathQuadratics(
        exposure_exposure=exists(strength * strength),
        exposure_outcome=exists(strength * norm_y * cosine),
        outcome_outcome=exists(norm_y * norm_y),
        residual_ss=exists(residual_ss),
        exposure_ss=exists(tau),
        cosine=exists(cosine),
        sine=exists(jnp.sqrt(plus * minus) / 2),
        residual_df=m,
        dimension=lax.min(jnp.asarray(num_mediators, m.dtype), m),
        status=code,
        notes=jnp.zeros_like(code, jnp.uint32),
    )
