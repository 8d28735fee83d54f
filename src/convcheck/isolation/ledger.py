"""A page of shared memory on which a worker writes what it is about to do, so that it is known when it dies."""

from __future__ import annotations

import mmap
import struct
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Entry", "Ledger"]

_SINCE = struct.Struct("<d")
_HEAD = struct.Struct("<dqI")  # start in seconds (monotonic), number of the case, length of the line
_SIZE = 1 << 16
#: torch's module that tells when it compiles, where it has been imported
COMPILER = "torch._dynamo.callback"


@dataclass(frozen=True)
class Entry:
    """What a worker was doing: the how-manieth case, its line, and since when the target has been under way.

    ``since`` is in seconds of the monotonic clock, 0 while the target is not being called.
    """

    since: float
    number: int
    line: str


class Ledger:
    """Shared memory backed by a file that both sides map; a worker writes, its supervisor reads."""

    def __init__(self, path: str | None = None) -> None:
        if path is None:
            with tempfile.NamedTemporaryFile(prefix="convcheck-", delete=False) as file:
                file.truncate(_SIZE)
            path = file.name
        self.path = path
        with Path(path).open("r+b") as shared:
            self._page = mmap.mmap(shared.fileno(), _SIZE)
        self._calls = 0
        self._hears_of_compiling = False

    def write(self, line: str, number: int) -> None:
        """Say which case is about to be judged."""
        data = line.encode()[: _SIZE - _HEAD.size]
        self._page[_HEAD.size : _HEAD.size + len(data)] = data
        self._page[: _HEAD.size] = _HEAD.pack(0.0, number, len(data))

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock that runs while it is being called, from however many threads."""

        def call(*arguments: Any) -> Any:
            self.start()
            try:
                return function(*arguments)
            finally:
                self._calls -= 1
                if not self._calls:
                    _SINCE.pack_into(self._page, 0, 0.0)

        return call

    def start(self) -> None:
        """Say that the target is called now."""
        if not self._hears_of_compiling and COMPILER in sys.modules:
            self._listen()
        if not self._calls:
            _SINCE.pack_into(self._page, 0, time.monotonic())
        self._calls += 1

    def _listen(self) -> None:
        """Stop the clock while torch compiles, which takes half a minute at first: the target is not to blame."""
        handler = sys.modules[COMPILER].callback_handler
        handler.register_start_callback(lambda *_: _SINCE.pack_into(self._page, 0, 0.0))
        handler.register_end_callback(lambda *_: _SINCE.pack_into(self._page, 0, time.monotonic()))
        self._hears_of_compiling = True

    def clear(self) -> None:
        """Say that nothing is going on."""
        self._calls = 0
        self._page[: _HEAD.size] = _HEAD.pack(0.0, 0, 0)

    def read(self) -> Entry | None:
        """What is going on, or None."""
        since, number, length = _HEAD.unpack(self._page[: _HEAD.size])
        if not length:
            return None
        return Entry(since, number, self._page[_HEAD.size : _HEAD.size + length].decode(errors="replace"))

    def remove(self) -> None:
        """Unmap the page and delete its file."""
        self._page.close()
        Path(self.path).unlink(missing_ok=True)
