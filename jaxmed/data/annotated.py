"""AnnData and MuData: mediators from X, a layer or obsm; the rest from obs or features."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from jaxmed.data import column_reader, validation
from jaxmed.data.columns import Cells, Factor, Raw, factor_of, unmark
from jaxmed.data.naming import doubled_names, doubled_sentences, name_columns
from jaxmed.data.tables import Block, Table, of_columns

__all__ = ["annotated_table", "feature_names"]


def annotated_table(
    data: Any,
    cells: Cells,
    *,
    layer: str | None = None,
    obsm: str | None = None,
    var_names: str | None = None,
    origin: Mapping[str, Any] | None = None,
) -> Table:
    """The table behind AnnData or MuData.

    Exposure, outcome, covariates and weights are looked for in obs first, then among the features:
    a gene can be an exposure. Features of MuData are called "modality:name"; rows that a modality
    does not have are missing in its features.

    Args:
      data: AnnData (in memory or backed) or MuData.
      cells: how ambiguous cells are read.
      layer: where the features are, instead of X.
      obsm: the matrix whose columns NAME_1, NAME_2, ... are the features, instead of X.
      var_names: column of var that names the features.
      origin: where it comes from.

    Raises:
      InvalidDataError: no X and no other choice, or a layer, obsm or column that is not there.
    """
    if hasattr(data, "mod"):
        parts = [
            _Matrix(part, f"{name}:", layer, obsm, var_names, _rows_of(data, part))
            for name, part in data.mod.items()
            if (layer is None or layer in part.layers) and (obsm is None or obsm in part.obsm)
        ]
        if not parts:
            raise validation.InvalidDataError(
                f"no modality has the {'layer' if layer else 'obsm'} {layer or obsm!r}"
            )
    else:
        parts = [_Matrix(data, "", layer, obsm, var_names, None)]
    names = [name for part in parts for name in part.names]
    place = {name: (part, j) for part in parts for j, name in enumerate(part.names)}
    doubled = doubled_names(names)
    features = tuple(name for name in dict.fromkeys(names) if name not in doubled)
    obs = data.obs

    def read_obs(name: str, position: int, cells: Cells) -> Raw:
        series = obs.iloc[:, position]
        # The file format turns all text into categories: only their values can tell.
        return column_reader.from_pandas(name, series, cells, declared_categories=False)

    headings = [str(name) for name in obs.columns]
    naming = name_columns(headings, lambda j: read_obs(headings[j], j, cells).values)
    inner = of_columns(naming, len(obs), read_obs, cells, stored=lambda j: obs.iloc[:, j])

    def read(name: str) -> Raw:
        if name in naming.position:
            return inner.read(name)
        part, j = place[name]
        return column_reader.from_array(name, part.columns([j])[:, 0], cells)

    def identify(name: str) -> Factor:
        if name in naming.position:
            assert inner.identify is not None
            return inner.identify(name)
        found = read(name).values
        return found if isinstance(found, Factor) else factor_of(found)

    def read_features(wanted: Sequence[str], rows: np.ndarray) -> Block:
        chosen = [place[name] for name in wanted]
        blocks = []
        for part in parts:
            own = [j for owner, j in chosen if owner is part]
            if own:
                blocks.append(part.columns(own, rows))
        block = np.concatenate(blocks, axis=1) if len(blocks) > 1 else blocks[0]
        # Columns come by modality; back to the order asked for.
        order = [k for part in parts for k, (owner, _) in enumerate(chosen) if owner is part]
        block = block if order == sorted(order) else block[:, np.argsort(order)]
        block = unmark(validation.host_array(block, wanted), cells)
        validation.check_integers(block, wanted)
        return Block(block)

    said = dict(origin or {})
    chosen = f"layer {layer!r}" if layer else f"obsm {obsm!r}" if obsm else "X"
    said["lines"] = [*said.get("lines", []), f"features from {chosen}"]
    aside = doubled_sentences(doubled)
    return Table(
        len(obs),
        naming.fields,
        features,
        read,
        read_features,
        inner.hidden,
        dict(naming.doubled) | doubled,
        (*naming.aside, *aside),
        cells,
        said,
        identify,
        inner.repeats,
    )


def _rows_of(whole: Any, part: Any) -> np.ndarray:
    """The row of a modality that belongs to each row of all; -1 where it has none."""
    return part.obs_names.get_indexer(whole.obs_names)


def feature_names(data: Any, obsm: str | None = None, var_names: str | None = None) -> list[str]:
    """Names of the columns of X, or of a matrix in obsm.

    Raises:
      InvalidDataError: no such matrix or column.
    """
    if obsm is not None:
        if obsm not in data.obsm:
            raise validation.InvalidDataError(
                f"there is no obsm {obsm!r}; there are {list(data.obsm.keys())}"
            )
        matrix = data.obsm[obsm]
        if hasattr(matrix, "columns"):
            return [str(name) for name in matrix.columns]
        return [f"{obsm}_{j + 1}" for j in range(matrix.shape[1])]
    if var_names is None:
        return [str(name) for name in data.var_names]
    if var_names not in data.var.columns:
        raise validation.InvalidDataError(
            f"var has no column {var_names!r}; it has {[str(c) for c in data.var.columns]}"
        )
    return [str(name) for name in data.var[var_names]]


def feature_values(data: Any, layer: str | None = None, obsm: str | None = None) -> Any:
    """The matrix of the features: X, a layer or one of obsm, in memory or on disk."""
    return data.obsm[obsm] if obsm else data.layers[layer] if layer else data.X


class _Matrix:
    """The features of one AnnData."""

    def __init__(
        self,
        data: Any,
        prefix: str,
        layer: str | None,
        obsm: str | None,
        var_names: str | None,
        rows: np.ndarray | None,
    ) -> None:
        if layer is not None and obsm is not None:
            raise validation.InvalidDataError("features come from a layer or from obsm, not both")
        if layer is not None and layer not in data.layers:
            there = [name for name in data.layers.keys() if name is not None]  # None is X
            raise validation.InvalidDataError(f"there is no layer {layer!r}; there are {there}")
        self._names = feature_names(data, obsm, var_names)
        self.names = [f"{prefix}{name}" for name in self._names]
        self._values = feature_values(data, layer, obsm)
        if self._values is None:
            raise validation.InvalidDataError(
                "the AnnData has no X: name a layer or obsm from which its features are read"
            )
        self._rows = rows

    def columns(self, positions: Sequence[int], rows: np.ndarray | None = None) -> np.ndarray:
        """Columns [n, k] of all rows, or of a mask of them."""
        values = self._values
        chosen = slice(None) if rows is None else np.flatnonzero(rows)
        if self._rows is not None:
            return self._aligned(positions)[chosen]
        if hasattr(values, "iloc"):
            return values.iloc[chosen, list(positions)].to_numpy()
        part = values[chosen][:, list(positions)]
        return part.toarray() if hasattr(part, "toarray") else np.asarray(part)

    def _aligned(self, positions: Sequence[int]) -> np.ndarray:
        values = self._values
        if hasattr(values, "iloc"):
            values = values.to_numpy()
        part = values[:, list(positions)]
        part = part.toarray() if hasattr(part, "toarray") else np.asarray(part)
        assert self._rows is not None
        found = part[self._rows]
        if (self._rows < 0).any():
            found = found.astype(float)
            found[self._rows < 0] = np.nan
        return found
