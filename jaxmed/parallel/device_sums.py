"""Moments of blocks of rows on an accelerator, added up in two numbers of its precision each."""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.data.mediation_data import MediationData, Names
from jaxmed.linalg import products
from jaxmed.linalg.safe import divide
from jaxmed.statistics.cross_moments import CrossMoments
from jaxmed.statistics.moment_sums import MomentSums
from jaxmed.typing import Array, Device

__all__ = ["DeviceSums"]


@dataclasses.dataclass
class DeviceSums:
    """What `MomentSums` does, with the products on a device; same use, same result to rounding.

    A block travels once, as it was read; it is centred and multiplied there in its own dtype while
    the next one is read. Shorter blocks are filled up with rows of weight zero, so that one
    program serves all. float32 sums alone would lose a digit with every tenfold number of blocks:
    each is kept as the sum of two numbers.
    """

    host: MomentSums  # counts and means; its `within` is not used
    high: Array  # [d, d] on the device
    low: Array  # [d, d]
    device: Device
    block_rows: int
    sent: tuple[Any, float] | None = None  # mean and weight of the block that is on its way

    @classmethod
    def zero(cls, d: int, dtype: Any, block_rows: int, device: Device) -> "DeviceSums":
        """Sums over no rows."""
        high, low = (jax.device_put(np.zeros((d, d), dtype), device) for _ in range(2))
        return cls(MomentSums.zero(d), high, low, device, block_rows)

    def add(self, data: MediationData) -> None:
        """Sends a block of rows off; it is waited for when the next one has been sent."""
        x: Any = data.mediators
        if not len(x):
            return
        others: Any = np.column_stack([data.covariates, data.exposure, data.outcome])
        w = np.ones(len(x)) if data.weights is None else np.asarray(data.weights, np.float64)
        total = float(w.sum())
        # The few other columns are centred in float64 here, and rounded afterwards.
        mean = w @ others / total
        fill = self.block_rows - len(x)
        rows = [
            np.pad(values, [(0, fill)] + [(0, 0)] * (values.ndim - 1)).astype(x.dtype, copy=False)
            for values in (others - mean, x, w)
        ]
        self.high, self.low, of_mediators = _program()(
            self.high, self.low, *jax.device_put(rows, self.device)
        )
        self.host.weights += (float(np.count_nonzero(w)), total, float(w @ w))
        self._settle()
        self.sent = ((mean, of_mediators), total)

    def _settle(self) -> None:
        """Takes over the mean of the block sent before."""
        if self.sent is not None:
            (mean, of_mediators), total = self.sent
            self.host.keep_mean(np.concatenate([mean, np.asarray(of_mediators, "f8")]), total)
            self.sent = None

    def on_host(self) -> MomentSums:
        """The same sums in float64."""
        self._settle()
        within = np.asarray(self.high, np.float64) + np.asarray(self.low, np.float64)
        return dataclasses.replace(self.host, within=self.host.within + within)

    def moments(self, num_covariates: int, names: Names) -> CrossMoments:
        """See `MomentSums.moments`."""
        return self.on_host().moments(num_covariates, names)

    def arrays(self) -> dict[str, np.ndarray]:
        """The state, for a file."""
        self._settle()
        parts = {"high": np.asarray(self.high), "low": np.asarray(self.low)}
        return self.host.arrays() | parts

    def restored(self, arrays: Mapping[str, np.ndarray]) -> "DeviceSums":
        """These sums with the state of `arrays()`."""
        values = dict(arrays)
        high, low = (jax.device_put(values.pop(name), self.device) for name in ("high", "low"))
        return dataclasses.replace(self, host=self.host.restored(values), high=high, low=low)


@functools.cache
def _program() -> Any:
    def step(
        high: Array, low: Array, others: Array, x: Array, w: Array
    ) -> tuple[Array, Array, Array]:
        mean = divide(products.matmul(w[None, :], x)[0], jnp.sum(w))
        root = jnp.sqrt(w)[:, None]
        block = products.gram(root * jnp.concatenate([others, x - mean], axis=1))
        # Sum of two numbers without rounding error (Knuth): total + lost = high + block.
        total = high + block
        back = total - high
        lost = (high - (total - back)) + (block - back)
        return total, low + lost, mean

    return jax.jit(step, donate_argnums=(0, 1))
