"""What is observed of a target: its results on a problem and on others near it, on exact operands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from math import ceil, log2, prod
from typing import Any

import numpy as np

from convcheck.bounds import expect
from convcheck.claim import Claim, judge
from convcheck.diagnosis.model import Model
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.errors import TargetRaisedError, UnsupportedError
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.reference.impulses import impulse_call

__all__ = ["Observation", "call", "call_as_is", "dense", "mapped", "observe", "observe_impulses", "work"]

Array = np.ndarray[Any, Any]

#: largest number of products that one call with all pairs of one-hot operands may have
IMPULSES = 100_000


@dataclass(frozen=True, eq=False)
class Observation:
    """One call: what went in, what had to come out within ``bound``, what came out (or ``error``, a sentence).

    ``previous`` are the operands of the call before, on the same problem; ``near`` says that the problem is the
    one asked about, or the same with other sizes.
    """

    which: Map
    problem: Problem
    operands: Operands
    previous: Operands | None
    expected: Array
    bound: Array | float
    got: Array | None
    error: str = ""
    near: bool = False

    @cached_property
    def model(self) -> Model:
        """The model of the right computation."""
        return Model.of(self.which, self.problem, self.operands, self.previous)

    @cached_property
    def wrong(self) -> bool:
        """Whether the result is not what it had to be."""
        return self.got is not None and not self.agrees(self.expected)

    def agrees(self, prediction: Array) -> bool:
        """Whether the target returned what is predicted."""
        got = self.got
        if got is None or got.shape != prediction.shape:
            return False
        if not np.any(self.bound):
            return bool(np.array_equal(got, prediction))
        bound = self.bound if np.shape(self.bound) == got.shape else float(np.max(self.bound))
        return judge(Claim(got, prediction, bound)).ok


def work(problem: Problem) -> int:
    """Multiply-adds of a problem."""
    return problem.batch * problem.filters * prod(problem.output) * problem.terms()


def call(conv: Conv, problem: Problem, operands: Operands) -> tuple[Array | None, str]:
    """Call the target on copies: (what it returned, as float64, or None; what it raised, or why it is no array)."""
    return call_as_is(conv, problem, mapped(operands, lambda array: array.copy("C")))


def mapped(operands: Operands, change: Callable[[Array], Array]) -> Operands:
    """Apply a function to every operand that there is."""
    a, b, bias = operands
    return Operands(change(a), change(b), None if bias is None else change(bias))


def call_as_is(conv: Conv, problem: Problem, operands: Operands) -> tuple[Array | None, str]:
    """Call the target on these very arrays, in the layout that they have.

    Raises
    ------
    UnsupportedError
        If the target does not take the problem.
    """
    try:
        result = np.asarray(conv(problem, *operands))
        return result.astype(np.float64, copy=True), ""
    except TargetRaisedError as error:
        return None, f"raises {error}"
    except UnsupportedError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a hostile target returns may refuse any question
        return None, f"returns what is no array of numbers ({type(error).__name__})"


def observe(conv: Conv, problem: Problem, *, seeds: int = 2, near: bool = False) -> list[Observation]:
    """Call the target on dense exact integers, once a seed; none where it does not take the problem."""
    found: list[Observation] = []
    previous = None
    for seed in range(seeds):
        operands = dense(conv, problem, seed)
        found += _observed(conv, problem, operands, previous, near=near)
        previous = operands
    return found


def observe_impulses(conv: Conv, problem: Problem) -> list[Observation]:
    """Call the target on every pair of one-hot operands at once, where it takes batches and channels."""
    taken = {"batch", "channels"} <= conv.engine.capabilities.features
    if not taken or prod(problem.shapes[conv.map.roles[0]]) > 500:
        return []
    stacked, a, b = impulse_call(conv.map, problem.replace(bias=False))
    if work(stacked) > min(IMPULSES, conv.engine.capabilities.work_limit):
        return []
    return list(_observed(conv, stacked, Operands(a, b), None, near=False))


def dense(conv: Conv, problem: Problem, seed: int) -> Operands:
    """Non-zero integers, so small that every sum is exact also in the output's type."""
    dtype, which = DTYPES[problem.dtype], conv.map
    bits = dtype.precision - ceil(log2(max(1, problem.terms(which)) + problem.bias))
    limit = min(7, max(1, 2 ** (bits // 2) - 1))
    roles = (*which.roles, *(("bias",) if problem.bias else ()))
    return Operands(*(make(problem, role, Fill("dense", limit, seed + 1)) for role in roles))


def _observed(
    conv: Conv, problem: Problem, operands: Operands, previous: Operands | None, *, near: bool
) -> Iterator[Observation]:
    try:
        got, error = call(conv, problem, operands)
    except UnsupportedError:
        return
    right = expect(conv.map, problem, operands, conv.numerics)
    expected = right.value.astype(np.float64)
    yield Observation(conv.map, problem, operands, previous, expected, right.bound, got, error, near)
