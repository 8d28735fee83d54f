"""What a run found, as plain values: everything that a report in any format says is here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from convcheck.cases import Case
from convcheck.laws import BY_NAME

__all__ = ["LawResult", "Results", "Violation"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Violation:
    """A law that does not hold, and the smallest case that shows it.

    ``ratio`` is the worst error in multiples of its bound (infinite where none is allowed);
    ``failed`` of ``repeated`` repetitions failed; ``found`` is the case before it was made smaller; ``words``
    is the diagnosis and ``condition`` the smallest condition under which the law fails.
    """

    law: str
    equation: str
    case: Case
    found: Case
    reason: str
    ratio: float = np.inf
    index: tuple[int, ...] = ()
    expected: Array | None = None
    got: Array | None = None
    failed: int = 1
    repeated: int = 1
    words: str = ""
    condition: str = ""


@dataclass(frozen=True)
class LawResult:
    """What became of one law: how many cases were judged, skipped (by reason), failed, and were not trivial.

    ``reason`` says why nothing was judged.
    """

    law: str
    judged: int = 0
    failed: int = 0
    nontrivial: int = 0
    worst: float = 0.0
    skipped: dict[str, int] = field(default_factory=dict)
    violation: Violation | None = None
    seconds: float = 0.0
    reason: str = ""

    @property
    def status(self) -> str:
        """``violated``, ``holds``, or ``not judged``."""
        return "violated" if self.violation else "holds" if self.judged else "not judged"


@dataclass(frozen=True)
class Results:
    """Verdict on one target: inferred capabilities, results by law, and how much of the space was reached.

    ``reached`` maps a strength (2 pairs, 3 triples) to (reached, reachable) numbers of class combinations.
    """

    target: str
    notes: tuple[str, ...]
    versions: tuple[str, ...]
    profile: str
    seed: int
    results: tuple[LawResult, ...]
    reached: dict[int, tuple[int, int]] = field(default_factory=dict)
    seconds: float = 0.0
    interrupted: bool = False

    @property
    def violations(self) -> tuple[Violation, ...]:
        """Violations, in the order of the law book."""
        return tuple(result.violation for result in self.results if result.violation)

    @property
    def judged(self) -> int:
        """Cases judged, over all laws."""
        return sum(result.judged for result in self.results)

    @property
    def vacuous(self) -> bool:
        """Whether nothing, or nothing but zeros, was judged by the laws about values that had cases, if any had."""
        telling = [r for r in self.results if (r.judged or r.skipped) and r.law in BY_NAME and BY_NAME[r.law].of_values]
        return not any(result.nontrivial for result in telling or self.results)

    @property
    def ok(self) -> bool:
        """Whether everything that was judged holds, and something was."""
        return not (self.violations or self.vacuous or self.interrupted)

    @property
    def verdict(self) -> str:
        """``conforms``, ``violated``, ``too little judged``, or ``interrupted``."""
        return {0: "conforms", 1: "violated", 3: "too little judged", 130: "interrupted"}[self.exit_code]

    @property
    def exit_code(self) -> int:
        """0 conforms; 1 a law is violated; 3 too little was judged; 130 interrupted."""
        return 130 if self.interrupted else 1 if self.violations else 3 if self.vacuous else 0
