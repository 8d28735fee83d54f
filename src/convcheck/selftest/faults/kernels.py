"""Faults of the kernel: flipped, turned, shifted, taps lost or counted twice, fast paths that forget a parameter."""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.selftest.base import inside, positions, raw
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant
from convcheck.selftest.faults.conditions import CONDITIONS, table_when, when

__all__ = ["FAULTS"]

Array = np.ndarray[Any, Any]


def flipped(*axes: int) -> Callable[[Call, Operands], Operands]:
    """Reverse the kernel along spatial axes, counted as NumPy counts; along all, where none is named."""

    def take(call: Call, operands: Operands) -> Operands:
        chosen = tuple(2 + axis % call.ndim for axis in axes) or tuple(range(2, 2 + call.ndim))
        return operands._replace(b=np.flip(operands.b, chosen))

    return take


def turned(*roles: str) -> Callable[[Call, Operands], Operands]:
    """Exchange the last two spatial axes of operands, where their sizes allow it."""

    def take(call: Call, operands: Operands) -> Operands:
        if call.ndim == 1 or len(set(call.kernel[-2:])) > 1 or ("a" in roles and len(set(call.size[-2:])) > 1):
            return operands
        return operands._replace(**{role: np.swapaxes(getattr(operands, role), -1, -2) for role in roles})

    return take


def _turn_result(call: Call, _: Operands, y: Array) -> Array:
    return np.swapaxes(y, -1, -2).copy() if call.ndim > 1 and y.shape[-1] == y.shape[-2] else y


def _rolled(_: Call, operands: Operands) -> Operands:
    return operands._replace(b=np.roll(operands.b, 1, axis=-1))


def shifted(step: int, first: int = 0) -> Callable[[Call, int], Array]:
    """Read so many positions too far along the last axis, from the output ``first`` on."""

    def table(call: Call, axis: int) -> Array:
        if axis != call.ndim - 1:
            return positions(call, axis)
        wrong = inside(call, axis, raw(call, axis) + step)
        return np.where(np.arange(call.output[axis]) >= first, wrong, positions(call, axis))

    return table


def weighed(
    tap: Callable[[Call], Any], factor: int, place: Callable[[Call], Any] | None = None
) -> Callable[..., Array]:
    """Count one tap ``factor`` times, at all output positions or at one; ``tap`` and ``place`` return an index."""

    def look(call: Call, picked: Array) -> Array:
        where = (slice(None),) * 3 + tuple(tap(call)) + (tuple(place(call)) if place else ())
        picked[where] *= np.array(factor, picked.dtype)
        return picked

    return look


def _corner(call: Call) -> tuple[int, ...]:
    return (-1,) * call.ndim


def _origin(call: Call) -> tuple[int, ...]:
    return (0,) * call.ndim


def _centre(call: Call) -> tuple[int, ...]:
    return tuple(k // 2 for k in call.kernel)


def _middle(call: Call) -> tuple[int, ...]:
    return tuple(o // 2 for o in call.output)


def _last_row(call: Call) -> tuple[Any, ...]:
    return (-1, *(slice(None),) * (call.ndim - 1))


def _beyond(first: int) -> Callable[[Call, Array], Array]:
    def look(_: Call, picked: Array) -> Array:
        axis = 2 + (picked.ndim - 3) // 2  # the kernel's last
        np.moveaxis(picked, axis, 0)[first:] = 0
        return picked

    return look


def _unit(call: Call) -> bool:
    return prod(call.kernel) == 1


def _whole(call: Call) -> bool:
    return call.kernel == call.size


def _large(call: Call) -> bool:
    return max(call.kernel) > 7


def _flat(call: Call) -> bool:
    return 1 in call.kernel


def _plain_table(*forgotten: str) -> Callable[[Call, int], Array]:
    """Positions as if some parameters had their defaults."""

    def table(call: Call, axis: int) -> Array:
        one, none = (1,) * call.ndim, ((0, 0),) * call.ndim
        defaults: dict[str, Any] = {"stride": one, "dilation": one, "padding": none}
        return positions(call.replace(**{name: defaults[name] for name in forgotten}), axis)

    return table


def _first_channel(_: Call, picked: Array) -> Array:
    picked[:, :, 1:] = 0
    return picked


def _planted(kind: str, table: dict[str, dict[str, Any]], *words: str) -> list[Fault]:
    return [plant(name, kind, words=words, index=True, **hooks) for name, hooks in table.items()]


def _zeros_end_it(call: Call, operands: Operands) -> Operands:
    """Take a kernel whose first tap is zero for one of zeros."""
    del call
    none = operands.b.size > 1 and not operands.b.flat[0]
    return operands._replace(b=np.zeros_like(operands.b)) if none else operands


def _bias_by_its_first(call: Call, operands: Operands) -> Operands:
    """Take a bias whose first entry is zero for no bias."""
    del call
    none = operands.bias is not None and operands.bias.size > 1 and not operands.bias[0]
    return operands._replace(bias=None) if none else operands


def _smoothed(call: Call, operands: Operands) -> Operands:
    """Take a filter whose first and last elements are equal for a constant one."""
    del call
    b = operands.b.copy()
    lines = b.reshape(len(b), -1)
    first = lines[:, :1]
    if lines.shape[1] > 2:
        lines[...] = np.where((first == lines[:, -1:]) & (first == lines[:, 1:2]), first, lines)
    return operands._replace(b=b)


def _several_axes(call: Call) -> bool:
    return call.ndim > 1


def _odd(call: Call) -> bool:
    return call.kernel[-1] % 2 == 1 < call.kernel[-1]


_FLIPS: dict[str, dict[str, Any]] = {
    "kernel-flipped": {"take": flipped()},
    "kernel-flipped-along-first-axis": {"take": when(_several_axes, flipped(0))},
    "kernel-flipped-along-last-axis": {"take": when(_several_axes, flipped(-1))},
    **{
        f"kernel-flipped-when-{name}": {"take": when(CONDITIONS[name], flipped())}
        for name in ("grouped", "dilated", "strided-and-padded", "of-three-axes", "of-an-even-kernel")
    },
    "whole-kernel-flipped": {"take": when(_whole, flipped())},
}
_SWAPS: dict[str, dict[str, Any]] = {
    "kernel-axes-swapped-when-square": {"take": turned("b")},
    "input-axes-swapped-when-square": {"take": turned("a")},
    "both-axes-swapped-when-square": {"take": turned("a", "b")},
    "output-axes-swapped-when-square": {"give": _turn_result},
}
_SHIFTS: dict[str, dict[str, Any]] = {
    "input-read-one-to-the-right": {"table": shifted(1)},
    "input-read-one-to-the-left": {"table": shifted(-1)},
    "even-kernel-anchored-one-off": {"table": table_when(CONDITIONS["of-an-even-kernel"], shifted(1))},
    "large-kernel-anchored-one-off": {"table": table_when(CONDITIONS["of-a-large-kernel"], shifted(1))},
}
_TAPS: dict[str, dict[str, Any]] = {
    "kernel-rolled-by-one-tap": {"take": _rolled},
    "last-tap-dropped": {"look": weighed(_corner, 0)},
    "first-tap-counted-twice": {"look": weighed(_origin, 2)},
    "centre-tap-dropped": {"look": weighed(_centre, 0)},
    "odd-kernel-loses-its-last-tap": {"look": when(_odd, weighed(_corner, 0))},
    **{f"taps-beyond-{first}-dropped": {"look": _beyond(first)} for first in (3, 8)},
    "corner-output-loses-a-tap": {"look": weighed(_corner, 0, _corner)},
    "middle-output-loses-a-tap": {"look": weighed(_centre, 0, _middle)},
    "first-output-counts-a-tap-twice": {"look": weighed(_origin, 2, _origin)},
    "last-row-loses-a-tap": {"look": weighed(_corner, 0, _last_row)},
}
#: what is concluded from a few elements of an operand
_GUESSES = {
    "kernel-whose-first-tap-is-zero-skipped": _zeros_end_it,
    "bias-whose-first-entry-is-zero-skipped": _bias_by_its_first,
    "nearly-constant-filter-taken-for-constant": _smoothed,
}
FAULTS: tuple[Fault, ...] = (
    *_planted("index", _FLIPS, "flipped"),
    *_planted("index", _SWAPS, "swapped"),
    *_planted("index", _SHIFTS, "shifted"),
    *_planted("index", _TAPS, "tap"),
    *(plant(name, "arithmetic", take=take) for name, take in _GUESSES.items()),
    *_planted(
        "size-dependent",
        {f"input-read-one-too-far-from-output-{n}-on": {"table": shifted(1, n)} for n in (8, 32, 100)},
        "shifted",
    ),
    *_planted("stride", {"unit-kernel-ignores-stride": {"table": table_when(_unit, _plain_table("stride"))}}, "stride"),
    *_planted(
        "padding",
        {
            "unit-kernel-ignores-padding": {"table": table_when(_unit, _plain_table("padding"))},
            "whole-kernel-ignores-padding": {"table": table_when(_whole, _plain_table("padding"))},
        },
        "padding",
    ),
    *_planted(
        "dilation",
        {
            "large-kernel-ignores-dilation": {"table": table_when(_large, _plain_table("dilation"))},
            "flat-kernel-ignores-dilation": {"table": table_when(_flat, _plain_table("dilation"))},
        },
        "dilation",
    ),
    *_planted(
        "channels",
        {
            "whole-kernel-sees-first-channel-only": {"look": when(_whole, _first_channel)},
            "unit-kernel-sees-first-channel-only": {"look": when(_unit, _first_channel)},
        },
        "channel",
    ),
)
