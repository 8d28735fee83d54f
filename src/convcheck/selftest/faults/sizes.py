"""Faults that show at some sizes only: tails of a vector's width, widths, channels, filters and sums above a block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.selftest.base import products
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant
from convcheck.selftest.faults.conditions import when

__all__ = ["FAULTS", "tail"]

Array = np.ndarray[Any, Any]
Give = Callable[[Call, Operands, Array], Array]


def tail(lanes: int, what: str, axis: int = -1, remainders: tuple[int, ...] = ()) -> Give:
    """Spoil what is left over after whole vectors of ``lanes`` entries, where there is at least one whole vector."""

    def give(_: Call, __: Operands, y: Array) -> Array:
        ends = np.moveaxis(y, axis, 0)
        rest = len(ends) % lanes
        if rest and len(ends) > lanes and (not remainders or rest in remainders):
            ends[-rest:] = {"zero": 0, "garbage": 113}.get(what, ends[-2 * rest : -rest])
        return y

    return give


def _flat_tail(lanes: int) -> Give:
    """The same with each output plane vectorised as one line."""

    def give(call: Call, _: Operands, y: Array) -> Array:
        rest = call.places % lanes
        if rest and call.places > lanes:
            y.reshape(*y.shape[:2], -1)[..., -rest:] = 0
        return y

    return give


def _from(first: int, axis: int) -> Give:
    """Zero from an index on along an axis."""

    def give(_: Call, __: Operands, y: Array) -> Array:
        np.moveaxis(y, axis, 0)[first:] = 0
        return y

    return give


def channel_tail(lanes: int, what: str) -> Callable[[Call, Array], Array]:
    """Spoil the channels of each group left over after whole vectors: dropped, counted twice, the neighbour's."""

    def look(call: Call, picked: Array) -> Array:
        rest = call.channels % lanes
        if rest and call.channels > lanes:
            ends = picked[:, :, -rest:]
            ends[...] = {"dropped": 0 * ends, "counted-twice": 2 * ends}.get(what, np.roll(ends, 1, axis=1))
        return picked

    return look


def _channels_from(first: int) -> Callable[[Call, Array], Array]:
    def look(_: Call, picked: Array) -> Array:
        picked[:, :, first:] = 0
        return picked

    return look


def summed(terms: int) -> Callable[[Call, Array, Array], Array]:
    """Drop what a sum has beyond so many terms, as a loop over blocks does that runs once."""

    def sums(call: Call, left: Array, right: Array) -> Array:
        return products(call, left[..., :terms], right[..., :terms, :])

    return sums


def _grouped(call: Call) -> bool:
    return call.groups > 1


def _fault(name: str, *words: str, **hooks: Any) -> Fault:
    return plant(name, "size-dependent", words=words, index=True, **hooks)


def _lost_from(first: int, many: str) -> tuple[str, ...]:
    """What may be said of a loop that ends at an index: up to twice as many, they are also the rest of a vector."""
    return (f"{many} from {first} on", f"{many} beyond the last multiple of {first} ")


def _lost_after(lanes: int, many: str, what: str = "") -> str:
    return f"{many} beyond the last multiple of {lanes} {what}"


FAULTS: tuple[Fault, ...] = (
    *(
        _fault(f"columns-after-whole-vectors-of-{m}-zero", _lost_after(m, "outputs", "zero"), give=tail(m, "zero"))
        for m in (2, 4, 8, 16, 32, 64)
    ),
    *(
        _fault(
            f"columns-after-whole-vectors-of-{m}-repeated",
            _lost_after(m, "outputs", "repeat"),
            give=tail(m, "repeated"),
        )
        for m in (4, 8, 16)
    ),
    *(
        _fault(
            f"rest-{r}-after-vectors-of-{m}-zero",
            "outputs beyond the last multiple of",
            give=tail(m, "zero", remainders=(r,)),
        )
        for m, r in ((4, 3), (8, 1), (8, 7), (16, 1), (16, 15), (32, 1))
    ),
    *(
        _fault(f"rows-after-whole-tiles-of-{m}-zero", _lost_after(m, "outputs", "zero"), give=tail(m, "zero", axis=2))
        for m in (2, 4, 6)
    ),
    *(
        _fault(f"plane-after-whole-vectors-of-{m}-zero", f"beyond the last multiple of {m} ", give=_flat_tail(m))
        for m in (4, 16)
    ),
    *(
        _fault(f"columns-from-{t}-on-zero", *_lost_from(t, "outputs"), give=_from(t, -1))
        for t in (16, 32, 64, 128, 256, 512)
    ),
    *(_fault(f"filters-from-{t}-on-zero", *_lost_from(t, "filters"), give=_from(t, 1)) for t in (4, 8, 16, 32, 64)),
    *(
        _fault(f"filters-after-whole-vectors-of-{m}-{what}", _lost_after(m, "filters"), give=tail(m, what, axis=1))
        for m, what in ((4, "zero"), (8, "zero"), (16, "repeated"))
    ),
    *(
        _fault(f"channels-from-{t}-on-dropped", *_lost_from(t, "channels"), look=_channels_from(t))
        for t in (4, 8, 16, 32, 64)
    ),
    *(
        _fault(f"channels-after-whole-vectors-of-{m}-{what}", _lost_after(m, "channels"), look=channel_tail(m, what))
        for m, what in (
            (2, "dropped"),
            (4, "dropped"),
            (8, "dropped"),
            (16, "dropped"),
            (4, "counted-twice"),
            (8, "counted-twice"),
            (16, "counted-twice"),
        )
    ),
    *(
        _fault(
            f"channels-after-whole-vectors-of-{m}-read-from-the-neighbour-group",
            _lost_after(m, "channels", "read from the group before"),
            look=when(_grouped, channel_tail(m, "neighbour")),
        )
        for m in (2, 4, 8)
    ),
    *(
        _fault(f"sums-beyond-{t}-terms-dropped", *_lost_from(t, "summed products"), sums=summed(t))
        for t in (16, 64, 128, 256, 512)
    ),
)
