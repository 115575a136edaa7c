"""Figure 2: power of the cosine test against the angle between the paths, in the primal."""

import functools
import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from jaxmed.distributions.exact_law import Law
from jaxmed.distributions.tails import noncentral_t_cdf
from jaxmed.inference.power import detection_threshold, printed_cosine_power
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.reports.study_figures import PALETTE, Panel, Series, panels_figure
from jaxmed.simulate.linear_sem import LinearSem, law_of, linear_sem
from jaxmed.studies.optimal_composite.columns import pair, rate_pair, scaled
from jaxmed.studies.optimal_composite.cosine_cells import (
    EXACT_CHUNK,
    PROBABILITIES,
    exact_task,
    law_reducer,
    rate_series,
    statistic_sd,
)
from jaxmed.studies.study import Study
from jaxmed.sweeps.task import Cell

__all__ = ["ANGLES", "STUDY", "model", "noncentrality", "population_angle", "power_at"]

P = 40
SIZE = 0.5  # length of both coefficient vectors, and sd of both noises
COUNT = 200_000

# Angles between the coefficient vectors, degrees; those in NAMED are the paper's.
ANGLES = (20, 30, 40, 45, 50, 55, 60, 62, 65, 67, 70, 75, 80, 84, 90)
NAMED = (55, 70, 84)
SWEPT_ROWS = (100, 200, 1000, 10_000)  # n of the power curves over the angle
ROWS = (50, 100, 200, 400, 800, 1000, 1600, 3200, 10_000)  # n of the power curves over n
OVER_ROWS = (55, 65, 70, 84)
LEFT_ROWS = 1000  # n of the distributions


def model(angle: float) -> LinearSem:
    """Independent mediators, alpha on the first, beta on the first two at an angle (degrees)."""
    first, second = jnp.eye(P)[0], jnp.eye(P)[1]
    turn = math.radians(angle)
    beta = math.cos(turn) * first + math.sin(turn) * second
    return linear_sem(SIZE * first, SIZE * beta, exposure_sd=SIZE, outcome_sd=SIZE)


def settings() -> list[tuple[int, int]]:
    """(angle, rows) of every cell."""
    swept = [(angle, n) for angle in ANGLES for n in SWEPT_ROWS]
    return swept + [(a, n) for a in OVER_ROWS for n in ROWS if n not in SWEPT_ROWS]


def cells(scale: float) -> list[Cell]:
    """The exact law at every angle and number of rows: one compiled program."""
    count = scaled(COUNT, scale, EXACT_CHUNK)
    return [
        Cell(
            f"angle={angle}/n={n}",
            exact_task(),
            _law(angle, n),
            count,
            EXACT_CHUNK,
            None,
            law_reducer(),
        )
        for angle, n in settings()
    ]


@jax.jit
def _law_of(angle: LinearSem, rows: float) -> Law:
    return law_of(angle, rows)


def _law(angle: int, rows: int) -> Law:
    return _law_of(model(angle), float(rows))


def population_angle(angle: float) -> float:
    """Angle between the two paths, degrees, of coefficient vectors at an angle (degrees).

    The exposure's noise shrinks what of the outcome path lies along the exposure path: the
    paths are further apart than the coefficients.
    """
    cosine, sine = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    shrunk = math.sqrt(0.5) * cosine  # Omega = I - e1 e1' / 2
    return math.degrees(math.atan2(sine, shrunk))


def noncentrality(angle: float) -> float:
    """What the statistic tends to as n grows: sqrt(p - 1) cot(angle between the paths)."""
    return math.sqrt(P - 1) / math.tan(math.radians(population_angle(angle)))


@functools.cache
def printed_powers() -> Mapping[int, float]:
    """The paper's power, a noncentral t, at whole degrees between the coefficient vectors."""
    degrees = range(ANGLES[0], 91)
    cosines = [math.cos(math.radians(population_angle(angle))) for angle in degrees]
    powers = np.asarray(printed_cosine_power(P, jnp.asarray(cosines)))
    return dict(zip(degrees, powers.tolist(), strict=True))


def power_at(results: Mapping[str, Any], angle: int, rows: int, test: str = "cosine") -> Any:
    """Rejection rate at .05 of "cosine" or "joint"."""
    return results[f"angle={angle}/n={rows}"]["rates"][f"{test}/p_value"]


def report(results: Mapping[str, Any], once: Mapping[str, Any]) -> Sequence[Section]:
    """Sections of the study's page."""
    del once
    return [_power_section(results), _distribution_section(results)]


@functools.cache
def _threshold() -> float:
    return math.degrees(float(detection_threshold(P)))


def _power_section(results: Mapping[str, Any]) -> Section:
    columns = {
        "angle": "angle of coefficients",
        "paths": "angle of paths",
        "delta": "limit of T",
        "n": "n",
        "cosine": "cosine test, exact law",
        "printed": "printed formula",
        "joint": "joint test, exact law",
    }
    rows = [_power_row(results, angle, n) for angle, n in sorted(settings())]
    text = (
        "p = 40 independent mediators, the exposure's coefficient vector on the first, the "
        "outcome's on the first two, both of length .5, noise sd .5; two-sided tests at .05. "
        "Angles are those between the coefficient vectors (55, 70 and 84 degrees are the "
        "paper's); the paths themselves are further apart, and the formula uses their angle.",
        "The formula, a noncentral t with p - 1 degrees of freedom and noncentrality sqrt(p - 1) "
        "cot(angle), is wrong at every n. It does not depend on n; the power does: at 55 degrees "
        "the formula says .854, and the power is .25 at n = 100, .59 at n = 200 and .994 at "
        "n = 1000.",
        f"There is a detection threshold, {_threshold():.1f} degrees between the paths at p = 40: "
        "tan = sqrt(p - 1) / t quantile. Beyond it more rows do not help but harm: the power falls "
        "below .05 and tends to 0, where the formula says .348 (at 70 degrees) and .074 (at 84). "
        "The test is biased there. The joint test of the total indirect effect, from the same "
        "fit, has no threshold. At 90 degrees, where both paths are active and the total indirect "
        "effect is 0, it rejects more than .05: its null is that one of the paths is null.",
        "Power is the same at an angle and at 180 degrees minus it.",
    )
    note = (
        "Every replicate draws the four path quadratics from their law. Limit of T: sqrt(p - 1) "
        "cot(angle of paths), the value that T tends to as n grows."
    )
    caption = (
        "Left: distribution of T at n = 1000 (lines) and the printed noncentral t (dashes). "
        "Middle: power over the angle. Right: power over n on either side of the threshold; "
        "dashes are the formula, dots the joint test at 70 degrees. Bars: 95 % Monte Carlo "
        "intervals, mostly hidden by the markers."
    )
    return Section(
        "figure-2",
        "Power and the angle between the paths",
        text,
        TidyTable(columns, rows, note),
        lambda: _figure(results),
        caption,
    )


def _power_row(results: Mapping[str, Any], angle: int, rows: int) -> dict[str, Any]:
    return {
        "angle": angle,
        "paths": round(population_angle(angle), 1),
        "delta": round(noncentrality(angle), 2),
        "n": rows,
        "cosine": rate_pair(power_at(results, angle, rows)),
        "printed": round(printed_powers()[angle], 3),
        "joint": rate_pair(power_at(results, angle, rows, "joint")),
    }


def _distribution_section(results: Mapping[str, Any]) -> Section:
    columns = {
        "angle": "angle of coefficients",
        "n": "n",
        "mean": "mean of T",
        "sd": "sd of T",
        "limit": "limit of T",
    }
    rows = []
    for angle in NAMED:
        for n in ROWS:
            if (angle, n) in settings():
                measures = results[f"angle={angle}/n={n}"]["moments"]
                rows.append(
                    {
                        "angle": angle,
                        "n": n,
                        "mean": pair(measures["cosine/statistic"]),
                        "sd": statistic_sd(measures),
                        "limit": round(noncentrality(angle), 2),
                    }
                )
    text = (
        "Why the formula fails: as n grows with p fixed, T tends to a point, sqrt(p - 1) times the "
        "cotangent of the angle, and its standard deviation to 0. A noncentral t has a standard "
        "deviation of at least 1 at every n. Where the point exceeds the critical value the power "
        "tends to 1, elsewhere to 0.",
    )
    return Section(
        "figure-2-statistic", "Mean and spread of the statistic", text, TidyTable(columns, rows)
    )


def _figure(results: Mapping[str, Any]) -> Any:
    panels = [_distribution_panel(results), _angle_panel(results), _rows_panel(results)]
    return panels_figure([panels], width=13.0, height=4.2)


def _distribution_panel(results: Mapping[str, Any]) -> Panel:
    series = []
    at = np.linspace(-3, 7, 101)
    for angle, color in zip(NAMED, PALETTE, strict=False):
        found = results[f"angle={angle}/n={LEFT_ROWS}"]["quantiles"]["cosine/statistic"]
        values = [found[p].value for p in PROBABILITIES]
        name = f"{angle}°, limit {noncentrality(angle):.2f}"
        series.append(Series(name, values, PROBABILITIES, color=color, marker=""))
        formula = np.asarray(noncentral_t_cdf(at, P - 1, noncentrality(angle)))
        series.append(Series("", at, formula, color=color, marker="", line="--"))
    return Panel(
        f"Distribution of T, n = {LEFT_ROWS}",
        "T",
        "distribution function",
        series,
        x_limits=(-3, 7),
        marks=((2.02, "critical"),),
        legend="lower right",
    )


def _angle_panel(results: Mapping[str, Any]) -> Panel:
    series = []
    for n, color in zip(SWEPT_ROWS, PALETTE, strict=False):
        rates = [power_at(results, angle, n) for angle in ANGLES]
        series.append(rate_series(f"n = {n:,}", ANGLES, rates, color))
    formula = printed_powers()
    series.append(Series("printed formula", [*formula], [*formula.values()], marker="", line="--"))
    crossing = _coefficient_angle(_threshold())
    return Panel(
        f"Power over the angle, p = {P}",
        "angle between coefficient vectors, degrees",
        "power at .05",
        series,
        levels=((0.05, ".05"),),
        marks=((crossing, "threshold"),),
        y_limits=(-0.03, 1.05),
        legend="lower left",
    )


def _rows_panel(results: Mapping[str, Any]) -> Panel:
    series = []
    for angle, color in zip((55, 70, 84), PALETTE, strict=False):
        rates = [power_at(results, angle, n) for n in ROWS]
        series.append(rate_series(f"{angle}°", ROWS, rates, color))
        formula = [printed_powers()[angle]] * len(ROWS)
        series.append(Series("", ROWS, formula, color=color, marker="", line="--"))
    joint = [power_at(results, 70, n, "joint").rate for n in ROWS]
    series.append(Series("70°, joint test", ROWS, joint, color=PALETTE[1], marker="s", line=":"))
    ticks = [(n, f"{n:,}") for n in (50, 200, 1000, 3200, 10_000)]
    return Panel(
        f"Power over n, p = {P}",
        "n",
        "power at .05",
        series,
        log_x=True,
        x_ticks=ticks,
        levels=((0.05, ".05"),),
        y_limits=(-0.03, 1.05),
        legend="center right",
    )


def _coefficient_angle(of_paths: float) -> float:
    """Inverse of `population_angle`."""
    return math.degrees(math.atan(math.sqrt(0.5) * math.tan(math.radians(of_paths))))


STUDY = Study(
    name="optimal-composite/figure-2",
    title="Figure 2: power of the cosine test against the angle between the paths",
    cells=cells,
    report=report,
)
