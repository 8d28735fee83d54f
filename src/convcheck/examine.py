"""One case, one slice, one counterexample: where law, engine and judge meet."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from math import prod

import numpy as np

from convcheck.cases import Case
from convcheck.claim import Verdict, judge
from convcheck.engines.base import LARGEST_CALL, Conv, Engine
from convcheck.errors import MisshapenError, TargetRaisedError, UnsupportedError
from convcheck.laws import BY_NAME
from convcheck.plan import Profile, Slice, cases_of
from convcheck.problem import Problem
from convcheck.search import search
from convcheck.tally import Outcome, Tally

__all__ = ["examine", "run_slice", "too_large"]

Announce = Callable[[Case], None]


def examine(engine: Engine, case: Case) -> Outcome:
    """Judge one case: make the operands, let the law make its claim, judge it.

    An exception of the target is a violated claim; NotImplementedError means that it does not take the problem.
    """
    law = BY_NAME[case.law]
    if reason := law.why_not(engine) or too_large(case.problem) or _unspoken(case) or _not_taken(engine, case):
        return Outcome(case, None, reason)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            claim = law.check(Conv(engine, case.map), case.problem, case.operands())
            return Outcome(case, judge(claim))
    except UnsupportedError as error:
        return Outcome(case, None, str(error))
    except MemoryError:  # the law's own: one of the target's is told by its call
        return Outcome(case, None, f"{case.law} has not the memory to judge {case.problem}")
    except MisshapenError as error:
        return Outcome(case, Verdict(ok=False, reason=str(error), ratio=np.inf))
    except TargetRaisedError as error:
        return Outcome(case, Verdict(ok=False, reason=f"raised {error}", ratio=np.inf))


def _unspoken(case: Case) -> str:
    return "" if BY_NAME[case.law].holds(case.problem) else f"{case.law} does not speak of {case.problem}"


def _not_taken(engine: Engine, case: Case) -> str:
    """Why the target isn't asked, or an empty string: some laws also make other calls, and would judge those."""
    if case.law != "survives" and case.map not in engine.capabilities.maps:  # which it may not offer since it died
        return f"{engine.name} offers no {case.map}"
    lacking = engine.capabilities.admits(case.problem)
    return f"{engine.name} does not take {lacking}" if lacking else ""


def too_large(problem: Problem) -> str:
    """Why a problem is too large to be judged, or an empty string."""
    sizes = (*problem.size, *problem.kernel, *problem.output, problem.batch, problem.channels, problem.filters)
    most = max(problem.work, *(abs(prod(problem.shapes[role])) for role in ("x", "w", "y")), *map(abs, sizes))
    return f"too large to be judged: {problem}" if most > LARGEST_CALL else ""


def run_slice(
    engine: Engine, part: Slice, profile: Profile, seed: int, announce: Announce, deadline: float = float("inf")
) -> Tally:
    """Judge the cases of a slice; each is announced before the target is called, so that it outlives the target."""
    tally, start = Tally(), time.perf_counter()

    def judge_case(case: Case) -> Outcome:
        announce(case)
        outcome = examine(engine, case)
        tally.count(outcome)
        return outcome

    if part.stream == "search":
        search(engine, part, seed, judge_case)
    else:
        for case in cases_of(engine, part, profile, seed):
            judge_case(case)
            if tally.enough or time.monotonic() > deadline:
                break
    tally.seconds = time.perf_counter() - start
    return tally
