"""The few rearrangements of arrays that laws are written in."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.problem import Map, Problem

__all__ = ["bits", "flat", "flip", "pad", "small_limit", "spatial", "stuff", "subsample", "wide", "wide_number"]

Array = np.ndarray[Any, Any]


def spatial(array: Array, index: Iterable[Any]) -> Array:
    """View of what an index chooses along the last axes, with nothing chosen along those before."""
    return array[..., *index]


def flip(array: Array) -> Array:
    """Reverse all spatial axes (the third onwards)."""
    return np.ascontiguousarray(np.flip(array, tuple(range(2, array.ndim))))


def subsample(array: Array, steps: Iterable[int]) -> Array:
    """Every s-th element along each spatial axis."""
    return spatial(array, (slice(None, None, s) for s in steps))


def stuff(array: Array, gaps: Iterable[int]) -> Array:
    """Put d - 1 zeros between neighbours along each spatial axis."""
    gaps = tuple(gaps)
    sizes = tuple(d * (k - 1) + 1 for k, d in zip(array.shape[2:], gaps, strict=True))
    stuffed = np.zeros((*array.shape[:2], *sizes), array.dtype)
    spatial(stuffed, (slice(None, None, d) for d in gaps))[...] = array
    return stuffed


def pad(array: Array, problem: Problem, mode: Any = "constant") -> Array:
    """Surround the spatial axes with the problem's padding: zeros, unless another mode of `numpy.pad` is named."""
    return np.pad(array, ((0, 0), (0, 0), *problem.padding), mode)


def wide(array: Array) -> Array:
    """Return the values in the widest type of their kind, so that a law's own sums do not round."""
    number = {"i": np.int64, "u": np.int64, "c": np.clongdouble}.get(array.dtype.kind, np.longdouble)
    return array.astype(number)


def wide_number(problem: Problem) -> Any:
    """Return the widest type in which other libraries compute with a problem's numbers."""
    return {"i": np.int64, "c": np.complex128}.get(DTYPES[problem.dtype].kind, np.float64)


def small_limit(problem: Problem, which: Map = Map.FORWARD) -> int:
    """Limit of small dense operands, 3 or 1, by which no sum can overflow; 0 where the type is too short for any."""
    largest, terms = DTYPES[problem.dtype].largest, problem.terms(which)
    return next((m for m in (3, 1) if m * m * terms + m * problem.bias <= largest), 0)


def bits(array: Array) -> Array:
    """Elements, or the two parts of each, as unsigned integers of their bit patterns."""
    parts = 2 if array.dtype.kind == "c" else 1
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize // parts}")


def flat(*arrays: Array) -> Array:
    """All elements of several arrays in a row."""
    return np.concatenate([np.asarray(array).ravel() for array in arrays])
