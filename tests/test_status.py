"""Sentences of codes and notes: everything that can be stored can be described."""

import pytest

from jaxmed import status


@pytest.mark.parametrize("note", status.Note, ids=lambda note: note.name)
def test_every_note_has_a_sentence(note):
    assert status.describe(status.OK, note.value) == [status.NOTES[note]]


def test_every_code_has_a_sentence_and_a_name():
    assert set(status.MESSAGES) == set(status.NAMES)
    assert set(status.NAMES.values()) >= {"OK", "WEIGHTED", "NOT_ESTIMATED", "OUT_OF_RANGE"}
    assert all(status.describe(code) == [status.message(code)] for code in status.NAMES if code)


def test_all_notes_at_once_have_as_many_sentences_as_notes():
    every = sum(note.value for note in status.Note)
    assert len(status.describe(status.OK, every)) == len(status.Note)
