"""Faults of layout: memory read as if it were contiguous, without its offset, or without the sign of its strides."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant

__all__ = ["FAULTS", "as_contiguous", "is_broadcast", "is_channels_last", "misread", "owner_of"]

Array = np.ndarray[Any, Any]
Read = Callable[[Array], Array]


def owner_of(array: Array) -> Array:
    """Return the array whose memory this one is a view of, or the array itself."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def _memory(array: Array) -> tuple[Array, int]:
    """All memory that an array's owner holds, as one line, and where in it the array's first element lies."""
    owner = owner_of(array)
    line = np.lib.stride_tricks.as_strided(owner, (owner.size,), (owner.itemsize,))
    step = array.__array_interface__["data"][0] - owner.__array_interface__["data"][0]
    return line, step // array.itemsize


def _read(line: Array, places: Array) -> Array:
    """Read memory at some places; beyond its ends lies garbage."""
    there = (places >= 0) & (places < len(line))
    return np.where(there, line[np.clip(places, 0, len(line) - 1)], np.array(113, line.dtype))


def as_contiguous(array: Array) -> Array:
    """Read on from the first element as if the array were contiguous."""
    line, start = _memory(array)
    return _read(line, start + np.arange(array.size)).reshape(array.shape)


def _from_the_owner(array: Array) -> Array:
    """Forget the offset of a view: right strides, from the start of the memory."""
    line, _ = _memory(array)
    return _read(line, _offsets(array, array.strides))


def _without_signs(array: Array) -> Array:
    """Forget the sign of strides."""
    line, start = _memory(array)
    return _read(line, start + _offsets(array, tuple(map(abs, array.strides))))


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
    return _read(line, start + _offsets(array, tuple(strides)))


def _always(_: Array) -> bool:
    return True


def _is_strided(array: Array) -> bool:
    return not array.flags.c_contiguous


def is_broadcast(array: Array) -> bool:
    """Whether one element stands for several (stride 0)."""
    return any(stride == 0 and size > 1 for stride, size in zip(array.strides, array.shape, strict=True))


def is_channels_last(array: Array) -> bool:
    """Whether channels are fastest in memory."""
    return array.ndim > 2 and array.shape[1] > 1 and array.strides[1] == array.itemsize and _is_strided(array)


def _is_fortran(array: Array) -> bool:
    return bool(array.flags.f_contiguous) and _is_strided(array)


def _is_swapped(array: Array) -> bool:
    """Whether the axis before the last is fastest, and the last one next."""
    return array.ndim > 3 and array.strides[-2:] == (array.itemsize, array.itemsize * array.shape[-2])


def _is_reversed(array: Array) -> bool:
    return min(array.strides, default=0) < 0


def _is_cropped(array: Array) -> bool:
    return _is_strided(array) and array.strides[-1:] == (array.itemsize,)


def misread(
    role: str, read: Read, condition: Callable[[Array], bool] = _is_strided
) -> Callable[[Call, Operands], Operands]:
    """Read one operand's memory wrongly where it is laid out in some way."""

    def take(_: Call, operands: Operands) -> Operands:
        array = getattr(operands, role)
        wrong = array is not None and array.size and condition(array)
        return operands._replace(**{role: read(array)}) if wrong else operands

    return take


MISREADINGS: dict[str, Callable[[Call, Operands], Operands]] = {
    "input-strides-ignored": misread("a", as_contiguous),
    "weight-strides-ignored": misread("b", as_contiguous),
    "bias-strides-ignored": misread("bias", as_contiguous),
    "channels-last-input-read-as-contiguous": misread("a", as_contiguous, is_channels_last),
    "channels-last-weight-read-as-contiguous": misread("b", as_contiguous, is_channels_last),
    "broadcast-input-read-as-contiguous": misread("a", as_contiguous, is_broadcast),
    "broadcast-weight-read-as-contiguous": misread("b", as_contiguous, is_broadcast),
    "fortran-input-read-as-contiguous": misread("a", as_contiguous, _is_fortran),
    "swapped-input-read-as-contiguous": misread("a", as_contiguous, _is_swapped),
    "swapped-weight-read-as-contiguous": misread("b", as_contiguous, _is_swapped),
    "cropped-input-read-as-contiguous": misread("a", as_contiguous, _is_cropped),
    "cropped-weight-read-as-contiguous": misread("b", as_contiguous, _is_cropped),
    "input-offset-ignored": misread("a", _from_the_owner, _always),
    "weight-offset-ignored": misread("b", _from_the_owner, _always),
    "negative-input-strides-read-as-positive": misread("a", _without_signs, _is_reversed),
    "negative-weight-strides-read-as-positive": misread("b", _without_signs, _is_reversed),
    "input-row-stride-is-the-width": misread("a", _rows_without_gaps),
}
FAULTS: tuple[Fault, ...] = tuple(plant(name, "memory", take=take) for name, take in MISREADINGS.items())
