"""Every JSON document that jaxmed reads, damaged 5,000 times.

What is read is what was written, or there is an error of the documented class: never another
error, never a wait, never another number where the format protects numbers.
"""

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import mutations
import numpy as np
import pytest
import site_problems

from jaxmed.analysis.generator_checkpoint import Checkpoint
from jaxmed.data.archive import read_arrays
from jaxmed.data.atomic import npz_bytes
from jaxmed.data.documents import DocumentError, sealed
from jaxmed.federated.archive import Content, SiteFileError, write_archive
from jaxmed.federated.ledger import Entry, new_ledger
from jaxmed.federated.ledger_file import read_ledger, write_ledger
from jaxmed.federated.storage import load_site, save_site
from jaxmed.federated.summary import summarise
from jaxmed.gahmn.config import improved
from jaxmed.gahmn.storage import StoredStateError, load_fitted
from jaxmed.reports.record import read_result, result_json
from jaxmed.studies.once import stored_once
from jaxmed.sweeps import BlockTask
from jaxmed.sweeps import plan as plans
from jaxmed.sweeps.leases import Leases, is_stale
from jaxmed.sweeps.store import progress_of
from jaxmed.sweeps.task import Cell

QUICK, TOTAL = 1_600, 5_000
LIMIT = 10.0  # seconds that a read may take on a busy machine
HASH = "a" * 64


@dataclasses.dataclass(frozen=True)
class Document:
    """A file, how it is read, and what its format promises.

    Attributes:
      path: of a good file.
      read: the protected value of the file, as a text; whatever it is where nothing is protected.
      errors: that are documented, these very types.
      text: JSON in the bytes of the file.
      file: bytes of the file with another JSON.
      seal: gives a changed value a fitting checksum, as a stranger can; None: nothing to fit.
      same: whether a value is what was written.
    """

    path: Path
    read: Callable[[], str]
    errors: tuple[type[Exception], ...]
    text: Callable[[bytes], bytes] = bytes
    file: Callable[[bytes], bytes] = bytes
    seal: Callable[[Any], bytes] | None = None
    same: Callable[[str, str], bool] = str.__eq__


def anything(found, good):
    """Nothing is protected."""
    return True


def seal_again(document):
    return json.dumps(sealed(document)).encode()


def lease(folder):
    path = folder / "0.lease"
    with Leases() as leases:
        leases.take(path)
        raw = path.read_bytes()
    path.write_bytes(raw)
    # Who holds a chunk is a hint: two workers of one chunk write the same bytes.
    return Document(path, lambda: str(is_stale(path)), (), same=anything)


def plan(folder):
    task = BlockTask(lambda key, mean, size: {"law": jnp.full(size, mean)})
    cells = [Cell(f"law/{i}", task, float(i), 100 + i, 16) for i in range(3)]
    study = {
        "name": "own/law",
        "title": "A law",
        "source": {"file": "/a/law.py", "variable": "STUDY", "sha256": HASH},
    }
    made = plans.make_plan(cells, study=study, scale=0.5, seed=7, precision="float64", nproc=2)
    plans.store_plan(folder, made)

    def read():
        try:
            found = plans.read_plan(folder)
        except ValueError as error:
            if "no run directory" in str(error):  # a folder, or a pipe
                raise DocumentError("plan.json", "document", "is missing", "") from error
            raise
        counted = list(progress_of(folder, found["cells"]))
        kept = {name: value for name, value in plans._flat(found) if name not in plans._NEUTRAL}
        return repr((sorted(kept.items()), sorted(map(dataclasses.astuple, counted))))

    def rehashed(document):
        return json.dumps(document | {"config": plans._config_hash(document)}).encode()

    return Document(folder / "plan.json", read, (DocumentError,), seal=rehashed)


class ComputedAgain(Exception):
    """What was kept is damaged or another run's: that was said, and it was computed again."""


def once(folder):
    values = {"draws": [0.25, -1.5, float("nan")], "time": 12.75, "name": "x"}
    stored_once(folder, HASH, lambda: values, print)

    def read():
        said = []
        found = stored_once(folder, HASH, lambda: values, said.append)
        if said:
            raise ComputedAgain(said)
        return repr(found)

    return Document(folder / "once.json", read, (ComputedAgain,), seal=seal_again)


def state(folder):
    saved = Checkpoint(folder, HASH)
    saved.write("mediators", 20, {"a": np.arange(3.0)})
    return Document(
        folder / "state.json", lambda: repr(saved.place()), (StoredStateError,), seal=seal_again
    )


def generators(folder):
    from jaxmed.gahmn.stored_config import SCHEMA, SCHEMA_VERSION

    arms = {"control": 0.0, "treated": 1.0}
    scale = {
        "mediator_mean": 0.0,
        "mediator": 1.0,
        "outcome_mean": 0.0,
        "outcome": 1.0,
        "covariate_mean": 0.0,
        "covariate": 1.0,
        "valid": True,
    }
    parts = ("residual_scale", "exposure_support", "mediator_support", "mediator/a", "outcome/b")
    arrays = {f"scale/arms/{n}": np.asarray(v) for n, v in arms.items()}
    arrays |= {f"scale/{n}": np.asarray(v) for n, v in scale.items()}
    arrays |= {f"generators/{n}": np.ones(2) for n in parts}
    (folder / "generators.npz").write_bytes(npz_bytes(arrays))
    config = json.loads(json.dumps(dataclasses.asdict(improved())))
    facts = {"schema": SCHEMA, "schema_version": SCHEMA_VERSION, "config": config, "names": {}}
    path = folder / "generators.json"
    path.write_bytes(seal_again(facts))
    return Document(
        path, lambda: repr(load_fitted(folder).config), (StoredStateError,), seal=seal_again
    )


def site(folder):
    path = folder / "site.npz"
    save_site(summarise(site_problems.sites()[0], site="north"), path)
    whole = read_arrays(path)
    arrays = {name: whole[name] for name in ("counts", "mean", "comoment")}

    def file(text):
        return npz_bytes(whole | {"metadata": np.frombuffer(text, np.uint8)})

    def signed(document):
        return write_archive(folder / "again.npz", Content(document, arrays)).read_bytes()

    def text(raw):
        del raw
        return whole["metadata"].tobytes()

    def read():
        found = load_site(path)
        return f"{found.digest} {found.rules} {found.noise}"

    return Document(path, read, (SiteFileError, FileNotFoundError), text, file, signed)


def ledger(folder):
    path = folder / "ledger.jsonl"
    made = new_ledger()
    for i in range(3):
        rows = frozenset(made.hashed([f"person {i} {j}" for j in range(4)]))
        made = made.appended(Entry("summary", f"{i}" * 64, "column id", False, rows))
    write_ledger(path, made)

    def read():
        found = read_ledger(path)
        assert found is not None
        return "\n".join(found.seals)

    # Lines cut off at the end are seen by the releases, not by the ledger alone.
    def same(found, good):
        return good.startswith(found)

    return Document(path, read, (SiteFileError,), same=same)


def result(folder):
    path = folder / "levels.json"
    joint = {"statistic": 2.5, "p_value": 0.04, "df": 2, "df_residual": 50}
    document = {
        "schema": "jaxmed.levels",
        "schema_version": 2,
        "exposure": "dose",
        "reference": "none",
        "levels": {"low": {"total": 0.25}},
        "joint": joint,
        "data": {"files": None},
    }
    path.write_text(result_json(document))
    return Document(path, lambda: repr(read_result(path)), (DocumentError,), seal=seal_again)


DOCUMENTS = [lease, plan, once, state, generators, site, ledger, result]


@contextlib.contextmanager
def limited(seconds):
    """An AssertionError where something waits for ever."""

    def too_long(*_):
        raise AssertionError(f"took longer than {seconds} s")

    if not hasattr(signal, "setitimer"):
        yield
        return
    before = signal.signal(signal.SIGALRM, too_long)
    left = signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)
        signal.signal(signal.SIGALRM, before)


def remove(path):
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def outcome(document, good, protected):
    """What became of a read: error, unchanged, or accepted where nothing is protected."""
    try:
        with limited(LIMIT):
            found = document.read()
    except Exception as error:
        if type(error) not in document.errors:
            raise AssertionError(f"untyped {error!r}") from error
        return "error"
    if protected:
        assert document.same(found, good), f"read {found}"
    return "unchanged" if found == good else "accepted"


def odd_files(path):
    """Ways to put no file where one belongs."""
    yield path.mkdir
    if hasattr(os, "mkfifo"):
        yield lambda: os.mkfifo(path)


def resealed(document, text, rng):
    """A changed value with a checksum that fits; None where it has none."""
    with contextlib.suppress(ValueError, RecursionError, TypeError, AttributeError, OverflowError):
        return document.seal(json.loads(mutations.of_values(text, rng)))
    return None


@pytest.mark.parametrize("total", [QUICK, pytest.param(TOTAL, marks=pytest.mark.slow)])
@pytest.mark.parametrize("make", DOCUMENTS, ids=lambda make: make.__name__)
def test_damage_is_seen(make, total, tmp_path):
    document, rng = make(tmp_path), mutations.generator(make.__name__)
    whole, good = document.path.read_bytes(), document.read()
    text, seen, slowest = document.text(whole), Counter(), 0.0

    def check(put, protected, shown):
        nonlocal slowest
        remove(document.path)
        put()
        start = time.perf_counter()
        try:
            seen[outcome(document, good, protected)] += 1
        except AssertionError as error:
            raise AssertionError(f"{error} after {shown!r:.500}") from error
        slowest = max(slowest, time.perf_counter() - start)

    def check_bytes(raw, protected, shown):
        check(lambda: document.path.write_bytes(raw), protected, shown)

    number = -(-total // len(DOCUMENTS))
    for put in odd_files(document.path):
        check(put, True, put)
    for raw in mutations.other_files(rng):
        check_bytes(raw, True, raw)
        check_bytes(document.file(raw), True, raw)
    while sum(seen.values()) < number:
        changed = mutations.damaged(text, rng)
        check_bytes(document.file(changed), True, changed)
        if document.seal is not None and (again := resealed(document, text, rng)) is not None:
            check_bytes(again, False, again)
    check_bytes(whole, True, whole)
    assert seen["error"] > number / 3 or make is lease
    counts = ", ".join(f"{count} {name}" for name, count in sorted(seen.items()))
    print(f"{make.__name__}: {counts}; slowest {slowest * 1000:.0f} ms")  # pytest -s shows it
