import copy
import dataclasses
import io
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from jaxmed.reports import figures as drawing
from jaxmed.reports.style import MissingExtraError

matplotlib = pytest.importorskip("matplotlib")

KINDS = ["primal", "dual", "tiny", "binary", "singular"]
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
    assert list(drawn(kind)) == FIGURES
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


def test_bridge_adds_up_to_the_total_effect(every):
    for kind in ("primal", "dual"):
        bars = drawing.decomposition(every[kind]).axes[1].patches
        ends = [bar.get_x() + bar.get_width() for bar in bars]
        total = every[kind].effect("total_effect")["estimate"]
        assert np.isclose(ends[2], total, rtol=0.02), kind
        assert np.isclose(ends[3], total), kind


def test_dual_decomposition_says_in_sample(every):
    figure = drawing.decomposition(every["dual"])
    texts = [t.get_text() for axes in figure.axes for t in axes.texts]
    assert sum("in sample only" in text for text in texts) == 4
    assert "in-sample values" in figure.axes[1].get_title(loc="left")


def test_effects_without_any_number_say_so(every):
    document = copy.deepcopy(every["dual"].document)
    direct = next(e for e in document["effects"] if e["quantity"] == "direct_effect")
    direct["naive"] = float("nan")
    figure = drawing.decomposition(dataclasses.replace(every["dual"], document=document))
    texts = [t.get_text() for axes in figure.axes for t in axes.texts]
    assert texts.count("does not exist here") == 1
    assert len(figure.axes[1].patches) == 4  # the bridge still closes


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
