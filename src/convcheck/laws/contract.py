"""Chapter Contract: what a caller relies on without saying."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from math import prod
from typing import Any

import numpy as np

from convcheck.bounds import expect
from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.errors import ShapeError, TargetRaisedError, UnsupportedError
from convcheck.laws.arrangement import bits, flat, wide
from convcheck.laws.invalid import invalid_calls
from convcheck.laws.law import ALL_MAPS, OWN_MAPS, Law
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.traces import PLACES, touched

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
    conv(problem, -operands.a, *operands[1:])
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
    image = make(whole, "x", Fill("dense", 3))
    apart = conv(whole, image, image.copy()).copy()
    return not np.array_equal(conv(whole, image, image), apart)


def leaves_no_trace(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A call leaves random generators, streams, signal handlers, the directory and torch's modes as they were."""
    # what is loaded by a first call may do such things once
    first, second = (touched(lambda: conv(problem, *operands)) for _ in range(2))
    kept = np.array([not (once and again) for once, again in zip(first, second, strict=True)])
    return Claim(kept, np.ones_like(kept), note="1: as it was", labels=tuple(place.name for place in PLACES))


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
    if conv.map is conv.engine.capabilities.primary and "bias" in conv.engine.capabilities.features:
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


def _fail(conv: Conv, problem: Problem, operands: Operands) -> None:
    """Make a call that cannot be answered: whatever it leaves behind, the next call must not find."""
    if conv.map is Map.FORWARD:
        _, wrong, given = next(invalid_calls(conv.map, problem, operands, conv.engine.capabilities.features))
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
        given = Operands(*(make(other, role, Fill("dense", 3, seed=number)) for role in roles))
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


def layout_free(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """How operands lie in memory (strided, reversed, offset, channels last, read-only, ...) changes nothing."""
    plain = operands.changed(lambda array: np.ascontiguousarray(array).copy())
    return Claim(conv(problem, *operands), conv(problem, *plain), 2 * conv.slack(problem, plain))


def state_dict_round_trips(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A layer that was loaded with the state_dict of another computes what that one does."""
    plain, (mode,) = conv(problem, *operands), conv.modes("state")
    return Claim(conv.within(mode, problem, operands), plain, 2 * conv.slack(problem, operands))


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
    note = "accepted " + "; ".join(accepted)
    return Claim(np.array([len(rejected)]), np.array([len(rejected) + len(accepted)]), note=note)


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
    Law(deterministic, CHAPTER, maps=ALL_MAPS, fills="float"),
    Law(stateless, CHAPTER, maps=ALL_MAPS, work=10_000),
    Law(revisits, CHAPTER, maps=ALL_MAPS, work=2_000, few=4),
    Law(threads_agree, CHAPTER, maps=ALL_MAPS, work=10_000),
    Law(layout_free, CHAPTER, maps=ALL_MAPS, fills="layouts"),
    Law(state_dict_round_trips, CHAPTER, maps=OWN_MAPS, own=True, modes="state"),
    Law(rejects_invalid, CHAPTER, maps=OWN_MAPS, own=True, needs={"size": ("tiny",)}, work=20_000, beside_values=True),
    Law(survives, CHAPTER, maps=ALL_MAPS, fills="layouts", valueless=True),
    Law(empty_batch, CHAPTER, maps=ALL_MAPS, needs={"batch": ("several",)}, work=20_000, valueless=True),
)
