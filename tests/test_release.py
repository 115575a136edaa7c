"""What is shipped: the conda recipe is of this package, a bare install names what it lacks."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import jaxmed

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# What pip calls a package, where conda or Python have another name for it.
CONDA = {"matplotlib": "matplotlib-base"}
MODULES = {"python-calamine": "python_calamine"}
OPTIONAL = ("io", "anndata", "plot", "cli", "report", "testing")
TABLE = "jaxmed/data/covid_plasma_proteome/data.csv.gz"


def named(requirement):
    """(name, bounds) of one requirement."""
    name, bounds = re.fullmatch(r"([\w-]+)\s*(.*)", requirement).groups()
    return name, bounds


def optional_modules():
    names = [named(requirement)[0] for extra in OPTIONAL for requirement in EXTRAS[extra]]
    return sorted({MODULES.get(name, name) for name in names})


def test_the_conda_recipe_has_version_and_dependencies_of_the_package():
    yaml = pytest.importorskip("yaml", reason="the recipe is YAML")
    recipe = yaml.safe_load((ROOT / "conda/recipe.yaml").read_text())
    assert recipe["context"]["version"] == jaxmed.__version__
    assert ">=" + recipe["context"]["python_min"] == PROJECT["requires-python"]
    run = dict(map(named, recipe["requirements"]["run"]))
    assert run.pop("python") == ">=${{ python_min }}"
    assert run == dict(map(named, PROJECT["dependencies"]))
    assert dict(map(named, recipe["requirements"]["run_constraints"])) == {
        CONDA.get(name, name): bounds
        for extra in OPTIONAL
        for name, bounds in map(named, EXTRAS[extra])
    }
    assert recipe["build"]["noarch"] == "python"
    entries = [f"{name} = {target}" for name, target in PROJECT["scripts"].items()]
    assert recipe["build"]["python"]["entry_points"] == entries
    assert recipe["about"]["license"] == PROJECT["license"]
    assert recipe["about"]["license_file"] == PROJECT["license-files"]
    assert all((ROOT / file).is_file() for file in PROJECT["license-files"])


def without_extras(code):
    """Runs code where no library of an extra can be imported."""
    blocked = f"import sys; sys.modules.update(dict.fromkeys({optional_modules()}))\n"
    done = subprocess.run(
        [sys.executable, "-c", blocked + code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """What one process without extras returns and prints: its help first, then what it lacks."""
    folder = tmp_path_factory.mktemp("bare")
    for suffix in (".xlsx", ".h5ad"):
        (folder / f"table{suffix}").write_bytes(b"")
    (folder / "table.parquet").write_bytes(b"PAR1")
    return without_extras(
        "import numpy as np, jaxmed\n"
        "from jaxmed.cli import main\n"
        "rng = np.random.default_rng(0)\n"
        "data = jaxmed.mediation_data(rng.normal(size=30), rng.normal(size=(30, 3)), "
        "rng.normal(size=30))\n"
        "print(jaxmed.maxie(jaxmed.paths(data)).indirect > 0)\n"
        "try:\n"
        "    print('exit', main(['--help']))\n"
        "except SystemExit as ended:\n"
        "    print('exit', ended.code)\n"
        "print('lacks:')\n"
        "roles = dict(exposure='age', outcome='icu', mediators='prot_*')\n"
        f"doors = [lambda: jaxmed.from_frame('{TABLE}', **roles),\n"
        f"         lambda: jaxmed.read_table('{TABLE}'),\n"
        "         lambda: jaxmed.datasets.load('covid_plasma_proteome'),\n"
        f"         lambda: jaxmed.from_frame('{folder}/table.xlsx', **roles),\n"
        f"         lambda: jaxmed.from_frame('{folder}/table.parquet', **roles),\n"
        f"         lambda: jaxmed.from_frame('{folder}/table.h5ad', **roles)]\n"
        "for door in doors:\n"
        "    try:\n"
        "        door()\n"
        "    except ImportError as error:\n"
        "        print(error)\n"
        f"sys.exit(main(['mediate', '{TABLE}', '--exposure', 'age', '--outcome', 'icu', "
        "'--mediators', 'prot_*']))"
    )


def test_a_bare_install_computes_and_shows_its_help(bare):
    shown = bare[1].partition("lacks:\n")[0]
    assert shown.startswith("True") and "usage: jaxmed" in shown, bare[2]
    assert shown.splitlines()[-1] in ("exit 0", "exit None")


def test_a_bare_install_names_the_extra_that_reads_a_table(bare):
    code, out, err = bare
    assert out.partition("lacks:\n")[2].splitlines() == [
        'reading .csv needs pyarrow: pip install "jaxmed[io]"',
        'reading .csv needs pandas: pip install "jaxmed[io]"',
        'reading .csv needs pandas: pip install "jaxmed[io]"',
        'reading .xlsx needs python_calamine: pip install "jaxmed[io]"',
        'reading .parquet needs pyarrow.parquet: pip install "jaxmed[io]"',
        'reading .h5ad needs anndata: pip install "jaxmed[anndata]"',
    ]
    last = err.splitlines()[-1]
    assert code == 2 and last == 'jaxmed: reading .csv needs pyarrow: pip install "jaxmed[io]"'


def tracked_files():
    """Of this repository, from its root; none where there is no repository or no git."""
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        return []
    command = ["git", "-C", str(ROOT), "ls-files", "-z"]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert found
    return found.rstrip("\0").split("\0")


def test_what_the_tests_and_the_site_read_is_in_the_source_archive():
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]
    included = {Path(entry.lstrip("/")).parts[0] for entry in config["targets"]["sdist"]["include"]}
    included |= {"pyproject.toml"}  # which every archive has
    assert all((ROOT / name).exists() for name in included)
    # An unpacked archive has nothing else to compare with: it was made of what is included.
    tracked = {Path(file).parts[0] for file in tracked_files()}
    assert {name for name in tracked if not name.startswith(".")} <= included
    assert config["targets"]["wheel"]["packages"] == ["jaxmed"]
