"""Chapter Definition: the function is the sum that the blackboard says, of the size that the formula says."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import Any

import numpy as np

from convcheck.bounds import expect
from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.engines.capabilities import Capabilities
from convcheck.errors import UnsupportedError
from convcheck.laws.arrangement import pad, stuff, subsample, wide_number
from convcheck.laws.law import ALL_MAPS, OWN_MAPS, SECONDS, Law, floating, inexact
from convcheck.operands import Operands
from convcheck.problem import Problem
from convcheck.reference.impulses import certify

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Definition"


def output_size(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Each output size is floor((S + p_lo + p_hi - d (k - 1) - 1) / s) + 1, after batch and filters.

    Of a transposed convolution it is (S - 1) s - p_lo - p_hi + d (k - 1) + output_padding + 1.
    """
    shape = conv.unchecked(problem, operands).shape
    return Claim(np.array(shape), np.array(problem.shapes[conv.map.result]), note="sizes")


def definition(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """y[n, o, p] = sum over channels and taps of x[n, c, s p + d k - lo] w[o, c, k], plus b[o]: exact operands.

    Gradients are the same sum, contracted over other indices: gx[n, c, q] = sum gy[n, o, p] w[o, c, k] and
    gw[o, c, k] = sum gy[n, o, p] x[n, c, q], over all q = s p + d k - lo.
    """
    expected = expect(conv.map, problem, operands, conv.numerics)
    return Claim(conv(problem, *operands), expected.value, expected.bound)


def accuracy(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """|computed - exact| <= gamma_n(u) sum |x| |w|, element by element: floating-point operands of several kinds.

    Where the output is of lower precision than the accumulator, its one rounding is allowed on top.
    """
    expected = expect(conv.map, problem, operands, conv.numerics)
    return Claim(conv(problem, *operands), expected.value, expected.bound)


def accumulator(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Sums are kept at the accumulator's precision: large terms that cancel leave the small ones exact."""
    expected = expect(conv.map, problem, operands, conv.numerics)
    return Claim(conv(problem, *operands), expected.value, expected.bound)


def agrees_with_scipy(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w) = scipy.signal.correlate(x, w, valid | same | full, direct), channel by channel."""
    from scipy.signal import correlate

    if _scipy_products(problem) > 3_000_000:  # seconds
        raise UnsupportedError("too large for SciPy, which knows neither stride nor dilation")
    per_group = problem.filters_per_group, problem.channels_per_group
    number = wide_number(problem)
    x, w = operands.a.astype(number), stuff(operands.b, problem.dilation).astype(number).conj()  # SciPy takes it back
    mode, window = _scipy_window(problem)
    full = np.zeros((*problem.shapes["y"][:2], *(len(range(*s.indices(10**9))) for s in window)), number)
    for n, o, c in np.ndindex(problem.batch, problem.filters, per_group[1]):
        plane = correlate(x[n, o // per_group[0] * per_group[1] + c], w[o, c], mode, method="direct")
        full[n, o] += np.pad(plane, _missing(plane, window, problem, mode))[window]
    y = subsample(full, problem.stride)
    if operands.bias is not None:
        y = y + operands.bias.astype(number).reshape(-1, *(1,) * problem.ndim)
    bound = expect(conv.map, problem, operands, conv.numerics).bound
    return Claim(conv(problem, *operands), conv.stored(y, problem, bound), bound)


def _scipy_window(problem: Problem) -> tuple[str, tuple[slice, ...]]:
    """SciPy's mode, and the part of its result (padded as `_missing` says) that the problem's padding asks for."""
    pads = problem.padding
    lengths = [s + sum(p) - r + 1 for s, p, r in zip(problem.size, pads, problem.reach, strict=True)]
    fits = all(r <= s for r, s in zip(problem.reach, problem.size, strict=True))
    if fits and not any(map(any, pads)):
        return "valid", tuple(slice(0, length) for length in lengths)
    if fits and all(p == (r // 2, (r - 1) // 2) for p, r in zip(pads, problem.reach, strict=True)):
        return "same", tuple(slice(0, length) for length in lengths)
    starts = [max(0, r - 1 - low) for r, (low, _) in zip(problem.reach, pads, strict=True)]
    return "full", tuple(slice(b, b + length) for b, length in zip(starts, lengths, strict=True))


def _scipy_products(problem: Problem) -> int:
    """Products that SciPy sums, which knows neither a stride nor a dilation: zeros between the taps count too."""
    pairs = problem.batch * problem.filters * problem.channels_per_group
    return pairs * prod(problem.size) * prod(problem.reach)


def _missing(plane: Array, window: tuple[slice, ...], problem: Problem, mode: str) -> list[tuple[int, int]]:
    """Zeros to add where the padding is wider than the kernel reaches, which SciPy's full result leaves out."""
    before = [
        max(0, low - (r - 1)) if mode == "full" else 0
        for (low, _), r in zip(problem.padding, problem.reach, strict=True)
    ]
    return [(b, max(0, w.stop - s - b)) for b, w, s in zip(before, window, plane.shape, strict=True)]


def agrees_with_torch(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w) = torch.nn.functional.conv{1,2,3}d(x, w), on the CPU and, where there is one, on CUDA without TF32."""
    import torch

    x, w, b = (
        None if array is None else torch.from_numpy(np.array(array, wide_number(problem)))
        for array in (pad(operands.a, problem), operands.b, operands.bias)
    )
    function = getattr(torch.nn.functional, f"conv{problem.ndim}d")
    devices = ["cpu", *(["cuda"] if torch.cuda.is_available() and DTYPES[problem.dtype].kind == "f" else [])]
    with torch.no_grad(), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        results = [
            function(
                *(None if t is None else t.to(device) for t in (x, w, b)),
                stride=problem.stride,
                dilation=problem.dilation,
                groups=problem.groups,
            )
            .cpu()
            .numpy()
            for device in devices
        ]
    y = conv(problem, *operands)
    bound = expect(conv.map, problem, operands, conv.numerics).bound
    stacked = conv.stored(np.stack(results), problem, bound)
    return Claim(np.stack([y] * len(devices)), stacked, bound, note=f"torch on {' and '.join(devices)}")


def impulse_response(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Every one-hot x against every one-hot w gives the incidence tensor of q = s p + d k - lo: a certificate.

    One call returns the whole bilinear operator of a shape, so that a bilinear engine is proved right for it.
    """
    del operands
    return Claim(*certify(conv, problem))


def small_scope(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Every small one-axis problem is certified by its impulse response: not a sample but all of them."""
    del operands
    return Claim(*certify(conv, problem))


def _small_problems(offered: Capabilities) -> Iterator[Problem]:
    """All valid one-axis problems up to size 8, kernel 4, stride, dilation and each padding 3 that an engine takes."""
    ndim = min(offered.ndims)
    dtype = next(d for d in DTYPES if d in offered.dtypes)
    ranges = (range(1, 9), range(1, 5), range(1, 4), range(1, 4), range(4), range(4))
    for index, (size, kernel, stride, dilation, low, high) in enumerate(product(*ranges)):
        axis = index % ndim

        def on_axis(value: Any, rest: Any, axis: int = axis) -> tuple[Any, ...]:
            return tuple(value if i == axis else rest for i in range(ndim))

        problem = Problem(
            dtype=dtype,
            size=on_axis(size, 1),
            kernel=on_axis(kernel, 1),
            stride=on_axis(stride, stride if "unequal-stride" not in offered.features else 1),
            dilation=on_axis(dilation, dilation if "unequal-dilation" not in offered.features else 1),
            padding=on_axis((low, high), (0, 0)),
        )
        if prod(problem.output) and not offered.admits(problem):
            yield problem


#: multiply-adds, which the engine's own limit bounds
LARGE = 1_000_000
_FLOATS = {"dtype": ("f32", "f64", "f16", "bf16")}
_INEXACT = {"dtype": ("f32", "f64", "f16", "bf16", "complex")}
LAWS = (
    Law(output_size, CHAPTER, maps=OWN_MAPS, own=True, valueless=True),
    Law(definition, CHAPTER, maps=ALL_MAPS, work=LARGE, fills="defining"),
    Law(accuracy, CHAPTER, maps=ALL_MAPS, work=LARGE, fills="float", needs=_INEXACT, holds=inexact),
    Law(
        accumulator,
        CHAPTER,
        maps=ALL_MAPS,
        fills="cancelling",
        needs=_FLOATS,
        holds=floating,
    ),
    Law(agrees_with_scipy, CHAPTER, work=1_000, takes=SECONDS),
    Law(agrees_with_torch, CHAPTER, requires="torch", takes=SECONDS),
    Law(
        impulse_response,
        CHAPTER,
        maps=ALL_MAPS,
        fills="none",
        work=600,
        needs={
            "batch": ("one",),
            "bias": ("no",),
            "size": ("tiny", "unit-axis"),
            "kernel": ("small", "unit", "even", "odd", "mixed", "full"),
        },
    ),
    Law(small_scope, CHAPTER, fills="none", every=_small_problems),
)
