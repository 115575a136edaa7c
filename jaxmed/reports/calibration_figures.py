"""QQ plot of the calibrations of many joint tests."""

from typing import TYPE_CHECKING

import numpy as np

from jaxmed import status as st
from jaxmed.calibration.diagnostics import CalibrationDiagnostics, QuantilePairs
from jaxmed.reports.style import (
    ACCENT,
    DOWNWARD,
    MUTED,
    UPWARD,
    finish,
    message_figure,
    new_figure,
    style,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TITLE = "Calibration of the joint tests"
# Above this many points only the smallest p-values are drawn one by one.
MANY = 2000


def calibration_qq(diagnostics: CalibrationDiagnostics) -> "Figure":
    """Observed against expected -log10 p of p_max, of its mixture null and of DACT.

        jaxmed.calibration_qq(jaxmed.calibration_diagnostics(p_exposure, p_outcome))

    Points on the line are null; a calibration that leaves the line from its start is wrong, one
    that leaves it at its end has found something.

    Raises:
      MissingExtraError: matplotlib is not installed.
    """
    with style():
        series = (
            (diagnostics.max_p, "larger p, uniform null", MUTED, "^"),
            (diagnostics.mixture, "larger p, mixture null (HDMT)", UPWARD, "o"),
            (diagnostics.dact, "DACT", DOWNWARD, "s"),
        )
        drawn = [(_thin(pairs), *rest) for pairs, *rest in series]
        if not any(len(x) for (x, _), *_ in drawn):
            return message_figure(TITLE, "There is no test with both p-values.")
        figure = new_figure(6.4, 5.6)
        axes = figure.subplots()
        for (x, y), label, color, marker in drawn:
            axes.plot(x, y, marker, ms=3.2, mew=0, color=color, label=label, rasterized=True)
        top = max((float(np.max(x)) for (x, _), *_ in drawn if len(x)), default=1.0)
        axes.plot([0, top], [0, top], color=ACCENT, lw=1, label="null", zorder=0)
        axes.set_xlabel("expected −log10 p under the null")
        axes.set_ylabel("observed −log10 p")
        axes.set_title(TITLE)
        axes.legend(loc="upper left")
        figure.supxlabel(caption(diagnostics), fontsize=8, color=MUTED, x=0.01, ha="left")
        return finish(figure)


def caption(diagnostics: CalibrationDiagnostics) -> str:
    """Mixture proportions, DACT's null shares, and what speaks against trusting them."""
    null, divided = diagnostics.hdmt_fit.null, diagnostics.dact_fit
    lines = [
        f"HDMT: {_share(null.both)} with neither path, {_share(null.only_exposure)} with the "
        f"exposure path only, {_share(null.only_outcome)} with the outcome path only.",
        f"DACT: exposure path null in {_share(divided.null_exposure)}, outcome path null in "
        f"{_share(divided.null_outcome)}.",
    ]
    if int(diagnostics.hdmt_fit.status) == st.SMALL_SAMPLE:
        lines.append("Few tests: these shares are uncertain.")
    if bool(divided.dense):
        lines.append("Dense signals: DACT's p-values may be too small.")
    if int(divided.status) == st.NOT_CONVERGED:
        lines.append("DACT's empirical null was not found; its raw p-values are shown.")
    return "\n".join(lines)


def _share(value: object) -> str:
    return f"{100 * float(np.asarray(value)):.1f}%"


def _thin(pairs: QuantilePairs) -> tuple[np.ndarray, np.ndarray]:
    """Finite points with an expected p-value below 1; of very many the last, and some others."""
    x, y = np.asarray(pairs.expected), np.asarray(pairs.observed)
    seen = np.isfinite(x) & np.isfinite(y) & (x >= 0)
    x, y = x[seen], y[seen]
    if len(x) > MANY:
        others = np.linspace(0, len(x) - MANY // 2 - 1, MANY // 2).astype(int)
        keep = np.concatenate([others, np.arange(len(x) - MANY // 2, len(x))])
        x, y = x[keep], y[keep]
    return x, y
