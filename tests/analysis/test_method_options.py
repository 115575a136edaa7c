"""`--options METHOD.OPTION=VALUE`: what a value stands for, and what is refused."""

import pytest

from jaxmed.cli.parsers import make_parser
from jaxmed.cli.parsers.method_options import method_options

ROLES = ["--exposure", "a", "--outcome", "y", "--mediators", "m*", "--methods", "hdma,hima"]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("60", 60),
        ("-0.5", -0.5),
        ("1e-3", 1e-3),
        ("true", True),
        ("False", False),
        ("none", None),
        ("bh", "bh"),
        ("'none'", "none"),
        ("0.1,0.2", (0.1, 0.2)),
        ("a, b", ("a", "b")),
        ("1,", (1,)),
        ("a,", ("a",)),
        ("true,none,1", (True, None, 1)),
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
