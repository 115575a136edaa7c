"""The proportion mediated by method: with Fieller's interval, or a dash and why."""

from collections.abc import Iterator
from typing import Any

from jaxmed.reports import format as fmt
from jaxmed.reports.sections import TidyTable

__all__ = ["proportion_reasons", "proportion_tables"]

Row = dict[str, Any]


def proportion_tables(rows: list[Row]) -> list[tuple[str, TidyTable]]:
    """(heading, table) with one row per method; an unbounded interval is a dash.

    Nothing for records that do not say why a proportion is missing.
    """
    if not any("proportion_reason" in row for row in rows):
        return []

    def limits(row: Row) -> str:
        lower, upper = row.get("proportion_lower"), row.get("proportion_upper")
        if not (fmt.finite(lower) and fmt.finite(upper)):
            return fmt.MISSING
        return f"[{fmt.percent(lower)}, {fmt.percent(upper)}]"

    columns = {"method": "Method", "share": "Indirect / total", "interval": "Fieller interval"}
    cells = [
        {
            "method": row["label"],
            "share": fmt.percent(row.get("proportion_mediated")),
            "interval": limits(row),
        }
        for row in rows
    ]
    return [("Proportion mediated", TidyTable(columns, cells))]


def proportion_reasons(row: Row) -> Iterator[str]:
    """Why a proportion or its interval is missing, as a note; nothing where it is not."""
    if row.get("proportion_reason"):
        yield f"proportion mediated, {row['proportion_reason']}"
