"""Output buffers, for functions that write where they are told: poisoned, so that what is never written shows."""

from __future__ import annotations

from typing import Any

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.layouts import telltale
from convcheck.problem import Map, Problem

__all__ = ["has_its_turn", "poisoned"]

Array = np.ndarray[Any, Any]


def poisoned(which: Map, problem: Any) -> Array:
    """Return memory for a result (N, O, *size): NaN all over, or a telltale in integers.

    Where nothing can be the result, because no convolution can answer the call, it has a single element.
    """
    shape = problem.shapes[which.result] if isinstance(problem, Problem) else (1,) * (2 + problem.ndim)
    dtype = DTYPES[problem.dtype]
    poison = np.nan if dtype.kind != "i" else telltale(dtype.numpy.itemsize)
    return np.full(shape, poison, dtype.numpy)


def has_its_turn(which: Map, problem: Any) -> bool:
    """Whether an optional buffer is given: for every second size of the result, and always for a single element."""
    return isinstance(problem, Problem) and sum(n - 1 for n in problem.shapes[which.result]) % 2 == 0
