"""What a worker does to itself before it meets the target."""

from __future__ import annotations

import contextlib
import ctypes
import faulthandler
import os
import signal
import sys

from convcheck import layouts
from convcheck.engines import base
from convcheck.isolation.ledger import Ledger

__all__ = ["enter"]

#: from <linux/prctl.h>; see prctl(2)
PR_SET_PDEATHSIG = 1


def enter(memory_limit: int, ledger: Ledger) -> None:
    """Leave the terminal, ignore Ctrl-C, print into nothing, bound memory (MiB above what is in use), arm guards."""
    os.setsid()
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.disable()
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nowhere, stream)
    sys.stdout = open(os.devnull, "w")  # noqa: SIM115, PTH123 - for the worker's whole life
    sys.stderr = sys.stdout
    layouts.guard_pages(armed=True)
    if memory_limit:
        base.when_out_of_memory = lambda: _end_over_memory(ledger)
        _limit_memory(memory_limit << 20)


def _end_over_memory(ledger: Ledger) -> None:
    ledger.write_full()
    os._exit(1)


def _end_with_parent() -> None:
    """Be killed when the process that forked this one ends, however it does: a target may be in an endless loop."""
    with contextlib.suppress(OSError, AttributeError):  # another libc than Linux's
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _limit_memory(extra: int) -> None:
    """Bound the address space: allocations beyond it fail in the target, which names itself by it."""
    import resource

    with open("/proc/self/statm") as file:  # noqa: PTH123
        used = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (used + extra, hard))
