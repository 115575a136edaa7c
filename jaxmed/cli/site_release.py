"""How `jaxmed site` lets something out: rows with names, the ledger, the file."""

import argparse
import dataclasses

from jaxmed.data.frame_columns import FrameColumns
from jaxmed.data.tables import Table
from jaxmed.federated.identifiers import row_labels
from jaxmed.federated.releasing import Released, write_release
from jaxmed.federated.second_round import RoundSums
from jaxmed.federated.summary import SiteSummary
from jaxmed.vocabulary import LEDGER_NAME

__all__ = ["Identified", "identified", "to_file"]


@dataclasses.dataclass(frozen=True)
class Identified:
    """Rows by the identifiers of their persons, or by their places."""

    labels: list[str]
    source: str  # where they come from
    persons: list[str] | None  # the labels, if they are those of persons


def identified(options: argparse.Namespace, found: FrameColumns, table: Table) -> Identified:
    """Of --row-id, or places in the file."""
    if options.row_id is None:
        name = options.file.name
        labels = [f"{name}:{row}" for row in found.rows]
        return Identified(labels, f"position in {name}", None)
    names = table.row_names(table.find(options.row_id, "row-id"))
    labels = row_labels([names[row] for row in found.rows.tolist()])
    return Identified(labels, f"column {options.row_id}", labels)


def to_file(
    options: argparse.Namespace, item: SiteSummary | RoundSums, rows: Identified, key: bytes | None
) -> Released:
    """Into the ledger and the file, and what there is to say of it."""
    path = options.ledger or options.file.parent / LEDGER_NAME
    if rows.persons is None:
        print(
            f"Rows are told apart by their position in {options.file.name}: an overlap with "
            "another file of the same persons goes unseen (--row-id COL names a column)"
        )
    released = write_release(
        item,
        options.out,
        ledger=path,
        identifiers=rows.labels,
        identified_by=rows.source,
        key=key,
    )
    print(f"Ledger: {path} (stays at the site), release {released.mark.length}")
    if released.finished:
        print(
            "An earlier release of these rows was interrupted: its file was put in place, and "
            "nothing of this run is in it"
        )
    return released
