"""A ledger that anything happened to lets no row out twice while releases lie beside it."""

import collections
import shutil

import numpy as np
import pytest
from site_releases import people, put, summary

from jaxmed.federated.archive import SiteFileError
from jaxmed.federated.rules import ReleaseRefused

COHORTS = 4


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """A folder with four releases, the ledger after each of them, and another site's ledger."""
    folder = tmp_path_factory.mktemp("site")
    ledger = folder / "ledger.jsonl"
    history = []
    for cohort in range(COHORTS):
        put(folder, summary(cohort), people(cohort), f"release-{cohort}")
        history.append(ledger.read_bytes())
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    for cohort in range(2):
        put(elsewhere, summary(cohort), people(cohort + 10), f"release-{cohort}")
    return folder, ledger, history, (elsewhere / "ledger.jsonl").read_bytes()


def lines(raw):
    return raw.splitlines(keepends=True)


def without_lines(rng, now, history, other):
    keep = rng.random(len(lines(now))) < rng.choice([0.3, 0.6, 0.9])
    return b"".join(line for line, kept in zip(lines(now), keep, strict=True) if kept)


def reordered(rng, now, history, other):
    return b"".join(lines(now)[i] for i in rng.permutation(len(lines(now))))


def doubled(rng, now, history, other):
    found = lines(now)
    found.insert(rng.integers(len(found) + 1), found[rng.integers(len(found))])
    return b"".join(found)


def joined(rng, now, history, other):
    """Lines of two ledgers, one after the other or mixed."""
    first, second = (now, other) if rng.random() < 0.5 else (other, now)
    cut = rng.integers(len(lines(first)) + 1), rng.integers(len(lines(second)) + 1)
    found = lines(first)[: cut[0]] + lines(second)[cut[1] :]
    if rng.random() < 0.3:
        found = [found[i] for i in rng.permutation(len(found))]
    return b"".join(found)


def cut_short(rng, now, history, other):
    return now[: rng.integers(len(now))]


def line_by_line(rng, now, history, other):
    return b"".join(lines(now)[: rng.integers(len(lines(now)))])


def flipped(rng, now, history, other):
    raw = bytearray(now)
    for place in rng.integers(0, len(raw), rng.choice([1, 1, 1, 2, 5])):
        raw[place] ^= 1 << rng.integers(8)
    return bytes(raw)


def deleted(rng, now, history, other):
    return None


def another(rng, now, history, other):
    """A new one, or with releases of other persons."""
    return b"".join(lines(other)[: rng.integers(1, len(lines(other)) + 1)])


def older(rng, now, history, other):
    return history[rng.integers(COHORTS - 1)]


ALL = (
    without_lines,
    reordered,
    doubled,
    joined,
    cut_short,
    line_by_line,
    flipped,
    flipped,
    deleted,
    another,
    older,
)


def attempt(folder, rng):
    """Rows that overlap an earlier release, under its label; what comes of it."""
    cohort = int(rng.integers(COHORTS))
    first = int(rng.integers(0, 59))
    labels = [*people(cohort, first), *people(77, 0, first)]
    before = sorted(folder.iterdir())
    try:
        put(folder, summary(5), labels, "next")
    except (SiteFileError, ReleaseRefused) as error:
        assert sorted(folder.iterdir()) == before
        return type(error).__name__
    return "released"


@pytest.mark.parametrize("edits", [330, pytest.param(1_000, marks=pytest.mark.slow)])
def test_edits_of_a_ledger_let_nothing_out(site, edits):
    folder, ledger, history, other = site
    rng = np.random.default_rng(20)
    counts = collections.Counter()
    for number in range(edits):
        edit = ALL[number % len(ALL)]
        changed = history[-1]
        while changed == history[-1]:
            changed = edit(rng, history[-1], history, other)
        if changed is None:
            ledger.unlink()
        else:
            ledger.write_bytes(changed)
        found = attempt(folder, rng)
        assert found != "released", edit.__name__
        assert changed is None or ledger.read_bytes() == changed
        counts[edit.__name__, found] += 1
        ledger.write_bytes(history[-1])
    assert sum(counts.values()) == edits
    print(counts)
    # Every edit is seen as such: none went as far as the rows.
    assert {found for _, found in counts} == {"SiteFileError"}
    assert attempt(folder, rng) == "ReleaseRefused"


def damaged(rng, raw):
    """A flipped bit, a file cut short, or one with a piece missing."""
    first, last = sorted(rng.integers(0, len(raw), 2))
    bit = bytearray(raw)
    bit[first] ^= 1 << rng.integers(8)
    return (bytes(bit), raw[:first], raw[:first] + raw[last:])[rng.integers(3)]


@pytest.mark.parametrize("name", ["a.npz", ".next.npz.pending"])
def test_damaged_releases_beside_and_hidden_ones_let_nothing_out(tmp_path, name):
    raw = put(tmp_path, summary(), people(0)).path.read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(200):
        (tmp_path / name).write_bytes(damaged(rng, raw))
        with pytest.raises((SiteFileError, ReleaseRefused)):
            put(tmp_path, summary(5), [*people(0, 30), *people(77, 0, 30)], "next")


def test_without_the_releases_beside_an_older_ledger_is_not_seen(site, tmp_path):
    """The limit of what the marks can do; docs/federated.md says so."""
    folder, _, history, _ = site
    (tmp_path / "ledger.jsonl").write_bytes(history[1])
    put(tmp_path, summary(3), people(3))
    shutil.copy(folder / "release-3.npz", tmp_path / "copy.npz")
    with pytest.raises(SiteFileError, match="has 3 releases, copy.npz is number 4"):
        put(tmp_path, summary(5), people(5))
