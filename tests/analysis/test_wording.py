"""What a record says of a status and its notes."""

from jaxmed import status
from jaxmed.analysis.wording import status_fields
from jaxmed.status import Note


def test_names_and_sentences_of_status_and_notes():
    assert status_fields(status.OK) == {"status": "OK", "notes": [], "reason": ""}
    plain = status_fields(status.NULL_PATH)
    assert plain == {
        "status": "NULL_PATH",
        "notes": [],
        "reason": status.MESSAGES[status.NULL_PATH],
    }
    noted = status_fields(status.OK, status.NO_NOTES | (Note.NO_PARTS | Note.SPAN_ONLY).value)
    assert noted["status"] == "OK" and noted["notes"] == ["SPAN_ONLY", "NO_PARTS"]
    assert noted["reason"] == "; ".join(status.NOTES[Note[name]] for name in noted["notes"])
    both = status_fields(status.WEIGHTED, Note.WEIGHTED.value)
    assert both["reason"] == status.MESSAGES[status.WEIGHTED]  # said once
