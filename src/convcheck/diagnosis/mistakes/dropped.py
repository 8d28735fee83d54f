"""Mistakes of loops that end too early: channels, filters, images, taps or outputs dropped from an index on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, NamedTuple

import numpy as np

from convcheck.diagnosis.mistakes.mistake import Mistake, Scope, along
from convcheck.diagnosis.model import OUTSIDE, Model
from convcheck.problem import Map

__all__ = ["cut", "dropped", "single_taps"]

Array = np.ndarray[Any, Any]
Indices = Callable[[int], Any]

#: widths of vectors and of tiles, whose remainders get lost
WIDTHS = (2, 4, 8, 16, 32)


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
    for width in WIDTHS:
        yield f"{{}}s beyond the last multiple of {width} {{}}", lambda n, m=width: slice(n // m * m, n)
    yield "every second {} {}", lambda _: slice(1, None, 2)


def _places(length: int) -> Iterator[tuple[str, Indices]]:
    for first in range(2, length):
        yield f"{{}}s from {first} on {{}}", lambda _, j=first: slice(j, None)
    for place in range(1, min(length - 1, 12)):
        yield f"{{}} {place} {{}}", lambda _, j=place: slice(j, j + 1)


def _drop(dimension: _Dimension, words: str, which: Indices) -> Mistake:
    one, _, where = dimension.one.partition(" along ")
    said = words.format(one, dimension.gone) + (f" along {where}" if where else "")

    def view(array: Array) -> Array:
        lines = np.moveaxis(array.copy(), dimension.number, 0)
        lines[which(len(lines))] = OUTSIDE
        return np.moveaxis(lines, 0, dimension.number)

    return Mistake(said, lambda model: model.view(dimension.role, view))


def _length(scope: Scope, dimension: _Dimension) -> int:
    shapes = [o.problem.shapes[dimension.role][dimension.number] for o in scope.failing]
    return min(64, max(shapes, default=0))


def cut(scope: Scope) -> Iterator[Mistake]:
    """The output is shorter than it should be: what lies beyond an index is not there."""
    for axis in range(scope.ndim):
        for count, words in ((1, "last output is missing"), (2, "last two outputs are missing")):
            yield Mistake(along(words, (axis,), scope.ndim), _shortened(2 + axis, slice(0, -count)))
        yield Mistake(along("first output is missing", (axis,), scope.ndim), _shortened(2 + axis, slice(1, None)))
    yield Mistake("first image only", _shortened(0, slice(0, 1)))
    yield Mistake("first filter only", _shortened(1, slice(0, 1)))


def _shortened(dimension: int, kept: slice) -> Callable[[Model], Model]:
    return lambda model: model.view("y", lambda y: y[(slice(None),) * dimension + (kept,)])


def single_taps(_: Scope) -> Iterator[Mistake]:
    """One tap of the whole kernel is left out, or counted twice."""
    for factor, words in ((0, "dropped"), (2, "counted twice")):
        for name, place in _TAPS:
            yield Mistake(f"{name} tap of the kernel {words}", _weighed(place, factor))


_TAPS: tuple[tuple[str, Callable[[tuple[int, ...]], int]], ...] = (
    ("last", lambda kernel: prod(kernel) - 1),
    ("first", lambda _: 0),
    ("centre", lambda kernel: int(np.ravel_multi_index([k // 2 for k in kernel], kernel))),
)


def _weighed(place: Callable[[tuple[int, ...]], int], factor: int) -> Callable[[Model], Model]:
    """Multiply one tap: of the weight, or of the weight's gradient."""

    def weigh(w: Array) -> Array:
        taps = w.reshape(*w.shape[:2], -1).copy()
        taps[..., place(w.shape[2:])] *= np.array(factor, w.dtype)
        return taps.reshape(w.shape)

    def edit(model: Model) -> Model:
        if model.which is Map.GRAD_WEIGHT:
            return model.then(weigh)
        return model.replace(operands=model.operands._replace(b=weigh(model.operands.b)))

    return edit
