"""AnnData on disk: obs in memory, X in blocks of rows or of columns."""

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.annotated import annotated_table, feature_names, feature_values
from jaxmed.data.library import library, parsed
from jaxmed.data.readers import DEFAULTS, FileOptions
from jaxmed.data.tables import Table
from jaxmed.data.unpack import digest_of

__all__ = ["AnnDataSource"]


class AnnDataSource:
    """Mediators are the columns of X (var_names), other columns come from obs."""

    def __init__(self, path: Path, options: FileOptions = DEFAULTS) -> None:
        """Opens the file; X, or the layer or obsm that is wanted, stays on disk."""
        self.path = path
        anndata = library("anndata", "anndata", ".h5ad")
        self._data: Any = parsed(path, lambda: anndata.read_h5ad(path, backed="r"))
        self._table = annotated_table(
            self._data,
            options.cells(1),
            layer=options.layer,
            obsm=options.obsm,
            var_names=options.var_names,
        )
        values: Any = feature_values(self._data, options.layer, options.obsm)
        self._values: Any = values.to_numpy() if hasattr(values, "to_numpy") else values
        self.features = self._table.features
        names = feature_names(self._data, options.obsm, options.var_names)
        self._position = {name: j for j, name in enumerate(names)}

    def dtype(self, names: Sequence[str] = ()) -> np.dtype:
        """See `Source`; all features have one dtype."""
        del names
        stored = np.dtype(self._values.dtype)
        return np.dtype("f4") if stored.kind == "f" and stored.itemsize <= 4 else np.dtype("f8")

    @property
    def nbytes(self) -> int:
        """See `Source`."""
        return 8 * self._data.n_obs * len(self._position)

    def table(self, fields: Sequence[str]) -> Table:
        """See `Source`."""
        del fields
        # Not at the opening: a file may be opened to see how large it is.
        file = {"file": self.path.name, "sha256": digest_of(self.path)}
        return dataclasses.replace(self._table, origin=file | dict(self._table.origin))

    def row_blocks(
        self, names: Sequence[str], size: int, start: int, stop: int
    ) -> Iterator[np.ndarray]:
        """See `Source`."""
        chosen = np.array([self._position[name] for name in names])
        for first in range(start, stop, size):
            yield _dense(self._values[first : min(first + size, stop)])[:, chosen].astype(
                self.dtype(), copy=False
            )

    def columns(self, names: Sequence[str]) -> np.ndarray:
        """See `Source`."""
        positions = np.array([self._position[name] for name in names])
        order = np.argsort(positions)  # HDF5 takes increasing positions only
        inverse = np.argsort(order)
        found = _dense(self._values[:, positions[order]])[:, inverse]
        return found.astype(self.dtype(), copy=False)


def _dense(block: Any) -> np.ndarray:
    return block.toarray() if hasattr(block, "toarray") else np.asarray(block)
