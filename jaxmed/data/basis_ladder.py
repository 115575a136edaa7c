"""The columns of a basis, taken rung by rung as far as the sizes of the data allow."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from jaxmed.data.basis_columns import Block, blocks
from jaxmed.data.independent_columns import CONSTANT, KEPT, IndependentColumns, left_out
from jaxmed.data.mediation_data import Names
from jaxmed.data.validation import InvalidDataError
from jaxmed.vocabulary import LADDER

__all__ = ["Bounds", "Columns", "ladder", "made_by"]

# The rung that a kind of column belongs to.
_STAGE = {"linear": "linear", "square": "quadratic", "product": "second_degree"}
# Rows per column of a rung: "auto" takes no more.
_ROWS_EACH = {"quadratic": 4, "second_degree": 4, "splines": 8}
_ROWS_EACH_DUAL = 8
# Bytes of the columns of what "auto" takes beyond linear.
_MOST_BYTES = 1 << 30
# Of the residual degrees of freedom that linear covariates leave, a rung takes at most one in ...
_SHARE = 4


@dataclasses.dataclass(frozen=True)
class Bounds:
    """How many columns a rung may have.

    Attributes:
      rows: the sum of the case weights.
      mediators: their number.
      most: rank above which nobody wants the columns; None for no such bound.
    """

    rows: int
    mediators: int
    most: float | None

    def of(self, rung: str, linear: int) -> float:
        """The largest rank of a rung that "auto" takes, where linear has the rank `linear`."""
        spare = self.rows - linear - 1 - self.mediators
        each = _ROWS_EACH_DUAL if spare < 1 else _ROWS_EACH[rung]
        most = min(self.rows / each, _MOST_BYTES / (8 * self.rows))
        return min(most, linear + spare / _SHARE) if self.mediators < self.rows else most


class Columns:
    """The independent columns so far, with their names."""

    def __init__(self, independent: IndependentColumns, covariates: tuple[str, ...]) -> None:
        """None yet.

        Args:
          independent: tells which columns are; nothing kept yet.
          covariates: their names.
        """
        self.independent, self.covariates = independent, covariates
        self.columns: list[np.ndarray] = []
        self.names: list[str] = []
        self.sources: list[tuple[int, ...]] = []
        self.kinds: list[str] = []
        self.dropped: dict[str, str] = {}

    @property
    def rank(self) -> int:
        """Of the base: these columns and the intercept."""
        return 1 + len(self.columns)

    def take(self, block: Block, names: Sequence[str] | None = None) -> None:
        """Adds the block's independent columns; those that are 0 throughout do not apply."""
        columns = np.asarray(block.columns)
        for j, code in enumerate(self.independent.add(columns)):
            label = names[j] if names else self._name(block.kind, block.sources[j])
            if code == KEPT:
                self.columns.append(columns[:, j])
                self.names.append(label)
                self.sources.append(block.sources[j])
                self.kinds.append(block.kind)
            elif code != CONSTANT or block.kind == "linear":
                self.dropped[label] = left_out(label, int(code))

    @property
    def mark(self) -> tuple[int, int]:
        """Numbers of columns and of names left out, to which `cut` goes back."""
        return len(self.columns), len(self.dropped)

    def cut(self, mark: tuple[int, int]) -> None:
        """Back to where `mark` was taken."""
        count, lost = mark
        self.independent.drop_after(count)
        for kept in (self.columns, self.names, self.sources, self.kinds):
            del kept[count:]
        self.dropped = dict(list(self.dropped.items())[:lost])

    def _name(self, kind: str, source: tuple[int, ...]) -> str:
        names = [self.covariates[j] for j in source]
        match kind:
            case "square":
                return f"{names[0]}^2"
            case "product":
                return " * ".join(names)
            case "cube":
                return f"{names[0]}^3"
            case "linear":
                return names[0]
        return f"{names[0]}^3 {kind.replace('beyond', 'beyond quartile')}"


def ladder(
    found: Columns,
    given: np.ndarray,
    weights: np.ndarray,
    names: Names,
    basis: Any,
    bounds: Bounds,
) -> str:
    """Takes the columns of a rung, of the richest allowed for "auto"; the name of the rung."""
    found.take(Block("linear", tuple((j,) for j in range(given.shape[1])), given))
    linear, auto = found.rank, basis == "auto"
    kept = [source[0] for source in found.sources]
    position = {names.covariates[j]: i for i, j in enumerate(kept)}
    groups = [[position[c] for c in group if c in position] for group in names.groups]

    used = "linear"
    if basis == "linear" or (auto and found.rank + 1 > bounds.of("quadratic", linear)):
        return used
    rung = "splines" if auto else basis
    # Powers of what was left out as dependent would bring it back.
    made = blocks(np, given[:, kept].astype(np.float64), weights, rung, groups)
    next(made)  # the linear columns, taken above
    stage, mark = "linear", found.mark
    for block in made:
        own = _STAGE.get(block.kind, "splines")
        if own != stage:
            used = _richest(found, used, stage, mark[0])
            stage, mark = own, found.mark
        sources = tuple(tuple(kept[i] for i in source) for source in block.sources)
        found.take(dataclasses.replace(block, sources=sources))
        if found.rank > (bounds.rows - 1 if bounds.most is None else bounds.most):
            break  # saturated, or more than asked for: the other columns need not be made
        if auto and found.rank > bounds.of(stage, linear):
            found.cut(mark)
            return used
    return _richest(found, used, stage, mark[0]) if auto else basis


def _richest(found: Columns, used: str, stage: str, mark: int) -> str:
    """The stage just ended where it added columns, else the rung before."""
    return stage if found.rank - 1 > mark and LADDER.index(stage) else used


def made_by(make: Any, name: str, given: np.ndarray, weights: np.ndarray) -> Block:
    """All columns of a function."""
    columns = np.asarray(make(given, weights.astype(given.dtype)))
    if columns.ndim != 2 or columns.shape[0] != given.shape[0]:
        raise ValueError(
            f"the basis function {name} must return [n, r] with n = {given.shape[0]}, not "
            f"{list(columns.shape)}"
        )
    if not np.isfinite(columns).all():
        raise InvalidDataError(f"the basis function {name} made numbers that are not finite")
    everything = tuple(range(given.shape[1]))
    return Block("function", (everything,) * columns.shape[1], columns)
