import dataclasses
import io
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from jaxmed.reports import figures as drawing
from jaxmed.reports.captions import caption
from jaxmed.reports.style import MissingExtraError

matplotlib = pytest.importorskip("matplotlib")

KINDS = ["primal", "dual", "tiny", "binary", "singular", "beside"]
FIGURES = ["decomposition", "path_plane", "alpha_beta", "top_weights", "scores", "checks"]


@pytest.fixture(scope="module")
def drawn(every):
    """kind -> its figures; each kind is drawn once."""
    made = {}

    def figures_of(kind):
        if kind not in made:
            made[kind] = drawing.all_figures(every[kind])
        return made[kind]

    return figures_of


def pixels(figure):
    from matplotlib.image import imread

    return imread(io.BytesIO(drawing.png(figure)))


def cells():
    """Kinds by figures; in the quick run every kind and every figure once."""
    for i, kind in enumerate(KINDS):
        for j, name in enumerate(FIGURES):
            marks = () if i == j else pytest.mark.slow
            yield pytest.param(kind, name, marks=marks, id=f"{kind}-{name}")


@pytest.mark.parametrize(("kind", "name"), list(cells()))
def test_every_figure_has_ink_and_a_sensible_size(drawn, kind, name):
    # Without residuals there is nothing to check.
    assert list(drawn(kind)) == [f for f in FIGURES if f != "checks" or kind != "singular"]
    if name not in drawn(kind):
        return
    image = pixels(drawn(kind)[name])
    height, width = image.shape[:2]
    assert 600 <= width <= 2200 and 250 <= height <= 1600
    assert image[..., :3].std() > 0.01


@pytest.mark.parametrize("kind", ["primal", pytest.param("dual", marks=pytest.mark.slow)])
def test_svg_is_whole_without_outside_references_and_reproducible(drawn, every, kind):
    again = drawing.all_figures(every[kind])
    for name, figure in drawn(kind).items():
        text = drawing.svg(figure)
        root = ET.fromstring(text)
        assert len(list(root.iter())) > 40, name
        for element in root.iter():
            for field, value in element.attrib.items():
                if field.endswith("href"):
                    assert value.startswith(("#", "data:")), (name, value)
        assert text == drawing.svg(again[name]), name


def test_no_pyplot_state_and_no_change_of_settings(every):
    before = dict(matplotlib.rcParams)
    drawing.path_plane(every["primal"])
    assert dict(matplotlib.rcParams) == before
    pyplot = sys.modules.get("matplotlib.pyplot")
    assert pyplot is None or pyplot.get_fignums() == []


def test_labels_of_lead_mediators_do_not_overlap(every):
    figure = drawing.alpha_beta(every["dual"])
    axes = figure.axes[0]
    lead = set(every["dual"].document["mediator_summary"]["lead"])
    boxes = [t.get_window_extent() for t in axes.texts if t.get_text() in lead]
    assert boxes
    for i, one in enumerate(boxes):
        for other in boxes[i + 1 :]:
            # A rim of a pixel is left to rounding.
            assert (
                min(one.x1, other.x1) - max(one.x0, other.x0) < 1
                or min(one.y1, other.y1) - max(one.y0, other.y0) < 1
            )


def texts_of(figure):
    return [t.get_text() for axes in figure.axes for t in axes.texts]


def rows_of(figure):
    return [t.get_text() for t in figure.axes[0].get_yticklabels()]


def test_bridge_adds_up_to_the_total_effect(every):
    for kind in ("primal", "beside", "single"):
        bars = drawing.decomposition(every[kind]).axes[1].patches
        ends = [bar.get_x() + bar.get_width() for bar in bars]
        total = every[kind].effect("total_effect")["estimate"]
        assert len(bars) == (3 if kind == "single" else 4)
        assert np.isclose(ends[-2], total) and np.isclose(ends[-1], total), kind


@pytest.mark.parametrize("kind", ["dual", "stopped", "not_asked", "near_zero"])
def test_no_bridge_without_all_of_its_parts(every, edit, effect_entry, kind):
    record = every[kind]
    if kind == "near_zero":  # parts that exist and do not add up are of different estimators
        record = edit(record, [effect_entry("direct_effect", -0.1, -0.2, 0.0)])
    assert len(drawing.decomposition(record).axes) == 1


def test_the_forest_has_a_row_for_every_effect_and_estimator(every):
    rows = rows_of(drawing.decomposition(every["beside"]))
    assert rows == [
        "Total effect\nOLS",
        "Direct effect\nOLS, all mediators",
        "Total indirect effect\nOLS, all mediators",
        "Direct effect\nDouble selection, robust",
        "Total indirect effect\nDouble selection, robust",
        "Upward part\nOLS, all mediators, against the total",
        "Downward part\nOLS, all mediators, with the total",
        "Cross-fitted upward part\nMaxIE, cross-fitted, against the total",
        "Cross-fitted downward part\nMaxIE, cross-fitted, with the total",
    ]


@pytest.mark.parametrize("kind", ["dual", "stopped", "not_asked"])
def test_what_has_no_estimate_has_no_row(every, kind):
    figure = drawing.decomposition(every[kind])
    rows = rows_of(figure)
    assert not any(row.startswith(("Upward part", "Downward part")) for row in rows)
    assert any(row.startswith("Direct effect") for row in rows) == (kind == "dual")
    assert not any("–" in text or "nan" in text for text in texts_of(figure))


def test_parts_of_a_total_without_a_sign_have_no_side(every):
    rows = rows_of(drawing.decomposition(every["near_zero"]))
    assert "Upward part\nOLS, all mediators" in rows
    legend = drawing.path_plane(every["near_zero"]).axes[0].get_legend()
    assert [t.get_text() for t in legend.get_texts()][::2] == ["MaxIE upward", "MaxIE downward"]
    legend = drawing.path_plane(every["beside"]).axes[0].get_legend()
    assert "MaxIE downward, with the total" in [t.get_text() for t in legend.get_texts()]


def test_figures_without_rows_and_of_one_mediator(every):
    assert list(drawing.all_figures(every["moments"])) == FIGURES[:-2]
    assert list(drawing.all_figures(every["single"])) == [
        "decomposition",
        "alpha_beta",
        "scores",
        "checks",
    ]


def test_checks_show_the_exposure_by_what_the_covariates_predict(every, build):
    continuous, binary = (drawing.checks(every[kind]) for kind in ("primal", "binary"))
    assert continuous.axes[1].get_xlabel() == "predicted by the covariates"
    assert binary.axes[1].get_xlabel() == "high_tech as predicted by the covariates"
    rows = dict(every["primal"].rows)
    rows["exposure_residual"] = rows["exposure"] - rows["exposure"].mean()
    alone = dataclasses.replace(every["primal"], rows=rows)
    figure = drawing.checks(alone)
    assert figure.axes[1].get_title(loc="left") == "Distribution of the exposure"
    assert "far rows" in caption(alone, "checks")
    # The mean residuals of groups are those of the rows.
    line = continuous.axes[0].get_lines()[-1]
    residual = every["primal"].rows["outcome_given_exposure"]
    assert len(line.get_xdata()) == 10
    assert np.isclose(np.mean(line.get_ydata()), residual.mean(), atol=1e-9)


def test_no_checks_where_the_rows_lack_a_column(every):
    rows = {k: v for k, v in every["primal"].rows.items() if k != "outcome"}
    figures = drawing.all_figures(dataclasses.replace(every["primal"], rows=rows))
    assert list(figures) == FIGURES[:-1]


def test_labels_are_drawn_instead_of_names(every):
    figure = drawing.top_weights(every["labelled"])
    labels = [t.get_text() for axes in figure.axes for t in axes.get_yticklabels()]
    assert labels and all(label.startswith("Protein ") for label in labels)
    assert {"Protein 0", "Protein 2"} <= set(texts_of(drawing.alpha_beta(every["labelled"])))


def test_binary_exposure_is_drawn_in_two_groups(every):
    figure = drawing.scores(every["binary"])
    labels = [t.get_text() for t in figure.axes[0].get_xticklabels()]
    assert [label.split("\n")[0] for label in labels] == ["high_tech = 0", "high_tech = 1"]


def test_odd_names_are_drawn_as_they_are(every):
    figure = drawing.top_weights(every["tiny"])
    labels = {t.get_text().removesuffix(" *") for t in figure.axes[0].get_yticklabels()}
    assert {"<b>x</b>", "$g_{h}$"} <= labels


def test_missing_matplotlib_names_the_extra(every, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"jaxmed\[plot,report\]"):
        drawing.path_plane(every["primal"])
