"""Workers seen from outside: started, given tasks, watched, and buried."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.connection import wait
from typing import Any, Self

import psutil

from convcheck.errors import UsageError
from convcheck.isolation.ledger import Entry, Ledger
from convcheck.isolation.processes import (
    adopt_orphans,
    deaf_to_interrupts,
    descendants,
    ending,
    environment,
    is_fork,
    queued_seconds,
    resident_bytes,
    without_main,
)
from convcheck.isolation.tasks import work

__all__ = ["Death", "Limits", "Supervisor"]

#: seconds between two looks at the clock and the memory of busy workers
TICK = 0.1
#: seconds, at least, for whatever is no case: to import the target, and all else that it needs
IMPORT_SECONDS = 60.0
#: seconds, at least, between two calls: a target that damages the heap or leaks a lock hangs what is called next
BETWEEN_SECONDS = 120.0
#: problems are small, and workers share the cores; where a law asks for threads, they don't wait on a core
FEW_THREADS = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "TORCHINDUCTOR_COMPILE_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
}


@dataclass(frozen=True)
class Limits:
    """What one call of the target may take: seconds, and MiB of memory (0: unlimited)."""

    seconds: float = 10.0
    memory: int = 4096


@dataclass(frozen=True)
class Death:
    """How a worker ended (``how``, in words), and what it was doing when it did, if it had begun anything."""

    how: str
    entry: Entry | None


class Supervisor:
    """A few workers that take tasks in order; each answer comes with the task that it belongs to."""

    def __init__(self, workers: int, limits: Limits, target: str = "", libraries: Sequence[str] = ()) -> None:
        self.limits = limits
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["convcheck.isolation.preload"])
        adopt_orphans()
        # the fork server imports the target once; a worker that dies is replaced by a fork, in milliseconds
        settings = {
            **{name: value for name, value in FEW_THREADS.items() if name not in os.environ},
            "CONVCHECK_RUN": str(os.getpid()),  # marks whatever descends from the fork server
            "CONVCHECK_LIBRARIES": " ".join(libraries),
            "CONVCHECK_PRELOAD": target,
            "CONVCHECK_PRELOAD_SECONDS": str(_import_seconds(limits)),
        }
        with environment(settings), deaf_to_interrupts():  # it hears Ctrl-C, too, until it has imported all
            forkserver.ensure_running()
        self._workers: list[_Worker | None] = [None] * workers

    def run(self, tasks: Iterator[tuple[Any, ...]]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Run tasks (name, arguments...), yielding (task, result); a `Death` is the result of one that died of it.

        Tasks that ran out are asked for again after every answer, since that may bring new ones.
        Raises whatever exception a task raises.
        """
        busy: dict[int, tuple[Any, ...]] = {}
        while True:
            for slot in range(len(self._workers)):
                if slot not in busy and (task := next(tasks, None)) is not None:
                    busy[slot] = task
                    self._worker(slot).give(task)
            if not busy:
                return
            for slot in self._finished(list(busy)):
                task, answer = busy.pop(slot), self._collect(slot)
                yield task, answer

    def one(self, *task: Any) -> Any:
        """Run one task."""
        ((_, answer),) = self.run(iter([task]))
        return answer

    def _worker(self, slot: int) -> _Worker:
        worker = self._workers[slot]
        if worker is None:
            try:
                worker = self._workers[slot] = _Worker(self._context, self.limits.memory)
            except (EOFError, ConnectionError) as error:  # the fork server, which imports the target, has died
                how = _end_of_fork_server(_import_seconds(self.limits))
                raise UsageError(f"the target does not survive being imported{how}") from error
        return worker

    def _finished(self, slots: list[int]) -> list[int]:
        """Wait until some workers have answered, died, or overstepped their limits."""
        while True:
            handles = {h: s for s in slots for h in self._worker(s).handles()}
            ready = {handles[h] for h in wait(list(handles), timeout=TICK) if h in handles}
            ready |= {slot for slot in slots if self._worker(slot).overstepped(self.limits)}
            if ready:
                return sorted(ready)

    def _collect(self, slot: int) -> Any:
        worker = self._worker(slot)
        kind, value = worker.answer()
        entry = worker.ledger.read()
        if kind in ("died", "broke"):
            self._bury(slot)
        if kind == "failed":
            raise value
        if kind == "broke" and entry is None:
            raise RuntimeError(value)
        return Death(value, entry) if kind == "broke" else value

    def _bury(self, slot: int) -> None:
        worker, self._workers[slot] = self._workers[slot], None
        if worker is not None:
            worker.end()

    def renew(self) -> None:
        """End all workers: whichever is asked next has no calls behind it."""
        for slot in range(len(self._workers)):
            self._bury(slot)

    def close(self) -> None:
        """End all workers, and whatever they have started."""
        self.renew()
        for _ in range(3):  # what is orphaned by what is killed becomes ours to reap a moment later
            for stray in descendants(os.getpid()):
                with suppress(psutil.Error, OSError):
                    if stray.ppid() == os.getpid() and is_fork(stray):
                        if stray.status() != psutil.STATUS_ZOMBIE and "CONVCHECK_RUN" in stray.environ():
                            stray.kill()
                        stray.wait(timeout=1)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Worker:
    def __init__(self, context: Any, memory: int) -> None:
        self.ledger = Ledger()
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=work, args=(theirs, self.ledger, memory), daemon=False)
        with without_main():
            self.process.start()
        theirs.close()
        self.ledger.handed_over()
        self._memory = memory
        self._given = time.monotonic()
        self._verdict = ""
        self._late: tuple[Entry | None, ...] = ()  # what was going on at the last look, if for too long
        self._call = (0.0, 0.0)  # since when something is going on, and how long the worker had queued until then

    def give(self, task: tuple[Any, ...]) -> None:
        self._given = time.monotonic()
        with suppress(BrokenPipeError):  # it died between two tasks: seen when it is waited for
            self.connection.send((task[0], task[1:]))

    def handles(self) -> list[Any]:
        return [self.connection, self.process.sentinel]

    def overstepped(self, limits: Limits) -> bool:
        """Kill the worker if a call takes too long or too much memory, or if nothing at all goes on.

        What takes too long is looked at twice, since an entry that was just being written may be half of another.
        """
        entry, before = self.ledger.read(), self._late
        if self._verdict:
            return False
        called = entry is not None and entry.since > 0
        seconds = self._allowed(entry, limits)
        late = self._taken(self._given if entry is None else abs(entry.since)) > seconds
        self._late = (entry,) if late else ()
        if late and before == self._late:
            self._verdict = f"no answer in {seconds:g} s"
        elif called and limits.memory and resident_bytes(self.process.pid) > (limits.memory << 20):
            self._verdict = f"over {_mebibytes(limits.memory)}"
        if self._verdict:
            self.kill()
        return bool(self._verdict)

    @staticmethod
    def _allowed(entry: Entry | None, limits: Limits) -> float:
        """Seconds that what is going on may take: whatever comes before a case, a call, what comes after a call."""
        if entry is None:
            return _import_seconds(limits)
        return limits.seconds if entry.since > 0 else max(limits.seconds, BETWEEN_SECONDS)

    def _taken(self, since: float) -> float:
        """Seconds that something has taken, without those for which others had the processors."""
        if self._call[0] != since:
            self._call = since, queued_seconds(self.process.pid)
        return time.monotonic() - since - (queued_seconds(self.process.pid) - self._call[1])

    def answer(self) -> tuple[str, Any]:
        """Return ("done" | "failed", value), or ("died", Death)."""
        with suppress(EOFError, OSError):
            if not self._verdict and self.connection.poll(0):
                received: tuple[str, Any] = self.connection.recv()
                return received
        self.process.join(timeout=5)
        if self.process.exitcode is None:  # it closed the pipe, and lives on
            self._verdict = self._verdict or "closed the connection to convcheck"
            self.kill()
        entry = self.ledger.read()
        full = f"over {_mebibytes(self._memory)}" if entry is not None and entry.full else ""
        return "died", Death(self._verdict or full or ending(self.process.exitcode), entry)

    def kill(self) -> None:
        """Kill the worker's session, and whatever it started outside of it; what comes to us as an orphan is reaped."""
        started = descendants(self.process.pid)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.kill()
        self.process.join(timeout=5)
        for child in started:
            with suppress(psutil.Error):
                child.kill()
        for child in started:
            with suppress(psutil.Error):
                child.wait(timeout=1)

    def end(self) -> None:
        self.kill()
        self.connection.close()
        self.ledger.remove()


def _import_seconds(limits: Limits) -> float:
    return max(limits.seconds, IMPORT_SECONDS)


def _end_of_fork_server(seconds: float) -> str:
    """How the fork server ended, in words, if that is known: what waits for it later finds it as it is."""
    process = forkserver._forkserver._forkserver_pid  # type: ignore[attr-defined]  # noqa: SLF001
    with suppress(OSError, TypeError):
        ended = os.waitid(os.P_PID, process, os.WEXITED | os.WNOWAIT)
        if ended is not None and ended.si_status == signal.SIGALRM:
            return f": no answer in {seconds:g} s"
        if ended is not None:
            exited = ended.si_code == os.CLD_EXITED
            return f": {ending(ended.si_status if exited else -ended.si_status)}"
    return ""


def _mebibytes(amount: int) -> str:
    return f"{amount // 1024} GiB" if amount % 1024 == 0 else f"{amount} MiB"
