"""Mistakes of groups: which channels, weights and filters belong together."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from convcheck.diagnosis.mistakes.mistake import WIDTHS, Mistake, Scope
from convcheck.diagnosis.model import OUTSIDE, Model
from convcheck.problem import Problem

__all__ = ["groups"]

Array = np.ndarray[Any, Any]
View = Callable[[Array], Array]


def groups(_: Scope) -> Iterator[Mistake]:
    """Channels, weights or filters are assigned to the wrong groups."""
    yield Mistake("groups ignored: every filter reads the first channels", _sourced(lambda _, __, c: c))
    yield Mistake("groups ignored: every filter reads all channels, weights repeated", _all_channels)
    yield Mistake("offset of the groups' channels counts filters", _sourced(_offset_by_filters))
    for width in WIDTHS:
        words = f"channels beyond the last multiple of {width} read from the group before"
        yield Mistake(words, _sourced(_tail_of_the_group_before(width)))
    yield Mistake("filters assigned to the groups in turn", _filters_in_turn)
    for role, dimension, name in _ARRAYS:
        for words, order in _ORDERS:
            yield Mistake(f"{name} of the groups {words}", _by_group(role, dimension, order))
    for words, copy in _COPIES:
        yield Mistake(words.format("with", "weights"), _by_group("w", 0, copy))
        yield Mistake(words.format("from", "channels"), _by_group("x", 1, copy))
    yield Mistake("only the first group computed", _by_group("y", 1, lambda a: _outside_from(a, 1)))
    yield Mistake("last group not computed", _by_group("y", 1, lambda a: _outside_from(a, max(1, len(a) - 1))))


_ARRAYS = (("x", 1, "channels"), ("w", 0, "weights"), ("y", 1, "outputs"))


def _taken_in_turn(array: Array) -> Array:
    return array.reshape(array.shape[1], array.shape[0], *array.shape[2:]).swapaxes(0, 1)


#: rearrangements of an array of which the first dimension is the groups, the second what is in each
_ORDERS: tuple[tuple[str, View], ...] = (
    ("interleaved", lambda a: a.swapaxes(0, 1)),
    ("interleaved", _taken_in_turn),
    ("in reverse order", lambda a: a[::-1]),
    ("rotated by one", lambda a: np.roll(a, 1, axis=0)),
    ("rotated by minus one", lambda a: np.roll(a, -1, axis=0)),
)
_COPIES: tuple[tuple[str, View], ...] = (
    ("last group computed {} the first group's {}", lambda a: a[[*range(len(a) - 1), 0]]),
    ("second group computed {} the first group's {}", lambda a: a[[0, 0, *range(2, len(a))]]),
    ("all groups computed {} the first group's {}", lambda a: a[[0] * len(a)]),
    ("groups from the third on computed {} the second group's {}", lambda a: a[[min(i, 1) for i in range(len(a))]]),
)


def _sourced(channel: Callable[[Problem, Array, Array], Array]) -> Callable[[Model], Model]:
    """Give the input channel by problem, group and channel within the group."""

    def edit(model: Model) -> Model:
        p = model.problem
        if p.groups == 1:
            return model
        group = np.arange(p.filters)[:, None] // p.filters_per_group
        found = channel(p, group, np.arange(p.channels_per_group)[None, :])
        return model.replace(source=np.broadcast_to(found, (p.filters, p.channels_per_group)))

    return edit


def _offset_by_filters(p: Problem, group: Array, channel: Array) -> Array:
    start = np.minimum(group * p.filters_per_group, p.channels - p.channels_per_group)
    return np.asarray(start + channel)


def _tail_of_the_group_before(width: int) -> Callable[[Problem, Array, Array], Array]:
    def channel_of(p: Problem, group: Array, channel: Array) -> Array:
        c = p.channels_per_group
        tail = channel >= (c // width * width or c)
        return np.where(tail, group - 1, group) % p.groups * c + channel

    return channel_of


def _all_channels(model: Model) -> Model:
    p = model.problem
    if p.groups == 1:
        return model
    everything = np.broadcast_to(np.arange(p.channels), (p.filters, p.channels))
    return model.replace(source=everything).view("w", lambda w: np.concatenate([w] * p.groups, axis=1))


def _filters_in_turn(model: Model) -> Model:
    p = model.problem
    if p.groups == 1:
        return model
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


def _outside_from(array: Array, first: int) -> Array:
    array = array.copy()
    array[first:] = OUTSIDE
    return array
