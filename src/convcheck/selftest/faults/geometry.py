"""Faults of stride, dilation and the output's size: ignored, exchanged, taken from another axis, off by one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.selftest.base import inside, raw
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant
from convcheck.selftest.faults.conditions import CONDITIONS, Condition, table_when, when

__all__ = ["FAULTS"]

Array = np.ndarray[Any, Any]
Sizes = tuple[int, ...]


def stepped(change: Callable[[Call], Any]) -> Callable[[Call], Call]:
    """Understand the stride otherwise, output sizes unchanged."""
    return lambda call: call.replace(stride=tuple(change(call)))


def spread(change: Callable[[Call], Any]) -> Callable[[Call], Call]:
    """Understand the dilation otherwise, output sizes unchanged."""
    return lambda call: call.replace(dilation=tuple(change(call)))


def sized(**changes: Callable[[Call], Any]) -> Callable[[Call], Call]:
    """Understand parameters otherwise, output sizes accordingly, where the kernel still fits."""

    def see(call: Call) -> Call:
        seen = call.replace(**{name: tuple(change(call)) for name, change in changes.items()})
        rows = zip(call.size, seen.reach, seen.stride, seen.padding, strict=True)
        output = tuple((i + sum(p) - r) // s + 1 for i, r, s, p in rows)
        return seen.replace(output=output) if min(output) > 0 else call

    return see


def _ones(call: Call) -> Sizes:
    return (1,) * call.ndim


def moved(distance: Callable[[Call, int], Any]) -> Callable[[Call, int], Array]:
    """Read so many positions further on, along each axis."""
    return lambda call, axis: inside(call, axis, raw(call, axis) + distance(call, axis))


def rest(call: Call, axis: int) -> int:
    """Positions that the stride leaves over at the far end."""
    return int((call.size[axis] + sum(call.padding[axis]) - call.reach[axis]) % call.stride[axis])


def _centred(call: Call, axis: int) -> int:
    """How far off a kernel lies that is dilated about its centre."""
    return -(call.dilation[axis] - 1) * (call.kernel[axis] // 2)


def _phase(call: Call, axis: int) -> int:
    """From the first position inside the input, rather than inside the padding, on."""
    low = call.padding[axis][0]
    return low - low // call.stride[axis] * call.stride[axis]


_STRIDES: dict[str, Callable[[Call], Any]] = {
    "stride-ignored": _ones,
    "stride-from-first-axis": lambda c: [c.stride[0]] * c.ndim,
    "stride-from-last-axis": lambda c: [c.stride[-1]] * c.ndim,
    "stride-axes-exchanged": lambda c: c.stride[::-1],
    "stride-on-first-axis-only": lambda c: (c.stride[0], *[1] * (c.ndim - 1)),
    "stride-at-most-2": lambda c: [min(2, s) for s in c.stride],
    "stride-at-most-kernel": lambda c: [min(s, k) for s, k in zip(c.stride, c.kernel, strict=True)],
    "stride-one-more": lambda c: [s + (s > 1) for s in c.stride],
    "stride-times-dilation": lambda c: [s * d for s, d in zip(c.stride, c.dilation, strict=True)],
    "stride-is-the-largest": lambda c: [max(c.stride)] * c.ndim,
}
_DILATIONS: dict[str, Callable[[Call], Any]] = {
    "dilation-ignored": _ones,
    "dilation-from-first-axis": lambda c: [c.dilation[0]] * c.ndim,
    "dilation-from-last-axis": lambda c: [c.dilation[-1]] * c.ndim,
    "dilation-axes-exchanged": lambda c: c.dilation[::-1],
    "dilation-on-last-axis-only": lambda c: (*[1] * (c.ndim - 1), c.dilation[-1]),
    "dilation-at-most-2": lambda c: [min(2, d) for d in c.dilation],
    "dilation-one-less": lambda c: [max(1, d - 1) for d in c.dilation],
    "dilation-one-more": lambda c: [d + (d > 1) for d in c.dilation],
    "dilation-times-stride": lambda c: [s * d for s, d in zip(c.stride, c.dilation, strict=True)],
}


def _exchanged(call: Call) -> Call:
    return call.replace(stride=call.dilation, dilation=call.stride)


def _extended(call: Call) -> Call:
    """Output sizes rounded up where the stride leaves positions over."""
    return call.replace(output=tuple(o + (rest(call, a) > 0) for a, o in enumerate(call.output)))


def _shortened(call: Call) -> Call:
    return call.replace(output=tuple(max(1, o - 1) for o in call.output))


def _one_reach_for_all(call: Call) -> Call:
    """The first axis's kernel in every axis's output size."""
    rows = zip(call.size, call.padding, call.dilation, call.stride, strict=True)
    output = tuple((i + sum(p) - d * (call.kernel[0] - 1) - 1) // s + 1 for i, p, d, s in rows)
    return call.replace(output=tuple(max(1, o) for o in output))


def last(what: str, axis: int = -1) -> Callable[[Call, Operands, Array], Array]:
    """Spoil the last entries along an axis: zero them, repeat those before, or leave memory's old contents."""

    def give(_: Call, __: Operands, y: Array) -> Array:
        ends = np.moveaxis(y, axis, 0)
        ends[-1] = {"zero": 0, "garbage": 113}.get(what, ends[max(-2, -len(ends))])
        return y

    return give


def _leaves_a_rest(call: Call) -> bool:
    return any(rest(call, axis) for axis in range(call.ndim))


def _several_columns(call: Call) -> bool:
    return call.output[-1] > 1


def _conditional(kind: str, mistake: str, see: Callable[[Call], Call], names: tuple[str, ...]) -> list[Fault]:
    conditions: dict[str, Condition] = {name: CONDITIONS[name] for name in names}
    return [
        plant(f"{mistake}-when-{name}", kind, words=(kind,), index=True, see=when(condition, see))
        for name, condition in conditions.items()
    ]


def _plant_stride(name: str, **hooks: Any) -> Fault:
    return plant(name, "stride", words=("stride",), index=True, **hooks)


def _plant_dilation(name: str, **hooks: Any) -> Fault:
    return plant(name, "dilation", words=("dilation",), index=True, **hooks)


def _last_words(what: str) -> tuple[str, ...]:
    return {"zero": ("last output zero",), "repeated": ("last output repeats",)}.get(what, ())


FAULTS: tuple[Fault, ...] = (
    *(_plant_stride(name, see=stepped(change)) for name, change in _STRIDES.items()),
    *_conditional(
        "stride", "stride-ignored", stepped(_ones), ("grouped", "dilated", "of-one-axis", "of-three-axes", "depthwise")
    ),
    _plant_stride("stride-ignored-in-the-size-too", see=sized(stride=_ones)),
    _plant_stride("stride-from-first-axis-in-the-size-too", see=sized(stride=_STRIDES["stride-from-first-axis"])),
    _plant_stride("stride-counted-from-the-far-end", table=moved(rest)),
    _plant_stride("stride-counted-from-inside-the-input", table=moved(_phase)),
    _plant_stride("stride-and-dilation-exchanged", see=_exchanged),
    *(_plant_dilation(name, see=spread(change)) for name, change in _DILATIONS.items()),
    *_conditional(
        "dilation",
        "dilation-ignored",
        spread(_ones),
        ("grouped", "strided", "depthwise", "of-one-axis", "of-several-images"),
    ),
    _plant_dilation("dilation-ignored-in-the-size-too", see=sized(dilation=_ones)),
    _plant_dilation("dilation-about-the-centre", table=moved(_centred)),
    _plant_dilation("dilation-about-the-centre-when-strided", table=table_when(CONDITIONS["strided"], moved(_centred))),
    plant("output-size-rounded-up", "stride", words=("output size rounded up",), index=True, see=_extended),
    plant("output-one-short", "index", words=("last output is missing",), index=True, see=_shortened),
    plant(
        "output-one-short-when-strided-and-dilated",
        "stride",
        words=("last output is missing",),
        index=True,
        see=when(CONDITIONS["strided-and-dilated"], _shortened),
    ),
    plant("output-size-by-the-first-axis-kernel", "index", words=("output size",), index=True, see=_one_reach_for_all),
    *(
        plant(
            f"last-column-{what}",
            "index",
            words=_last_words(what),
            index=what != "garbage",
            give=when(_several_columns, last(what)),
        )
        for what in ("zero", "repeated", "garbage")
    ),
    *(
        plant(
            f"last-row-{what}-when-stride-leaves-a-rest",
            "stride",
            words=_last_words(what),
            index=True,
            give=when(_leaves_a_rest, last(what, 2)),
        )
        for what in ("zero", "repeated")
    ),
)
