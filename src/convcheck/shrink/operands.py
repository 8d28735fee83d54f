"""Moves that make the operands of a case plainer: fewer non-zeros, smaller values, a plain layout."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import log2, prod
from typing import Any

import numpy as np

from convcheck.cases import Case
from convcheck.dtypes import DTYPES
from convcheck.operands import Fill, make
from convcheck.problem import Problem

__all__ = ["OPERAND_MOVES", "cropped", "fill_order", "representable"]

#: operands with more elements than this keep their fill
LISTED = 1000
#: points of an operand whose values are made smaller one by one
FEW = 12
#: values that show much at a glance: the smallest, and those that need one bit more than bf16, f16 and f32 have
_TELLING = (1.0, 3.0, 257.0, 2049.0, 16777217.0)


def cropped(case: Case, problem: Problem, fills: tuple[Fill, ...]) -> Iterator[Case]:
    """Points moved towards the origin, where a smaller shape has cut off the end that they lay in."""
    for number, role in enumerate(case.roles[: len(fills)]):
        before, after = case.problem.shapes[role], problem.shapes[role]
        if len(before) != len(after) or before == after or not fills[number].points:
            continue
        cut = [b - a for b, a in zip(before, after, strict=True)]
        moved = tuple(
            (tuple(max(0, i - c) for i, c in zip(index, cut, strict=True)), value)
            for index, value in fills[number].points
        )
        yield case.replace(problem=problem, fills=_put(fills, number, fills[number].replace(points=moved)))


def _operand_move(fills_of: Callable[[Case, int], Iterator[Fill]]) -> Callable[[Case], Iterator[Case]]:
    """Turn plainer fills of one operand into candidates."""

    def move(case: Case) -> Iterator[Case]:
        for number, fill in enumerate(case.fills):
            for plainer in fills_of(case, number):
                if fill_order(plainer) < fill_order(fill):
                    yield case.replace(fills=_put(case.fills, number, plainer))

    return move


def representable(fill: Fill, dtype: str) -> bool:
    """Whether a dtype holds the numbers of a fill exactly: a law about exact operands speaks of no others."""
    if fill.kind == "points":
        return all(np.isnan(value) or _holds(dtype, value) for _, value in fill.points)
    return fill.limit <= 1 << DTYPES[dtype].precision


def _holds(dtype: str, value: complex) -> bool:
    number = DTYPES[dtype].part
    kept = complex(*(float(np.array(part).astype(number)) for part in (value.real, value.imag)))
    return kept == value and (not value.imag or DTYPES[dtype].kind == "c")


def _plainer_fills(case: Case, number: int) -> Iterator[Fill]:
    fill, role = case.fills[number], case.roles[number]
    if fill.layout != "contiguous":
        yield fill.replace(layout="contiguous")
    if fill.kind in ("points", "zeros"):
        return
    yield from (Fill(kind, layout=fill.layout) for kind in ("zeros", "ones", "ramp"))
    if fill.kind in ("sparse", "structured"):
        yield fill.replace(kind="dense")
    if fill.kind in ("dense", "sparse", "structured"):
        yield fill.replace(limit=1)
        yield fill.replace(limit=max(1, fill.limit // 2))
    shape = case.problem.shapes[role]
    if prod(shape):
        yield from (_one(fill, tuple(end * (s - 1) for s in shape)) for end in (0, 1))
    if prod(shape) <= LISTED:
        yield _listed(case, number)


def _one(fill: Fill, index: tuple[int, ...]) -> Fill:
    """Return a single 1: at an end, it is what a large operand most often needs."""
    return Fill("points", points=((index, 1.0),), layout=fill.layout)


def _listed(case: Case, number: int) -> Fill:
    """Return the same values as explicit points."""
    fill, role = case.fills[number], case.roles[number]
    array = make(case.problem, role, fill.replace(layout="contiguous"))
    where = zip(*np.nonzero(array), strict=True)
    value = complex if array.dtype.kind == "c" else float
    points = tuple((tuple(map(int, index)), value(array[index])) for index in where)
    return Fill("points", points=points, layout=fill.layout)


def _fewer_points(case: Case, number: int) -> Iterator[Fill]:
    """Take out all, halves, then smaller and smaller pieces (delta debugging: Zeller and Hildebrandt 2002)."""
    fill = case.fills[number]
    size = len(fill.points)
    while size:
        for start in range(0, len(fill.points), size):
            left = fill.points[:start] + fill.points[start + size :]
            yield fill.replace(points=left) if left else Fill("zeros", layout=fill.layout)
        size //= 2


def _smaller_values(case: Case, number: int) -> Iterator[Fill]:
    fill = case.fills[number]
    if len(fill.points) > FEW:
        return
    for which, (index, value) in enumerate(fill.points):
        for less in _smaller(value):
            if 0 < abs(less) < abs(value) or (abs(less) == 1 == abs(value)):
                yield fill.replace(points=_put(fill.points, which, (index, less)))


def _smaller(value: complex) -> tuple[complex, ...]:
    """Smaller numbers: of a complex one each part alone, and both smaller."""
    if not value.imag:
        return (*_TELLING, float(np.trunc(value.real / 2)), float(np.trunc(value.real)))
    half = complex(np.trunc(value.real / 2), np.trunc(value.imag / 2))
    return (*_TELLING, 1j, 1 + 1j, value.real, complex(0, value.imag), half)


def _put(values: tuple[Any, ...], number: int, value: Any) -> tuple[Any, ...]:
    return (*values[:number], value, *values[number + 1 :])


def _size(value: complex) -> float:
    """Magnitude of a value, small and positive before others."""
    if np.isnan(value):
        return 2.0**20
    parts = [part for part in (value.real, value.imag) if part]
    return sum(_length(abs(part)) + (part < 0) / 2 for part in parts) + bool(value.imag) / 4


def _length(magnitude: float) -> float:
    """A magnitude, and of a large one little more than its number of bits."""
    return magnitude if magnitude < 2.0**20 else 2.0**20 + log2(min(magnitude, 2.0**1000))


def fill_order(fill: Fill) -> float:
    """Plainness of a fill: few points, then constant, ramp, integers, floats; a plain layout before others."""
    kinds = (
        "zeros", "ones", "taps", "ramp", "extreme", "dense", "structured", "sparse", "paired", "opposed", "constant",
        "positive", "normal", "wide",
    )  # fmt: skip
    if fill.kind == "points":
        size = sum(map(_size, (value for _, value in fill.points)))
        order = 10 * len(fill.points) + size / (1 + size)
    else:
        order = (
            10_000.0 * (1 + kinds.index(fill.kind.rstrip("012"))) + fill.limit / (1 + fill.limit)
            if fill.kind != "zeros"
            else 0.0
        )
    return order + 1e6 * (fill.layout != "contiguous")


OPERAND_MOVES: tuple[Callable[[Case], Iterator[Case]], ...] = tuple(
    map(_operand_move, (_plainer_fills, _fewer_points, _smaller_values))
)
