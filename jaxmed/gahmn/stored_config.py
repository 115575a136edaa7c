"""The form of generators.json: which configuration stored generators have."""

from typing import Any, get_args

from jaxmed.data.forms import Choice, Each, Fields, Flag, Maybe, Number, Text, Whole
from jaxmed.gahmn.config import (
    BlockConfig,
    Correlation,
    GahmnConfig,
    Loss,
    Metric,
    Mode,
    Noise,
)

__all__ = ["FACTS", "READABLE", "SCHEMA", "SCHEMA_VERSION", "config_from"]

SCHEMA, SCHEMA_VERSION = "jaxmed.gahmn.generators", 2
READABLE = (1, SCHEMA_VERSION)  # version 1 has no seal
_WIDTHS = Each(Whole(1, 10**6), most=100)
_RATE = Number(0)
_BLOCK = Fields(
    {
        "steps": Whole(1, 10**9),
        "batch": Whole(2, 10**9),
        "generator_rate": _RATE,
        "critic_rate": _RATE,
        "linear_rate": _RATE,
        "cosine": Flag(),
        "loss": Choice(get_args(Loss)),
        "metric": Choice(get_args(Metric)),
        "freeze": Maybe(Number(0, 1)),
        "average_from": Number(0, 1),
        "decay": Number(0, 1),
    },
    optional={"lam": _RATE, "penalty": _RATE},  # one of them: see `_block`
)
_CONFIG = Fields(
    {
        "mode": Choice(get_args(Mode)),
        "mediator": _BLOCK,
        "outcome": _BLOCK,
        "mediator_critic": Choice(("per_mediator", "dense")),
        "outcome_critic": Choice(("residual", "dense")),
        "residualise": Flag(),
        "warm_start": Flag(),
        "mean_loss": _RATE,
        "noise": Choice(get_args(Noise)),
        "correlation": Choice(get_args(Correlation)),
        "latent": Whole(1, 10**6),
        "hidden": _WIDTHS,
        "noise_inputs": Whole(1, 10**6),
        "critic_widths": _WIDTHS,
        "dense_mediator_critic": _WIDTHS,
        "mean_draws": Whole(1, 10**6),
        "precision": Choice(("float32", "data")),
    }
)
FACTS = Fields(
    {
        "schema": Text(),
        "schema_version": Whole(),
        "config": _CONFIG,
        "names": Fields({}, open=True),
    }
)


def config_from(values: dict[str, Any]) -> GahmnConfig:
    """The configuration of values that have their form.

    Raises:
      ValueError: values that do not go together.
    """
    parts = {name: _block(values[name]) for name in ("mediator", "outcome")}
    tuples = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
    given: dict[str, Any] = values | tuples | parts
    return GahmnConfig(**given)


def _block(values: dict[str, Any]) -> BlockConfig:
    """A block, whose lambda files had under the name of `penalty` before."""
    given = dict(values)
    if ("lam" in given) == ("penalty" in given):
        raise ValueError("lam is missing, or there under two names")
    lam = given.pop("lam" if "lam" in given else "penalty")
    return BlockConfig(**given, lam=lam)
