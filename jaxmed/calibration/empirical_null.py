"""Mean and standard deviation of the null among normal scores of which a few are signals."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.linalg.safe import divide, sqrt
from jaxmed.typing import Array, pytree

FREQUENCY_STEP = 0.005
FREQUENCIES = 1000
DECAY = 0.1  # the frequency is the first at which |phi| <= m^-DECAY
NEWTON_STEPS = 100
QUARTILE = 0.6744897501960817


@pytree
class NormalNull:
    """Normal null of z-scores; scalars."""

    mean: Array
    sd: Array
    found: Array  # bool: the two exist


def fourier_null(z: Array, present: Array) -> NormalNull:
    """Mean and sd of the null from the characteristic function of z [m] where it has decayed.

    Source: Jin and Cai (2007), with |phi(t)| = m^-.1 searched in steps of .005 up to 5.
    """
    count = jnp.sum(present).astype(z.dtype)
    z = jnp.where(present, z, 0)
    level = count ** (-DECAY)

    def mean(values: Array) -> Array:
        return jnp.sum(jnp.where(present, values, 0)) / count

    turn, lift = jnp.cos(FREQUENCY_STEP * z), jnp.sin(FREQUENCY_STEP * z)

    def early(state: tuple[Array, Array, Array]) -> Array:
        step, cosine, sine = state
        size = sqrt(mean(cosine) ** 2 + mean(sine) ** 2)
        return (step <= FREQUENCIES) & ~(size <= level)

    def rotate(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        step, cosine, sine = state
        return step + 1, cosine * turn - sine * lift, sine * turn + cosine * lift

    step = jax.lax.while_loop(early, rotate, (jnp.ones((), jnp.int32), turn, lift))[0]
    t = step.astype(z.dtype) * FREQUENCY_STEP
    cosine, sine = jnp.cos(t * z), jnp.sin(t * z)
    real, imaginary = mean(cosine), mean(sine)
    real_slope, imaginary_slope = -mean(z * sine), mean(z * cosine)
    square = real**2 + imaginary**2
    variance = -divide(real * real_slope + imaginary * imaginary_slope, t * square, jnp.nan)
    centre = -divide(real_slope * imaginary - imaginary_slope * real, square, jnp.nan)
    found = (step <= FREQUENCIES) & (variance > 0) & jnp.isfinite(centre)
    return NormalNull(
        jnp.where(found, centre, jnp.nan), jnp.sqrt(jnp.where(found, variance, jnp.nan)), found
    )


def truncated_normal_null(z: Array, present: Array) -> NormalNull:
    """Maximum likelihood of a normal truncated to an interval around the centre of z [m].

    The interval is the median +- b sd, b = 4.3 m^(-.26 / log 10) and the sd from the quartiles,
    then once more around the first estimates.
    Source: Efron (2004, 2007), nulltype "MLE".
    """
    count = jnp.sum(present).astype(z.dtype)
    ordered = jnp.sort(jnp.where(present, z, jnp.inf))
    quartiles = [_quantile(ordered, count, share) for share in (0.25, 0.5, 0.75)]
    width = jnp.where(count > 500_000, 1.0, 4.3 * jnp.exp(-0.26 * jnp.log10(count)))
    first = NormalNull(
        quartiles[1], (quartiles[2] - quartiles[0]) / (2 * QUARTILE), jnp.asarray(True)
    )
    fit = _truncated(z, present, first, width)
    return _truncated(z, present, fit, width)


def _quantile(ordered: Array, count: Array, share: float) -> Array:
    place = (count - 1) * share
    low = jnp.floor(place).astype(jnp.int32)
    part = place - low.astype(place.dtype)
    high = jnp.minimum(low + 1, ordered.shape[0] - 1)
    above = jnp.where(part > 0, ordered[high], ordered[low])
    return ordered[low] + part * (above - ordered[low])


def _truncated(z: Array, present: Array, start: NormalNull, width: Array) -> NormalNull:
    """Newton's method in the natural parameters, relative to the current normal."""
    low, high = start.mean - width * start.sd, start.mean + width * start.sd
    inside = present & (z >= low) & (z <= high)
    count = jnp.sum(inside).astype(z.dtype)
    centred = jnp.where(inside, z - start.mean, 0)
    first = divide(jnp.sum(centred), count, jnp.nan)
    second = divide(jnp.sum(centred**2), count, jnp.nan)
    tolerance = 100 * jnp.finfo(z.dtype).eps

    def moments(a: Array, b: Array) -> tuple[Array, ...]:
        mass = jax.scipy.special.ndtr(b) - jax.scipy.special.ndtr(a)
        at_a, at_b = (jnp.exp(-x * x / 2) / np.sqrt(2 * np.pi) / mass for x in (a, b))
        one = at_a - at_b
        two = 1 + a * at_a - b * at_b
        three = 2 * one + a**2 * at_a - b**2 * at_b
        four = 3 * two + a**3 * at_a - b**3 * at_b
        return one, two, three, four

    def body(carry: tuple[Array, Array, Array, Array]) -> tuple[Array, Array, Array, Array]:
        shift, sd, step, _ = carry
        edge = width * start.sd
        one, two, three, four = moments((-edge - shift) / sd, (edge - shift) / sd)
        u1 = (first - shift) / sd
        u2 = (second - 2 * shift * first + shift**2) / sd**2
        g1, g2 = u1 - one, u2 - two
        h11, h12, h22 = two - one**2, three - one * two, four - two**2
        determinant = h11 * h22 - h12**2
        d1 = divide(h22 * g1 - h12 * g2, determinant, jnp.nan)
        d2 = divide(h11 * g2 - h12 * g1, determinant, jnp.nan)
        # The precision 1 - 2 d2 must stay positive, the mean within an sd.
        damp = 1 / jnp.maximum(1, jnp.maximum(4 * jnp.abs(d2), jnp.abs(d1)))
        d1, d2 = damp * d1, damp * d2
        precision = 1 - 2 * d2
        new = shift + sd * d1 / precision
        return new, sd / jnp.sqrt(precision), step + 1, jnp.maximum(jnp.abs(d1), jnp.abs(d2))

    zero = jnp.zeros_like(start.mean)
    shift, sd, _, change = jax.lax.while_loop(
        lambda c: (c[2] < NEWTON_STEPS) & (c[3] > tolerance),
        body,
        (zero, start.sd, jnp.zeros((), jnp.int32), jnp.full_like(zero, jnp.inf)),
    )
    found = start.found & (change <= tolerance) & (sd > 0) & jnp.isfinite(shift)
    return NormalNull(
        jnp.where(found, start.mean + shift, jnp.nan), jnp.where(found, sd, jnp.nan), found
    )
