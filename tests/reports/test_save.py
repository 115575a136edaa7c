import csv
import json
import os

import numpy as np
import pytest

from jaxmed.reports.record import SCHEMA, SCHEMA_VERSION
from jaxmed.reports.save import atomic_write, save

pytest.importorskip("jinja2")

FIELDS = {
    "schema",
    "schema_version",
    "software",
    "settings",
    "data",
    "design",
    "paths",
    "effects",
    "choice",
    "composites",
    "tests",
    "mediator_summary",
    "threats",
    "methods_text",
    "citations",
    "warnings",
    "sha256",
}


def reject(constant):
    raise AssertionError(f"{constant} in result.json")


@pytest.mark.parametrize("kind", ["primal", "dual", "tiny", "singular"])
def test_result_json_is_strict_and_has_the_schema(every, kind, tmp_path):
    save(every[kind], tmp_path, figures=False)
    text = (tmp_path / "result.json").read_text(encoding="utf-8")
    document = json.loads(text, parse_constant=reject)
    assert set(document) == FIELDS
    assert (document["schema"], document["schema_version"]) == (SCHEMA, SCHEMA_VERSION)
    for field in ("effects", "tests", "composites"):
        for entry in document[field]:
            assert {"status", "reason"} <= set(entry)
            # What does not exist says why.
            if entry.get("estimate", entry.get("p_value", entry.get("indirect"))) is None:
                assert entry["reason"]


@pytest.mark.parametrize("kind", ["primal", "dual", "tiny", "singular"])
def test_mediators_csv_reads_back_to_the_same_numbers(every, kind, tmp_path):
    record = every[kind]
    save(record, tmp_path, figures=False)
    with open(tmp_path / "mediators.csv", newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert list(rows[0]) == list(record.mediators)
    for name, column in record.mediators.items():
        read = [row[name] for row in rows]
        if column.dtype.kind == "f":
            np.testing.assert_array_equal(np.array(read, float), column)
        else:
            assert read == [str(value) for value in column]


def test_all_files_are_written_and_nothing_else_is_left(every, tmp_path, monkeypatch):
    monkeypatch.setattr("jaxmed.reports.figures.PNG_DPI", 20)  # the same drawing, faster
    paths = save(every["tiny"], tmp_path / "new" / "folder")
    figures = ["alpha_beta", "checks", "decomposition", "path_plane", "scores", "top_weights"]
    expected = {"result.json", "mediators.csv", "report.html"} | {
        f"figures/{name}.{kind}" for name in figures for kind in ("png", "svg")
    }
    folder = tmp_path / "new" / "folder"
    found = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    assert found == expected == {p.relative_to(folder).as_posix() for p in paths}
    assert paths[-1].name == "report.html"
    assert paths[-1].read_text(encoding="utf-8").count("data:image/svg+xml;base64,") == 6


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = atomic_write(tmp_path / "a.txt", "old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="disk full"):
        atomic_write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
