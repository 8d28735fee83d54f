"""Make a failing case small enough to work by hand: first the problem, then the operands.

Hypothesis finds cases; its shrinker is not used, because a case must also shrink when the target dies of it (each try
in a worker), and because the operands shrink best in the terms of the problem: fewest non-zeros, smallest values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import isnan, prod
from typing import Any

import numpy as np

from convcheck.cases import Case
from convcheck.dtypes import DTYPES
from convcheck.errors import ShapeError
from convcheck.operands import Fill, make
from convcheck.problem import Problem

__all__ = ["MOVES", "complexity", "shrink"]

Fails = Callable[[Case], bool]
#: operands with more elements than this keep their fill
LISTED = 256
#: points of an operand whose values are made smaller one by one
FEW = 12
#: values that show much at a glance: the smallest, and those that need one bit more than bf16, f16 and f32 have
_TELLING = (1.0, 3.0, 257.0, 2049.0, 16777217.0)


def shrink(case: Case, fails: Fails, *, seconds: float = 10.0, tries: int = 3000) -> Case:
    """Return the simplest case that `fails` still accepts, by greedy descent within a time and a number of tries.

    Moves are repeated while they succeed, and taken in turn, problem first, until none does.
    """
    budget = _Budget(time.monotonic() + seconds, tries)
    before = None
    while case != before:
        before = case
        for move in MOVES:
            case = _descend(case, fails, move, budget)
    return case


@dataclass
class _Budget:
    deadline: float
    tries: int

    def spent(self) -> bool:
        self.tries -= 1
        return self.tries < 0 or time.monotonic() > self.deadline


def _descend(case: Case, fails: Fails, move: Callable[[Case], Iterator[Case]], budget: _Budget) -> Case:
    found = True
    while found:
        found = False
        for candidate in move(case):
            if budget.spent():
                return case
            if fails(candidate):
                case, found = candidate, True
                break
    return case


def complexity(case: Case) -> tuple[float, ...]:
    """Order of cases, simplest first: fewer elements, then smaller parameters, then plainer fills."""
    p = case.problem
    elements = sum(prod(p.shapes[role]) for role in ("x", "w", "y"))
    parameters = sum(p.stride) + sum(p.dilation) + sum(map(sum, p.padding)) + p.groups + p.bias + p.same
    return (elements, parameters, list(DTYPES).index(p.dtype), *(_fill_order(fill) for fill in case.fills))


# -- the problem -------------------------------------------------------------------------------------------


def _problem_move(changes: Callable[[Problem], Iterator[dict[str, Any]]]) -> Callable[[Case], Iterator[Case]]:
    """Turn changes of a problem into candidates: those that still make a problem that fits."""

    def move(case: Case) -> Iterator[Case]:
        for change in changes(case.problem):
            try:
                problem = case.problem.replace(**change)
            except ShapeError:
                continue
            if problem == case.problem or not problem.is_valid or min(problem.size) == 0:
                continue
            fills = case.fills if problem.bias == case.problem.bias else case.fills[:2]
            if all(_representable(fill, problem.dtype) for fill in fills):
                yield case.replace(problem=problem, fills=fills)
                yield from _cropped(case, problem, fills)

    return move


def _fewer_axes(case: Case) -> Iterator[Case]:
    """Leave out one spatial axis, of the problem and of the points of its operands."""
    p = case.problem
    for axis in range(p.ndim if p.ndim > 1 else 0):
        problem = p.replace(**{name: _without(getattr(p, name), axis) for name in _AXES})
        if not problem.is_valid or min(problem.size) == 0:
            continue
        fills = tuple(
            fill.replace(points=tuple((_without(index, axis + 2), value) for index, value in fill.points))
            if role in ("x", "w", "y")
            else fill
            for role, fill in zip(case.roles, case.fills, strict=True)
        )
        yield case.replace(problem=problem, fills=fills)


def _fewer_channels(p: Problem) -> Iterator[dict[str, Any]]:
    c, o = p.channels_per_group, p.filters_per_group
    for groups in _smaller(p.groups, 1):
        yield {"groups": groups, "channels": groups * c, "filters": groups * o}
    for batch in _smaller(p.batch, 1):
        yield {"batch": batch}
    for channels in _smaller(c, 1):
        yield {"channels": p.groups * channels}
    for filters in _smaller(o, 1):
        yield {"filters": p.groups * filters}


def _plainer(p: Problem) -> Iterator[dict[str, Any]]:
    if p.bias:
        yield {"bias": False}
    if p.same:
        yield {"same": False}
    if p.dtype != "f32":
        yield {"dtype": "f32"}


def _axes_of(p: Problem) -> list[tuple[int, ...]]:
    """All axes at once, for engines that take no unequal parameters; then one at a time."""
    everywhere = tuple(range(p.ndim))
    return [everywhere, *((axis,) for axis in everywhere if p.ndim > 1)]


def _smaller_sizes(p: Problem) -> Iterator[dict[str, Any]]:
    least = [max(1, r - sum(pad)) for r, pad in zip(p.reach, p.padding, strict=True)]
    for axes in _axes_of(p):
        for share in (0.0, 0.5, 0.9):
            nearer = [low + int((v - low) * share) for v, low in zip(p.size, least, strict=True)]
            yield {"size": _with(p.size, axes, nearer)}
        yield {"size": _with(p.size, axes, [v - 1 for v in p.size])}


def _smaller_steps(p: Problem) -> Iterator[dict[str, Any]]:
    for axes in _axes_of(p):
        for name in ("stride", "dilation"):
            steps = getattr(p, name)
            for most in (1, 2, 3):
                yield {name: _with(steps, axes, [min(v, most) for v in steps])}
        yield {name: _with(getattr(p, name), axes, [1] * p.ndim) for name in ("stride", "dilation")}


def _less_padding(p: Problem) -> Iterator[dict[str, Any]]:
    for axes in _axes_of(p):
        for a, b in ((0, 0), (1, 0), (0, 1), (1, 1)):
            kept = [(low * a, high * b) for low, high in p.padding]
            yield {"padding": _with(p.padding, axes, kept), "same": p.same and (a, b) == (1, 1)}
            less = [(max(0, low - 1 + a), max(0, high - 1 + b)) for low, high in p.padding]
            yield {"padding": _with(p.padding, axes, less), "same": False}
        less = [(max(0, low - 1), max(0, high - 1)) for low, high in p.padding]
        yield {"padding": _with(p.padding, axes, less), "same": False}


def _smaller_kernels(p: Problem) -> Iterator[dict[str, Any]]:
    for axes in _axes_of(p):
        for less in ([1] * p.ndim, [max(1, v // 2) for v in p.kernel], [max(1, v - 1) for v in p.kernel]):
            kernel = _with(p.kernel, axes, less)
            yield {"kernel": kernel}
            gone = [d * (k - n) for d, k, n in zip(p.dilation, p.kernel, kernel, strict=True)]
            yield {"kernel": kernel, "size": tuple(max(1, s - g) for s, g in zip(p.size, gone, strict=True))}


_AXES = ("size", "kernel", "stride", "padding", "dilation")


def _smaller(value: int, least: int) -> list[int]:
    return sorted({least, value // 2, value - 1} & set(range(least, value)))


def _without(values: tuple[Any, ...], axis: int) -> tuple[Any, ...]:
    return values[:axis] + values[axis + 1 :]


def _with(values: tuple[Any, ...], axes: tuple[int, ...], others: list[Any]) -> tuple[Any, ...]:
    return tuple(others[axis] if axis in axes else value for axis, value in enumerate(values))


# -- the operands ------------------------------------------------------------------------------------------


def _cropped(case: Case, problem: Problem, fills: tuple[Fill, ...]) -> Iterator[Case]:
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
                if _fill_order(plainer) < _fill_order(fill):
                    yield case.replace(fills=_put(case.fills, number, plainer))

    return move


def _representable(fill: Fill, dtype: str) -> bool:
    """Whether a dtype holds the numbers of a fill exactly: a law about exact operands speaks of no others."""
    number = DTYPES[dtype].numpy
    if fill.kind == "points":
        return all(isnan(value) or float(np.array(value).astype(number)) == value for _, value in fill.points)
    return fill.limit <= 1 << DTYPES[dtype].precision


def _plainer_fills(case: Case, number: int) -> Iterator[Fill]:
    fill, role = case.fills[number], case.roles[number]
    if fill.layout != "contiguous":
        yield fill.replace(layout="contiguous")
    if fill.kind in ("points", "zeros"):
        return
    yield from (Fill(kind, layout=fill.layout) for kind in ("zeros", "ones", "ramp"))
    if fill.kind == "dense":
        yield fill.replace(limit=1)
        yield fill.replace(limit=max(1, fill.limit // 2))
    if prod(case.problem.shapes[role]) <= LISTED:
        yield _listed(case, number)


def _listed(case: Case, number: int) -> Fill:
    """Return the same values as explicit points."""
    fill, role = case.fills[number], case.roles[number]
    array = make(case.problem, role, fill.replace(layout="contiguous"))
    where = zip(*np.nonzero(array), strict=True)
    points = tuple((tuple(map(int, index)), float(array[index])) for index in where)
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
        for less in (*_TELLING, float(np.trunc(value / 2)), float(np.trunc(value))):
            if 0 < abs(less) < abs(value) or (less == 1 and value == -1):
                yield fill.replace(points=_put(fill.points, which, (index, less)))


def _put(values: tuple[Any, ...], number: int, value: Any) -> tuple[Any, ...]:
    return (*values[:number], value, *values[number + 1 :])


def _fill_order(fill: Fill) -> float:
    """Plainness of a fill: few points, then constant, ramp, integers, floats; a plain layout before others."""
    kinds = ("zeros", "ones", "ramp", "dense", "paired", "opposed", "positive", "normal", "wide")
    if fill.kind == "points":
        size = sum(2.0**20 if isnan(v) else min(abs(v), 2.0**20) + (v < 0) / 2 for _, v in fill.points)
        order = 10 * len(fill.points) + size / (1 + size)
    else:
        order = (
            10_000.0 * (1 + kinds.index(fill.kind.rstrip("012"))) + fill.limit / (1 + fill.limit)
            if fill.kind != "zeros"
            else 0.0
        )
    return order + 1e6 * (fill.layout != "contiguous")


#: moves in the order in which they are tried: what makes a case smallest comes first
MOVES = (
    _fewer_axes,
    *map(_problem_move, (_fewer_channels, _smaller_sizes, _smaller_kernels, _less_padding)),
    *map(_problem_move, (_smaller_steps, _plainer)),
    *map(_operand_move, (_plainer_fills, _fewer_points, _smaller_values)),
)
