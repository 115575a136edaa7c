"""GAHMN on one data set: training with checkpoints, effects, generated counterfactuals."""

import dataclasses
import functools
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.comparison import MethodTable, stacked
from jaxmed.analysis.compile import quick_jit
from jaxmed.analysis.fit import LARGE_FROM
from jaxmed.analysis.generator_training import train_generators
from jaxmed.analysis.inputs import check_level, parse_key
from jaxmed.analysis.method_table import (
    MethodFit,
    Prepared,
    data_block,
    effect_columns,
    mediator_columns,
    prepared,
)
from jaxmed.analysis.software import software
from jaxmed.analysis.wording import status_fields
from jaxmed.data.data_report import DataReport
from jaxmed.data.mediation_data import MediationData
from jaxmed.data.validation import ShapeError
from jaxmed.estimators.estimate import Effects, Estimate
from jaxmed.estimators.parts.assemble import mediator_effects
from jaxmed.estimators.parts.legs import Leg
from jaxmed.gahmn import (
    Counterfactuals,
    Fitted,
    GahmnConfig,
    GahmnDetails,
    check_rows,
    counterfactuals,
    improved,
    linear_part,
    one_seed,
    simulation_interval,
)
from jaxmed.gahmn.config import WINDOW
from jaxmed.gahmn.reported import interval_of, reported
from jaxmed.gahmn.storage import save_fitted
from jaxmed.reports.comparison import save_comparison
from jaxmed.reports.generator_figures import learning_curves, mediator_panels
from jaxmed.reports.sections import Section
from jaxmed.sweeps.task import named_key
from jaxmed.typing import Array, ArrayLike, Interval, Key

__all__ = ["GenerativeResult", "generative"]

SCHEMA = "jaxmed.gahmn"
SCHEMA_VERSION = 1
RECORD = {
    "ols": "least squares on all mediators",
    "double_selection": "double selection",
    "refit": "refit of the selected",
}
DRAWS = 200  # behind the simulation interval
INDIVIDUALS = 500  # at most


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
        if count < 1:
            raise ValueError(f"count must be at least 1, not {count}")
        keys = jax.random.split(parse_key(key)[1], count)

        seeds = jnp.arange(count) % self.seeds
        mediators, outcome = _draw(self.details.fitted, keys, seeds, t, x)
        return {"mediators": np.asarray(mediators), "outcome": np.asarray(outcome)}

    def quantiles(
        self, key: Key | int, exposure: ArrayLike, covariates: ArrayLike | None,
        levels: Sequence[float] = (0.05, 0.25, 0.5, 0.75, 0.95), count: int = 1000,
    ) -> dict[str, np.ndarray]:  # fmt: skip
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
        program = _contrasts(draws, shared_noise)
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
                ("mediators", details.mediator_curve), ("outcome", details.outcome_curve)
            )
        }  # fmt: skip
        panels = functools.partial(
            mediator_panels, self.names, alpha * width / np.where(spread > 0, spread, 1),
            beta * spread, kept * width, float(found.effects.direct) * width,
            settings["exposure"], settings["outcome"],
        )  # fmt: skip
        return [
            Section(
                "generators", "What the generators learned", (), None, panels,
                "Left: effect of treated against control on the mediators most affected. Middle: "
                "effect of one standard deviation of the mediators with most influence on the "
                "outcome. Right: direct effect, and indirect effects of the mediators that both "
                "generators keep. Adversarial estimates: they have no standard error; intervals "
                "are in the tables above.",
            ),
            Section(
                "learning_curves", "Learning curves", (), None,
                functools.partial(learning_curves, curves, WINDOW),
                "A critic's loss is the sum of both cross-entropies: 1.386 where it sees no "
                "difference between data and draws, towards 0 where it has won. One line a seed.",
            ),
        ]  # fmt: skip


def generative(
    data: MediationData,
    *,
    key: Key | int,
    config: GahmnConfig | None = None,
    interval: str = "auto",
    nuisance: str = "splines",
    n_seeds: int = 1,
    penalty: str = "given",
    arms: tuple[float, float] | None = None,
    min_rows: int = 50,
    level: float = 0.95,
    checkpoint: str | Path | None = None,
    source: DataReport | None = None,
    progress: Callable[[str], None] | None = None,
) -> GenerativeResult:
    """Generative mediation analysis of one data set.

        found = jaxmed.mediate(data, "gahmn", key=1)
        print(found.summary()); found.generate(2, exposure=1.0, covariates=x, count=100)

    Two rows: the effects of record with an interval that covers, and what the generators say,
    with the quantiles over their noise that the paper calls an interval and that are none.

    Args:
      data: from `jaxmed.mediation_data` or `jaxmed.from_frame`; concrete.
      key: seed (0 to 2^32 - 1, recorded in the result) or JAX key.
      config: of the training; `jaxmed.gahmn.improved()` if None.
      interval: "auto", "ols", "double_selection" or "refit", see `jaxmed.gahmn.gahmn`.
      nuisance: "splines" or "generator".
      n_seeds: trainings; 5 advised where the generators' own estimate is used.
      penalty: "given" in the configuration, or "path": chosen by held-out rows, 8 trainings more.
      arms: control and treated exposure; None for both values of a binary exposure and the
        quartiles of any other.
      min_rows: fewer rows are refused.
      level: of all intervals.
      checkpoint: folder that training is kept in and goes on from.
      source: what happened between the file and the data, for the report.
      progress: called with a sentence before each long step.
    Returns:
      GenerativeResult.
    Raises:
      ValueError: settings out of range; StoredStateError for another fit's checkpoint; ShapeError
        and InvalidDataError for the data.
    """
    seed, key = parse_key(key)
    check_level(level)
    if interval not in ("auto", "ols", "double_selection", "refit"):
        raise ValueError(
            f'interval must be "auto", "ols", "double_selection" or "refit", not {interval!r}'
        )
    if penalty not in ("given", "path"):
        raise ValueError(f'penalty must be "given" or "path", not {penalty!r}')
    if n_seeds < 1:
        raise ValueError(f"n_seeds must be at least 1, not {n_seeds}")
    config = improved() if config is None else config
    say = progress or (lambda sentence: None)
    check_rows(data, min_rows)
    rows = prepared(data, standardised=False)
    n, p = rows.data.mediators.shape
    say(f"training {n_seeds} pair(s) of generators on {p} mediators and {n} rows")
    details = train_generators(
        named_key(key, "training"), rows.data, config, n_seeds=n_seeds,
        penalty=penalty, arms=arms, directory=checkpoint, say=say,
    )  # fmt: skip
    say("effects of record")
    program = _record(interval, nuisance, level, p >= LARGE_FROM)
    estimate = jax.tree.map(np.asarray, program(named_key(key, "reported"), rows.data, details))
    say("counterfactuals")
    drawn = _simulation(named_key(key, "counterfactuals"), rows.data, details, level)
    own = _own(details, drawn)
    fits = {
        "gahmn": (
            f"GAHMN, {RECORD[interval_of(interval, rows.data, nuisance)]}",
            _fit(estimate, estimate.status),
        ),
        "gahmn_adversarial": (
            "GAHMN, generators alone",
            _fit(jax.tree.map(np.asarray, own), own.status),
        ),
    }
    table, mediators = [], []
    for name, (label, fit) in fits.items():
        row = {"method": name, "label": label} | effect_columns(fit)
        table.append(row | {"scale": "outcome", "status": fit.status, "reason": fit.reason})
        mediators.append(mediator_columns(name, fit, rows))
    kept = [rows.given.names.mediators[j] for j in rows.kept.kept]
    settings = {
        "seed": seed, "level": level, "interval": interval, "nuisance": nuisance,
        "n_seeds": n_seeds, "penalty": penalty,
    }  # fmt: skip
    document = _document(rows, config, details, table, source, settings)
    return GenerativeResult(
        document, stacked(mediators), details, tuple(kept), np.asarray(rows.data.covariates)
    )


def _fit(estimate: Estimate, status: Any) -> MethodFit:
    return MethodFit(estimate, math.nan, **status_fields(int(status)))


def _simulation(key: Key, data: MediationData, details: GahmnDetails, level: float) -> Effects:
    x = jnp.asarray(data.covariates)[:INDIVIDUALS]
    return simulation_interval(_contrasts(DRAWS, False)(key, details.fitted, x), level)


@functools.cache
def _contrasts(draws: int, shared_noise: bool) -> Callable[..., Counterfactuals]:
    return quick_jit(
        lambda key, fitted, x: counterfactuals(
            key, one_seed(fitted, 0), x, draws=draws, shared_noise=shared_noise, mediators=False
        )
    )


@functools.cache
def _record(interval: str, nuisance: str, level: float, large: bool) -> Callable[..., Estimate]:
    return quick_jit(
        lambda key, data, details: reported(key, data, details, interval, nuisance, level),
        optimised=large,
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


def _adversarial(details: GahmnDetails, simulated: Effects) -> Estimate:
    """The generators' own effects as an Estimate without standard errors.

    The simulation interval is of treated against control; here it is per unit of exposure.
    """
    found, width = details.adversarial, details.fitted.scale.arms.width
    nan = jnp.full_like(found.effects.direct, jnp.nan)
    none = jnp.full_like(found.alpha, jnp.nan)
    table = mediator_effects(
        Leg(found.alpha, none, nan), Leg(found.beta, none, nan),
        st.when(~details.fitted.scale.valid, st.CONSTANT_MEDIATOR),
    )  # fmt: skip
    table = dataclasses.replace(table, indirect=found.indirect)

    def per_unit(interval: Interval) -> Interval:
        return dataclasses.replace(
            interval, lower=interval.lower / width, upper=interval.upper / width
        )

    parts = ("direct", "indirect", "total")
    return Estimate(
        found.effects, Effects(nan, nan, nan),
        Effects(*(per_unit(getattr(simulated, part)) for part in parts)), table, found.selected,
        found.status, None,
    )  # fmt: skip


_own = quick_jit(_adversarial)


def _document(
    rows: Prepared, config: GahmnConfig, details: GahmnDetails, table: list[dict[str, Any]],
    source: DataReport | None, settings: dict[str, Any],
) -> dict[str, Any]:  # fmt: skip
    given, found, arms = rows.given.names, details.adversarial, details.fitted.scale.arms
    linear = linear_part(details.fitted)
    seeds = [
        {"direct": float(c), "indirect": float(i), **status_fields(int(code))}
        for c, i, code in zip(
            linear.direct, linear.indirect.sum(axis=1), found.seed_status, strict=True
        )
    ]
    sentences = [
        "The first row is the estimate to report: its interval is one of sampling. The second is "
        "the generators' own linear part; its interval holds quantiles over the generators' noise "
        "and says nothing about estimation error.",
        f"Exposure compared at {float(arms.control):.4g} (control) and {float(arms.treated):.4g} "
        "(treated); effects are per unit of exposure.",
    ]
    if details.path is not None:
        first, second = (float(value) for value in details.path.best)
        sentences.append(
            f"Penalty by held-out rows: {first:g} times the configured one for the mediators, "
            f"{second:g} times for the outcome."
        )
    if len(seeds) > 1:
        sentences.append(
            f"Standard deviation over {len(seeds)} trainings: direct effect "
            f"{float(found.seed_sd.direct):.3g}, indirect effect "
            f"{float(found.seed_sd.indirect):.3g}."
        )
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "software": software(str(rows.data.exposure.dtype)),
        "settings": {
            "methods": ["gahmn"], "mode": config.mode, "noise": config.noise,
            "mediator_steps": config.mediator.steps, "outcome_steps": config.outcome.steps,
            "exposure": given.exposure, "outcome": given.outcome,
            "covariates": list(given.covariates), **settings,
        },
        "data": data_block(rows, source),
        "choice": {"methods": ["gahmn"], "reason": "asked for", "sentences": sentences},
        "seeds": seeds,
        "table": table,
        "warnings": rows.warnings,
    }  # fmt: skip
