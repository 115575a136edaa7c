"""Modes of files written whole: the umask holds, and is never touched."""

import os
import stat
import threading

import pytest

from jaxmed.data.atomic import atomic_write

posix = pytest.mark.skipif(os.name == "nt", reason="modes of files are those of POSIX")


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@posix
@pytest.mark.parametrize("durable", [False, True])
@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o077, 0o600)])
def test_a_file_has_the_mode_that_open_gives(umask, tmp_path, mask, mode, durable):
    umask(mask)
    assert mode_of(atomic_write(tmp_path / "a.txt", "a", durable=durable)) == mode
    (tmp_path / "b.txt").write_text("b")
    assert mode_of(tmp_path / "b.txt") == mode
    assert mode_of(atomic_write(tmp_path / "c.txt", "c", private=True, durable=durable)) == 0o600


@posix
def test_a_private_file_stays_private_where_an_open_one_was(umask, tmp_path):
    path = atomic_write(tmp_path / "a.txt", "open")
    assert mode_of(atomic_write(path, "secret", private=True)) == 0o600


@posix
def test_the_umask_of_the_process_is_never_changed(umask, tmp_path, monkeypatch):
    umask(0o027)
    monkeypatch.setattr(os, "umask", lambda mask: pytest.fail("the umask was changed"))
    stop, modes = threading.Event(), set()

    def watch():
        while not stop.is_set():
            path = tmp_path / "beside"
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            modes.add(mode_of(path))
            path.unlink()

    thread = threading.Thread(target=watch)
    thread.start()
    for i in range(300):
        atomic_write(tmp_path / "folder" / f"{i % 3}.txt", "text")
    stop.set()
    thread.join()
    assert modes == {0o640}


def test_the_longest_name_a_file_may_have_is_written(tmp_path):
    path = atomic_write(tmp_path / ("n" * 255), "text")
    assert path.read_text() == "text" and list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_leave_one_of_theirs(tmp_path):
    path = tmp_path / "a.txt"
    texts = [str(i) * 10_000 for i in range(4)]
    threads = [threading.Thread(target=atomic_write, args=(path, text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_text() in texts and list(tmp_path.iterdir()) == [path]
