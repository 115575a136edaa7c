import dataclasses
import io
import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from jaxmed.reports import document
from jaxmed.reports.index_page import IndexEntry, index_html
from jaxmed.reports.save import save
from jaxmed.reports.style import MissingExtraError

pytest.importorskip("jinja2")
VOID = {"meta", "img", "br", "hr", "link", "input"}


class Page(HTMLParser):
    """Collects tags, references and text, and checks that tags close in order."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.loaded, self.links, self.words, self.open = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for field, value in attrs:
            if field in ("src", "srcset", "data", "poster", "background"):
                self.loaded.append(value)
            if field == "href":
                (self.links if tag == "a" else self.loaded).append(value)
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


KINDS = (
    "primal dual tiny binary singular beside sparse near_zero log_odds stopped not_asked moments "
    "single labelled"
).split()


@pytest.mark.parametrize("kind", KINDS)
def test_report_loads_nothing_and_is_well_formed(every, kind):
    text = document.html(every[kind], {})
    page = Page(text)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert all(value.startswith("data:") for value in page.loaded)
    assert "@import" not in text and "url(" not in text
    words = " ".join(page.words)
    assert "nan" not in words.lower().split()
    assert "How to cite" in words and "Data and settings" in words
    assert len(set(KINDS)) == len(every)
    # The paper's words stand beside what they mean, and nowhere else.
    for at in re.finditer("concordant|suppression", words):
        assert re.search("alpha beta|upward|downward", words[max(0, at.start() - 90) : at.start()])


def test_names_are_escaped_and_survive(every):
    text = document.html(every["tiny"], {})
    assert "<b>x</b>" not in text
    words = " ".join(Page(text).words)
    for name in ("<b>x</b>", "a & b", "c,d", 'e"f', "$g_{h}$"):
        assert name in words


def test_dual_report_says_why_numbers_are_missing(every):
    words = " ".join(Page(document.html(every["dual"], {})).words)
    assert "What could not be computed, and why" in words
    assert "NOT_IN_DUAL" in words and "row space" in words
    assert "mediators.csv has all 517" in words


def test_threats_have_their_figure_and_remedy(every, edit, threat_entry):
    found = [
        threat_entry("OUTLIERS", "note", "Some values are far out."),
        threat_entry("OVERLAP", "warn", "In site C the exposure never varies.", "leave out C"),
    ]
    words = " ".join(Page(document.html(edit(every["beside"], threats=found), {})).words)
    table = words[words.index("Threats to validity") :]
    assert table.index("OVERLAP") < table.index("OUTLIERS")
    for text in ("In site C the exposure never varies.", "leave out C", "0.0500", "0.100"):
        assert text in table
    assert "Threats to validity" not in " ".join(Page(document.html(every["beside"], {})).words)


def tiles(text):
    page = text[text.index('<dl class="cards">') : text.index("</dl>")]
    return dict(re.findall(r'<dt>(.*?)</dt><dd class="value">(.*?)</dd>', page))


def test_tiles_are_the_total_and_where_it_goes_then_parts_by_side(every):
    shown = tiles(document.html(every["beside"], {}))
    assert list(shown)[:7] == [
        "Total effect",
        "Direct effect",
        "Total indirect effect",
        "Proportion mediated",
        "Cross-fitted downward part, with the total",
        "Cross-fitted upward part, against the total",
        "Total indirect test",
    ]
    assert shown["Total effect"] == "−0.365" and shown["Proportion mediated"] == "83%"
    assert "–" not in "".join(shown.values())


@pytest.mark.parametrize(
    ("kind", "gone"),
    [
        ("near_zero", ["Proportion mediated"]),
        ("stopped", ["Direct effect", "Total indirect effect", "Proportion mediated"]),
        ("not_asked", ["Direct effect", "Total indirect effect", "Proportion mediated"]),
        ("single", ["Cosine of the paths", "Cross-fitted upward part"]),
        ("singular", ["Total effect", "Cosine of the paths", "Mediators, q &lt; .05"]),
    ],
)
def test_a_value_that_does_not_exist_has_no_tile(every, kind, gone):
    shown = tiles(document.html(every[kind], {}))
    assert not set(gone) & set(shown)
    assert not {"–", "nan"} & set(shown.values())


def test_the_debiased_part_is_tiled_where_nothing_was_cross_fitted(every):
    record = every["beside"]
    effects = [e for e in record.document["effects"] if e["method"] != "maxie"]
    record = dataclasses.replace(record, document=record.document | {"effects": effects})
    shown = tiles(document.html(record, {}))
    assert shown["Downward part, with the total"] == "−0.335"
    assert shown["Upward part, against the total"] == "0.0310"


def test_labels_stand_beside_names_and_joint_columns_where_they_exist(every):
    words = " ".join(Page(document.html(every["labelled"], {})).words)
    mediators = words[words.index("Joint αβ") :]
    assert re.search(r"Protein 0\s+prot_000", mediators)
    assert "Joint αβ" not in " ".join(Page(document.html(every["beside"], {})).words)


def test_what_was_done_and_the_papers_used_are_on_the_page(every):
    page = Page(document.html(every["dual"], {}))
    words = " ".join(page.words)
    assert "We studied how the effect of age on hospital_free_days_45 runs" in words
    assert "https://arxiv.org/abs/2603.13762" in page.links
    assert "Belloni, V. Chernozhukov and C. Hansen (2014)" in words


def test_index_links_to_every_report():
    entries = [
        IndexEntry("p > n <dual>", "dual/report.html", "nothing & all", "a -> b", "Data: 5 rows."),
        IndexEntry("b", "b/report.html"),
    ]
    page = Page(index_html(entries))
    assert page.links == ["dual/report.html", "b/report.html"]
    assert {"p > n <dual>", "nothing & all", "a → b", "Data: 5 rows."} <= set(page.words)
    assert page.tags.count("p") == 3  # no empty lines for the second


def test_missing_jinja2_names_the_extra(every, monkeypatch):
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"jaxmed\[plot,report\]"):
        document.html(every["primal"], {})


def test_reports_import_neither_matplotlib_nor_jinja2():
    code = (
        "import sys, jaxmed.reports.save, jaxmed.reports.text; "
        "sys.exit(bool({'matplotlib', 'jinja2'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)


@pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed")
@pytest.mark.parametrize(
    "kind, width", [("dual", 1100), pytest.param("tiny", 500, marks=pytest.mark.slow)]
)
def test_report_opens_in_a_browser(every, kind, width, tmp_path):
    imread = pytest.importorskip("matplotlib.image").imread
    report = save(every[kind], tmp_path / "out")[-1]
    shot = tmp_path / "shot.png"
    flags = (
        "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --hide-scrollbars "
        "--disable-background-networking --disable-component-update --disable-sync"
    )
    subprocess.run(
        [
            CHROMIUM,
            *flags.split(),
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--window-size={width},3200",
            f"--screenshot={shot}",
            report.as_uri(),
        ],
        check=True,
        capture_output=True,
        timeout=60,
        env=dict(os.environ, HOME=str(tmp_path)),
    )
    image = imread(io.BytesIO(shot.read_bytes()))[..., :3]
    assert image.shape[:2] == (3200, width)
    # Text at the top, and the blue and orange of a figure below it.
    assert image[:300].std() > 0.05
    red, blue = image[..., 0], image[..., 2]
    assert (blue - red > 0.5).sum() > 500 and (red - blue > 0.5).sum() > 500
