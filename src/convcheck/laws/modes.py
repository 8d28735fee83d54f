"""Chapter Modes: a torch target computes the same however it is called: with or without gradients, compiled, mapped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from convcheck.bounds import expect
from convcheck.claim import Claim
from convcheck.engines.base import Conv
from convcheck.engines.modes import Mode
from convcheck.errors import UnsupportedError
from convcheck.laws.arrangement import wide
from convcheck.laws.law import ALL_MAPS, MINUTES, OWN_MAPS, SECONDS, Law
from convcheck.operands import Operands
from convcheck.problem import Problem

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Modes"


def modes_agree(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """f(x, w, b) in every mode = f(x, w, b).

    The modes: no_grad, inference_mode, gradients required of each operand, a parameter as the second, deterministic
    algorithms, float64 by default, mkldnn off, channels_last, a storage offset, vmap over the batch, and over kernels;
    on a GPU, cuDNN's benchmark and deterministic, and the CPU.
    """
    return _agree(conv, problem, operands, "values")


def thread_count_free(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """f(x, w, b) with 1 thread = f(x, w, b) with 2 threads inside torch."""
    return _agree(conv, problem, operands, "threads")


def compiled_agrees(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """torch.compile(f, dynamic=True)(x, w, b) = f(x, w, b)."""
    return _agree(conv, problem, operands, "compiled")


def layer_calls_agree(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """The third call of a layer = its first, in training and in eval mode, also if its weight has changed in place.

    A copy of a layer that was called computes by the weight that it is given itself. What layers of torch make of one
    image without the axis of images is what they make of a batch of it.
    """
    return _agree(conv, problem, operands, "calls")


def state_dict_round_trips(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A layer that is loaded with the state_dict of another computes what that one does, also after it was called."""
    return _agree(conv, problem, operands, "state")


def autocast_agrees(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Under autocast, |f(x, w, b) - y| is within what rounding operands, products and sums to bfloat16 may do."""
    narrow = {problem.dtype: "bf16"}
    numerics = replace(
        conv.numerics, accumulators=narrow, gradient_accumulators=narrow, input_roundoff=2.0**-8, splits=0
    )
    conv(problem, *operands)  # what it doesn't take without autocast, it need not take with it
    (_, got), *_ = _calls(conv, problem, operands, "autocast")
    expected = expect(conv.map, problem, operands, numerics)
    return Claim(wide(got), expected.value, expected.bound)


def meta_agrees(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """On the meta device, which has no values, f(x, w, b) has the same shape and dtype, and is refused nowhere else."""
    plain = conv(problem, *operands)
    for mode, got in _calls(conv, problem, operands, "meta"):
        if (got.shape, got.dtype) != (plain.shape, plain.dtype):
            return _other_kind(mode, got, plain)
    return Claim(np.array(plain.shape), np.array(plain.shape), note="sizes")


def fake_agrees(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Of fake tensors, with which torch.compile plans, f(x, w, b) has the same shape, dtype and strides."""
    plain = conv(problem, *operands)
    for mode, got in _calls(conv, problem, operands, "fake"):
        if (got.shape, got.dtype) != (plain.shape, plain.dtype):
            return _other_kind(mode, got, plain)
    return Claim(_strides(got), _strides(plain), note="strides")


def opcheck(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """torch.library.opcheck finds nothing: in the schema, the autograd registration, the fake kernel, compiled."""
    conv(problem, *operands)
    passed = [got for _, got in _calls(conv, problem, operands, "opcheck")]
    return Claim(np.concatenate(passed), np.concatenate([np.ones_like(each) for each in passed]))


def _calls(conv: Conv, problem: Problem, operands: Operands, claim: str) -> Iterator[tuple[Mode, Array]]:
    """Call in every mode that exists there, and in which the target runs.

    Raises
    ------
    UnsupportedError
        If there is none.
    """
    why, count = f"no mode for {conv.map}", 0
    for mode in conv.modes(claim):
        try:
            got = conv.within(mode, problem, operands)
        except UnsupportedError as error:
            why = str(error)
            continue
        count += 1
        yield mode, got
    if not count:
        raise UnsupportedError(why)


def _agree(conv: Conv, problem: Problem, operands: Operands, claim: str) -> Claim:
    """What all modes give is what the plain call gives, up to the error of either."""
    plain = conv(problem, *operands).copy()  # first, so that what a target keeps is kept from a plain call
    found: dict[str, Array] = {}
    for mode, got in _calls(conv, problem, operands, claim):
        if (got.shape, got.dtype) != (plain.shape, plain.dtype):
            return _other_kind(mode, got, plain)
        found[mode.name] = got.copy()
    slack = 2 * conv.slack(problem, operands)
    return Claim(np.stack(list(found.values())), np.stack([plain] * len(found)), slack, labels=tuple(found))


def _other_kind(mode: Mode, got: Array, plain: Array) -> Claim:
    left, right = np.ones(got.shape, got.dtype), np.ones(plain.shape, plain.dtype)
    return Claim(left, right, same_dtype=True, note=mode.name)


def _strides(array: Array) -> Array:
    """Distances in memory along each axis, in elements; 0 where there is but one."""
    steps = zip(array.shape, array.strides, strict=True)
    return np.array([0 if size <= 1 else stride // array.itemsize for size, stride in steps])


_F32 = {"dtype": ("f32",)}

LAWS = (
    Law(modes_agree, CHAPTER, maps=ALL_MAPS, modes="values", work=5_000),
    Law(thread_count_free, CHAPTER, maps=ALL_MAPS, modes="threads", few=8, work=20_000),
    Law(layer_calls_agree, CHAPTER, maps=OWN_MAPS, own=True, modes="calls", few=24, work=5_000),
    Law(state_dict_round_trips, CHAPTER, maps=OWN_MAPS, own=True, modes="state"),
    Law(
        autocast_agrees,
        CHAPTER,
        maps=OWN_MAPS,
        own=True,
        needs=_F32,
        holds=lambda problem: problem.dtype == "f32",
        modes="autocast",
        work=2_000,
    ),
    Law(meta_agrees, CHAPTER, maps=OWN_MAPS, own=True, modes="meta", work=2_000),
    Law(
        fake_agrees,
        CHAPTER,
        maps=OWN_MAPS,
        own=True,
        modes="fake",
        fills="layouts",
        few=16,
        work=2_000,
        takes=SECONDS,
    ),
    Law(compiled_agrees, CHAPTER, maps=OWN_MAPS, own=True, modes="compiled", work=2_000, few=8, takes=MINUTES),
    Law(opcheck, CHAPTER, maps=OWN_MAPS, own=True, modes="opcheck", work=2_000, few=4),
)
