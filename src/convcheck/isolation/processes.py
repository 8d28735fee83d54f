"""What is asked of other processes, and done to this one, where the system allows it."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import psutil

__all__ = [
    "adopt_orphans",
    "deaf_to_interrupts",
    "descendants",
    "ending",
    "environment",
    "is_fork",
    "queued_seconds",
    "resident_bytes",
    "without_main",
]

PR_SET_CHILD_SUBREAPER = 36


def ending(status: int | None) -> str:
    """How a process ended, in words, from its exit status (negative: the number of a signal)."""
    if status is None:
        return "does not end"
    if status >= 0:
        return f"ended itself with status {status}"
    try:
        return f"crashed: {signal.Signals(-status).name}"
    except ValueError:
        return f"crashed: signal {-status}"


def queued_seconds(pid: int) -> float:
    """Seconds for which a process has been ready to run, and others ran (Linux, schedstat; 0 elsewhere)."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) * 1e-9
    except (OSError, ValueError, IndexError):
        return 0.0


def resident_bytes(pid: int) -> int:
    """Memory that a process holds; 0 where it is gone."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.Error:
        return 0


def descendants(pid: int) -> list[Any]:
    """Processes (psutil) that a process has started, and those that they have."""
    try:
        return list(psutil.Process(pid).children(recursive=True))
    except psutil.Error:
        return []


def is_fork(process: Any) -> bool:
    """Whether a process was forked by a worker, and is not the fork server or the resource tracker themselves."""
    return bool(os.getsid(process.pid) != os.getsid(0))


def adopt_orphans() -> None:
    """Become the parent of processes that a worker leaves behind, so that they can be found (Linux, prctl(2))."""
    with suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Let a process that is started meanwhile have further variables in its environment."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def deaf_to_interrupts() -> Iterator[None]:
    """Let a process that is started meanwhile ignore Ctrl-C for good; this one does while it lasts."""
    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def without_main() -> Iterator[None]:
    """Let a process start without running the main module, which multiprocessing would: no task is of that module."""
    main, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
