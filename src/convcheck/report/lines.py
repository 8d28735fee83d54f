"""Lines of a report: a label, and a text that wraps under itself, or is to be copied and so never wraps."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from rich.text import Text

__all__ = ["LABEL", "labelled", "verbatim"]

#: columns of a label
LABEL = 12


def labelled(label: str, text: str, width: int, *, style: str = "", indent: int = 2) -> Iterator[Text]:
    """Lines of a text that wraps to the width, under itself."""
    room = max(20, width - indent - LABEL)
    wrapped = [part for line in text.splitlines() for part in textwrap.wrap(line, room, break_on_hyphens=False)]
    for i, line in enumerate(wrapped):
        yield _line(label if i == 0 else "", line, style, indent)


def verbatim(label: str, text: str, *, style: str = "", indent: int = 2) -> Text:
    """One line, however long: what is to be copied must not be broken."""
    return _line(label, text, style, indent)


def _line(label: str, text: str, style: str, indent: int) -> Text:
    return Text(" " * indent).append(label.ljust(LABEL), "dim").append(text, style)
