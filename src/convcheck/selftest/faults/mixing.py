"""Faults of groups, channels, filters, images and bias: whose numbers go where."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.selftest.base import store as right_store
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant
from convcheck.selftest.faults.conditions import CONDITIONS, when

__all__ = ["FAULTS", "last_is_first", "reordered"]

Array = np.ndarray[Any, Any]
Take = Callable[[Call, Operands], Operands]


def reordered(role: str, axis: int, order: Callable[[Call, int], Any]) -> Take:
    """Read an operand's entries along an axis in another order; ``order`` is given the call and the axis's size."""

    def take(call: Call, operands: Operands) -> Operands:
        array = getattr(operands, role)
        if array is None:
            return operands
        return operands._replace(**{role: np.take(array, order(call, array.shape[axis]), axis)})

    return take


def regrouped(order: Callable[[Call], Any]) -> Callable[[Call, Array], Array]:
    """Let the groups see other groups' channels; ``order`` says for each group whose."""
    return lambda call, picked: picked[:, order(call)]


def _interleaved(call: Call, size: int) -> Array:
    """Entry i of group g lies at i G + g instead of g S + i."""
    return np.arange(size).reshape(-1, call.groups).T.ravel()


def _blocked(call: Call, size: int) -> Array:
    """The inverse: as if entries that lie interleaved were taken for groups."""
    return np.arange(size).reshape(call.groups, -1).T.ravel()


def _without_offset(call: Call) -> Array:
    """The channel offset of a group counts filters instead of channels."""
    start = np.arange(call.groups) * call.filters // max(1, call.channels)
    return np.minimum(start, call.groups - 1)


def last_is_first(call: Call, size: int) -> Array:
    """The last group's filters are the first group's."""
    order = np.arange(size)
    if call.groups > 1:
        order[-call.filters :] = order[: call.filters]
    return order


def _swapped(_: Call, operands: Operands) -> Operands:
    w = operands.b
    return operands._replace(b=np.swapaxes(w, 0, 1).copy()) if w.shape[0] == w.shape[1] else operands


def _image(rule: Callable[[int], Any]) -> Take:
    return reordered("a", 0, lambda _, size: rule(size))


def _zero_from(first: int, role: str, axis: int) -> Take:
    def take(_: Call, operands: Operands) -> Operands:
        array = getattr(operands, role).copy()
        np.moveaxis(array, axis, 0)[first:] = 0
        return operands._replace(**{role: array})

    return take


def _counted_twice(_: Call, operands: Operands) -> Operands:
    w = operands.b.copy()
    w[:, -1] *= np.array(2, w.dtype)
    return operands._replace(b=w)


def _averaged(call: Call, sums: Array, bias: Array | None) -> Array:
    return right_store(call, (sums / call.channels).astype(sums.dtype), bias)


def _last_filter_zero(_: Call, __: Operands, y: Array) -> Array:
    y[:, -1] = 0
    return y


# -- bias ----------------------------------------------------------------------------------------------


def biased(change: Callable[[Call, Array], Any]) -> Callable[[Call, Array, Array | None], Array]:
    """Use another bias; ``change`` returns it, of a shape that broadcasts against the output."""

    def store(call: Call, sums: Array, bias: Array | None) -> Array:
        if bias is None:
            return right_store(call, sums, None)
        column = bias.astype(sums.dtype).reshape(-1, *(1,) * call.ndim)
        return np.asarray((sums + change(call, column)).astype(call.dtype))

    return store


def _along_width(call: Call, column: Array) -> Array:
    return column.reshape(-1) if len(column) == call.output[-1] else column


def _first_only(_: Call, column: Array) -> Array:
    return np.where(np.arange(len(column)).reshape(column.shape) == 0, column, 0)


def _off_the_border(call: Call, column: Array) -> Array:
    """Added only where the window lies inside the input."""
    whole = np.ones((1,) * call.ndim, bool)
    for axis in range(call.ndim):
        starts = call.stride[axis] * np.arange(call.output[axis]) - call.padding[axis][0]
        fits = (starts >= 0) & (starts + call.reach[axis] <= call.size[axis])
        whole = whole & fits.reshape([-1 if a == axis else 1 for a in range(call.ndim)])
    return np.where(whole, column, 0)


def _of_first_image(call: Call, column: Array) -> Array:
    return np.asarray(column[None] * (np.arange(call.batch) == 0).reshape(-1, *(1,) * column.ndim))


_BIASES: dict[str, Callable[[Call, Array], Any]] = {
    "bias-missing": lambda _, b: 0 * b,
    "bias-doubled": lambda _, b: 2 * b,
    "bias-negated": lambda _, b: -b,
    "bias-for-first-filter-only": _first_only,
    "bias-of-first-filter-for-all": lambda _, b: b[:1],
    "bias-reversed": lambda _, b: b[::-1],
    "bias-along-the-width-when-sizes-agree": _along_width,
    "bias-ignored-when-grouped": lambda c, b: b * (c.groups == 1),
    "bias-starts-again-in-each-group": lambda c, b: np.resize(b[: c.filters], b.shape),
    "bias-ignored-when-strided": lambda c, b: b * (max(c.stride) == 1),
    "bias-ignored-for-unit-kernels": lambda c, b: b * (max(c.kernel) > 1),
    "bias-not-added-at-the-border": _off_the_border,
    "bias-for-first-image-only": _of_first_image,
    "bias-once-a-channel": lambda c, b: c.channels * b,
}
_GROUP_HOOKS: dict[str, dict[str, Any]] = {
    "groups-interleave-channels": {"take": reordered("a", 1, _interleaved)},
    "groups-interleave-filters": {"take": reordered("b", 0, _interleaved)},
    "groups-block-interleaved-filters": {"take": reordered("b", 0, _blocked)},
    "groups-see-channels-backwards": {"look": regrouped(lambda c: np.arange(c.groups)[::-1])},
    "groups-see-the-next-groups-channels": {"look": regrouped(lambda c: np.roll(np.arange(c.groups), 1))},
    "groups-all-see-the-first": {"look": regrouped(lambda c: np.zeros(c.groups, int))},
    "groups-offset-counts-filters": {"look": regrouped(_without_offset)},
    "groups-offset-wrong-for-depthwise": {"look": when(CONDITIONS["depthwise"], regrouped(_without_offset))},
    "last-group-uses-first-weights": {"take": reordered("b", 0, last_is_first)},
    "groups-beyond-two-see-the-second": {"look": regrouped(lambda c: np.minimum(np.arange(c.groups), 1))},
    "depthwise-sees-first-channel-only": {
        "look": when(CONDITIONS["depthwise"], regrouped(lambda c: np.zeros(c.groups, int)))
    },
    "groups-shuffled-when-batched": {
        "look": when(lambda c: c.batch > 1 and c.groups > 1, regrouped(lambda c: np.roll(np.arange(c.groups), 1)))
    },
}
_GROUPS: tuple[Fault, ...] = tuple(
    plant(name, "groups", words=("group",), index=True, **hooks) for name, hooks in _GROUP_HOOKS.items()
)
_CHANNEL_HOOKS: dict[str, dict[str, Any]] = {
    "channels-reversed": {"take": reordered("b", 1, lambda _, size: np.arange(size)[::-1])},
    "first-channel-only": {"take": _zero_from(1, "b", 1)},
    "last-channel-counted-twice": {"take": _counted_twice},
    "channels-averaged": {"store": _averaged},
    "channels-and-filters-swapped-when-equal": {"take": _swapped},
    "filters-reversed": {"take": reordered("b", 0, lambda _, size: np.arange(size)[::-1])},
    "last-filter-zero": {"give": _last_filter_zero},
    "last-filter-repeats-the-one-before": {
        "take": reordered("b", 0, lambda _, size: [*range(size - 1), max(0, size - 2)])
    },
}
_CHANNELS: tuple[Fault, ...] = tuple(
    plant(name, "channels", words=("filter" if "filter" in name else "channel",), index=True, **hooks)
    for name, hooks in _CHANNEL_HOOKS.items()
)
_BATCH: tuple[Fault, ...] = tuple(
    plant(name, "batch", words=("image",), index=True, take=take)
    for name, take in {
        "every-image-is-the-first": _image(lambda size: np.zeros(size, int)),
        "second-image-is-the-first": _image(lambda size: [0 if n == 1 else n for n in range(size)]),
        "images-after-the-second-zero": _zero_from(2, "a", 0),
        "images-after-the-fourth-zero": _zero_from(4, "a", 0),
        "images-reversed": _image(lambda size: np.arange(size)[::-1]),
        "odd-last-image-repeats": _image(lambda size: [*range(size - 1), max(0, size - 1 - size % 2)]),
    }.items()
)
_BIAS: tuple[Fault, ...] = tuple(
    plant(name, "bias", words=("bias",), store=biased(change)) for name, change in _BIASES.items()
)
FAULTS: tuple[Fault, ...] = (*_GROUPS, *_CHANNELS, *_BATCH, *_BIAS)
