"""Mistakes in the parameters of the spatial axes: stride, dilation, padding, and the size that they make."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import permutations
from typing import Any

from convcheck.diagnosis.mistakes.mistake import Mistake, Scope, along, subsets
from convcheck.diagnosis.model import BORDERS, Axis, Model
from convcheck.problem import Map

__all__ = ["one_axis", "other_axis"]

Change = Callable[[Axis], Axis]


def _padding(low: Callable[[Axis], int], high: Callable[[Axis], int]) -> Change:
    return lambda axis: axis._replace(low=low(axis), high=high(axis))


def _grown(low: int, high: int) -> Change:
    return lambda axis: axis._replace(low=axis.low + low, high=axis.high + high)


def _reach(axis: Axis) -> int:
    return axis.dilation * (axis.kernel - 1)


def _both(axis: Axis) -> int:
    return axis.low + axis.high


def _exchanged(axis: Axis) -> Axis:
    return axis._replace(low=axis.high, high=axis.low)


def _shifted(by: int) -> Change:
    return lambda axis: axis._replace(low=axis.low - by, high=axis.high + by)


def _bordered(border: str) -> Change:
    return lambda axis: axis._replace(border=border)


def _from_the_far_end(axis: Axis) -> Axis:
    """What the stride leaves over lies at the near end."""
    return axis._replace(low=axis.low - (axis.size + axis.low + axis.high - _reach(axis) - 1) % axis.stride)


def _from_inside(axis: Axis) -> Axis:
    """The first window that begins inside the input begins at its first element."""
    low = axis.low // axis.stride * axis.stride
    return axis._replace(low=low, high=axis.high + axis.low - low)


def _late(by: int) -> Change:
    """Every output position holds what belongs ``by`` positions before."""
    return lambda axis: axis._replace(low=axis.low + by * axis.stride, high=axis.high - by * axis.stride)


#: words, and the change of one axis that they mean; said of all axes or of some
CHANGES: tuple[tuple[str, Change], ...] = (
    ("stride ignored", lambda a: a._replace(stride=1)),
    ("dilation ignored", lambda a: a._replace(dilation=1)),
    ("padding ignored", lambda a: a._replace(low=0, high=0)),
    ("padding of the two ends exchanged", _exchanged),
    ("padding only at the low end", lambda a: a._replace(high=0)),
    ("padding only at the high end", lambda a: a._replace(low=0)),
    ("all padding at the low end", _padding(_both, lambda _: 0)),
    ("all padding at the high end", _padding(lambda _: 0, _both)),
    ("low padding used at both ends", lambda a: a._replace(high=a.low)),
    ("high padding used at both ends", lambda a: a._replace(low=a.high)),
    ("padding doubled", _padding(lambda a: 2 * a.low, lambda a: 2 * a.high)),
    ("stride and dilation exchanged", lambda a: a._replace(stride=a.dilation, dilation=a.stride)),
    ("stride one too large", lambda a: a._replace(stride=a.stride + 1)),
    ("dilation one too large", lambda a: a._replace(dilation=a.dilation + 1)),
    *((f"output shifted by {by:+d}", _late(by)) for by in (1, -1)),
    *((f"input shifted by {-by:+d}", _shifted(by)) for by in (1, -1)),
    ("padding one too large", _grown(1, 1)),
    ("padding one too small", _grown(-1, -1)),
    ("padded as for mode 'full'", _padding(_reach, _reach)),
    ("padded as for mode 'same'", _padding(lambda a: _reach(a) // 2, lambda a: _reach(a) - _reach(a) // 2)),
    ("output size rounded up instead of down", lambda a: a._replace(extra=a.stride - 1)),
    ("output size computed without dilation", lambda a: a._replace(extra=_reach(a) - a.kernel + 1)),
    ("output size computed without padding", lambda a: a._replace(extra=-_both(a))),
)
RARE_CHANGES: tuple[tuple[str, Change], ...] = (
    ("dilation used as stride", lambda a: a._replace(stride=a.dilation)),
    ("stride used as dilation", lambda a: a._replace(dilation=a.stride)),
    ("stride multiplied by the dilation", lambda a: a._replace(stride=a.stride * a.dilation)),
    ("dilation multiplied by the stride", lambda a: a._replace(dilation=a.stride * a.dilation)),
    ("stride counted from the far end", _from_the_far_end),
    ("stride counted from inside the input", _from_inside),
    ("stride at most 2", lambda a: a._replace(stride=min(a.stride, 2))),
    ("stride at most the kernel", lambda a: a._replace(stride=min(a.stride, a.kernel))),
    ("dilation at most 2", lambda a: a._replace(dilation=min(a.dilation, 2))),
    ("stride one too small", lambda a: a._replace(stride=max(1, a.stride - 1))),
    ("dilation one too small", lambda a: a._replace(dilation=max(1, a.dilation - 1))),
    *((f"output shifted by {by:+d}", _late(by)) for by in (2, -2)),
    *((f"input shifted by {-by:+d}", _shifted(by)) for by in (2, -2)),
    ("padding one too large at the low end", _grown(1, 0)),
    ("padding one too large at the high end", _grown(0, 1)),
    ("padding one too small at the low end", _grown(-1, 0)),
    ("padding one too small at the high end", _grown(0, -1)),
    *((f"padding holds {border} instead of zeros", _bordered(border)) for border in list(BORDERS)[1:]),
    ("padding at most 1", _padding(lambda a: min(a.low, 1), lambda a: min(a.high, 1))),
    ("padding at most 2", _padding(lambda a: min(a.low, 2), lambda a: min(a.high, 2))),
    ("padding at most the kernel", _padding(lambda a: min(a.low, a.kernel), lambda a: min(a.high, a.kernel))),
    ("padding shared out evenly", _padding(lambda a: _both(a) // 2, lambda a: _both(a) - _both(a) // 2)),
    ("padding multiplied by the dilation", _padding(lambda a: a.low * a.dilation, lambda a: a.high * a.dilation)),
    ("padding multiplied by the stride", _padding(lambda a: a.low * a.stride, lambda a: a.high * a.stride)),
    ("dilation about the kernel's centre", lambda a: a._replace(low=a.low + (a.dilation - 1) * (a.kernel // 2))),
    ("output one too long", lambda a: a._replace(extra=a.stride)),
)


def one_axis(scope: Scope) -> Iterator[Mistake]:
    """A parameter is wrong along all axes, or along some."""
    yield Mistake("'same' padding puts the odd element at the wrong end", _for_same(_exchanged))
    yield Mistake("'same' padding always puts the odd element at the high end", _for_same(_odd_at_the_high_end))
    yield Mistake("'same' padding ignores the dilation", _for_same(_undilated))
    yield Mistake("'same' padding ignores the stride", _for_same(_unstrided))
    if scope.which is Map.GRAD_INPUT and scope.own:
        yield Mistake("output padding ignored", _without_leftover, common=True)
    for table in (CHANGES, RARE_CHANGES):
        for axes in subsets(scope.ndim):
            for words, change in table:
                common = table is CHANGES and len(axes) == scope.ndim
                yield Mistake(along(words, axes, scope.ndim), _along(axes, change), common)


def other_axis(scope: Scope) -> Iterator[Mistake]:
    """A parameter of one axis is used along another."""
    for number, fields in _PARAMETERS.items():
        common = " " not in number
        for a, b in permutations(range(scope.ndim), 2):
            if a < b:
                yield Mistake(f"{number} of axes {a} and {b} swapped", _reordered(fields, {a: b, b: a}), common)
        for a in range(scope.ndim if scope.ndim > 1 else 0):
            everywhere = dict.fromkeys(range(scope.ndim), a)
            yield Mistake(
                f"{number} of axis {a} used along every axis", _reordered(fields, everywhere), common and not a
            )
        for words, choose in (("largest", max), ("smallest", min)) if scope.ndim > 1 else ():
            yield Mistake(f"{words} {number} used along every axis", _chosen(fields, choose))
        for a, b in permutations(range(scope.ndim if scope.ndim > 2 else 0), 2):
            yield Mistake(f"{number} of axis {a} used along axis {b}", _reordered(fields, {b: a}))


_PARAMETERS: dict[str, tuple[str, ...]] = {
    "stride": ("stride",),
    "dilation": ("dilation",),
    "padding": ("low", "high"),
    "low padding": ("low",),
    "high padding": ("high",),
    "stride, padding and dilation": ("stride", "low", "high", "dilation"),
    "stride and dilation": ("stride", "dilation"),
}


def _along(axes: tuple[int, ...], change: Change) -> Callable[[Model], Model]:
    return lambda model: model.replace(
        axes=tuple(change(axis) if number in axes else axis for number, axis in enumerate(model.axes))
    )


def _reordered(fields: tuple[str, ...], source: dict[int, int]) -> Callable[[Model], Model]:
    """Take fields of each axis from the axis that ``source`` names."""

    def edit(model: Model) -> Model:
        taken = [model.axes[source.get(number, number)] for number in range(len(model.axes))]
        axes = zip(model.axes, taken, strict=True)
        return model.replace(axes=tuple(a._replace(**{f: getattr(b, f) for f in fields}) for a, b in axes))

    return edit


def _chosen(fields: tuple[str, ...], choose: Callable[[list[int]], int]) -> Callable[[Model], Model]:
    """Take fields of every axis from that with the largest, or the smallest, value."""

    def edit(model: Model) -> Model:
        values: dict[str, Any] = {f: choose([getattr(axis, f) for axis in model.axes]) for f in fields}
        return model.replace(axes=tuple(axis._replace(**values) for axis in model.axes))

    return edit


def _for_same(change: Change) -> Callable[[Model], Model]:
    """Change all axes of problems that ask for padding by the name 'same'."""

    def edit(model: Model) -> Model:
        return model.replace(axes=tuple(map(change, model.axes))) if model.problem.same else model

    return edit


def _without_leftover(model: Model) -> Model:
    """End the result where the last window does."""
    ends = tuple(size - rest for size, rest in zip(model.problem.size, model.problem.leftover, strict=True))
    axes = tuple(axis._replace(size=end) for axis, end in zip(model.axes, ends, strict=True))
    return model.replace(axes=axes, problem=model.problem.replace(size=ends))


def _odd_at_the_high_end(axis: Axis) -> Axis:
    return axis._replace(low=min(axis.low, axis.high), high=max(axis.low, axis.high))


def _unstrided(axis: Axis) -> Axis:
    return axis._replace(low=_reach(axis) // 2, high=_reach(axis) - _reach(axis) // 2)


def _undilated(axis: Axis) -> Axis:
    return axis._replace(low=(axis.kernel - 1) // 2, high=axis.kernel // 2)
