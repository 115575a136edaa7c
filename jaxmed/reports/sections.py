"""What a study shows: sections of text, tidy tables and figures, before any rendering."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

__all__ = ["Section", "TidyTable"]


@dataclasses.dataclass(frozen=True)
class TidyTable:
    """Rows of named values, as they go to the page, to the terminal and to a CSV file.

    Attributes:
      columns: column name -> heading; also the order of the columns.
      rows: one mapping per row; a missing key or None is an empty cell. A value is text, a
        number, or a pair (value, Monte Carlo standard error), which is shown as "0.0478 (0.0071)"
        and written to two columns of the CSV file.
      note: what the columns are, in one or two sentences.
    """

    columns: Mapping[str, str]
    rows: Sequence[Mapping[str, Any]]
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Section:
    """One heading of a study's page.

    Attributes:
      name: file name of its table and figure.
      title: heading.
      text: paragraphs of plain text.
      table: or None.
      figure: () -> matplotlib Figure, made when the page is; or None.
      caption: of the figure.
    """

    name: str
    title: str
    text: Sequence[str] = ()
    table: TidyTable | None = None
    figure: Callable[[], Any] | None = None
    caption: str = ""
