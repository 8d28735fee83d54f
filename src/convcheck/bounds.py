"""When a result is right: what it must be, and the error that each element may carry.

Sources: N. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., sections 3.1 and 24.2; P. Blanchard,
N. Higham, F. Lopez, T. Mary, S. Pranesh, Mixed precision block fused multiply-add (2020, doi 10.1137/19M1289546).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import log2, prod
from typing import Any, NamedTuple

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

__all__ = ["INPUT_ROUNDOFFS", "Expectation", "Numerics", "expect", "gamma", "is_exact"]

Array = np.ndarray[Any, Any]

#: unit roundoff of the types to which an engine may round float32 operands before it multiplies them
INPUT_ROUNDOFFS = {"tf32": 2.0**-11, "bf16": 2.0**-8}

#: an arithmetic that can judge float64: 64 bits or more where the platform has them, else exact fractions
WIDE: Any = np.longdouble if np.finfo(np.longdouble).nmant >= 63 else object
#: the same for complex128, where there are no fractions
COMPLEX_WIDE: Any = np.clongdouble


@dataclass(frozen=True)
class Numerics:
    """How an engine declares that it computes; whoever declares nothing is held to the sharpest rule.

    ``accumulators`` names, by dtype, a narrower or wider type in which sums are kept than `Dtype.accumulator`,
    and ``gradient_accumulators`` the same for the backward maps;
    ``normwise`` is for Winograd and FFT, whose error is small against norms, not element by element;
    ``input_roundoff`` is the unit roundoff to which float32 operands are rounded first (TF32: 2**-11);
    ``splits`` is the number of partial sums that are stored in the output's type.
    """

    accumulators: Mapping[str, str] = field(default_factory=dict)
    gradient_accumulators: Mapping[str, str] = field(default_factory=dict)
    normwise: bool = False
    input_roundoff: float = 0.0
    splits: int = 0

    def accumulator(self, dtype: str, which: Map = Map.FORWARD) -> str:
        """Name of the type in which a map keeps its sums."""
        declared = self.accumulators if which is Map.FORWARD else self.gradient_accumulators
        return declared.get(dtype, DTYPES[dtype].accumulator)

    def rounds(self, dtype: str) -> float:
        """Unit roundoff to which operands of a type are rounded before they are multiplied; 0 where they are not."""
        return self.input_roundoff if dtype == "f32" else 0.0

    def bits_taken(self, dtype: str) -> int:
        """Bits of an operand that enter a product."""
        rounded = self.rounds(dtype)
        return round(-log2(rounded)) if rounded else DTYPES[dtype].precision


class Expectation(NamedTuple):
    """The value that a map must return, by a better arithmetic, and the error that each element may carry."""

    value: Array
    bound: Array | float


def gamma(terms: Any, roundoff: float) -> Any:
    """gamma_n(u) = n u / (1 - n u): the relative error of n roundings (Higham, lemma 3.1); infinite from n u = 1 on."""
    product = np.asarray(terms, np.float64) * roundoff
    return np.where(product < 1, product / np.where(product < 1, 1 - product, 1), np.inf)


def is_exact(which: Map, problem: Problem, operands: Operands, numerics: Numerics, *, stored: bool = False) -> bool:
    """Certify, after the fill, that every partial sum in any order is an integer that the accumulator holds.

    ``stored`` asks that the output's own type holds it too, as is asked with a bias, which an engine may add to the
    sum that it has stored, and of partial sums that are stored.
    """
    if numerics.normwise or numerics.rounds(problem.dtype) * max(_peak(operands.a), _peak(operands.b)) > 1:
        return False
    if not all(_is_whole(array) for array in operands if array is not None):
        return False
    precision = DTYPES[numerics.accumulator(problem.dtype, which)].precision
    stored = stored or operands.bias is not None or numerics.splits > 0
    limit = 2.0 ** (min(precision, DTYPES[problem.dtype].precision) if stored else precision)
    if DTYPES[problem.dtype].kind == "c":  # the imaginary part may be taken from (xr + xi) (wr + wi), see `_complex`
        limit /= 2
    simple = problem.terms(which) * _peak(operands.a) * _peak(operands.b) + _peak(operands.bias)
    return simple <= limit or float(np.max(_magnitudes(which, problem, operands), initial=0)) <= limit


def expect(
    which: Map, problem: Problem, operands: Operands, numerics: Numerics, *, rounded: bool = True
) -> Expectation:
    """What a map must return on these operands.

    Exact operands: the exact sum, rounded once to the output's type, with no error allowed. Others: the sum in a
    better arithmetic, with the componentwise bound (or the normwise one, where it is declared). The latter always
    where ``rounded`` is false: a law that adds stored results up must allow for the rounding of each.
    """
    dtype = DTYPES[problem.dtype]
    if dtype.kind == "i":
        value = contract(which, problem, *operands, number=np.int64)
        bound = _of_integers(which, problem, operands, numerics) if numerics.normwise else 0.0
        return Expectation(value.astype(dtype.numpy), bound)
    if rounded and is_exact(which, problem, operands, numerics):
        with np.errstate(over="ignore"):
            number: Any = np.complex128 if dtype.kind == "c" else np.float64
            return Expectation(contract(which, problem, *operands, number=number).astype(dtype.numpy), 0.0)
    wide = {"f64": WIDE, "complex64": np.complex128, "complex128": COMPLEX_WIDE}
    value = contract(which, problem, *operands, number=wide.get(problem.dtype, np.float64))
    rule = _normwise if numerics.normwise else _complex if dtype.kind == "c" else _componentwise
    return Expectation(value, rule(which, problem, operands, numerics, np.abs(value).astype(np.float64)))


def _componentwise(which: Map, problem: Problem, operands: Operands, numerics: Numerics, size: Array) -> Array:
    """|error| <= gamma_(n+1)(u_acc) (S + |b|) =: A; then A + u_out (|y| + A) + half the smallest subnormal."""
    dtype, accumulator = DTYPES[problem.dtype], DTYPES[numerics.accumulator(problem.dtype, which)]
    magnitudes = _magnitudes(which, problem, operands)
    u, u_in, u_out = accumulator.unit_roundoff, numerics.rounds(problem.dtype), dtype.unit_roundoff
    ours = 0.0 if problem.dtype == "f64" else 2.0**-53
    terms = _counts(which, problem, operands) + (operands.bias is not None)
    error = (gamma(terms, u) + gamma(terms, ours)) * magnitudes
    if u_in:  # both factors are rounded before, and what is rounded is summed
        error = error + (2 * u_in + u_in**2) * (1 + gamma(terms, u)) * magnitudes
    if numerics.splits:
        error = error + gamma(numerics.splits, u_out) * magnitudes
    # every product may underflow, by half the smallest subnormal of the type in which it is formed
    error = error + terms * accumulator.smallest_subnormal
    if accumulator.unit_roundoff < u_out:
        if operands.bias is not None:  # which may be added to a sum that is stored already
            error = error + u_out * (size + np.abs(_along_channels(operands.bias, problem)) + error)
        error = error + u_out * (size + error) + dtype.smallest_subnormal / 2
    return np.asarray(error * (1 + 2.0**-40))


def _complex(which: Map, problem: Problem, operands: Operands, numerics: Numerics, size: Array) -> Array:
    """sqrt(2) (gamma_(2 n + 9)(u) T + n underflows), T = sum of (|xr| + |xi|) (|wr| + |wi|): each part, so the modulus.

    Holds for four real sums of 2 n terms, and for three: with a = sum xr wr, b = sum xi wi and
    c = sum (xr + xi) (wr + wi), the imaginary part is c - a - b, of which each sum is at most T; its error is at most
    2 gamma_(n + 4) T <= gamma_(2 n + 8) T (the 3M method: Higham, section 23.2.4, and lemma 3.3). A bias adds a term.
    """
    del size
    accumulator = DTYPES[numerics.accumulator(problem.dtype, which)]
    ours = 2.0**-53 if problem.dtype == "complex64" else float(np.finfo(COMPLEX_WIDE).eps) / 2
    terms = 2 * _counts(which, problem, operands) + 9
    magnitudes = _magnitudes(which, problem, operands)
    error = (gamma(terms, accumulator.unit_roundoff) + gamma(terms, ours)) * magnitudes
    return np.asarray((error + terms * accumulator.smallest_subnormal) * 2**0.5 * (1 + 2.0**-40))


def _along_channels(bias: Array, problem: Problem) -> Array:
    return bias.astype(np.float64).reshape(-1, *(1,) * problem.ndim)


def _normwise(which: Map, problem: Problem, operands: Operands, numerics: Numerics, size: Array) -> Array:
    """(21 log2 L + C/g + 2) u sum_c |x_c| |w_c| in 2-norms, L the padded transform length (Higham, 24.2)."""
    u = DTYPES[numerics.accumulator(problem.dtype, which)].unit_roundoff
    u_out = DTYPES[problem.dtype].unit_roundoff
    length = prod(s + r + sum(p) for s, r, p in zip(problem.size, problem.reach, problem.padding, strict=True))
    summed = problem.terms(which)
    norms = _norm_products(which, problem, operands)
    if operands.bias is not None:
        norms = norms + _peak(operands.bias)
    error = (21 * log2(max(2, length)) + summed + 2) * u * norms
    return np.asarray(error + u_out * size + DTYPES[problem.dtype].smallest_subnormal)


def _of_integers(which: Map, problem: Problem, operands: Operands, numerics: Numerics) -> Array:
    """The normwise bound in float32, of results that are rounded to integers: below 1/2 there is no error."""
    bound = _normwise(which, problem.replace(dtype="f32"), operands, numerics, np.zeros(problem.shapes[which.result]))
    return np.where(bound < 0.5, 0.0, bound + 0.5)


def _norm_products(which: Map, problem: Problem, operands: Operands) -> float:
    """Largest, over images and filters, of the summed products of the 2-norms of channel planes (an upper bound)."""
    planes = [
        np.sqrt(np.sum(np.square(_magnitude(array)).reshape(*array.shape[:2], -1), axis=-1))
        for array in operands[:2]
        if array is not None
    ]
    summed = {
        Map.FORWARD: problem.channels_per_group,
        Map.GRAD_INPUT: problem.filters_per_group,
        Map.GRAD_WEIGHT: problem.batch,
    }[which]
    return float(summed * np.max(planes[0], initial=0) * np.max(planes[1], initial=0))


def _magnitudes(which: Map, problem: Problem, operands: Operands) -> Array:
    """S = sum |a| |b| (+ |bias|), element by element."""
    return contract(which, problem, *operands.changed(_magnitude))


def _counts(which: Map, problem: Problem, operands: Operands) -> Array:
    """Return n, the number of products whose factors are both non-zero, element by element."""
    return contract(which, problem, *(array != 0 for array in operands[:2]))


def _magnitude(array: Array) -> Array:
    """|a|, and |re a| + |im a| of complex numbers."""
    if array.dtype.kind == "c":
        return np.asarray(np.abs(array.real.astype(np.float64)) + np.abs(array.imag.astype(np.float64)))
    return np.asarray(np.abs(array.astype(np.float64)))


def _is_whole(array: Array) -> bool:
    values = array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
    return bool(np.all(values == np.rint(values)))


def _peak(array: Array | None) -> float:
    return 0.0 if array is None else float(np.max(_magnitude(array), initial=0))
