"""The documentation as text: its width, the formula table, the layers, the public names."""

import ast
import functools
import importlib
import inspect
import re
import runpy
from pathlib import Path

import numpy as np
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
    tables = [line for line in ARCHITECTURE.read_text().splitlines() if line.startswith("|")]
    found = [(line.split("|")[1].strip(), PLACE.findall(line)) for line in tables]
    named = sum(line.count("jaxmed/") for line in tables)
    assert 0 < named == sum(len(places) for _, places in found), "places that PLACE does not read"
    return [(cell, places) for cell, places in found if places]


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
    code = {path.relative_to(ROOT).as_posix(): path for path in (ROOT / "jaxmed").rglob("*.py")}
    named = {file for file, path in code.items() if sources.search(path.read_text())}
    named = {file for file in named if "/studies/" not in file}
    assert named, "no name of an equation is recognised"
    # `paths` describes what the files beside it compute.
    assert named - tabled <= {"jaxmed/geometry/paths.py"}


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
    packages = {"datasets", "estimands", "estimators", "federated", "gahmn"}
    packages |= {"parallel", "simulate", "studies", "sweeps"}
    public = [(jaxmed, name) for name in set(jaxmed.__all__) - packages - {"__version__"}]
    for package in (jaxmed.estimands, jaxmed.estimators, jaxmed.simulate, jaxmed.sweeps):
        public += [(package, name) for name in package.__all__]
    for package, name in public:
        wanted = getattr(package, name)
        wanted = inspect.unwrap(wanted) if callable(wanted) else wanted
        assert any(wanted is found for found in objects), name


def test_every_page_is_in_the_navigation():
    yaml = pytest.importorskip("yaml", reason="the site is configured in YAML")

    def pages(entry):
        if isinstance(entry, str):
            yield entry
        else:
            for part in entry.values() if isinstance(entry, dict) else entry:
                yield from pages(part)

    shown = list(pages(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"]))
    written = {page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")}
    notebooks = {f"tutorials/{path.stem}.md" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert sorted(shown) == sorted(written | notebooks | {"changelog.md", "contributing.md"})


def test_a_page_that_fetches_from_elsewhere_is_found(tmp_path):
    fetched = runpy.run_path(str(DOCS / "site_check.py"))["fetched"]
    page = '<a href="https://example.org/paper">a link</a><script src="site.js"></script>'
    (tmp_path / "index.html").write_text(page)
    assert not fetched(tmp_path)
    for trouble in (
        '<link rel="stylesheet" href="https://example.org/font.css">',
        '<script src="//example.org/a.js"></script>',
        '<img src="https://example.org/a.png">',
    ):
        (tmp_path / "index.html").write_text(page + trouble)
        assert len(fetched(tmp_path)) == 1, trouble
    (tmp_path / "index.html").write_text(page)
    (tmp_path / "site.css").write_text("a { background: url('https://example.org/a.png') }")
    assert fetched(tmp_path) == ["site.css: https://example.org/a.png"]


def python_of(page):
    return re.findall(
        r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL
    )


@pytest.mark.slow
def test_the_page_about_anndata_runs():
    pytest.importorskip("anndata")
    (block,) = python_of("scanpy.md")
    space = {}
    exec(block, space)
    lead = space["adata"].var["mediation_q"].nsmallest(3).index
    assert set(lead) <= {"gene0", "gene1", "gene2", "gene3"}


@pytest.mark.slow
def test_the_calls_of_the_page_about_r_take_what_r_hands_over(tmp_path):
    """Vectors come as lists, matrices as NumPy arrays in Fortran's order, frames as pandas'."""
    pandas = pytest.importorskip("pandas")
    rng = np.random.default_rng(1)
    n, p = 200, 20
    treatment = rng.integers(0, 2, n).tolist()
    age = rng.normal(50, 10, n)
    mediators = np.asfortranarray(rng.normal(size=(n, p)))
    mediators[:, :3] += 0.5 * np.array(treatment)[:, None]
    outcome = (mediators[:, :3].sum(axis=1) * 0.4 + 0.02 * age + rng.normal(size=n)).tolist()
    data = jaxmed.mediation_data(treatment, mediators, outcome, np.asfortranarray(age[:, None]))
    composite = jaxmed.maxie(jaxmed.paths(data))
    assert np.asarray(composite.weights).shape == (p,) and np.asarray(composite.indirect) > 0
    frame = pandas.DataFrame({"treatment": np.array(treatment, "int32"), "age": age})
    frame = frame.assign(outcome=outcome, **{f"X{j + 1}": mediators[:, j] for j in range(p)})
    data = jaxmed.from_frame(
        frame, exposure="treatment", outcome="outcome", mediators="X*", covariates=["age"]
    )
    result = jaxmed.mediate(data, key=1)
    table = result.to_pandas()
    assert {"alpha", "beta", "indirect", "p_value", "q_value"} <= set(table.columns)
    assert table["p_value"].idxmin() in ("X1", "X2", "X3")
    result.save(tmp_path)
    assert (tmp_path / "report.html").exists()
    found = jaxmed.compare(data, ["ols"], key=1, bootstrap=0).to_pandas()
    assert {"direct", "indirect", "total", "indirect_lower", "indirect_upper"} <= set(found.columns)
