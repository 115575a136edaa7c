import math

import pytest

from jaxmed.reports import format as fmt


@pytest.mark.parametrize(
    "value, text",
    [
        (0.23149, "0.231"),
        (-0.0312345, "-0.0312"),
        (1234.5, "1234"),
        (0.9996, "1.00"),
        (0.0, "0"),
        (12.04, "12.0"),
        (2.5e-7, "2.50e-7"),
        (-3.2e8, "-3.20e8"),
        (517, "517"),
        (float("nan"), "–"),
        (None, "–"),
        (math.inf, "–"),
        (99.96, "100"),
    ],
)
def test_numbers_have_three_significant_digits(value, text):
    assert fmt.number(value) == text


@pytest.mark.parametrize(
    "value, text",
    [
        (0.013, "p = 0.013"),
        (0.43, "p = 0.43"),
        (2.42e-7, "p = 2.4e-7"),
        (3.2e-36, "p < 1e-35"),
        (0.0, "p < 1e-300"),
        (1.0, "p = 1"),
        (0.999, "p = 1"),
        (float("nan"), "p –"),
        (0.0498, "p = 0.0498"),
        (0.0502, "p = 0.0502"),
        (5e-324, "p < 1e-323"),
    ],
)
def test_p_values_never_show_false_zeros(value, text):
    assert fmt.p_statement(value) == text


@pytest.mark.parametrize("exponent", range(11, 300, 7))
def test_small_p_values_are_below_the_bound_shown(exponent):
    value = 3.7 * 10.0**-exponent
    assert value < float(fmt.p_value(value).removeprefix("< ")) <= 10 * value


def test_intervals_and_shares():
    assert fmt.interval(-0.1, 0.25) == "[-0.100, 0.250]"
    assert fmt.interval(float("nan"), 0.25) == "–"
    assert fmt.percent(0.95) == "95%"
    assert fmt.percent(float("nan")) == "–"
    assert fmt.percent(-16.12) == "-1612%"
    assert fmt.percent(4e7) == "4.00e9%"
    assert fmt.degrees_of_freedom([20.0, 178.0]) == "20, 178"
    assert fmt.degrees_of_freedom(98.0) == "98"


def test_names_are_shortened_in_the_middle_to_the_width():
    for width in range(3, 12):
        assert len(fmt.shorten("earnings_yield_2018", width)) == width
    assert fmt.shorten("short", 10) == "short"
    assert fmt.names(["a", "b", "c"], 2) == "a, b and 1 more"


def test_only_numbers_get_a_minus_sign():
    text = fmt.typographic_numbers("a -0.2 [-1, 3] in-sample p = 1e-5 prot-2")
    assert text == "a −0.2 [−1, 3] in-sample p\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}1e−5 prot-2"
