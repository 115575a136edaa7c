"""README and docs: the example runs, links lead somewhere, commands are understood."""

import argparse
import functools
import importlib
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import jaxmed
from jaxmed.cli.parsers import make_parser
from jaxmed.deprecations import ENTRIES

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
PAGES = [README, ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ids = [str(page.relative_to(ROOT)) for page in PAGES]


def blocks(page: Path, language: str) -> list[str]:
    return [body for name, body in BLOCK.findall(page.read_text()) if name == language]


def prose(page: Path) -> str:
    return BLOCK.sub("", page.read_text())


def commands(page: Path) -> list[list[str]]:
    """Words of every shell command, without assignments to the environment before it."""
    text = "".join(blocks(page, "sh")).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines()]
    return [without_environment(words) for words in lines if words]


def without_environment(words: list[str]) -> list[str]:
    first = next(i for i, word in enumerate(words) if not re.match(r"[A-Z_]+=", word))
    return words[first:]


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-") for title in titles}


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


def benchmark_names() -> set[str]:
    return {path.stem for path in (ROOT / "benchmarks").glob("*.py")}


def test_python_example_runs_as_it_stands(tmp_path):
    pytest.importorskip("pandas", reason="the example reads a table")
    pytest.importorskip("matplotlib", reason="the example draws figures")
    pytest.importorskip("jinja2", reason="the example writes a report")
    (example,) = blocks(README, "python")
    assert len(example.splitlines()) <= 12
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")]),
        # Most of the time is compilation of programs that run once.
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-c", example],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stderr
    assert "Cosine test" in done.stdout and "q_value" in done.stdout
    assert (tmp_path / "out/age/report.html").exists()


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_relative_links_and_images_exist(page):
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_shell_commands_are_understood(page):
    for words in commands(page):
        if words[0] == "make":
            assert set(words[1:]) <= make_targets(), words
        elif words[0] == "jaxmed":
            options = make_parser().parse_args(words[1:])
            assert not hasattr(options, "file") or (ROOT / options.file).exists(), words
        else:
            raise AssertionError(f"no check for {words}")


@pytest.mark.parametrize("page", PAGES, ids=ids)
def test_commands_and_options_named_in_the_text_exist(page):
    code = re.findall(r"`([^`\n]+)`", prose(page))
    targets, benchmarks = make_targets(), benchmark_names()
    flags = [entry for entry in ENTRIES if entry.kind == "flag"]
    old_flags = {entry.old for entry in flags}  # no help shows them
    helps = {name: _help(name) for name in _choices(make_parser())}
    for text in code:
        words = text.split()
        if words[0] == "make":
            assert words[1] in targets, text
        elif words[0] == "jaxmed" and len(words) > 1 and not words[1].startswith("-"):
            assert words[1] in helps, text
        elif text.startswith("python -m benchmarks "):
            assert words[3] in benchmarks | {"NAME", "--help"}, text
        elif words[0] == "python" and words[1:] and words[1] != "-m":
            assert (ROOT / words[1]).exists(), text
        if words[0] == "jaxmed" or words[0].startswith("--"):
            options = re.findall(r"--[a-z][a-z-]*", text)
            assert text in old_flags or all(any(o in h for h in helps.values()) for o in options), (
                text
            )


@functools.cache
def _help(command: str) -> str:
    """Help of a command and of the commands below it."""
    return "\n".join(_helps(_choices(make_parser())[command]))


def _helps(parser) -> list[str]:
    below = [text for part in _choices(parser).values() for text in _helps(part)]
    return [parser.format_help(), *below]


def _choices(parser) -> dict:
    parts = (a.choices for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return next(parts, {})


@pytest.mark.filterwarnings("ignore:jaxmed:DeprecationWarning")  # the page of old names
def test_documented_names_are_public():
    for page in PAGES:
        names = re.findall(r"`jaxmed\.([a-z_]+(?:\.[a-z_]+)*)", prose(page))
        for name in names:
            _resolve(jaxmed, name)


def _resolve(package, name: str) -> None:
    value = package
    for part in name.split("."):
        if not hasattr(value, part):
            value = importlib.import_module(f"{value.__name__}.{part}")
        else:
            value = getattr(value, part)
