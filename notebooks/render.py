"""Executes quickstart.py in full and writes quickstart.ipynb: `python notebooks/render.py`."""

from pathlib import Path

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient

FOLDER = Path(__file__).parent


def main() -> None:
    """Runs every cell and keeps what it shows."""
    notebook = jupytext.read(FOLDER / "quickstart.py")
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
    nbformat.write(notebook, FOLDER / "quickstart.ipynb")


if __name__ == "__main__":
    main()
