"""A page of shared memory on which a worker writes what it is about to do, so that it is known when it dies."""

from __future__ import annotations

import mmap
import signal
import struct
import sys
import tempfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import reduction
from time import monotonic  # by itself: a target may put something else in its place
from typing import Any

__all__ = ["Entry", "Ledger"]

_SINCE = struct.Struct("<d")
_HEAD = struct.Struct("<dqI?")  # start in seconds (monotonic), number of the case, length of the line, out of memory
_FULL = struct.Struct("<?")
_SIZE = 1 << 16
#: torch's module that tells when it compiles, where it has been imported
COMPILER = "torch._dynamo.callback"


@dataclass(frozen=True)
class Entry:
    """What a worker was doing: the how-manieth case, its line, and since when the target has been under way.

    ``since`` is in seconds of the monotonic clock, and negative since the target's last answer, while it is not being
    called; ``full`` says that it ran out of the memory that it may have.
    """

    since: float
    number: int
    line: str
    full: bool = False


class Ledger:
    """Shared memory backed by a file without a name that both sides map; a worker writes, its supervisor reads."""

    def __init__(self, descriptor: int | None = None) -> None:
        if descriptor is None:
            self._file = tempfile.TemporaryFile()  # noqa: SIM115 - open until a worker has it, too
            self._file.truncate(_SIZE)
        else:
            self._file = open(descriptor, "r+b")  # noqa: SIM115, PTH123
        self._page = mmap.mmap(self._file.fileno(), _SIZE)
        self._calls = 0
        self._hears_of_compiling = False

    def __reduce__(self) -> tuple[Any, ...]:
        """Become the same page in the process that is being started."""
        return _inherited, (reduction.DupFd(self._file.fileno()),)

    def handed_over(self) -> None:
        """Close the file, now that whoever needs the page has mapped it, or can."""
        self._file.close()

    def write(self, line: str, number: int) -> None:
        """Say which case is about to be judged."""
        self._calls = 0
        data = line.encode()[: _SIZE - _HEAD.size]
        self._page[_HEAD.size : _HEAD.size + len(data)] = data
        self._page[: _HEAD.size] = _HEAD.pack(-monotonic(), number, len(data), False)

    def write_full(self) -> None:
        """Say that the target has run out of memory."""
        self._page[_HEAD.size - _FULL.size : _HEAD.size] = _FULL.pack(True)

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock that runs while it is being called, from however many threads."""

        def call(*arguments: Any) -> Any:
            self.start()
            try:
                return function(*arguments)
            finally:
                _disarm()
                self._calls = max(0, self._calls - 1)
                if not self._calls:
                    self._stop()

        return call

    def start(self) -> None:
        """Say that the target is called now."""
        if not self._hears_of_compiling and COMPILER in sys.modules:
            self._listen()
        if not self._calls:
            self._clock(monotonic())
        self._calls += 1

    def _stop(self, *_: Any) -> None:
        """Say that the target is not called any more."""
        self._clock(-monotonic())

    def _clock(self, since: float) -> None:
        self._page[: _SINCE.size] = _SINCE.pack(since)  # at once: pack_into clears what it is about to fill

    def _listen(self) -> None:
        """Stop the clock while torch compiles, which takes half a minute at first: the target is not to blame."""
        handler = sys.modules[COMPILER].callback_handler
        handler.register_start_callback(self._stop)
        handler.register_end_callback(lambda *_: self._clock(monotonic()))
        self._hears_of_compiling = True

    def clear(self) -> None:
        """Say that nothing is going on."""
        self._page[: _HEAD.size] = _HEAD.pack(-monotonic(), 0, 0, False)

    def read(self) -> Entry | None:
        """What is going on, or None."""
        since, number, length, full = _HEAD.unpack(self._page[: _HEAD.size])
        if not length:
            return None
        return Entry(since, number, self._page[_HEAD.size : _HEAD.size + length].decode(errors="replace"), full)

    def remove(self) -> None:
        """Unmap the page."""
        self._page.close()
        self._file.close()


def _inherited(copy: Any) -> Ledger:
    """Map the page of a descriptor that another process has passed on."""
    ledger = Ledger(copy.detach())
    ledger.handed_over()
    return ledger


def _disarm() -> None:
    """Stop the timers that a target may have left: they would go off in what is not its own."""
    with suppress(AttributeError):
        for timer in (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF):
            signal.setitimer(timer, 0)
