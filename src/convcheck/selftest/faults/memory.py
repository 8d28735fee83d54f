"""Faults of memory: operands changed, results that are not the caller's own, layouts misread, garbage shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE, raw
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Apply, Fault, plant, plant_apply

__all__ = ["FAULTS", "InBuffer", "as_contiguous", "clear_first", "damaging", "is_broadcast", "is_channels_last", "misread", "negate"]

Array = np.ndarray[Any, Any]
Read = Callable[[Array], Array]


# -- layouts -------------------------------------------------------------------------------------------


def _memory(array: Array) -> tuple[Array, int]:
    """All memory that an array's owner holds, as one line, and where in it the array's first element lies."""
    owner = array
    while isinstance(owner.base, np.ndarray):
        owner = owner.base
    line = np.lib.stride_tricks.as_strided(owner, (owner.size,), (owner.itemsize,))
    step = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return line, step // array.itemsize


def as_contiguous(array: Array) -> Array:
    """Read on from the first element as if the array were contiguous."""
    line, start = _memory(array)
    return line[(start + np.arange(array.size)) % len(line)].reshape(array.shape)


def _from_the_owner(array: Array) -> Array:
    """Forget the offset of a view: right strides, from the start of the memory."""
    line, _ = _memory(array)
    return line[_offsets(array, array.strides) % len(line)]


def _without_signs(array: Array) -> Array:
    """Forget the sign of strides."""
    line, start = _memory(array)
    return line[(start + _offsets(array, tuple(map(abs, array.strides)))) % len(line)]


def _offsets(array: Array, strides: tuple[int, ...]) -> Array:
    total = np.zeros((1,) * array.ndim, int)
    for axis, (size, stride) in enumerate(zip(array.shape, strides, strict=True)):
        step = np.arange(size) * (stride // array.itemsize)
        total = total + step.reshape([-1 if a == axis else 1 for a in range(array.ndim)])
    return total


def _rows_without_gaps(array: Array) -> Array:
    """Honour the last stride only, and take the row stride to be the row's length."""
    if array.ndim < 2 or array.size == 0:
        return array
    line, start = _memory(array)
    strides = [array.itemsize] * array.ndim
    strides[-1] = array.strides[-1]
    for axis in range(array.ndim - 2, -1, -1):
        strides[axis] = strides[axis + 1] * array.shape[axis + 1]
    return line[(start + _offsets(array, tuple(strides))) % len(line)]


def _is_strided(array: Array) -> bool:
    return not array.flags.c_contiguous


def is_broadcast(array: Array) -> bool:
    return any(stride == 0 and size > 1 for stride, size in zip(array.strides, array.shape, strict=True))


def is_channels_last(array: Array) -> bool:
    return array.ndim > 2 and array.shape[1] > 1 and array.strides[1] == array.itemsize and _is_strided(array)


def _is_fortran(array: Array) -> bool:
    return bool(array.flags.f_contiguous) and _is_strided(array)


def _is_reversed(array: Array) -> bool:
    return min(array.strides, default=0) < 0


def _is_cropped(array: Array) -> bool:
    return _is_strided(array) and array.strides[-1:] == (array.itemsize,)


def misread(role: str, read: Read, condition: Callable[[Array], bool] = _is_strided) -> Callable[[Call, Operands], Operands]:
    """Read one operand's memory wrongly where it is laid out in some way."""

    def take(_: Call, operands: Operands) -> Operands:
        array = getattr(operands, role)
        wrong = array is not None and array.size and condition(array)
        return operands._replace(**{role: read(array)}) if wrong else operands

    return take


_LAYOUTS: dict[str, Callable[[Call, Operands], Operands]] = {
    "input-strides-ignored": misread("a", as_contiguous),
    "weight-strides-ignored": misread("b", as_contiguous),
    "bias-strides-ignored": misread("bias", as_contiguous),
    "channels-last-input-read-as-contiguous": misread("a", as_contiguous, is_channels_last),
    "channels-last-weight-read-as-contiguous": misread("b", as_contiguous, is_channels_last),
    "broadcast-input-read-as-contiguous": misread("a", as_contiguous, is_broadcast),
    "broadcast-weight-read-as-contiguous": misread("b", as_contiguous, is_broadcast),
    "fortran-input-read-as-contiguous": misread("a", as_contiguous, _is_fortran),
    "cropped-input-read-as-contiguous": misread("a", as_contiguous, _is_cropped),
    "cropped-weight-read-as-contiguous": misread("b", as_contiguous, _is_cropped),
    "input-offset-ignored": misread("a", _from_the_owner, lambda array: True),
    "weight-offset-ignored": misread("b", _from_the_owner, lambda array: True),
    "negative-input-strides-read-as-positive": misread("a", _without_signs, _is_reversed),
    "negative-weight-strides-read-as-positive": misread("b", _without_signs, _is_reversed),
    "input-row-stride-is-the-width": misread("a", _rows_without_gaps),
}

# -- operands changed ------------------------------------------------------------------------------------


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
    array[(0,) * array.ndim] = 0


def negate(array: Array) -> None:
    array[...] = -array


def _scale_and_back(array: Array) -> None:
    array[...] = ((array * 3).astype(array.dtype) / 3).astype(array.dtype)


def _shift_and_back(array: Array) -> None:
    array[...] = (array + np.array(100, array.dtype)) - np.array(100, array.dtype)


def _flip(array: Array) -> None:
    array[...] = np.flip(array, -1).copy()


def _pad_border(array: Array) -> None:
    array[..., -1] = 0


def _writing(which: Map, problem: Any, operands: Operands) -> Array:
    """Pad in place and put everything back: which fails where the input may not be written."""
    kept = operands.a[..., -1:].copy()
    operands.a[..., -1:] = 0
    operands.a[..., -1:] = kept
    return BASE(which, problem, operands)


# -- results ---------------------------------------------------------------------------------------------


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
    *(plant(name, "memory", take=take) for name, take in _LAYOUTS.items()),
    plant_apply("input-cleared-in-one-place", "memory", damaging("a", clear_first)),
    plant_apply("input-negated", "memory", damaging("a", negate)),
    plant_apply("input-padded-in-place", "memory", damaging("a", _pad_border)),
    plant_apply("input-scaled-and-scaled-back", "memory", damaging("a", _scale_and_back)),
    plant_apply("input-shifted-and-shifted-back", "memory", damaging("a", _shift_and_back)),
    plant_apply("weight-flipped-in-place", "memory", damaging("b", _flip)),
    plant_apply("weight-shifted-and-shifted-back", "memory", damaging("b", _shift_and_back)),
    plant_apply("bias-cleared-in-one-place", "memory", damaging("bias", clear_first)),
    plant_apply("read-only-input-written", "memory", _writing),
    plant_apply("result-in-a-buffer-used-again", "memory", InBuffer()),
    plant_apply("result-is-the-input-for-identity", "memory", _view_of_input),
    plant_apply("result-written-over-the-input", "memory", _view_of_same_values),
    plant("border-column-of-garbage", "memory", give=_border_of_garbage),
)
