"""Chapter Symmetry: flips, permutations and translations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.claim import Claim
from convcheck.engines.base import Conv
from convcheck.laws.arrangement import flip, pad, spatial, subsample, wide_number
from convcheck.laws.law import ALL_MAPS, SECONDS, Law
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Symmetry"


def flip_relates(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, flip(w)) = convolution(x, w), by scipy.signal.convolve, channel by channel."""
    from scipy.signal import convolve

    number = wide_number(problem)
    x, w = pad(operands.a, problem).astype(number), operands.b.astype(number)
    dense = np.zeros((*problem.shapes["y"][:2], *_lengths(x, w)), number)
    for n, o, c in np.ndindex(problem.batch, problem.filters, problem.channels_per_group):
        channel = o // problem.filters_per_group * problem.channels_per_group + c
        dense[n, o] += convolve(x[n, channel], w[o, c], "valid", method="direct")
    plain = problem.replace(bias=False)
    flipped = operands._replace(b=flip(operands.b), bias=None)
    slack = conv.slack(plain, flipped)
    expected = conv.stored(subsample(dense, problem.stride), problem, slack)
    return Claim(conv(plain, *flipped), expected, slack)


def _lengths(x: Array, w: Array) -> tuple[int, ...]:
    return tuple(s - k + 1 for s, k in zip(x.shape[2:], w.shape[2:], strict=True))


def mirrors(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(flip(x), flip(w)) = flip(corr(x, w)), with the padding of the two ends exchanged."""
    # what the stride leaves over at the far end comes to lie at the near end: it is taken off there
    over = [
        (s + sum(p) - r) % step
        for s, p, r, step in zip(problem.size, problem.padding, problem.reach, problem.stride, strict=True)
    ]
    near = [high - rest for (_, high), rest in zip(problem.padding, over, strict=True)]
    x = spatial(flip(operands.a), (slice(max(0, -n), None) for n in near))
    padding = tuple((max(0, n), low) for n, (low, _) in zip(near, problem.padding, strict=True))
    mirrored = problem.replace(size=x.shape[2:], padding=padding, same=False)
    left = conv(mirrored, x, flip(operands.b), operands.bias)
    return Claim(left, flip(conv(problem, *operands)), 2 * _moved(flip, conv.slack(problem, operands)))


def axes_permute(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Permuting the spatial axes of x, w and of every parameter permutes those of y."""
    names = ("size", "kernel", "stride", "padding", "dilation")
    turned = problem.replace(**{name: getattr(problem, name)[::-1] for name in names})
    a, b = (_turn(array) for array in operands[:2] if array is not None)
    left = conv(turned, a, b, operands.bias)
    return Claim(left, _turn(conv(problem, *operands)), 2 * _moved(_turn, conv.slack(problem, operands)))


def _moved(change: Callable[[Array], Array], slack: Array | float) -> Array | float:
    """Each element's bound goes where the element goes."""
    return change(slack) if isinstance(slack, np.ndarray) else slack


def _turn(array: Array) -> Array:
    """Spatial axes in reverse order."""
    return np.ascontiguousarray(array.transpose(0, 1, *range(array.ndim - 1, 1, -1)))


def translation_equivariant(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Shifting x by a multiple of the stride shifts y, wherever the receptive field stays inside."""
    shift = [1 if out > 1 and step < size else 0 for out, step, size in _axes(problem)]
    x = np.zeros_like(operands.a, order="C")
    there, here = [], []
    for t, step in zip(shift, problem.stride, strict=True):
        there.append(slice(t * step, None))
        here.append(slice(None, -t * step if t else None))
    spatial(x, there)[...] = spatial(operands.a, here)
    # outputs whose window ends inside x: beyond, the shifted image has lost what the window would see
    ends = [
        max(t, min(out, (size - reach + low) // step + 1))
        for (out, step, size), reach, (low, _), t in zip(
            _axes(problem), problem.reach, problem.padding, shift, strict=True
        )
    ]
    moved = spatial(conv(problem, x, *operands[1:]), map(slice, shift, ends))
    still = spatial(conv(problem, *operands), (slice(0, e - t) for e, t in zip(ends, shift, strict=True)))
    return Claim(moved, still, _widest(conv.slack(problem, operands)))


def _axes(problem: Problem) -> list[tuple[int, int, int]]:
    return list(zip(problem.output, problem.stride, problem.size, strict=True))


def _widest(slack: Array | float) -> float:
    return 2 * float(np.max(slack, initial=0))


def channels_permute(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Permuting the channels of x and of w together changes nothing."""
    a, b = (np.roll(array, 1, axis=1) for array in operands[:2] if array is not None)
    return Claim(conv(problem, a, b, operands.bias), conv(problem, *operands), 2 * conv.slack(problem, operands))


def filters_permute(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Permuting the filters permutes the channels of y."""
    bias = None if operands.bias is None else np.roll(operands.bias, 1)
    left = conv(problem, operands.a, np.roll(operands.b, 1, axis=0), bias)
    right = np.roll(conv(problem, *operands), 1, axis=1)
    return Claim(left, right, _widest(conv.slack(problem, operands)))


def batch_permutes(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Permuting the images permutes the results: of y and gx one by one, of gw none."""
    a = np.roll(operands.a, 1, axis=0)
    b = np.roll(operands.b, 1, axis=0) if conv.map is Map.GRAD_WEIGHT else operands.b
    right = conv(problem, *operands)
    if conv.map is not Map.GRAD_WEIGHT:
        right = np.roll(right, 1, axis=0)
    return Claim(conv(problem, a, b, operands.bias), right, _widest(conv.slack(problem, operands)))


def _ungrouped(problem: Problem) -> bool:
    return problem.groups == 1


_MANY = ("few", "odd", "vector", "around", "wide")
LAWS = (
    Law(
        flip_relates,
        CHAPTER,
        needs={"dilation": ("one",), "bias": ("no",)},
        holds=lambda p: max(p.dilation) == 1,
        work=2_000,
        takes=SECONDS,
    ),
    Law(mirrors, CHAPTER),
    Law(axes_permute, CHAPTER, needs={"ndim": ("2", "3")}),
    Law(translation_equivariant, CHAPTER),
    Law(channels_permute, CHAPTER, needs={"channels": _MANY, "groups": ("one",)}, holds=_ungrouped),
    Law(filters_permute, CHAPTER, needs={"filters": _MANY, "groups": ("one",)}, holds=_ungrouped),
    Law(batch_permutes, CHAPTER, needs={"batch": ("several",)}, maps=ALL_MAPS),
)
