"""The rows of an analysis in a form in which every threat can be measured: host, float64, safe."""

import dataclasses
from typing import Any

import numpy as np

from jaxmed.data.data_report import DataReport, listed
from jaxmed.data.mediation_data import MediationData
from jaxmed.estimators.parts.units import rescaled, units_of, with_safe_mediators

__all__ = ["Factor", "Rows", "explained", "rows_of"]


@dataclasses.dataclass(frozen=True)
class Factor:
    """A grouping of the rows.

    Attributes:
      name: of the covariate, or of the column without a role.
      codes: [n] int from 0, -1 where missing.
      levels: names of the levels, None for one whose name is not known.
      stored: the levels are values of the column, and none of them merged.
    """

    name: str
    codes: np.ndarray
    levels: tuple[str | None, ...] = ()
    stored: bool = True


@dataclasses.dataclass(frozen=True)
class Rows:
    """Rows with weight; columns "given the base" are residuals times root weights.

    Attributes:
      data: as analysed: covariates on their basis; units in which squares exist.
      weights: [n] sum to n.
      base: [n, r] orthonormal basis of intercept and covariates times root weights.
      exposure: [n] given the base.
      outcome: [n] given the base.
      given_outcome: [n] in the units of the data, not given the base.
      factors: categorical covariates as given, and 0/1 ones.
      idle: columns without a role that look like groups.
      unit: of an effect: what one in `data` is in the units of the data.
      numbers: [n] what a row is called.
      place: where it is so called.
    """

    data: MediationData
    weights: np.ndarray
    base: np.ndarray
    exposure: np.ndarray
    outcome: np.ndarray
    given_outcome: np.ndarray
    factors: tuple[Factor, ...]
    idle: tuple[Factor, ...]
    unit: float
    numbers: np.ndarray
    place: str

    @property
    def mediators(self) -> np.ndarray:
        """As analysed [n, p]."""
        return np.asarray(self.data.mediators)

    @property
    def plain_exposure(self) -> np.ndarray:
        """Not given the base, nor times weights [n]."""
        return np.asarray(self.data.exposure)

    @property
    def plain_outcome(self) -> np.ndarray:
        """Likewise [n]."""
        return np.asarray(self.data.outcome)

    @property
    def root(self) -> np.ndarray:
        """Square roots of the weights [n]."""
        return np.sqrt(self.weights)

    @property
    def count(self) -> int:
        """Number of rows."""
        return len(self.weights)

    def called(self, position: int) -> str:
        """A row in words."""
        return f"row {int(self.numbers[position])} {self.place}"


def rows_of(given: MediationData, analysed: MediationData, source: DataReport | None) -> Rows:
    """The rows of an analysis.

    Args:
      given: data as given, every covariate.
      analysed: the same rows with the covariates on their basis and the mediators analysed.
      source: what the reader of the table knows of these rows.
    """
    given, analysed = _host(given), _host(analysed)
    n = len(analysed.exposure)
    weights = np.ones(n) if analysed.weights is None else np.asarray(analysed.weights, np.float64)
    used = weights > 0
    if not used.all():
        given, analysed, weights = _taken(given, used), _taken(analysed, used), weights[used]
    units = units_of(analysed)
    data = with_safe_mediators(rescaled(analysed, units))[0]
    root = np.sqrt(weights)
    base = np.linalg.qr(root[:, None] * _columns(np.asarray(data.covariates)))[0]
    exposure, outcome = (_given(base, root, column) for column in (data.exposure, data.outcome))
    known = source if source is not None and _describes(source, n) else None
    numbers, place = _numbering(known, n)
    return Rows(
        data,
        weights,
        base,
        exposure,
        outcome,
        np.asarray(given.outcome),
        _factors(given, known),
        _idle(known, used),
        float(units.effect),
        numbers[used],
        place,
    )


def explained(column: np.ndarray, weights: np.ndarray, codes: np.ndarray) -> tuple[float, int, int]:
    """R2 of a column [n] on the levels of a factor, with its sizes.

    Args:
      column: [n].
      weights: [n] case weights.
      codes: [n] int, -1 for rows that do not count.
    Returns:
      R2 (in sample, 0 for a constant column), number of rows, number of levels.
    """
    there = codes >= 0
    x, w, level = column[there], weights[there], codes[there]
    sizes = np.bincount(level, weights=w)
    present = sizes > 0
    if not there.any():
        return 0.0, 0, 0
    x = x - float(w @ x / w.sum())
    whole = float(w @ np.square(x))
    sums = np.bincount(level, weights=w * x)[present]
    between = float(np.sum(np.square(sums) / sizes[present]))
    return (between / whole if whole > 0 else 0.0), int(there.sum()), int(present.sum())


def _host(data: MediationData) -> MediationData:
    """The same with NumPy arrays; what is one already is not copied."""
    arrays: dict[str, Any] = {
        name: np.asarray(getattr(data, name))
        for name in ("exposure", "mediators", "outcome", "covariates")
    }
    arrays["exposure"] = arrays["exposure"].astype(np.float64, copy=False)
    arrays["outcome"] = arrays["outcome"].astype(np.float64, copy=False)
    arrays["weights"] = None if data.weights is None else np.asarray(data.weights)
    return dataclasses.replace(data, **arrays)


def _taken(data: MediationData, used: np.ndarray) -> MediationData:
    names = ("exposure", "mediators", "outcome", "covariates", "weights")
    given = [name for name in names if getattr(data, name) is not None]
    return dataclasses.replace(data, **{name: getattr(data, name)[used] for name in given})


def _columns(covariates: np.ndarray) -> np.ndarray:
    """Intercept and covariates [n, 1 + q], each of largest value 1 about its mean."""
    columns = covariates.astype(np.float64)
    columns /= np.maximum(np.abs(columns).max(axis=0, initial=0), np.finfo(np.float64).tiny)
    columns -= columns.mean(axis=0)
    columns /= np.maximum(np.abs(columns).max(axis=0, initial=0), np.finfo(np.float64).tiny)
    return np.column_stack([np.ones(len(columns)), columns])


def _given(base: np.ndarray, root: np.ndarray, column: Any) -> np.ndarray:
    scaled = root * (column - np.average(column, weights=root**2))
    return scaled - base @ (base.T @ scaled)


def _describes(source: DataReport, rows: int) -> bool:
    """True where the report is of as many rows, and has what belongs to them."""
    numbers = getattr(source, "row_numbers", None)
    return numbers is not None and len(numbers) == rows


def _numbering(source: DataReport | None, rows: int) -> tuple[np.ndarray, str]:
    if source is None or source.row_numbers is None:
        return np.arange(1, rows + 1), "of those analysed (counted from 1)"
    if "file" in source.origin:
        return source.row_numbers, "of the file"
    return source.row_numbers, "of the table (counted from 0)"


def _factors(given: MediationData, source: DataReport | None) -> tuple[Factor, ...]:
    """Groups of 0/1 columns as codes, the reference level first; single 0/1 columns."""
    names, columns = given.names, np.asarray(given.covariates)
    place = {name: j for j, name in enumerate(names.covariates)}
    called = {} if source is None else {group: name for name, group in source.dummies.items()}
    found, grouped = [], set()
    for group in names.groups:
        grouped |= set(group)
        block = columns[:, [place[name] for name in group]]
        codes = np.where(block.any(axis=1), block.argmax(axis=1) + 1, 0)
        name = called.get(tuple(group), group[0].partition("[")[0])
        bracketed = all(label.startswith(f"{name}[") and label[-1] == "]" for label in group)
        levels = [label[len(name) + 1 : -1] if bracketed else label for label in group]
        reference = None if source is None else source.reference_levels.get(name)
        merged = source is not None and name in source.merged
        name = name if bracketed else listed(group)
        found.append(Factor(name, codes, (reference, *levels), bracketed and not merged))
    for name, j in place.items():
        column = columns[:, j]
        if name not in grouped and np.all((column == 0) | (column == 1)):
            found.append(Factor(name, column.astype(int), ("0", "1")))
    return tuple(found)


def _idle(source: DataReport | None, used: np.ndarray) -> tuple[Factor, ...]:
    if source is None:
        return ()
    return tuple(Factor(name, codes[used]) for name, codes in source.group_codes.items())
