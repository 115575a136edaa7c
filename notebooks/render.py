"""Executes the notebooks in full and writes their .ipynb: `python notebooks/render.py [NAME ...]`."""

import sys
from pathlib import Path

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).parent


NAMES = ("quickstart", "own_study", "disparity", "chain", "policy")


def render(name: str) -> None:
    """Runs every cell and keeps what it shows."""
    notebook = jupytext.read(FOLDER / f"{name}.py")
    # An empty list of folders leaves the kernel of this very interpreter.
    manager = AsyncKernelManager(
        kernel_name="python3", kernel_spec_manager=KernelSpecManager(kernel_dirs=[])
    )
    resources = {"metadata": {"path": str(FOLDER)}}
    NotebookClient(notebook, km=manager, timeout=1800, resources=resources).execute()
    for position, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{position}"  # random ones would change with every rendering
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("jupytext", None)
    nbformat.write(notebook, FOLDER / f"{name}.ipynb")


if __name__ == "__main__":
    for chosen in sys.argv[1:] or NAMES:
        render(chosen)
