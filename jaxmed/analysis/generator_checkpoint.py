"""The folder of a long training: its last complete chunk, and whose it is."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxmed.data.atomic import atomic_write
from jaxmed.data.documents import DocumentError, read_document, sealed
from jaxmed.data.forms import SHA256, Fields, Text, Whole
from jaxmed.gahmn.config import GahmnConfig
from jaxmed.gahmn.scaling import Scaled
from jaxmed.gahmn.storage import StoredStateError, read_tree, write_tree
from jaxmed.typing import Key
from jaxmed.version import __version__

__all__ = ["Checkpoint", "identity_of"]

_PLACE = Fields(
    {
        "identity": SHA256,
        "stage": Text("[a-z]*"),
        "windows": Whole(0, 10**9),
        "file": Text(r"(state-[a-z]+-[0-9]+\.npz)?"),  # in the folder and nowhere else
    }
)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """A folder with the last complete chunk: `state.json` names the file of its arrays."""

    folder: Path | None
    identity: str

    def write(self, stage: str, windows: int, tree: Any) -> None:
        """Keeps the state after so many windows of a stage, in place of the one before."""
        if self.folder is None:
            return
        name = _file(stage, windows)
        write_tree(self.folder / name, tree)
        self._record(self.folder, stage, windows, name)
        for old in self.folder.glob("state-*.npz"):
            if old.name != name:
                old.unlink()

    def place(self) -> dict[str, Any]:
        """Where the last run stopped; empty at the beginning.

        Raises:
          StoredStateError: the folder belongs to another fit, or its record is damaged.
        """
        path = None if self.folder is None else self.folder / "state.json"
        if path is None or not path.exists():
            return {}
        try:
            place = read_document(path, _PLACE, remedy="delete the folder to start anew", seal=True)
            if place["file"] != _file(place["stage"], place["windows"]):
                raise DocumentError(path.name, "file", "is of another place", "delete the folder")
        except DocumentError as error:
            raise StoredStateError(f"{path} is damaged: {error}") from error
        if place["identity"] != self.identity:
            raise StoredStateError(
                f"{path.parent} holds the training of other data, another seed, other settings or "
                "another version: choose another folder, or delete this one"
            )
        return place

    def keep(self, name: str, tree: Any) -> None:
        """Keeps a part beside the state; the folder is this fit's from now on."""
        if self.folder is None:
            return
        if not (self.folder / "state.json").exists():
            for stray in self.folder.glob("penalty-*.npz"):  # whose fit they are of, nobody knows
                stray.unlink()
            self._record(self.folder, "", 0, "")
        write_tree(self.folder / f"{name}.npz", tree)

    def _record(self, folder: Path, stage: str, windows: int, file: str) -> None:
        place = {"identity": self.identity, "stage": stage, "windows": windows, "file": file}
        atomic_write(folder / "state.json", json.dumps(sealed(place)) + "\n", durable=True)

    def part(self, name: str, template: Any) -> Any:
        """A part that was kept, or None; only after `place` has accepted the folder."""
        path = None if self.folder is None else self.folder / f"{name}.npz"
        if path is None or not path.exists() or not self.place():
            return None
        return read_tree(path, template)

    def read(self, place: dict[str, Any], template: Any) -> Any:
        """The state at a place, in the form of a template."""
        assert self.folder is not None
        return read_tree(self.folder / place["file"], template)


def _file(stage: str, windows: int) -> str:
    return f"state-{stage}-{windows}.npz" if stage else ""


def identity_of(keys: Key, data: Scaled, config: GahmnConfig, tuning: str) -> str:
    """A hash of all that the weights of a fit depend on, the machine apart."""
    digest = hashlib.sha256()
    for part in (repr(config), tuning, __version__, jax.__version__, jax.default_backend()):
        digest.update(part.encode())
    digest.update(np.asarray(jax.random.key_data(keys)).tobytes())
    for leaf in jax.tree.leaves(data):
        digest.update(np.ascontiguousarray(leaf).tobytes())
    return digest.hexdigest()
