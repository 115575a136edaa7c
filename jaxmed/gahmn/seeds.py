"""A training of one configuration with several seeds, as generators with a status."""

import jax.numpy as jnp

from jaxmed.budget import check_at_least
from jaxmed.data.mediation_data import MediationData
from jaxmed.gahmn.collapse import fit_seeds
from jaxmed.gahmn.config import GahmnConfig
from jaxmed.gahmn.fitted import Fitted
from jaxmed.gahmn.fitting import penalties
from jaxmed.gahmn.rows import check_rows
from jaxmed.gahmn.scaling import training_rows
from jaxmed.typing import Array, Key

__all__ = ["train_seeds"]


def train_seeds(
    key: Key, data: MediationData, config: GahmnConfig, seeds: int = 1
) -> tuple[Fitted, Array]:
    """Generators with a leading axis of seeds, and the most severe status of their trainings.

    Args:
      key: consumed.
      data: rows to train with.
      config: of the training.
      seeds: trainings, each with a key of its own.
    Raises:
      ValueError: fewer than 1 seed.
      ShapeError: too few rows to train with; InvalidDataError: too small an arm.
    """
    check_at_least("seeds", seeds, 1)
    check_rows(data)
    scale, ready = training_rows(data, config.precision)
    weights = penalties(config, data.mediators.shape[1])
    fits, codes = fit_seeds(key, ready, config, weights, seeds)
    return Fitted(scale, fits.generators, config), jnp.max(codes)
