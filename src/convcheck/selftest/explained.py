"""What a person is told of a planted fault: its smallest counterexample, and in words what is computed instead."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from convcheck.cases import Case
from convcheck.minimise import minimise, words_for
from convcheck.selftest.fault import Fault

__all__ = ["Explained"]

#: seconds for making one case smaller
PATIENCE = 5.0


@dataclass(frozen=True)
class Explained:
    """The smallest counterexample of a fault, how large its operands are, and the words of its diagnosis.

    ``named`` says that the words are those of the planted mistake.
    """

    line: str
    elements: int
    nonzeros: int
    words: str
    named: bool

    @classmethod
    def of(cls, fault: Fault, line: str) -> Self:
        """Make the case of a line small and explain it, as a run does."""
        small = minimise(fault.engine, Case.parse(line), seconds=PATIENCE).case
        operands = [array for array in small.operands() if array is not None]
        words = words_for(fault.engine, small)
        return cls(
            line=str(small),
            elements=sum(array.size for array in operands),
            nonzeros=sum(int(np.count_nonzero(array)) for array in operands),
            words=words,
            named=any(word in words for word in fault.words),
        )
