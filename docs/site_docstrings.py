"""What the reference shows of docstrings as this code base writes them."""

import re
from typing import Any

import griffe

# Sections of one line, and sources: paragraphs. Other sections follow a blank line.
INLINE = re.compile(r"^( *)(Returns|Raises|Source): (?=\S)", re.MULTILINE)
SECTION = re.compile(r"^( *)(Args|Returns|Raises):$", re.MULTILINE)
COMMENT = re.compile(r"  # (.+)$")
NOTHING = "\N{NO-BREAK SPACE}"  # a description has to have a character


class HouseDocstrings(griffe.Extension):
    """Sources as paragraphs; the comments beside the fields of a dataclass as a list of them."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Reads one docstring."""
        del kwargs
        if obj.docstring is not None:
            text = INLINE.sub(r"\n\1**\2:** ", obj.docstring.value)
            obj.docstring.value = SECTION.sub(r"\n\1\2:", text)

    def on_class(self, *, cls: griffe.Class, **kwargs: Any) -> None:
        """Fields with their comments, which have their shapes and units."""
        del kwargs
        if cls.docstring is None or "\nAttributes:" in cls.docstring.value:
            return
        fields = [
            f"    {name}: {comment_of(field)}"
            for name, field in cls.attributes.items()
            if field.docstring is None and not name.startswith("_")
        ]
        if fields:
            cls.docstring.value += "\n\nAttributes:\n" + "\n".join(fields)


def comment_of(field: griffe.Attribute) -> str:
    """The comment on the line of a field; nothing where there is none."""
    if field.lineno is None or isinstance(field.filepath, list):
        return NOTHING
    found = COMMENT.search(field.lines_collection[field.filepath][field.lineno - 1])
    return found[1] if found else NOTHING
