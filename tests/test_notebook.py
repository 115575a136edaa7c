"""The notebooks: their sources run, and the rendered copies are of these sources."""

import importlib.util
import json
import os
from pathlib import Path

import pytest

pytest.importorskip("jupytext", reason="the notebook's source is read by jupytext")
pytest.importorskip("nbclient", reason="the notebook is executed by nbclient")
pytest.importorskip("ipykernel", reason="the notebook is executed in an IPython kernel")
pytest.importorskip("pandas", reason="the notebook shows pandas tables")
pytest.importorskip("matplotlib", reason="the notebook draws figures")

import jupytext  # noqa: E402
import nbformat  # noqa: E402
from jupyter_client.kernelspec import KernelSpecManager  # noqa: E402
from jupyter_client.manager import AsyncKernelManager  # noqa: E402
from nbclient import NotebookClient  # noqa: E402

FOLDER = Path(__file__).parent.parent / "notebooks"
FIGURES = {"quickstart": 4, "own_study": 2, "disparity": 1, "chain": 2, "policy": 2}  # at least
# A cell that hangs is stopped long before; on a machine shared with other work compilation is slow.
SECONDS = 300
slow_machine = (
    pytest.mark.timeout(SECONDS)
    if importlib.util.find_spec("pytest_timeout")
    else lambda function: function
)


@pytest.mark.slow
@slow_machine
@pytest.mark.parametrize("name", FIGURES)
def test_source_executes_in_a_small_size(name, tmp_path, monkeypatch):
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path / "runtime"))
    # An empty list of folders leaves the kernel of this very interpreter.
    kernels = KernelSpecManager(kernel_dirs=[])
    client = NotebookClient(
        jupytext.read(FOLDER / f"{name}.py"),
        km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=kernels),
        timeout=SECONDS,
        resources={"metadata": {"path": str(tmp_path)}},
    )
    small = {
        "JAXMED_NOTEBOOK_SMALL": "1",
        "IPYTHONDIR": str(tmp_path / "ipython"),
        # Most of the time is compilation of programs that run once.
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
        "OMP_NUM_THREADS": "1",
    }
    client.execute(env=os.environ | small)
    assert all(cell.execution_count for cell in client.nb.cells if cell.cell_type == "code")


@pytest.mark.parametrize("name", FIGURES)
def test_rendered_notebook_is_of_this_source(name):
    source = jupytext.read(FOLDER / f"{name}.py")
    rendered = nbformat.read(FOLDER / f"{name}.ipynb", as_version=4)
    assert [(c.cell_type, c.source) for c in source.cells] == [
        (c.cell_type, c.source) for c in rendered.cells
    ], "run: python notebooks/render.py"


@pytest.mark.parametrize("name", FIGURES)
def test_rendered_notebook_has_its_outputs_and_nothing_of_the_machine(name):
    path = FOLDER / f"{name}.ipynb"
    rendered = nbformat.read(path, as_version=4)
    code = [cell for cell in rendered.cells if cell.cell_type == "code"]
    outputs = [output for cell in code for output in cell.outputs]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    assert not [o for o in outputs if o.output_type == "error" or o.get("name") == "stderr"]
    assert sum("image/png" in o.get("data", {}) for o in outputs) >= FIGURES[name]
    text = json.dumps(
        [[o.get("text", ""), o.get("data", {}).get("text/plain", "")] for o in outputs]
    )
    assert str(Path.home()) not in text and str(FOLDER.parent) not in text
    assert path.stat().st_size < 1.5e6
