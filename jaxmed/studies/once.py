"""What a study computes once, besides its sweeps, kept in once.json of its run directory."""

import json
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jaxmed.data.atomic import atomic_write
from jaxmed.data.documents import DocumentError, read_document, sealed
from jaxmed.data.forms import SHA256, Fields
from jaxmed.sweeps.aside import set_aside

__all__ = ["in_json", "stored_once"]

_FORM = Fields({"config": SHA256, "values": Fields({}, open=True)})
_NUMBER = "#number"  # JSON has no NaN and no infinity: {"#number": "nan"} stands for one


def in_json(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values as they read back from JSON: lists for tuples, texts for names."""
    return json.loads(json.dumps(dict(values)))


def stored_once(
    directory: Path,
    config: str,
    compute: Callable[[], Mapping[str, Any]],
    say: Callable[[str], None],
) -> dict[str, Any]:
    """The values in once.json, or computed and written there.

    Args:
      directory: of the run.
      config: hash of its plan; values of another one are computed again.
      compute: makes the values.
      say: told of a file that is damaged or another run's.
    """
    path = directory / "once.json"
    if path.exists():
        try:
            found = read_document(path, _FORM, remedy="computed again", seal=True)
            if found["config"] == config:
                return {name: _plain(value) for name, value in found["values"].items()}
            say(f"{path} belongs to another run: computed again")
        except DocumentError as error:
            say(f"{path} is damaged: {error}")
    values = in_json(compute())
    marked = {name: _marked(value) for name, value in values.items()}
    document = sealed({"config": config, "values": marked})
    if path.is_dir():
        set_aside(path, ".odd")
    atomic_write(path, json.dumps(document) + "\n", durable=True)
    return values


def _marked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _marked(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_marked(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return {_NUMBER: repr(value)}
    return value


def _plain(value: Any) -> Any:
    if value in ({_NUMBER: "nan"}, {_NUMBER: "inf"}, {_NUMBER: "-inf"}):
        return float(value[_NUMBER])
    if isinstance(value, dict):
        return {name: _plain(item) for name, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value
