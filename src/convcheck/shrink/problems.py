"""Moves that make the problem of a case smaller: fewer axes, channels and positions, smaller steps, no options."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from convcheck.cases import Case
from convcheck.errors import ShapeError
from convcheck.problem import Problem
from convcheck.shrink.operands import cropped, representable

__all__ = ["PROBLEM_MOVES"]


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
            if all(representable(fill, problem.dtype) for fill in fills):
                yield case.replace(problem=problem, fills=fills)
                yield from cropped(case, problem, fills)

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
        yield {"lower": False}
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
    """Smaller counts, smallest first: among them those that leave one over when vectors are filled."""
    beyond = {(1 << bits) + 1 for bits in range(1, value.bit_length())}
    return sorted(({least, value // 2, value - 1} | beyond) & set(range(least, value)))


def _without(values: tuple[Any, ...], axis: int) -> tuple[Any, ...]:
    return values[:axis] + values[axis + 1 :]


def _with(values: tuple[Any, ...], axes: tuple[int, ...], others: list[Any]) -> tuple[Any, ...]:
    return tuple(others[axis] if axis in axes else value for axis, value in enumerate(values))


PROBLEM_MOVES: tuple[Callable[[Case], Iterator[Case]], ...] = (
    _fewer_axes,
    *map(_problem_move, (_fewer_channels, _smaller_sizes, _smaller_kernels, _less_padding, _smaller_steps, _plainer)),
)
