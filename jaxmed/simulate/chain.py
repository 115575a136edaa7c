"""A partially linear chain of two blocks of mediators: exposure, first block, second, outcome.

    M1 = a1 A + g1(X) + e1,  M2 = a2 A + D M1 + g2(X) + e2,
    Y  = 2 + c A + b1.M1 + b2.M2 + g0(X) + N(0, 1)

with exposure, covariates, curves and noise as in `simulate.partially_linear`: curves are drawn anew
for every data set, and the noise of either block is independent of the other's.
"""

import jax
import jax.numpy as jnp

from jaxmed.budget import check_count
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.keys import as_key
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import sqrt
from jaxmed.simulate.partially_linear import autoregressive, outcome_curve, quadratic
from jaxmed.typing import Array, Key, pytree

__all__ = ["ChainModel", "sample_chain"]


@pytree
class ChainModel:
    """Parameters of the chain."""

    first_alpha: Array  # [p1] exposure -> first block
    second_alpha: Array  # [p2] exposure -> second block given the first
    link: Array  # [p2, p1] second block per unit of the first
    first_beta: Array  # [p1] first block -> outcome given the second
    second_beta: Array  # [p2]
    direct: Array  # []
    correlation: Array  # [] of the noise of neighbouring mediators of a block

    @property
    def effects(self) -> dict[str, Array]:
        """True effects along the four paths, and their sum."""
        carried = matmul(self.link, self.first_alpha)
        found = {
            "direct": self.direct,
            "first": jnp.sum(self.first_alpha * self.first_beta),
            "second": jnp.sum(self.second_alpha * self.second_beta),
            "first then second": jnp.sum(carried * self.second_beta),
        }
        return {**found, "total": sum(found.values(), jnp.zeros(()))}


def sample_chain(key: Key, model: ChainModel, num_rows: int) -> MediationData:
    """One data set of independent rows; mediators are the first block, then the second.

    Args:
      key: consumed.
      model: one model.
      num_rows: n, static.
    """
    key = as_key(key)
    columns = model.first_alpha.size + model.second_alpha.size + 4
    check_count("num_rows", num_rows, 1, columns * model.first_alpha.dtype.itemsize)
    keys = jax.random.split(key, 5)
    dtype = model.first_alpha.dtype
    exposure = jax.random.bernoulli(keys[0], 0.5, (num_rows,)).astype(dtype)
    x = jax.random.normal(keys[1], (2, num_rows), dtype)
    spread = sqrt(0.1 + 0.3 * jnp.abs(x[0]) + 0.3 * exposure)

    def block(k: Key, alpha: Array) -> Array:
        first, second = jax.random.split(k)
        curves = jax.random.uniform(first, (alpha.shape[0], 5), dtype, -1, 1)
        noise = autoregressive(second, model.correlation, alpha.shape[0], num_rows)
        return alpha[:, None] * exposure + matmul(curves, jnp.stack(quadratic(x))) + spread * noise

    one = block(keys[2], model.first_alpha)
    two = block(keys[3], model.second_alpha) + matmul(model.link, one)
    outcome = 2 + model.direct * exposure + outcome_curve(x)
    outcome = outcome + matmul(model.first_beta, one) + matmul(model.second_beta, two)
    outcome = outcome + jax.random.normal(keys[4], (num_rows,), dtype)
    return MediationData(exposure, jnp.concatenate([one, two]).T, outcome, x.T, None, Names())
