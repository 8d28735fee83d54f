"""What a slice of a run found, in a form that crosses processes and adds up."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from convcheck.cases import Case
from convcheck.claim import Verdict
from convcheck.space import classify

__all__ = ["Outcome", "Tally"]

#: failures after which a slice of a law stops: the law is violated, and more of the same say nothing new
ENOUGH = 30


@dataclass(frozen=True)
class Outcome:
    """What came of one case: judged (with a verdict), or not (with a reason)."""

    case: Case
    verdict: Verdict | None
    skipped: str = ""


@dataclass
class Tally:
    """Counts over the cases of a law; ``problems`` are the lines of those judged, with whether they failed."""

    judged: int = 0
    nontrivial: int = 0
    worst: float = 0.0
    skipped: Counter[str] = field(default_factory=Counter)
    failures: list[Case] = field(default_factory=list)
    problems: list[tuple[str, bool]] = field(default_factory=list)
    classes: set[tuple[str, ...]] = field(default_factory=set)
    seconds: float = 0.0

    @property
    def enough(self) -> bool:
        """Whether more cases would say nothing new."""
        return len(self.failures) >= ENOUGH

    def count(self, outcome: Outcome) -> None:
        """Add one outcome."""
        if outcome.verdict is None:
            self.skipped[outcome.skipped] += 1
            return
        self.judged += 1
        self.nontrivial += outcome.verdict.weight > 0
        self.problems.append((str(outcome.case.problem), not outcome.verdict.ok))
        self.classes.add(tuple(classify(outcome.case.problem).values()))
        if outcome.verdict.ok:
            self.worst = max(self.worst, outcome.verdict.ratio)
        else:
            self.failures.append(outcome.case)

    def add(self, other: Tally) -> None:
        """Add the counts of another slice of the same law."""
        self.judged += other.judged
        self.nontrivial += other.nontrivial
        self.worst = max(self.worst, other.worst)
        self.skipped += other.skipped
        self.failures += other.failures
        self.problems += other.problems
        self.classes |= other.classes
        self.seconds += other.seconds
