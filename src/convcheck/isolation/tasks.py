"""What workers are asked to do. Each task runs in a worker; its arguments and its result cross a pipe."""

from __future__ import annotations

import os
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.reduction import ForkingPickler
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convcheck.cases import Case
from convcheck.engines import engine_of
from convcheck.engines.base import Engine, TooLateError, first_line
from convcheck.engines.facts import Watch
from convcheck.errors import ParseError, UsageError
from convcheck.examine import examine, run_slice
from convcheck.isolation.ledger import Ledger
from convcheck.minimise import minimise, until, words_for
from convcheck.plan import Profile, Slice
from convcheck.problem import Map, Problem
from convcheck.repeat import Replayed, judge_again
from convcheck.report.model import Violation
from convcheck.tally import Tally

if TYPE_CHECKING:
    from convcheck.diagnosis import Diagnosis

__all__ = ["BROKE", "Context", "Spec"]

#: how a case ends at which convcheck's own code raised: because of the target, or of a mistake in convcheck
BROKE = "convcheck could not go on"


@dataclass(frozen=True)
class Spec:
    """Which target, called how: what a worker makes its engine from. ``facts`` are an earlier worker's findings."""

    target: Any
    options: tuple[tuple[str, Any], ...]
    facts: Any = None


class Context:
    """A worker's state: its ledger and the engine, which is made once."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._made: tuple[Spec, Engine] | None = None

    def engine(self, spec: Spec) -> Engine:
        """Return the engine of a spec."""
        if self._made is None or self._made[0] != spec:
            options = dict(spec.options) | ({"facts": spec.facts} if spec.facts is not None else {})
            engine = engine_of(spec.target, **options)
            self._made = spec, engine.timed(self.ledger.timed)
        return self._made[1]

    def announce(self) -> Callable[[Case], None]:
        """Return a function that writes cases to the ledger, numbered from 0."""
        number = iter(range(sys.maxsize))
        return lambda case: self.ledger.write(str(case), next(number))


def infer(context: Context, spec: Spec, avoid: frozenset[str]) -> Engine:
    """Find out what the target takes; probes that killed an earlier worker are left out."""

    def announce(line: str) -> None:
        context.ledger.write(line, 0)
        context.ledger.start()

    watch = Watch(announce, avoid)
    found = engine_of(spec.target, **dict(spec.options), watch=watch) if _inferred(spec) else context.engine(spec)
    return found.timed(lambda _: _elsewhere)


def _inferred(spec: Spec) -> bool:
    from convcheck.engines.target import load

    return not (isinstance(spec.target, str) and ":" in spec.target and isinstance(load(spec.target), Engine))


def _elsewhere(*_: Any) -> Any:
    raise RuntimeError("this engine lives in worker processes")


def judge_slice(context: Context, spec: Spec, part: Slice, profile: Profile, seed: int, seconds: float) -> Tally:
    """Judge the cases of a slice."""
    engine = context.engine(spec)
    deadline = time.monotonic() + seconds if seconds else float("inf")
    return run_slice(engine, part, profile, seed, context.announce(), deadline)


def minimise_case(context: Context, spec: Spec, case: Case, seconds: float, avoid: frozenset[str]) -> Violation:
    """Make a failing case small."""
    return minimise(context.engine(spec), case, seconds=seconds, announce=context.announce(), avoid=avoid)


def judge_case_again(context: Context, spec: Spec, case: Case) -> Replayed:
    """Judge one case again and again."""
    return judge_again(context.engine(spec), case, context.announce())


def diagnose_case(context: Context, spec: Spec, case: Case, seconds: float) -> str:
    """Say in words what the target computes instead."""
    context.announce()(case)
    return words_for(context.engine(spec), case, seconds=seconds)


def diagnose_map(context: Context, spec: Spec, problem: Problem, which: Map, seconds: float) -> Diagnosis | None:
    """Say what the target computes of a map near a problem; None where that takes too long."""
    from convcheck.diagnosis import diagnose

    context.ledger.write(str(problem), 0)
    try:
        return diagnose(until(context.engine(spec), time.monotonic() + seconds), problem, which)
    except TooLateError:
        return None


def walk(context: Context, spec: Spec, cases: list[Case]) -> None:
    """Call the target on one case after the other; whether it survives them is what is asked."""
    engine, announce = context.engine(spec), context.announce()
    for case in cases:
        announce(case)
        examine(engine, case)


def work(connection: Any, ledger: Ledger, memory_limit: int) -> None:
    """Serve tasks until the connection closes: the whole life of a worker."""
    from convcheck.isolation.sandbox import enter

    enter(memory_limit, ledger)
    context = Context(ledger)
    while True:
        try:
            name, arguments = connection.recv()
        except (EOFError, OSError):
            os._exit(0)
        try:
            answer = ("done", globals()[name](context, *arguments))
        except (UsageError, ParseError) as error:  # raised again by the supervisor
            answer = ("failed", type(error)(str(error)))
        except BaseException as error:  # noqa: BLE001 - told to the supervisor, and the ledger of which case
            answer = ("broke", f"{BROKE}: {told(error)}")
        _send(connection, answer)
        if answer[0] != "broke":
            ledger.clear()  # not before: a target may have closed the connection


def told(error: BaseException) -> str:
    """Say what an exception is, and where in convcheck's own code it was raised."""
    home = str(Path(__file__).parent.parent)
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename.startswith(home)]
    place = f" ({Path(own[-1].filename).name}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {first_line(error)}{place}"


def _send(connection: Any, answer: tuple[str, Any]) -> None:
    try:
        message = ForkingPickler.dumps(answer)
    except Exception as error:  # noqa: BLE001 - what cannot be pickled
        message = ForkingPickler.dumps(("broke", f"{BROKE}: {told(error)}"))
    try:
        connection.send_bytes(message)
    except BaseException:  # noqa: BLE001 - the target closed the connection, or its signals came in between
        os._exit(0)  # half a message would be waited for
