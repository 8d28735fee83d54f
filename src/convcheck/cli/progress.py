"""What a run says while it works: a bar where somebody watches, now and then a line where nobody does."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from convcheck.run import Progress as Step

__all__ = ["Watch"]

#: seconds between two lines where there is no terminal
SPARSE = 30.0


class Watch:
    """Shows the steps of a run of so many laws; to be used as a context manager."""

    def __init__(self, console: Console, laws: int) -> None:
        self._console = console
        self._laws = laws
        self._shares: dict[str, float] = {}
        self._judged: dict[str, int] = {}
        self._violated: set[str] = set()
        self._next_line = time.monotonic() + SPARSE
        columns = (BarColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        self._bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task("starting", total=laws)

    def __enter__(self) -> Self:
        """Start to show."""
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the bar."""
        self._bar.stop()

    def step(self, step: Step) -> None:
        """Take one step of the run."""
        self._shares[step.law] = step.done / max(1, step.of)
        self._judged[step.law] = step.tally.judged
        if step.tally.failures:
            self._violated.add(step.law)
        text = self._text(step.law)
        self._bar.update(self._task, completed=sum(self._shares.values()), description=text)
        if not self._console.is_terminal and time.monotonic() >= self._next_line:
            self._next_line = time.monotonic() + SPARSE
            self._console.print(text, soft_wrap=True)

    def _text(self, law: str) -> str:
        text = f"{law}, law {len(self._shares)} of {self._laws}, {sum(self._judged.values()):,} cases"
        return text + (f", {len(self._violated)} violated" if self._violated else "")
