"""What is observed of a target: its results on a problem and on others near it, on exact operands."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
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
from convcheck.errors import MisshapenError, TargetRaisedError, UnsupportedError
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.reference.impulses import impulse_call

__all__ = ["Observation", "call", "call_as_is", "dense", "mapped", "observe", "observe_all", "work"]

Array = np.ndarray[Any, Any]

#: largest number of products that one call with all pairs of one-hot operands may have
IMPULSES = 100_000


@dataclass(frozen=True, eq=False)
class Observation:
    """One call: what went in, what had to come out within ``bound``, what came out (or ``error``, a sentence).

    ``earlier`` are the operands of the call before and of the first call on the same problem; ``near`` says that
    the problem is the one asked about, or the same with other sizes.
    """

    which: Map
    problem: Problem
    operands: Operands
    earlier: tuple[Operands, ...]
    expected: Array
    bound: Array | float
    got: Array | None
    error: str = ""
    near: bool = False

    @cached_property
    def model(self) -> Model:
        """The model of the right computation."""
        return Model.of(self.which, self.problem, self.operands, self.earlier)

    @cached_property
    def wrong(self) -> bool:
        """Whether the result is not what it had to be."""
        return self.got is not None and not self.agrees(self.expected)

    @property
    def rounding(self) -> float:
        """Unit roundoff of the result."""
        return DTYPES[self.problem.dtype].unit_roundoff

    def agrees(self, prediction: Array) -> bool:
        """Whether the target returned what is predicted, but for roundings where that is no whole number."""
        got = self.got
        if got is None or got.shape != prediction.shape:
            return False
        if not np.any(self.bound):
            if np.array_equal(got, prediction):
                return True
            error = 4 * self.rounding * np.max(np.abs(prediction), initial=0)
            return bool(np.any(prediction % 1)) and np.allclose(got, prediction, rtol=0, atol=error)
        bound = self.bound if np.shape(self.bound) == got.shape else float(np.max(self.bound))
        return judge(Claim(got, prediction, bound)).ok


def work(problem: Problem) -> int:
    """Multiply-adds of a problem."""
    return problem.batch * problem.filters * prod(problem.output) * problem.terms()


def mapped(operands: Operands, change: Callable[[Array], Array]) -> Operands:
    """Apply a function to every operand that there is."""
    a, b, bias = operands
    return Operands(change(a), change(b), None if bias is None else change(bias))


def call(conv: Conv, problem: Problem, operands: Operands) -> tuple[Array | None, str]:
    """Call the target on copies: (what it returned, as float64, or None; what it raised, or why it is no array)."""
    return call_as_is(conv, problem, mapped(operands, lambda array: array.copy("C")))


def call_as_is(conv: Conv, problem: Problem, operands: Operands) -> tuple[Array | None, str]:
    """Call the target on these very arrays, in the layout that they have; a wrong shape is no error here.

    Raises
    ------
    UnsupportedError
        If the target does not take the problem.
    """
    lacking = conv.engine.capabilities.admits(problem)
    if lacking:
        raise UnsupportedError(f"{conv.engine.name} does not take {lacking}")
    try:
        result = conv.attempt(problem, operands)
        if not isinstance(result, np.ndarray) or result.dtype.kind not in "biufV":
            return None, f"returns no array of real numbers, but {_kind(result)},"
        return result.astype(np.float64, copy=True), ""
    except TargetRaisedError as error:
        return None, f"raises {error}"
    except MisshapenError as error:
        return None, f"cannot go back, since {error},"
    except UnsupportedError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever a hostile target returns may refuse any question
        return None, f"returns no array of real numbers ({type(error).__name__})"


def _kind(result: Any) -> str:
    return f"one of {result.dtype}" if isinstance(result, np.ndarray) else type(result).__name__


def observe(conv: Conv, problem: Problem, *, near: bool = False) -> list[Observation]:
    """Call the target twice, on dense exact integers."""
    return list(_observed(conv, problem, (dense(conv, problem, seed) for seed in range(2)), near=near))


def observe_all(conv: Conv, problem: Problem) -> list[Observation]:
    """Call the target on the problem asked about, so as to see mistakes that hang on what was before, too."""
    first, second, third, fourth = (dense(conv, problem, seed) for seed in range(4))
    fresh = (first, second, second._replace(b=third.b), fourth._replace(b=third.b), fourth)
    found = list(_observed(conv, problem, fresh, near=True))
    found += _observed(conv, problem, _rewritten(first, (second, third)), near=True, copies=False)
    return found + _observe_impulses(conv, problem)


def _rewritten(first: Operands, others: Iterable[Operands]) -> Iterator[Operands]:
    """Yield other operands in the same arrays: at the same addresses, with the same first elements."""
    reused = mapped(first, np.copy)
    yield reused
    for operands in others:
        for array, values in zip(reused, operands, strict=True):
            if array is not None and values is not None:
                array.ravel()[1:] = values.ravel()[1:]
        yield reused


def _observe_impulses(conv: Conv, problem: Problem) -> list[Observation]:
    """Call the target on every pair of one-hot operands at once, where it takes batches and channels."""
    taken = {"batch", "channels"} <= conv.engine.capabilities.features
    if not taken or not 0 < prod(problem.shapes[conv.map.roles[0]]) <= 500:
        return []
    stacked, a, b = impulse_call(conv.map, problem.replace(bias=False))
    if work(stacked) > min(IMPULSES, conv.engine.capabilities.work_limit):
        return []
    return list(_observed(conv, stacked, [Operands(a, b)], near=False))


def dense(conv: Conv, problem: Problem, seed: int) -> Operands:
    """Non-zero integers, so small that every sum is exact also in the output's type."""
    dtype, which = DTYPES[problem.dtype], conv.map
    bits = dtype.precision - ceil(log2(max(1, problem.terms(which)) + problem.bias))
    limit = min(7, max(1, 2 ** (bits // 2) - 1))
    roles = (*which.roles, *(("bias",) if problem.bias else ()))
    return Operands(*(make(problem, role, Fill("dense", limit, seed + 1)) for role in roles))


def _observed(
    conv: Conv, problem: Problem, calls: Iterable[Operands], *, near: bool, copies: bool = True
) -> Iterator[Observation]:
    earlier: tuple[Operands, ...] = ()
    for operands in calls:
        given = mapped(operands, np.copy)
        try:
            got, error = (call if copies else call_as_is)(conv, problem, operands)
        except UnsupportedError:
            return
        right = expect(conv.map, problem, given, conv.numerics)
        expected = right.value.astype(np.float64)
        yield Observation(conv.map, problem, given, earlier, expected, right.bound, got, error, near)
        earlier = (given, earlier[-1] if earlier else given)
