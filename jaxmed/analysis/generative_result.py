"""Trained generators and their effects as a result: draws, means, quantiles, subgroups, report."""

import dataclasses
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.analysis.comparison import MethodTable
from jaxmed.analysis.inputs import parse_key
from jaxmed.budget import check_count
from jaxmed.compile import quick_jit
from jaxmed.data.validation import ShapeError
from jaxmed.gahmn import Counterfactuals, Fitted, GahmnDetails, counterfactuals, one_seed
from jaxmed.gahmn.config import WINDOW
from jaxmed.gahmn.storage import save_fitted
from jaxmed.reports.comparison import save_comparison
from jaxmed.reports.generator_figures import learning_curves, mediator_panels
from jaxmed.reports.sections import Section
from jaxmed.typing import Array, ArrayLike, Key

__all__ = ["GenerativeResult", "contrasts"]


@dataclasses.dataclass(frozen=True)
class GenerativeResult(MethodTable):
    """Effects by the interval of record and by the generators; the trained generators.

    Beside what `MethodTable` holds:

    Attributes:
      details: training curves, adversarial estimates, generators of every seed.
      names: of the mediators that the generators make, in their order.
      covariates: of the rows, for counterfactuals of those who were seen.
    """

    details: GahmnDetails = dataclasses.field(repr=False)
    names: tuple[str, ...] = ()
    covariates: Any = dataclasses.field(default=None, repr=False)

    @property
    def seeds(self) -> int:
        """Trainings."""
        return len(self.details.adversarial.seed_status)

    def generate(
        self, key: Key | int, exposure: ArrayLike, covariates: ArrayLike | None, count: int = 1
    ) -> dict[str, np.ndarray]:
        """Draws of mediators and outcome for individuals, seeds in turn.

        Args:
          key: seed or key.
          exposure: of the individuals [n], in its units, or one value for all of `covariates`.
          covariates: [n, q]; None where the analysis had none.
          count: draws of every individual.
        Returns:
          {"mediators": [count, n, p] in the order of `names`, "outcome": [count, n]}.
        Raises:
          ValueError: shapes that do not fit.
        """
        t, x = self._individuals(exposure, covariates)
        check_count("count", count)
        keys = jax.random.split(parse_key(key)[1], count)

        seeds = jnp.arange(count) % self.seeds
        mediators, outcome = _draw(self.details.fitted, keys, seeds, t, x)
        return {"mediators": np.asarray(mediators), "outcome": np.asarray(outcome)}

    def quantiles(
        self,
        key: Key | int,
        exposure: ArrayLike,
        covariates: ArrayLike | None,
        levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95),
        count: int = 1000,
    ) -> dict[str, np.ndarray]:
        """Conditional quantiles of mediators [L, n, p] and outcome [L, n] from `count` draws."""
        drawn = self.generate(key, exposure, covariates, count)
        return {name: np.quantile(values, levels, axis=0) for name, values in drawn.items()}

    def predict(
        self, exposure: ArrayLike, covariates: ArrayLike | None, mediators: ArrayLike | None = None
    ) -> dict[str, np.ndarray]:
        """Conditional means, averaged over seeds.

        Args:
          exposure: [n] or one value.
          covariates: [n, q], or None.
          mediators: observed ones [n, p] in the order of `names`; their conditional means if None.
        Returns:
          {"mediators": [n, p], "outcome": [n]}.
        """
        t, x = self._individuals(exposure, covariates)
        given = None if mediators is None else jnp.asarray(mediators)
        if given is not None and given.shape != (t.shape[0], len(self.names)):
            raise ShapeError(
                f"mediators must be [{t.shape[0]}, {len(self.names)}] in the order of `names`, not "
                f"{list(given.shape)}"
            )

        found = _means(self.details.fitted, jnp.arange(self.seeds), t, x, given)
        return {
            name: np.asarray(values).mean(axis=0)
            for name, values in zip(("mediators", "outcome"), found, strict=True)
        }

    def effects_for(
        self, rows: ArrayLike, *, key: Key | int = 0, draws: int = 100, shared_noise: bool = True
    ) -> Counterfactuals:
        """Counterfactual effects of a subgroup of the analysed rows, by the first seed.

        Args:
          rows: positions, or True for the rows [n] of the subgroup.
          key: of the draws.
          draws: of the generator's noise.
          shared_noise: both arms see the same noise.
        """
        x = jnp.asarray(np.asarray(self.covariates)[np.asarray(rows)])
        program = contrasts(draws, shared_noise)
        return program(parse_key(key)[1], self.details.fitted, x)

    def save(self, directory: str | Path, *, figures: bool = True) -> list[Path]:
        """Writes tables, figures, report.html, and generators.npz with generators.json.

        Raises:
          MissingExtraError: matplotlib or jinja2 is not installed.
        """
        save_fitted(directory, self.details.fitted, {"mediators": list(self.names)})
        paths = save_comparison(
            self.document, self.mediators, directory, figures=figures, sections=self._sections()
        )
        return [Path(directory) / "generators.npz", Path(directory) / "generators.json", *paths]

    def _individuals(
        self, exposure: ArrayLike, covariates: ArrayLike | None
    ) -> tuple[Array, Array]:
        t = jnp.atleast_1d(jnp.asarray(exposure, float))
        q = np.shape(self.covariates)[1]
        x = jnp.zeros((t.shape[0], 0)) if covariates is None else jnp.asarray(covariates, float)
        if x.ndim != 2 or x.shape[1] != q:
            raise ShapeError(f"covariates must be [n, {q}] as in the analysis, not {list(x.shape)}")
        if t.shape[0] == 1:
            t = jnp.repeat(t, x.shape[0]) if q else t
        if t.shape[0] != x.shape[0]:
            raise ShapeError(f"{t.shape[0]} exposures for {x.shape[0]} rows of covariates")
        return t, x

    def _sections(self) -> list[Section]:
        details, settings = self.details, self.document["settings"]
        found, fitted = details.adversarial, details.fitted
        width = float(fitted.scale.arms.width)
        spread = np.asarray(fitted.scale.mediator)
        alpha, beta = (np.nan_to_num(np.asarray(v)) for v in (found.alpha, found.beta))
        kept = np.where(np.asarray(found.selected), np.nan_to_num(np.asarray(found.indirect)), 0)
        curves = {
            block: {name: np.asarray(getattr(curve, name)) for name in ("critic", "generator")}
            for block, curve in (
                ("mediators", details.mediator_curve),
                ("outcome", details.outcome_curve),
            )
        }
        panels = functools.partial(
            mediator_panels,
            self.names,
            alpha * width / np.where(spread > 0, spread, 1),
            beta * spread,
            kept * width,
            float(found.effects.direct) * width,
            settings["exposure"],
            settings["outcome"],
        )
        return [
            Section(
                "generators",
                "What the generators learned",
                (),
                None,
                panels,
                "Left: effect of treated against control on the mediators most affected. Middle: "
                "effect of one standard deviation of the mediators with most influence on the "
                "outcome. Right: direct effect, and indirect effects of the mediators that both "
                "generators keep. Adversarial estimates: they have no standard error; intervals "
                "are in the tables above.",
            ),
            Section(
                "learning_curves",
                "Learning curves",
                (),
                None,
                functools.partial(learning_curves, curves, WINDOW),
                "A critic's loss is the sum of both cross-entropies: 1.386 where it sees no "
                "difference between data and draws, towards 0 where it has won. One line a seed.",
            ),
        ]


@functools.cache
def contrasts(draws: int, shared_noise: bool) -> Callable[..., Counterfactuals]:
    """Program of (key, Fitted, covariates): counterfactuals of the first seed."""
    return quick_jit(
        lambda key, fitted, x: counterfactuals(
            key, one_seed(fitted, 0), x, draws=draws, shared_noise=shared_noise, mediators=False
        )
    )


@quick_jit
def _draw(
    fitted: Fitted, keys: Key, seeds: Array, exposure: Array, covariates: Array
) -> tuple[Array, Array]:
    """Mediators [count, n, p] and outcomes [count, n]."""

    def one(pair: tuple[Key, Array]) -> tuple[Array, Array]:
        key, seed = pair
        made = one_seed(fitted, seed)
        first, second = jax.random.split(key)
        n = exposure.shape[0]
        m = made.mediators(made.mediator_noise(first, n), exposure, covariates)
        return m, made.outcomes(made.outcome_noise(second, n), exposure, m, covariates)

    return jax.lax.map(one, (keys, seeds))


@quick_jit
def _means(
    fitted: Fitted, seeds: Array, exposure: Array, covariates: Array, mediators: Array | None
) -> tuple[Array, Array]:
    """Conditional means of every seed."""

    def one(seed: Array) -> tuple[Array, Array]:
        made = one_seed(fitted, seed)
        m = made.mediator_mean(exposure, covariates)
        seen = m if mediators is None else mediators
        # Draws of the mean are the same at every call: a prediction is no random number.
        return m, made.outcome_mean(jax.random.key(0), exposure, seen, covariates)

    return jax.lax.map(one, seeds)
