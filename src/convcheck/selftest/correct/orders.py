"""Correct engines that sum in their own order or precision: every order is within the bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from convcheck.bounds import Numerics
from convcheck.engines.base import Engine
from convcheck.problem import Map
from convcheck.selftest.base import BASE, accumulator, products, store
from convcheck.selftest.call import Call
from convcheck.selftest.fault import COMPLEX, EVERYTHING
from convcheck.selftest.faults.values import in_pieces, narrowed, rounded

__all__ = ["ENGINES"]

Array = np.ndarray[Any, Any]
Sums = Callable[[Call, Array, Array], Array]


def _terms(call: Call, left: Array, right: Array) -> list[Array]:
    """Products, term by term, in the accumulator's type."""
    wide = accumulator(call.dtype)
    a, b = left.astype(wide), right.astype(wide)
    return [a[..., :, k, None] * b[..., None, k, :] for k in range(a.shape[-1])]


def _backwards(call: Call, left: Array, right: Array) -> Array:
    total, *rest = _terms(call, left, right)[::-1]
    for term in rest:
        total = total + term
    return np.asarray(total)


def _pairwise(call: Call, left: Array, right: Array) -> Array:
    terms = _terms(call, left, right)
    while len(terms) > 1:
        pairs = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = pairs + terms[len(terms) - len(terms) % 2 :]
    return terms[0]


def _kahan(call: Call, left: Array, right: Array) -> Array:
    terms = _terms(call, left, right)
    if call.dtype.kind in "iu" or not all(np.isfinite(term).all() for term in terms):
        return _backwards(call, left, right)  # infinity minus infinity would make NaN of the correction
    total, lost = terms[0], np.zeros_like(terms[0])
    for term in terms[1:]:
        corrected = term - lost
        new = total + corrected
        total, lost = new, (new - total) - corrected
    return np.asarray(total)


def _three_products(call: Call, left: Array, right: Array) -> Array:
    """Take the imaginary parts from (a + b) (c + d): three real products instead of four (Higham, section 23.2.4)."""
    if call.dtype.kind != "c":
        return products(call, left, right)
    real, imaginary = np.matmul(left.real, right.real), np.matmul(left.imag, right.imag)
    both = np.matmul(left.real + left.imag, right.real + right.imag)
    return np.asarray((real - imaginary) + 1j * (both - real - imaginary))


def _by_size(call: Call, left: Array, right: Array) -> Array:
    """Switch algorithms by batch and size, as libraries do: the bits change with them, the bound does not."""
    choices: tuple[Sums, ...] = (products, _backwards, _pairwise)
    chosen = choices[int(call.batch + left.shape[-1]) % 3]
    return chosen(call, left, right)


def _wide(call: Call, left: Array, right: Array) -> Array:
    """Keep all sums in a wider type than anybody asks for."""
    if call.dtype.kind in "iu":
        return products(call, left, right)
    number: Any = np.longdouble if call.dtype == np.float64 else np.float64
    return np.asarray(np.matmul(left.astype(number), right.astype(number)))


def _split(values: Array) -> tuple[Array, Array]:
    """Split floats into a high and a low half of their bits (Veltkamp)."""
    factor = values.dtype.type(2.0 ** ((np.finfo(values.dtype).nmant + 2) // 2) + 1)
    high = factor * values - (factor * values - values)
    return high, values - high


def _compensated(call: Call, left: Array, right: Array) -> Array:
    """Sum as if in twice the precision: T. Ogita, S. Rump, S. Oishi, Accurate sum and dot product (2005), Dot2."""
    terms = _terms(call, left, right)
    if call.dtype.kind in "iu" or not all(np.isfinite(term).all() for term in terms):
        return _backwards(call, left, right)
    a, b = (_split(array.astype(terms[0].dtype)) for array in (left, right))
    total, lost = np.zeros_like(terms[0]), np.zeros_like(terms[0])
    for k, term in enumerate(terms):
        (a1, a2), (b1, b2) = ([half[..., :, k, None] for half in a], [half[..., None, k, :] for half in b])
        error = a2 * b2 - (((term - a1 * b1) - a2 * b1) - a1 * b2)
        new = total + term
        part = new - total
        lost = lost + ((total - (new - part)) + (term - part) + error)
        total = new
    return np.asarray(total + lost)


def _added_to_the_stored_sum(call: Call, sums: Array, bias: Array | None) -> Array:
    """Round the sum to the operands' type, add the bias, round again."""
    return store(call, sums.astype(call.dtype), bias)


def _engine(name: str, sums: Sums, numerics: Numerics | None = None, **limits: Any) -> Engine:
    return Engine(name, replace(EVERYTHING, **limits), BASE.replace(sums=sums), numerics=numerics or Numerics())


#: multiply-adds for engines that loop over the terms of a sum
TERM_BY_TERM = 10_000
_IN_F64 = {"f32": "f64", "f16": "f64", "bf16": "f64"}
ENGINES: tuple[Engine, ...] = (
    _engine("im2col-and-matmul", products),
    _engine("summed-backwards", _backwards, work_limit=TERM_BY_TERM),
    _engine("summed-pairwise", _pairwise, work_limit=TERM_BY_TERM),
    _engine("summed-with-kahans-correction", _kahan, work_limit=TERM_BY_TERM),
    _engine("algorithm-by-size", _by_size, work_limit=TERM_BY_TERM),
    _engine("sums-wider-than-asked", _wide),
    _engine("sums-in-f64-and-says-so", _wide, Numerics(accumulators=_IN_F64)),
    _engine(
        "gradients-in-f64-and-says-so",
        _wide,
        Numerics(accumulators=_IN_F64, gradient_accumulators=_IN_F64),
        maps=tuple(Map),
    ),
    _engine("summed-in-twice-the-precision", _compensated, work_limit=TERM_BY_TERM),
    _engine("complex-of-four-products", products, dtypes=COMPLEX),
    _engine("complex-of-three-products", _three_products, dtypes=COMPLEX),
    Engine("bias-added-to-the-stored-sum", EVERYTHING, BASE.replace(store=_added_to_the_stored_sum)),
    _engine("partial-sums-of-16-in-f32", in_pieces(("float32", "float16", "bfloat16"), 16, np.float32)),
    _engine(
        "f16-in-f16-and-says-so",
        narrowed(("float16",), np.float16),
        Numerics(accumulators={"f16": "f16"}),
        work_limit=TERM_BY_TERM,
    ),
    _engine(
        "bf16-in-bf16-and-says-so",
        narrowed(("bfloat16",), ml_dtypes.bfloat16),
        Numerics(accumulators={"bf16": "bf16"}),
        work_limit=TERM_BY_TERM,
    ),
    _engine(
        "f32-through-tf32-and-says-so",
        rounded(("float32",), "tf32"),
        Numerics(input_roundoff=2.0**-11),
        dtypes=("f32",),
    ),
    _engine(
        "bf16-in-pieces-and-says-so",
        in_pieces(("bfloat16",), 64, ml_dtypes.bfloat16),
        Numerics(splits=64),
        dtypes=("bf16",),
    ),
)
