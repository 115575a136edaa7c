import io

import jax
import numpy as np
import pytest

from jaxmed import calibration_diagnostics
from jaxmed.reports.calibration_figures import calibration_qq, caption
from jaxmed.reports.figures import png, svg

pytest.importorskip("matplotlib")

DIAGNOSE = jax.jit(calibration_diagnostics)


def test_figure_has_three_calibrations_and_the_proportions():
    from matplotlib.image import imread

    rng = np.random.default_rng(0)
    p_a, p_b = rng.uniform(size=(2, 60))
    p_a[:3], p_b[1:6], p_a[9] = 1e-9, 1e-320, np.nan
    diagnostics = DIAGNOSE(p_a, p_b)
    figure = calibration_qq(diagnostics)
    image = imread(io.BytesIO(png(figure)))
    assert image[..., :3].std() > 0.01
    assert svg(figure) == svg(calibration_qq(diagnostics))
    assert len(figure.axes[0].lines) == 4
    assert len(figure.axes[0].lines[0].get_xdata()) == 59
    text = caption(diagnostics)
    assert f"{100 * float(diagnostics.hdmt_fit.null.both):.1f}% with neither path" in text
    assert "Few tests" in text


def test_nothing_to_draw_says_so():
    nothing = np.full(60, np.nan)
    assert calibration_qq(DIAGNOSE(nothing, nothing)).axes[0].texts
