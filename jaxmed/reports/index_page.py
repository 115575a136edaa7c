"""A page that leads to several reports: what data, what question, what answer."""

from collections.abc import Sequence
from typing import NamedTuple

from jaxmed.reports.design import data_paragraph
from jaxmed.reports.document import environment
from jaxmed.reports.format import typographic_numbers
from jaxmed.reports.record import Record
from jaxmed.reports.text import one_line
from jaxmed.reports.verdict import question

__all__ = ["IndexEntry", "index_entry", "index_html"]


class IndexEntry(NamedTuple):
    """One report of an index.

    Attributes:
      title: of the link.
      link: relative to the index.
      answer: in one line.
      question: exposure, mediators, outcome and covariates.
      data: what was analysed.
    """

    title: str
    link: str
    answer: str = ""
    question: str = ""
    data: str = ""


def index_entry(record: Record, title: str, link: str) -> IndexEntry:
    """The entry of one analysis."""
    data = " ".join(data_paragraph(record.document))
    return IndexEntry(title, link, one_line(record), question(record), data)


def index_html(entries: Sequence[IndexEntry], title: str = "Mediation reports") -> str:
    """The page.

    Args:
      entries: in the order shown.
      title: of the page.

    Raises:
      MissingExtraError: jinja2 is not installed.
    """
    shown = [
        entry._replace(
            answer=typographic_numbers(entry.answer), question=entry.question.replace("->", "→")
        )
        for entry in entries
    ]
    return environment().get_template("index.html.j2").render(title=title, entries=shown)
