"""Mistakes in which element is taken for which: flipped, transposed, permuted, repeated, groups mixed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import combinations
from typing import Any

import numpy as np

from convcheck.diagnosis.mistakes.mistake import Mistake, Scope, along, subsets
from convcheck.diagnosis.model import Model
from convcheck.problem import Map

__all__ = ["flips", "groups", "permuted", "repeated", "shifts", "transposed"]

Array = np.ndarray[Any, Any]
View = Callable[[Array], Array]

#: an array and one of its dimensions, in words: the dimension's elements, and one of them
DIMENSIONS: tuple[tuple[str, int, str, str], ...] = (
    ("x", 0, "images", "image"),
    ("x", 1, "channels", "channel"),
    ("w", 0, "filters", "filter"),
)


def _viewed(role: str, rearrange: View) -> Callable[[Model], Model]:
    return lambda model: model.view(role, rearrange)


def flips(scope: Scope) -> Iterator[Mistake]:
    """The kernel, the input or the output is read backwards along some axes."""
    for axes in subsets(scope.ndim):
        whole = len(axes) == scope.ndim
        at = tuple(2 + a for a in axes)
        yield Mistake(_flip_words(scope, axes), _viewed("w", lambda w, at=at: np.flip(w, at)), whole)
    for role, name in (("x", "input"), ("y", "output")):
        for axes in subsets(scope.ndim):
            at = tuple(2 + a for a in axes)
            words = along(f"{name} flipped", axes, scope.ndim)
            yield Mistake(words, _viewed(role, lambda a, at=at: np.flip(a, at)))
    for axis in range(scope.ndim):
        rolled = along("kernel rolled by one tap", (axis,), scope.ndim)
        yield Mistake(rolled, _viewed("w", lambda w, a=axis: np.roll(w, 1, 2 + a)))
        yield Mistake(rolled, _viewed("w", lambda w, a=axis: np.roll(w, -1, 2 + a)))


def _flip_words(scope: Scope, axes: tuple[int, ...]) -> str:
    """A gradient of the input needs the kernel flipped, so that there the mistake is to leave it as it is."""
    whole = len(axes) == scope.ndim
    if whole and scope.which is Map.FORWARD:
        kinds = ("convolution", "cross-correlation")
        got, wanted = kinds if scope.convention == "correlation" else kinds[::-1]
        return f"computes {got}, not {wanted}: kernel flipped"
    words = {Map.FORWARD: "kernel flipped", Map.GRAD_INPUT: "kernel not flipped", Map.GRAD_WEIGHT: "result flipped"}
    return along(words[scope.which], axes, scope.ndim)


def transposed(scope: Scope) -> Iterator[Mistake]:
    """Two axes of an array are swapped; where they are not equally long, its memory is read as if they were."""

    def swapped(a: int, b: int, *, keep: bool) -> View:
        return lambda array: np.swapaxes(array, a, b).reshape(array.shape if keep else np.swapaxes(array, a, b).shape)

    for role, name in (("w", "kernel"), ("x", "input"), ("y", "output")):
        for a, b in combinations(range(scope.ndim), 2):
            words = f"{name} transposed: axes {a} and {b} swapped"
            yield Mistake(words, _viewed(role, swapped(2 + a, 2 + b, keep=True)), True)
            if role == "y":
                yield Mistake(words, _viewed(role, swapped(2 + a, 2 + b, keep=False)))
                yield Mistake(words, _viewed(role, _if_square(2 + a, 2 + b)))
            if role == "x":
                yield Mistake(
                    f"kernel and input transposed: axes {a} and {b} swapped",
                    lambda m, s=swapped(2 + a, 2 + b, keep=True): m.view("w", s).view("x", s),
                )
    yield Mistake("filters and channels of the weight swapped", _viewed("w", swapped(0, 1, keep=True)))
    yield Mistake("images and filters of the output swapped", _viewed("y", swapped(0, 1, keep=True)))


def _if_square(a: int, b: int) -> View:
    return lambda array: np.swapaxes(array, a, b) if array.shape[a] == array.shape[b] else array


def shifts(scope: Scope) -> Iterator[Mistake]:
    """The output stands elsewhere, and what it leaves behind is zero."""
    for axes in subsets(scope.ndim):
        for by in (1, -1, 2, -2):
            words = along(f"output shifted by {by:+d}", axes, scope.ndim)
            yield Mistake(words, _viewed("y", lambda y, axes=axes, by=by: _moved(y, axes, by)))
            words = along(f"output rolled by {by:+d}", axes, scope.ndim)
            yield Mistake(words, _viewed("y", lambda y, axes=axes, by=by: np.roll(y, by, tuple(2 + a for a in axes))))


def _moved(array: Array, axes: tuple[int, ...], by: int) -> Array:
    for axis in axes:
        array = np.roll(array, by, 2 + axis)
        lines = np.moveaxis(array, 2 + axis, 0)
        lines[slice(0, by) if by > 0 else slice(by, None)] = -1
    return array


def permuted(scope: Scope) -> Iterator[Mistake]:
    """Images, channels or filters in another order."""
    orders: tuple[tuple[str, View], ...] = (
        ("in reverse order", lambda a: a[::-1]),
        ("rotated by one", lambda a: np.roll(a, 1, axis=0)),
        ("rotated by minus one", lambda a: np.roll(a, -1, axis=0)),
        ("exchanged in pairs", lambda a: a[[min(i ^ 1, len(a) - 1) for i in range(len(a))]]),
        ("with the first two exchanged", lambda a: a[[1, 0, *range(2, len(a))]] if len(a) > 1 else a),
    )
    places = (("x", 0), ("x", 1), ("y", 1)) if scope.which is not Map.GRAD_WEIGHT else (("x", 0), ("x", 1), ("w", 0))
    for (role, dimension), name in zip(places, ("images", "channels", "filters"), strict=True):
        for words, order in orders:
            yield Mistake(f"{name} {words}", _viewed(role, _on(dimension, order)))


def repeated(_: Scope) -> Iterator[Mistake]:
    """The first image, channel or filter stands for all."""
    for role, dimension, many, one in DIMENSIONS:
        words = f"first {one}{chr(39) + 's weights' if one == 'filter' else ''} used for all {many}"
        yield Mistake(words, _viewed(role, _on(dimension, lambda a: a[[0] * len(a)])))
        last = words.replace("first", "last")
        yield Mistake(last, _viewed(role, _on(dimension, lambda a: a[[-1] * len(a)])))
    yield Mistake("first filter's result given to all filters", _viewed("y", _on(1, lambda a: a[[0] * len(a)])))


def _on(dimension: int, rearrange: View) -> View:
    return lambda array: np.moveaxis(rearrange(np.moveaxis(array, dimension, 0)), 0, dimension)


def groups(_: Scope) -> Iterator[Mistake]:
    """Channels, weights or filters are assigned to the wrong groups."""
    yield Mistake("groups ignored: every filter reads the first channels", _sourced(lambda _, __, c: c))
    yield Mistake("groups ignored: every filter reads all channels, weights repeated", _all_channels)
    yield Mistake("channels of the groups interleaved", _sourced(lambda p, g, c: c * p.groups + g))
    yield Mistake("filters of the groups interleaved", _interleaved_filters)
    yield Mistake("outputs of the groups interleaved", _by_group("y", 1, lambda a: a.swapaxes(0, 1)))
    yield Mistake("outputs of the groups interleaved", _by_group("y", 1, _deinterleaved))
    for words, order in _ORDERS:
        yield Mistake(f"input groups {words}", _by_group("x", 1, order))
        yield Mistake(f"weights of the groups {words}", _by_group("w", 0, order))
    for place, name in ((-1, "last"), (1, "second")):
        yield Mistake(f"{name} group computed with the first group's weights", _by_group("w", 0, _copied(place)))
        yield Mistake(f"{name} group computed of the first group's channels", _by_group("x", 1, _copied(place)))
    yield Mistake("first group's weights used for all groups", _by_group("w", 0, lambda a: a[[0] * len(a)]))
    yield Mistake("first group's channels used for all groups", _by_group("x", 1, lambda a: a[[0] * len(a)]))
    yield Mistake("only the first group computed", _by_group("y", 1, lambda a: _outside_from(a, 1)))
    yield Mistake("last group not computed", _by_group("y", 1, lambda a: _outside_from(a, max(1, len(a) - 1))))


_ORDERS: tuple[tuple[str, View], ...] = (
    ("in reverse order", lambda a: a[::-1]),
    ("rotated by one", lambda a: np.roll(a, 1, axis=0)),
    ("rotated by minus one", lambda a: np.roll(a, -1, axis=0)),
)


def _sourced(channel: Callable[[Any, Array, Array], Array]) -> Callable[[Model], Model]:
    """Give the input channel by problem, group and channel within the group."""

    def edit(model: Model) -> Model:
        p = model.problem
        group = np.arange(p.filters)[:, None] // p.filters_per_group
        found = channel(p, group, np.arange(p.channels_per_group)[None, :])
        return model.replace(source=np.broadcast_to(found, (p.filters, p.channels_per_group)))

    return edit


def _all_channels(model: Model) -> Model:
    p = model.problem
    everything = np.broadcast_to(np.arange(p.channels), (p.filters, p.channels))
    return model.replace(source=everything).view("w", lambda w: np.concatenate([w] * p.groups, axis=1))


def _interleaved_filters(model: Model) -> Model:
    p = model.problem
    group = np.arange(p.filters)[:, None] % p.groups
    return model.replace(source=group * p.channels_per_group + np.arange(p.channels_per_group))


def _by_group(role: str, dimension: int, rearrange: View) -> Callable[[Model], Model]:
    """Rearrange an array of which the leading dimension is the groups, the second what is in each."""

    def edit(model: Model) -> Model:
        g = model.problem.groups

        def by_group(array: Array) -> Array:
            lines = np.moveaxis(array, dimension, 0)
            split = lines.reshape(g, len(lines) // g, *lines.shape[1:])
            return np.moveaxis(rearrange(split).reshape(lines.shape), 0, dimension)

        return model if g == 1 else model.view(role, by_group)

    return edit


def _deinterleaved(array: Array) -> Array:
    return array.reshape(array.shape[1], array.shape[0], *array.shape[2:]).swapaxes(0, 1)


def _copied(place: int) -> View:
    return lambda array: array[[0 if i == place % len(array) else i for i in range(len(array))]]


def _outside_from(array: Array, first: int) -> Array:
    array = array.copy()
    array[first:] = -1
    return array
