"""The list of checks, and the one call that runs it."""

import importlib.util
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data.mediation_data import MediationData
from jaxmed.testing import answers, settings, transformations
from jaxmed.testing.subject import NotApplicableError, Subject, example_data
from jaxmed.typing import Estimator, Key

CHECKS: dict[str, Callable[[Subject], None]] = {
    "structure": answers.structure,
    "precision": settings.precision,
    "strict_promotion": settings.strict_promotion,
    "rank_promotion": settings.rank_promotion,
    "answer": answers.answer,
    "additivity": answers.additivity,
    "determinism": answers.determinism,
    "keys": answers.keys,
    "units": answers.units,
    "row_order": answers.row_order,
    "weights": answers.weights,
    "bad_data": answers.bad_data,
    "placement": settings.placement,
    "vmap": transformations.vmap,
    "gradient": transformations.gradient,
    "donated": transformations.donated,
    "shard_map": transformations.shard_map,
    "export": transformations.export,
    "debug_nans": settings.debug_nans,
    "no_weights": answers.no_weights,
    "no_covariates": answers.no_covariates,
    "one_mediator": answers.one_mediator,
    "few_rows": answers.few_rows,
    "eager": transformations.eager,
}
# Those that trace, or run one program (determinism: two); each of the others compiles its own.
QUICK = tuple(CHECKS)[: tuple(CHECKS).index("vmap")]
COLUMNS = ("exposure", "mediators", "outcome", "covariates", "weights")


def check_estimator(
    estimator: Estimator,
    data: MediationData | None = None,
    *,
    key: Key | None = None,
    differentiable: bool = False,
    exchangeable: bool = True,
    random: bool = False,
    unit_free: bool = True,
    weighted: bool = True,
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
      random: True where another key gives another answer.
      unit_free: False where the answer depends on the units of the mediators.
      weighted: False for a method that takes no case weights.
      only: names of `CHECKS` to run; `QUICK` leaves out those that compile a program each.
    Returns:
      The names of the checks that were run; all of them passed. Those that had nothing to look at
      are left out: what was not promised, what the estimator refuses with a ValueError, and
      `placement` and `shard_map` where there is one device.
    Raises:
      AssertionError: the name of the first check that fails, what it asks for and what was found
        or, where the estimator raised an error of its own, that error.
      ImportError: `export` is asked for without what it writes with.
      TypeError: no estimator, or no data with columns of floating numbers.
      ValueError: an unknown name in `only`.
    """
    unknown = sorted(set(only) - set(CHECKS))
    if unknown:
        raise ValueError(f"there is no check {unknown}; there are {list(CHECKS)}")
    if "export" in only and importlib.util.find_spec("flatbuffers") is None:
        raise ImportError(
            "check 'export' needs flatbuffers: pip install 'jaxmed[testing]', or leave it out of "
            "only="
        )
    _refuse_others(estimator)
    subject = Subject(
        estimator,
        example_data() if data is None else _arrays(data),
        jax.random.key(0) if key is None else key,
        differentiable,
        exchangeable,
        random,
        unit_free,
        weighted,
    )
    return tuple(name for name in only if _runs(name, subject))


def _runs(name: str, subject: Subject) -> bool:
    """Whether a check found something to look at; what it finds is raised."""
    asked = (CHECKS[name].__doc__ or "").strip().splitlines()[0]
    try:
        CHECKS[name](subject)
    except NotApplicableError:
        return False
    except AssertionError as error:
        raise AssertionError(f"check {name!r} failed. {asked}\n{error}") from error
    except Exception as error:
        kind = type(error).__name__
        raise AssertionError(f"raised {kind} while in check {name!r}. {asked}\n{error}") from error
    return True


def _refuse_others(estimator: Any) -> None:
    """A TypeError for what is not called as `(key, data)`, such as a factory."""
    name = getattr(estimator, "__name__", type(estimator).__name__)
    if not callable(estimator):
        raise TypeError(f"an estimator is a function (key, data) -> Estimate, not {name}")
    try:
        inspect.signature(estimator).bind(None, None)
    except TypeError as error:
        raise TypeError(
            f"{name} does not take (key, data): an estimator is what a factory returns, so pass "
            f"{name}(), not {name}"
        ) from error


def _arrays(data: Any) -> MediationData:
    """The data with JAX arrays, since columns of a host would hide where they are computed."""
    if not isinstance(data, MediationData):
        raise TypeError(f"data is what jaxmed.mediation_data makes, not {type(data).__name__}")
    columns = {name: getattr(data, name) for name in COLUMNS}
    for name, column in columns.items():
        if column is None and name != "weights":
            raise TypeError(f"data.{name} is None: jaxmed.mediation_data makes complete data")
        dtype = None if column is None else np.asarray(column).dtype
        if dtype is not None and dtype.kind != "f":
            raise TypeError(
                f"data.{name} holds {dtype}: estimators are given floating numbers, which "
                "jaxmed.mediation_data makes of it"
            )
    arrays = {name: None if c is None else jnp.asarray(c) for name, c in columns.items()}
    return MediationData(**arrays, names=data.names)  # pyright: ignore[reportArgumentType]
