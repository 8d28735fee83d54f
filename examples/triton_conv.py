"""A convolution in Triton as a matrix product, and the same with the tail of every sum lost.

Run ``python examples/triton_conv.py``, or ask for a verdict on ``examples.triton_conv:conv2d`` and ``:tail_lost``::

    convcheck run examples.triton_conv:conv2d --profile smoke --max-examples 3 --call-timeout 60

With a GPU, add ``--device cuda``; without one, Triton interprets the kernel on the CPU, which takes its time.
"""

import os
import threading

import torch

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu":
    os.environ["TRITON_INTERPRET"] = "1"

import triton  # noqa: E402 - reads the variable
import triton.language as tl  # noqa: E402

#: how many outputs and filters a program computes, and how many products of each it adds up at a time
OUTPUTS, FILTERS, TAPS = 64, 16, 16
INTERPRETER = threading.Lock()  # which exchanges the functions of triton.language while it runs


@triton.jit
def _conv2d(  # noqa: PLR0913, PLR0917 - a kernel takes plain numbers
    x, w, y, outputs, products, tiles, filters, C, H, W, KH, KW, P, Q, SH, SW, PH, PW,
    OUTPUTS: tl.constexpr, FILTERS: tl.constexpr, TAPS: tl.constexpr,
):  # fmt: skip
    """Compute a tile of outputs by filters, as a matrix product of gathered pixels with weights.

    y[n, o, p, q] = sum over a tap's c, i, j of x[n, c, SH p + i - PH, SW q + j - PW] w[o, c, i, j]
    """
    output = tl.program_id(0) * OUTPUTS + tl.arange(0, OUTPUTS)
    o = tl.program_id(1) * FILTERS + tl.arange(0, FILTERS)
    n, p, q = output // (P * Q), output // Q % P, output % Q
    dtype: tl.constexpr = y.dtype.element_ty
    total = tl.zeros((OUTPUTS, FILTERS), tl.float64 if dtype == tl.float64 else tl.float32)
    for tile in range(tiles):
        tap = tile * TAPS + tl.arange(0, TAPS)
        c, i, j = tap // (KH * KW), tap // KW % KH, tap % KW
        row, column = (p * SH - PH)[:, None] + i, (q * SW - PW)[:, None] + j
        inside = (row >= 0) & (row < H) & (column >= 0) & (column < W)
        inside &= (output < outputs)[:, None] & (tap < products)
        pixels = tl.load(x + ((n * C)[:, None] + c) * H * W + row * W + column, mask=inside, other=0)
        known = (tap < products)[:, None] & (o < filters)
        weights = tl.load(w + o * products + tap[:, None], mask=known, other=0)
        total = tl.dot(pixels, weights, total, input_precision="ieee", out_dtype=total.dtype)
    place = y + ((n * filters)[:, None] + o) * P * Q + (output % (P * Q))[:, None]
    tl.store(place, total.to(dtype), mask=(output < outputs)[:, None] & (o < filters))


def conv2d(x: torch.Tensor, w: torch.Tensor, stride=(1, 1), padding=(0, 0)) -> torch.Tensor:
    return _launch(x, w, stride, padding, triton.cdiv)


def tail_lost(x: torch.Tensor, w: torch.Tensor, stride=(1, 1), padding=(0, 0)) -> torch.Tensor:
    """Round the number of tiles to sum up down: right where channels times taps is a multiple of 16."""
    return _launch(x, w, stride, padding, lambda size, tile: size // tile)


def _launch(x, w, stride, padding, tiles):
    if x.dtype not in (torch.float16, torch.float32, torch.float64):
        raise NotImplementedError("float16, float32 and float64 only")
    (n, c, *size), (o, channels, *kernel) = x.shape, w.shape
    out = [(s + 2 * p - k) // t + 1 for s, k, t, p in zip(size, kernel, stride, padding, strict=True)]
    if channels != c or min(out) < 1 or min(stride) < 1 or min(padding) < 0:
        raise ValueError(f"no convolution of {tuple(x.shape)} with {tuple(w.shape)}")
    y = x.new_empty((n, o, *out))
    outputs, products = n * out[0] * out[1], c * kernel[0] * kernel[1]
    if y.numel():
        grid = (triton.cdiv(outputs, OUTPUTS), triton.cdiv(o, FILTERS))
        sizes = outputs, products, tiles(products, TAPS), o, c, *size, *kernel, *out
        with INTERPRETER:
            _conv2d[grid](x.contiguous(), w.contiguous(), y, *sizes, *stride, *padding, OUTPUTS, FILTERS, TAPS)
    return y


def main() -> None:
    for channels in (16, 17):
        x, w = torch.rand(1, channels, 6, 6, device=DEVICE), torch.rand(2, channels, 3, 3, device=DEVICE)
        expected = torch.nn.functional.conv2d(x, w)
        for function in (conv2d, tail_lost):
            same = torch.allclose(function(x, w), expected, rtol=1e-4)
            print(f"{channels} channels: {function.__name__} {'agrees with' if same else 'differs from'} torch")


if __name__ == "__main__":
    main()
