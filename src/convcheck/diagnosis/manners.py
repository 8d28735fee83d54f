"""How a target treats the arrays that it is given: whether it writes to them, and how it reads their memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from convcheck.diagnosis.evidence import call, call_as_is, dense, mapped
from convcheck.engines.base import Conv
from convcheck.layouts import LAYOUTS, arrange
from convcheck.problem import Problem

__all__ = ["equal", "misread", "written"]

Array = np.ndarray[Any, Any]
NAMES = {"x": "input", "w": "weight", "y": "upstream gradient"}


def written(conv: Conv, problem: Problem) -> str:
    """Say which operands a call changes."""
    operands = dense(conv, problem, seed=0)
    given = mapped(operands, lambda array: array.copy("C"))
    call_as_is(conv, problem, given)
    pairs = zip((*(NAMES[role] for role in conv.map.roles), "bias"), operands, given, strict=True)
    changed = [name for name, before, after in pairs if before is not None and not equal(before, after)]
    return f"writes to its {' and '.join(changed)}" if changed else ""


def misread(conv: Conv, problem: Problem) -> str:
    """Say in which layouts, other than C order, operands give another result, twice."""
    if conv.numerics.normwise:
        return ""
    found = [name for name in LAYOUTS if all(_misreads(conv, problem, name) for _ in range(2))]
    return f"misreads operands that are not contiguous: {', '.join(found)}" if found else ""


def _misreads(conv: Conv, problem: Problem, layout: str) -> bool:
    arranged = mapped(dense(conv, problem, seed=0), lambda array: arrange(array, layout))
    # a copy is contiguous, and has the values that a broadcast operand has come to have
    return not equal(call_as_is(conv, problem, arranged)[0], call(conv, problem, arranged)[0])


def equal(one: Array | None, other: Array | None) -> bool:
    """Whether two results, if there are any, are equal to the last bit."""
    return one is not None and other is not None and np.array_equal(one, other, equal_nan=True)
