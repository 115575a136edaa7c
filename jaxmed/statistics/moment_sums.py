"""Moments of blocks of rows, added up on the host in float64."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from jaxmed.budget import check_fits
from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.data.validation import check_squares
from jaxmed.statistics.cross_moments import CrossMoments

__all__ = ["MomentSums"]

# Means of so many blocks are kept before their spread is added to the co-moments.
KEPT_MEANS = 512


@dataclasses.dataclass
class MomentSums:
    """Sums that blocks are added to, in place: the only mutable state of a stream.

    Every block is centred on its own mean, so that no large mean enters a product; the spread
    between the means of the blocks is one small product at the end (pairwise update of co-moments,
    Chan, Golub and LeVeque 1983).
    """

    within: np.ndarray  # [d, d] float64
    weights: np.ndarray  # [3] float64: count, weight, sum of squared weights
    means: np.ndarray  # [k, d] float64 of the blocks not yet folded
    sizes: np.ndarray  # [k] their weights

    @classmethod
    def zero(cls, d: int) -> "MomentSums":
        """Sums over no rows; raises ValueError for more columns than memory can hold."""
        check_fits("the number of columns of the moments", d, 8, power=2)
        return cls(np.zeros((d, d)), np.zeros(3), np.zeros((0, d)), np.zeros(0))

    def add(self, data: MediationData) -> None:
        """Adds a block of rows; its mediators are centred in place.

        Products are taken in the dtype of the mediators, the other columns being float64 before
        they are centred.
        """
        x: Any = data.mediators
        if not len(x):
            return
        q = data.covariates.shape[1]
        others: Any = np.column_stack([data.covariates, data.exposure, data.outcome]).astype("f8")
        w = None if data.weights is None else np.asarray(data.weights, np.float64)
        total = float(len(x)) if w is None else float(w.sum())
        share = np.full(len(x), 1 / total) if w is None else w / total
        rounded = share.astype(x.dtype)
        mean = np.concatenate([share @ others, rounded @ x])
        first = q + 2
        others -= mean[:first]
        working = mean[first:].astype(x.dtype)
        x -= working
        # The mean in single precision is off by its rounding, and what is left is taken out below.
        left = (rounded @ x).astype("f8")
        if w is not None:
            root = np.sqrt(w)[:, None]
            others *= root
            x *= root.astype(x.dtype)
        self.within[:first, :first] += others.T @ others
        across = others.astype(x.dtype, copy=False).T @ x
        self.within[:first, first:] += across
        self.within[first:, :first] += across.T
        gram = x.T @ x
        self.within[first:, first:] += gram
        mean[first:] = working.astype("f8") + left
        shift, square = left * np.sqrt(total), np.diagonal(gram).astype("f8")
        if np.any(shift**2 > np.finfo(x.dtype).eps / 16 * square):
            self.within[first:, first:] -= np.outer(shift, shift)
        check_squares(square + total * mean[first:] ** 2, len(x), data.names.mediators, x.dtype)
        count = float(len(x)) if w is None else float(np.count_nonzero(w))
        squares = total if w is None else float(w @ w)
        self.weights += (count, total, squares)
        self.keep_mean(mean, total)

    def keep_mean(self, mean: np.ndarray, total: float) -> None:
        """Notes the mean [d] and the weight of a block whose products have been added."""
        self.means = np.vstack([self.means, mean])
        self.sizes = np.append(self.sizes, total)
        if len(self.sizes) >= KEPT_MEANS:
            self._fold()

    def _fold(self) -> None:
        """All kept means as one."""
        # About the first mean, so that means far from 0 cost no digits.
        steps = self.means - self.means[0]
        mean = self.means[0] + self.sizes @ steps / self.sizes.sum()
        step = (self.means - mean) * np.sqrt(self.sizes)[:, None]
        self.within += step.T @ step
        self.means, self.sizes = mean[None, :], np.array([self.sizes.sum()])

    def folded_mean(self) -> tuple[float, np.ndarray]:
        """Weight and mean [d] of all rows added; folds the kept means in place."""
        if not len(self.sizes):
            return 0.0, np.zeros(len(self.within))
        self._fold()
        return float(self.sizes[0]), self.means[0]

    def moments(self, num_covariates: int, names: Names) -> CrossMoments:
        """The moments of all rows added, in float64; weights are scaled to sum to their count."""
        folded = dataclasses.replace(self, within=self.within.copy())
        if len(self.sizes):
            folded._fold()
        count, weight, squares = self.weights
        scale = count / weight if weight > 0 else 1.0
        mean = folded.means[0] if len(self.sizes) else np.zeros(len(self.within))
        sizes: list[Any] = [np.float64(v) for v in (count, count, squares * scale**2)]
        comoment: Any = folded.within if scale == 1 else folded.within * scale
        return CrossMoments(sizes[0], sizes[1], sizes[2], mean, comoment, num_covariates, names)  # pyright: ignore[reportArgumentType]

    def arrays(self) -> dict[str, np.ndarray]:
        """The state, for a file."""
        return {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}

    def on_host(self) -> "MomentSums":
        """Itself."""
        return self

    def restored(self, arrays: Mapping[str, np.ndarray]) -> "MomentSums":
        """The state of `arrays()`.

        Raises:
          ValueError: of other columns, or damaged.
        """
        d = len(self.within)
        found = MomentSums(**{name: np.array(values) for name, values in arrays.items()})
        if found.within.shape != (d, d) or found.means.shape != (len(found.sizes), d):
            raise ValueError("arrays of other shapes")
        return found
