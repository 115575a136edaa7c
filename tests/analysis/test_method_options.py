"""`--options METHOD.OPTION=VALUE`: what a value stands for, and what is refused."""

import inspect
from typing import Literal

import numpy as np
import pytest

from jaxmed.analysis.option_kinds import fits, kinds
from jaxmed.cli.parsers import make_parser
from jaxmed.cli.parsers.method_options import method_options
from jaxmed.registry import METHODS

ROLES = ["--exposure", "a", "--outcome", "y", "--mediators", "m*", "--methods", "hdma,hima"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60", 60),
        ("-0.5", -0.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("False", False),
        ("None", None),
        ("none", "none"),  # which adjust= takes
        ("bh", "bh"),
        ("'None'", "None"),
        ("0.1,0.2", (0.1, 0.2)),
        ("a, b", ("a", "b")),
        ("1,", (1,)),
        ("a,", ("a",)),
        ("true,None,x", (True, None, "x")),
        ("", ""),
        ("x=y", "x=y"),
    ],
)
def test_a_value(text, value):
    found = method_options([f"hdma.n_include={text}"])
    assert found == {"hdma": {"n_include": value}}
    assert type(found["hdma"]["n_include"]) is type(value)


@pytest.mark.parametrize("text", ["hdma", "hdma.n_include", "n_include=6", "hdma.=6", "=6", ".a=1"])
def test_another_form_is_refused(text):
    with pytest.raises(ValueError, match=r"METHOD\.OPTION=VALUE, as in hdma\.n_include=60, not"):
        method_options([text])


def test_one_option_twice_is_refused():
    with pytest.raises(ValueError, match=r"hdma\.a is given twice"):
        method_options(["hdma.a=1", "hima.a=1", "hdma.a=2"])


def parsed(*more):
    return make_parser().parse_args(["compare", "rows.csv", *ROLES, *more])


def test_several_by_blanks_and_by_repetition():
    options = parsed("--options", "hdma.a=1", "hima.b=2", "--seed", "1", "--options", "hdma.c=3")
    assert method_options(options.options) == {"hdma": {"a": 1, "c": 3}, "hima": {"b": 2}}
    assert parsed().options == []


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--options", "guo.a=1"], "--options guo: no such method among --methods hdma,hima"),
        (["--options", "a"], "METHOD.OPTION=VALUE"),
        (["--resume"], "--resume goes on from the files of --out DIR"),
    ],
)
def test_refused_before_a_file_is_read(more, said):
    options = parsed(*more)
    with pytest.raises(ValueError, match=said):
        options.run(options)


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, True),
        (np.int64(3), int | None, True),
        (None, int | None, True),
        (True, int, False),
        ("3", int | None, False),
        (3.0, int, False),
        (3, float, True),
        (np.float32(3), float, True),
        (False, bool, True),
        (0, bool, False),
        ("bh", Literal["bh", "none"], True),
        ("by", Literal["bh", "none"] | None, False),
        ((1, 2), tuple[float, ...] | None, True),
        ("anything", inspect.Parameter.empty, True),
    ],
)
def test_a_kind_rules_out_what_it_names(value, hint, expected):
    assert fits(value, hint) is expected


def test_kinds_in_words():
    assert kinds(int | None) == "a whole number or None"
    assert kinds(Literal["bh", "none"]) == "'bh' or 'none'"


def test_every_default_of_every_method_fits_its_annotation():
    for method in METHODS.values():
        for name, parameter in inspect.signature(method.factory()).parameters.items():
            assert fits(parameter.default, parameter.annotation), (method.name, name)
            assert not isinstance(parameter.annotation, str), "a text says nothing of a kind"
