"""Judge one case again, as often as it takes to see whether a mistake comes and goes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from convcheck.cases import Case, check_law_name
from convcheck.claim import Verdict
from convcheck.engines import engine_of
from convcheck.engines.base import Engine
from convcheck.errors import ParseError, ShapeError
from convcheck.examine import examine
from convcheck.laws import BY_NAME
from convcheck.report.model import Violation
from convcheck.run import REPETITIONS

__all__ = ["Replayed", "read_case", "replay"]

#: seconds after which a slow case is not repeated again
PATIENCE = 5.0


@dataclass(frozen=True)
class Replayed:
    """What became of a case: violated (by ``violation``), not judged (because ``skipped``), or passed."""

    engine: Engine
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


def replay(target: Any, case: Case | str, **options: Any) -> Replayed:
    """Judge a case of a target again; options are those of `convcheck.engines.wrap.wrap`.

    Raises
    ------
    UsageError
        If the target or an option cannot be used.
    ParseError
        If the line is no case.
    """
    case = read_case(case) if isinstance(case, str) else case
    engine = engine_of(target, **options)
    start, failures, count = time.monotonic(), list[Verdict](), 0
    while count < REPETITIONS and (count == 0 or time.monotonic() - start < PATIENCE):
        outcome = examine(engine, case)
        count += 1
        if outcome.verdict is None:
            return Replayed(engine, case, count, skipped=outcome.skipped)
        if not outcome.verdict.ok:
            failures.append(outcome.verdict)
    violation = _violation(case, failures, count) if failures else None
    return Replayed(engine, case, count, violation)


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
