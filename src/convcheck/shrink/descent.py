"""Make a failing case small enough to work by hand: first the problem, then the operands.

Hypothesis finds cases; its shrinker is not used, because a case must also shrink when the target dies of it (each try
in a worker), and because the operands shrink best in the terms of the problem: fewest non-zeros, smallest values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import prod

from convcheck.cases import Case
from convcheck.dtypes import DTYPES
from convcheck.shrink.operands import OPERAND_MOVES, fill_order
from convcheck.shrink.problems import PROBLEM_MOVES

__all__ = ["MOVES", "complexity", "shrink"]

Fails = Callable[[Case], bool]
#: moves in the order in which they are tried: what makes a case smallest comes first
MOVES = (*PROBLEM_MOVES, *OPERAND_MOVES)


def shrink(case: Case, fails: Fails, *, seconds: float = 10.0, tries: int = 3000) -> Case:
    """Return the simplest case that `fails` still accepts, by greedy descent within a time and a number of tries.

    Moves are repeated while they succeed, and taken in turn, problem first, until none does.
    """
    budget = _Budget(time.monotonic() + seconds, tries)
    before = None
    while case != before:
        before = case
        for move in MOVES:
            case = _descend(case, fails, move, budget)
    return case


@dataclass
class _Budget:
    deadline: float
    tries: int

    def spent(self) -> bool:
        self.tries -= 1
        return self.tries < 0 or time.monotonic() > self.deadline


def _descend(case: Case, fails: Fails, move: Callable[[Case], Iterator[Case]], budget: _Budget) -> Case:
    found = True
    while found:
        found = False
        for candidate in move(case):
            if budget.spent():
                return case
            if fails(candidate):
                case, found = candidate, True
                break
    return case


def complexity(case: Case) -> tuple[float, ...]:
    """Order of cases, simplest first: fewer elements, then smaller parameters, then plainer fills."""
    p = case.problem
    elements = sum(prod(p.shapes[role]) for role in ("x", "w", "y"))
    parameters = sum(p.stride) + sum(p.dilation) + sum(map(sum, p.padding)) + p.groups + p.bias + p.same + p.lower
    return (elements, parameters, list(DTYPES).index(p.dtype), *(fill_order(fill) for fill in case.fills))
