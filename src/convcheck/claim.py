"""A law's claim that two arrays agree, and the one judge of all claims."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from convcheck.dtypes import name_of
from convcheck.reference.maps import exact

__all__ = ["Claim", "Verdict", "judge"]

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Claim:
    """``left`` (what the engine did) agrees with ``right`` (what it should have done) within ``bound``.

    ``same_dtype`` makes the element types part of the claim. ``note`` says what the arrays are, where the
    law's equation does not; ``labels`` say it of each entry along the first axis. ``words`` are the whole reason where
    they differ, if how many elements do tells nobody anything.
    """

    left: Array
    right: Array
    bound: Array | float = 0.0
    same_dtype: bool = False
    note: str = ""
    labels: tuple[str, ...] = ()
    words: str = ""


@dataclass(frozen=True)
class Verdict:
    """What the judge found: ``error <= bound`` everywhere, or where it is exceeded most.

    ``ratio`` is the worst error in multiples of its bound (infinite where no error is allowed), ``index``
    where it is, ``weight`` the number of elements of the right side that are not zero and whose error is
    bounded: a claim about nothing but zeros proves little.
    """

    ok: bool
    reason: str = ""
    ratio: float = 0.0
    index: tuple[int, ...] = ()
    expected: Array | None = None
    got: Array | None = None
    weight: int = 0


def judge(claim: Claim) -> Verdict:
    """Compare shape, then dtype where it is claimed, then every element: error <= bound, so that NaN fails."""
    left, right = claim.left, claim.right
    weight = int(np.count_nonzero((right != 0) & np.isfinite(claim.bound)))

    def failed(reason: str, ratio: float = np.inf, index: tuple[int, ...] = ()) -> Verdict:
        if index and claim.words:
            return Verdict(False, claim.words, ratio, index, right, left, weight)
        notes = (claim.note, claim.labels[index[0]] if claim.labels and index else "")
        told = "".join(f" ({note})" for note in notes if note)
        return Verdict(False, reason + told, ratio, index, right, left, weight)

    if left.shape != right.shape:
        return failed(f"the shape is {left.shape}, not {right.shape}")
    if claim.same_dtype and left.dtype != right.dtype:
        return failed(f"the dtype is {name_of(left.dtype)}, not {name_of(right.dtype)}")
    if left.dtype.kind not in "biufcV":
        return failed(f"the elements are of type {left.dtype}, which is no number")
    if right.size == 0 or (left.dtype == right.dtype and np.array_equal(left, right)):  # as most are
        return Verdict(True, weight=weight, expected=right, got=left)
    ratio = _ratios(left, right, claim.bound)
    worst = int(np.argmax(ratio))
    index = tuple(map(int, np.unravel_index(worst, right.shape)))
    if ratio.flat[worst] <= 1:
        return Verdict(True, "", float(ratio.flat[worst]), index, right, left, weight)
    wrong = int(np.count_nonzero(ratio > 1))
    return failed(f"{wrong} of {right.size} elements differ", float(ratio.flat[worst]), index)


def _ratios(left: Array, right: Array, bound: Array | float) -> Array:
    """Error over bound, element by element: 0 where equal (also both NaN), infinite where no bound excuses it."""
    with np.errstate(all="ignore"):
        error, equal = _errors(left, right)
        ratio = _divide(error, np.asarray(bound, np.float64))
    return np.where(equal, 0.0, np.where(np.isnan(ratio), np.inf, ratio))


def _errors(left: Array, right: Array) -> tuple[Array, Array]:
    """|left - right| as float64, and where the two are equal, which the difference of large integers may not show."""
    kinds = left.dtype.kind + right.dtype.kind
    if right.dtype == object:
        ours, theirs = exact(left), exact(right)
        return np.abs(ours - theirs).astype(np.float64), np.asarray(ours == theirs, bool)
    wide: Any = np.longdouble if max(left.dtype.itemsize, right.dtype.itemsize) >= 8 else np.float64
    wide = np.clongdouble if "c" in kinds else wide
    ours, theirs = left.astype(wide), right.astype(wide)
    error = np.abs(ours - theirs).astype(np.float64)
    if set(kinds) <= set("biu"):
        return np.maximum(error, left != right), np.asarray(left == right)
    return error, (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))


def _divide(error: Array, bound: Array) -> Array:
    bound = np.broadcast_to(bound, error.shape)
    with np.errstate(all="ignore"):
        return np.where(error <= bound, np.where(bound > 0, error / bound, 0.0), np.maximum(error / bound, 1 + 1e-9))
