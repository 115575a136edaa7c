"""Permutation of the exposure, with one factorisation for all permutations."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData
from jaxmed.door import at_the_door
from jaxmed.geometry.paths import Paths, paths
from jaxmed.inference.rows import ResidualRows, residual_rows
from jaxmed.inference.shuffles import over_permutations
from jaxmed.keys import as_key
from jaxmed.linalg import products
from jaxmed.linalg.safe import divide, sqrt
from jaxmed.linalg.triangular import solve_upper, solve_upper_transposed
from jaxmed.statistics.cross_moments import UNNAMED
from jaxmed.typing import Array, Key, pytree, static


@pytree
class PermutationTest:
    """Permutation p-value of the cosine."""

    cosine: Array
    p_value: Array
    status: Array
    notes: Array | np.uint32 = st.NO_NOTES  # uint32 bits, see `status.Note`
    count: int = static(default=0)


def exposure_permutation_test(
    key: Key,
    data: MediationData,
    count: int,
    *,
    observed: Paths | None = None,
    route: str = "auto",
) -> PermutationTest:
    """Two-sided test of alignment of the two paths by permuting the residualised exposure.

    Args:
      key: consumed.
      data: rows; case weights that are not constant are flagged. Rows of weight zero take no
        part, but count in the array length that decides between primal and dual: where
        p <= n-2-q holds with them only, the answer is NaN with TOO_FEW_ROWS.
      count: number of permutations, at least 1; p-values are multiples of 1/(count + 1).
      observed: paths of the same rows where they are known already.
      route: of the observed paths otherwise, see `geometry.paths`.
    Returns:
      PermutationTest with p = (1 + #{|cos*| >= |cos|}) / (count + 1). A single dimension (r = 1)
      has no angle: NaN with NOT_APPLICABLE.
    Raises:
      ValueError: count < 1.
    Source: no paper. Each permuted exposure is projected off the covariates again, mediators and
      the outcome's residual on the observed exposure stay. Tests that the total indirect effect is
      zero; approximate (needs the exposure exchangeable given the mediators under a null exposure
      path): size .04 to .057 in both regimes where the t test's falls to .013.
    """
    key = as_key(key)
    check_count("count", count)
    data = dataclasses.replace(data, names=UNNAMED)  # names are static: new ones recompile
    observed = paths(data, route=route) if observed is None else observed
    return _permuted(key, data, observed, count=count)


@at_the_door("count")
def _permuted(key: Key, data: MediationData, observed: Paths, *, count: int) -> PermutationTest:
    rows = residual_rows(data)
    outcome = rows.outcome - rows.exposure * divide(
        jnp.sum(rows.exposure * rows.outcome), jnp.sum(rows.exposure**2)
    )
    kernel = _primal_cosines if observed.regime == "primal" else _dual_cosines
    cosines = kernel(observed, rows, outcome, data.weights)
    values = over_permutations(key, cosines, rows.exposure, rows.basis, data.weights, count)
    # Rounding must not decide between a permutation and itself.
    slack = 1 - 64 * float(jnp.finfo(values.dtype).eps)
    exceed = jnp.sum(jnp.abs(values) >= jnp.abs(observed.cosine) * slack)
    single = st.when(observed.quadratics.dimension < 2, st.NOT_APPLICABLE)
    code = st.combine(observed.status, single)
    # Of an outcome that exposure and covariates fit exactly there is no path to turn.
    nothing = (observed.quadratics.outcome_outcome == 0) & (code == st.ZERO_RESIDUAL)
    missing = st.is_fatal(code) | nothing
    p_value = jnp.where(missing, jnp.nan, (1.0 + exceed.astype(float)) / (count + 1.0))
    return PermutationTest(
        observed.cosine, p_value.astype(values.dtype), code, observed.notes, count
    )


def _primal_cosines(observed: Paths, rows: ResidualRows, outcome: Array, _: Array | None):  # noqa: ANN202
    """Cosines of permuted exposures from inner products in the observed whitened coordinates.

    S is the Gram of the mediators given the observed exposure, G = S + ss'/tau given none and
    S* = G - s*s*'/tau* given a permuted one; both changes are of rank one (Sherman-Morrison).
    """
    a, y = observed.exposure_path, observed.outcome_path
    bend = divide(1.0, observed.exposure_ss + jnp.sum(a * a))
    frame = observed.frame

    def cosines(permuted: Array) -> Array:  # [n, B] -> [B]
        b = frame.whitened(products.cross(rows.mediators, permuted))  # type: ignore[union-attr]
        ab, ay = a @ b, jnp.sum(a * y)
        ss = jnp.sum(b * b, axis=0) - bend * ab**2
        sg = y @ b - bend * ab * ay
        gg = jnp.sum(y * y) - bend * ay**2
        tau = jnp.sum(permuted**2, axis=0)
        slope = divide(outcome @ permuted, tau)
        left = 1 - divide(ss, tau)
        inner = sg - slope * ss
        outer = gg - 2 * slope * sg + slope**2 * ss + divide(inner**2, tau * left)
        return divide(divide(inner, left), sqrt(divide(ss, left) * outer))

    return cosines


def _dual_cosines(observed: Paths, rows: ResidualRows, outcome: Array, weights: Array | None):  # noqa: ANN202
    n = outcome.shape[0]
    kernel = products.gram(rows.mediators.T)
    absent = jnp.zeros(n) if weights is None else (jnp.asarray(weights) == 0)
    scale = divide(jnp.trace(kernel), n)
    full = divide(kernel, scale) + products.matmul(rows.basis, rows.basis.T)
    upper = jax.scipy.linalg.cholesky(full + jnp.diag(absent.astype(full.dtype)), lower=False)

    def cosines(permuted: Array) -> Array:  # [n, B] -> [B]
        v = solve_upper(upper, solve_upper_transposed(upper, permuted))
        tau = jnp.sum(permuted**2, axis=0)
        along = jnp.sum(permuted * v, axis=0)
        shares = divide(along, tau)[None, :]
        path_a = -divide(v - permuted * shares, along)
        path_y = outcome[:, None] - permuted * divide(outcome @ permuted, tau)[None, :]
        inner = jnp.sum(path_a * path_y, axis=0)
        return divide(inner, sqrt(jnp.sum(path_a**2, axis=0) * jnp.sum(path_y**2, axis=0)))

    return cosines
