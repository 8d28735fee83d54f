"""Chapter Contract: what a caller relies on without saying."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from math import prod
from typing import Any

import numpy as np

from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.errors import TargetRaisedError, UnsupportedError
from convcheck.laws.arrangement import bits, flat
from convcheck.laws.invalid import invalid_calls
from convcheck.laws.law import ALL_MAPS, Law
from convcheck.operands import Operands
from convcheck.problem import Problem

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Contract"


def shape_dtype_kept(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """The result has the shape that the sizes give and the dtype of the operands."""
    got = conv.unchecked(problem, operands)
    expected = np.ones(problem.shapes[conv.map.result], DTYPES[problem.dtype].numpy)
    return Claim(np.ones(got.shape, got.dtype), expected, same_dtype=True)


def inputs_untouched(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """x, w and b have the same bits after a call as before."""
    given = [array for array in operands if array is not None]
    before = [bits(array.copy()) for array in given]
    conv(problem, *operands)
    return Claim(flat(*map(bits, given)), flat(*before), note="bit patterns of the operands")


def output_owned(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A result shares no memory with an operand, nor with the result of another call."""
    first = conv(problem, *operands)
    kept = first.copy()
    shared = any(np.shares_memory(first, array) for array in operands if array is not None)
    conv(problem, -operands.a, *operands[1:])
    return Claim(
        flat(bits(first), [shared]), flat(bits(kept), [False]), note="bit patterns, and whether memory is shared"
    )


def deterministic(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Twice the same call gives twice the same bits, on floating-point operands."""
    first = conv(problem, *operands).copy()
    again = [conv(problem, *operands) for _ in range(2)]
    return Claim(np.stack([bits(y) for y in again]), np.stack([bits(first)] * 2), note="bit patterns")


def stateless(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A result depends on its operands alone, not on the calls before it: of equal shapes, with other values."""
    a, b, bias = operands
    first = conv(problem, a, b, bias).copy()
    conv(problem, a, _changed(b), bias)  # a cache keyed by shape, or by the input, now holds another weight
    conv(problem, _changed(a), b, bias)
    between = conv(problem, a, b, bias).copy()
    a_before, b_before = a.copy(), b.copy()
    a[...], b[...] = _changed(a), _changed(b)  # the same memory with other contents: keyed by address
    moved = conv(problem, a, b, bias).copy()
    fresh = conv(problem, a.copy(), b.copy(), bias).copy()
    a[...], b[...] = a_before, b_before
    last = conv(problem, a, b, bias)
    return Claim(np.stack([between, moved, last]), np.stack([first, fresh, first]), 2 * conv.slack(problem, operands))


def _changed(array: Array) -> Array:
    """Return other values of the same magnitude: every one but equal, neighbouring values changes."""
    return np.ascontiguousarray(np.roll(array.ravel()[::-1], 1).reshape(array.shape))


def threads_agree(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Calls from several threads at once give what one call after the other gives."""
    others = [operands, operands._replace(a=_changed(operands.a)), operands._replace(b=_changed(operands.b))]
    alone = [conv(problem, *each).copy() for each in others]
    with ThreadPoolExecutor(max_workers=3) as pool:
        together = list(pool.map(lambda each: conv(problem, *each).copy(), others * 3))
    return Claim(np.stack(together), np.stack(alone * 3), 2 * conv.slack(problem, operands))


def layout_free(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """How operands lie in memory (strided, reversed, offset, channels last, read-only, ...) changes nothing."""
    plain = Operands(*(None if o is None else np.ascontiguousarray(o).copy() for o in operands))
    return Claim(conv(problem, *operands), conv(problem, *plain), 2 * conv.slack(problem, plain))


def rejects_invalid(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """What is no convolution raises an exception (or, if nothing fits, is empty): never a value, a crash or a hang."""
    rejected, accepted = [], []
    for what, wrong, given in invalid_calls(problem, operands, conv.engine.capabilities.features):
        try:
            shape = conv.attempt(wrong, given).shape
        except (TargetRaisedError, UnsupportedError):
            rejected.append(what)
        else:  # an empty array holds no value: several libraries answer a kernel that does not fit so
            (accepted if prod(shape) else rejected).append(f"{what}: returned shape {shape}")
    note = "accepted " + "; ".join(accepted)
    return Claim(np.array([len(rejected)]), np.array([len(rejected) + len(accepted)]), note=note)


def survives(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A call returns or raises: it does not crash, hang, end the process, or take memory without bound.

    Cases of other laws that the target did not survive are reported here, under the name of the law that asked.
    """
    conv.unchecked(problem, operands)
    return Claim(np.array([True]), np.array([True]))


def empty_batch(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """No image at all gives an empty result of the right shape."""
    none = problem.replace(batch=0)
    got = conv(none, operands.a[:0], *operands[1:])
    return Claim(np.array(got.shape), np.array(none.shapes["y"]), note="sizes")


LAWS = (
    Law(shape_dtype_kept, CHAPTER, maps=ALL_MAPS),
    Law(inputs_untouched, CHAPTER, maps=ALL_MAPS),
    Law(output_owned, CHAPTER, maps=ALL_MAPS, fills="tiny"),
    Law(deterministic, CHAPTER, maps=ALL_MAPS, fills="float"),
    Law(stateless, CHAPTER, maps=ALL_MAPS),
    Law(threads_agree, CHAPTER, work=20_000),
    Law(layout_free, CHAPTER, maps=ALL_MAPS, fills="layouts"),
    Law(rejects_invalid, CHAPTER, needs={"size": ("tiny",)}, work=20_000),
    Law(survives, CHAPTER, maps=ALL_MAPS, fills="layouts"),
    Law(empty_batch, CHAPTER, needs={"batch": ("several",)}, work=20_000),
)
