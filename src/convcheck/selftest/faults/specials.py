"""Faults of NaN and infinity: swallowed, or spread to outputs that do not see them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import products
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant
from convcheck.selftest.faults.padding import outside, replicate

__all__ = ["FAULTS", "cleaned"]

Array = np.ndarray[Any, Any]
Sums = Callable[[Call, Array, Array], Array]


def _floats(call: Call) -> bool:
    return call.dtype.kind not in "iu"


def cleaned(role: str, **values: float) -> Callable[[Call, Operands], Operands]:
    """Replace special values of an operand first: ``nan``, ``posinf`` or ``neginf``."""
    replaced: dict[str, Any] = {"nan": np.nan, "posinf": np.inf, "neginf": -np.inf} | values

    def take(call: Call, operands: Operands) -> Operands:
        array = getattr(operands, role)
        if array is None or not _floats(call):
            return operands
        clean = np.nan_to_num(array.astype(np.float64), copy=True, **replaced).astype(call.dtype)
        return operands._replace(**{role: clean})

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


def _masked_border(call: Call, picked: Array) -> Array:
    """Padding is the nearest border, multiplied by zero."""
    return picked * ~outside(call, every=False) if _floats(call) else np.where(outside(call, every=False), 0, picked)


def _spread_to_next_group(call: Call, _: Operands, y: Array) -> Array:
    """Channels are rounded up to whole vectors, the rest being the neighbour group's times zero."""
    if call.groups == 1 or call.channels % 4 == 0 or not _floats(call):
        return y
    grouped = y.reshape(call.batch, call.groups, call.filters, *call.output)
    bad = np.isnan(grouped.astype(np.float64)).any(axis=2, keepdims=True)
    return np.where(np.roll(bad, -1, axis=1), np.array(np.nan, y.dtype), grouped).reshape(y.shape)


def _kernel_rounded_up(lanes: int) -> dict[str, Any]:
    """Round the kernel's last axis up to whole vectors: what lies beyond is multiplied by zero weights."""

    def more(call: Call) -> int:
        return -call.kernel[-1] % lanes if call.which is Map.FORWARD else 0

    def see(call: Call) -> Call:
        return call.replace(kernel=(*call.kernel[:-1], call.kernel[-1] + more(call)))

    def take(call: Call, operands: Operands) -> Operands:
        margins = [(0, 0)] * (call.ndim + 1) + [(0, more(call))]
        return operands._replace(b=np.pad(operands.b, margins))

    return {"see": see, "take": take}


def _clipped(_: Call, __: Operands, y: Array) -> Array:
    if y.dtype.kind in "iu":
        return y
    largest = 3e38 if y.dtype.itemsize == 4 else 1e308 if y.dtype.itemsize == 8 else 6e4
    return np.clip(y.astype(np.float64), -largest, largest).astype(y.dtype)


FAULTS: tuple[Fault, ...] = (
    plant("nan-of-the-input-read-as-zero", "special values", take=cleaned("a", nan=0)),
    plant("infinity-of-the-input-clipped", "special values", take=cleaned("a", posinf=6e4, neginf=-6e4)),
    plant("negative-infinity-read-as-positive", "special values", take=cleaned("a", neginf=np.inf)),
    plant("nan-products-skipped", "special values", sums=_nan_columns_zero),
    plant("nan-results-zero", "special values", give=_zero_where_nan),
    plant("infinite-results-clipped", "special values", give=_clipped),
    plant("nan-spreads-over-the-plane", "special values", give=leaking((2, 3, 4))),
    plant("nan-spreads-over-filters", "special values", give=leaking((1,))),
    plant("nan-spreads-over-images", "special values", give=leaking((0,))),
    plant("nan-spreads-along-the-row", "special values", give=leaking((-1,))),
    *(plant(f"nan-spreads-over-vectors-of-{n}", "special values", give=_lanes(n)) for n in (2, 4, 8)),
    *(plant(f"nan-times-zero-beyond-a-kernel-of-{n}s", "special values", **_kernel_rounded_up(n)) for n in (2, 4)),
    plant("nan-spreads-to-the-next-group", "special values", give=_spread_to_next_group),
    plant("nan-of-the-weight-read-as-zero", "special values", take=cleaned("b", nan=0)),
    plant("infinity-of-the-weight-clipped", "special values", take=cleaned("b", posinf=6e4, neginf=-6e4)),
    plant("nan-of-the-bias-read-as-zero", "special values", take=cleaned("bias", nan=0)),
    plant("padding-is-the-border-times-zero", "special values", table=replicate, look=_masked_border),
)
