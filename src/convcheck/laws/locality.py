"""Chapter Locality: the two principles by which a fully connected layer becomes a convolution, and IEEE specials."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from convcheck.claim import Claim
from convcheck.engines.base import Conv
from convcheck.laws.law import Law, floating
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Locality"

#: one-hot images in one call
_IMAGES = 256


def weights_shared(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """The dense weight w[i, j, k, l] that the engine realises depends on (k - s i, l - s j) only."""
    dense = _dense_weight(conv, problem, operands.b)
    shared = np.zeros_like(dense)
    for out in np.ndindex(*problem.output):
        for tap in np.ndindex(*problem.kernel):
            q = _position(problem, out, tap)
            if all(0 <= at < size for at, size in zip(q, problem.size, strict=True)):
                shared[(*out, *q)] = operands.b[(0, 0, *tap)]
    # where the offset is a tap, every pair of positions with that offset carries that tap's weight
    realised = np.where(shared != 0, dense, np.zeros((), dense.dtype))
    return Claim(realised, shared, _scalar(conv.slack_of_impulses(problem, operands.b)))


def local(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Whatever lies outside an output's receptive field, NaN too, leaves the bits of that output alone."""
    clean = conv(problem, *operands)
    at = tuple(out // 2 for out in problem.output)
    seen = np.zeros(problem.size, bool)
    seen[np.ix_(*_receptive_field(problem, at))] = True
    poisoned = np.where(seen, operands.a, np.array(np.nan, operands.a.dtype))
    got = conv(problem, poisoned, *operands[1:])
    return Claim(got[(..., *at)], clean[(..., *at)])


def nan_propagates(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A NaN in x reaches every output whose receptive field holds it, and no other."""
    return _special_reaches(conv, problem, operands, np.nan)


def inf_propagates(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """An infinity in x makes every output whose receptive field holds it infinite, of its weight's sign, and no other."""
    return _special_reaches(conv, problem, operands, np.inf)


def _special_reaches(conv: Conv, problem: Problem, operands: Operands, special: float) -> Claim:
    a, b, bias = operands
    at = (problem.batch // 2, problem.channels // 2, *(s // 2 for s in problem.size))
    poisoned = a.copy()
    poisoned[at] = special
    finite = a.copy()
    finite[at] = 0
    mark = np.zeros(a.shape)
    mark[at] = 1
    bare = problem.replace(bias=False)
    sees = contract(Map.FORWARD, bare, mark, np.ones(b.shape)) != 0
    weight = contract(Map.FORWARD, bare, mark, b)  # an output meets the marked element in one tap at most
    clean = contract(Map.FORWARD, problem, finite, b, bias)
    expected = np.where(sees, weight * special, clean).astype(a.dtype)
    got = conv(problem, poisoned, b, bias)
    by_zero = sees & (weight == 0)  # an engine may leave out a product by zero
    return Claim(np.where(by_zero, expected, got), expected, conv.slack(problem, Operands(finite, b, bias)))


def _dense_weight(conv: Conv, problem: Problem, w: Array) -> Array:
    """Shape (*output, *size): response of every output position to a one-hot image at every input position."""
    together = _IMAGES if "batch" in conv.engine.capabilities.features else 1
    positions = prod(problem.size)
    responses = []
    for start in range(0, positions, together):
        images = np.zeros((min(together, positions - start), positions), w.dtype)
        images[np.arange(len(images)), start + np.arange(len(images))] = 1
        several = problem.replace(batch=len(images))
        responses.append(conv(several, images.reshape(several.shapes["x"]), w)[:, 0])
    stacked = np.concatenate(responses).reshape(*problem.size, *problem.output)
    order = (*range(problem.ndim, 2 * problem.ndim), *range(problem.ndim))
    return stacked.transpose(order)


def _position(problem: Problem, out: tuple[int, ...], tap: tuple[int, ...]) -> tuple[int, ...]:
    axes = zip(problem.stride, out, problem.dilation, tap, problem.padding, strict=True)
    return tuple(s * p + d * k - low for s, p, d, k, (low, _) in axes)


def _receptive_field(problem: Problem, at: tuple[int, ...]) -> list[list[int]]:
    """Input positions along each axis that an output position sees."""
    fields = []
    for axis, p in enumerate(at):
        start = problem.stride[axis] * p - problem.padding[axis][0]
        positions = (start + problem.dilation[axis] * k for k in range(problem.kernel[axis]))
        fields.append([q for q in positions if 0 <= q < problem.size[axis]])
    return fields


def _scalar(slack: Array | float) -> float:
    return float(np.max(slack, initial=0))


def _single(p: Problem) -> bool:
    return p.batch == p.channels == p.filters == 1 and not p.bias


_SINGLE = {"batch": ("one",), "channels": ("one",), "filters": ("one",), "groups": ("one",), "bias": ("no",)}
_FLOATS = {"dtype": ("f32", "f64", "f16", "bf16")}
LAWS = (
    Law(weights_shared, CHAPTER, holds=_single, needs=_SINGLE | {"size": ("tiny", "unit-axis", "narrow")}, work=300),
    Law(local, CHAPTER, needs=_FLOATS, holds=floating, direct=True),
    Law(nan_propagates, CHAPTER, needs=_FLOATS, holds=floating, direct=True),
    Law(inf_propagates, CHAPTER, needs=_FLOATS, holds=floating, direct=True),
)
