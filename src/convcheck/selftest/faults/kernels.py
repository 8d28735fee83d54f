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
        chosen = [2 + axis % call.ndim for axis in axes] or list(range(2, 2 + call.ndim))
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


def weighed(tap: Callable[[Call], Any], factor: int, place: Callable[[Call], Any] | None = None) -> Callable[..., Array]:
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


_FLIPS = [
    plant("kernel-flipped", "index", words=("flipped",), index=True, take=flipped()),
    plant("kernel-flipped-along-first-axis", "index", words=("flipped",), index=True,
          take=when(lambda call: call.ndim > 1, flipped(0))),
    plant("kernel-flipped-along-last-axis", "index", words=("flipped",), index=True,
          take=when(lambda call: call.ndim > 1, flipped(-1))),
    *(
        plant(f"kernel-flipped-when-{name}", "index", words=("flipped",), index=True, take=when(CONDITIONS[name], flipped()))
        for name in ("grouped", "dilated", "strided-and-padded", "of-three-axes", "of-an-even-kernel", "of-several-images")
    ),
    plant("kernel-axes-swapped-when-square", "index", words=("swapped",), index=True, take=turned("b")),
    plant("input-axes-swapped-when-square", "index", index=True, take=turned("a")),
    plant("both-axes-swapped-when-square", "index", index=True, take=turned("a", "b")),
    plant("output-axes-swapped-when-square", "index", words=("swapped",), index=True, give=_turn_result),
    plant("kernel-rolled-by-one-tap", "index", index=True, take=_rolled),
]  # fmt: skip
_SHIFTS = [
    plant("input-read-one-to-the-right", "index", words=("shifted",), index=True, table=shifted(1)),
    plant("input-read-one-to-the-left", "index", words=("shifted",), index=True, table=shifted(-1)),
    plant("even-kernel-anchored-one-off", "index", words=("shifted",), index=True,
          table=table_when(CONDITIONS["of-an-even-kernel"], shifted(1))),
    *(plant(f"input-read-one-too-far-from-output-{first}-on", "size-dependent", index=True, table=shifted(1, first))
      for first in (8, 32, 100)),
]  # fmt: skip
_TAPS = [
    plant("last-tap-dropped", "index", index=True, look=weighed(_corner, 0)),
    plant("first-tap-counted-twice", "index", index=True, look=weighed(_origin, 2)),
    plant("centre-tap-dropped", "index", index=True, look=weighed(_centre, 0)),
    plant("odd-kernel-loses-its-last-tap", "index", index=True,
          look=when(lambda call: call.kernel[-1] % 2 == 1 < call.kernel[-1], weighed(_corner, 0))),
    *(plant(f"taps-beyond-{first}-dropped", "index", index=True, look=_beyond(first)) for first in (3, 8)),
    plant("corner-output-loses-a-tap", "index", index=True, look=weighed(_corner, 0, _corner)),
    plant("middle-output-loses-a-tap", "index", index=True, look=weighed(_centre, 0, _middle)),
    plant("first-output-counts-a-tap-twice", "index", index=True, look=weighed(_origin, 2, _origin)),
    plant("last-row-loses-a-tap", "index", index=True, look=weighed(_corner, 0, _last_row)),
]  # fmt: skip
_FAST_PATHS = [
    *(
        plant(f"unit-kernel-ignores-{name}", name, index=True, table=table_when(_unit, _plain_table(name)))
        for name in ("stride", "padding")
    ),
    plant("whole-kernel-ignores-padding", "padding", index=True, table=table_when(_whole, _plain_table("padding"))),
    plant("whole-kernel-flipped", "index", words=("flipped",), index=True, take=when(_whole, flipped())),
    plant("whole-kernel-sees-first-channel-only", "channels", index=True, look=when(_whole, _first_channel)),
    plant("unit-kernel-sees-first-channel-only", "channels", index=True, look=when(_unit, _first_channel)),
    plant("large-kernel-shifted", "index", index=True, table=table_when(_large, shifted(1))),
    plant("large-kernel-ignores-dilation", "dilation", index=True, table=table_when(_large, _plain_table("dilation"))),
    plant("flat-kernel-ignores-dilation", "dilation", index=True,
          table=table_when(lambda call: 1 in call.kernel, _plain_table("dilation"))),
]  # fmt: skip
FAULTS: tuple[Fault, ...] = (*_FLIPS, *_SHIFTS, *_TAPS, *_FAST_PATHS)
