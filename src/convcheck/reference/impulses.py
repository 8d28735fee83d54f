"""The bilinear operator that a map realises, by one-hot operands, and the 0/1 tensor that it should be."""

from __future__ import annotations

from itertools import product
from math import prod
from typing import Any, Protocol

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

__all__ = ["certify", "impulse_call"]

Array = np.ndarray[Any, Any]


class Realised(Protocol):
    """What `certify` needs of a convolution under test."""

    map: Map
    engine: Any

    def __call__(self, problem: Problem, a: Array, b: Array, bias: Array | None = None) -> Array:
        """Apply the map."""


def certify(conv: Realised, problem: Problem) -> tuple[Array, Array]:
    """Return (realised, expected) responses of a map to every pair of one-hot operands of a problem's shape.

    Where the engine takes batches and channels, one call holds all pairs; else there is one call a pair.
    """
    if {"batch", "channels"} <= conv.engine.capabilities.features:
        stacked, a, b = impulse_call(conv.map, problem)
        return conv(stacked, a, b), contract(conv.map, stacked, a, b).astype(a.dtype)
    pairs = list(product(*(_one_hots(problem, role) for role in conv.map.roles)))
    return (
        np.stack([conv(problem, a, b) for a, b in pairs]),
        np.stack([contract(conv.map, problem, a, b).astype(a.dtype) for a, b in pairs]),
    )


def impulse_call(which: Map, problem: Problem) -> tuple[Problem, Array, Array]:
    """One call that holds every pair of one-hot operands: (problem, a, b).

    Each operand has one axis that the other lacks and the result keeps: images of x and y, filters of w and y,
    channels of x and w. That axis numbers the operand's one-hots, which then lie in its other axes.
    """
    g, c, o = problem.groups, problem.channels_per_group, problem.filters_per_group
    taps, inside, outside = prod(problem.kernel), prod(problem.size), prod(problem.output)
    dtype = DTYPES[problem.dtype].numpy
    if which is Map.FORWARD:
        stacked = problem.replace(batch=g * c * inside, filters=g * c * taps)
        return stacked, _along_images(stacked, "x", dtype), _within_groups(stacked, (g, c * taps, c, *problem.kernel), dtype)
    if which is Map.GRAD_INPUT:
        stacked = problem.replace(batch=g * o * outside, channels=g * o * taps)
        weight = np.tile(np.eye(o * taps, dtype=dtype), (g, 1)).reshape(g, o * taps, o, *problem.kernel)
        return stacked, _along_images(stacked, "y", dtype), np.ascontiguousarray(weight.swapaxes(1, 2)).reshape(stacked.shapes["w"])
    n = problem.batch
    stacked = problem.replace(filters=g * n * outside, channels=g * n * inside)
    return stacked, _along_channels(stacked, "y", dtype), _along_channels(stacked, "x", dtype)


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
