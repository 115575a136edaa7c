"""File and ledger are written together or not at all, by one process at a time."""

import errno
import multiprocessing
import os
import stat
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import pytest
from site_problems import sites
from site_releases import noisy, people, put, summary, sums

from jaxmed.federated import releasing
from jaxmed.federated.archive import SiteFileError
from jaxmed.federated.ledger_file import read_ledger
from jaxmed.federated.merged import merged_of, save_merged
from jaxmed.federated.releasing import write_release
from jaxmed.federated.rules import ReleaseRefused
from jaxmed.federated.second_round import load_sums, save_sums
from jaxmed.federated.storage import load_site, save_site
from jaxmed.federated.summary import content_of, summarise

KEY = b"0123456789abcdef0123456789abcdef"
BOTH = pytest.mark.parametrize("make", [summary, noisy])
posix = pytest.mark.skipif(os.name == "nt", reason="modes of files are those of POSIX")


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def entries(folder):
    return read_ledger(folder / "ledger.jsonl").entries


@BOTH
def test_file_and_ledger_say_the_same(tmp_path, make):
    item = make()
    done = put(tmp_path, item, people(0))
    assert names(tmp_path) == ["a.npz", "ledger.jsonl"] and not done.finished
    found = load_site(done.path)
    assert found.digest == item.digest == entries(tmp_path)[0].digest
    assert found.ledger == done.mark and done.mark.length == 1
    assert read_ledger(tmp_path / "ledger.jsonl").holds(done.mark)


def test_sums_of_a_second_round_carry_a_mark_too(tmp_path):
    with pytest.raises(ReleaseRefused, match="run `summarise` first"):
        put(tmp_path, sums(), people(0), "sums")
    assert names(tmp_path) == []
    put(tmp_path, summary(), people(0))
    done = put(tmp_path, sums(), people(0), "sums", key=KEY)
    assert load_sums(done.path, key=KEY).ledger == done.mark and done.mark.length == 2


def test_the_same_release_again_is_the_same_file(tmp_path):
    first = put(tmp_path, summary(), people(0)).path.read_bytes()
    put(tmp_path, summary(1), people(1), "b")
    assert put(tmp_path, summary(), people(0), "c").path.read_bytes() == first
    assert len(entries(tmp_path)) == 2


@BOTH
@pytest.mark.parametrize(("cohort", "site"), [(0, "east"), (1, "north")])
def test_persons_are_known_under_another_label_and_in_another_spelling(
    tmp_path, make, cohort, site
):
    put(tmp_path, summary(), people(0))
    again = [f" {label.lower()}\u200b" for label in people(0)]
    with pytest.raises(ReleaseRefused, match="60 of 60 rows are in an earlier release"):
        put(tmp_path, make(cohort, site), again, "b")
    assert names(tmp_path) == ["a.npz", "ledger.jsonl"]


def test_a_person_may_have_several_rows_and_is_hashed_once(tmp_path):
    labels = [*people(0, 0, 30), *people(0, 0, 30)]
    put(tmp_path, summarise(sites()[0], site="north", persons=labels), labels)
    assert len(entries(tmp_path)[0].rows) == 30
    with pytest.raises(ReleaseRefused, match="differ only in how they are written"):
        put(tmp_path, summary(1), ["p1", "P1", *people(1, 2)], "b")


@posix
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_the_ledger_is_private_and_the_file_has_the_mode_of_other_files(tmp_path, mask, mode):
    before = os.umask(mask)
    try:
        put(tmp_path, summary(), people(0))
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "ledger.jsonl").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "a.npz").stat().st_mode) == mode


def test_nothing_of_the_moments_without_noise_is_beside_a_noisy_release(tmp_path):
    item, bare = noisy(), summary()
    put(tmp_path, item, people(0))
    save_merged(merged_of([item]), tmp_path / "merged.npz")
    secrets = [bare.digest.encode(), bytes.fromhex(bare.digest)]
    secrets += [a.tobytes() for n, a in content_of(bare).arrays.items() if n != "counts"]
    held = [(tmp_path / "ledger.jsonl").read_bytes()]
    for name in ("a.npz", "merged.npz"):
        with np.load(tmp_path / name) as archive:
            held += [archive[member].tobytes() for member in archive]
    assert any(item.digest.encode() in part for part in held)
    assert not any(secret in part for secret in secrets for part in held)


# What goes wrong: which call of which function of `os`, by the name of the file that it is for.


def disk_error(*_, **__):
    raise OSError(errno.EIO, os.strerror(errno.EIO))


def at_replace(name):
    """The file of this name cannot be put in place."""

    def break_it(monkeypatch, folder):
        whole = os.replace

        def replace(source, target):
            if Path(target).name == name:
                disk_error()
            whole(source, target)

        monkeypatch.setattr(os, "replace", replace)

    return break_it


def at_sync(number):
    """The disk takes that many syncs, and no more."""

    def break_it(monkeypatch, folder):
        whole, calls = os.fsync, []

        def fsync(handle):
            calls.append(handle)
            if len(calls) > number:
                disk_error()
            whole(handle)

        monkeypatch.setattr(os, "fsync", fsync)

    return break_it


def at_chmod(monkeypatch, folder):
    monkeypatch.setattr(os, "chmod", disk_error)


def interrupted(monkeypatch, folder):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "chmod", stop)


FAILURES = {
    "ledger": at_replace("ledger.jsonl"),
    "name": at_replace("a.npz"),
    "mode": at_chmod,
    "interrupted": interrupted,
    **{f"sync {number}": at_sync(number) for number in range(4)},
}


@BOTH
@pytest.mark.parametrize("earlier", [False, True], ids=["first", "second"])
@pytest.mark.parametrize("fail", FAILURES.values(), ids=FAILURES)
def test_a_failed_write_spends_nothing_and_leaves_nothing(
    tmp_path, monkeypatch, fail, earlier, make
):
    if earlier:
        put(tmp_path, summary(1), people(1), "earlier")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with monkeypatch.context() as broken:
        fail(broken, tmp_path)
        with pytest.raises((OSError, KeyboardInterrupt)):
            put(tmp_path, make(), people(0))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    item = make()
    done = put(tmp_path, item, people(0), "b")
    assert load_site(done.path).digest == item.digest and not done.finished
    assert len(entries(tmp_path)) == 1 + earlier


def no_folder(folder):
    (folder / "file").touch()
    return folder / "file" / "a.npz"


def a_folder(folder):
    (folder / "a.npz").mkdir()
    return folder / "a.npz"


def too_long(folder):
    return folder / f"{'n' * 250}.npz"


@BOTH
@pytest.mark.parametrize("out", [no_folder, a_folder, too_long])
def test_a_bad_path_spends_nothing(tmp_path, out, make):
    path = out(tmp_path)
    before = names(tmp_path)
    with pytest.raises(OSError):
        put(tmp_path, make(), people(0), out=path)
    assert names(tmp_path) == before
    assert not put(tmp_path, make(), people(0), "good").finished


@BOTH
def test_a_folder_that_takes_no_file_spends_nothing(tmp_path, monkeypatch, make):
    whole = os.open

    def refuse(path, flags, *more, **named):
        if flags & os.O_CREAT and Path(path).parent.name == "sealed":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return whole(path, flags, *more, **named)

    with monkeypatch.context() as broken:
        broken.setattr(os, "open", refuse)
        with pytest.raises(PermissionError):
            put(tmp_path, make(), people(0), out=tmp_path / "sealed" / "a.npz")
    assert not put(tmp_path, make(), people(0), "good").finished


def test_a_release_is_found_by_its_name(tmp_path):
    with pytest.raises(ValueError, match="does not end in .npz"):
        put(tmp_path, summary(), people(0), out=tmp_path / "a.summary")
    assert names(tmp_path) == []


@posix
def test_a_link_to_a_ledger_is_that_ledger(tmp_path):
    done = put(tmp_path, summary(), people(0))
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "ledger.jsonl").symlink_to(tmp_path / "ledger.jsonl")
    again = put(tmp_path / "site", summary(1), people(1))
    assert again.mark.ledger == done.mark.ledger and len(entries(tmp_path)) == 2
    assert (tmp_path / "site" / "ledger.jsonl").is_symlink()


def killed(monkeypatch, name):
    """As if the process ended where the file of this name is put in place."""
    at_replace(name)(monkeypatch, None)
    monkeypatch.setattr(releasing, "_take_back", lambda *_: None)


@BOTH
def test_a_release_that_was_killed_before_the_ledger_was_written_is_done_anew(
    tmp_path, monkeypatch, make
):
    with monkeypatch.context() as broken:
        killed(broken, "ledger.jsonl")
        with pytest.raises(OSError):
            put(tmp_path, make(), people(0))
    assert ".a.npz.pending" in names(tmp_path)
    item = make()
    assert not put(tmp_path, item, people(0)).finished
    assert load_site(tmp_path / "a.npz").digest == item.digest
    assert names(tmp_path) == ["a.npz", "ledger.jsonl"]


@BOTH
@pytest.mark.parametrize("key", [None, KEY])
def test_a_release_that_was_killed_before_its_file_had_a_name_is_finished(
    tmp_path, monkeypatch, make, key
):
    """With noise by the file that was drawn then."""
    item = make()
    with monkeypatch.context() as broken:
        killed(broken, "a.npz")
        with pytest.raises(OSError):
            put(tmp_path, item, people(0), key=key)
    hidden = tmp_path / ".a.npz.pending"
    if os.name != "nt":
        assert stat.S_IMODE(hidden.stat().st_mode) in (0o600, 0o644)
    drawn = hidden.read_bytes()
    with pytest.raises(ReleaseRefused, match="interrupted release of other rows"):
        put(tmp_path, summary(1), people(1))
    if key is not None:
        with pytest.raises(SiteFileError, match="another key"):
            put(tmp_path, make(), people(0), key=KEY[::-1])
    done = put(tmp_path, make(), people(0), key=key)
    assert done.finished and done.path.read_bytes() == drawn
    assert load_site(done.path, key=key).digest == item.digest
    assert names(tmp_path) == ["a.npz", "ledger.jsonl"] and len(entries(tmp_path)) == 1


def test_sums_that_were_interrupted_are_finished(tmp_path, monkeypatch):
    put(tmp_path, summary(), people(0))
    with monkeypatch.context() as broken:
        killed(broken, "sums.npz")
        with pytest.raises(OSError):
            put(tmp_path, sums(), people(0), "sums")
    assert put(tmp_path, sums(), people(0), "sums").finished
    assert load_sums(tmp_path / "sums.npz").merged == sums().merged


@pytest.mark.parametrize("content", [b"", b"half", None])
def test_a_hidden_file_that_is_no_release_is_removed(tmp_path, content):
    hidden = tmp_path / ".a.npz.pending"
    if content is None:  # of a ledger that was never written
        save_site(load_site(put(tmp_path / "x", summary(), people(0)).path), hidden)
    else:
        hidden.write_bytes(content)
    assert not put(tmp_path, summary(), people(0)).finished
    assert not hidden.exists()


@BOTH
def test_where_the_disk_refuses_everything_the_next_release_finishes(tmp_path, monkeypatch, make):
    item = make()
    with monkeypatch.context() as broken:
        at_replace("a.npz")(broken, tmp_path)
        broken.setattr(Path, "unlink", disk_error)
        with pytest.raises(OSError):
            put(tmp_path, item, people(0))
    assert put(tmp_path, make(), people(0)).finished
    assert load_site(tmp_path / "a.npz").digest == item.digest
    assert names(tmp_path) == ["a.npz", "ledger.jsonl"]


# Releases beside the ledger.


def test_a_missing_ledger_beside_a_release_of_this_site_is_refused(tmp_path):
    put(tmp_path, summary(), people(0))
    (tmp_path / "ledger.jsonl").unlink()
    with pytest.raises(SiteFileError, match="is missing beside a.npz, a release of 'north'"):
        put(tmp_path, summary(1), people(1), "b")
    with pytest.raises(SiteFileError, match="is missing beside a.npz"):
        put(tmp_path / "other", summary(1), people(1), out=tmp_path / "b.npz")
    assert not put(tmp_path, summary(1, "east"), people(1), "b").finished


def test_a_release_without_a_mark_counts_where_there_is_no_ledger(tmp_path):
    save_site(summary(), tmp_path / "a.npz")
    with pytest.raises(SiteFileError, match="is missing beside a.npz"):
        put(tmp_path, summary(1), people(1), "b")


def test_a_folder_of_many_sites_is_no_obstacle(tmp_path):
    """As a coordinator has it, who is a site, too."""
    for cohort, site in enumerate(("south", "west")):
        put(tmp_path / site, summary(cohort, site), people(cohort), out=tmp_path / f"{site}.npz")
    save_sums(sums(2, "south"), tmp_path / "sums.npz")
    put(tmp_path, summary(3), people(3), "one")
    put(tmp_path, summary(4), people(4), "two")
    with pytest.raises(SiteFileError, match="is another than that of south.npz"):
        put(tmp_path, summary(5, "south"), people(5), "three")


def test_other_files_beside_are_no_obstacle(tmp_path):
    np.savez(tmp_path / "arrays.npz", mean=np.ones(3))
    np.savez(tmp_path / "objects.npz", mean=np.array([{}], object))
    save_merged(merged_of([summary()]), tmp_path / "merged.npz")
    (tmp_path / "text.npz").write_text("text")
    (tmp_path / "empty.npz").touch()
    (tmp_path / "folder.npz").mkdir()
    put(tmp_path, summary(), people(0))


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def bit(path):
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2] ^= 4
    path.write_bytes(raw)


@pytest.mark.parametrize("damage", [cut, bit])
def test_a_damaged_release_beside_is_reported(tmp_path, damage):
    damage(put(tmp_path, summary(), people(0)).path)
    with pytest.raises(SiteFileError, match="a.npz: "):
        put(tmp_path, summary(1), people(1), "b")


def test_a_release_beside_that_another_key_signed_is_reported(tmp_path):
    put(tmp_path, summary(), people(0), key=KEY[::-1])
    with pytest.raises(SiteFileError, match="a.npz: hmac: was made with another key"):
        put(tmp_path, summary(1), people(1), "b", key=KEY)
    put(tmp_path, summary(1), people(1), "b")


# Processes.


def compete(folder, number, item, start, said):
    """One of several processes that release the same persons."""
    start.wait()
    try:
        put(folder, item, people(0), f"release-{number}")
        said.put("released")
    except Exception as error:
        said.put(type(error).__name__)


def die(folder, item):
    """Between the ledger and the name of the file."""
    releasing._put_in_place = lambda *_: os._exit(9)
    put(folder, item, people(0), "release-a")


@pytest.fixture(scope="module")
def processes():
    """Forks of a process that has imported everything and started nothing."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["jaxmed.federated.releasing"])
    return context


@posix
def test_of_twelve_releases_of_the_same_persons_one_succeeds(tmp_path, processes):
    start, said = processes.Barrier(12), processes.Queue()
    children = [
        processes.Process(target=compete, args=(tmp_path, k, summary(0, f"s{k}"), start, said))
        for k in range(12)
    ]
    for child in children:
        child.start()
    found = [said.get(timeout=100) for _ in children]
    for child in children:
        child.join()
    assert found.count("released") == 1
    assert set(found) <= {"released", "SiteFileError", "ReleaseRefused"}
    assert len(list(tmp_path.glob("*.npz"))) == 1 and len(entries(tmp_path)) == 1
    assert len(names(tmp_path)) == 2


@posix
def test_a_process_that_is_killed_leaves_no_lock_and_its_release_is_finished(tmp_path, processes):
    item = noisy()
    child = processes.Process(target=die, args=(tmp_path, item))
    child.start()
    child.join()
    assert child.exitcode == 9
    assert ".release-a.npz.pending" in names(tmp_path)
    done = put(tmp_path, noisy(), people(0), "release-a")
    assert done.finished and load_site(done.path).digest == item.digest
    assert names(tmp_path) == ["ledger.jsonl", "release-a.npz"]


def test_another_release_is_not_replaced(tmp_path):
    first = put(tmp_path, summary(), people(0)).path
    before = first.read_bytes()
    with pytest.raises(ReleaseRefused, match="a.npz is another release: name another file"):
        put(tmp_path, summary(1), people(1))
    assert first.read_bytes() == before and len(entries(tmp_path)) == 1


@pytest.mark.parametrize("make", [summary, noisy, sums])
@pytest.mark.parametrize(
    "labels", [[], people(0)[:1], people(0)[:59], people(0, 0, 61), people(0)[:59] * 2, ["a"] * 60]
)
def test_the_ledger_holds_the_persons_of_the_sums(tmp_path, make, labels):
    if make is sums:
        put(tmp_path, summary(), people(0))
    before = names(tmp_path)
    with pytest.raises(ReleaseRefused, match="identifiers of .* persons, but the sums were made"):
        put(tmp_path, make(), labels, "b")
    assert names(tmp_path) == before


def test_what_was_read_is_not_released_again(tmp_path):
    path = put(tmp_path, summary(), people(0)).path
    with pytest.raises(ReleaseRefused, match="is a release already"):
        put(tmp_path, load_site(path), people(0), "b")


@pytest.mark.parametrize("name", ["a.npz", "x/../a.npz", "link.npz"])
def test_the_ledger_is_no_place_for_a_release(tmp_path, name):
    (tmp_path / "x").mkdir()
    (tmp_path / "link.npz").symlink_to(tmp_path / "a.npz")
    with pytest.raises(ValueError, match="is the ledger itself: name another file"):
        write_release(
            summary(),
            tmp_path / name,
            ledger=tmp_path / "a.npz",
            identifiers=people(0),
            identified_by="id",
        )
    assert names(tmp_path) == ["link.npz", "x"]


def large(path, member, size, **others):
    """An archive as of a release, whose one member unpacks to so many bytes of zeros."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (*others, member):
            length = size if name == member else others[name]
            with archive.open(f"{name}.npy", "w", force_zip64=True) as stream:
                header = {"descr": "|u1", "fortran_order": False, "shape": (length,)}
                np.lib.format.write_array_header_1_0(stream, header)
                for start in range(0, length, 1 << 20):
                    stream.write(bytes(min(1 << 20, length - start)))


@pytest.mark.parametrize(("member", "size"), [("moments", 80 << 20), ("metadata", 8 << 20)])
def test_a_file_beside_is_not_unpacked_beyond_the_limit(tmp_path, member, size):
    others = {name: 10 for name in ("metadata", "sha256") if name != member}
    large(tmp_path / "b.npz", member, size, **others)
    tracemalloc.start()
    try:
        with pytest.raises(SiteFileError, match=r"b\.npz.*(67108864|4194304)"):
            put(tmp_path, summary(), people(0))
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    (tmp_path / "b.npz").unlink()
    large(tmp_path / "c.npz", "moments", size)  # no release: nobody reads it
    put(tmp_path, summary(), people(0))
