"""Calls that no convolution can answer."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np

from convcheck.engines.capabilities import LARGER_KERNELS
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["invalid_calls"]

Array = np.ndarray[Any, Any]
Calls = Iterator[tuple[str, Any, Operands]]


def invalid_calls(which: Map, problem: Problem, operands: Operands, features: frozenset[str]) -> Calls:
    """What is wrong, a problem that says so, and operands; only what the engine's features allow to ask."""
    if which is Map.FORWARD and LARGER_KERNELS not in features:
        yield from _too_large(problem, operands, features)
    if "channels" in features:
        yield from _other_channels(which, problem, operands)
    if "groups" in features:
        yield from _other_groups(which, problem, operands)
    for name in ("stride", "dilation"):
        if name in features:
            for value in (0, -1):
                yield f"{name} {value}", _bent(problem, **{name: (value,) * problem.ndim}), operands
            yield from _wrong_on_one_axis(problem, operands, features, name, 0)
    if "padding" in features:
        negative = ((-1, -1),) * problem.ndim
        yield "padding -1", _bent(problem, padding=negative, same=False), operands
        yield from _wrong_on_one_axis(problem, operands, features, "padding", (-1, -1), same=False)
    if "channels" in features:
        yield "one axis too many", problem, operands._replace(a=operands.a[..., None])
    yield from _other_biases(problem, operands)


def _too_large(problem: Problem, operands: Operands, features: frozenset[str]) -> Calls:
    """Kernels that do not fit: along all axes, along one alone, by their dilation alone."""
    room = tuple(s + sum(p) for s, p in zip(problem.size, problem.padding, strict=True))
    yield "kernel larger than the padded input", *_with_kernel(problem, operands, tuple(r + 1 for r in room))
    for axis in _ends(problem):
        kernel = _with(problem.kernel, axis, room[axis] + 1)
        yield f"kernel larger than axis {axis} of the padded input", *_with_kernel(problem, operands, kernel)
    axis = max(range(problem.ndim), key=problem.kernel.__getitem__)
    if "dilation" in features and problem.kernel[axis] > 1:
        far = room[axis]
        dilation = _with(problem.dilation, axis, far) if "unequal-dilation" in features else (far,) * problem.ndim
        yield f"dilation {far} of a padded input of {far}", _bent(problem, dilation=dilation, same=False), operands


def _with_kernel(problem: Problem, operands: Operands, kernel: tuple[int, ...]) -> tuple[Any, Operands]:
    """Ask for a kernel of other sizes, of ones."""
    b = np.ones((*operands.b.shape[:2], *kernel), operands.b.dtype)
    return _bent(problem, kernel=kernel, same=False), operands._replace(b=b)


def _other_channels(which: Map, problem: Problem, operands: Operands) -> Calls:
    """One channel less than the weight takes, and one more."""
    a, name = operands.a, "channels" if which is Map.FORWARD else "filters"
    if a.shape[1] > 2:  # a single channel is repeated for all by whoever broadcasts
        yield "input lacks a channel", _bent(problem, **{name: a.shape[1] - 1}), operands._replace(a=a[:, :-1])
    if a.shape[1] > 1:
        more = operands._replace(a=np.concatenate([a, a[:, :1]], axis=1))
        yield "input has a channel too many", _bent(problem, **{name: a.shape[1] + 1}), more


def _other_groups(which: Map, problem: Problem, operands: Operands) -> Calls:
    """Groups that divide the channels or the filters not, and none."""
    if which is Map.FORWARD and problem.groups > 1:
        many, bias = problem.filters + 1, operands.bias
        more = operands._replace(b=_one_more(operands.b), bias=None if bias is None else _one_more(bias))
        yield f"{problem.groups} groups of {many} filters", _bent(problem, filters=many), more
    wrong = operands.a.shape[1] + 1
    yield f"{wrong} groups of {wrong - 1} channels", _bent(problem, groups=wrong), operands
    yield "0 groups", _bent(problem, groups=0), operands


def _other_biases(problem: Problem, operands: Operands) -> Calls:
    """A bias with an entry too many or too few, where what is given or left is more than one, which is broadcast."""
    bias = operands.bias
    if bias is not None and bias.size > 1:
        yield "bias one too long", problem, operands._replace(bias=_one_more(bias))
    if bias is not None and bias.size > 2:
        yield "bias one too short", problem, operands._replace(bias=bias[:-1])


def _one_more(array: Array) -> Array:
    """Repeat the first entry of an array at its end."""
    return np.concatenate([array, array[:1]])


def _wrong_on_one_axis(
    problem: Problem, operands: Operands, features: frozenset[str], name: str, value: Any, **changes: Any
) -> Calls:
    """A value that is wrong on the first or on the last axis alone, where axes may have values of their own."""
    for axis in _ends(problem) if f"unequal-{name}" in features else ():
        bent = _bent(problem, **{name: _with(getattr(problem, name), axis, value)}, **changes)
        number = value if isinstance(value, int) else value[0]
        yield f"{name} {number} on axis {axis}", bent, operands


def _ends(problem: Problem) -> tuple[int, ...]:
    """The first and the last axis, where there are several."""
    return (0, problem.ndim - 1) if problem.ndim > 1 else ()


def _with(values: tuple[Any, ...], axis: int, value: Any) -> tuple[Any, ...]:
    return (*values[:axis], value, *values[axis + 1 :])


def _bent(problem: Problem, **changes: Any) -> Any:
    """Make a look-alike of a problem that `Problem` itself would refuse."""
    names = ("size", "kernel", "stride", "padding", "dilation", "dtype", "batch", "groups", "channels", "filters")
    values = {name: getattr(problem, name) for name in (*names, "bias", "same", "lower", "ndim", "leftover")}
    return SimpleNamespace(**(values | changes))
