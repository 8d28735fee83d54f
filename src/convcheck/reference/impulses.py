"""The bilinear operator that a map realises, by one-hot operands, and the 0/1 tensor that it should be."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any, Protocol

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.errors import UnsupportedError
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

__all__ = ["certify", "impulse_call", "stacked_problem"]

Array = np.ndarray[Any, Any]

#: multiply-adds of a certificate, in those of the largest problem that its engine is otherwise given; those that a
#: stride leaves out count, since an engine may compute and drop them
PATIENCE = 100
#: multiply-adds for which an interpreted loop over images, filters and channels could add up one more pair of planes
PLANE = 300
#: multiply-adds or elements of an operand, such pairs, and calls of any certificate: seconds of a loop over SciPy, less
#: than a call may take
WORK, PLANES, CALLS = 50_000_000, 100_000, 10_000


class Realised(Protocol):
    """What `certify` needs of a convolution under test."""

    map: Map
    engine: Any

    def __call__(self, problem: Problem, a: Array, b: Array, bias: Array | None = None) -> Array:
        """Apply the map."""

    def slack(self, problem: Problem, operands: Operands, *, copies: bool) -> Array | float:
        """Error that a result may carry, ``copies`` saying that it is one product by 1."""


def certify(conv: Realised, problem: Problem) -> tuple[Array, Array, Array]:
    """Responses of a map to every pair of one-hot operands of a problem's shape: (realised, expected, error allowed).

    Where the engine takes batches and channels, one call holds all pairs; else there is one call a pair.

    Raises
    ------
    UnsupportedError
        If that takes more multiply-adds, elements, pairs of planes, or calls than an engine of this speed has time for.
    """
    offered, together = conv.engine.capabilities, stacked_problem(conv.map, problem)
    stackable = {"batch", "channels"} <= offered.features
    calls = 1 if stackable else prod(prod(problem.shapes[role]) for role in conv.map.roles)
    planes = together.batch * together.filters * together.channels_per_group
    dense = {"stride": (1,) * problem.ndim}
    work = together.replace(**dense).work if stackable else calls * problem.replace(**dense).work
    too_slow = max(work, PLANE * planes) > PATIENCE * offered.work_limit
    elements = max(prod(together.shapes[role]) for role in ("x", "w", "y")) if stackable else 0
    if too_slow or max(work, elements) > WORK or planes > PLANES or calls > CALLS:
        raise UnsupportedError("too large to certify: too many multiply-adds, elements, pairs of planes, or calls")
    if stackable:
        return _response(conv, *impulse_call(conv.map, problem))
    pairs = product(*(_one_hots(problem, role) for role in conv.map.roles))
    realised, expected, slack = zip(*(_response(conv, problem, a, b) for a, b in pairs), strict=True)
    return np.stack(realised), np.stack(expected), np.stack(slack)


def _response(conv: Realised, problem: Problem, a: Array, b: Array) -> tuple[Array, Array, Array]:
    expected = contract(conv.map, problem, a, b).astype(a.dtype)  # before a call that may spoil the operands
    slack = np.broadcast_to(conv.slack(problem, Operands(a, b), copies=True), expected.shape)
    return conv(problem, a, b), expected, slack


def impulse_call(which: Map, problem: Problem) -> tuple[Problem, Array, Array]:
    """One call that holds every pair of one-hot operands: (problem, a, b).

    Each operand has one axis that the other lacks and the result keeps: images of x and y, filters of w and y,
    channels of x and w. That axis numbers the operand's one-hots, which then lie in its other axes.
    """
    g, c, o = problem.groups, problem.channels_per_group, problem.filters_per_group
    taps, dtype = prod(problem.kernel), DTYPES[problem.dtype].numpy
    stacked = stacked_problem(which, problem)
    if which is Map.FORWARD:
        weight = _within_groups(stacked, (g, c * taps, c, *problem.kernel), dtype)
        return stacked, _along_images(stacked, "x", dtype), weight
    if which is Map.GRAD_INPUT:
        weight = np.tile(np.eye(o * taps, dtype=dtype), (g, 1)).reshape(g, o * taps, o, *problem.kernel)
        weight = np.ascontiguousarray(weight.swapaxes(1, 2)).reshape(stacked.shapes["w"])
        return stacked, _along_images(stacked, "y", dtype), weight
    return stacked, _along_channels(stacked, "y", dtype), _along_channels(stacked, "x", dtype)


def stacked_problem(which: Map, problem: Problem) -> Problem:
    """Problem of the call that holds every pair of one-hot operands: of the same geometry, with more of two axes."""
    g, c, o, n = problem.groups, problem.channels_per_group, problem.filters_per_group, problem.batch
    taps, inside, outside = prod(problem.kernel), prod(problem.size), prod(problem.output)
    if which is Map.FORWARD:
        return problem.replace(batch=g * c * inside, filters=g * c * taps)
    if which is Map.GRAD_INPUT:
        return problem.replace(batch=g * o * outside, channels=g * o * taps)
    return problem.replace(filters=g * n * outside, channels=g * n * inside)


def _along_images(problem: Problem, role: str, dtype: Any) -> Array:
    return np.eye(problem.batch, dtype=dtype).reshape(problem.shapes[role])


def _within_groups(problem: Problem, shape: tuple[int, ...], dtype: Any) -> Array:
    return np.tile(np.eye(shape[1], dtype=dtype), (shape[0], 1)).reshape(problem.shapes["w"])


def _along_channels(problem: Problem, role: str, dtype: Any) -> Array:
    n, all_channels, *sizes = problem.shapes[role]
    eye = np.eye(all_channels // problem.groups, dtype=dtype)
    each = np.moveaxis(eye.reshape(-1, n, *sizes), 1, 0)
    return np.ascontiguousarray(np.tile(each, (1, problem.groups, *(1,) * len(sizes))))


def _one_hots(problem: Problem, role: str) -> list[Array]:
    shape = problem.shapes[role]
    return list(np.eye(prod(shape), dtype=DTYPES[problem.dtype].numpy).reshape(-1, *shape))
