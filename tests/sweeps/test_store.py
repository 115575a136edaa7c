"""The run directory: chunk files, leases, plans, and workers that share them."""

import dataclasses
import json
import os
import random
import socket
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.data.documents import DocumentError
from jaxmed.sweeps import BlockTask, combine, moments, quantiles, stack
from jaxmed.sweeps import plan as plans
from jaxmed.sweeps.leases import Leases, is_stale
from jaxmed.sweeps.plan import PlanMismatchError, make_plan, read_plan, store_plan
from jaxmed.sweeps.store import (
    CorruptChunkError,
    IncompleteRunError,
    fold,
    jobs_of,
    progress_of,
    read_chunk,
    write_chunk,
)
from jaxmed.sweeps.sweep import run_cell
from jaxmed.sweeps.task import Cell, named_key
from jaxmed.sweeps.work import work

KEY = jax.random.key(7)
ELSEWHERE = json.dumps({"host": "another-host", "pid": 1, "token": "x"})


def one(key, mean):
    value = mean + jax.random.normal(key)
    return {"a/value": value, "a/status": jnp.where(value > 1, 30, 0), "b/value": value**2}


def block(key, scale, size):
    return {"law": scale * jax.random.normal(key, (size,))}


CELLS = (
    Cell("one/mean=0", one, jnp.asarray(0.0), 70, 16, 1, combine(m=moments(), all=stack())),
    Cell("one/mean=1", one, jnp.asarray(1.0), 64, 16, 4, quantiles([0.5])),
    Cell("../block: all", BlockTask(block), jnp.asarray(2.0), 100, 32, None, stack()),
)


def in_process(cells=CELLS):
    return {cell.name: run_cell(named_key(KEY, cell.name), cell) for cell in cells}


def files(directory):
    """Every chunk file with its bytes."""
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("chunks/*/*")}


def assert_same(found, expected):
    assert list(found) == list(expected)
    for name, value in expected.items():
        assert found[name].dtype == value.dtype and found[name].shape == value.shape
        assert found[name].tobytes() == value.tobytes(), name


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    directory = tmp_path_factory.mktemp("undisturbed")
    assert work(directory, CELLS, KEY)
    return directory


def test_folded_chunks_equal_the_sweep_in_one_process(undisturbed):
    expected = in_process()
    for cell in CELLS:
        state = read_chunk(jobs_of(undisturbed, [cell])[0])
        for job in jobs_of(undisturbed, [cell])[1:]:
            state = cell.reducer.merge(state, read_chunk(job))
        assert_same(state, expected[cell.name])
    found = fold(undisturbed, CELLS)
    for cell in CELLS:
        assert repr(found[cell.name]) == repr(cell.reducer.finish(expected[cell.name]))


@pytest.mark.parametrize("worker", [1, 5])
def test_the_order_of_the_work_does_not_matter(undisturbed, tmp_path, worker):
    work(tmp_path, CELLS, KEY, worker=worker)
    assert files(tmp_path) == files(undisturbed)


def test_two_workers_share_the_chunks(undisturbed, tmp_path):
    counts = [[], []]

    def one_worker(i):
        work(tmp_path, CELLS, KEY, worker=i, progress=counts[i].append, pause=0.01)

    threads = [threading.Thread(target=one_worker, args=(i,)) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert files(tmp_path) == files(undisturbed)
    assert sum(map(sum, counts)) == sum(cell.count for cell in CELLS)  # nothing twice


def test_states_read_back_with_their_names_and_types(tmp_path):
    job = jobs_of(tmp_path, CELLS)[0]
    state = {
        "m:a/x": np.arange(3.0),
        "#": np.array([2**40]),
        "empty": np.zeros((2, 0), np.int64),
        "half/ü": np.float32([[1.5, np.nan]]),
        "flag": np.array([True, False]),
    }
    write_chunk(job, state)
    assert_same(read_chunk(job), state)
    first = job.path.read_bytes()
    write_chunk(job, state)
    assert job.path.read_bytes() == first
    assert job.path.resolve().is_relative_to(tmp_path)


def test_every_damage_is_recognised(undisturbed):
    job = jobs_of(undisturbed, CELLS)[0]
    whole, expected = job.path.read_bytes(), read_chunk(job)
    rng = random.Random(0)
    cuts = [whole[:n] for n in (0, 1, 100, len(whole) // 2, len(whole) - 1)]
    flips = []
    for _ in range(300):
        place, bit = rng.randrange(len(whole)), 1 << rng.randrange(8)
        flips.append(whole[:place] + bytes([whole[place] ^ bit]) + whole[place + 1 :])
    recognised = 0
    try:
        for damaged in cuts + flips:
            job.path.write_bytes(damaged)
            try:
                assert_same(read_chunk(job), expected)  # a flipped date of the archive, say
            except CorruptChunkError:
                recognised += 1
    finally:
        job.path.write_bytes(whole)
    assert recognised > 200


def test_a_damaged_chunk_is_reported_kept_and_computed_again(undisturbed, tmp_path):
    work(tmp_path, CELLS, KEY)
    first, second = jobs_of(tmp_path, CELLS)[:2]
    first.path.write_bytes(first.path.read_bytes()[:-40])
    second.path.write_bytes(jobs_of(tmp_path, CELLS)[2].path.read_bytes())  # the wrong chunk
    with pytest.raises(CorruptChunkError, match=first.path.name):
        fold(tmp_path, CELLS)
    said = []
    work(tmp_path, CELLS, KEY, report=said.append)
    assert len(said) == 2 and all("computed again" in sentence for sentence in said)
    kept = sorted(p for p in files(tmp_path) if p.endswith(".corrupt"))
    assert len(kept) == 2
    sound = {name: raw for name, raw in files(tmp_path).items() if name not in kept}
    assert sound == files(undisturbed)


def test_a_missing_chunk_is_named(undisturbed, tmp_path):
    with pytest.raises(IncompleteRunError, match="chunk 0 of cell 'one/mean=0'"):
        fold(tmp_path, CELLS)


def dead_pid():
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    return child.pid


def test_leases_of_the_dead_are_stale_at_once(tmp_path):
    path = tmp_path / "0.lease"
    with Leases() as mine, Leases() as other:
        assert mine.take(path) and not other.take(path) and not is_stale(path)
        content = json.loads(path.read_text())
        path.write_text(json.dumps(content | {"pid": dead_pid()}))
        assert is_stale(path) and other.take(path)
        mine.release(path)  # it is no longer mine
        assert path.exists()
    assert not path.exists()


def test_leases_of_other_hosts_are_stale_after_a_while(tmp_path):
    path = tmp_path / "0.lease"
    path.write_text(ELSEWHERE)
    assert not is_stale(path, 60)
    os.utime(path, (time.time() - 61,) * 2)
    assert is_stale(path, 60)
    path.write_text("")  # its process died between making and writing it
    assert not is_stale(path, 60)
    assert not is_stale(tmp_path / "none.lease")


@pytest.mark.parametrize(
    "raw",
    [
        b"{}",
        b"null",
        b"3",
        b'"a"',
        b"\xff\xfe",
        b"[" * 5000,
        *(
            f'{{"host": "{socket.gethostname()}", "pid": {pid}, "token": "0"}}'.encode()
            for pid in (10**30, -1, 0, "null", '"7"', 1.5)
        ),
    ],
)
def test_a_lease_that_cannot_be_read_has_an_unknown_owner(tmp_path, raw):
    path = tmp_path / "0.lease"
    path.write_bytes(raw)
    assert not is_stale(path, 60)
    for age in (-61, 61):  # a clock that was ahead holds nothing for ever
        os.utime(path, (time.time() - age,) * 2)
        assert is_stale(path, 60)
    with Leases() as leases:
        assert leases.take(path) and not is_stale(path)
        path.write_bytes(raw)
    assert path.read_bytes() == raw  # no longer the lease that was held


def test_leases_from_the_future_become_stale(tmp_path):
    path = tmp_path / "0.lease"
    path.write_text(ELSEWHERE)
    os.utime(path, (time.time() + 61,) * 2)
    assert is_stale(path, 60)


def misplaced(path, kind):
    """Something of another kind where a file belongs."""
    if kind == "folder":
        path.mkdir()
        (path / "full").touch()
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.symlink_to(path.parent / "nowhere")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="POSIX")
@pytest.mark.parametrize("kind", ["folder", "pipe", "link"])
def test_other_things_in_place_of_files_hold_nothing_up(undisturbed, tmp_path, kind):
    first, second, third = jobs_of(tmp_path, CELLS)[:3]
    first.path.parent.mkdir(parents=True)
    misplaced(first.lease, kind)
    misplaced(second.path, kind)
    misplaced(second.path.with_suffix(".corrupt"), kind)
    misplaced(third.lease, kind)
    for job in (first, third):
        os.utime(job.lease, (0, 0), follow_symlinks=False)
    found = next(progress_of(tmp_path, make(CELLS)["cells"]))
    assert found.stale == 2
    assert work(tmp_path, CELLS, KEY, report=lambda sentence: None)
    expected = files(undisturbed)
    for job in jobs_of(tmp_path, CELLS):
        assert job.path.read_bytes() == expected[str(job.path.relative_to(tmp_path))]
    assert not list(tmp_path.rglob("*.lease"))


def test_leases_are_renewed_while_they_are_held(tmp_path):
    path = tmp_path / "0.lease"
    with Leases(stale_after=0.4) as leases:
        leases.take(path)
        before = path.stat().st_mtime_ns
        deadline = time.monotonic() + 20
        while path.stat().st_mtime_ns == before and time.monotonic() < deadline:
            time.sleep(0.05)
        assert path.stat().st_mtime_ns > before


def test_chunks_of_others_are_waited_for_and_taken_over_when_stale(undisturbed, tmp_path):
    held = jobs_of(tmp_path, CELLS)[1]
    held.lease.parent.mkdir(parents=True)
    held.lease.write_text(ELSEWHERE)
    asked = []

    def twice_without_work():
        asked.append(None)
        return len(asked) > 40

    assert not work(tmp_path, CELLS, KEY, pause=0.01, stop=twice_without_work)
    assert not held.path.exists() and held.lease.exists()
    os.utime(held.lease, (0, 0))
    assert work(tmp_path, CELLS, KEY)
    assert files(tmp_path) == files(undisturbed)


def test_progress_counts_done_leased_and_stale(undisturbed, tmp_path):
    plan = make(CELLS)
    jobs = jobs_of(tmp_path, CELLS)
    for job in jobs[:3]:
        job.path.parent.mkdir(parents=True, exist_ok=True)
    jobs[4].path.write_bytes(b"")  # the last chunk of the first cell has 70 - 64 replicates
    jobs[0].lease.write_text(ELSEWHERE)
    jobs[1].lease.write_text(ELSEWHERE)
    os.utime(jobs[1].lease, (0, 0))
    first = next(progress_of(tmp_path, plan["cells"]))
    assert dataclasses.astuple(first) == ("one/mean=0", 1, 1, 1, 5, 6, 70)
    whole = list(progress_of(undisturbed, plan["cells"]))
    assert [c.replicates for c in whole] == [c.count for c in whole] == [70, 64, 100]


def make(cells, seed=1, scale=1.0, nproc=2, title="t"):
    source = {"name": "s", "title": title, "source": {"registered": "s"}}
    return make_plan(cells, study=source, scale=scale, seed=seed, precision="float64", nproc=nproc)


def test_a_plan_is_kept_and_another_one_refused_with_what_differs(tmp_path):
    plan = make(CELLS)
    store_plan(tmp_path, plan)
    store_plan(tmp_path, make(CELLS))
    assert read_plan(tmp_path) == plan
    other = (CELLS[0], dataclasses.replace(CELLS[1], parameters=jnp.asarray(1.5)), CELLS[2])
    with pytest.raises(PlanMismatchError) as caught:
        store_plan(tmp_path, make(other, seed=2))
    assert "seed (1 there, 2 now)" in str(caught.value)
    assert "cells[one/mean=1].parameters" in str(caught.value)
    assert "one/mean=0" not in str(caught.value)


def test_the_title_and_the_order_of_cells_are_free():
    assert make(CELLS, title="another")["config"] == make(CELLS)["config"]
    assert make(CELLS[::-1])["config"] == make(CELLS)["config"]


def test_the_code_of_a_task_is_part_of_the_configuration():
    def shifted(by):
        return lambda key, parameters: {"x": jax.random.normal(key) + by}

    def config(task):
        return make([Cell("c", task, None, 10, chunk=5)])["config"]

    assert config(shifted(0.0)) == config(shifted(0.0)) != config(shifted(5.0))


def test_chunks_of_another_plan_are_computed_again(tmp_path):
    """Somebody deletes the plan and leaves the chunks."""
    key = jax.random.key(0)
    store_plan(tmp_path, make(CELLS, seed=1))
    assert work(tmp_path, CELLS, key)
    (tmp_path / "plan.json").unlink()
    store_plan(tmp_path, make(CELLS, seed=2))
    with pytest.raises(CorruptChunkError, match="of run"):
        fold(tmp_path, CELLS)
    with pytest.warns(UserWarning, match="computed again"):
        assert work(tmp_path, CELLS, key)
    fold(tmp_path, CELLS)


def test_leases_of_finished_chunks_are_removed(tmp_path):
    key = jax.random.key(0)
    assert work(tmp_path, CELLS, key)
    left = jobs_of(tmp_path, CELLS)[0].lease
    left.write_text(json.dumps({"host": socket.gethostname(), "pid": 2**22 + 1, "token": "0"}))
    assert work(tmp_path, CELLS, key)
    assert not left.exists()


@pytest.mark.parametrize(
    "change",
    [
        {"chunk": 8},
        {"batch": 2},
        {"count": 71},
        {"reducer": stack()},
        {"name": "x"},
        {"parameters": np.float32(0.0)},
    ],
)
def test_whatever_determines_numbers_changes_the_configuration(change):
    other = (dataclasses.replace(CELLS[0], **change), *CELLS[1:])
    assert make(other)["config"] != make(CELLS)["config"]


def test_a_plan_changed_by_hand_is_refused(tmp_path):
    store_plan(tmp_path, make(CELLS))
    path = tmp_path / "plan.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 3'))
    with pytest.raises(ValueError, match="was changed"):
        read_plan(tmp_path)
    path.write_text("{")
    with pytest.raises(ValueError, match="is no JSON"):
        read_plan(tmp_path)
    with pytest.raises(ValueError, match="no run directory"):
        read_plan(tmp_path / "none")


def rehashed(plan):
    """The plan as somebody writes it who knows how its hash is made."""
    return plan | {"config": plans._config_hash(plan)}


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("nproc", lambda plan: plan | {"nproc": 0}),
        ("nproc", lambda plan: plan | {"nproc": "2; x"}),
        ("precision", lambda plan: plan | {"precision": "float16"}),
        ("seed", lambda plan: plan | {"seed": 10**400}),
        ("scale", lambda plan: plan | {"scale": 0}),
        ("study.name", lambda plan: plan | {"study": plan["study"] | {"name": "\x1b[2J"}}),
        ("cells", lambda plan: plan | {"cells": []}),
        ("cells[1].name", lambda plan: plan | {"cells": [plan["cells"][0]] * 2}),
        (
            "cells[0].num_chunks",
            lambda plan: plan | {"cells": [plan["cells"][0] | {"num_chunks": 10**6}]},
        ),
        ("cells[0].count", lambda plan: plan | {"cells": [plan["cells"][0] | {"count": 2**40}]}),
        ("schema_version", lambda plan: plan | {"schema_version": 2}),
    ],
)
def test_a_plan_of_another_form_names_the_field(tmp_path, field, change):
    (tmp_path / "plan.json").write_text(json.dumps(rehashed(change(make(CELLS)))))
    with pytest.raises(DocumentError) as error:
        read_plan(tmp_path)
    assert error.value.field == field and str(tmp_path) in str(error.value)


def test_a_name_that_a_plan_cannot_hold_is_refused_before_the_work():
    with pytest.raises(DocumentError, match="control characters"):
        make([dataclasses.replace(CELLS[0], name="a\nb")])


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ValueError, match="seed"):
        make(CELLS, seed=seed)


def test_two_cells_of_one_name_are_refused():
    with pytest.raises(ValueError, match="same random numbers"):
        make((CELLS[0], CELLS[0]))
    with pytest.raises(ValueError, match="at least one cell"):
        make(())
