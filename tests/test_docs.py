"""The documentation as text: its width, the formula table, the layers, the public names."""

import ast
import functools
import importlib
import inspect
import re
from pathlib import Path

import pytest
from test_layers import LAYERS

import jaxmed

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
ARCHITECTURE = DOCS / "architecture.md"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
WIDTH = 100
PLACE = re.compile(r"`(jaxmed/[\w/]+\.py)(?::(\w+))?`")


def name_of(page):
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_lines_are_no_wider_than_code(page):
    """Tables cannot be wrapped."""
    lines = enumerate(page.read_text().splitlines(), 1)
    wide = [number for number, line in lines if len(line) > WIDTH and not line.startswith("|")]
    assert not wide


@functools.cache
def names_in(file):
    """Functions, classes and constants at the top of a file."""
    tree = ast.parse((ROOT / file).read_text())
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def rows():
    """(first cell, places) of the rows of every table of the page that name a file."""
    for line in ARCHITECTURE.read_text().splitlines():
        places = PLACE.findall(line)
        if line.startswith("|") and places:
            yield line.split("|")[1].strip(), places


def test_every_formula_lives_where_the_table_says():
    missing = [
        f"{file}:{name}"
        for _, places in rows()
        for file, name in places
        if not (ROOT / file).is_file() or (name and name not in names_in(file))
    ]
    assert not missing


def test_the_tables_have_the_equations_of_both_papers():
    text = ARCHITECTURE.read_text()
    first, second = text.index("### Optimal"), text.index("### Generative")
    for start, end, last in ((first, second, 30), (second, len(text), 15)):
        named = set()
        for line in text[start:end].splitlines():
            cell = line.split("|")[1] if line.startswith("|") else line
            for low, high in re.findall(r"\((\d+)\)(?: to \((\d+)\))?", cell):
                named |= set(range(int(low), int(high or low) + 1))
        assert named >= set(range(1, last + 1)), set(range(1, last + 1)) - named


def test_equations_named_in_the_code_are_in_the_table():
    """A docstring that names equations of a paper lies in a file that the table names."""
    tabled = {file for _, places in rows() for file, _ in places}
    sources = re.compile(
        r"(?:He \(?2026\)?|Zhang et al\. \(2026[^)]*\)),? (?:Prop\. \d+,? )?eqs?\."
    )
    for path in sorted((ROOT / "jaxmed").rglob("*.py")):
        file = path.relative_to(ROOT).as_posix()
        if sources.search(path.read_text()) and "/studies/" not in file:
            # `paths` and the model's head describe what the files beside them compute.
            assert file in tabled or file == "jaxmed/geometry/paths.py", file


def test_the_picture_has_every_layer_in_its_order():
    picture = ARCHITECTURE.read_text().split("```text\n")[2].split("```")[0]
    rows = [re.split(r"\s{2,}", line.strip())[-1] for line in picture.splitlines()]
    drawn = [name for row in reversed(rows) for name in row.split(", ") if re.match(r"^\w+$", name)]
    level = {name: i for i, names in enumerate(LAYERS) for name in names}
    order = [level[name] for name in drawn if name != "__main__"]
    assert set(level) - {"datasets"} <= set(drawn)
    assert order == sorted(order)


REFERENCE = sorted((DOCS / "reference").glob("*.md"))
DIRECTIVE = re.compile(r"^::: (jaxmed[\w.]*)$", re.MULTILINE)


def resolved(path):
    """The object of a dotted path that begins with a module, or that module."""
    module, _, name = path.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    return inspect.unwrap(found) if callable(found) else found


def test_the_reference_has_every_public_name():
    shown = [path for page in REFERENCE for path in DIRECTIVE.findall(page.read_text())]
    assert len(shown) == len(set(shown))
    objects = [resolved(path) for path in shown]
    packages = {"datasets", "estimators", "parallel", "simulate", "studies", "sweeps"}
    public = [(jaxmed, name) for name in set(jaxmed.__all__) - packages - {"__version__"}]
    for package in (jaxmed.estimators, jaxmed.simulate, jaxmed.sweeps):
        public += [(package, name) for name in package.__all__]
    for package, name in public:
        wanted = getattr(package, name)
        wanted = inspect.unwrap(wanted) if callable(wanted) else wanted
        assert any(wanted is found for found in objects), name
