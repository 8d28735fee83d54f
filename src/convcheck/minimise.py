"""From a failing case to a violation: repeated, made smaller, and judged once more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from convcheck.cases import Case
from convcheck.engines.base import Engine, TooLateError
from convcheck.examine import examine
from convcheck.laws import BY_NAME
from convcheck.report.model import Violation
from convcheck.shrink import shrink

__all__ = ["REPETITIONS", "minimise", "until", "words_for"]

#: how often a counterexample is repeated, to tell a mistake that is always there from one that comes and goes
REPETITIONS = 20
#: fewer repetitions for each smaller case that is tried when the mistake comes and goes
RETRIES = 5
#: seconds, at least, for which a case is repeated
BRIEFLY = 0.5


def minimise(
    engine: Engine,
    found: Case,
    *,
    seconds: float,
    announce: Callable[[Case], None] = lambda _: None,
    avoid: frozenset[str] = frozenset(),
) -> Violation:
    """Make a failing case small; cases whose lines are in ``avoid`` are not tried, since they kill the process.

    A mistake that comes and goes is repeated while it is made smaller, and reported with how often it showed. All that
    takes little longer than ``seconds``: a slow case is repeated less often.
    """
    deadline, briefly = time.monotonic() + seconds, max(seconds / 4, BRIEFLY)

    def fails(case: Case) -> bool:
        if str(case) in avoid:
            return False
        announce(case)
        verdict = examine(engine, case).verdict
        return verdict is not None and not verdict.ok

    failed, repeated = _repeat(fails, found, briefly)
    again = fails if failed == repeated else lambda case: any(fails(case) for _ in range(RETRIES))
    small = shrink(found, again, seconds=max(0.0, deadline - time.monotonic())) if failed else found
    if small != found:
        failed, repeated = _repeat(fails, small, briefly)
    law = BY_NAME[found.law]
    last = time.monotonic() + briefly
    for number in range(4 * REPETITIONS if failed else 1):
        if number and time.monotonic() > last:
            break
        announce(small)
        verdict = examine(engine, small).verdict
        if verdict is not None and not verdict.ok:
            return Violation(
                law.name, law.equation, small, found, verdict.reason, verdict.ratio, verdict.index,
                verdict.expected, verdict.got, failed=failed, repeated=repeated,
            )  # fmt: skip
    return Violation(law.name, law.equation, small, found, UNSTEADY, failed=failed, repeated=repeated)


def _repeat(fails: Callable[[Case], bool], case: Case, seconds: float) -> tuple[int, int]:
    """How often a case fails, of how many repetitions: as many as there is time for, and one at least."""
    end, failed, repeated = time.monotonic() + seconds, 0, 0
    while repeated < REPETITIONS and (not repeated or time.monotonic() < end):
        failed += fails(case)
        repeated += 1
    return failed, repeated


UNSTEADY = "failed in the run, and not when it was repeated: the result depends on the calls before it, or on chance"


def words_for(engine: Engine, case: Case, *, seconds: float = float("inf")) -> str:
    """What the engine computes instead on a case's problem, in words; empty where it computes what it should.

    They say how many calls do not show it, if no condition tells which. A diagnosis that is not found in time is left
    out.
    """
    from convcheck.diagnosis import BUT, diagnose

    if case.law in NOT_OF_VALUES:
        return ""
    try:
        found = diagnose(until(engine, time.monotonic() + seconds), case.problem, case.map)
    except TooLateError:
        return ""
    exceptions = [text for text in found.details if text.startswith(BUT)]
    return "" if found.words.endswith(NO_DIFFERENCE) else ", ".join((found.words, *exceptions))


def until(engine: Engine, deadline: float) -> Engine:
    """Return an engine that is not called after a deadline; `TooLateError` is raised instead."""

    def timed(function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            if time.monotonic() > deadline:
                raise TooLateError
            return function(*arguments)

        return call

    return engine.timed(timed) if deadline < float("inf") else engine


#: laws that are not about the values of a valid call, so that these explain nothing
NOT_OF_VALUES = ("rejects-invalid", "empty-batch", "survives")
NO_DIFFERENCE = "no difference found"
