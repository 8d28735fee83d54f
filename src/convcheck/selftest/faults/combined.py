"""Faults that need several conditions at once, or sizes off the beaten track."""

from __future__ import annotations

from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.selftest.base import raw
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant
from convcheck.selftest.faults.conditions import Condition, when
from convcheck.selftest.faults.kernels import flipped

__all__ = ["FAULTS"]

Array = np.ndarray[Any, Any]

_TOGETHER: dict[str, Condition] = {
    "grouped": lambda call: call.groups > 1,
    "strided": lambda call: max(call.stride) > 1,
    "dilated": lambda call: max(call.dilation) > 1,
    "padded": lambda call: any(map(any, call.padding)),
    "batched": lambda call: call.batch > 1,
    "even": lambda call: call.kernel[-1] % 2 == 0,
    "in-3-axes": lambda call: call.ndim == 3,
    "in-bf16": lambda call: call.dtype.name == "bfloat16",
}
_ALONE: dict[str, Condition] = {
    "depthwise-3-by-3-stride-2": lambda c: (
        c.channels == 1 and c.groups > 1 and c.kernel[-2:] == (3, 3) and c.stride[-2:] == (2, 2)
    ),
    "depthwise-multiplier-strided": lambda c: c.channels == 1 < c.filters and c.groups > 1 and max(c.stride) > 1,
    "five-channels": lambda c: c.channels == 5,
    "seven-channels-grouped": lambda c: c.channels == 7 and c.groups > 1,
    "twelve-channels": lambda c: c.channels == 12,
    "channels-33-and-filters-odd": lambda c: c.channels == 33 and c.filters % 2 == 1,
    "width-14": lambda c: c.size[-1] == 14,
    "width-17-stride-2": lambda c: c.size[-1] == 17 and c.stride[-1] == 2,
    "kernel-4-stride-4": lambda c: c.kernel[-1] == c.stride[-1] == 4,
    "kernel-is-the-stride": lambda c: c.kernel == c.stride and min(c.kernel) > 1,
    "kernel-13": lambda c: c.kernel[-1] == 13,
    "whole-kernel-above-4": lambda c: c.kernel == c.size and min(c.kernel) > 4,
    "whole-kernel-of-two-axes": lambda c: c.kernel == c.size and c.ndim == 2 and min(c.kernel) > 1,
    "stride-above-kernel-grouped": lambda c: (
        all(s > k for s, k in zip(c.stride, c.kernel, strict=True)) and c.groups > 1
    ),
    "named-same-dilated-even": lambda c: c.same and max(c.dilation) > 1 and c.kernel[-1] % 2 == 0,
    "two-sided-strided-dilated": lambda c: (
        any(low != high for low, high in c.padding) and max(c.stride) > 1 < max(c.dilation)
    ),
    "unit-axis-padded": lambda c: 1 in c.size and any(map(any, c.padding)),
    "one-output-of-many-terms": lambda c: c.places == 1 and c.channels * c.taps > 64,
    "i8": lambda c: c.dtype.name == "int8",
    "u8-grouped": lambda c: c.dtype.name == "uint8" and c.groups > 1,
    "f16-depthwise": lambda c: c.dtype.name == "float16" and c.groups > 1 and c.channels == 1,
    "dilation-above-3": lambda c: max(c.dilation) > 3,
    "stride-above-8": lambda c: max(c.stride) > 8,
    "kernel-above-16": lambda c: max(c.kernel) > 16,
    "batch-above-8": lambda c: c.batch > 8,
    "channels-above-100": lambda c: c.channels > 100,
    "groups-above-100": lambda c: c.groups > 100,
    "width-above-1100": lambda c: c.output[-1] > 1100,
    "sums-above-1000-terms": lambda c: c.channels * c.taps > 1000,
    # what engines are tuned for, and have kernels of their own for
    "64-channels-by-3-by-3": lambda c: c.channels == 64 and c.kernel == (3, 3),
    "kernel-7-by-7-stride-2-padding-3": lambda c: (
        c.kernel == (7, 7) and c.stride == (2, 2) and c.padding == ((3, 3), (3, 3))
    ),
    "planes-above-5000": lambda c: c.places > 5000,
    "tiles-of-16-by-16-filled": lambda c: c.ndim > 1 and min(c.output[-2:]) > 16,
    "planes-of-three-axes-above-8": lambda c: c.ndim == 3 and min(c.output) > 8,
    "strides-1-and-5": lambda c: {1, 5} <= {*c.stride},
    "dilations-1-and-7": lambda c: {1, 7} <= {*c.dilation},
    "padding-above-4-on-one-axis": lambda c: max(map(max, c.padding)) > 4 > min(map(max, c.padding)),
    "kernel-above-7-along-two-axes": lambda c: sum(k > 7 for k in c.kernel) > 1,
    "kernel-31": lambda c: 31 in c.kernel,
    "fourteen-channels": lambda c: c.channels == 14,
    "eleven-images": lambda c: c.batch == 11,
    "strided-one-tap-on-a-plane": lambda c: c.taps == 1 and min(c.stride) > 1 and c.places > 100,
}


_TRIPLES = (
    ("grouped", "strided", "dilated"),
    ("grouped", "strided", "padded"),
    ("grouped", "padded", "in-3-axes"),
    ("grouped", "batched", "in-bf16"),
    ("strided", "dilated", "padded"),
    ("strided", "dilated", "in-3-axes"),
    ("strided", "even", "padded"),
    ("dilated", "padded", "even"),
    ("dilated", "batched", "in-bf16"),
    ("strided", "in-3-axes", "in-bf16"),
    ("padded", "batched", "in-3-axes"),
    ("dilated", "even", "in-3-axes"),
)


def _all(names: tuple[str, ...]) -> Condition:
    return lambda call: all(_TOGETHER[name](call) for name in names)


def _last_wrong(_: Call, __: Operands, y: Array) -> Array:
    y[..., -1] += np.ones((), y.dtype)
    return y


def _border_by_first_axis(call: Call, axis: int) -> Array:
    """The border check of every axis knows the first axis's size only."""
    table = raw(call, axis)
    return np.where((table >= 0) & (table < min(call.size[0], call.size[axis])), table, -1)


FAULTS: tuple[Fault, ...] = (
    *(
        plant(
            f"kernel-flipped-when-{'-and-'.join(names)}",
            "index",
            words=("flipped",),
            index=True,
            take=when(_all(names), flipped()),
        )
        for names in _TRIPLES
    ),
    *(
        plant(f"last-column-wrong-for-{name}", "size-dependent", give=when(condition, _last_wrong))
        for name, condition in _ALONE.items()
    ),
    plant("border-check-by-first-axis-size", "padding", words=("axis 0",), index=True, table=_border_by_first_axis),
)
