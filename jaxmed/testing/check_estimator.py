"""The list of checks, and the one call that runs it."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp

from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.testing import answers, settings, transformations
from jaxmed.testing.subject import Subject, example_data
from jaxmed.typing import Estimator, Key

CHECKS: dict[str, Callable[[Subject], None]] = {
    "structure": answers.structure,
    "precision": settings.precision,
    "strict_promotion": settings.strict_promotion,
    "rank_promotion": settings.rank_promotion,
    "additivity": answers.additivity,
    "determinism": answers.determinism,
    "units": answers.units,
    "row_order": answers.row_order,
    "bad_data": answers.bad_data,
    "placement": settings.placement,
    "vmap": transformations.vmap,
    "gradient": transformations.gradient,
    "donated": transformations.donated,
    "shard_map": transformations.shard_map,
    "export": transformations.export,
    "debug_nans": settings.debug_nans,
    "few_rows": answers.few_rows,
    "eager": transformations.eager,
}
# Those that trace or run one program only; each of the others compiles one of its own.
QUICK = tuple(CHECKS)[: tuple(CHECKS).index("vmap")]


def check_estimator(
    estimator: Estimator,
    data: MediationData | None = None,
    *,
    key: Key | None = None,
    differentiable: bool = False,
    exchangeable: bool = True,
    only: Sequence[str] = tuple(CHECKS),
) -> tuple[str, ...]:
    """Holds an estimator to what every one of the library keeps.

    Example: a method that is nothing but its name still keeps the conventions.

        from jaxmed import estimators
        from jaxmed.testing import QUICK, check_estimator

        check_estimator(estimators.maxie(), differentiable=True, only=QUICK)

    Args:
      estimator: `(key, data) -> Estimate`, made by its factory.
      data: problem that it can fit; default `example_data()`, 48 rows and 6 mediators.
      key: for random methods; default a fixed one, which deterministic ones ignore.
      differentiable: its indirect effect has derivatives in the columns of the data.
      exchangeable: False where the order of the rows matters: folds or resampling.
      only: names of `CHECKS` to run; `QUICK` leaves out those that compile a program each.
    Returns:
      The names of the checks that were run; all of them passed.
    Raises:
      AssertionError: the name of the first check that fails, what it asks for and what was found.
      ValueError: an unknown name in `only`.
    """
    unknown = sorted(set(only) - set(CHECKS))
    if unknown:
        raise ValueError(f"there is no check {unknown}; there are {list(CHECKS)}")
    given = example_data() if data is None else data
    # Names are no part of a program, and columns of a host would hide where they are computed.
    columns = (given.exposure, given.mediators, given.outcome, given.covariates, given.weights)
    arrays = (None if column is None else jnp.asarray(column) for column in columns)
    subject = Subject(
        estimator,
        MediationData(*arrays, names=Names()),  # pyright: ignore[reportArgumentType]
        jax.random.key(0) if key is None else key,
        differentiable,
        exchangeable,
    )
    for name in only:
        try:
            CHECKS[name](subject)
        except Exception as error:
            asked = (CHECKS[name].__doc__ or "").strip()
            raise AssertionError(f"check {name!r} failed. {asked}\n{error}") from error
    return tuple(only)
