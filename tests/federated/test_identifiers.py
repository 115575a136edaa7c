"""One person is one text, however a program wrote it; two persons never become one in silence."""

import sys
import unicodedata

import numpy as np
import pytest

from jaxmed.federated.identifiers import persons_of, row_labels
from jaxmed.federated.rules import ReleaseRefused

SAME = [
    ("P1", "p1", " P1 ", "P1\u00a0", "\uff30\uff11", "\u200bP1", "P\u00ad1", "\ufeffP1"),
    ("17", "17.0", "17.", "017", "+17", " 17 ", "0017.00", "\uff11\uff17", "\u0661\u0667", "1.7e1"),
    ("STRASSE", "stra\u00dfe", "Strasse"),
    ("Zoe\u0308", "zo\u00eb", "ZO\u00cb"),
    ("\ufb01le", "FILE"),
    ("123000000000", "1.23E+11", "1.23e11"),
    ("0", "-0", "0.0", "-0.00", "000"),
    ("2.5", "2.50", "02.5"),
]


@pytest.mark.parametrize("texts", SAME, ids=[texts[0] for texts in SAME])
def test_one_identifier_in_several_files_is_one_text(texts):
    assert len({row_labels([text])[0] for text in texts}) == 1


@pytest.mark.parametrize("texts", SAME, ids=[texts[0] for texts in SAME])
def test_two_spellings_in_one_release_are_refused(texts):
    for text in texts[1:]:
        with pytest.raises(ReleaseRefused, match="differ only in how they are written") as error:
            row_labels(["other", texts[0], text])
        assert ascii(texts[0]) in str(error.value) and ascii(text) in str(error.value)


def test_different_persons_stay_different():
    texts = ["P1", "P2", "P-1", "P 1", "P01", "1", "10", "-1", "1.1", "0x1", "1_0", "1e", "e1"]
    assert len(set(row_labels(texts))) == len(texts)
    long = ["1" * 40, "1" * 39 + "2", "1" * 40 + ".5"]
    assert row_labels(long) == long


@pytest.mark.parametrize(
    "values",
    [
        np.array([17.0, 2.5, 17]),
        [17, 2.5, 17.0],
        ["17", "2.5", "17"],
        np.array([17, 2.5, 17], "f4"),
        np.array([17, 2.5, "17"], object),
    ],
)
def test_numbers_and_texts_of_them_are_the_same(values):
    assert row_labels(values) == ["17", "2.5", "17"]


def test_large_numbers_keep_all_digits():
    assert row_labels(np.array([1e22, 123456789012345678.0])) == [str(10**22), "123456789012345680"]
    assert row_labels([2**70, 2**70 + 1]) == [str(2**70), str(2**70 + 1)]


@pytest.mark.parametrize("missing", [float("nan"), None, "", "  ", "\u200b", "\u00a0"])
def test_a_missing_identifier_is_refused(missing):
    with pytest.raises(ReleaseRefused, match="no identifier"):
        row_labels(np.array(["a", missing], object))
    pandas = pytest.importorskip("pandas")
    for none in (pandas.NA, pandas.NaT):
        with pytest.raises(ReleaseRefused, match="no identifier"):
            row_labels(np.array(["a", none], object))


def test_the_form_of_a_text_in_that_form_is_itself():
    for code in range(sys.maxunicode + 1):
        text = f"e{chr(code)}\u0301"
        if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs"):
            label = row_labels([text])
            assert row_labels(label) == label, ascii(text)


def test_persons_in_the_order_of_their_first_rows():
    codes = persons_of(["b", "a", "b", "c", "a"])
    assert codes.dtype.kind == "i" and codes.tolist() == [0, 1, 0, 2, 1]
    assert persons_of(row_labels(["P1", "P1", "017"])).tolist() == [0, 0, 1]
    with pytest.raises(ReleaseRefused, match="differ only"):
        persons_of(["P1", "p1"])


def test_runs_of_blanks_are_one_blank():
    assert (
        len({row_labels([text])[0] for text in ("a b", "a  b", " a \t b", "A\u00a0\u2003b")}) == 1
    )
    assert row_labels(["a  b"]) == ["a b"] and row_labels(row_labels(["a  b", "ab"])) == [
        "a b",
        "ab",
    ]
    with pytest.raises(ReleaseRefused, match="differ only"):
        row_labels(["a b", "a  b"])
