"""The where language: what it parses, what it refuses and where, and what rows it keeps."""

import numpy as np
import pytest

from jaxmed.data import Factor, WhereError
from jaxmed.data.where import Condition, mask, parse

AGE = np.array([10.0, 20.0, np.nan, 40.0])
SITE = Factor(np.array([0, 1, -1, 0]), ("a b", "3"))
COUNT = np.array([1, 2, 3, 4])
COLUMNS = {"age": AGE, "site": SITE, "n": COUNT, "odd name": COUNT, "prot_P01.2": AGE}


def rows(text):
    return np.flatnonzero(mask(parse(text), COLUMNS.__getitem__)).tolist()


@pytest.mark.parametrize(
    "text, kept",
    [
        ("age == 20", [1]),
        ("age != 20", [0, 3]),  # a missing value satisfies nothing
        ("age<-5", []),
        ("age >= 1e1 and age<40.", [0, 1]),
        ("n in (1, 4)", [0, 3]),
        ("n in [2]", [1]),
        ("site == 'a b'", [0, 3]),
        ("site != 'a b'", [1]),
        ("site == 3", [1]),
        ("site in ('a b', 3)", [0, 1, 3]),
        ("site == nowhere", []),
        ("`odd name` > 2 AND 'odd name' <= 3", [2]),
        ("prot_P01.2 > 15", [1, 3]),
        ("n == true", [0]),
    ],
)
def test_rows(text, kept):
    assert rows(text) == kept


@pytest.mark.parametrize(
    "text, position, expected",
    [
        ("", 1, "a column name"),
        ("age", 4, "one of =="),
        ("age ==", 7, "a number"),
        ("age = 3", 5, ""),
        ("age == 3 or n == 2", 10, "'and'"),
        ("age == 3 and", 13, "a column name"),
        ("age in 3", 8, r"'\(' after in"),
        ("age in (3", 10, "','"),
        ("age in (3]", 10, "','"),
        ("age in ()", 9, "a number"),
        ("age == 'x", 8, ""),
        ("__import__('os')", 11, "one of =="),
        ("age == (3)", 8, "a number"),
        ("age == and", 8, "a number"),
        ("3 == age", 1, "a column name"),
    ],
)
def test_errors_name_the_position(text, position, expected):
    with pytest.raises(
        WhereError, match=rf"(?s)expected {expected}.*at character {position}:"
    ) as e:
        parse(text)
    assert str(e.value).splitlines()[-1] == " " * (position + 1) + "^"


@pytest.mark.parametrize("text", ["age == old", "n in (1, b)", "site < 3", "site >= 'a b'"])
def test_values_must_fit_their_column(text):
    with pytest.raises(WhereError, match="where: '(age|n|site)' is"):
        rows(text)


def test_no_text_is_ever_executed_and_random_text_is_parsed_or_refused():
    hypothesis = pytest.importorskip("hypothesis", reason="needs hypothesis")
    st = hypothesis.strategies

    @hypothesis.given(st.text(alphabet="ab 1.-'\"`()[],=!<>inand_\n\x00é", max_size=30))
    def check(text):
        try:
            assert all(isinstance(c, Condition) for c in parse(text))
        except WhereError:
            pass

    check()


def test_written_conditions_are_read_back():
    hypothesis = pytest.importorskip("hypothesis", reason="needs hypothesis")
    st = hypothesis.strategies
    text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
    number = st.floats(allow_nan=False, allow_infinity=False)
    value = st.one_of(number, text, st.booleans())
    comparison = st.tuples(text, st.sampled_from(["==", "!=", "<", "<=", ">", ">="]), value)
    membership = st.tuples(text, st.just("in"), st.lists(value, min_size=1, max_size=3).map(tuple))

    def written(value):
        if isinstance(value, tuple):
            return "(" + " , ".join(map(written, value)) + ")"
        if isinstance(value, str):
            return "'" + value.replace("'", "''") + "'"
        return repr(value)

    @hypothesis.given(st.lists(st.one_of(comparison, membership), min_size=1, max_size=4))
    def check(conditions):
        parts = []
        for column, sign, value in conditions:
            quoted = "`" + column.replace("`", "``") + "`"
            parts.append(f"{quoted} {sign} {written(value)}")
        found = [(c.column, c.operator, c.value) for c in parse(" and ".join(parts))]
        assert found == conditions

    check()


def test_numeric_masks_equal_numpy():
    hypothesis = pytest.importorskip("hypothesis", reason="needs hypothesis")
    st = hypothesis.strategies
    from jaxmed.data.where import COMPARISONS

    @hypothesis.given(
        st.lists(st.floats(allow_nan=True), min_size=1, max_size=9),
        st.sampled_from(sorted(COMPARISONS)),
        st.floats(allow_nan=False, allow_infinity=False),
    )
    def check(values, sign, bound):
        column = np.array(values)
        found = mask(parse(f"x {sign} {bound!r}"), lambda _: column)
        expected = [not np.isnan(v) and bool(COMPARISONS[sign](v, bound)) for v in values]
        assert found.tolist() == expected

    check()
