"""Mistakes of loops that end too early: channels, filters, images, taps or outputs dropped from an index on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convcheck.diagnosis.mistakes.mistake import WIDTHS, Mistake, Scope, along, subsets
from convcheck.diagnosis.model import OUTSIDE, Model
from convcheck.problem import Map

__all__ = ["cut", "dropped", "flattened", "repeats", "single_taps"]

Array = np.ndarray[Any, Any]
Indices = Callable[[int], Any]

#: from here on, loops end at round numbers
ROUND = (128, 256, 512, 1024)


class _Dimension(NamedTuple):
    role: str
    number: int
    one: str
    gone: str = "dropped"


def _dimensions(ndim: int) -> list[_Dimension]:
    axes = range(ndim)
    return [
        _Dimension("w", 1, "channel"),
        _Dimension("y", 1, "filter"),
        _Dimension("y", 0, "image"),
        *(_Dimension("w", 2 + a, along("tap", (a,), ndim)) for a in axes),
        *(_Dimension("y", 2 + a, along("output", (a,), ndim), "zero") for a in axes),
        *(_Dimension("x", 2 + a, along("input", (a,), ndim)) for a in axes),
        _Dimension("x", 0, "input image"),
        _Dimension("x", 1, "input channel"),
        _Dimension("w", 0, "filter's weight"),
    ]


def dropped(scope: Scope) -> Iterator[Mistake]:
    """Count what lies beyond an index, or at one, as zero."""
    dimensions = _dimensions(scope.ndim)
    for dimension in dimensions:
        for words, which in _ends():
            yield _drop(dimension, words, which)
    for dimension in dimensions:
        for words, which in _places(_length(scope, dimension)):
            yield _drop(dimension, words, which)


def _ends() -> Iterator[tuple[str, Indices]]:
    yield "last {} {}", lambda n: slice(max(0, n - 1), n)
    yield "first {} {}", lambda _: slice(0, 1)
    yield "last two {}s {}", lambda n: slice(max(0, n - 2), n)
    yield "all {}s but the first {}", lambda _: slice(1, None)
    yield "all {}s but the last {}", lambda n: slice(0, max(0, n - 1))
    for width in WIDTHS:
        for beyond in (_beyond_multiple(width), _beyond_first_multiple(width)):
            yield f"{{}}s beyond the last multiple of {width} {{}}", beyond
    yield "every second {} {}", lambda _: slice(1, None, 2)


def _places(length: int) -> Iterator[tuple[str, Indices]]:
    for first in (*range(2, min(length, 65)), *(n for n in ROUND if n < length)):
        yield f"{{}}s from {first} on {{}}", _from(first)
    for place in range(1, min(length - 1, 12)):
        yield f"{{}} {place} {{}}", _at(place)


def _drop(dimension: _Dimension, words: str, which: Indices) -> Mistake:
    one, _, where = dimension.one.partition(" along ")
    said = words.format(one, dimension.gone) + (f" along {where}" if where else "")

    return Mistake(said, _outside(dimension.role, dimension.number, which))


def _length(scope: Scope, dimension: _Dimension) -> int:
    shapes = [o.problem.shapes[dimension.role][dimension.number] for o in scope.failing]
    return max(shapes, default=0)


def flattened(_: Scope) -> Iterator[Mistake]:
    """Count the end of an array as zero whose dimensions are run through in one loop."""
    for role, start, many in (("w", 1, "summed products"), ("y", 2, "outputs of each plane")):
        for width in WIDTHS:
            for beyond in (_beyond_multiple(width), _beyond_first_multiple(width)):
                yield Mistake(f"{many} beyond the last multiple of {width} dropped", _flat(role, start, beyond))
        for first in (*WIDTHS[2:], *ROUND):
            yield Mistake(f"{many} from {first} on dropped", _flat(role, start, _from(first)))


def _beyond_multiple(width: int) -> Indices:
    return lambda n: slice(n // width * width, n)


def _beyond_first_multiple(width: int) -> Indices:
    """Leave fewer than ``width`` alone, as code does that takes another path for them."""
    return lambda n: slice(n // width * width or n, n)


def _from(first: int) -> Indices:
    return lambda _: slice(first, None)


def _at(place: int) -> Indices:
    return lambda _: slice(place, place + 1)


def _flat(role: str, start: int, which: Indices) -> Callable[[Model], Model]:
    def view(array: Array) -> Array:
        lines = array.reshape(*array.shape[:start], -1).copy()
        lines[..., which(lines.shape[-1])] = OUTSIDE
        return lines.reshape(array.shape)

    return lambda model: model.view(role, view)


def repeats(scope: Scope) -> Iterator[Mistake]:
    """The last of something is not computed but repeats the one before."""
    for role, number, one, _ in _dimensions(scope.ndim):
        name, _, where = one.partition(" along ")
        words = f"last {name} repeats the one before" + (f" along {where}" if where else "")
        yield Mistake(words, _repeating(role, number))

    for role, number, one, _ in _dimensions(scope.ndim):
        name, _, where = one.partition(" along ")
        for width in WIDTHS[1:]:
            words = f"{name}s beyond the last multiple of {width} repeat those before"
            yield Mistake(words + (f" along {where}" if where else ""), _repeating_tail(role, number, width))


def _repeating_tail(role: str, number: int, width: int) -> Callable[[Model], Model]:
    def view(array: Array) -> Array:
        length = array.shape[number]
        rest = length % width if length > width else 0
        return np.take(array, [*range(length - rest), *range(length - 2 * rest, length - rest)], number)

    return lambda model: model.view(role, view)


def _repeating(role: str, number: int) -> Callable[[Model], Model]:
    def view(array: Array) -> Array:
        return np.take(array, [*range(array.shape[number] - 1), max(0, array.shape[number] - 2)], number)

    return lambda model: model.view(role, view)


def cut(scope: Scope) -> Iterator[Mistake]:
    """The last outputs are not there, or not computed."""
    for axes in subsets(scope.ndim):
        for count, words in ((1, "last output"), (2, "last two outputs")):
            missing = "is missing" if count == 1 else "are missing"
            yield Mistake(along(f"{words} {missing}", axes, scope.ndim), _shortened(axes, count))
            if len(axes) == 1:
                yield Mistake(along(f"{words} zero", axes, scope.ndim), _last_zero(axes[0], count))
        words = along("first output is missing", axes, scope.ndim)
        yield Mistake(words, _shortened(axes, 1, first=True))


def _shortened(axes: tuple[int, ...], count: int, *, first: bool = False) -> Callable[[Model], Model]:
    """Take outputs off one end along some axes, but leave one."""

    def view(y: Array) -> Array:
        for axis in axes:
            gone = min(count, y.shape[2 + axis] - 1)
            y = np.take(y, range(gone, y.shape[2 + axis]) if first else range(y.shape[2 + axis] - gone), 2 + axis)
        return y

    return lambda model: model.view("y", view)


def _last_zero(axis: int, count: int) -> Callable[[Model], Model]:
    return _outside("y", 2 + axis, lambda n: slice(max(0, n - count), n))


def _outside(role: str, number: int, which: Indices) -> Callable[[Model], Model]:
    def view(array: Array) -> Array:
        lines = np.moveaxis(array.copy(), number, 0)
        lines[which(len(lines))] = OUTSIDE
        return np.moveaxis(lines, 0, number)

    return lambda model: model.view(role, view)


def single_taps(_: Scope) -> Iterator[Mistake]:
    """One tap of the whole kernel is left out, or taps or channels are counted twice."""
    for factor, words in ((0, "dropped"), (2, "counted twice")):
        for name, place in _TAPS:
            yield Mistake(f"{name} tap of the kernel {words}", _weighed(place, factor))
    for words, which in _ends():
        yield Mistake(words.format("channel", "counted twice"), _weighed_channels(which))


_TAPS: tuple[tuple[str, Callable[[tuple[int, ...]], int]], ...] = (
    ("last", lambda kernel: prod(kernel) - 1),
    ("first", lambda _: 0),
    ("centre", lambda kernel: int(np.ravel_multi_index([k // 2 for k in kernel], kernel))),
)


def _weighed(place: Callable[[tuple[int, ...]], int], factor: int) -> Callable[[Model], Model]:
    def weigh(w: Array) -> Array:
        taps = w.reshape(*w.shape[:2], -1).copy()
        taps[..., place(w.shape[2:])] *= np.array(factor, w.dtype)
        return taps.reshape(w.shape)

    return _on_weight(weigh)


def _weighed_channels(which: Indices) -> Callable[[Model], Model]:
    def weigh(w: Array) -> Array:
        w = w.copy()
        w[:, which(w.shape[1])] *= np.array(2, w.dtype)
        return w

    return _on_weight(weigh)


def _on_weight(weigh: Callable[[Array], Array]) -> Callable[[Model], Model]:
    """Change the weight, or the weight's gradient."""

    def edit(model: Model) -> Model:
        if model.which is Map.GRAD_WEIGHT:
            return model.then(weigh)
        return model.replace(operands=model.operands._replace(b=weigh(model.operands.b)))

    return edit
