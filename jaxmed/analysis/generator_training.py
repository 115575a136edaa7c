"""Long training from the host: progress, checkpoints, and the same weights after an interruption.

The programs are those of `fitting`, vectorised over seeds, a chunk of 500 steps at a time. A run
that was killed goes on from its last chunk; as step t draws from fold_in(key, t) and chunks are the
same programs, it ends with identical weights.
"""

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.fit import LARGE_FROM
from jaxmed.analysis.generator_checkpoint import Checkpoint, identity_of
from jaxmed.compile import quick_jit
from jaxmed.data.mediation_data import MediationData
from jaxmed.gahmn.adversarial import GahmnDetails, details_of
from jaxmed.gahmn.collapse import Facts, curve_status, facts_of, judged
from jaxmed.gahmn.config import CHUNK, WINDOW, GahmnConfig
from jaxmed.gahmn.fitting import (
    Penalties,
    SeedFit,
    Stage,
    blocks_of,
    generators,
    penalties,
    start_mediators,
    start_outcome,
)
from jaxmed.gahmn.penalty_path import MULTIPLES, PathFit, PenaltyPath, path_fit, path_of
from jaxmed.gahmn.scaling import Scaled, training_rows
from jaxmed.gahmn.training import BlockState, Curve, train
from jaxmed.typing import Array, Key

__all__ = ["train_generators"]

STAGES = ("mediators", "outcome")
Say = Callable[[str], None]


def train_generators(
    key: Key,
    data: MediationData,
    config: GahmnConfig,
    *,
    n_seeds: int = 1,
    tuning: str = "given",
    arms: tuple[float, float] | None = None,
    directory: str | Path | None = None,
    say: Say | None = None,
) -> GahmnDetails:
    """Trains both blocks for all seeds, chunk by chunk.

    Args:
      key: consumed.
      data: concrete rows.
      config: of the fit.
      n_seeds: trainings, vectorised over seeds.
      tuning: "given" or "path", see `gahmn`.
      arms: control and treated exposure, see `gahmn`.
      directory: of the checkpoint; a run that stopped there goes on. None keeps nothing.
      say: told of the progress after every chunk.
    Returns:
      GahmnDetails with concrete arrays.
    Raises:
      StoredStateError: the directory holds another fit's training.
    """
    tell = say or (lambda sentence: None)
    folder = None if directory is None else Path(directory)
    scale, ready = training_rows(data, config.precision, arms)
    weights, path, own = penalties(config, ready.mediators.shape[1]), None, None
    if tuning == "path":
        key, own = jax.random.split(key)
    keys = jax.random.split(key, n_seeds)
    saved = Checkpoint(folder, identity_of(keys, ready, config, tuning))
    programs = _programs(config, ready.mediators.shape[1] >= LARGE_FROM)
    facts = programs.facts(ready)
    place = saved.place()
    if own is not None:
        path = _path(own, ready, weights, saved, programs, tell)
        weights = path.chosen
    run = _Run(saved, programs, config, facts, weights, tell)

    dtype = ready.outcome.dtype
    resumed, done = place.get("stage", ""), place.get("windows", 0)
    like = jax.eval_shape(programs.start_shapes, keys, ready)
    if resumed == STAGES[1]:
        stage_like = jax.eval_shape(programs.between_shapes, keys, ready, like)
        whole = config.mediator.steps // WINDOW
        template = (
            stage_like.state,
            _curve_like(n_seeds, done, dtype),
            (like, _curve_like(n_seeds, whole, dtype)),
        )
        second, second_curve, (state, curve) = saved.read(place, template)
        tell(f"{STAGES[1]}: going on after step {done * WINDOW}")
        stage = programs.between(keys, ready, state)
    else:
        if resumed:
            template = (like, _curve_like(n_seeds, done, dtype), ())
            state, curve, _ = saved.read(place, template)
            tell(f"{STAGES[0]}: going on after step {done * WINDOW}")
        else:
            state, curve = programs.start(keys, ready), None
        state, curve = run.block(STAGES[0], ready, state, done, curve, ())
        tell("residuals and warm start")
        stage = programs.between(keys, ready, state)
        second, second_curve, done = stage.state, None, 0
    final, second_curve = run.block(
        STAGES[1], stage.data, second, done, second_curve, (state, curve)
    )
    fits, codes = programs.finish(keys, ready, state, stage, final, curve, second_curve, facts)
    return programs.details(scale, fits, codes, path)


def _path(
    key: Key, ready: Scaled, base: Penalties, saved: Checkpoint, programs: "_Programs", tell: Say
) -> PenaltyPath:
    """The penalty path, fit by fit; those that the folder holds are not trained again."""
    fits = []
    for number, multiple in enumerate(MULTIPLES):
        given = (key, ready, base, jnp.asarray(multiple, base.mediator.dtype))
        like = jax.eval_shape(programs.path_shapes, *given)
        fit = saved.part(f"penalty-{number}", like)
        if fit is None:
            tell(f"penalty: training {number + 1} of {len(MULTIPLES)}, times {multiple:g}")
            fit = programs.path_fit(*given)
            saved.keep(f"penalty-{number}", fit)
        fits.append(fit)
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *fits)
    path = programs.path_of(key, ready, base, stacked)
    tell(f"penalty: times {path.best[0]:g} for the mediators, {path.best[1]:g} for the outcome")
    return path


@dataclasses.dataclass(frozen=True)
class _Programs:
    """Compiled once for a configuration, and again for every shape of data."""

    facts: Callable[..., Facts]
    start: Callable[..., BlockState]
    chunks: dict[str, Callable[..., tuple[BlockState, Curve]]]
    between: Callable[..., Stage]
    finish: Callable[..., Any]
    details: Callable[..., GahmnDetails]
    path_fit: Callable[..., PathFit]
    path_of: Callable[..., PenaltyPath]
    # The functions themselves, for the shapes of what they return.
    start_shapes: Callable[..., BlockState]
    between_shapes: Callable[..., Stage]
    path_shapes: Callable[..., PathFit]


@functools.cache
def _programs(config: GahmnConfig, large: bool) -> _Programs:
    def start(keys: Key, ready: Scaled) -> BlockState:
        return jax.vmap(lambda k: start_mediators(k, ready, config))(keys)

    def chunk(stage: str) -> Callable[..., tuple[BlockState, Curve]]:
        def run(rows: Scaled, state: BlockState, penalty: Array) -> tuple[BlockState, Curve]:
            # The outcome block of every seed sees mediators of its own.
            own = jax.tree.map(lambda _: None if stage == STAGES[0] else 0, rows)
            one = rows if stage == STAGES[0] else jax.tree.map(lambda leaf: leaf[0], rows)
            which = blocks_of(config, one)[STAGES.index(stage)]
            windows = chunk_of(which.config.steps // WINDOW)
            return jax.vmap(lambda r, s: train(which, r, penalty, s, windows), in_axes=(own, 0))(
                rows, state
            )

        return quick_jit(run, optimised=True)

    def between(keys: Key, ready: Scaled, state: BlockState) -> Stage:
        return jax.vmap(lambda k, s: start_outcome(k, ready, config, s))(keys, state)

    def finish(keys: Key, ready: Scaled, *rest: Any) -> Any:
        *parts, facts = rest

        def one(k: Key, s: Any, t: Any, f: Any, first: Curve, second: Curve) -> Any:
            left = generators(k, ready, config, s, t, f)
            fit = SeedFit(left, first, second, t.data.mediators, t.status)
            return judged(k, ready, config, fit, facts)

        return jax.vmap(one)(keys, *parts)

    def fit_of_path(key: Key, ready: Scaled, base: Penalties, multiple: Array) -> PathFit:
        return path_fit(key, ready, config, base, multiple)

    return _Programs(
        quick_jit(facts_of),
        quick_jit(start),
        {stage: chunk(stage) for stage in STAGES},
        quick_jit(between, optimised=large),
        quick_jit(finish),
        quick_jit(lambda scale, fits, codes, path: details_of(scale, config, fits, codes, path)),
        quick_jit(fit_of_path, optimised=True),
        quick_jit(path_of),
        start,
        between,
        fit_of_path,
    )


def chunk_of(windows: int) -> int:
    """Windows of one chunk: one length for a whole block, so that it is one program."""
    return max(count for count in range(1, CHUNK + 1) if windows % count == 0)


@dataclasses.dataclass(frozen=True)
class _Run:
    """What both blocks of one training share."""

    saved: Checkpoint
    programs: _Programs
    config: GahmnConfig
    facts: Facts
    weights: Penalties
    tell: Say

    def block(
        self,
        stage: str,
        rows: Scaled,
        state: BlockState,
        done: int,
        curve: Curve | None,
        others: Any,
    ) -> tuple[BlockState, Curve]:
        """The rest of one block, chunk by chunk."""
        first = stage == STAGES[0]
        block = self.config.mediator if first else self.config.outcome
        penalty = self.weights.mediator if first else self.weights.outcome
        total = block.steps // WINDOW
        while done < total:
            state, new = self.programs.chunks[stage](rows, state, penalty)
            whole = new if curve is None else _joined(curve, new)
            curve, done = whole, done + chunk_of(total)
            self.saved.write(stage, done, (state, whole, others))
            self.report(stage, done, total, whole)
        assert curve is not None
        return state, curve

    def report(self, stage: str, done: int, total: int, curve: Curve) -> None:
        """A sentence, and another where the critic has collapsed."""
        loss = float(jnp.mean(curve.critic[:, -1]))
        self.tell(f"{stage}: step {done * WINDOW} of {total * WINDOW}, critic loss {loss:.3f}")
        if stage == STAGES[0]:
            for seed in range(curve.critic.shape[0]):
                one = Curve(*(np.asarray(part)[seed] for part in curve))
                code = int(curve_status(one, self.facts))
                if code != st.OK:
                    self.tell(st.message(code))


def _joined(first: Curve, second: Curve) -> Curve:
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), first, second)


def _curve_like(seeds: int, windows: int, dtype: Any) -> Any:
    like: Any = jax.ShapeDtypeStruct((seeds, windows), dtype)
    return Curve(like, like, like, like)
