"""What laws of derivatives share: their problems, a bias beside them, and the error of what is stored."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.bounds import expect, is_exact
from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.engines.derivatives import filled
from convcheck.laws.law import ALL_MAPS, Law
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Problem

__all__ = ["FEW", "WORK", "copied", "derived", "stored_slack", "with_bias"]

Array = np.ndarray[Any, Any]

CHAPTER = "Gradients"
#: enough to tell a mistake of this chapter; what hangs on single parameters is for the laws of the maps
FEW: dict[str, tuple[str, ...]] = {
    "dtype": ("f32", "f64", "f16", "bf16"),
    "channels": ("one", "few", "odd"),
    "filters": ("one", "few", "odd"),
    "kernel": ("small", "unit", "even", "odd"),
    "stride": ("one", "two", "unequal"),
    "dilation": ("one", "two"),
    "padding": ("none", "symmetric", "two-sided"),
    "size": ("tiny", "narrow", "uneven"),
}
#: multiply-adds that its problems may have
WORK = 20_000


def copied(values: dict[str, Array]) -> dict[str, Array]:
    """Values that a target may spoil, which the law gradients-touch-nothing alone is to find."""
    return {role: array.copy() for role, array in values.items()}


def derived(check: Callable[[Conv, Problem, Operands], Claim], offers: str = "", **more: Any) -> Law:
    """Return a law of derivatives, on few classes of problems."""
    usual: dict[str, Any] = {"maps": ALL_MAPS, "needs": FEW, "work": WORK}
    return Law(check, CHAPTER, derived=True, offers=offers, **(usual | more))


def stored_slack(conv: Conv, problem: Problem, operands: Operands) -> Array | float:
    """Error that a result may carry, the rounding to its own type included."""
    if is_exact(conv.map, problem, operands, conv.numerics, stored=True):
        return 0.0
    value, bound = expect(conv.map, problem, operands, conv.numerics)
    dtype = DTYPES[problem.dtype]
    size = np.abs(value.astype(np.float64))
    return np.asarray(bound + dtype.unit_roundoff * (size + bound) + dtype.smallest_subnormal)


def with_bias(conv: Conv, problem: Problem, operands: Operands) -> tuple[Problem, dict[str, Array]]:
    """Return the problem with a bias, and values by role for it."""
    biased, role = problem.replace(bias=True), conv.engine.capabilities.primary.bias
    return biased, filled(conv.map, problem, operands) | {role: make(biased, role, Fill("dense", 3))}
