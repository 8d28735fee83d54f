"""What a target died of: kept while it is judged, and at the end one case of each way made small."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from convcheck.cases import Case
from convcheck.isolation.supervisor import Death, Supervisor
from convcheck.isolation.tasks import BROKE, Spec
from convcheck.laws import BY_NAME
from convcheck.report.model import Violation
from convcheck.shrink import MOVES, complexity

__all__ = ["Deaths", "death_of", "is_hang"]

#: how often the smallest case is repeated, and one at which the target hangs, which takes time
REPEATED, HANGS_REPEATED = 5, 2
#: deadly cases, at most, of which those with a single call are sought
FEW = 60


class Deaths:
    """The cases of which workers died, and how, in words."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._met: list[tuple[Case, str]] = []

    def add(self, case: Case, how: str) -> None:
        """Keep a deadly case."""
        self._met.append((case, how))

    @property
    def last(self) -> str:
        """How the target died last, in words; empty where it did not."""
        return self._met[-1][1] if self._met else ""

    @property
    def hangs(self) -> int:
        """How often there was no answer."""
        return sum(is_hang(how) for _, how in self._met)

    def each(self) -> list[Violation]:
        """One violation for each way in which the target died, by the first case that was met."""
        return [death_of(self._of(how)[0], how) for how in self._ways()]

    def smallest(self, spec: Spec, seconds: float) -> list[Violation]:
        """One violation for each way in which the target died, made small in so many seconds."""
        return [self._smallest(spec, self._plainest(spec, how), how, seconds) for how in self._ways()]

    def _ways(self) -> list[str]:
        return list({_kind(how): how for _, how in reversed(self._met)}.values())

    def _of(self, how: str) -> list[Case]:
        return [case for case, ended in self._met if _kind(ended) == _kind(how)]

    def _plainest(self, spec: Spec, how: str) -> Case:
        """Return a case of one death: one of a single call, if that is deadly too, else the simplest that was met."""
        met = sorted(self._of(how), key=complexity)
        single = [case.replace(law="survives") for case in met[:FEW]]
        return self._first(spec, single, how) or met[0]

    def _smallest(self, spec: Spec, found: Case, how: str, seconds: float) -> Violation:
        """Walk through smaller and smaller cases: whichever a worker dies of in the same way is the next."""
        deadline, case, before = time.monotonic() + seconds, found, None
        while case != before and time.monotonic() < deadline:
            before = case
            for move in MOVES:
                while time.monotonic() < deadline and (smaller := self._first(spec, list(move(case)), how)):
                    case = smaller
        repeated = HANGS_REPEATED if is_hang(how) else REPEATED
        again = self._supervisor.run(iter([("walk", spec, [case])] * repeated))
        failed = sum(isinstance(answer, Death) and _kind(answer.how) == _kind(how) for _, answer in again)
        return replace(death_of(case, how), found=found, failed=failed, repeated=repeated)

    def _first(self, spec: Spec, cases: list[Case], how: str) -> Case | None:
        while cases:
            answer = self._supervisor.one("walk", spec, cases)
            if not isinstance(answer, Death) or answer.entry is None:
                return None
            if _kind(answer.how) == _kind(how):
                return cases[answer.entry.number]
            cases = cases[answer.entry.number + 1 :]
        return None


def death_of(case: Case, how: str) -> Violation:
    """Return the violation that a death is."""
    law = BY_NAME["survives"]
    return Violation(law.name, law.equation, case, case, how, np.inf)


def is_hang(how: str) -> bool:
    """Whether a death was a call that did not come back."""
    return how.startswith("no answer")


def _kind(how: str) -> str:
    if how.startswith(BROKE):  # whatever the message and the line
        return ":".join(how.split(":")[:2])
    return "no answer" if is_hang(how) else how
