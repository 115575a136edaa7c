"""Long training from the host: progress, checkpoints, and the same weights after an interruption.

The programs are those of `fitting`, vectorised over seeds, a chunk of 500 steps at a time. A run
that was killed goes on from its last chunk; as step t draws from fold_in(key, t) and chunks are the
same programs, it ends with identical weights.
"""

import dataclasses
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed import status as st
from jaxmed.analysis.compile import quick_jit
from jaxmed.analysis.fit import LARGE_FROM
from jaxmed.data.atomic import atomic_write
from jaxmed.data.mediation_data import MediationData
from jaxmed.gahmn.collapse import collapse, curve_status, facts_of
from jaxmed.gahmn.config import CHUNK, WINDOW, GahmnConfig
from jaxmed.gahmn.estimator import GahmnDetails, details_of
from jaxmed.gahmn.fitting import (
    SeedFit,
    blocks_of,
    generators,
    penalties,
    start_mediators,
    start_outcome,
)
from jaxmed.gahmn.scaling import Arms, Scaled, scale_of, scaled
from jaxmed.gahmn.storage import StoredStateError, read_tree, write_tree
from jaxmed.gahmn.training import BlockState, Curve, train
from jaxmed.typing import Key
from jaxmed.version import __version__

__all__ = ["train_generators"]

STAGES = ("mediators", "outcome")
Say = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class _Checkpoint:
    """A folder with the last complete chunk: `state.json` names the file of its arrays."""

    folder: Path | None
    identity: str

    def write(self, stage: str, windows: int, tree: Any) -> None:
        if self.folder is None:
            return
        name = f"state-{stage}-{windows}.npz"
        write_tree(self.folder / name, tree)
        place = {"identity": self.identity, "stage": stage, "windows": windows, "file": name}
        atomic_write(self.folder / "state.json", json.dumps(place) + "\n", durable=True)
        for old in self.folder.glob("state-*.npz"):
            if old.name != name:
                old.unlink()

    def place(self) -> dict[str, Any] | None:
        """Where the last run stopped; None at the beginning.

        Raises:
          StoredStateError: the folder belongs to another fit, or its record is damaged.
        """
        path = None if self.folder is None else self.folder / "state.json"
        if path is None or not path.exists():
            return None
        try:
            place = json.loads(path.read_text())
        except ValueError as error:
            raise StoredStateError(f"{path} is damaged: delete the folder") from error
        if place.get("identity") != self.identity:
            raise StoredStateError(
                f"{path.parent} holds the training of other data, another seed, other settings or "
                "another version: choose another folder, or delete this one"
            )
        return place

    def read(self, place: dict[str, Any], template: Any) -> Any:
        assert self.folder is not None
        return read_tree(self.folder / place["file"], template)


def train_generators(
    key: Key,
    data: MediationData,
    config: GahmnConfig,
    *,
    n_seeds: int = 1,
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
    scale = scale_of(data, None if arms is None else Arms(*map(jnp.asarray, arms)))
    dtype = jnp.dtype(jnp.float32) if config.precision == "float32" else scale.outcome.dtype
    ready = scaled(data, scale, dtype)
    keys = jax.random.split(key, n_seeds)
    saved = _Checkpoint(folder, _identity(keys, ready, config))
    place = saved.place()
    facts = quick_jit(facts_of)(ready)
    weights = penalties(config, ready.mediators.shape[1])

    def report(stage: str, done: int, total: int, curve: Curve) -> None:
        loss = float(jnp.mean(curve.critic[:, -1]))
        tell(f"{stage}: step {done * WINDOW} of {total * WINDOW}, critic loss {loss:.3f}")
        if stage == STAGES[0]:
            for code in np.unique(jax.vmap(lambda c: curve_status(c, facts))(curve)):
                if code != st.OK:
                    tell(st.message(int(code)))

    def block(
        stage: str, state: BlockState, penalty: Any, rows: Scaled, per_seed: bool,
        done: int, curve: Curve | None, others: Any,
    ) -> tuple[BlockState, Curve]:  # fmt: skip
        which = blocks_of(config, ready)[STAGES.index(stage)]
        total = which.config.steps // WINDOW
        axes = _axes(rows, per_seed)

        # One length of chunk for the whole block: one program.
        count = max(c for c in range(1, CHUNK + 1) if total % c == 0)

        def chunk(rows: Scaled, state: BlockState) -> tuple[BlockState, Curve]:
            return jax.vmap(lambda r, s: train(which, r, penalty, s, count), in_axes=(axes, 0))(
                rows, state
            )

        program = quick_jit(chunk, optimised=True)
        while done < total:
            state, new = program(rows, state)
            whole = new if curve is None else _joined(curve, new)
            curve, done = whole, done + count
            saved.write(stage, done, (state, whole, others))
            report(stage, done, total, whole)
        assert curve is not None
        return state, curve

    start = jax.vmap(lambda k: start_mediators(k, ready, config))
    resumed = place is not None and place["stage"] == STAGES[1]
    first_start = jax.eval_shape(start, keys) if place is not None else quick_jit(start)(keys)
    if place is None:
        state, curve = block(STAGES[0], first_start, weights.mediator, ready, False, 0, None, ())
    elif not resumed:
        template = (first_start, _curve_like(n_seeds, place["windows"], dtype), ())
        state, curve, _ = saved.read(place, template)
        tell(f"{STAGES[0]}: going on after step {place['windows'] * WINDOW}")
        state, curve = block(
            STAGES[0], state, weights.mediator, ready, False, place["windows"], curve, ()
        )
    else:
        state = curve = None
    between = jax.vmap(lambda k, s: start_outcome(k, ready, config, s))
    warm = quick_jit(between, optimised=ready.mediators.shape[1] >= LARGE_FROM)
    whole = config.mediator.steps // WINDOW
    if resumed:
        assert place is not None
        stage_like = jax.eval_shape(between, keys, first_start)
        template = (
            stage_like.state, _curve_like(n_seeds, place["windows"], dtype),
            (first_start, _curve_like(n_seeds, whole, dtype)),
        )  # fmt: skip
        second, second_curve, (state, curve) = saved.read(place, template)
        tell(f"{STAGES[1]}: going on after step {place['windows'] * WINDOW}")
        stage, done = warm(keys, state), place["windows"]
    else:
        tell("residuals and warm start")
        stage = warm(keys, state)
        second, second_curve, done = stage.state, None, 0
    assert state is not None and curve is not None
    final, second_curve = block(
        STAGES[1], second, weights.outcome, stage.data, True, done, second_curve, (state, curve)
    )

    def finish(k: Key, s: Any, t: Any, f: Any, one: Curve, two: Curve) -> tuple[SeedFit, Any]:
        left = generators(k, ready, config, s, t, f)
        fit = SeedFit(left, one, two, t.data.mediators, t.status)
        code = collapse(jax.random.fold_in(k, 0), ready, config, fit, facts)
        return dataclasses.replace(fit, seen=None), code

    fits, codes = quick_jit(jax.vmap(finish))(keys, state, stage, final, curve, second_curve)
    return quick_jit(lambda f, c: details_of(scale, config, f, c, None))(fits, codes)


def _axes(rows: Scaled, per_seed: bool) -> Any:
    """Axes of seeds: the outcome block of every seed sees mediators of its own."""
    axis = 0 if per_seed else None
    return jax.tree.map(lambda _: axis, rows)


def _joined(first: Curve, second: Curve) -> Curve:
    return jax.tree.map(lambda a, b: jnp.concatenate([a, b], axis=1), first, second)


def _curve_like(seeds: int, windows: int, dtype: Any) -> Any:
    like: Any = jax.ShapeDtypeStruct((seeds, windows), dtype)
    return Curve(like, like, like, like)


def _identity(keys: Key, data: Scaled, config: GahmnConfig) -> str:
    """A hash of everything that the weights depend on, the machine apart."""
    digest = hashlib.sha256()
    for part in (repr(config), __version__, jax.__version__, jax.default_backend()):
        digest.update(part.encode())
    digest.update(np.asarray(jax.random.key_data(keys)).tobytes())
    for leaf in jax.tree.leaves(data):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
