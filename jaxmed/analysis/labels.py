"""Display names of mediators, from a mapping or a table of features."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from jaxmed.data.readers import read_table

__all__ = ["Labels", "display_names"]

# name -> label, a table with columns of both, or (table, column of names, column of labels).
Labels = Mapping[str, str] | str | Path | tuple[Any, str, str] | Any
COLUMN = "label"


def display_names(names: Sequence[str], labels: Labels | None) -> tuple[str, ...]:
    """A label for every mediator, its name where there is none.

    Args:
      names: of the mediators.
      labels: name -> label; or a file or data frame of features, whose first column has the names
        and whose column "label" the labels; or (file or frame, column of names, column of labels).
        A name without a label, or with an empty one, is its own label.

    Raises:
      ValueError: a column that the table does not have, or no mediator of the data in it.
    """
    if labels is None:
        return ()
    if isinstance(labels, Mapping):
        known = {str(name): _text(label) for name, label in labels.items()}
    else:
        known = _of_table(labels)
    if known and not set(known) & set(names):
        raise ValueError(
            f"none of the {len(names)} mediators has a label: they are called {names[0]!r}, ..., "
            f"the labels are of {next(iter(known))!r}, ..."
        )
    return tuple(known.get(name) or name for name in names)


def _of_table(labels: Any) -> dict[str, str]:
    table, key, value = labels if isinstance(labels, tuple) else (labels, None, COLUMN)
    frame = read_table(table) if isinstance(table, str | Path) else table
    columns = [str(name) for name in frame.columns]
    key = columns[0] if key is None else key
    for wanted in (key, value):
        if wanted not in columns:
            raise ValueError(
                f"labels: there is no column {wanted!r} among {', '.join(columns)}; name the two "
                "as (table, column of names, column of labels)"
            )
    pairs = zip(np.asarray(frame[key]), np.asarray(frame[value]), strict=True)
    return {str(name): _text(label) for name, label in pairs}


def _text(label: Any) -> str:
    # NaN and pandas' NA: the one is not itself, of the other nobody knows.
    missing = label is None or str(label) in ("nan", "<NA>", "NaT")
    return "" if missing else str(label).strip()
