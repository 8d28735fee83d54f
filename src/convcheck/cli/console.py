"""Where reports are printed: plain text unless a person watches, and a reader that goes away does no harm."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from rich.console import Console
from rich.text import Text

__all__ = ["ReportConsole", "abandon_output", "make_console", "show", "text_width"]


class ReportConsole(Console):
    """A console that goes on in silence when its reader has gone: the exit code still tells the verdict."""

    def on_broken_pipe(self) -> None:
        """Write to nowhere from now on."""
        self.quiet = True
        abandon_output()


def abandon_output() -> None:
    """Let what is still to be written to standard output go nowhere: at the end Python would fail on it once more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def make_console(*, stderr: bool = False) -> ReportConsole:
    """Return a console on standard output or standard error, without any style where NO_COLOR is set."""
    plain = bool(os.environ.get("NO_COLOR"))
    console = ReportConsole(
        stderr=stderr, color_system=None if plain else "auto", highlight=False, markup=False, emoji=False
    )
    if not console.width:  # COLUMNS=0 says that nobody knows
        console.width = 80
    return console


def text_width(console: Console) -> int:
    """Columns to fill: longer lines than these are hard to read."""
    return max(20, min(console.width, 110))


def show(console: Console, lines: Iterable[Text]) -> None:
    """Print lines as they are: whoever made them has wrapped what may be wrapped."""
    for line in lines:
        console.print(line, soft_wrap=True)
