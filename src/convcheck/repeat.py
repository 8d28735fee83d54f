"""Judge one case again, as often as it takes to see whether a mistake comes and goes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from convcheck.cases import Case, check_law_name
from convcheck.claim import Verdict
from convcheck.engines.base import Engine
from convcheck.errors import ParseError, ShapeError
from convcheck.examine import examine
from convcheck.laws import BY_NAME
from convcheck.minimise import REPETITIONS
from convcheck.report.model import Violation

__all__ = ["Replayed", "judge_again", "read_case"]

#: seconds after which a slow case is not repeated again
PATIENCE = 5.0


@dataclass(frozen=True)
class Replayed:
    """What became of a case: violated (by ``violation``), not judged (because ``skipped``), or passed."""

    case: Case
    repeated: int = 0
    violation: Violation | None = None
    skipped: str = ""


def read_case(line: str) -> Case:
    """Read a case line, and see that its law exists.

    Raises
    ------
    ParseError
        If it is no case; the message shows what cannot be read.
    """
    try:
        case = Case.parse(line)
    except ShapeError as error:
        raise ParseError(f"{line!r} is no case: {error}") from error
    check_law_name(case.law, list(BY_NAME))
    return case


def judge_again(engine: Engine, case: Case, announce: Callable[[Case], None] = lambda _: None) -> Replayed:
    """Judge a case of an engine again and again, each time announced before the target is called."""
    start, failures, count = time.monotonic(), list[Verdict](), 0
    while count < REPETITIONS and (count == 0 or time.monotonic() - start < PATIENCE):
        announce(case)
        outcome = examine(engine, case)
        count += 1
        if outcome.verdict is None:
            return Replayed(case, count, skipped=outcome.skipped)
        if not outcome.verdict.ok:
            failures.append(outcome.verdict)
    return Replayed(case, count, _violation(case, failures, count) if failures else None)


def _violation(case: Case, failures: list[Verdict], count: int) -> Violation:
    verdict = failures[-1]
    return Violation(
        case.law,
        BY_NAME[case.law].equation,
        case,
        case,
        verdict.reason,
        verdict.ratio,
        verdict.index,
        verdict.expected,
        verdict.got,
        failed=len(failures),
        repeated=count,
    )
