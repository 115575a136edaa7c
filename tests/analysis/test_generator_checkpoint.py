"""The record of a long training: sealed, and it names files of its own folder alone."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxmed.analysis.generator_checkpoint import Checkpoint
from jaxmed.data.documents import sealed
from jaxmed.gahmn.storage import StoredStateError

TREE = {"a": np.arange(3.0)}


@pytest.fixture
def saved(tmp_path):
    found = Checkpoint(tmp_path, "a" * 64)
    found.write("mediators", 20, TREE)
    return found


def rewrite(saved, **changes):
    """The record as somebody writes it who knows how it is sealed."""
    path = saved.folder / "state.json"
    path.write_text(json.dumps(sealed(json.loads(path.read_text()) | changes)))


def test_what_was_written_is_found_again(saved):
    place = saved.place()
    assert (place["stage"], place["windows"]) == ("mediators", 20)
    np.testing.assert_array_equal(saved.read(place, {"a": jnp.zeros(3)})["a"], TREE["a"])


@pytest.mark.parametrize(
    "changes",
    [
        {"file": "../state-mediators-20.npz"},
        {"file": "/etc/passwd"},
        {"file": ""},
        {"file": "state-outcome-20.npz"},
        {"windows": -1},
        {"windows": 10**400},
        {"windows": "20"},
        {"windows": 21},
        {"stage": None},
        {"identity": 3},
        {"more": 1},
    ],
)
def test_another_form_is_damage(saved, changes):
    rewrite(saved, **changes)
    with pytest.raises(StoredStateError, match="delete the folder"):
        saved.place()


@pytest.mark.parametrize("raw", [b"null", b"3", b"{}", b"", b"\xff", b"[" * 9999])
def test_what_is_no_record_is_damage(saved, raw):
    (saved.folder / "state.json").write_bytes(raw)
    with pytest.raises(StoredStateError, match="delete the folder"):
        saved.place()


def test_a_changed_number_is_seen(saved):
    path = saved.folder / "state.json"
    path.write_text(path.read_text().replace("20", "30"))
    with pytest.raises(StoredStateError, match="sha256"):
        saved.place()


def test_another_fit_is_told_from_damage(saved):
    rewrite(saved, identity="b" * 64)
    with pytest.raises(StoredStateError, match="another seed"):
        saved.place()
