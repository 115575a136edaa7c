"""What the command line says when it ends badly, and that nothing of a file moves the cursor."""

import importlib
import io
import subprocess
import sys
import warnings

import jax
import numpy as np
import pytest

from jaxmed.cli import main
from jaxmed.cli.terminal import below, shown_plainly

ROLES = ["--exposure", "x", "--outcome", "y", "--mediators", "m"]
COMMANDS = {
    "mediate": ("analyses.mediate_command", ["mediate", "t.csv", *ROLES]),
    "evaluate": ("analyses.evaluate_command", ["evaluate", "t.csv", *ROLES]),
    "demo": ("analyses.demo_command", ["demo", "--out", "o"]),
    "compare": ("compare.compare_command", ["compare", "t.csv", *ROLES]),
    "study list": ("study.list_command", ["study", "list"]),
    "study run": ("study.run_command", ["study", "run", "NAME", "--out", "o"]),
    "study all": ("study.all_command", ["study", "all", "--out", "o"]),
    "study plan": ("study.plan_command", ["study", "plan", "NAME", "--out", "o"]),
    "study resume": ("study.resume_command", ["study", "resume", "o"]),
    "study status": ("study.status_command", ["study", "status", "o"]),
    "study replay": (
        "study.replay_command",
        ["study", "replay", "o", "--cell", "c", "--replicate", "0"],
    ),
    "study work": ("study.work_command", ["study", "work", "o"]),
    "site check": ("site.check_command", ["site", "check", "a.npz"]),
    "site merge": ("site.merge_command", ["site", "merge", "a.npz", "--out", "o"]),
    "site mediate": ("site.mediate_command", ["site", "mediate", "m.npz"]),
    "launch": ("launch.launch_command", ["launch", "--", "mediate"]),
}
XLA = "\n\nMemory summary:\n" + "a line of XLA\n" * 50
ERRORS = {
    "memory": (MemoryError(), 2, "out of memory: fewer resamples or columns, or a larger machine"),
    "array": (MemoryError("Unable to allocate 9. TiB"), 2, "out of memory (Unable to allocate 9. "),
    "overflow": (OverflowError("int too large"), 2, "a number is too large (int too large)"),
    "recursion": (
        RecursionError("maximum recursion depth exceeded"),
        1,
        "something nests too deeply (max",
    ),
    "device": (
        jax.errors.JaxRuntimeError(f"RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes.{XLA}"),
        2,
        "out of memory (RESOURCE_EXHAUSTED: Out of memory allocating 9 bytes): fewer",
    ),
    "host": (jax.errors.JaxRuntimeError("INTERNAL: std::bad_alloc"), 2, "out of memory (INTERNAL"),
    "program": (
        jax.errors.JaxRuntimeError(f"INTERNAL: no kernel{XLA}"),
        1,
        "a compiled program failed (",
    ),
    "silent": (jax.errors.JaxRuntimeError(""), 1, "a compiled program failed; --traceback"),
    "fault": (ZeroDivisionError("division"), 1, "ZeroDivisionError: division. This is a fault of"),
    "lines": (RuntimeError(f"broken{XLA}"), 1, "RuntimeError: broken. This is a fault of jaxmed"),
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("kind", ERRORS)
def test_every_command_ends_with_one_sentence(monkeypatch, capsys, command, kind):
    (where, arguments), (error, status, said) = COMMANDS[command], ERRORS[kind]

    def fails(options):
        raise error

    module, name = where.split(".")
    monkeypatch.setattr(importlib.import_module(f"jaxmed.cli.{module}"), name, fails)
    assert main(arguments) == status
    heard = capsys.readouterr().err
    assert heard.startswith(f"jaxmed: {said}"), heard
    assert heard.count("\n") == 1 and "Traceback" not in heard


HOSTILE = "\x1b[31mred\x1b]0;title\x07\r\x08\x00\x7f\x9b2J\u202eltr\ud800"


@pytest.mark.parametrize("door", ["result", "message", "warning"])
def test_no_control_character_of_a_name_reaches_the_terminal(monkeypatch, capsys, door):
    def run(options):
        if door == "result":
            print(f"effect of {HOSTILE}\nsecond line")
        if door == "warning":
            warnings.warn(f"left out: {HOSTILE}", stacklevel=1)
        if door == "message":
            raise ValueError(f"no column {HOSTILE}")

    monkeypatch.setattr(importlib.import_module("jaxmed.cli.analyses"), "mediate_command", run)
    assert main(COMMANDS["mediate"][1]) == (2 if door == "message" else 0)
    heard = "".join(capsys.readouterr())
    assert "\\x1b[31mred\\x1b]0;title\\x07\\r\\x08\\x00\\x7f\\x9b2J\\u202eltr\\ud800" in heard
    assert all(character.isprintable() or character == "\n" for character in heard)


def test_what_the_encoding_lacks_is_escaped_and_streams_are_put_back(monkeypatch):
    raw = io.BytesIO()
    narrow = io.TextIOWrapper(raw, encoding="ascii")
    monkeypatch.setattr(sys, "stdout", narrow)
    with shown_plainly(), shown_plainly():
        assert below(sys.stdout) is narrow and sys.stdout.encoding == "ascii"
        print("a \N{EN DASH} b", flush=True)
    assert sys.stdout is narrow and raw.getvalue() == b"a \\u2013 b\n"


def test_a_file_with_escape_sequences_in_its_heading(tmp_path):
    pytest.importorskip("pyarrow")
    values = np.random.default_rng(0).normal(size=(30, 4))
    names = ["x\x1b[31m1", "y", "m1", "m2"]
    rows = "\n".join(",".join(map(repr, row)) for row in values.tolist())
    (tmp_path / "t.csv").write_text(",".join(names) + "\n" + rows + "\n")
    arguments = [sys.executable, "-m", "jaxmed", "mediate", "t.csv", "--exposure", names[0]]
    arguments += ["--outcome", "y", "--mediators", "m*", "--method", "effects"]
    done = subprocess.run(arguments, capture_output=True, cwd=tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    assert b"\\x1b[31m1" in done.stdout and b"\x1b" not in done.stdout + done.stderr
