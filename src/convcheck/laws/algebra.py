"""Chapter Algebra: bilinearity, scaling, and what convolution is as a product."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from convcheck.claim import Claim
from convcheck.dtypes import DTYPES, REAL
from convcheck.engines.base import Conv
from convcheck.laws.arrangement import flip, spatial, wide
from convcheck.laws.law import ALL_MAPS, Law, floating
from convcheck.operands import Operands
from convcheck.problem import Problem

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Algebra"


def additive_in_input(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """f(a + a', b) = f(a, b) + f(a', b), on exact operands; a' is a backwards."""
    a, b, _ = operands
    other = _backwards(a)
    parts = wide(conv(problem, a, b)) + wide(conv(problem, other, b))
    left = conv(problem, a + other, b)
    given = (Operands(a, b), Operands(other, b), Operands(a + other, b))
    slack = _total_slack(conv, problem, given)
    return Claim(left, conv.stored(parts, problem, slack), slack)


def additive_in_weight(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """f(a, b + b') = f(a, b) + f(a, b'), on exact operands; b' is b backwards."""
    a, b, _ = operands
    other = _backwards(b)
    parts = wide(conv(problem, a, b)) + wide(conv(problem, a, other))
    left = conv(problem, a, b + other)
    given = (Operands(a, b), Operands(a, other), Operands(a, b + other))
    slack = _total_slack(conv, problem, given)
    return Claim(left, conv.stored(parts, problem, slack), slack)


def homogeneous(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """f(3 a, b) = 3 f(a, b) = f(a, 3 b), on exact operands."""
    a, b, _ = operands
    three = np.array(3, a.dtype)
    slack = 6 * conv.slack(problem, operands, summed=True)
    right = conv.stored(3 * wide(conv(problem, a, b)), problem, slack)
    left = np.stack([conv(problem, a * three, b), conv(problem, a, b * three)])
    return Claim(left, np.stack([right, right]), slack)


def power_of_two_scales(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """f(2^k a, b) = 2^k f(a, b) = f(a, 2^k b), bit for bit, on any operands clear of overflow and subnormals."""
    a, b, _ = operands
    factor = np.array(4, a.dtype)
    right = conv(problem, a, b) * factor
    left = np.stack([conv(problem, a * factor, b), conv(problem, a, b * factor)])
    # what an FFT leaves of a zero may be subnormal, where scaling is not exact
    return Claim(left, np.stack([right, right]), 8 * DTYPES[problem.dtype].smallest_subnormal)


def negates(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """f(-a, b) = -f(a, b) = f(a, -b), bit for bit, on any operands."""
    a, b, _ = operands
    right = -conv(problem, a, b)
    return Claim(np.stack([conv(problem, -a, b), conv(problem, a, -b)]), np.stack([right, right]))


def shift_kernel(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A kernel that is 1 at one tap copies x from there, bit for bit; at the first tap it is the identity."""
    x = operands.a
    tap = tuple((k - 1) * (problem.size[0] % 2) for k in problem.kernel)
    w = np.zeros(problem.shapes["w"], x.dtype)
    chosen = np.arange(problem.filters) % problem.channels_per_group
    spatial(w, tap)[np.arange(problem.filters), chosen] = 1
    channel = np.arange(problem.filters) // problem.filters_per_group * problem.channels_per_group + chosen
    padded = np.pad(x[:, channel], ((0, 0), (0, 0), *problem.padding))
    window = tuple(
        slice(d * t, d * t + s * (out - 1) + 1, s)
        for d, t, s, out in zip(problem.dilation, tap, problem.stride, problem.output, strict=True)
    )
    plain = problem.replace(bias=False)
    return Claim(conv(plain, x, w), spatial(padded, window), conv.slack(plain, Operands(x, w), copies=True))


def commutes(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Full convolution commutes: x * w = w * x."""
    x, w = operands.a, flip(operands.b)
    return Claim(_full(conv, problem, x, w), _full(conv, problem, w, x), 2 * _slack_of_full(conv, problem, x, w))


def associates(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Full convolution associates: (x * w) * v = x * (w * v), with v = w backwards along its first axis."""
    x, w = operands.a, operands.b
    v = np.ascontiguousarray(w[:, :, ::-1])
    left = _full(conv, problem, _full(conv, problem, x, w), v)
    return Claim(left, _full(conv, problem, x, _full(conv, problem, w, v)), 0.0)


def mass(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """sum(x * w) = sum(x) sum(w), of a full convolution."""
    x, w = operands.a, operands.b
    total = wide(_full(conv, problem, x, w)).sum()
    slack = np.sum(_slack_of_full(conv, problem, x, w))
    return Claim(np.array([total]), np.array([wide(x).sum() * wide(w).sum()]), slack)


def convolution_theorem(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """DFT(x * w) = DFT(x) DFT(w), of the full convolution, rounded to the integers that exact operands give."""
    x, w = operands.a, operands.b
    y = _full(conv, problem, x, w)
    axes = tuple(range(2, y.ndim))
    spectra = [np.fft.rfftn(a.astype(np.float64), y.shape[2:], axes) for a in (x, w)]
    product = np.fft.irfftn(spectra[0] * spectra[1], y.shape[2:], axes)
    slack = np.asarray(_slack_of_full(conv, problem, x, w))
    return Claim(y, np.rint(product).astype(y.dtype), slack)


def _total_slack(conv: Conv, problem: Problem, calls: Sequence[Operands]) -> Any:
    """Sum of the errors that several results may carry together."""
    return sum(conv.slack(problem, operands, summed=True) for operands in calls)


def _backwards(array: Array) -> Array:
    return np.ascontiguousarray(array.ravel()[::-1].reshape(array.shape))


def _full(conv: Conv, problem: Problem, x: Array, w: Array) -> Array:
    """Full convolution of one channel by one filter, by correlating the padded x with the flipped w."""
    return conv(_full_problem(problem, x, w), np.pad(x, _margins(w)), flip(w))


def _margins(w: Array) -> list[tuple[int, int]]:
    return [(0, 0), (0, 0), *((k - 1, k - 1) for k in w.shape[2:])]


def _full_problem(problem: Problem, x: Array, w: Array) -> Problem:
    size = tuple(s + 2 * (k - 1) for s, k in zip(x.shape[2:], w.shape[2:], strict=True))
    return Problem(dtype=problem.dtype, size=size, kernel=w.shape[2:])


def _slack_of_full(conv: Conv, problem: Problem, x: Array, w: Array) -> Array | float:
    return conv.slack(_full_problem(problem, x, w), Operands(np.pad(x, _margins(w)), flip(w)), summed=True)


def _plain(p: Problem) -> bool:
    """One image, channel and filter, and no parameter."""
    return str(p) == str(Problem(dtype=p.dtype, size=p.size, kernel=p.kernel))


_FLOATS = ("f32", "f64", "f16", "bf16")
_PLAIN = {
    "batch": ("one",),
    "channels": ("one",),
    "filters": ("one",),
    "groups": ("one",),
    "stride": ("one",),
    "dilation": ("one",),
    "padding": ("none",),
    "bias": ("no",),
}
LAWS = (
    Law(additive_in_input, CHAPTER, maps=ALL_MAPS, fills="strict", headroom=1, needs={"bias": ("no",)}),
    Law(additive_in_weight, CHAPTER, maps=ALL_MAPS, fills="strict", headroom=1, needs={"bias": ("no",)}),
    Law(homogeneous, CHAPTER, maps=ALL_MAPS, fills="strict", headroom=2, needs={"bias": ("no",)}),
    Law(
        power_of_two_scales,
        CHAPTER,
        maps=ALL_MAPS,
        fills="scalable",
        needs={"bias": ("no",), "dtype": _FLOATS},
        holds=floating,
    ),
    Law(negates, CHAPTER, maps=ALL_MAPS, fills="scalable", needs={"bias": ("no",), "dtype": _FLOATS}, holds=floating),
    Law(shift_kernel, CHAPTER, fills="scalable"),
    Law(
        commutes,
        CHAPTER,
        holds=_plain,
        needs=_PLAIN | {"size": ("tiny", "narrow", "unit-axis")},
        fills="strict",
        work=2_000,
    ),
    Law(
        associates,
        CHAPTER,
        holds=_plain,
        needs=_PLAIN | {"kernel": ("small", "unit", "even", "odd", "mixed"), "dtype": ("f32", "f64", "i64", "i32")},
        fills="tiny",
        work=20_000,
        direct=True,
    ),
    Law(mass, CHAPTER, holds=_plain, needs=_PLAIN, fills="strict", work=20_000),
    Law(
        convolution_theorem,
        CHAPTER,
        holds=lambda p: _plain(p) and p.dtype in REAL,
        needs=_PLAIN | {"dtype": (*_FLOATS, "integer")},
        fills="tiny",
        work=20_000,
    ),
)
