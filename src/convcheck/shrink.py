"""Make a failing case small enough to work by hand: first the problem, then the operands.

Hypothesis finds cases; its shrinker is not used, because a case must also shrink when the target dies of it (each try
in a worker), and because the operands shrink best in the terms of the problem: fewest non-zeros, smallest values.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np

from convcheck.cases import Case
from convcheck.dtypes import DTYPES
from convcheck.errors import ShapeError
from convcheck.operands import Fill, make
from convcheck.problem import Problem

__all__ = ["complexity", "shrink", "simpler"]

Fails = Callable[[Case], bool]
#: operands with more elements than this keep their fill
LISTED = 256


def shrink(case: Case, fails: Fails, *, seconds: float = 10.0, tries: int = 3000) -> Case:
    """Return the simplest case that `fails` still accepts, by greedy descent within a time and a number of tries."""
    deadline = time.monotonic() + seconds
    found = True
    while found:
        found = False
        for candidate in simpler(case):
            if tries <= 0 or time.monotonic() > deadline:
                return case
            tries -= 1
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


def simpler(case: Case) -> Iterator[Case]:
    """Candidates that are simpler than a case, the boldest first."""
    for problem in _simpler_problems(case.problem):
        fills = case.fills if problem.bias == case.problem.bias else case.fills[:2]
        yield case.replace(problem=problem, fills=fills)
        if any(fill.points for fill in fills):
            yield from _cropped(case, problem, fills)
    yield from _simpler_operands(case)


# -- the problem -------------------------------------------------------------------------------------------


def _simpler_problems(p: Problem) -> Iterator[Problem]:
    for changes in _changes(p):
        try:
            candidate = p.replace(**changes)
        except ShapeError:
            continue
        if candidate != p and candidate.is_valid and (min(candidate.size) > 0):
            yield candidate


def _changes(p: Problem) -> Iterator[dict[str, Any]]:
    c, o = p.channels_per_group, p.filters_per_group
    for axis in range(p.ndim if p.ndim > 1 else 0):
        yield {name: _without(getattr(p, name), axis) for name in _AXES}
    for groups in _smaller(p.groups, 1):
        yield {"groups": groups, "channels": groups * c, "filters": groups * o}
    for batch in _smaller(p.batch, 1):
        yield {"batch": batch}
    for channels in _smaller(c, 1):
        yield {"channels": p.groups * channels}
    for filters in _smaller(o, 1):
        yield {"filters": p.groups * filters}
    if p.bias:
        yield {"bias": False}
    if p.same:
        yield {"same": False}
    if p.dtype != "f32":
        yield {"dtype": "f32"}
    yield from _axis_changes(p)


def _axis_changes(p: Problem) -> Iterator[dict[str, Any]]:
    """One axis at a time, and all axes at once for engines that take no unequal parameters."""
    everywhere = tuple(range(p.ndim))
    for axes in [everywhere, *((a,) for a in everywhere if p.ndim > 1)]:
        least = [max(1, r - sum(pad)) for r, pad in zip(p.reach, p.padding, strict=True)]
        for share in (0.0, 0.5, 0.9):
            size = _with(p.size, axes, lambda v, a, s=share, low=least: low[a] + int((v - low[a]) * s))
            yield {"size": size}
        yield {"size": _with(p.size, axes, lambda v, _: v - 1)}
        for name in ("stride", "dilation"):
            yield {name: _with(getattr(p, name), axes, lambda _, __: 1)}
            yield {name: _with(getattr(p, name), axes, lambda v, _: max(1, v - 1))}
        for ends in ((0, 0), (1, 0), (0, 1), (1, 1)):
            yield {
                "padding": _with(p.padding, axes, lambda v, _, e=ends: (v[0] * e[0], v[1] * e[1])),
                "same": p.same and ends == (1, 1),
            }
            less = _with(p.padding, axes, lambda v, _, e=ends: tuple(max(0, x - 1 + k) for x, k in zip(v, e, strict=True)))
            yield {"padding": less, "same": False}
        for kernel in (
            _with(p.kernel, axes, lambda _, __: 1),
            _with(p.kernel, axes, lambda v, _: max(1, v // 2)),
            _with(p.kernel, axes, lambda v, _: max(1, v - 1)),
        ):
            yield {"kernel": kernel}
            gone = [d * (k - n) for d, k, n in zip(p.dilation, p.kernel, kernel, strict=True)]
            yield {"kernel": kernel, "size": tuple(max(1, s - g) for s, g in zip(p.size, gone, strict=True))}


_AXES = ("size", "kernel", "stride", "padding", "dilation")


def _smaller(value: int, least: int) -> list[int]:
    return sorted({least, value // 2, value - 1} & set(range(least, value)))


def _without(values: tuple[Any, ...], axis: int) -> tuple[Any, ...]:
    return values[:axis] + values[axis + 1 :]


def _with(values: tuple[Any, ...], axes: tuple[int, ...], change: Callable[[Any, int], Any]) -> tuple[Any, ...]:
    return tuple(change(v, a) if a in axes else v for a, v in enumerate(values))


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


def _simpler_operands(case: Case) -> Iterator[Case]:
    for number in sorted(range(len(case.fills)), key=lambda n: -_fill_order(case.fills[n])):
        for fill in _simpler_fills(case, number):
            if _fill_order(fill) < _fill_order(case.fills[number]):
                yield case.replace(fills=_put(case.fills, number, fill))


def _simpler_fills(case: Case, number: int) -> Iterator[Fill]:
    fill, role = case.fills[number], case.roles[number]
    if fill.layout != "contiguous":
        yield fill.replace(layout="contiguous")
    if fill.kind == "zeros":
        return
    if fill.kind != "points":
        for kind in ("ones", "ramp"):
            yield Fill(kind, layout=fill.layout)
        if fill.kind == "dense":
            yield fill.replace(limit=1)
            yield fill.replace(limit=max(1, fill.limit // 2))
        if prod(case.problem.shapes[role]) > LISTED:
            return
        fill = _listed(case, number)
        yield fill
    yield from _fewer_points(fill)
    yield from _smaller_values(fill)


def _listed(case: Case, number: int) -> Fill:
    """Return the same values as explicit points."""
    fill, role = case.fills[number], case.roles[number]
    array = make(case.problem, role, fill.replace(layout="contiguous"))
    where = zip(*np.nonzero(array), strict=True)
    points = tuple((tuple(map(int, index)), float(array[index])) for index in where)
    return Fill("points", points=points, layout=fill.layout)


def _fewer_points(fill: Fill) -> Iterator[Fill]:
    """Return halves, then smaller and smaller pieces, taken out (delta debugging: Zeller, Hildebrandt 2002)."""
    points, size = fill.points, max(1, len(fill.points) // 2)
    while points:
        for start in range(0, len(points), size):
            yield fill.replace(points=points[:start] + points[start + size :])
        if size == 1:
            return
        size //= 2


def _smaller_values(fill: Fill) -> Iterator[Fill]:
    for number, (index, value) in enumerate(fill.points):
        for less in (1.0, float(np.trunc(value / 2)), float(np.trunc(value))):
            if 0 < abs(less) < abs(value) or (less == 1 and value == -1):
                yield fill.replace(points=_put(fill.points, number, (index, less)))


def _put(values: tuple[Any, ...], number: int, value: Any) -> tuple[Any, ...]:
    return (*values[:number], value, *values[number + 1 :])


def _fill_order(fill: Fill) -> float:
    """Plainness of a fill: few points, then constant, ramp, integers, floats; a plain layout before others."""
    kinds = ("zeros", "ones", "ramp", "dense", "paired", "opposed", "positive", "normal", "wide")
    if fill.kind == "points":
        size = sum(min(abs(v), 2.0**20) + (v < 0) / 2 if v == v else 2.0**20 for _, v in fill.points)
        order = 10 * len(fill.points) + size / (1 + size)
    else:
        order = 10_000.0 * (1 + kinds.index(fill.kind)) + fill.limit / (1 + fill.limit) if fill.kind != "zeros" else 0.0
    return order + 1e6 * (fill.layout != "contiguous")
