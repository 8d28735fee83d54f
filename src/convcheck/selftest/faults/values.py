"""Faults of arithmetic: operands, sums or results of too little precision, clipped, or changed in value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from convcheck.operands import Operands
from convcheck.selftest.base import accumulator, add_bias, products
from convcheck.selftest.base import store as right_store
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Fault, plant

__all__ = ["FAULTS", "in_pieces", "narrowed", "rounded", "tf32", "toward_zero"]

Array = np.ndarray[Any, Any]
Sums = Callable[[Call, Array, Array], Array]
Store = Callable[[Call, Array, Array | None], Array]
BF16 = np.dtype(ml_dtypes.bfloat16)


def tf32(values: Array) -> Array:
    """Round float32 to ten bits after the point, to nearest even."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    rounded_bits = (bits + np.uint32(0xFFF) + ((bits >> np.uint32(13)) & np.uint32(1))) & np.uint32(0xFFFFE000)
    return np.where(np.isfinite(values), rounded_bits.view(np.float32), values)


def rounded(only: tuple[str, ...], to: Any, sides: str = "both") -> Sums:
    """Round operands of some dtypes to a narrower one first (``tf32`` or a dtype): left, right or both."""

    def narrow(values: Array) -> Array:
        return tf32(values) if to == "tf32" else values.astype(to).astype(values.dtype)

    def sums(call: Call, left: Array, right: Array) -> Array:
        if call.dtype.name in only:
            left = narrow(left) if sides in ("both", "left") else left
            right = narrow(right) if sides in ("both", "right") else right
        return products(call, left, right)

    return sums


def narrowed(only: tuple[str, ...], to: Any) -> Sums:
    """Keep the sums of some dtypes in a narrower type, term by term."""

    def sums(call: Call, left: Array, right: Array) -> Array:
        if call.dtype.name not in only:
            return products(call, left, right)
        total = np.zeros((*np.broadcast_shapes(left.shape[:-2], right.shape[:-2]), left.shape[-2], right.shape[-1]), to)
        for k in range(left.shape[-1]):
            total = (total + left[..., :, k, None].astype(to) * right[..., None, k, :].astype(to)).astype(to)
        return total.astype(accumulator(call.dtype))

    return sums


def in_pieces(only: tuple[str, ...], piece: int, to: Any) -> Sums:
    """Sum pieces of so many terms, and store each partial sum in a narrower type (split-k)."""

    def sums(call: Call, left: Array, right: Array) -> Array:
        if call.dtype.name not in only:
            return products(call, left, right)
        starts = range(0, max(1, left.shape[-1]), piece)
        parts = [products(call, left[..., s : s + piece], right[..., s : s + piece, :]) for s in starts]
        return np.asarray(sum(part.astype(to).astype(part.dtype) for part in parts))

    return sums


def toward_zero(dtype: np.dtype[Any], values: Array) -> Array:
    """Convert to a narrower float by cutting bits off instead of rounding."""
    if dtype == BF16:
        bits = values.astype(np.float32).view(np.uint32) & np.uint32(0xFFFF0000)
        return bits.view(np.float32).astype(BF16)
    nearest = values.astype(dtype)
    too_large = np.abs(nearest.astype(values.dtype)) > np.abs(values)
    return np.where(too_large, np.nextafter(nearest, np.zeros((), dtype)), nearest)


def _truncating(only: str) -> Store:
    def store(call: Call, sums: Array, bias: Array | None) -> Array:
        if call.dtype.name != only:
            return right_store(call, sums, bias)
        return toward_zero(call.dtype, add_bias(call, sums, bias))

    return store


def _products_cut_off(call: Call, left: Array, right: Array) -> Array:
    """Cut products of float32 off instead of rounding them, then sum."""
    if call.dtype != np.float32:
        return products(call, left, right)
    shape = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    total = np.zeros((*shape, left.shape[-2], right.shape[-1]), np.float32)
    for k in range(left.shape[-1]):
        exact = left[..., :, k, None].astype(np.float64) * right[..., None, k, :]
        total = total + toward_zero(np.dtype(np.float32), exact)
    return total


def _through(only: tuple[str, ...], to: Any) -> Store:
    """Let the sums pass through another type before they are stored."""

    def store(call: Call, sums: Array, bias: Array | None) -> Array:
        return right_store(call, sums.astype(to).astype(sums.dtype) if call.dtype.name in only else sums, bias)

    return store


def changed(change: Callable[[Call, Array], Any]) -> Store:
    """Change the sums before they are stored."""

    def store(call: Call, sums: Array, bias: Array | None) -> Array:
        return np.asarray(change(call, add_bias(call, sums, bias))).astype(call.dtype)

    return store


def _without_sign(_: Call, operands: Operands) -> Operands:
    return operands._replace(b=np.abs(operands.b))


def _lowest_clipped(call: Call, operands: Operands) -> Operands:
    """Take the lowest integer for the one above, as a range that is symmetric about zero does."""
    if call.dtype.kind != "i":
        return operands
    return operands.changed(lambda array: np.maximum(array, np.iinfo(call.dtype).min + 1))


def _inside_only(call: Call, sums: Array) -> Array:
    """Divide by the share of taps that lie inside the input, as an average pooling does that leaves padding out."""
    share: Any = np.ones((1,) * call.ndim)
    for axis in range(call.ndim):
        starts = call.stride[axis] * np.arange(call.output[axis]) - call.padding[axis][0]
        taps = starts[:, None] + call.dilation[axis] * np.arange(call.kernel[axis])
        count = np.maximum(1, ((taps >= 0) & (taps < call.size[axis])).sum(axis=1)) / call.kernel[axis]
        share = share * count.reshape([-1 if a == axis else 1 for a in range(call.ndim)])
    return np.asarray(sums / share)


def _flushed(_: Call, sums: Array) -> Array:
    return np.where(np.abs(sums) < 2.0**-18, 0, sums) if sums.dtype.kind == "f" else sums


_F32, _LOW = ("float32",), ("float16", "bfloat16")
_DTYPE_SUMS: dict[str, Sums] = {
    "f32-operands-rounded-to-bf16": rounded(_F32, BF16),
    "f32-operands-rounded-to-tf32": rounded(_F32, "tf32"),
    "f32-operands-rounded-to-f16": rounded(_F32, np.float16),
    "f32-weight-rounded-to-bf16": rounded(_F32, BF16, "left"),
    "f32-input-rounded-to-tf32": rounded(_F32, "tf32", "right"),
    "f16-operands-rounded-to-bf16": rounded(("float16",), BF16),
    "f64-operands-rounded-to-f32": rounded(("float64",), np.float32),
    "f64-weight-rounded-to-f32": rounded(("float64",), np.float32, "left"),
    "f64-summed-in-f32": narrowed(("float64",), np.float32),
    "f32-summed-in-f16": narrowed(_F32, np.float16),
    "f16-summed-in-f16": narrowed(("float16",), np.float16),
    "bf16-summed-in-bf16": narrowed(("bfloat16",), BF16),
    "f16-summed-in-bf16": narrowed(("float16",), BF16),
    "i64-summed-in-f64": narrowed(("int64",), np.float64),
    "i64-summed-in-i32": narrowed(("int64",), np.int32),
    "i32-summed-in-f32": narrowed(("int32",), np.float32),
    "i32-summed-in-i16": narrowed(("int32",), np.int16),
    "i16-summed-in-i8": narrowed(("int16",), np.int8),
    "i32-operands-cut-to-i16": rounded(("int32",), np.int16),
    "i64-operands-cut-to-i32": rounded(("int64",), np.int32),
    **{
        f"{name}-partial-sums-of-{piece}-in-{to}": in_pieces((full,), piece, dtype)
        for name, full in (("f32", "float32"), ("f16", "float16"), ("bf16", "bfloat16"))
        for piece in (8, 32)
        for to, dtype in (("f16", np.float16), ("bf16", BF16))
        if name in ("f32", to)
    },
    "f64-partial-sums-of-16-in-f32": in_pieces(("float64",), 16, np.float32),
}
_DTYPE_STORES: dict[str, Store] = {
    "f16-result-cut-off-not-rounded": _truncating("float16"),
    "bf16-result-cut-off-not-rounded": _truncating("bfloat16"),
    "f64-result-through-f32": _through(("float64",), np.float32),
    "f32-result-through-f16": _through(_F32, np.float16),
    "f16-result-through-bf16": _through(("float16",), BF16),
    "i64-result-through-f64": _through(("int64",), np.float64),
    "i32-result-through-f32": _through(("int32",), np.float32),
}
_CHANGES: dict[str, Callable[[Call, Array], Any]] = {
    "negative-results-zero": lambda _, y: np.maximum(y, 0),
    "absolute-values": lambda _, y: np.abs(y),
    "results-clipped-to-6": lambda _, y: np.clip(y, -6, 6),
    "results-clipped-to-127": lambda _, y: np.clip(y, -127, 127),
    "results-clipped-to-2048": lambda _, y: np.clip(y, -2048, 2048),
    "results-clipped-to-the-f16-range": lambda _, y: np.clip(y, -65504, 65504),
    "results-modulo-256": lambda _, y: np.fmod(y, 256),
    "results-squared": lambda _, y: y * y,
    "results-negated": lambda _, y: -y,
    "results-0.1-percent-too-large": lambda _, y: y * 1.001,
    "results-a-millionth-too-large": lambda _, y: y * (1 + 2.0**-20),
    "results-plus-epsilon": lambda _, y: y + 1e-3,
    "results-plus-one": lambda _, y: y + 1,
    "averaged-over-taps": lambda c, y: y / c.taps,
    "averaged-over-taps-inside": _inside_only,
    "results-below-2^-18-flushed": _flushed,
    "results-rounded-to-integers": lambda _, y: np.rint(y) if y.dtype.kind == "f" else y,
}
FAULTS: tuple[Fault, ...] = (
    *(plant(name, "dtype", sums=sums) for name, sums in _DTYPE_SUMS.items()),
    *(plant(name, "dtype", store=store) for name, store in _DTYPE_STORES.items()),
    *(plant(name, "arithmetic", store=changed(change)) for name, change in _CHANGES.items()),
    plant("f32-products-cut-off-not-rounded", "dtype", sums=_products_cut_off),
    plant("weight-without-sign", "arithmetic", take=_without_sign),
    plant("lowest-integer-clipped", "dtype", take=_lowest_clipped),
)
