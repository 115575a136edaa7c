"""The form of plan.json: what a plan may say before anything is made of it."""

from collections.abc import Mapping, Sequence
from typing import Any

from jaxmed.data.forms import SHA256, Choice, Each, Fields, Kind, Mapped, Maybe, Number, Text, Whole
from jaxmed.keys import LARGEST_SEED
from jaxmed.sweeps.sweep import MAX_COUNT

__all__ = ["MOST_THREADS", "PLAN", "SCHEMA", "SCHEMA_VERSION", "counts_wrong"]

SCHEMA, SCHEMA_VERSION = "jaxmed.run", 1
MOST_THREADS = 4096  # of XLA's pool: the number goes into the environment of processes
_SOURCE_FIELDS: dict[str, Kind] = {
    "registered": Text(),
    "file": Text(),
    "variable": Text(),
    "sha256": SHA256,
    "object": Text(),
}
_CELL = Fields(
    {
        "name": Text(),
        "count": Whole(1, MAX_COUNT),
        "chunk": Whole(1),
        "batch": Maybe(Whole(1)),
        "reducer": Text(),
        "num_chunks": Whole(1, MAX_COUNT),
        "program": SHA256,
        "parameters": SHA256,
    }
)
PLAN = Fields(
    {
        "schema": Choice((SCHEMA,)),
        "schema_version": Choice((SCHEMA_VERSION,)),
        "study": Fields({"name": Text(), "title": Text(), "source": Fields({}, _SOURCE_FIELDS)}),
        "scale": Number(5e-324),
        "seed": Whole(0, LARGEST_SEED),
        "precision": Choice(("float32", "float64")),
        "nproc": Whole(1, MOST_THREADS),
        "platform": Text(),
        "versions": Mapped(Text()),
        "cells": Each(_CELL, 1),
        "config": SHA256,
    }
)


def counts_wrong(cells: Sequence[Mapping[str, Any]]) -> tuple[str, str] | None:
    """(field, problem) where numbers of a plan's cells contradict each other, else None."""
    names: set[str] = set()
    for place, cell in enumerate(cells):
        # The hash goes by names: of two cells of one name only the last is in it.
        if cell["name"] in names:
            return f"cells[{place}].name", f"{cell['name']!r} is there twice"
        names.add(cell["name"])
        if cell["num_chunks"] != -(-cell["count"] // cell["chunk"]):
            return f"cells[{place}].num_chunks", "does not follow from count and chunk"
    return None
