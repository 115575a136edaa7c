"""The data of one mediation problem, as a pytree of arrays with names on the side."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data import validation
from jaxmed.data.placement import placed, refuse_explicit_axes
from jaxmed.data.sparse import from_sparse
from jaxmed.data.validation import InvalidDataError, ShapeError
from jaxmed.typing import Array, ArrayLike, pytree, static

NanPolicy = Literal["error", "drop"]


@dataclasses.dataclass(frozen=True)
class Names:
    """Column names, kept from the input to every output."""

    exposure: str = "exposure"
    outcome: str = "outcome"
    mediators: tuple[str, ...] = ()
    covariates: tuple[str, ...] = ()
    groups: tuple[tuple[str, ...], ...] = ()  # covariates that are the 0/1 columns of one factor


@pytree
class MediationData:
    """Exposure, mediators, outcome and covariates of n rows.

    Leaves are NumPy arrays when made from host arrays by `mediation_data` (moments may then go
    through NumPy's BLAS) and JAX arrays or tracers otherwise; all of one floating dtype.
    """

    exposure: Array  # [n]
    mediators: Array  # [n, p]
    outcome: Array  # [n]
    covariates: Array  # [n, q], q may be 0; the intercept is implied, never a column
    weights: Array | None = None  # [n] >= 0, scaled to sum to the number of non-zero ones; or all 1
    names: Names = static(default=Names())


def weights_of(data: MediationData) -> Array:
    """Case weights [n], ones where there are none."""
    exposure = jnp.asarray(data.exposure)
    return jnp.ones_like(exposure) if data.weights is None else jnp.asarray(data.weights)


def mediation_data(
    exposure: ArrayLike,
    mediators: ArrayLike,
    outcome: ArrayLike,
    covariates: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    names: Names | Mapping[str, Any] | None = None,
    *,
    nan_policy: NanPolicy = "error",
) -> MediationData:
    """Checked data of one mediation problem.

    Concrete arrays are checked in full. Under jit and vmap only shapes can be checked; trouble in
    the values then shows as a status. Integers, booleans and half precision become JAX's default
    float (float64 where x64 is enabled, else float32); float32 and float64 keep their precision
    and promote to one dtype. Arrays that fit already are not copied.

    Args:
      exposure: treatment or exposure [n].
      mediators: candidate mediators [n, p]; a scipy.sparse matrix is made dense.
      outcome: outcome [n].
      covariates: adjustment covariates [n, q] without intercept.
      weights: case weights [n] >= 0; scaled to sum to the number of non-zero ones.
      names: column names; by default exposure, outcome, m1..mp, c1..cq.
      nan_policy: "error", or "drop" to leave out rows with a NaN in any column.

    Returns:
      MediationData, of JAX arrays if the mediators are one and of NumPy arrays otherwise. JAX
      arrays stay on their device or devices, and the others join the mediators there.

    Raises:
      ShapeError: lengths differ, no mediator, or fewer than 3 rows with weight.
      InvalidDataError: NaN or infinity (column, count and first row are named), a constant
        exposure or outcome, negative weights, values outside the range of the dtype. Constant and
        dependent covariates stay as given: `covariate_basis` leaves them out by name.
      TypeError: masked, object, string, longdouble or complex columns.
      ValueError: arrays on a mesh with explicit axes, or sharded ones whose rows are no longer
        a multiple of the devices.
    """
    if nan_policy not in ("error", "drop"):
        raise ValueError(f'nan_policy is "error" or "drop", not {nan_policy!r}')
    mediators, covariates = from_sparse(mediators), from_sparse(covariates)
    arrays = (exposure, mediators, outcome, covariates, weights)
    refuse_explicit_axes(*arrays)
    if validation.is_traced(*arrays):
        return _traced(*arrays, names=names, nan_policy=nan_policy)
    _check_shapes(*(None if a is None else np.shape(a) for a in arrays))
    q = 0 if covariates is None else np.shape(covariates)[1]
    full_names = complete_names(names, np.shape(mediators)[1], q)
    columns = _host_columns(arrays, full_names)
    if nan_policy == "drop":
        keep = ~missing_rows(*columns)
        if not keep.all():
            columns = [None if c is None else c[keep] for c in columns]
    data = _checked(columns, full_names)
    return placed(data, columns, arrays, mediators) if isinstance(mediators, jax.Array) else data


def missing_rows(*columns: np.ndarray | None) -> np.ndarray:
    """True for the rows [n] that hold a NaN in any of the columns ([n] or [n, k])."""
    given = [column for column in columns if column is not None]
    missing = np.zeros(given[0].shape[0], bool)
    for column in given:
        if column.dtype.kind not in "biu":
            flags = np.isnan(column)
            missing |= flags.any(axis=1) if flags.ndim == 2 else flags
    return missing


def _traced(
    exposure: Any,
    mediators: Any,
    outcome: Any,
    covariates: Any,
    weights: Any,
    *,
    names: Names | Mapping[str, Any] | None,
    nan_policy: NanPolicy,
) -> MediationData:
    if nan_policy == "drop":
        raise ValueError('nan_policy="drop" changes shapes and cannot run under jit: drop before')
    given = [exposure, mediators, outcome, covariates, weights]
    _check_shapes(*(None if v is None else jnp.shape(v) for v in given))
    dtype = validation.common_float(*(jnp.asarray(v).dtype for v in given if v is not None))
    x, m, y = (jnp.asarray(v).astype(dtype) for v in given[:3])
    c = jnp.zeros((x.shape[0], 0), dtype) if covariates is None else jnp.asarray(covariates, dtype)
    w = None
    if weights is not None:
        w = jnp.asarray(weights, dtype)
        # An all-zero vector gives NaN weights, which downstream answers with NONFINITE.
        w = w * (jnp.sum(w > 0).astype(dtype) / jnp.sum(w))
    return MediationData(x, m, y, c, w, complete_names(names, m.shape[1], c.shape[1]))


def _host_columns(arrays: Sequence[Any], names: Names) -> list[np.ndarray | None]:
    columns = []
    for array, labels in zip(arrays, _labels(names), strict=True):
        column = None if array is None else validation.host_array(array, labels)
        if column is not None:
            validation.check_integers(column, labels)
        columns.append(column)
    return columns


def _checked(columns: Sequence[np.ndarray | None], names: Names) -> MediationData:
    """Value checks and casts of host columns, in the order of MediationData."""
    given = [column for column in columns if column is not None]
    if given[0].shape[0] < 3:
        raise ShapeError(
            f"{given[0].shape[0]} rows are left after dropping missing values: at least 3 are "
            "needed"
        )
    dtype = validation.common_float(*(column.dtype for column in given))
    for column, labels in zip(columns, _labels(names), strict=True):
        if column is not None:
            validation.check_values(column, labels, dtype)
    x, m, y, c, w = (None if a is None else np.ascontiguousarray(a, dtype) for a in columns)
    assert x is not None and m is not None and y is not None
    c = np.zeros((x.shape[0], 0), dtype) if c is None else c
    if w is not None:
        w = validation.case_weights(w)
        if (w > 0).sum() < 3:
            raise ShapeError(f"{(w > 0).sum()} rows have a non-zero weight: at least 3 are needed")
    validation.check_varies(x, w, names.exposure, validation.constant_exposure)
    validation.check_varies(y, w, names.outcome, validation.constant_outcome)
    return MediationData(x, m, y, c, w, names)  # pyright: ignore[reportArgumentType]


def _labels(names: Names) -> tuple[Sequence[str], ...]:
    return ((names.exposure,), names.mediators, (names.outcome,), names.covariates, ("weights",))


def _check_shapes(
    exposure: Any, mediators: Any, outcome: Any, covariates: Any, weights: Any
) -> None:
    """Refuse shapes that do not fit, known without values."""
    vectors = {"exposure": exposure, "outcome": outcome, "weights": weights}
    for name, shape in vectors.items():
        if shape is not None and len(shape) != 1:
            raise ShapeError(
                f"{name} has shape {shape}: one value per row [n] is needed (.ravel()?)"
            )
    for name, shape in {"mediators": mediators, "covariates": covariates}.items():
        if shape is not None and len(shape) != 2:
            raise ShapeError(f"{name} have shape {shape}: [n, columns] is needed ([:, None]?)")
    rows = exposure[0]
    for name, shape in {**vectors, "mediators": mediators, "covariates": covariates}.items():
        if shape is not None and shape[0] != rows:
            raise ShapeError(f"{name} have {shape[0]} rows, the exposure has {rows}")
    if mediators[1] == 0:
        raise ShapeError("there is no mediator (p = 0): at least one column is needed")
    if rows < 3:
        raise ShapeError(f"there are {rows} rows: at least 3 are needed")


def complete_names(names: Names | Mapping[str, Any] | None, p: int, q: int) -> Names:
    """Names with defaults for what is not given.

    Raises:
      ShapeError: the number of names is not the number of columns.
      ValueError: an unknown key, a name used twice, or a group with another name.
    """
    if names is None:
        names = Names()
    elif not isinstance(names, Names):
        unknown = set(names) - {field.name for field in dataclasses.fields(Names)}
        if unknown:
            raise ValueError(
                f"names has no {sorted(unknown)}: exposure, outcome, mediators, covariates, groups"
            )
        names = Names(**names)
    mediators = tuple(names.mediators) or tuple(f"m{j + 1}" for j in range(p))
    covariates = tuple(names.covariates) or tuple(f"c{j + 1}" for j in range(q))
    for what, given, count in (("mediators", mediators, p), ("covariates", covariates, q)):
        if len(given) != count:
            raise ShapeError(f"there are {len(given)} names for {count} {what}")
    if len(set(mediators)) < p or len(set(covariates)) < q:
        raise InvalidDataError("two mediators or two covariates have the same name")
    groups = tuple(tuple(group) for group in names.groups)
    members = [name for group in groups for name in group]
    strangers = sorted(set(members) - set(covariates))
    if strangers or len(set(members)) < len(members):
        raise InvalidDataError(
            "groups hold names of covariates, each in one factor only; "
            + (f"{strangers[0]!r} is none" if strangers else "one comes twice")
        )
    return Names(str(names.exposure), str(names.outcome), mediators, covariates, groups)
