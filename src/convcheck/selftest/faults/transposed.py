"""Faults of transposed convolutions: a call computes the gradient by the input, and goes wrong as those do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import Steps, positions
from convcheck.selftest.base import store as right_store
from convcheck.selftest.call import Call, trailing
from convcheck.selftest.fault import Apply, Fault, plant_apply
from convcheck.selftest.faults import backward, geometry, mixing, padding

__all__ = ["FAULTS"]

Array = np.ndarray[Any, Any]
ON = Map.GRAD_INPUT


def _swapped(call: Call, operands: Operands) -> Operands:
    """Take the weight for one of shape (in, out/g, *kernel) where (out, in/g, *kernel) has the same sizes."""
    if call.channels != call.filters:
        return operands
    grouped = operands.b.reshape(call.groups, call.filters, call.channels, *call.kernel)
    return operands._replace(b=grouped.swapaxes(1, 2).reshape(operands.b.shape))


def _without_output_padding(call: Call, _: Operands, result: Array) -> Array:
    return np.ascontiguousarray(result[trailing(slice(s - geometry.rest(call, a)) for a, s in enumerate(call.size))])


def _output_padding_zero(call: Call, _: Operands, result: Array) -> Array:
    """Pad the result with zeros, although taps reach there."""
    for axis, size in enumerate(call.size):
        np.moveaxis(result, 2 + axis, 0)[size - geometry.rest(call, axis) :] = 0
    return result


def _cropped_once(call: Call) -> Call:
    """The low padding is cut off, the high one not."""
    size = tuple(s + high for s, (_, high) in zip(call.size, call.padding, strict=True))
    return call.replace(size=size, padding=tuple((low, 0) for low, _ in call.padding))


def _reached(call: Call) -> Array:
    """How many taps meet at each position of the result, shape (*size,)."""
    total: Any = np.ones(())
    for axis, size in enumerate(call.size):
        table = positions(call, axis)
        total = np.multiply.outer(total, np.bincount(table[table >= 0], minlength=size))
    return np.asarray(total)


def _biased(weight: Callable[[Array], Array]) -> Callable[[Call, Array, Array | None], Array]:
    """Weigh the bias by how many taps reach a position."""

    def store(call: Call, sums: Array, bias: Array | None) -> Array:
        if bias is None:
            return right_store(call, sums, None)
        column = bias.astype(sums.dtype).reshape(-1, *(1,) * call.ndim)
        return np.asarray((sums + column * weight(_reached(call)).astype(sums.dtype)).astype(call.dtype))

    return store


def _uncleared(call: Call, _: Operands, result: Array) -> Array:
    result[..., _reached(call) == 0] = 113
    return result


def _first_tap_wins(call: Call, axis: int) -> Array:
    """Where taps overlap along an axis, all but the first are lost."""
    table = positions(call, axis)
    flat = table.ravel()
    first = np.zeros(flat.size, bool)
    first[np.unique(flat, return_index=True)[1]] = True
    return np.where(first.reshape(table.shape), table, -1)


_OWN: dict[str, tuple[bool, dict[str, Any]]] = {
    "output-padding-at-the-low-end": (True, {"table": geometry.moved(geometry.rest)}),
    "output-padding-ignored": (True, {"give": _without_output_padding}),
    "output-padding-filled-with-zeros": (True, {"give": _output_padding_zero}),
    "weight-in-and-out-swapped-when-equal": (True, {"take": _swapped}),
    "padding-cut-off-once": (True, {"see": _cropped_once}),
    "padding-cut-off-at-the-low-end": (True, {"see": padding.padded(lambda c: [(sum(p), 0) for p in c.padding])}),
    "padding-added": (True, {"see": padding.padded(lambda c: [(-low, -high) for low, high in c.padding])}),
    "overlapping-taps-overwrite": (True, {"table": _first_tap_wins}),
    "gaps-between-windows-not-cleared": (False, {"give": _uncleared}),
    "bias-missing": (False, {"store": mixing.biased(lambda _, b: 0 * b)}),
    "bias-along-the-width-when-sizes-agree": (
        False,
        {"store": mixing.biased(lambda c, b: b.reshape(-1) if len(b) == c.size[-1] else b)},
    ),
    "bias-starts-again-in-each-group": (
        False,
        {"store": mixing.biased(lambda c, b: np.resize(b[: c.channels], b.shape))},
    ),
    "bias-once-a-tap": (False, {"store": _biased(lambda taps: taps)}),
    "bias-only-where-taps-reach": (False, {"store": _biased(lambda taps: taps > 0)}),
}
#: mistakes of the gradient by the input that a transposed convolution makes as well
_SHARED = (
    "stride-ignored",
    "stride-from-first-axis",
    "stride-ignored-for-depthwise",
    "stride-and-dilation-exchanged",
    "dilation-ignored",
    "dilation-from-first-axis",
    "padding-ignored",
    "padding-from-first-axis",
    "one-position-off",
    "groups-reversed",
    "last-output-left-out",
    "first-image-only",
    "tail-of-8-columns-zero",
    "tail-of-4-channels-zero",
    "last-column-zero",
    "kernel-flipped",
    "kernel-flipped-along-last-axis",
    "filters-reversed",
    "last-group-uses-first-weights",
    "f32-operands-rounded-to-tf32",
    "f16-comes-back-as-f32",
    "upstream-strides-ignored",
)


#: words of a right diagnosis, where they are not the first word of the name, or those of the gradient
_WORDS: dict[str, tuple[str, ...]] = {
    "output-padding-at-the-low-end": ("far end", "output padding"),
    "output-padding-filled-with-zeros": ("last input", "output padding"),
    "weight-in-and-out-swapped-when-equal": ("filters and channels of the weight swapped",),
    "padding-added": ("shifted",),
    "overlapping-taps-overwrite": ("overlap",),
}
_FLIPPED = dict.fromkeys(("kernel-flipped", "kernel-flipped-along-last-axis"), ("kernel flipped",))


def _plant(name: str, apply: Apply, *, index: bool) -> Fault:
    words = (_WORDS | backward.WORDS | _FLIPPED).get(name) or tuple(
        word for word in ("stride", "dilation", "padding", "output padding") if name.replace("-", " ").startswith(word)
    )
    return plant_apply(f"transposed-{name}", "transposed", apply, words=words, index=index, maps=(ON,), primary=ON)


_TABLE = {**{name: (backward.EITHER | backward.OF_INPUT)[name] for name in _SHARED}, **_OWN}
FAULTS: tuple[Fault, ...] = tuple(
    _plant(name, Steps(on=(ON,), **steps), index=index) for name, (index, steps) in _TABLE.items()
)
