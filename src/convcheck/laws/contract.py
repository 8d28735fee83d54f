"""Chapter Contract: what a caller relies on without saying."""

from __future__ import annotations

from functools import partial
from math import prod
from typing import Any

import numpy as np

from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.errors import TargetRaisedError, UnsupportedError
from convcheck.laws.arrangement import bits, flat, small_limit
from convcheck.laws.invalid import invalid_calls
from convcheck.laws.law import ALL_MAPS, OWN_MAPS, Law
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.traces import PLACES, noting

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Contract"


def shape_dtype_kept(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """The result has the shape that the sizes give and the dtype of the operands."""
    got = conv.unchecked(problem, operands)
    expected = np.ones(problem.shapes[conv.map.result], DTYPES[problem.dtype].numpy)
    return Claim(np.ones(got.shape, got.dtype), expected, same_dtype=True)


def inputs_untouched(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """x, w and b, and the memory around them, have the same bits after a call as before, however they are laid out."""
    owners = [_owner(array) for array in operands if array is not None]
    before = [bits(array.copy()) for array in owners]
    conv(problem, *operands)
    return Claim(flat(*map(bits, owners)), flat(*before), note="bit patterns of the operands' memory")


def _owner(array: Array) -> Array:
    """Return the array that owns the memory in which an operand lies."""
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array


def output_owned(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A result shares no memory with an operand, nor with the result of another call; a copy is a copy.

    And where x and w are one array, given twice, the result is that of two arrays which are equal.
    """
    first = conv(problem, *operands)
    kept = first.copy()
    shared = [np.shares_memory(first, array) for array in operands if array is not None]
    if conv.map is Map.FORWARD and (not (kernels := conv.engine.capabilities.kernels) or 1 in kernels):
        shared.append(_identity_returns_its_input(conv, problem, operands.a))
    if conv.map is Map.FORWARD:
        shared.append(_minds_one_array_twice(conv, problem))
    other = np.flip(operands.a) if operands.a.dtype.kind == "u" else -operands.a
    conv(problem, np.ascontiguousarray(other), *operands[1:])
    none = np.zeros(len(shared), bool)
    note = "bit patterns, then 1: memory is shared, or one array given twice is not read as two"
    return Claim(flat(bits(first), np.array(shared)), flat(bits(kept), none), note=note)


def _identity_returns_its_input(conv: Conv, problem: Problem, x: Array) -> bool:
    """Whether a kernel of one tap, 1, gives back the memory of x instead of a copy."""
    identity = Problem(dtype=problem.dtype, size=problem.size, kernel=(1,) * problem.ndim)
    image = x[:1, :1].copy()
    return bool(np.shares_memory(image, conv(identity, image, np.ones(identity.shapes["w"], x.dtype))))


def _minds_one_array_twice(conv: Conv, problem: Problem) -> bool:
    """Whether an image that is its own kernel gives another result than a copy of it does as the kernel."""
    whole = Problem(dtype=problem.dtype, size=problem.kernel, kernel=problem.kernel)
    if not (limit := small_limit(whole)):
        return False
    image = make(whole, "x", Fill("dense", limit))
    apart = conv(whole, image, image.copy()).copy()
    return not np.array_equal(conv(whole, image, image), apart)


def leaves_no_trace(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A call leaves generators, streams, handlers of signals, directory, environment, modes of libraries alone."""
    left: list[list[bool]] = []
    watched = Conv(conv.engine.timed(partial(noting, left)), conv.map)  # inside of what guards other laws from it
    for _ in range(2):  # what is loaded by a first call may do such things once
        watched(problem, *operands)
    first, *_, second = left
    kept = np.array([not (once and again) for once, again in zip(first, second, strict=True)])
    names = [place.name for place, untouched in zip(PLACES, kept, strict=True) if not untouched]
    words = f"left a trace in {len(names)} of {len(PLACES)} places: {', '.join(names)}"
    return Claim(kept, np.ones_like(kept), words=words)


def layout_free(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """How operands lie in memory (strided, reversed, offset, channels last, read-only, ...) changes nothing."""
    plain = operands.changed(lambda array: np.ascontiguousarray(array).copy())
    return Claim(conv(problem, *operands), conv(problem, *plain), 2 * conv.slack(problem, plain))


def rejects_invalid(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """What is no convolution raises an exception (or, if nothing fits, is empty): never a value, a crash or a hang."""
    rejected: list[str] = []
    accepted: list[str] = []
    for what, wrong, given in invalid_calls(conv.map, problem, operands, conv.engine.capabilities.features):
        try:
            shape = conv.attempt(wrong, given).shape
        except (TargetRaisedError, UnsupportedError):
            rejected.append(what)
        else:  # an empty array holds no value: several libraries answer a kernel that does not fit so
            (accepted if prod(shape) else rejected).append(f"{what}: returned shape {shape}")
    if not (rejected or accepted):
        raise UnsupportedError(f"{conv.engine.name} is a convolution of whatever it is given")
    calls = len(rejected) + len(accepted)
    words = f"accepted {len(accepted)} of {calls} invalid calls: {'; '.join(accepted)}"
    return Claim(np.array([len(rejected)]), np.array([calls]), words=words)


def survives(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A call returns or raises: it does not crash, hang, end the process, or take memory without bound.

    Cases of other laws that the target did not survive are reported here, under the name of the law that asked.
    """
    conv.unchecked(problem, operands)
    return Claim(np.array([True]), np.array([True]))


def empty_batch(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """No image at all gives an empty result of the right shape, unless the plainest such problem is refused, too."""
    none = problem.replace(batch=0)
    plainest = Problem(dtype=problem.dtype, size=problem.kernel, kernel=problem.kernel, batch=0)
    try:
        conv.attempt(plainest, Operands(*(np.ones(plainest.shapes[r], operands.a.dtype) for r in conv.map.roles)))
    except TargetRaisedError as error:
        raise UnsupportedError(f"{conv.engine.name} takes no empty batch: {error}") from error
    b = operands.b[:0] if conv.map is Map.GRAD_WEIGHT else operands.b
    got = conv.unchecked(none, Operands(operands.a[:0], b, operands.bias))
    return Claim(np.array(got.shape), np.array(none.shapes[conv.map.result]), note="sizes")


LAWS = (
    Law(shape_dtype_kept, CHAPTER, maps=ALL_MAPS, valueless=True),
    Law(inputs_untouched, CHAPTER, maps=ALL_MAPS, fills="layouts"),
    Law(output_owned, CHAPTER, maps=ALL_MAPS, fills="tiny"),
    Law(leaves_no_trace, CHAPTER, maps=ALL_MAPS, work=10_000, few=24, beside_values=True),
    Law(layout_free, CHAPTER, maps=ALL_MAPS, fills="layouts"),
    Law(rejects_invalid, CHAPTER, maps=OWN_MAPS, own=True, needs={"size": ("tiny",)}, work=20_000, beside_values=True),
    Law(survives, CHAPTER, maps=ALL_MAPS, fills="layouts", valueless=True),
    Law(empty_batch, CHAPTER, maps=ALL_MAPS, needs={"batch": ("several",)}, work=20_000, valueless=True),
)
