"""Columns may be called anything: figures, pages, tables and JSON of every kind of analysis."""

import csv
import html.parser
import io
import json
import re
import warnings
import xml.etree.ElementTree as ET

import numpy as np
import pytest

from jaxmed.reports import figures as drawing
from jaxmed.reports.comparison import save_comparison, summary_of_comparison
from jaxmed.reports.csv_text import given_text
from jaxmed.reports.evaluation import save_evaluation, summary_of_evaluation
from jaxmed.reports.format import short_words, shorten, visible
from jaxmed.reports.generator_figures import mediator_panels
from jaxmed.reports.index_page import IndexEntry, index_html
from jaxmed.reports.record import Record
from jaxmed.reports.save import save
from jaxmed.reports.sections import Section, TidyTable
from jaxmed.reports.study_page import StudyReport, save_study
from jaxmed.reports.text import summary

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

# Characters together where one cannot hide what another does.
NAMES = {
    "controls": "".join(map(chr, (*range(32), *range(0x7F, 0xA0)))) + "\ud800b\udfff\ufffe\uffff",
    "scripts": "😀👩\u200d🔬 \u202eabc\u200f\u2066d 名前 שלום ชื่อ नाम",
    "markup": "a--b-->c<!--d ]]><![CDATA[<script>alert(1)</script>&amp;\"' {{ 7 * 7 }}{% raw %}",
    "mathematics": "$x$ \\frac{1}{2} $\\bad{ %s {0} %(x)d",
    "formula": "=cmd|'/c calc'!A1",
    "long": "x" * 20_000,
    "many words": "word " * 4_000,
    "blanks": "   ",
    "no width": "\u200b\ufeff\u3164\u2800",
    "lines": "a\nb\r\nc\td\u2028e",
}
ROLES = ("exposure", "outcome", "covariate", "mediator")
XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def called(name):
    """A name of its own for each role."""
    return {role: f"{name}{role[:1]}" if name.strip() else name for role in ROLES}


def renamed(value, old, new):
    """The value with one text replaced by another, wherever it stands."""
    if isinstance(value, dict):
        return {key: renamed(item, old, new) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, old, new) for item in value]
    return value.replace(old, new) if isinstance(value, str) else value


@pytest.fixture(scope="module")
def record(build):
    return build(60, 5, names=["MEDIATOR", "MEDIATOR2", "c", "d", "e"], unit="OUTCOME per EXPOSURE")


def named_record(record, names):
    document = json.loads(json.dumps(record.document))
    for role, old in (("exposure", "age"), ("outcome", "hospital_free_days_45")):
        document["data"][role] = renamed(document["data"][role], old, role.upper())
    document["data"]["covariates"][0]["name"] = "COVARIATE"
    document["methods_text"] = ["EXPOSURE, OUTCOME, COVARIATE"]
    document["threats"] = [
        {
            "code": "OVERLAP",
            "severity": severity,
            "measured": -0.5,
            "threshold": None,
            "sentence": "In EXPOSURE",
            "remedy": "leave out MEDIATOR",
        }
        for severity in ("warn", "note")
    ]
    document["warnings"] = ["MEDIATOR stands in EXPOSURE, OUTCOME and COVARIATE"]
    document["settings"] |= {"exposure": "EXPOSURE", "covariates": ["COVARIATE"]}
    columns = dict(record.mediators)
    given = [str(name) for name in columns["name"]]
    for role, name in names.items():
        document = renamed(document, role.upper(), name)
        given = renamed(given, role.upper(), name)
    named = {"name": np.array(given, object), "label": np.array(given, object)}
    return Record(document, columns | named, record.rows)


def method_row(name):
    row = {"method": name, "label": name, "scale": "outcome", "interval": "t", "gap": -0.5}
    for part in ("direct", "indirect", "total"):
        row |= {part: -0.5, f"{part}_se": 0.1, f"{part}_lower": -0.7, f"{part}_upper": -0.3}
    row |= {"proportion_mediated": 0.5, "proportion_lower": 0.1, "proportion_upper": 0.9}
    row |= {"proportion_reason": "", "selected": 1, "status": "OK", "notes": [], "reason": name}
    return row


def common(names):
    data = {
        "lines": [f"{names['covariate']} coded"],
        "rows_used": 60,
        "num_mediators": 2,
        "num_mediators_analysed": 2,
        "num_covariates": 1,
        "files": None,
        "train_rows": 40,
        "test_rows": 20,
        "dropped_mediators": [{"name": names["mediator"], "status": "A", "reason": "constant"}],
    }
    settings = {"level": 0.95, "seed": 1} | names
    return {
        "schema_version": 2,
        "software": {},
        "settings": settings,
        "data": data,
        "design": {"sentence": f"Covariates: {names['covariate']}", "linear": None},
        "warnings": [f"{names['mediator']} is constant"],
    }


def generators(names):
    values = np.array([-0.5, 0.2])
    mediators = [names["mediator"], "b"]
    return mediator_panels(
        mediators, values, values, values, 0.1, names["exposure"], names["outcome"]
    )


def save_mediate(names, record, folder):
    named = named_record(record, names)
    save(named, folder)
    return summary(named)


def save_methods(names, record, folder):
    document = common(names) | {"schema": "jaxmed.gahmn", "table": [method_row(names["mediator"])]}
    table = {
        "method": np.array([names["mediator"]], object),
        "mediator": np.array([names["mediator"]], object),
        "selected": np.array([True]),
    }
    text = (names["mediator"],)
    section = Section("panels", names["outcome"], text, None, lambda: generators(names), text[0])
    save_comparison(document, table, folder, sections=[section])
    return summary_of_comparison(document)


def save_evaluated(names, record, folder):
    numbers = ("indirect", "index", "exposure_correlation", "outcome_correlation", "total", "lower")
    row = dict.fromkeys((*numbers, "proportion_mediated", "upper", "auc"), -0.25)
    row |= {"method": names["mediator"], "label": "MaxIE", "selected": 1, "status": "OK"}
    row |= {"reason": names["mediator"], "group_means": [-1.0, 0.0, 1.0, 2.0, 3.0]}
    document = common(names) | {"schema": "jaxmed.evaluate"}
    document["table"] = [row | {"part": part} for part in ("train", "test")]
    save_evaluation(document, folder)
    return summary_of_evaluation(document)


def save_levels_index(names, record, folder):
    entry = IndexEntry(names["exposure"], "a/report.html", *[names["outcome"]] * 3)
    page = index_html([entry], names["mediator"])
    folder.mkdir()
    (folder / "index.html").write_text(page, encoding="utf-8")
    return ""


def save_studied(names, record, folder):
    plan = {
        "study": {"name": "s", "source": {}},
        "cells": [{"name": "a", "count": 1}],
        "scale": 1,
        "seed": 0,
        "nproc": 1,
        "precision": "float64",
        "platform": "cpu",
        "versions": {},
        "config": "c",
    }
    rows = [{"name": names["mediator"], "x": -1}]
    table = TidyTable({"name": "Name", "x": names["outcome"]}, rows)
    section = Section("panels", names["exposure"], (), table, lambda: generators(names))
    save_study(StudyReport(names["exposure"], plan, [section], {}), folder)
    return (folder / "report.txt").read_text(encoding="utf-8")


DOORS = [save_mediate, save_methods, save_evaluated, save_levels_index, save_studied]
# In the quick run: every kind of name once, every analysis at least once.
QUICK = {
    save_mediate: ("mathematics",),
    save_methods: ("formula", "scripts"),
    save_evaluated: ("markup", "long"),
    save_levels_index: ("many words", "blanks"),
    save_studied: ("no width", "lines", "controls"),
}


def analyses():
    for door in DOORS:
        for kind in NAMES:
            marks = () if kind in QUICK[door] else pytest.mark.slow
            yield pytest.param(kind, door, marks=marks, id=f"{door.__name__}-{kind}")


class Tags(html.parser.HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, text):
        super().__init__()
        self.seen, self.words = set(), []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)

    def handle_data(self, data):
        self.words += data.split()


@pytest.mark.parametrize(("kind", "door"), list(analyses()))
def test_every_file_of_every_analysis(kind, door, record, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "PNG_DPI", 20)  # the same drawing, faster
    names = called(NAMES[kind])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        said = door(names, record, tmp_path / "out")
    visible(said).encode()
    for path in (tmp_path / "out").rglob("*.*"):
        raw = path.read_bytes()
        if path.suffix == ".svg":
            ET.fromstring(raw)
            assert b"<!--" not in raw and not XML.search(raw.decode())
        elif path.suffix == ".png":
            assert raw.startswith(b"\x89PNG") and len(raw) < 10**6
        elif path.suffix == ".html":
            check_page(raw.decode())
        elif path.suffix == ".json":
            assert json.loads(raw)["schema"].startswith("jaxmed.")
        elif path.suffix == ".csv":
            check_csv(raw.decode(), names["mediator"])


def check_page(text):
    tags = Tags(text)
    assert not XML.search(text) and visible(text, "\n") == text
    assert not {"script", "iframe", "object"} & tags.seen and "49" not in tags.words
    css = re.sub(r"<style>.*?</style>|base64,[^\"]*", "", text, flags=re.DOTALL)
    assert max(map(len, Tags(css).words), default=0) <= 200


def check_csv(text, name):
    """The whole name is there, however long, and does not run."""
    cells = [cell for row in csv.reader(io.StringIO(text, newline="")) for cell in row]
    written = name.encode("utf-8", "backslashreplace").decode()
    assert written in [given_text(cell) for cell in cells]
    assert all(not cell.startswith(("=", "@", "\t", "\r")) for cell in cells)


@pytest.mark.parametrize("kind", NAMES)
def test_a_label_is_short_visible_and_never_empty(kind):
    label = shorten(NAMES[kind], 24)
    assert 0 < len(label) <= 24 and label.strip() and visible(label) == label
    assert "'" in label if kind == "blanks" else True


def test_only_words_longer_than_a_line_are_cut():
    words = "a" * 100 + " " + "b" * 101
    assert short_words(words) == "a" * 100 + " " + "b" * 50 + "…" + "b" * 49
    assert visible("a\x1b\n\ud800é", keep="\n") == "a\\x1b\n\\ud800é"


def test_figures_of_one_name_are_the_same_bytes(record):
    named = named_record(record, called(NAMES["scripts"]))
    assert drawing.svg(drawing.alpha_beta(named)) == drawing.svg(drawing.alpha_beta(named))
