"""What the covariates stand for in every model of an analysis: one basis, chosen once for the data.

Two commands that choose their own basis give two total effects for one table. So the basis belongs
to the data: `covariate_basis` names the columns, counts their rank, and every analysis runs on
`CovariateBasis.data`.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data.basis_columns import Basis
from jaxmed.data.basis_ladder import Bounds, Columns, ladder, made_by
from jaxmed.data.covariate_sentence import covariate_sentence
from jaxmed.data.independent_columns import IndependentColumns
from jaxmed.data.mediation_data import MediationData, Names, complete_names
from jaxmed.data.spline_columns import default_splines
from jaxmed.data.validation import InvalidDataError, is_traced
from jaxmed.vocabulary import BASES

__all__ = ["CovariateBasis", "basis_name", "basis_within", "check_basis_choice", "covariate_basis"]


@dataclasses.dataclass(frozen=True)
class CovariateBasis:
    """The basis of the covariates of one data set.

    Attributes:
      basis: rung used; the name of a function.
      chosen_by: "auto" or "request".
      rank: columns of the base of every model, the intercept included.
      columns: [n, rank - 1] independent columns without the intercept.
      names: one for each column, e.g. "age", "age^2", "age * bmi", "site[b]".
      dropped: covariates and columns left out as constant or dependent, with the sentence why.
      sources: of each column, positions of the covariates that it is made of.
      kinds: of each column: "linear", "square", "product", "cube", "beyond 1".., or "function".
      rows: number of rows, the sum of the case weights.
      given: names of the covariates of the data.
      groups: names of the 0/1 columns of each factor among these.
      data: the data with these columns in place of the covariates; estimators take them as
        they are (`basis="given"`).
    """

    basis: str
    chosen_by: str
    rank: int
    columns: Any
    names: tuple[str, ...]
    dropped: dict[str, str]
    sources: tuple[tuple[int, ...], ...]
    kinds: tuple[str, ...]
    rows: int
    given: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    data: MediationData = dataclasses.field(repr=False)

    @property
    def linear(self) -> tuple[int, ...] | None:
        """Positions of the columns that are covariates as they are; None for a function."""
        if "function" in self.kinds:
            return None
        return tuple(i for i, kind in enumerate(self.kinds) if kind == "linear")

    @property
    def warnings(self) -> list[str]:
        """A sentence for every covariate of the data that was left out."""
        return [why for name, why in self.dropped.items() if name in self.given]

    def positions(self, covariates: Sequence[int]) -> tuple[int, ...]:
        """Columns made of some of the covariates alone.

        Args:
          covariates: positions among the covariates of the data.

        Raises:
          ValueError: the basis is a function, whose columns are of all covariates.
        """
        wanted = set(covariates)
        if "function" in self.kinds and not wanted.issuperset(range(len(self.given))):
            raise ValueError(
                "a function as basis makes its columns of all covariates: models with different "
                'covariates need a named one, such as basis="linear"'
            )
        return tuple(i for i, source in enumerate(self.sources) if wanted.issuperset(source))

    def sentence(self) -> str:
        """The covariates, rank, basis and rows in one line: the first of every summary."""
        return covariate_sentence(
            self.given,
            self.groups,
            self.sources,
            self.kinds,
            list(self.dropped),
            self.rank,
            self.basis,
            self.chosen_by,
            self.rows,
        )

    def to_dict(self) -> dict[str, Any]:
        """Basis, who chose it, rank, names of columns and what was left out, as plain values."""
        return {
            "basis": self.basis,
            "chosen_by": self.chosen_by,
            "rank": self.rank,
            "columns": list(self.names),
            "dropped": dict(self.dropped),
        }


def check_basis_choice(basis: Any) -> None:
    """Raises ValueError for anything but "auto", a named basis and a function."""
    if basis not in BASES and not callable(basis):
        names = ", ".join(f'"{name}"' for name in BASES)
        raise ValueError(
            f"basis must be {names} or a function (covariates, weights) -> [n, r], not {basis!r}"
        )


def basis_name(basis: Basis) -> str:
    """The name of a basis as it goes into a record."""
    return basis if isinstance(basis, str) else getattr(basis, "__name__", "a function")


def covariate_basis(data: MediationData, basis: Basis = "auto") -> CovariateBasis:
    """The columns that stand for the covariates in every model of the data.

        design = jaxmed.covariate_basis(data)
        print(design.sentence())
        jaxmed.estimators.ols()(None, design.data)

    | basis | columns | "auto" takes it if |
    |---|---|---|
    | linear | covariates as they are | always |
    | quadratic | and squares of continuous ones of more than 6 values | rank <= n/4 |
    | second_degree | and products of two continuous ones | rank <= n/4 |
    | splines | and cubic ones, knots at the quartiles, of more than 10 values | rank <= n/8 |
    | additive | splines without products | - |
    | products | second_degree, continuous times 0/1, and 0/1 times 0/1 of two factors | - |
    | splines_all_products | splines and products of any two covariates | - |

    "auto" takes the richest that adds columns to those below. With p > n - 2 - q mediators the
    bound is n/8 throughout, and with p < n a basis takes at most a quarter of the residual
    degrees of freedom that "linear" leaves; its columns take at most 1 GiB. n is the sum of the
    case weights. A covariate is
    continuous with more than two values, unless `names.groups` says that it is of a factor.

    Args:
      data: concrete; NumPy arithmetic in float64, the result has the dtype of the data.
      basis: "auto", a name of the table, or a function (covariates, weights) -> [n, r].

    Returns:
      CovariateBasis. Covariates that are constant, or linear functions of those before them, are
      left out by name, and so are dependent columns.

    Raises:
      ValueError: an unknown basis; traced data.
      InvalidDataError: covariates or weights that are not finite.

    Source: specification of the covariates, ladder and bounds; measured coverage in
      docs/covariates.md.
    """
    found = basis_within(data, basis, None)
    assert found is not None
    return found


def basis_within(data: MediationData, basis: Basis, most: float | None) -> CovariateBasis | None:
    """`covariate_basis`, or None where its rank is above `most`, found out without all columns."""
    check_basis_choice(basis)
    if is_traced(data.covariates, data.weights):
        raise ValueError(
            "covariate_basis counts distinct values and ranks, which a traced array does not "
            'have: call it before jit, or give the estimator a named basis such as basis="splines"'
        )
    given = np.asarray(data.covariates)
    n, p = np.shape(data.mediators)
    full = complete_names(data.names, p, given.shape[1]) if given.shape[1] else data.names
    weights = np.ones(n) if data.weights is None else np.asarray(data.weights, np.float64)
    if not (np.isfinite(given).all() and np.isfinite(weights).all()):
        raise InvalidDataError("covariates and weights must be finite numbers")
    used = None if (weights > 0).all() else weights > 0
    found = Columns(IndependentColumns(used, given.dtype), full.covariates)
    rows = round(float(weights.sum()))
    name = basis_name(basis)
    if callable(basis) or basis == "splines_all_products":
        make = default_splines if basis == "splines_all_products" else basis
        assert callable(make)
        block = made_by(make, name, given, weights)
        count = len(block.sources)
        found.take(block, [f"{name} {i + 1}" for i in range(count)] if count > 1 else [name])
    else:
        name = ladder(found, given, weights, full, basis, Bounds(rows, p, most))
    if most is not None and found.rank > most:
        return None
    return _finished(data, found, full, name, "auto" if basis == "auto" else "request", rows)


def _finished(
    data: MediationData, found: Columns, names: Names, basis: str, chosen_by: str, rows: int
) -> CovariateBasis:
    dtype = np.asarray(data.covariates).dtype
    n = len(data.exposure)
    columns = np.column_stack(found.columns) if found.columns else np.zeros((n, 0))
    columns = np.ascontiguousarray(columns, dtype)
    labels = tuple(found.names)
    kept: Any = jnp.asarray(columns) if isinstance(data.covariates, jax.Array) else columns
    groups = tuple(
        left for group in names.groups if (left := tuple(c for c in group if c in labels))
    )
    renamed = dataclasses.replace(data.names, covariates=labels, groups=groups)
    return CovariateBasis(
        basis,
        chosen_by,
        found.rank,
        kept,
        labels,
        found.dropped,
        tuple(found.sources),
        tuple(found.kinds),
        rows,
        names.covariates,
        names.groups,
        dataclasses.replace(data, covariates=kept, names=renamed),
    )
