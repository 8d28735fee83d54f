"""Which arithmetic a target has: probes for the precision of its sums, and for the errors of FFT and Winograd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from math import ceil, log2
from typing import Any

import numpy as np

from convcheck.bounds import Numerics, expect
from convcheck.dtypes import DTYPES
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

__all__ = ["is_normwise", "sums_narrowly"]

Array = np.ndarray[Any, Any]
Call = Callable[[Problem, Operands], Array | None]


def sums_narrowly(call: Call, problem: Problem, dtype: str, *, channels: bool) -> bool:
    """Whether products, or sums of a few terms along taps or channels, are rounded to the operands' own type.

    Large terms cancel around a 1, which is lost where a partial sum is rounded; and a product of two odd numbers
    needs more bits than the type has. All that is summed is exact in float32.
    """
    precision = DTYPES[dtype].precision
    big, odd = 2.0 ** (precision + 1), 2.0 ** (precision // 2 + 1) + 1
    cancelling = [((big, 1, -big), (1, 1, 1)), ((1, big, -big), (1, 1, 1)), ((big, -big, 1), (1, 1, 1))]
    trials = [*cancelling, ((odd, -1, 0), (odd, odd * odd - 1, 0))]
    shapes = tuple(_shapes(problem.ndim, channels=channels))
    for (x, w), shape, more in product(trials, shapes, (0, 2)):
        case = problem.replace(
            size=tuple(k + more for k in shape[1:]),
            kernel=shape[1:],
            channels=shape[0],
            filters=1 + more if channels else 1,
            dtype=dtype,
        )
        result = call(case, _spread(x, w, case))
        if result is not None and result.size and float(result.flat[0]) != 1:
            return True
    return False


def _shapes(ndim: int, *, channels: bool) -> Iterator[tuple[int, ...]]:
    """Channels and kernels over which the terms are spread: along the last axis, over all axes, over channels."""
    yield 1, *(1,) * (ndim - 1), 3
    yield 1, *(3,) * ndim
    if channels:
        yield 3, *(1,) * ndim
        yield 4, *(1,) * (ndim - 1), 3


def _spread(x: tuple[float, ...], w: tuple[float, ...], case: Problem) -> Operands:
    """Lay three terms out at the first, the middle and the last tap of every filter, zero elsewhere."""
    number = DTYPES[case.dtype].numpy
    window, weight = (np.zeros((case.channels, *case.kernel), number) for _ in range(2))
    places = [0, window.size // 2, window.size - 1]
    window.flat[places], weight.flat[places] = np.array(x, number), np.array(w, number)
    image = np.zeros(case.shapes["x"], number)
    image[0][(slice(None), *map(slice, case.kernel))] = window
    return Operands(image, np.ascontiguousarray(np.broadcast_to(weight, case.shapes["w"])))


def is_normwise(call: Call, which: Map, problem: Problem, dtypes: tuple[str, ...], *, channels: bool) -> bool:
    """Whether exact integers come back with errors, all within what a normwise bound allows."""
    shapes = [(9, 3, 1), (16, 5, 1), (24, 9, 1), *([(12, 3, 16)] if channels else [])]
    for dtype, (size, kernel, count) in product([d for d in ("f32", "f64") if d in dtypes], shapes):
        sizes, kernels = (
            ((6, 7, 8), (3, 3, 3)) if problem.ndim == 3 else ((size,) * problem.ndim, (kernel,) * problem.ndim)
        )
        case = problem.replace(size=sizes, kernel=kernels, channels=count, dtype=dtype)
        bits = (DTYPES[dtype].precision - ceil(log2(case.terms(which)))) // 2
        operands = Operands(*(make(case, role, Fill("dense", 2**bits - 1)) for role in which.roles))
        result = call(case, operands)
        exact, norm = (expect(which, case, operands, Numerics(normwise=n)) for n in (False, True))
        if result is None or result.shape != exact.value.shape:
            continue
        error = np.abs(result.astype(np.float64) - exact.value.astype(np.float64))
        if np.any(error > 0) and np.all(error <= norm.bound):
            return True
    return False
