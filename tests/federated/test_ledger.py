"""The ledger refuses releases that differ by a few rows, and lets the same one pass."""

import json
import re

import pytest

from jaxmed.data.documents import canonical
from jaxmed.federated.archive import SiteFileError
from jaxmed.federated.ledger import Entry, line_of, new_ledger
from jaxmed.federated.ledger_file import read_ledger, write_ledger
from jaxmed.federated.lock import alone
from jaxmed.federated.rules import ReleaseRefused


def digest(number):
    return f"{number:064x}"


@pytest.fixture
def record(tmp_path):
    """Writes a release to the ledger, as the file of it says."""
    path = tmp_path / "l.jsonl"
    write_ledger(path, new_ledger())

    def call(rows, number=1, kind="summary", identified_by="column id", noise=False):
        before = read_ledger(path)
        entry = Entry(kind, digest(number), identified_by, noise, before.hashed(list(rows)))
        after, place = before.with_release(entry)
        write_ledger(path, after)
        assert read_ledger(path) == after
        return place, after

    return call


def people(first, last):
    return [f"person {i}" for i in range(first, last)]


def test_disjoint_rows_and_the_same_release_pass(record):
    assert record(people(0, 50))[0] == 1
    assert record(people(50, 100), 2)[0] == 2
    place, after = record(people(0, 50))
    assert place == 1 and len(after.entries) == 2


@pytest.mark.parametrize("rows", [people(0, 49), people(0, 51), people(49, 99), people(10, 20)])
def test_overlapping_rows_are_refused(record, rows):
    record(people(0, 50))
    with pytest.raises(ReleaseRefused, match="rows are in an earlier release"):
        record(rows, 2)


def test_the_same_rows_with_other_columns_are_refused(record):
    record(people(0, 50))
    with pytest.raises(ReleaseRefused, match="50 of 50 rows"):
        record(people(0, 50), 2)


def test_noise_is_never_drawn_twice(record):
    record(people(0, 50), noise=True)
    with pytest.raises(ReleaseRefused, match="spends epsilon again"):
        record(people(0, 50), noise=True)


def test_other_identifiers_cannot_be_compared(record):
    record(people(0, 50))
    with pytest.raises(ReleaseRefused, match="same persons cannot be seen"):
        record(people(50, 60), identified_by="position in a.csv")


def test_a_second_round_needs_its_summary_and_happens_once(record):
    with pytest.raises(ReleaseRefused, match="no summary in the ledger"):
        record(people(0, 50), 3, kind="second_round")
    record(people(0, 50))
    record(people(0, 50), 3, kind="second_round")
    record(people(0, 50), 3, kind="second_round")
    with pytest.raises(ReleaseRefused, match="earlier release"):
        record(people(0, 50), 4, kind="second_round")


def test_names_and_salts_differ_between_ledgers():
    one, two = new_ledger(), new_ledger()
    assert one.name != two.name and not one.hashed(["a"]) & two.hashed(["a"])
    assert one.salt.hex() not in str(one.mark(0))


def test_every_line_has_the_hash_of_the_line_before(record, tmp_path):
    for number in range(4):
        _, ledger = record(people(50 * number, 50 * number + 50), number)
    lines = [json.loads(line) for line in (tmp_path / "l.jsonl").read_text().splitlines()]
    assert [line["previous"] for line in lines[1:]] == [line["sha256"] for line in lines[:-1]]
    assert [line["number"] for line in lines[1:]] == [1, 2, 3, 4]
    for number in range(1, 5):
        mark = ledger.mark(number)
        assert (mark.ledger, mark.head) == (lines[0]["ledger"], lines[number]["sha256"])
        assert ledger.holds(mark)


@pytest.mark.parametrize(
    "text", ["", "x", "{}", "[]", "\n", "null\n", '{"schema": 1, "version": 2, "salt": "00"}\n']
)
def test_a_damaged_ledger_is_an_error_not_a_new_one(tmp_path, text):
    (tmp_path / "l.jsonl").write_text(text)
    with pytest.raises(SiteFileError, match="l.jsonl: line 1, .*restore it from a copy"):
        read_ledger(tmp_path / "l.jsonl")


def test_a_ledger_that_is_no_file_is_an_error(tmp_path):
    assert read_ledger(tmp_path / "l.jsonl") is None
    with pytest.raises(SiteFileError, match="no regular file"):
        read_ledger(tmp_path)


def test_a_ledger_of_version_1_cannot_be_compared(tmp_path):
    head = {"schema": "jaxmed.release_ledger", "version": 1, "salt": "00" * 32}
    (tmp_path / "l.jsonl").write_text(json.dumps(head) + "\n")
    with pytest.raises(SiteFileError, match="hashes cannot be compared .* keep it, and start"):
        read_ledger(tmp_path / "l.jsonl")
    (tmp_path / "l.jsonl").write_text(json.dumps(head | {"version": 3}) + "\n")
    with pytest.raises(SiteFileError, match="line 1, sha256"):
        read_ledger(tmp_path / "l.jsonl")


SEALED = {
    "rows none": {"rows": None},
    "no rows": {"rows": []},
    "rows of numbers": {"rows": [1]},
    "kind": {"kind": "third_round"},
    "digest": {"digest": "d1"},
    "noise a number": {"noise": 0},
    "a field more": {"site": "north"},
    "identified by a number": {"identified_by": 3},
    "number": {"number": 2},
    "previous": {"previous": "00" * 32},
}


@pytest.mark.parametrize("change", SEALED.values(), ids=SEALED)
def test_a_line_of_another_form_is_an_error_though_its_seal_fits(record, tmp_path, change):
    record(people(0, 50))
    path = tmp_path / "l.jsonl"
    head, entry = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(head + line_of(json.loads(entry) | change)[0])
    with pytest.raises(SiteFileError, match="l.jsonl: line 2.*restore it from a copy"):
        read_ledger(path)


def test_the_same_content_in_other_bytes_is_an_error(record, tmp_path):
    record(people(0, 50), identified_by="column \u00e9")
    path = tmp_path / "l.jsonl"
    raw = path.read_bytes()
    head, entry = raw.splitlines(keepends=True)
    assert canonical(json.loads(entry)) + b"\n" == entry
    others = [
        raw[:-1],
        raw + b"\n",
        raw.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + raw,
        head + entry.replace(b"\\u00e9", b"\\u00E9"),
        head + entry.replace(b",", b", ", 1),
        head + entry.replace(b"\\u00e9", "\u00e9".encode()),
    ]
    for other in others:
        assert other != raw
        path.write_bytes(other)
        with pytest.raises(SiteFileError, match="restore it from a copy"):
            read_ledger(path)


def test_what_could_not_be_read_back_is_not_written(record, tmp_path):
    before = (tmp_path / "l.jsonl").read_bytes()
    with pytest.raises(SiteFileError, match="line 2, identified_by: holds control characters"):
        record(people(0, 50), identified_by="column a\tb")
    assert (tmp_path / "l.jsonl").read_bytes() == before


def test_one_release_at_a_time(tmp_path):
    path = tmp_path / "l.jsonl"
    with alone(path):
        with pytest.raises(SiteFileError, match="another release is being written"):
            with alone(path):
                pass
    assert not list(tmp_path.iterdir())


def test_a_lock_that_a_killed_process_left_behind_stops_nobody(tmp_path):
    (tmp_path / "l.jsonl.lock").touch()
    with alone(tmp_path / "l.jsonl"):
        pass
    assert not list(tmp_path.iterdir())


def test_hashes_hold_no_identifier(record, tmp_path):
    record(people(0, 50))
    assert not re.search("person", (tmp_path / "l.jsonl").read_text())
