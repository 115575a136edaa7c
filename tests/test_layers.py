"""The arrow of imports: every module imports only from layers below its own."""

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "jaxmed"
# From the bottom up; names in one group do not import each other, but for their own package.
LAYERS = [
    ("version", "vocabulary", "registry", "lazy", "deprecations"),
    ("typing", "status"),
    ("configuration",),
    ("program_key", "program_store"),
    ("compile",),
    ("door",),
    ("budget",),
    ("keys",),
    ("linalg",),
    ("distributions",),
    ("calibration",),
    ("data", "datasets"),
    ("statistics",),
    ("sparse",),
    ("simulate",),
    ("geometry",),
    ("parallel",),
    ("estimators",),
    ("inference", "testing"),
    ("estimands",),
    ("gahmn",),
    ("sweeps",),
    ("reports",),
    ("federated",),
    ("analysis",),
    ("studies",),
    ("__init__",),
    ("cli",),
    ("__main__",),
]
LEVEL = {name: level for level, names in enumerate(LAYERS) for name in names}
HEAVY = ("flax", "optax", "pandas", "matplotlib", "polars", "anndata", "pyarrow")
JIT_ALLOWED = (
    "program_store",
    "compile",
    "analysis",
    "parallel",
    "sweeps",
    "studies",
    "cli",
    "gahmn",
    "testing",
)
MODULES = sorted(PACKAGE.rglob("*.py"))


@functools.cache
def parsed(path):
    return ast.parse(path.read_text())


def layer_of(path):
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def imports(tree):
    """(dotted module, line) of every import, including those inside functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import in line {node.lineno}"
            if node.module == "jaxmed":
                yield from ((f"jaxmed.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def jits(tree):
    """Lines that name jax.jit, or jit imported from jax."""
    for node in ast.walk(tree):
        attribute = isinstance(node, ast.Attribute) and node.attr == "jit"
        if attribute and isinstance(node.value, ast.Name) and node.value.id == "jax":
            yield node.lineno
        if isinstance(node, ast.ImportFrom) and node.module == "jax":
            yield from (node.lineno for alias in node.names if alias.name == "jit")


def violations(layer, tree):
    for module, line in imports(tree):
        parts = module.split(".")
        if parts[0] != "jaxmed":
            continue
        target = parts[1] if len(parts) > 1 else "__init__"
        if target not in LEVEL:  # a name of the façade: `from jaxmed import mediate`
            target = "__init__"
        if target != layer and LEVEL[target] >= LEVEL[layer]:
            yield f"line {line}: {layer} imports {module}"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_only_lower_layers(path):
    layer = layer_of(path)
    assert layer in LEVEL, f"{layer} has no place in LAYERS"
    assert not list(violations(layer, parsed(path)))


def test_the_walk_finds_violations():
    assert list(violations("linalg", ast.parse("def f():\n    from jaxmed.data import frames")))
    assert list(violations("data", ast.parse("import jaxmed.statistics")))
    assert list(violations("data", ast.parse("from jaxmed import mediate")))
    assert not list(violations("data", ast.parse("from jaxmed import status, linalg")))
    assert list(jits(ast.parse("@jax.jit\ndef f(x): ..."))) and list(
        jits(ast.parse("from jax import jit"))
    )


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_no_jit_inside_library_functions(path):
    if layer_of(path) not in JIT_ALLOWED:
        assert not list(jits(parsed(path))), (
            "jit at the door (jaxmed.door), or in analysis and above"
        )


def test_only_gahmn_imports_flax_and_optax_at_module_level():
    for path in MODULES:
        if layer_of(path) == "gahmn":
            continue
        top = ast.Module(parsed(path).body, [])
        names = {
            module.split(".")[0]
            for node in top.body
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for module, _ in imports(ast.Module([node], []))
        }
        assert not names & set(HEAVY), path


def test_importing_jaxmed_is_light_and_changes_no_setting():
    code = (
        "import os, sys, jax; env = dict(os.environ); x64 = jax.config.jax_enable_x64\n"
        "import jaxmed, jaxmed.data\n"
        "assert dict(os.environ) == env and jax.config.jax_enable_x64 == x64\n"
        f"print(*[m for m in {HEAVY} if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=100,
        cwd=PACKAGE.parent,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []
