"""Faults of memory: operands changed, results that are not the caller's own, garbage shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE, raw
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Apply, Fault, plant, plant_apply
from convcheck.selftest.faults.layouts import owner_of

__all__ = ["FAULTS", "InBuffer", "clear_first", "damaging", "negate"]

Array = np.ndarray[Any, Any]


def damaging(role: str, change: Callable[[Array], None], on: tuple[Map, ...] = (Map.FORWARD,)) -> Apply:
    """Compute, then change an operand in place, where it can be written."""

    def apply(which: Map, problem: Any, operands: Operands) -> Array:
        result = BASE(which, problem, operands)
        array = getattr(operands, role)
        if which in on and array is not None and array.size and array.flags.writeable:
            with np.errstate(all="ignore"):
                change(array)
        return result

    return apply


def clear_first(array: Array) -> None:
    """Set the first element to zero."""
    array[(0,) * array.ndim] = 0


def negate(array: Array) -> None:
    """Change every sign."""
    array[...] = -array


def _scale_and_back(array: Array) -> None:
    array[...] = ((array * 3).astype(array.dtype) / 3).astype(array.dtype)


def _shift_and_back(array: Array) -> None:
    array[...] = (array + np.array(100, array.dtype)) - np.array(100, array.dtype)


def _flip(array: Array) -> None:
    array[...] = np.flip(array, -1).copy()


def _pad_border(array: Array) -> None:
    array[..., -1] = 0


def _when_strided(change: Callable[[Array], None]) -> Callable[[Array], None]:
    """Change an operand only where it is not contiguous, so that no copy was made first."""
    return lambda array: None if array.flags.c_contiguous else change(array)


def _write_between(array: Array) -> None:
    """Clear the memory between an array's elements, as padding a slice in place does."""
    owner = owner_of(array)
    if owner.size > array.size > 0 and owner.flags.writeable:
        kept = array.copy()
        owner[...] = 0
        array[...] = kept


def _writing(which: Map, problem: Any, operands: Operands) -> Array:
    """Pad in place and put everything back: which fails where the input may not be written."""
    kept = operands.a[..., -1:].copy()
    operands.a[..., -1:] = 0
    operands.a[..., -1:] = kept
    return BASE(which, problem, operands)


class InBuffer:
    """Results lie in a buffer that the next call of the same shape writes again."""

    def __init__(self, on: tuple[Map, ...] = (Map.FORWARD,)) -> None:
        self.on = on
        self.buffer: Any = None

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map."""
        result = BASE(which, problem, operands)
        if which not in self.on:
            return result
        if self.buffer is None or (self.buffer.shape, self.buffer.dtype) != (result.shape, result.dtype):
            self.buffer = result
        else:
            self.buffer[...] = result
        return np.asarray(self.buffer)


def _view_of_input(which: Map, problem: Any, operands: Operands) -> Array:
    """A unit kernel of weight 1 is the identity: hand the input back."""
    result, x = BASE(which, problem, operands), operands.a
    return x if result.shape == x.shape and operands.b.size == 1 and np.array_equal(result, x) else result


def _view_of_same_values(which: Map, problem: Any, operands: Operands) -> Array:
    """Write the result over the input where it has its shape, which saves an allocation."""
    result, x = BASE(which, problem, operands), operands.a
    if result.shape != x.shape or not x.flags.writeable or 0 in x.strides:
        return result
    x[...] = result
    return x


def _border_of_garbage(call: Call, _: Operands, y: Array) -> Array:
    """Leave the first column as it was in memory where its window starts in the padding."""
    if raw(call, call.ndim - 1)[0, 0] < 0:
        y[..., 0] = 113
    return y


FAULTS: tuple[Fault, ...] = (
    plant_apply("input-cleared-in-one-place", "memory", damaging("a", clear_first)),
    plant_apply("input-negated", "memory", damaging("a", negate)),
    plant_apply("input-padded-in-place", "memory", damaging("a", _pad_border)),
    plant_apply("input-scaled-and-scaled-back", "memory", damaging("a", _scale_and_back)),
    plant_apply("input-shifted-and-shifted-back", "memory", damaging("a", _shift_and_back)),
    plant_apply("weight-flipped-in-place", "memory", damaging("b", _flip)),
    plant_apply("weight-shifted-and-shifted-back", "memory", damaging("b", _shift_and_back)),
    plant_apply("strided-input-negated", "memory", damaging("a", _when_strided(negate))),
    plant_apply("strided-weight-negated", "memory", damaging("b", _when_strided(negate))),
    plant_apply("memory-around-the-input-cleared", "memory", damaging("a", _write_between)),
    plant_apply("bias-cleared-in-one-place", "memory", damaging("bias", clear_first)),
    plant_apply("read-only-input-written", "memory", _writing),
    plant_apply("result-in-a-buffer-used-again", "memory", InBuffer()),
    plant_apply("result-is-the-input-for-identity", "memory", _view_of_input),
    plant_apply("result-written-over-the-input", "memory", _view_of_same_values),
    plant("border-column-of-garbage", "memory", give=_border_of_garbage),
)
