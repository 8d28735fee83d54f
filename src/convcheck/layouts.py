"""Ways of laying the same values out in memory; what lies between them is a telltale that no result may show."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

import numpy as np

__all__ = ["LAYOUTS", "arrange", "guard_pages", "telltale"]

Array = np.ndarray[Any, Any]


def telltale(itemsize: int) -> int:
    """Fill of memory that belongs to nobody: large, odd, and exact in every dtype of so many bytes an element."""
    return 123 if itemsize == 1 else 251


def arrange(array: Array, layout: str) -> Array:
    """Return an array of equal values in the given layout, owning no memory that another result shares."""
    return LAYOUTS[layout](array)


def _blank(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    return np.full(shape, telltale(dtype.itemsize), dtype)


#: elements that an array may have together with the gaps between its own
_ROOM = 1 << 22


def _strided(array: Array) -> Array:
    """Every second element along each axis of a larger array; of a very large one, along the last axis alone."""
    steps = (2,) * array.ndim if array.size << array.ndim <= _ROOM else (*(1,) * (array.ndim - 1), 2)
    host = _blank(tuple(step * s + 1 for step, s in zip(steps, array.shape, strict=True)), array.dtype)
    view = host[tuple(slice(1, step * s + 1, step) for step, s in zip(steps, array.shape, strict=True))]
    view[...] = array
    return view


def _reversed(array: Array) -> Array:
    """Negative strides along every axis."""
    backwards = (slice(None, None, -1),) * array.ndim
    return np.ascontiguousarray(array[backwards])[backwards]


def _transposed(array: Array) -> Array:
    """The first two axes exchanged in memory."""
    if array.ndim < 2:
        return _strided(array)
    return np.ascontiguousarray(array.swapaxes(0, 1)).swapaxes(0, 1)


def _swapped(array: Array) -> Array:
    """The last two axes exchanged in memory."""
    if array.ndim < 2:
        return _strided(array)
    return np.ascontiguousarray(array.swapaxes(-1, -2)).swapaxes(-1, -2)


def _fortran(array: Array) -> Array:
    """First axis fastest."""
    return np.asfortranarray(array)


def _channels_last(array: Array) -> Array:
    """Channels fastest: N, spatial axes, C in memory."""
    if array.ndim < 2:
        return array.copy()
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(array, 1, -1)), -1, 1)


def _spatial_first(array: Array) -> Array:
    """Filters fastest: spatial axes, C, N in memory, as TensorFlow has its weights (HWIO)."""
    if array.ndim < 2:
        return array.copy()
    order = (*range(2, array.ndim), 1, 0)
    return np.ascontiguousarray(array.transpose(order)).transpose(np.argsort(order))


def _offset(array: Array) -> Array:
    """Contiguous, but starting three elements into a larger buffer and followed by more."""
    host = _blank((array.size + 7,), array.dtype)
    host[3 : 3 + array.size] = array.ravel()
    return host[3 : 3 + array.size].reshape(array.shape)


def _cropped(array: Array) -> Array:
    """The interior of an array that is larger along the last axis, as a slice of a row makes it."""
    host = _blank((*array.shape[:-1], array.shape[-1] + 5), array.dtype)
    view = host[..., 2 : 2 + array.shape[-1]]
    view[...] = array
    return view


def _broadcast(array: Array) -> Array:
    """The first entry along the first axis, for all of it (stride 0): the values change accordingly."""
    return np.broadcast_to(array[:1].copy(), array.shape) if array.shape[0] else array.copy()


def _expanded(array: Array) -> Array:
    """The first entry along the second axis, for all of it: as `_broadcast`, within images or filters."""
    if array.ndim < 2 or not array.shape[1]:
        return array.copy()
    return np.broadcast_to(array[:, :1].copy(), array.shape)


def _readonly(array: Array) -> Array:
    """Contiguous, and not to be written."""
    fixed = array.copy()
    fixed.flags.writeable = False
    return fixed


_armed = False


def guard_pages(*, armed: bool) -> None:
    """Say whether `guarded` operands really end at a page that may not be touched: only where a crash is survived."""
    global _armed  # noqa: PLW0603 - a property of the process, set once when a worker starts
    _armed = armed


def _guarded(array: Array) -> Array:
    """Contiguous, and followed by a page of memory that may not be touched: a read past the end is a crash."""
    if not _armed or array.size == 0:
        return array.copy()
    page = mmap.PAGESIZE
    room = -(-array.nbytes // page) * page
    memory = mmap.mmap(-1, room + page)
    end = ctypes.addressof(ctypes.c_char.from_buffer(memory)) + room
    ctypes.CDLL(None).mprotect(
        ctypes.c_void_p(end), ctypes.c_size_t(page), mmap.PROT_NONE if hasattr(mmap, "PROT_NONE") else 0
    )
    guarded = np.frombuffer(memory, array.dtype, array.size, room - array.nbytes).reshape(array.shape)
    guarded[...] = array
    return guarded


LAYOUTS: dict[str, Callable[[Array], Array]] = {
    "contiguous": lambda array: array,
    "strided": _strided,
    "reversed": _reversed,
    "transposed": _transposed,
    "swapped": _swapped,
    "fortran": _fortran,
    "channels_last": _channels_last,
    "spatial_first": _spatial_first,
    "offset": _offset,
    "cropped": _cropped,
    "broadcast": _broadcast,
    "expanded": _expanded,
    "readonly": _readonly,
    "guarded": _guarded,
}
