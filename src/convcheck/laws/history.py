"""Chapter Contract, what must not matter: the calls before a call, and those beside it."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np

from convcheck.bounds import expect
from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.errors import ShapeError, TargetRaisedError, UnsupportedError
from convcheck.laws.arrangement import bits, flat, small_limit, wide
from convcheck.laws.invalid import invalid_calls
from convcheck.laws.law import ALL_MAPS, Law
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Contract"


def deterministic(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Twice the same call gives twice the same bits, on floating-point operands."""
    first = conv(problem, *operands).copy()
    again = [conv(problem, *operands) for _ in range(2)]
    return Claim(np.stack([bits(y) for y in again]), np.stack([bits(first)] * 2), note="bit patterns")


def stateless(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A result depends on its operands alone, not on the calls before it: other values, parameters, types, failures."""
    left, right, bound = [], [], []

    def call(asked: Problem, given: Operands) -> None:
        try:
            got = conv(asked, *given)
        except UnsupportedError:
            return
        expected = expect(conv.map, asked, given, conv.numerics)
        left.append(wide(got.ravel()))
        right.append(np.asarray(expected.value).astype(left[-1].dtype).ravel())
        bound.append(np.broadcast_to(expected.bound, got.shape).ravel())

    a, b, bias = operands
    call(problem, operands)
    call(problem, operands._replace(b=_changed(b)))  # a cache keyed by shapes, or by the input
    call(problem, operands._replace(a=_changed(a)))
    if bias is not None:
        call(problem, operands._replace(bias=_changed(bias)))
    for other, given in _others(conv, problem, operands):
        call(other, given)
        call(problem, operands)
    _fail(conv, problem, operands)
    call(problem, operands)
    before = a.copy(), b.copy()
    a[...], b[...] = _changed(a), _changed(b)  # the same memory with other contents: a cache keyed by address
    call(problem, operands)
    a[...], b[...] = before
    call(problem, operands)
    if not left:
        raise UnsupportedError(f"{conv.engine.name} takes none of the calls")
    return Claim(np.concatenate(left), np.concatenate(right), np.concatenate(bound), note="call after call")


def _others(conv: Conv, problem: Problem, operands: Operands) -> Iterator[tuple[Problem, Operands]]:
    """Calls with operands of the same shapes and other parameters, with a bias or without, and of another dtype."""
    takes_bias = conv.map is conv.engine.capabilities.primary and "bias" in conv.engine.capabilities.features
    if takes_bias and (problem.bias or _has_room(conv, problem, operands)):
        other, role = problem.replace(bias=not problem.bias), conv.map.bias
        yield other, operands._replace(bias=make(other, role, Fill("dense", 3)) if other.bias else None)
    if conv.map is Map.FORWARD:
        for name in ("stride", "dilation", "padding"):
            plain: Any = ((0, 0), (1, 1)) if name == "padding" else (1, 2)
            now = getattr(problem, name)
            then = tuple(plain[value == plain[0]] for value in now)
            try:
                other = problem.replace(**{name: then, "same": False})
            except ShapeError:
                continue
            if other.is_valid:
                yield other, operands
    kind = DTYPES[problem.dtype].kind
    dtype = next((d for d in conv.engine.capabilities.dtypes if DTYPES[d].kind == kind and d != problem.dtype), "")
    if dtype and dtype != "u8" and problem.dtype != "u8":
        number = DTYPES[dtype].numpy
        # no shorter float holds these: what is left of a shorter dtype's call shows
        telling = 1 if kind == "i" else 1 + 2.0 ** -(3 * DTYPES[dtype].precision // 4)
        values = operands.changed(lambda array: (np.sign(array.real.astype(np.float64)) * telling).astype(number))
        yield problem.replace(dtype=dtype), values


def _has_room(conv: Conv, problem: Problem, operands: Operands) -> bool:
    """Whether no result overflows where a small bias is added."""
    value = wide(np.asarray(expect(conv.map, problem, operands, conv.numerics).value))
    return bool(np.max(np.abs(value), initial=0) + 3 <= DTYPES[problem.dtype].largest)


def _fail(conv: Conv, problem: Problem, operands: Operands) -> None:
    """Make a call that cannot be answered: whatever it leaves behind, the next call must not find."""
    if conv.map is Map.FORWARD:
        for _, wrong, given in islice(invalid_calls(conv.map, problem, operands, conv.engine.capabilities.features), 1):
            with suppress(TargetRaisedError, UnsupportedError):
                conv.attempt(wrong, given)


def _changed(array: Array) -> Array:
    """Return other values of the same magnitude: every one but equal, neighbouring values changes."""
    return np.ascontiguousarray(np.roll(array.ravel()[::-1], 1).reshape(array.shape))


def revisits(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A call made again gives the same after many others, and what it gave first is left alone by them.

    Then the results are overwritten: what comes back for equal operands once more must not have changed with them.
    """
    del operands
    first: list[Array] = []
    asked: list[tuple[Problem, Operands]] = []
    for other, given in _many(conv.map, problem):
        with suppress(UnsupportedError):
            first.append(conv(other, *_copied(given)))
            asked.append((other, given))
    if len(asked) < 2:
        raise UnsupportedError(f"{conv.engine.name} takes no other calls")
    held = [wide(result) for result in first]
    expected = [expect(conv.map, *call, conv.numerics) for call in asked]
    right = flat(*(np.asarray(value).astype(y.dtype) for (value, _), y in zip(expected, held, strict=True)))
    bound = flat(*(np.broadcast_to(bound, y.shape) for (_, bound), y in zip(expected, held, strict=True)))
    again = [wide(conv(other, *_copied(given))) for other, given in reversed(asked)][::-1]
    kept = [wide(result) for result in first]
    for result in first:
        if result.flags.writeable:
            result[...] = 1 - result
    once_more = [wide(conv(other, *_copied(given))) for other, given in asked]
    note = "call after call; then what was kept of the first calls; then the calls once more"
    none = np.zeros(bound.shape)
    return Claim(flat(*again, *kept, *once_more), flat(right, *held, right), flat(bound, none, bound), note=note)


def _many(which: Map, problem: Problem) -> Iterator[tuple[Problem, Operands]]:
    """Calls of many shapes and parameters; of some also twins that differ in the middle of one operand alone."""
    for number in range(18):
        size = tuple(s + (number + 3 * axis) % 9 for axis, s in enumerate(problem.size))
        stride = problem.stride if problem.same else tuple(1 + (s + number) % 3 for s in problem.stride)
        try:
            other = problem.replace(size=size, stride=stride, batch=1 + (problem.batch + number) % 3)
        except ShapeError:
            continue
        if not other.is_valid:
            continue
        roles = (*which.roles, *((which.bias,) if other.bias else ()))
        if not (limit := small_limit(other, which)):
            continue
        given = Operands(*(make(other, role, Fill("dense", limit, seed=number)) for role in roles))
        yield other, given
        if number % 4 == 1:
            yield other, given._replace(a=_middle_changed(given.a))
            yield other, given._replace(b=_middle_changed(given.b))


def _copied(operands: Operands) -> Operands:
    return operands.changed(lambda array: array.copy())


def _middle_changed(array: Array) -> Array:
    """Return the same array but for its middle element, which gets another's value."""
    values = array.ravel().copy()
    middle = values.size // 2
    values[middle] = values[np.argmax(values != values[middle])]
    return values.reshape(array.shape)


def threads_agree(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Calls from several threads at once give what one call after the other gives."""
    others = [operands, operands._replace(a=_changed(operands.a)), operands._replace(b=_changed(operands.b))]
    alone = [conv(problem, *each).copy() for each in others]
    with ThreadPoolExecutor(max_workers=3) as pool:
        together = list(pool.map(lambda each: conv(problem, *each).copy(), others * 3))
    return Claim(np.stack(together), np.stack(alone * 3), 2 * conv.slack(problem, operands))


LAWS = (
    Law(deterministic, CHAPTER, maps=ALL_MAPS, fills="float"),
    Law(stateless, CHAPTER, maps=ALL_MAPS, work=10_000),
    Law(revisits, CHAPTER, maps=ALL_MAPS, work=2_000, few=4),
    Law(threads_agree, CHAPTER, maps=ALL_MAPS, work=10_000),
)
