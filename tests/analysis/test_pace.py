"""Progress in sentences: none for short work, then some seconds apart, with the time to go."""

import pytest

from jaxmed.analysis import pace


@pytest.fixture
def clock(monkeypatch):
    """A clock that a test moves."""
    now = [0.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    return now


def test_the_rate_is_that_since_the_first_number(clock):
    said = []
    tell = pace.now_and_then(said.append, "blocks")
    clock[0] = 1.0
    tell(1, 40)
    assert not said, "work of less than two seconds is not spoken of"
    clock[0] = 3.0
    tell(2, 40)
    assert said == ["2 of 40 blocks, 76 s to go"]
    clock[0] = 4.0
    tell(3, 40)
    assert len(said) == 1, "five seconds apart"
    clock[0] = 9.0
    tell(40, 40)
    assert len(said) == 1, "what is done needs no word"


def test_without_a_rate_there_is_no_time_to_go(clock):
    said = []
    tell = pace.now_and_then(said.append, "resamples of HIMA")
    clock[0] = 30.0
    tell(10, 200)
    clock[0] = 40.0
    tell(20, 200)
    assert said == ["10 of 200 resamples of HIMA", "20 of 200 resamples of HIMA, 180 s to go"]


def test_chunks_are_added_up():
    seen = []
    add = pace.in_chunks(lambda done, total: seen.append((done, total)), 25)
    for count in (10, 10, 5):
        add(count)
    assert seen == [(10, 25), (20, 25), (25, 25)]


def test_steps_of_short_work_tell_no_time(clock):
    said = []
    steps = pace.Steps(said.append, "method", 2)
    steps.begin("A")
    clock[0] = 1.5
    steps.begin("B")
    assert said == ["method 1 of 2: A", "method 2 of 2: B"]


def test_steps_that_were_taken_tell_nothing_of_the_time(clock):
    said = []
    steps = pace.Steps(said.append, "method", 3)
    steps.begin("A")
    steps.take()
    clock[0] = 1.0
    steps.begin("B")
    clock[0] = 11.0
    steps.begin("C")
    assert said[:2] == ["method 1 of 3: A", "method 2 of 3: B"]
    assert said[2] == "method 3 of 3 (about 11 s to go): C"
