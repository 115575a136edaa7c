"""An estimator with data it can fit: what every check is given."""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.data.mediation_data import MediationData
from jaxmed.typing import Estimator, Key

ROUNDINGS = 1e6  # allowed in a comparison of two programs, relative; iterations stop early
# What is left of a condition that holds to rounding: of no size of its own.
CERTIFICATES = ("violation", "lasso_violation", "excess", "gap", "duality_gap")


def example_data(n: int = 48, p: int = 6, q: int = 2, dtype: Any = None) -> MediationData:
    """Rows with a strong first mediator, as JAX arrays.

    Args:
      n: rows.
      p: mediators.
      q: covariates, at least one; what has none is this problem with `covariates[:, :0]`.
      dtype: of the columns; default JAX's float.
    """
    rng = np.random.default_rng(0)
    covariates = rng.normal(size=(n, q))
    exposure = rng.normal(size=n) + 0.5 * covariates[:, 0]
    mediators = rng.normal(size=(n, p)) + 0.3 * covariates[:, -1:]
    mediators[:, 0] += 1.5 * exposure
    outcome = 0.5 * exposure + 1.5 * mediators[:, 0] + covariates[:, 0] + 0.5 * rng.normal(size=n)
    columns = (exposure, mediators, outcome, covariates, np.ones(n))
    dtype = dtype or jnp.result_type(float)
    a, m, y, x, w = (jnp.asarray(column, dtype) for column in columns)
    return MediationData(a, m, y, x, w)


class NotApplicableError(Exception):
    """A check has nothing to look at: of this estimator, or on this machine."""


@dataclasses.dataclass(frozen=True)
class Subject:
    """An estimator, data it can fit, and what it promises."""

    estimator: Estimator
    data: MediationData  # of JAX arrays
    key: Key
    differentiable: bool = False  # its indirect effect, in the columns of the data
    exchangeable: bool = True  # the order of the rows says nothing (no folds, no resampling)
    random: bool = False  # another key gives another answer
    unit_free: bool = True  # the units of the mediators say nothing
    weighted: bool = True  # case weights are counts of rows

    @functools.cached_property
    def program(self) -> Callable[..., Any]:
        """The estimator compiled once, for all checks on data of these shapes."""
        return jax.jit(self.estimator)

    @functools.cached_property
    def estimate(self) -> Any:
        """Its answer to the data, without which no other answer can be judged."""
        found = self.program(self.key, self.data)
        name = st.name(found.status)
        remedy = "data= brings a problem that the method can fit"
        assert int(found.status) < st.FIRST_FATAL, f"no answer to the data ({name}): {remedy}"
        effects = np.array(jax.tree.leaves(found.effects))
        assert np.isfinite(effects).all(), f"effects {effects} ({name}): {remedy}"
        return found

    def of(self, **changes: Any) -> Any:
        """Its answer to data with some columns replaced."""
        return self.program(self.key, dataclasses.replace(self.data, **changes))

    @functools.cached_property
    def traces(self) -> dict[np.dtype, Any]:
        """Shapes and dtypes of its answers to data of each precision that JAX has now."""
        wide = [np.dtype("f8")] if jnp.result_type(float) == np.float64 else []
        return {dtype: self.traced(dtype) for dtype in (np.dtype("f4"), *wide)}

    def traced(self, dtype: Any) -> Any:
        """Shapes and dtypes of its answer to data of one precision; nothing is compiled."""
        data = jax.tree.map(lambda column: jax.ShapeDtypeStruct(column.shape, dtype), self.data)
        # A new function each time: JAX keeps the traces of the same one.
        return jax.eval_shape(lambda k, d: self.estimator(k, d), self.key, data)

    @functools.cached_property
    def twice(self) -> MediationData:
        """The data and the same with other outcomes, stacked on a leading axis."""
        other = dataclasses.replace(self.data, outcome=self.data.outcome + self.data.exposure)
        return jax.tree.map(lambda *leaves: jnp.stack(leaves), self.data, other)

    @functools.cached_property
    def one_by_one(self) -> list[Any]:
        """Its answers to the two, which are an answer to the data first."""
        other = jax.tree.map(lambda leaf: leaf[1], self.twice)
        return [self.estimate, self.program(self.key, other)]


def assert_close(found: Any, expected: Any, what: str) -> None:
    """Equal structure, dtypes and values, up to rounding of what iterates; NaN equals NaN.

    Args:
      found: pytree of arrays.
      expected: what it should be.
      what: was done to get `found`, for the message.
    """

    def compare(path: Any, first: Any, second: Any) -> None:
        where = f"{what}: {jax.tree_util.keystr(path)}"
        assert first.dtype == second.dtype, f"{where}: {first.dtype} and {second.dtype}"
        first, second = np.asarray(first), np.asarray(second)
        if first.dtype.kind != "f":
            np.testing.assert_array_equal(first, second, err_msg=where)
            return
        tolerance = ROUNDINGS * float(np.finfo(first.dtype).eps)
        size = float(np.max(np.abs(second), initial=0, where=np.isfinite(second)))
        if getattr(path[-1], "name", None) in CERTIFICATES:
            size = max(size, min(1.0, 1e-3 / tolerance))
        np.testing.assert_allclose(
            first, second, rtol=tolerance, atol=tolerance * size, err_msg=where
        )

    jax.tree_util.tree_map_with_path(compare, found, expected)
