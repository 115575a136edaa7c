"""The ledger refuses releases that differ by a few rows, and lets the same one pass."""

import json
import stat
import sys

import pytest

from jaxmed.federated.archive import SiteFileError
from jaxmed.federated.ledger import record_release, row_labels
from jaxmed.federated.release import ReleaseRefused


@pytest.fixture
def record(tmp_path):
    def call(rows, digest="d1", **more):
        options = {"kind": "summary", "identified_by": "column id"} | more
        return record_release(
            tmp_path / "l.jsonl", digest=digest, identifiers=list(rows), **options
        )

    return call


def people(first, last):
    return [f"person {i}" for i in range(first, last)]


def test_disjoint_rows_and_the_same_release_pass(record):
    record(people(0, 50))
    assert len(record(people(50, 100), "d2").entries) == 2
    assert len(record(people(0, 50)).entries) == 2


@pytest.mark.parametrize("rows", [people(0, 49), people(0, 51), people(49, 99), people(10, 20)])
def test_overlapping_rows_are_refused(record, rows):
    record(people(0, 50))
    with pytest.raises(ReleaseRefused, match="rows are in an earlier release"):
        record(rows, "d2")


def test_the_same_rows_with_other_columns_are_refused(record):
    record(people(0, 50))
    with pytest.raises(ReleaseRefused, match="50 of 50 rows"):
        record(people(0, 50), "d2")


def test_noise_is_never_drawn_twice(record):
    record(people(0, 50), noise=True)
    with pytest.raises(ReleaseRefused, match="spends epsilon again"):
        record(people(0, 50), noise=True)


def test_other_identifiers_cannot_be_compared(record):
    record(people(0, 50))
    with pytest.raises(ReleaseRefused, match="same persons cannot be seen"):
        record(people(50, 60), "d2", identified_by="position in a.csv")


def test_a_second_round_needs_its_summary_and_happens_once(record):
    with pytest.raises(ReleaseRefused, match="no summary in the ledger"):
        record(people(0, 50), "m1", kind="second_round")
    record(people(0, 50))
    record(people(0, 50), "m1", kind="second_round")
    record(people(0, 50), "m1", kind="second_round")
    with pytest.raises(ReleaseRefused, match="earlier release"):
        record(people(0, 50), "m2", kind="second_round")


def test_the_file_is_private_and_holds_no_identifier(record, tmp_path):
    record(people(0, 50))
    path = tmp_path / "l.jsonl"
    if sys.platform != "win32":
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert "person" not in path.read_text()
    assert [p.name for p in tmp_path.iterdir()] == ["l.jsonl"]


def test_salts_differ_between_ledgers(tmp_path):
    options = {"kind": "summary", "digest": "d", "identifiers": ["a"], "identified_by": "id"}
    first, second = (record_release(tmp_path / name, **options) for name in ("x", "y"))
    assert not first.entries[0].rows & second.entries[0].rows


@pytest.mark.parametrize("text", ["", "x", "{}", '{"schema": 1, "version": 1, "salt": "00"}', "[]"])
def test_a_damaged_ledger_is_an_error_not_a_new_one(record, tmp_path, text):
    (tmp_path / "l.jsonl").write_text(text)
    with pytest.raises(SiteFileError, match="restore it from a copy"):
        record(people(0, 50))
    assert (tmp_path / "l.jsonl").read_text() == text


def test_a_damaged_release_in_the_ledger_is_an_error(record, tmp_path):
    record(people(0, 50))
    path = tmp_path / "l.jsonl"
    head, entry = path.read_text().splitlines()
    path.write_text(f"{head}\n{json.dumps(json.loads(entry) | {'rows': None})}\n")
    with pytest.raises(SiteFileError, match="ledger"):
        record(people(50, 60))


def test_a_release_beside_another_one_waits(record, tmp_path):
    (tmp_path / "l.jsonl.lock").touch()
    with pytest.raises(SiteFileError, match="another release is being written"):
        record(people(0, 50))


def test_labels_of_rows():
    assert row_labels([17.0, 2.5]) == row_labels(["17", " 2.5"]) == ["17", "2.5"]
    for missing in ([1.0, float("nan")], ["a", ""]):
        with pytest.raises(ReleaseRefused, match="no identifier"):
            row_labels(missing)
