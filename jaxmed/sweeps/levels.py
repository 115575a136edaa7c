"""Path statistics of a linear model at three levels: data, Gram factor, exact law.

All three have the same law where the model is Gaussian and p <= n-2-q; they cost O(n p^2),
O(p^2) and O(1) a replicate. A table says which level its numbers come from.
"""

from collections.abc import Callable
from typing import Any, Literal

import jax.numpy as jnp

from jaxmed.distributions.exact_law import sample_quadratics
from jaxmed.distributions.gram_law import sample_gram_quadratics
from jaxmed.distributions.quadratics import PathQuadratics
from jaxmed.geometry.paths import paths, regime_of
from jaxmed.keys import as_key
from jaxmed.simulate.linear_sem import sample, sample_moments, whitened
from jaxmed.sweeps.task import BlockTask, Scores, Task
from jaxmed.typing import Array, Key

__all__ = ["LEVELS", "Level", "cosine_statistic", "model_quadratics", "path_task"]

Level = Literal["data", "gram", "exact"]
LEVELS = ("data", "gram", "exact")


def model_quadratics(key: Key, model: Any, num_rows: int) -> PathQuadratics:
    """Path quadratics of one simulated data set of a LinearSem, primal or dual."""
    key = as_key(key)
    if regime_of(num_rows, model.num_mediators, model.num_covariates) == "dual":
        return paths(sample(key, model, num_rows)).quadratics
    # Whitening changes nothing in the primal, and the primal needs only moments.
    return paths(sample_moments(key, whitened(model), num_rows)).quadratics


def path_task(
    level: Level,
    score: Callable[[PathQuadratics], Scores],
    *,
    num_rows: int | None = None,
    num_mediators: int | None = None,
) -> Task | BlockTask:
    """A task that scores path quadratics; tests and plane composites are functions of them.

    Args:
      level: "data", with a LinearSem as the cell's parameters; "gram" or "exact", with a Law
        (`simulate.law_of`).
      score: PathQuadratics, of scalars or of one batch -> scores of the same shape.
      num_rows: n, static; "data" needs it.
      num_mediators: p, static; "gram" needs it.

    Raises:
      ValueError: an unknown level, or a number missing that the level needs.
    """
    if level not in LEVELS:
        raise ValueError(f"level is one of {', '.join(LEVELS)}, not {level!r}")
    if level == "data":
        if num_rows is None:
            raise ValueError('level "data" needs num_rows')
        rows = num_rows
        return lambda key, model: score(model_quadratics(key, model, rows))
    if level == "gram":
        if num_mediators is None:
            raise ValueError('level "gram" needs num_mediators')
        columns = num_mediators
        return lambda key, law: score(sample_gram_quadratics(key, law, columns))
    return BlockTask(lambda key, law, size: score(sample_quadratics(key, law, size)))


def cosine_statistic(quadratics: PathQuadratics) -> dict[str, Array]:
    """T of the cosine test, the cheapest score."""
    q = quadratics
    return {"statistic": jnp.sqrt(q.dimension - 1) * q.cosine / q.sine}
