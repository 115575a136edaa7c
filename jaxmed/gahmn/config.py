"""What a GAHMN fit is made of: sizes, losses, steps, as frozen configurations."""

import dataclasses
from collections.abc import Sequence
from typing import Literal, get_args

from jaxmed.budget import check_count, check_fits
from jaxmed.data.mediation_data import MediationData
from jaxmed.deprecations import renamed_fields
from jaxmed.estimands.generator import Trained
from jaxmed.typing import Key

__all__ = ["BlockConfig", "GahmnConfig", "Mode", "faithful", "improved"]

Mode = Literal["improved", "faithful"]
Loss = Literal["ns", "sat"]
Metric = Literal["adam", "plain"]
Noise = Literal["printed", "location_scale"]
Correlation = Literal["empirical", "neighbour", "none"]
WINDOW = 50  # steps of one entry of a learning curve
BYTES_A_WEIGHT = 32  # value, gradient, two moments, average, and what a step copies
BYTES_A_STEP = 1  # of the learning curves
CHUNK = 10  # windows between two looks at the training (collapse, checkpoint)


def _check_widths(layers: Sequence[tuple[str, int]]) -> None:
    """Refuses named widths of layers in their order whose weights memory cannot hold."""
    before = 1
    for name, width in layers:
        check_count(name, width, 1, BYTES_A_WEIGHT * before)
        before = int(width)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        raise ValueError(f"{name} must be one of {allowed}, not {value!r}")


@renamed_fields("jaxmed.gahmn.BlockConfig", penalty="lam")
@dataclasses.dataclass(frozen=True)
class BlockConfig:
    """Training of one generator with its critic.

    Attributes:
      steps: a multiple of 50.
      batch: rows of a minibatch, drawn with replacement.
      generator_rate: Adam's rate of the generator; the rate of the linear part is this times
        `linear_rate`.
      critic_rate: Adam's rate of the critic, constant.
      linear_rate: multiplier of the rate of a, b and c.
      cosine: the generator's rate falls to a hundredth along a cosine.
      loss: "ns" (non-saturating) or "sat", min log(1 - D), as printed.
      lam: penalty of the l1 norm. With metric "adam" in units of the gradient of a loss that is
        a mean over p outputs, so that the value here is divided by p; with "plain" a
        signal-to-noise cut in (0, 1).
      metric: of the proximal step: "adam" thresholds at rate * lambda / (sqrt(v) + eps), the prox
        in Adam's metric; "plain" at rate * lambda, as printed.
      freeze: share of the steps after which the support stays as it is and the penalty ends; None
        never.
      average_from: share of the steps after which parameters are averaged.
      decay: of that exponential average.
    """

    steps: int = 3000
    batch: int = 100
    generator_rate: float = 1e-3
    critic_rate: float = 2e-3
    linear_rate: float = 1.0
    cosine: bool = True
    loss: Loss = "ns"
    lam: float = 0.1
    metric: Metric = "adam"
    freeze: float | None = 0.5
    average_from: float = 0.6
    decay: float = 0.999

    def __post_init__(self) -> None:
        """Raises ValueError for values outside their range."""
        check_fits("steps", self.steps, BYTES_A_STEP)
        check_count("batch", self.batch, least=2)
        if self.steps < WINDOW or self.steps % WINDOW:
            raise ValueError(f"steps must be a positive multiple of {WINDOW}, not {self.steps}")
        for name in ("generator_rate", "critic_rate", "linear_rate"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, not {getattr(self, name)}")
        if self.lam < 0:
            raise ValueError(f"lam must be 0 or more, not {self.lam}")
        _one_of("loss", self.loss, get_args(Loss))
        _one_of("metric", self.metric, get_args(Metric))
        for name in ("freeze", "average_from"):
            share = getattr(self, name)
            if share is not None and not 0 <= share <= 1:
                raise ValueError(f"{name} is a share of the steps in [0, 1], not {share}")
        if not 0 <= self.decay < 1:
            raise ValueError(f"decay must lie in [0, 1), not {self.decay}")


@dataclasses.dataclass(frozen=True)
class GahmnConfig:
    """A whole fit: mediator block, then outcome block. Made by `improved()` or `faithful()`.

    Every ingredient that is not in the paper has its own switch, so that what it adds can be
    measured.

    Attributes:
      mode: where the defaults come from; a name in tables, it switches nothing.
      mediator: training of the mediator block.
      outcome: training of the outcome block.
      mediator_critic: "per_mediator", p critics on one trunk with logits quadratic in the
        mediator, or "dense", one network on all mediators with p outputs, as printed.
      outcome_critic: "residual", on outcome minus linear part, or "dense", as printed.
      residualise: the outcome block sees mediators minus the generator's mean without exposure.
      warm_start: b and c start at a lasso with refit, and the support of b is fixed there.
      mean_loss: weight of the conditional-mean loss beside the outcome generator's; a heavy one
        holds the direct effect at the regression it starts at.
      noise: of the mediator generator: "printed", through the latent features, or
        "location_scale", whose variance may depend on the exposure.
      correlation: of location-scale noise across mediators: "empirical", of standardised
        residuals; "neighbour", a filter along the mediator axis; "none".
      latent: features d_L of either generator.
      hidden: widths of a generator before its features.
      noise_inputs: standard normal inputs of a generator.
      critic_widths: of the critics' trunks.
      mean_draws: of the noise, behind a printed generator's conditional mean.
      precision: of the training: "float32", or "data" for that of the data.
    """

    mode: Mode = "improved"
    mediator: BlockConfig = BlockConfig(linear_rate=3.0)
    outcome: BlockConfig = BlockConfig(critic_rate=1e-3, lam=0.0, freeze=0.0, average_from=0.5)
    mediator_critic: Literal["per_mediator", "dense"] = "per_mediator"
    outcome_critic: Literal["residual", "dense"] = "residual"
    residualise: bool = True
    warm_start: bool = True
    mean_loss: float = 4.0
    noise: Noise = "printed"
    correlation: Correlation = "empirical"
    latent: int = 32
    hidden: tuple[int, ...] = (64,)
    noise_inputs: int = 10
    critic_widths: tuple[int, ...] = (64, 64)
    dense_mediator_critic: tuple[int, ...] = (256,)
    mean_draws: int = 32
    precision: Literal["float32", "data"] = "float32"

    def __post_init__(self) -> None:
        """Raises ValueError for unknown names and sizes below 1."""
        _one_of("mode", self.mode, get_args(Mode))
        _one_of("mediator_critic", self.mediator_critic, ("per_mediator", "dense"))
        _one_of("outcome_critic", self.outcome_critic, ("residual", "dense"))
        _one_of("noise", self.noise, get_args(Noise))
        _one_of("correlation", self.correlation, get_args(Correlation))
        _one_of("precision", self.precision, ("float32", "data"))
        check_count("mean_draws", self.mean_draws)
        hidden = [("hidden", width) for width in self.hidden]
        _check_widths([("noise_inputs", self.noise_inputs), *hidden, ("latent", self.latent)])
        for name in ("critic_widths", "dense_mediator_critic"):
            widths = getattr(self, name)
            if not widths:
                raise ValueError(f"{name} must hold at least one width")
            _check_widths([(name, width) for width in widths])
        if self.mean_loss < 0:
            raise ValueError(f"mean_loss must be 0 or more, not {self.mean_loss}")

    def with_steps(self, mediator: int, outcome: int | None = None) -> "GahmnConfig":
        """The same with other numbers of steps, the second the first if None."""
        return dataclasses.replace(
            self,
            mediator=dataclasses.replace(self.mediator, steps=mediator),
            outcome=dataclasses.replace(self.outcome, steps=outcome or mediator),
        )

    def trained(self, key: Key, data: MediationData, seeds: int = 1) -> Trained:
        """Generators for an estimand, see `jaxmed.estimands.Generator` and `seeds.train_seeds`."""
        from jaxmed.gahmn.seeds import train_seeds  # which needs configurations

        fitted, status = train_seeds(key, data, self, seeds)
        return dataclasses.replace(fitted.trained(key, data, seeds), status=status)


def improved(**changes: object) -> GahmnConfig:
    """The default: critic of every mediator, residualised mediators, warm start, frozen support.

    Args:
      **changes: fields of GahmnConfig to replace.
    Source: specification of GAHMN, sections 3 and 8.
    """
    return GahmnConfig(**changes)  # pyright: ignore[reportArgumentType]


def faithful(**changes: object) -> GahmnConfig:
    """As printed: dense critics, plain thresholds, no warm start; the wide D_M that trains at all.

    Args:
      **changes: fields of GahmnConfig to replace; `loss="sat"` of a block is the printed loss,
        with which the exposure effect stays 0 at many mediators.
    Source: Zhang et al. (2026); widths, rates and lambdas are not printed, these are the ones
      found to train (specification of GAHMN, section 8).
    """
    given: dict[str, object] = {
        "mode": "faithful",
        "mediator": BlockConfig(
            steps=6000,
            critic_rate=1e-3,
            cosine=False,
            metric="plain",
            freeze=None,
            average_from=0.5,
        ),
        "outcome": BlockConfig(
            steps=4000,
            critic_rate=2e-4,
            cosine=False,
            metric="plain",
            freeze=None,
            average_from=0.5,
        ),
        "mediator_critic": "dense",
        "outcome_critic": "dense",
        "residualise": False,
        "warm_start": False,
        "mean_loss": 0.0,
    }
    return GahmnConfig(**(given | changes))  # pyright: ignore[reportArgumentType]
