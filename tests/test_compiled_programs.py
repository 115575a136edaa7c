"""The bound on programs of a test: what is counted, and what is said."""

import compiled_programs
import jax
import numpy as np


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
