"""Faults of NaN and infinity: swallowed, or spread to outputs that do not see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.selftest.base import products
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant

__all__ = ["FAULTS"]

Array = np.ndarray[Any, Any]
Sums = Callable[[Call, Array, Array], Array]


def _floats(call: Call) -> bool:
    return call.dtype.kind not in "iu"


def _cleaned(**values: float) -> Callable[[Call, Operands], Operands]:
    """Replace special values of the input first."""

    def take(call: Call, operands: Operands) -> Operands:
        if not _floats(call):
            return operands
        x = operands.a.astype(np.float64)
        return operands._replace(a=np.nan_to_num(x, **({"nan": np.nan, "posinf": np.inf, "neginf": -np.inf} | values)).astype(call.dtype))

    return take


def leaking(axes: tuple[int, ...]) -> Callable[[Call, Operands, Array], Array]:
    """Let a NaN or an infinity of a result spread over all of some axes, as a multiplication by zero does."""

    def give(call: Call, _: Operands, y: Array) -> Array:
        if not _floats(call):
            return y
        chosen = tuple(axis for axis in axes if axis < y.ndim)
        bad = ~np.isfinite(y.astype(np.float64)).all(axis=chosen, keepdims=True)
        return np.where(bad, np.array(np.nan, y.dtype), y)

    return give


def _lanes(width: int) -> Callable[[Call, Operands, Array], Array]:
    """Let a NaN of a result spread over the vector of columns that it lies in."""

    def give(call: Call, _: Operands, y: Array) -> Array:
        if _floats(call):
            for start in range(0, y.shape[-1], width):
                block = y[..., start : start + width]
                bad = np.isnan(block.astype(np.float64)).any(axis=-1, keepdims=True)
                block[...] = np.where(bad, np.array(np.nan, y.dtype), block)
        return y

    return give


def _nan_columns_zero(call: Call, left: Array, right: Array) -> Array:
    """Skip products that are NaN."""
    if not _floats(call) or np.isfinite(right.astype(np.float64)).all():
        return products(call, left, right)
    return products(call, left, np.where(np.isnan(right.astype(np.float64)), np.zeros((), right.dtype), right))


def _zero_where_nan(call: Call, _: Operands, y: Array) -> Array:
    return np.where(np.isnan(y.astype(np.float64)), np.zeros((), y.dtype), y) if _floats(call) else y


def _poisoned_padding(call: Call, picked: Array) -> Array:
    """Padding reads the input's first element times zero."""
    if not _floats(call) or not any(map(any, call.padding)):
        return picked
    return picked + picked[(slice(None), slice(None), slice(None), *(slice(0, 1),) * (2 * call.ndim))] * np.zeros((), picked.dtype)


def _clipped(_: Call, __: Operands, y: Array) -> Array:
    if y.dtype.kind in "iu":
        return y
    largest = 3e38 if y.dtype.itemsize == 4 else 1e308 if y.dtype.itemsize == 8 else 6e4
    return np.clip(y.astype(np.float64), -largest, largest).astype(y.dtype)


FAULTS: tuple[Fault, ...] = (
    plant("nan-of-the-input-read-as-zero", "special values", take=_cleaned(nan=0)),
    plant("infinity-of-the-input-clipped", "special values", take=_cleaned(posinf=6e4, neginf=-6e4)),
    plant("negative-infinity-read-as-positive", "special values", take=_cleaned(neginf=np.inf)),
    plant("nan-products-skipped", "special values", sums=_nan_columns_zero),
    plant("nan-results-zero", "special values", give=_zero_where_nan),
    plant("infinite-results-clipped", "special values", give=_clipped),
    plant("nan-spreads-over-the-plane", "special values", give=leaking((2, 3, 4))),
    plant("nan-spreads-over-filters", "special values", give=leaking((1,))),
    plant("nan-spreads-over-images", "special values", give=leaking((0,))),
    plant("nan-spreads-along-the-row", "special values", give=leaking((-1,))),
    *(plant(f"nan-spreads-over-vectors-of-{n}", "special values", give=_lanes(n)) for n in (2, 4, 8)),
    plant("nan-of-the-corner-reaches-the-padding", "special values", look=_poisoned_padding),
)
