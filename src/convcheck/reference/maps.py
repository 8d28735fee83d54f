"""The vectorised oracle: one relation between input, tap and output positions, and its three contractions.

Input position q, tap k and output position p are related when q = s p + d k - lo on every axis. `taps`
lists the relation tap by tap; everything else is a sum over it.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from itertools import product
from math import ceil, isfinite, prod
from typing import Any

import numpy as np

from convcheck.problem import Map, Problem

__all__ = ["contract", "exact", "gather", "scatter", "taps"]

Array = np.ndarray[Any, Any]
Slices = tuple[slice, ...]

#: elements of the columns that are held at a time
_COLUMNS = 1 << 23


def taps(problem: Problem) -> Iterator[tuple[Slices, Slices]]:
    """For each tap, in row-major order: the input slice and the output slice that it relates, spatial axes only."""
    axes = [[_tap(problem, axis, k) for k in range(problem.kernel[axis])] for axis in range(problem.ndim)]
    for combination in product(*axes):
        yield tuple(i for i, _ in combination), tuple(o for _, o in combination)


def _tap(problem: Problem, axis: int, k: int) -> tuple[slice, slice]:
    stride, size, out = problem.stride[axis], problem.size[axis], problem.output[axis]
    shift = problem.dilation[axis] * k - problem.padding[axis][0]  # q = stride p + shift
    first = min(out, max(0, ceil(-shift / stride)))
    last = max(first, min(out, (size - 1 - shift) // stride + 1))  # one past
    start = stride * first + shift
    return slice(start, start + stride * (last - first), stride) if last > first else slice(0, 0), slice(first, last)


def gather(problem: Problem, x: Array) -> Array:
    """Columns of x, shape (N, G, C/g * taps, outputs): what each output multiplies with each tap, zero outside."""
    n, g, c = problem.batch, problem.groups, problem.channels_per_group
    columns = np.zeros((n, g, c, prod(problem.kernel), *problem.output), x.dtype)
    source = x.reshape(n, g, c, *problem.size)
    for t, (inside, out) in enumerate(taps(problem)):
        columns[(slice(None),) * 3 + (t, *out)] = source[(slice(None),) * 3 + inside]
    return columns.reshape(n, g, c * prod(problem.kernel), prod(problem.output))


def scatter(problem: Problem, columns: Array) -> Array:
    """Adjoint of `gather`: add every column entry to the input position that it came from; shape of x."""
    n, g, c = problem.batch, problem.groups, problem.channels_per_group
    x = np.zeros((n, g, c, *problem.size), columns.dtype)
    source = columns.reshape(n, g, c, prod(problem.kernel), *problem.output)
    for t, (inside, out) in enumerate(taps(problem)):
        x[(slice(None),) * 3 + inside] += source[(slice(None),) * 3 + (t, *out)]
    return x.reshape(problem.shapes["x"])


def contract(
    which: Map, problem: Problem, a: Array, b: Array, bias: Array | None = None, *, number: Any = np.float64
) -> Array:
    """One of the three maps, in the arithmetic of ``number`` (a NumPy dtype, or object for exact fractions).

    ``a`` and ``b`` play the roles that ``which.roles`` names; the result has the shape of ``which.result``.
    """
    images = max(1, _COLUMNS // max(1, problem.channels * prod(problem.kernel) * prod(problem.output)))
    if problem.batch > images:  # their columns would fill the memory
        return _in_parts(which, problem, a, b, bias, number, images)
    n, g, o, p = problem.batch, problem.groups, problem.filters_per_group, prod(problem.output)
    a, b = _in(number, a), _in(number, b)
    y: Array
    if which is Map.GRAD_WEIGHT:
        columns = np.swapaxes(gather(problem, b), -1, -2)
        gw: Array = np.matmul(a.reshape(n, g, o, p), columns).sum(axis=0).reshape(problem.shapes["w"])
        return gw
    weight = b.reshape(g, o, -1)
    if which is Map.GRAD_INPUT:
        y = scatter(problem, np.matmul(np.swapaxes(weight, -1, -2), a.reshape(n, g, o, p)))
    else:
        y = np.matmul(weight, gather(problem, a)).reshape(problem.shapes["y"])
    return y if bias is None else y + _in(number, bias).reshape(-1, *(1,) * problem.ndim)


def _in_parts(which: Map, problem: Problem, a: Array, b: Array, bias: Array | None, number: Any, images: int) -> Array:
    """Compute a map of so many images at a time."""
    both = which is Map.GRAD_WEIGHT  # both operands have images, and the result is their sum
    parts = []
    for start in range(0, problem.batch, images):
        some = a[start : start + images], b[start : start + images] if both else b
        parts.append(contract(which, problem.replace(batch=len(some[0])), *some, bias, number=number))
    return np.asarray(sum(parts[1:], parts[0])) if both else np.concatenate(parts)


def _in(number: Any, array: Array) -> Array:
    return exact(array) if number is object else array.astype(number)


def exact(array: Array) -> Array:
    """Return the elements as Python ints and Fractions, in an object array; infinities and NaN stay what they are."""
    if array.dtype.kind in "biuO":
        return array.astype(object)
    return np.asarray(np.frompyfunc(_fraction, 1, 1)(array.astype(np.float64)), object)


def _fraction(value: float) -> Fraction | float:
    return Fraction(value) if isfinite(value) else value
