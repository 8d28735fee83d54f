"""From a failing case to a violation: repeated, made smaller, and judged once more."""

from __future__ import annotations

from collections.abc import Callable

from convcheck.cases import Case
from convcheck.engines.base import Engine
from convcheck.examine import examine
from convcheck.laws import BY_NAME
from convcheck.report.model import Violation
from convcheck.shrink import shrink

__all__ = ["REPETITIONS", "minimise", "words_for"]

#: how often a counterexample is repeated, to tell a mistake that is always there from one that comes and goes
REPETITIONS = 20
#: fewer repetitions for each smaller case that is tried when the mistake comes and goes
RETRIES = 5


def minimise(
    engine: Engine,
    found: Case,
    *,
    seconds: float,
    announce: Callable[[Case], None] = lambda _: None,
    avoid: frozenset[str] = frozenset(),
) -> Violation:
    """Make a failing case small; cases whose lines are in ``avoid`` are not tried, since they kill the process.

    A mistake that comes and goes is repeated while it is made smaller, and reported with how often it showed.
    """

    def fails(case: Case) -> bool:
        if str(case) in avoid:
            return False
        announce(case)
        verdict = examine(engine, case).verdict
        return verdict is not None and not verdict.ok

    always = sum(fails(found) for _ in range(REPETITIONS))
    again = fails if always == REPETITIONS else lambda case: any(fails(case) for _ in range(RETRIES))
    small = shrink(found, again, seconds=seconds) if always else found
    failed = sum(fails(small) for _ in range(REPETITIONS)) if small != found else always
    law = BY_NAME[found.law]
    for _ in range(4 * REPETITIONS if failed else 1):
        announce(small)
        verdict = examine(engine, small).verdict
        if verdict is not None and not verdict.ok:
            return Violation(
                law.name, law.equation, small, found, verdict.reason, verdict.ratio, verdict.index,
                verdict.expected, verdict.got, failed=failed, repeated=REPETITIONS,
            )  # fmt: skip
    return Violation(law.name, law.equation, small, found, UNSTEADY, failed=failed, repeated=REPETITIONS)


UNSTEADY = "failed in the run, and not when it was repeated: the result depends on the calls before it, or on chance"


def words_for(engine: Engine, case: Case) -> str:
    """What the engine computes instead on a case's problem, in words; empty where it computes what it should."""
    from convcheck.diagnosis import diagnose

    if case.law in NOT_OF_VALUES:
        return ""
    found = diagnose(engine, case.problem, case.map)
    return "" if found.words.endswith(NO_DIFFERENCE) else found.words


#: laws that are not about the values of a valid call, so that these explain nothing
NOT_OF_VALUES = ("rejects-invalid", "empty-batch", "survives")
NO_DIFFERENCE = "no difference found"
