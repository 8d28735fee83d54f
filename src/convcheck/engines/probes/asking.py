"""Ask a target one question: does it take a problem, refuse it, and what comes back."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.engines.arrays import as_numpy
from convcheck.engines.base import first_line
from convcheck.engines.caller import Caller
from convcheck.engines.facts import Watch
from convcheck.engines.refusals import raised_at
from convcheck.errors import is_interrupt
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

__all__ = ["KERNELS", "Asking", "on_axes", "plain", "plain_operands"]

Array = np.ndarray[Any, Any]

#: what kernels are tried, all the same but for the axes; the input is larger by so much
KERNELS, _MORE = ((2, 3, 2), (3, 3, 3), (1, 1, 1), (5, 5, 5)), (3, 3, 2)


@dataclass(frozen=True)
class Asking:
    """A way to call the target, and who watches; one that ``flips``, a convolution, is given a flipped kernel.

    ``refusals`` are what it said when it declined a problem, by the place where it did.
    """

    caller: Caller
    watch: Watch
    flips: bool = False
    refusals: dict[str, str] = field(default_factory=dict, compare=False)

    def spelling(self, **forms: str) -> Self:
        """Return the same with some parameters given in other forms."""
        return replace(self, caller=replace(self.caller, forms=self.caller.forms | forms))

    def telling(self) -> Self:
        """Return the same with everything said, also what says nothing."""
        return replace(self, caller=replace(self.caller, told=True))

    def call(self, problem: Problem, operands: Operands | None = None) -> Array | None:
        """Return the result, or None where the target raises or returns what is no array of its kind."""
        answer = self._answer(problem, operands)
        return None if isinstance(answer, BaseException) else answer

    def complaint(self, problem: Problem) -> str:
        """Say what comes of a problem that is not answered with an array."""
        answer = self._answer(problem)
        if isinstance(answer, BaseException):
            return f"{type(answer).__name__}: {first_line(answer)}"
        return "an array, this time"

    def takes(self, problem: Problem) -> bool:
        """Whether a result of the right shape comes back."""
        result = self.call(problem)
        return result is not None and result.shape == problem.shapes[self.caller.primary.result]

    def answers(self, problem: Problem) -> bool:
        """Whether small integers come back right."""
        which = self.caller.primary
        operands = plain_operands(which, problem)
        result, expected = self.call(problem, operands), contract(which, problem, *operands)
        return result is not None and result.shape == expected.shape and bool(np.all(np.rint(result) == expected))

    def refuses(self, problem: Problem) -> bool:
        """Whether the target says that it does not take the problem: any other exception is for the laws to judge."""
        return isinstance(self._answer(problem), NotImplementedError)

    def declines(self, problem: Problem, lay: Callable[[Operands], Operands] = lambda operands: operands) -> bool:
        """Whether the target refuses a kind of problem, by a statement of its own that large and small ones meet.

        Asked only of what no parameter says: a parameter is a promise, and is refused by NotImplementedError alone.
        ``lay`` says how operands lie in memory, where that is the kind.
        """
        met = self._answer(problem, lay(plain_operands(self.caller.primary, problem)))
        if not isinstance(met, BaseException) or not (place := raised_at(met)):
            return isinstance(met, NotImplementedError)
        spare = min(s - k for s, k in zip(problem.size, problem.kernel, strict=True))
        small = problem.replace(size=tuple(s - spare for s in problem.size))
        again = self._answer(small, lay(plain_operands(self.caller.primary, small)))
        if isinstance(again, BaseException) and raised_at(again) == place:
            self.refusals[place] = first_line(met) or type(met).__name__
        return place in self.refusals

    def _answer(self, problem: Problem, operands: Operands | None = None) -> Array | BaseException:
        """Return the result, or what was raised: a probe asks, and any answer but an array is a no."""
        try:
            return self._attempt(problem, operands)
        except BaseException as error:
            if is_interrupt(error):
                raise
            return error

    def _attempt(self, problem: Problem, operands: Operands | None) -> Array:
        kind = self.caller.kind
        given = operands or plain_operands(self.caller.primary, problem)
        if self.flips:
            given = given._replace(b=np.flip(given.b, tuple(range(2, given.b.ndim))).copy())
        probe = f"{kind.name} {self.caller.style} {problem}"
        if probe in self.watch.avoid:
            raise TypeError("the target died of this probe")
        self.watch.announce(probe)
        a, b, bias = (None if o is None else kind.to_native(o) for o in given)
        process = os.getpid()
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                result = as_numpy(kind, self.caller(problem, a, b, bias))
        finally:
            if os.getpid() != process:
                os._exit(0)  # the target forked, and this is the child: it must not go on asking
        if result.dtype.kind == "c" and DTYPES[problem.dtype].kind != "c":
            raise TypeError(f"returned complex numbers ({result.dtype}) of {problem.dtype} operands")
        return result


def plain(kernel: tuple[int, ...], ndim: int, dtype: str, channels: int = 1, filters: int = 1) -> Problem:
    """Return the plainest problem of a kernel, on some of its axes."""
    size = tuple(k + more for k, more in zip(kernel, _MORE, strict=True))
    return Problem(size=size[:ndim], kernel=kernel[:ndim], dtype=dtype, channels=channels, filters=filters)


def on_axes(problem: Problem, ndim: int) -> Problem:
    """Return the plain problem of the same kernel and dtype on another number of axes."""
    kernel = next(kernel for kernel in KERNELS if kernel[: problem.ndim] == problem.kernel)
    return plain(kernel, ndim, problem.dtype, problem.channels, problem.filters)


def plain_operands(which: Map, problem: Problem) -> Operands:
    """Return small integers for the operands of a map."""
    a, b = (make(problem, role, Fill("dense", 3)) for role in which.roles)
    return Operands(a, b, make(problem, which.bias, Fill("dense", 3)) if problem.bias else None)
