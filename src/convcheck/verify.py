"""The only place where space, law, engine and judge meet: `examine` one case, `verify` an engine."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np

from convcheck.cases import Case
from convcheck.claim import Verdict, judge
from convcheck.engines.base import Conv, Engine
from convcheck.errors import TargetRaisedError, UnsupportedError
from convcheck.laws import BY_NAME

__all__ = ["Outcome", "examine"]


@dataclass(frozen=True)
class Outcome:
    """What came of one case: judged (with a verdict), or not (with a reason)."""

    case: Case
    verdict: Verdict | None
    skipped: str = ""
    calls: int = 0


def examine(engine: Engine, case: Case) -> Outcome:
    """Judge one case: make the operands, let the law make its claim, judge it.

    An exception of the target is a violated claim; NotImplementedError means that it does not take the problem.
    """
    law = BY_NAME[case.law]
    conv = Conv(engine, case.map)
    try:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            claim = law.check(conv, case.problem, case.operands())
            verdict = judge(claim)
    except UnsupportedError as error:
        return Outcome(case, None, str(error), conv.calls)
    except TargetRaisedError as error:
        return Outcome(case, Verdict(False, f"raised {error}", np.inf), "", conv.calls)
    return Outcome(case, verdict, "", conv.calls)
