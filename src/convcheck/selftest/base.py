"""A small convolution whose every step can be replaced: with none replaced it is right, with one it is a planted fault.

It shares no line with the oracle: a table an axis says which input position each tap meets at each output
position, columns are picked by the tables, and the three maps are matrix products of the columns.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.call import Call, Request, read_call, trailing

__all__ = ["BASE", "Steps", "accumulator", "add_bias", "columns", "inside", "positions", "products", "raw", "store"]

Array = np.ndarray[Any, Any]


def raw(call: Call, axis: int) -> Array:
    """Input position q = s p + d k - lo of each tap (rows) at each output (columns), also beyond the input's ends."""
    taps, outputs = np.arange(call.kernel[axis])[:, None], np.arange(call.output[axis])
    return np.asarray(call.stride[axis] * outputs + call.dilation[axis] * taps - call.padding[axis][0])


def inside(call: Call, axis: int, table: Array) -> Array:
    """Positions of a table, with -1 for those outside the input, where zeros are read."""
    return np.asarray(np.where((table >= 0) & (table < call.size[axis]), table, -1))


def positions(call: Call, axis: int) -> Array:
    """Input position of each tap at each output along an axis, -1 where that is padding."""
    return inside(call, axis, raw(call, axis))


def accumulator(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The type in which sums are kept: the own one, but float32 for shorter floats and int64 for integers."""
    if dtype.kind in "iu":
        return np.dtype(np.int64)
    return dtype if dtype.kind == "c" or dtype in (np.float32, np.float64) else np.dtype(np.float32)


def products(call: Call, left: Array, right: Array) -> Array:
    """Matrix products with sums in the accumulator's type."""
    wide = accumulator(call.dtype)
    return np.asarray(np.matmul(left.astype(wide), right.astype(wide)))


def add_bias(call: Call, sums: Array, bias: Array | None) -> Array:
    """Add a bias along the filters, in the accumulator's type."""
    return sums if bias is None else sums + bias.astype(sums.dtype).reshape(-1, *(1,) * call.ndim)


def store(call: Call, sums: Array, bias: Array | None) -> Array:
    """Add the bias, then round once to the operands' type."""
    with np.errstate(all="ignore"):
        return np.ascontiguousarray(add_bias(call, sums, bias).astype(call.dtype))


@dataclass(frozen=True)
class Steps:
    """The steps of the convolution, in order; each has a hook that can be replaced.

    ``front`` sees the request before it is checked, ``see`` changes how the parameters are understood, ``take``
    the operands, ``table`` which positions meet, ``look`` the columns (N, G, C, *kernel, *output), ``sums`` the
    arithmetic, ``store`` bias and rounding, ``give`` the result. ``on`` limits all hooks to some of the maps.
    """

    front: Callable[[Request], Request] = lambda request: request
    see: Callable[[Call], Call] = lambda call: call
    take: Callable[[Call, Operands], Operands] = lambda _, operands: operands
    table: Callable[[Call, int], Array] = positions
    look: Callable[[Call, Array], Array] = lambda _, picked: picked
    sums: Callable[[Call, Array, Array], Array] = products
    store: Callable[[Call, Array, Array | None], Array] = store
    give: Callable[[Call, Operands, Array], Array] = lambda _, __, result: result
    on: tuple[Map, ...] = tuple(Map)

    def replace(self, **changes: Any) -> Self:
        """Return the steps with some replaced."""
        return replace(self, **changes)

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply one of the three maps."""
        if which not in self.on:
            return BASE(which, problem, operands)
        request = self.front(Request.of(which, problem, operands))
        call = read_call(request)
        a, b, bias = self.take(call, request.operands)
        with np.errstate(all="ignore"):
            seen = self.see(call)
            result = self.store(seen, _MAPS[which](self, seen, a, b), bias)
            return self.give(seen, request.operands, result)


def columns(steps: Steps, call: Call, x: Array) -> Array:
    """What each tap meets at each output, zero outside; shape (N, G, C, *kernel, *output)."""
    source = np.zeros((*x.shape[:2], *(s + 1 for s in call.size)), x.dtype)
    source[trailing(slice(0, s) for s in call.size)] = x
    index: list[Any] = [slice(None), slice(None)]
    for axis in range(call.ndim):
        table = steps.table(call, axis)
        shape = [1] * (2 * call.ndim)
        shape[axis], shape[call.ndim + axis] = table.shape
        index.append(table.reshape(shape))
    picked = source[tuple(index)]
    return steps.look(call, picked.reshape(call.batch, call.groups, call.channels, *picked.shape[2:]))


def _forward(steps: Steps, call: Call, x: Array, w: Array) -> Array:
    picked = columns(steps, call, x).reshape(call.batch, call.groups, call.channels * call.taps, call.places)
    weight = w.reshape(call.groups, call.filters, -1)
    sums = steps.sums(call, weight, picked)
    return sums.reshape(call.batch, call.groups * call.filters, *call.output)


def _grad_weight(steps: Steps, call: Call, upstream: Array, x: Array) -> Array:
    terms, taps = call.batch * call.places, call.channels * call.taps
    picked = columns(steps, call, x).reshape(call.batch, call.groups, taps, call.places)
    right = picked.transpose(1, 0, 3, 2).reshape(call.groups, terms, taps)
    left = upstream.reshape(call.batch, call.groups, call.filters, call.places).transpose(1, 2, 0, 3)
    sums = steps.sums(call, left.reshape(call.groups, call.filters, terms), right)
    return sums.reshape(call.groups * call.filters, call.channels, *call.kernel)


def _grad_input(steps: Steps, call: Call, upstream: Array, w: Array) -> Array:
    weight = w.reshape(call.groups, call.filters, -1).swapaxes(1, 2)
    sums = steps.sums(call, weight, upstream.reshape(call.batch, call.groups, call.filters, call.places))
    spread = sums.reshape(call.batch, call.groups * call.channels, *call.kernel, *call.output)
    tables = [steps.table(call, axis) for axis in range(call.ndim)]
    total = np.zeros((call.batch, call.groups * call.channels, *(s + 1 for s in call.size)), spread.dtype)
    for tap in np.ndindex(*call.kernel):
        index = np.ix_(*(table[k] for table, k in zip(tables, tap, strict=True)))
        total[(slice(None), slice(None), *index)] += spread[(slice(None), slice(None), *tap)]
    return np.asarray(total[trailing(slice(0, s) for s in call.size)])


_MAPS: dict[Map, Callable[[Steps, Call, Array, Array], Array]] = {
    Map.FORWARD: _forward,
    Map.GRAD_INPUT: _grad_input,
    Map.GRAD_WEIGHT: _grad_weight,
}

#: every step as it should be
BASE = Steps()
