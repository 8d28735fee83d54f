"""Correct engines that do not sum products: FFT and Winograd, which declare that their error is small against norms."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.fft

from convcheck.bounds import Numerics
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import Capabilities
from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE
from convcheck.selftest.base import store as right_store
from convcheck.selftest.call import Call, Request, read_call, trailing
from convcheck.selftest.fault import EVERYTHING, Apply

__all__ = ["ENGINES"]

Array = np.ndarray[Any, Any]

#: (A^T, G, B^T) of F(2, 3) and F(4, 3): A. Lavin and S. Gray, Fast algorithms for convolutional neural networks
#: (arXiv 1509.09308), section 4
WINOGRAD: dict[int, tuple[list[list[float]], list[list[float]], list[list[float]]]] = {
    2: (
        [[1, 1, 1, 0], [0, 1, -1, -1]],
        [[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]],
        [[1, 0, -1, 0], [0, 1, 1, 0], [0, -1, 1, 0], [0, 1, 0, -1]],
    ),
    4: (
        [[1, 1, 1, 1, 1, 0], [0, 1, -1, 2, -2, 0], [0, 1, 1, 4, 4, 0], [0, 1, -1, 8, -8, 1]],
        [
            [1 / 4, 0, 0], [-1 / 6, -1 / 6, -1 / 6], [-1 / 6, 1 / 6, -1 / 6],
            [1 / 24, 1 / 12, 1 / 6], [1 / 24, -1 / 12, 1 / 6], [0, 0, 1],
        ],
        [
            [4, 0, -5, 0, 1, 0], [0, -4, -4, 1, 1, 0], [0, 4, -4, -1, 1, 0],
            [0, -2, -1, 2, 1, 0], [0, 2, -1, -2, 1, 0], [0, 4, 0, -5, 0, 1],
        ],
    ),
}  # fmt: skip


def _padded(call: Call, x: Array, more: tuple[int, ...]) -> Array:
    ends = [(low, high + m) for (low, high), m in zip(call.padding, more, strict=True)]
    return np.pad(x, ((0, 0), (0, 0), *ends))


def _fft(which: Map, problem: Any, operands: Operands) -> Array:
    """Correlate by the product of one spectrum with the conjugate of the other, then subsample."""
    call = read_call(Request.of(which, problem, operands))
    x = _padded(call, operands.a, (0,) * call.ndim)
    taps = np.zeros((*operands.b.shape[:2], *call.reach), x.dtype)
    taps[trailing(slice(None, None, d) for d in call.dilation)] = operands.b
    lengths = [scipy.fft.next_fast_len(s, real=True) for s in x.shape[2:]]
    axes = tuple(range(2, x.ndim))
    spectra = scipy.fft.rfftn(x, lengths, axes), np.conj(scipy.fft.rfftn(taps, lengths, axes))
    left = spectra[0].reshape(call.batch, call.groups, 1, call.channels, *spectra[0].shape[2:])
    right = spectra[1].reshape(call.groups, call.filters, call.channels, *spectra[1].shape[2:])
    product = (left * right).sum(axis=3).reshape(call.batch, call.groups * call.filters, *spectra[0].shape[2:])
    y = scipy.fft.irfftn(product, lengths, axes)
    steps = zip(call.output, call.stride, strict=True)
    window = y[trailing(slice(0, (out - 1) * step + 1, step) for out, step in steps)]
    return right_store(call, window, operands.bias)


def _winograd(tile: int) -> Apply:
    """Winograd's minimal filtering F(tile, 3) along one or two axes, and the plain way where it does not apply."""
    matrices = WINOGRAD[tile]

    def apply(which: Map, problem: Any, operands: Operands) -> Array:
        call = read_call(Request.of(which, problem, operands))
        plain = set(call.kernel) != {3} or {*call.stride, *call.dilation} != {1} or call.ndim > 2 or call.batch == 0
        if plain:
            return BASE(which, problem, operands)
        back, kernel, data = (np.array(matrix, call.dtype) for matrix in matrices)
        tiles = [-(-out // tile) for out in call.output]
        x = _padded(call, operands.a, tuple(t * tile - out for t, out in zip(tiles, call.output, strict=True)))
        weight = _along(operands.b, [kernel] * call.ndim, 2)
        pieces = np.lib.stride_tricks.sliding_window_view(x, (tile + 2,) * call.ndim, tuple(range(2, x.ndim)))
        pieces = pieces[(slice(None), slice(None), *(slice(None, None, tile),) * call.ndim)]
        pieces = _along(pieces, [data] * call.ndim, 2 + call.ndim)
        summed = _summed(call, pieces, weight)
        y = _joined(call, _along(summed, [back] * call.ndim, 2 + call.ndim), tiles, tile)
        return right_store(call, y, operands.bias)

    return apply


def _along(array: Array, matrices: list[Array], first: int) -> Array:
    """Apply a matrix to each of several axes."""
    for axis, matrix in enumerate(matrices, first):
        array = np.moveaxis(np.tensordot(matrix, array, (1, axis)), 0, axis)
    return array


def _summed(call: Call, pieces: Array, weight: Array) -> Array:
    """Multiply transformed tiles by transformed kernels, element by element, and sum over the channels."""
    left = pieces.reshape(call.batch, call.groups, 1, call.channels, *pieces.shape[2:])
    shape = (call.groups, call.filters, call.channels, *(1,) * call.ndim, *weight.shape[2:])
    total = (left * weight.reshape(shape)).sum(axis=3)
    return np.asarray(total.reshape(call.batch, call.groups * call.filters, *pieces.shape[2:]))


def _joined(call: Call, tiled: Array, tiles: list[int], tile: int) -> Array:
    """Put tiles side by side, and cut what is beyond the output."""
    order = [
        axis
        for pair in zip(range(2, 2 + call.ndim), range(2 + call.ndim, 2 + 2 * call.ndim), strict=True)
        for axis in pair
    ]
    whole = tiled.transpose(0, 1, *order).reshape(*tiled.shape[:2], *(t * tile for t in tiles))
    return np.asarray(whole[trailing(map(slice, call.output))])


def _capabilities(*dtypes: str) -> Capabilities:
    return Capabilities(EVERYTHING.ndims, dtypes, EVERYTHING.features, work_limit=EVERYTHING.work_limit)


NORMWISE = Numerics(normwise=True)
ENGINES: tuple[Engine, ...] = (
    Engine("fft", _capabilities("f64", "f32"), _fft, numerics=NORMWISE),
    Engine("winograd-2-3", _capabilities("f64", "f32"), _winograd(2), numerics=NORMWISE),
    Engine("winograd-4-3", _capabilities("f64", "f32"), _winograd(4), numerics=NORMWISE),
)
