"""An engine's derivatives as a law sees them: by role, in the convention of correlation, and of the right shapes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convcheck.engines.base import Conv
from convcheck.engines.derivatives import Derivatives, Values
from convcheck.errors import MisshapenError, UnsupportedError
from convcheck.problem import Problem

__all__ = ["Differentiated"]

Array = np.ndarray[Any, Any]


class Differentiated:
    """What `Derivatives` returns, by role; raises what a call of a `Conv` raises."""

    def __init__(self, conv: Conv) -> None:
        assert conv.engine.derivatives is not None  # noqa: S101 - what a law needs, it says
        self.derivatives: Derivatives = conv.engine.derivatives
        self._conv = conv
        self._flips = conv.engine.convention == "convolution"

    def gradients(self, problem: Problem, values: Values, wanted: Sequence[str]) -> dict[str, Array]:
        """Gradients of <result, upstream> by several roles; the result's own role stands for the result."""
        asked = tuple(wanted)
        found = self._called(problem, lambda: self.derivatives.vjp(problem, self._presented(values), asked))
        return self._shaped(problem, dict(zip(asked, found, strict=True)))

    def retained(self, problem: Problem, values: Values, wanted: Sequence[str]) -> dict[str, Array]:
        """Gradients, as they come out where a call is gone back through for a second time."""
        call, asked = self.derivatives.retained, tuple(wanted)
        assert call is not None  # noqa: S101 - what a law needs, it says
        found = self._called(problem, lambda: call(problem, self._presented(values), asked))
        return self._shaped(problem, dict(zip(asked, found, strict=True)))

    def second(
        self, problem: Problem, values: Values, by: str, direction: Array, wanted: Sequence[str]
    ) -> dict[str, Array]:
        """Gradients, by several roles, of <gradient by one role, direction>."""
        call, asked = self.derivatives.second, tuple(wanted)
        assert call is not None  # noqa: S101 - what a law needs, it says
        along = self._presented({by: direction})[by]
        found = self._called(problem, lambda: call(problem, self._presented(values), by, along, asked))
        return self._shaped(problem, dict(zip(asked, found, strict=True)))

    def accumulated(self, calls: Sequence[tuple[Problem, Values]], by: str, start: Array) -> Array:
        """Return what a gradient becomes in the course of several calls that share an operand."""
        call = self.derivatives.accumulate
        assert call is not None  # noqa: S101 - what a law needs, it says
        given = [(problem, self._presented(values)) for problem, values in calls]
        had = self._presented({by: start})[by]
        problem = calls[0][0]
        found = self._called(problem, lambda: call(given, by, had))
        return self._shaped(problem, {by: found})[by]

    def _called(self, problem: Problem, call: Any) -> Any:
        lacking = self._conv.engine.capabilities.admits(problem)
        if lacking:
            raise UnsupportedError(f"{self._conv.engine.name} does not take {lacking}")
        return self._conv.guarded(call)

    def _presented(self, values: Values) -> dict[str, Array]:
        """Flip the kernel for a target whose convention is convolution."""
        return {role: _flipped(array) if self._flips and role == "w" else array for role, array in values.items()}

    def _shaped(self, problem: Problem, found: dict[str, Array]) -> dict[str, Array]:
        for role, array in found.items():
            if array.shape != problem.shapes[role]:
                raise MisshapenError(f"the shape by {role} is {array.shape}, not {problem.shapes[role]}")
        return self._presented(found)


def _flipped(weight: Array) -> Array:
    return np.ascontiguousarray(np.flip(weight, tuple(range(2, weight.ndim))))
