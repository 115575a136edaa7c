"""A JSON document has the form that its reader asks for, or there is an error that names it."""

import json
import os
import sys
import time

import pytest

from jaxmed.data.documents import (
    SEAL,
    DocumentError,
    canonical,
    parse_document,
    read_document,
    sealed,
)
from jaxmed.data.forms import (
    Anything,
    Choice,
    Each,
    Fields,
    Flag,
    Mapped,
    Maybe,
    Number,
    Text,
    Whole,
)

FORM = Fields(
    {"name": Text("[a-z]+"), "count": Whole(0, 10), "rate": Number(0, 1), "more": Anything()},
    {
        "flag": Flag(),
        "kind": Choice(("one", 2)),
        "list": Each(Whole(), most=3),
        "table": Mapped(Number()),
        "gap": Maybe(Text()),
    },
)
GOOD = {"name": "a", "count": 3, "rate": 0.5, "more": [{}]}


def parse(document, form=FORM, **options):
    raw = document if isinstance(document, bytes) else json.dumps(document).encode()
    return parse_document(raw, form, file="f.json", remedy="write it again", **options)


def test_a_document_of_its_form_comes_back():
    full = GOOD | {"flag": True, "kind": 2, "list": [1], "table": {"x": 1}, "gap": None}
    assert parse(full) == full


WRONG = {
    "name": [None, 3, "", "A", "a\x1b[2J", "a" * 20_000, "\ud800"],
    "count": [None, "3", 3.0, True, -1, 11, 10**400, []],
    "rate": [None, "0.5", True, -0.1, 2, 10**400, {}],
    "flag": [None, 0, "true"],
    "kind": ["two", True, 2.0, None],
    "list": [None, {}, [1, 2, 3, 4], [1, "2"], "abc"],
    "table": [None, [], {"x": "1"}, {"\n": 1}],
    "gap": [3, "\x00"],
    "unknown": [1],
}


@pytest.mark.parametrize(
    ("field", "value"), [(field, value) for field, values in WRONG.items() for value in values]
)
def test_another_form_names_the_field(field, value):
    with pytest.raises(DocumentError, match="write it again") as error:
        parse(GOOD | {field: value})
    assert field in error.value.field and len(str(error.value)) < 300


def test_a_missing_field_is_named():
    with pytest.raises(DocumentError, match="f.json: rate: is missing"):
        parse({name: value for name, value in GOOD.items() if name != "rate"})


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"null",
        b"3",
        b'"a"',
        b"[]",
        b"{",
        b"\xff",
        b'{"count": NaN}',
        b'{"rate": 1e999}',
        b'{"count": 1, "count": 2}',
        b"[" * 100_000,
        b'{"more": ' + b"[" * 90 + b"]" * 90 + b"}",
        b'{"count": ' + b"9" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b"{} {}",
    ],
)
def test_what_is_no_json_is_a_typed_error(raw):
    with pytest.raises(DocumentError):
        parse(raw)


def test_a_seal_holds_every_number():
    raw = json.dumps(sealed(GOOD)).encode()
    assert parse(raw, seal=True) == GOOD
    for before, after in ((b"3", b"4"), (b"0.5", b"0.6"), (b'"a"', b'"b"')):
        with pytest.raises(DocumentError, match="the file was changed"):
            parse(raw.replace(before, after, 1), seal=True)
    with pytest.raises(DocumentError, match=f"{SEAL}: is missing"):
        parse(GOOD, seal=True)


def test_the_text_of_a_document_does_not_depend_on_the_order_of_its_names():
    assert canonical(GOOD) == canonical(dict(reversed(GOOD.items())))
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical({"rate": float("nan")})


def test_only_regular_files_of_a_size_are_read(tmp_path):
    path = tmp_path / "f.json"
    path.write_text(json.dumps(GOOD))
    assert read_document(path, FORM, remedy="x") == GOOD
    with pytest.raises(DocumentError, match="more than 10 bytes"):
        read_document(path, FORM, remedy="x", largest=10)
    with pytest.raises(FileNotFoundError):
        read_document(tmp_path / "none", FORM, remedy="x")
    if sys.platform != "win32":
        with pytest.raises(DocumentError, match="is no regular file"):
            read_document(os.devnull, FORM, remedy="x")
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(DocumentError, match="is no regular file"):
            read_document(tmp_path / "pipe", FORM, remedy="x")


LIMIT = 2.0  # seconds on a busy machine, where one pass takes a tenth


def test_a_long_document_is_read_in_one_pass():
    names = ",".join(f'"{i}": {i}' for i in range(80_000))
    start = time.perf_counter()
    with pytest.raises(DocumentError, match="'79999': is there twice"):
        parse(f'{{{names}, "79999": 0}}'.encode(), Mapped(Whole()))
    rows = ",".join('{"a": 1, "b": [2]}' for _ in range(50_000))
    assert len(parse(f'{{"rows": [{rows}]}}'.encode(), Mapped(Each(Anything())))["rows"]) == 50_000
    with pytest.raises(DocumentError, match="'a': is there twice"):
        parse(f'{{"rows": [{rows}, {{"a": 1, "a": 1}}]}}'.encode(), Mapped(Each(Anything())))
    assert time.perf_counter() - start < LIMIT
