"""What turns weights of mediators into coordinates of the paths, and back."""

import jax.numpy as jnp

from jaxmed.linalg.dependent import null_free
from jaxmed.linalg.products import matmul
from jaxmed.linalg.safe import divide
from jaxmed.linalg.triangular import solve_upper, solve_upper_transposed
from jaxmed.statistics.residual_columns import ResidualColumns, WrittenColumns
from jaxmed.typing import Array, pytree


@pytree
class PrimalFrame:
    """Whitened coordinates of a weight vector w are L'w, L from the joint factor."""

    upper: Array  # [p, p] L' of unit-length mediators
    length: Array  # [p] their lengths
    # [p] bool, False for a mediator that depends linearly on exposure, covariates and those before
    kept: Array

    def coordinates(self, weights: Array) -> Array:
        """Z w in p whitened coordinates, 0 for mediators not kept: |coordinates|^2 = w'Sw."""
        return jnp.where(self.kept, matmul(self.upper, self.length * weights), 0)

    def whitened(self, products: Array) -> Array:
        """L^-1 Z'V [p, k] from products Z'V [p, k] of the mediators with k columns."""
        scaled = divide(products, self.length[:, None])
        return jnp.where(self.kept[:, None], solve_upper_transposed(self.upper, scaled), 0)

    def weights(self, coordinates: Array) -> Array:
        """Weights [p, k] of coordinates [p, k], of smallest norm in standardised mediators."""
        basic = solve_upper(self.upper, jnp.where(self.kept[:, None], coordinates, 0))
        return divide(matmul(null_free(self.upper, self.kept), basic), self.length[:, None])


@pytree
class DualFrame:
    """Coordinates of a weight vector are the n residuals Z w themselves."""

    mediators: ResidualColumns | WrittenColumns | None  # [n, p]
    exposure: Array  # [n]
    exposure_ss: Array  # []

    def coordinates(self, weights: Array) -> Array:
        """Z w, the composite residualised on exposure and covariates."""
        if self.mediators is None:
            raise ValueError("these paths were computed without keeping the mediators")
        score = self.mediators.times(weights)
        return score - self.exposure * divide(jnp.sum(self.exposure * score), self.exposure_ss)
