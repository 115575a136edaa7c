"""The bound on programs of a test: what is counted, and what is said."""

import compiled_programs
import jax
import numpy as np
import pytest


def test_a_program_is_counted_by_its_name():
    def doubled(x):
        return 2 * x

    before = len(compiled_programs.asked)
    assert float(jax.jit(doubled)(np.float32(1))) == 2
    assert [name for name in compiled_programs.asked[before:] if "doubled" in name]


def test_beyond_the_bound_the_allowance_is_used_once(monkeypatch):
    monkeypatch.setattr(compiled_programs, "left", [5])
    assert compiled_programs.complaint(["jit(add)"] * 40, 40) == ""
    assert compiled_programs.complaint(["jit(add)"] * 44, 40) == ""
    said = compiled_programs.complaint(["jit(add)"] * 41 + ["jit(where)"], 40)
    assert said.startswith("42 programs compiled, 40 allowed: 41 jit(add), 1 jit(where). ")


TESTS = """
import jax, numpy as np, pytest

def compile_programs(n):
    for size in range(n):
        jax.jit(lambda x: x + 1)(np.zeros(size, np.float32))

def test_within_the_bound():
    compile_programs(3)

def test_beyond_it():
    compile_programs(4)

@pytest.mark.programs(4, reason="it may")
def test_with_leave():
    compile_programs(4)

@pytest.mark.programs(n=4, reason="it may")
def test_with_leave_by_keyword():
    compile_programs(4)

@pytest.mark.programs(n=4, reason="it may")
def test_beyond_its_leave():
    compile_programs(5)

@pytest.mark.programs(4)
def test_without_a_reason():
    pass
"""


@pytest.fixture
def run(pytester, monkeypatch):
    """Runs TESTS, where three programs are allowed and there is no allowance."""
    monkeypatch.setattr(compiled_programs, "ALLOWED", 3)
    monkeypatch.setattr(compiled_programs, "left", [0])
    pytester.makepyfile(TESTS)
    arguments = ("-p", "compiled_programs", "-p", "no:cacheprovider", "-W", "ignore")
    return lambda *more: pytester.runpytest_inprocess(*arguments, *more)


inside = pytest.mark.programs(n=30, reason="they are those of the run inside")


@inside
def test_a_test_beyond_the_bound_fails(run):
    found = run("-v")
    found.assert_outcomes(passed=3, failed=3)
    found.stdout.fnmatch_lines_random(
        [
            "*::test_beyond_it FAILED*",
            "*::test_beyond_its_leave FAILED*",
            "*::test_without_a_reason FAILED*",
            "4 programs compiled, 3 allowed: 4 *",
            "5 programs compiled, 4 allowed: 5 *",
            "programs(n, reason) needs both",
            "20 programs compiled in the tests' processes",
        ]
    )


@inside
def test_a_run_that_hears_of_no_program_fails(run, monkeypatch):
    monkeypatch.setattr(compiled_programs, "COMPILED", "an event that JAX has renamed")
    found = run("-k", "within")
    found.assert_outcomes(passed=1)
    assert found.ret == pytest.ExitCode.TESTS_FAILED
    found.stdout.fnmatch_lines(["*none of its events is an event that JAX has renamed"])
