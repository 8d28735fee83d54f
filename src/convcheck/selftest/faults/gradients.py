"""Steps of the backward maps gone wrong, of which `backward` plants the faults."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE, raw
from convcheck.selftest.call import Call, trailing
from convcheck.selftest.fault import Apply
from convcheck.selftest.faults import caches, values

__all__ = [
    "Accumulating",
    "flipped_result",
    "last_zero",
    "leftover",
    "only_image",
    "remembered",
    "scaled",
    "without_last",
    "zero_from",
]

Array = np.ndarray[Any, Any]
Give = Callable[[Call, Operands, Array], Array]


def scaled(factor: Callable[[Call], float]) -> Callable[[Call, Array, Array | None], Array]:
    """Multiply a gradient by a number."""
    return values.changed(lambda call, sums: sums * factor(call))


def flipped_result(_: Call, __: Operands, result: Array) -> Array:
    """Reverse the spatial axes of what comes back."""
    return np.flip(result, tuple(range(2, result.ndim))).copy()


def only_image(index: int) -> Callable[[Call, Operands], Operands]:
    """Let one image's upstream gradient count alone."""

    def take(call: Call, operands: Operands) -> Operands:
        kept = (np.arange(call.batch) == index % max(1, call.batch)).reshape(-1, *(1,) * (call.ndim + 1))
        return operands._replace(a=np.where(kept, operands.a, np.zeros((), operands.a.dtype)))

    return take


def without_last(axis: int) -> Callable[[Call, Operands], Operands]:
    """Leave out the last entry of the upstream gradient along an axis, where there are several."""

    def take(_: Call, operands: Operands) -> Operands:
        upstream = operands.a.copy()
        if upstream.shape[axis] > 1:
            np.moveaxis(upstream, axis, 0)[-1] = 0
        return operands._replace(a=upstream)

    return take


def last_zero(axis: int) -> Give:
    """Zero the last entry along an axis."""
    return lambda _, __, result: np.moveaxis(_cleared(np.moveaxis(result, axis, 0)), 0, axis)


def _cleared(array: Array) -> Array:
    array[-1] = 0
    return array


def leftover(what: str) -> Give:
    """Positions that no window reaches, since the stride leaves them over: cut off, or not zero."""

    def give(call: Call, _: Operands, result: Array) -> Array:
        if call.which is not Map.GRAD_INPUT:
            return result
        ends = [max(1, min(s, int(raw(call, axis).max()) + 1)) for axis, s in enumerate(call.size)]
        if what == "cut":
            return np.asarray(result[trailing(map(slice, ends))])
        result[..., ends[-1] :] = 113 if what == "garbage" else result[..., ends[-1] - 1 : ends[-1]]
        return result

    return give


def zero_from(first: int, axis: int) -> Give:
    """Zero from an index on along an axis."""

    def give(_: Call, __: Operands, result: Array) -> Array:
        np.moveaxis(result, axis, 0)[first:] = 0
        return result

    return give


class Accumulating:
    """A gradient is added to that of the last call of the same shape: nobody set it to zero."""

    def __init__(self, on: Map) -> None:
        self.on = on
        self.last: Any = None

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map."""
        result = BASE(which, problem, operands)
        if which is not self.on:
            return result
        if self.last is not None and (self.last.shape, self.last.dtype) == (result.shape, result.dtype):
            result = (result + self.last).astype(result.dtype)
        self.last = result.copy()
        return result


def remembered(what: str, on: Map) -> Apply:
    """Use what an earlier call of the same shapes and parameters was given, or returned."""
    kept = caches.remembered(what, caches.parameters)
    return lambda which, problem, operands: (kept if which is on else BASE)(which, problem, operands)
