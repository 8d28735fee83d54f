"""Derivatives of an engine that computes all three maps: each is a map, at other operands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convcheck.engines.derivatives import Derivatives, Values
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.selftest.fault import Apply

__all__ = ["by_maps"]

Array = np.ndarray[Any, Any]


def by_maps(apply: Apply) -> Derivatives:
    """Return what ``apply`` gives for derivatives of its forward map, first and second."""

    def at(role: str, problem: Problem, values: Values) -> Array:
        if role == "bias":
            return _of_bias(apply, problem, values["y"])
        which = next(m for m in Map if m.result == role)
        bias = values.get("bias") if which is Map.FORWARD else None
        a, b = (values[r] for r in which.roles)
        return apply(which, problem.replace(bias=bias is not None), Operands(a, b, bias))

    def vjp(problem: Problem, values: Values, wanted: tuple[str, ...]) -> tuple[Array, ...]:
        return tuple(at(role, problem, values) for role in wanted)

    def second(
        problem: Problem, values: Values, by: str, direction: Array, wanted: tuple[str, ...]
    ) -> tuple[Array, ...]:
        moved = {**values, by: direction}
        return tuple(np.zeros_like(values[by]) if role == by else at(role, problem, moved) for role in wanted)

    def accumulate(calls: Sequence[tuple[Problem, Values]], by: str, start: Array) -> Array:
        total = start.astype(np.float64)
        for problem, values in calls:
            total = total + at(by, problem, values)
        return total.astype(start.dtype)

    return Derivatives("by the maps", vjp, ("x", "w", "bias"), second, accumulate)


def _of_bias(apply: Apply, problem: Problem, upstream: Array) -> Array:
    """A bias is the weight of a channel that is 1 everywhere."""
    batch, filters, *size = upstream.shape
    summed = Problem(dtype=problem.dtype, batch=batch, filters=filters, size=tuple(size), kernel=(1,) * problem.ndim)
    ones = np.ones(summed.shapes["x"], upstream.dtype)
    return apply(Map.GRAD_WEIGHT, summed, Operands(upstream, ones)).ravel()
