"""Faults of the padding: lost, at the wrong end or on the wrong axis, filled with something other than zeros."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.problem import same_padding
from convcheck.selftest.base import inside, positions, raw
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant
from convcheck.selftest.faults.conditions import CONDITIONS, table_when, when

__all__ = ["FAULTS", "circular", "outside", "padded", "reflect", "replicate"]

Array = np.ndarray[Any, Any]
Pairs = tuple[tuple[int, int], ...]


def padded(change: Callable[[Call], Any]) -> Callable[[Call], Call]:
    """Understand the padding otherwise, output sizes unchanged."""
    return lambda call: call.replace(padding=tuple(change(call)))


def resized(change: Callable[[Call], Any]) -> Callable[[Call], Call]:
    """Understand the padding otherwise, output sizes accordingly, where the kernel still fits."""

    def see(call: Call) -> Call:
        pads: Pairs = tuple(change(call))
        rows = zip(call.size, call.reach, call.stride, pads, strict=True)
        output = tuple((i + sum(p) - r) // s + 1 for i, r, s, p in rows)
        return call.replace(padding=pads, output=output) if min(output) > 0 else call

    return see


def _high_end_lost(call: Call, axis: int) -> Array:
    """Positions with the window kept off the high padding: the last outputs repeat the last that fits."""
    last = call.size[axis] - 1 - call.dilation[axis] * np.arange(call.kernel[axis])[::-1, None]
    return inside(call, axis, np.minimum(raw(call, axis), np.maximum(last, raw(call, axis)[:, :1])))


def replicate(call: Call, axis: int) -> Array:
    """Outside, read the nearest border."""
    return np.clip(raw(call, axis), 0, call.size[axis] - 1)


def circular(call: Call, axis: int) -> Array:
    """Outside, read from the other end."""
    return np.asarray(raw(call, axis) % call.size[axis])


def reflect(call: Call, axis: int) -> Array:
    """Outside, read the mirror image, the border counted once."""
    period = max(1, 2 * (call.size[axis] - 1))
    folded = raw(call, axis) % period
    return np.asarray(np.minimum(folded, period - folded))


def _low_replicated(call: Call, axis: int) -> Array:
    return inside(call, axis, np.maximum(raw(call, axis), 0))


def _below_dilation(call: Call) -> bool:
    return any(0 < low < d for (low, _), d in zip(call.padding, call.dilation, strict=True))


def _at_least_kernel(call: Call) -> bool:
    return any(low >= r for (low, _), r in zip(call.padding, call.reach, strict=True))


def _beyond_input(call: Call) -> bool:
    return any(max(pair) > size for pair, size in zip(call.padding, call.size, strict=True))


def _two_sided(call: Call) -> bool:
    return any(low != high for low, high in call.padding)


def _named_same(call: Call) -> bool:
    return call.same


def outside(call: Call, *, every: bool) -> Array:
    """Where a tap reads padding: along any axis, or along every axis at once; shape (*kernel, *output)."""
    found = np.full((1,) * (2 * call.ndim), every)
    for axis in range(call.ndim):
        shape = [1] * (2 * call.ndim)
        shape[axis], shape[call.ndim + axis] = call.kernel[axis], call.output[axis]
        along = (positions(call, axis) < 0).reshape(shape)
        found = found & along if every else found | along
    return found


def _filled_with_one(*, corners: bool) -> Callable[[Call, Array], Array]:
    """Read 1 in the padding, or in its corners only."""
    return lambda call, picked: np.where(outside(call, every=corners), np.ones((), picked.dtype), picked)


_MEANINGS: dict[str, Callable[[Call], Any]] = {
    "padding-doubled": lambda c: [(2 * low, 2 * high) for low, high in c.padding],
    "padding-ends-exchanged": lambda c: [(high, low) for low, high in c.padding],
    "padding-averaged-over-ends": lambda c: [(sum(p) // 2, sum(p) - sum(p) // 2) for p in c.padding],
    "padding-from-first-axis": lambda c: [c.padding[0]] * c.ndim,
    "padding-from-last-axis": lambda c: [c.padding[-1]] * c.ndim,
    "padding-axes-exchanged": lambda c: c.padding[::-1],
    "padding-on-last-axis-only": lambda c: [(0, 0)] * (c.ndim - 1) + [c.padding[-1]],
    "padding-on-first-axis-only": lambda c: [c.padding[0]] + [(0, 0)] * (c.ndim - 1),
    "padding-all-at-the-end": lambda c: [(0, low + high) for low, high in c.padding],
    "padding-at-most-kernel": lambda c: [tuple(min(e, k) for e in p) for p, k in zip(c.padding, c.kernel, strict=True)],
    "padding-at-most-2": lambda c: [(min(low, 2), min(high, 2)) for low, high in c.padding],
    "padding-times-dilation": lambda c: [(lo * d, hi * d) for (lo, hi), d in zip(c.padding, c.dilation, strict=True)],
}
_SAME: dict[str, Callable[[Call], Any]] = {
    "same-odd-side-at-the-start": lambda c: [(high, low) for low, high in c.padding],
    "same-ignores-dilation": lambda c: [
        ((k - 1) // 2, sum(p) - (k - 1) // 2) for k, p in zip(c.kernel, c.padding, strict=True)
    ],
    "same-all-at-the-end": lambda c: [(0, sum(p)) for p in c.padding],
    "same-from-first-axis": lambda c: [c.padding[0]] * c.ndim,
    "same-lower-taken-for-upper": lambda c: [(min(pair), max(pair)) for pair in c.padding],
    "same-ignores-stride": lambda c: list(map(same_padding, c.size, c.reach)),
    "same-by-first-stride": lambda c: [
        same_padding(i, r, stride=c.stride[0]) for i, r in zip(c.size, c.reach, strict=True)
    ],
}
_NONE: Callable[[Call], Any] = lambda c: [(0, 0)] * c.ndim  # noqa: E731 - one of a table's entries, used twice


def _fault(name: str, *, index: bool = True, **hooks: Any) -> Fault:
    return plant(name, "padding", words=("padding",), index=index, **hooks)


FAULTS: tuple[Fault, ...] = (
    *(_fault(name, see=padded(change)) for name, change in _MEANINGS.items()),
    *(
        _fault(f"{name}-in-the-size-too", see=resized(_MEANINGS[name]))
        for name in ("padding-doubled", "padding-from-first-axis", "padding-on-last-axis-only")
    ),
    _fault("padding-low-end-for-both", see=resized(lambda c: [(low, low) for low, _ in c.padding])),
    _fault("padding-high-end-for-both", see=resized(lambda c: [(high, high) for _, high in c.padding])),
    *(_fault(name, see=when(_named_same, padded(change))) for name, change in _SAME.items()),
    _fault("padding-dropped", see=resized(_NONE)),
    _fault("padding-dropped-when-grouped", see=when(CONDITIONS["grouped"], padded(_NONE))),
    _fault("padding-dropped-when-dilated", see=when(CONDITIONS["dilated"], padded(_NONE))),
    _fault("padding-dropped-below-dilation", see=when(_below_dilation, padded(_NONE))),
    _fault("padding-dropped-when-larger-than-input", see=when(_beyond_input, padded(_NONE))),
    _fault(
        "padding-ends-exchanged-when-strided",
        see=when(CONDITIONS["strided"], padded(_MEANINGS["padding-ends-exchanged"])),
    ),
    _fault("padding-high-end-ignored", table=_high_end_lost),
    _fault("padding-replicates-the-border", table=replicate),
    _fault("padding-wraps-around", table=circular),
    _fault("padding-reflects", table=reflect),
    _fault("padding-low-end-replicates", table=_low_replicated),
    _fault("padding-replicates-from-kernel-size-on", table=table_when(_at_least_kernel, replicate)),
    _fault("padding-wraps-when-two-sided", table=table_when(_two_sided, circular)),
    _fault("padding-filled-with-1", index=False, look=_filled_with_one(corners=False)),
    _fault("padding-corners-filled-with-1", index=False, look=_filled_with_one(corners=True)),
)
