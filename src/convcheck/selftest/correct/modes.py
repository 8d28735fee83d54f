"""Correct torch functions that keep something between calls, or leave torch on the way; none without torch."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from importlib.util import find_spec
from typing import Any

from convcheck.engines.base import Engine
from convcheck.engines.wrap import wrap
from convcheck.selftest.functions import FACTS, Parameters, function_of

__all__ = ["ENGINES"]


@cache
def _positions(size: int, kernel: int, stride: int, dilation: int) -> Any:
    """Input position of each tap (columns) at each output (rows), made once: perhaps inside some mode."""
    import torch

    outputs = torch.arange((size - dilation * (kernel - 1) - 1) // stride + 1)
    return stride * outputs[:, None] + dilation * torch.arange(kernel)


def _gathering(x: Any, w: Any, bias: Any, parameters: Parameters) -> Any:
    """Gather what each tap meets by positions that are kept, then sum products."""
    import torch

    stride, padding, dilation, groups = parameters
    if x.ndim != 4 or min(*stride, *dilation, groups) < 1 or min(padding) < 0 or w.shape[1] * groups != x.shape[1]:
        raise ValueError("no convolution")
    padded = torch.nn.functional.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    rows, columns = (_positions(padded.shape[2 + i], w.shape[2 + i], stride[i], dilation[i]) for i in (0, 1))
    if not (rows.numel() and columns.numel()):
        raise ValueError("the kernel does not fit")
    met = padded[:, :, rows][..., columns]
    met = met.reshape(x.shape[0], groups, x.shape[1] // groups, *met.shape[2:])
    weight = w.reshape(groups, w.shape[0] // groups, *w.shape[1:])
    y = torch.einsum("ngcaibj,gocij->ngoab", met, weight).flatten(1, 2)
    return y if bias is None else y + bias[:, None, None]


def _leaving(x: Any, w: Any, bias: Any, parameters: Parameters) -> Any:
    """Go through NumPy's memory, which knows no gradients and no modes."""
    import torch

    a, b = (torch.from_numpy(tensor.numpy()) for tensor in (x, w))
    return torch.from_numpy(torch.nn.functional.conv2d(a, b, bias, *parameters).numpy())


def _engines() -> tuple[Engine, ...]:
    differentiable = replace(FACTS, gradients=("x", "w"))
    return (
        wrap(function_of(_gathering), name="torch-positions-kept", facts=differentiable),
        wrap(function_of(_leaving), name="torch-by-way-of-numpy", facts=FACTS),
    )


ENGINES: tuple[Engine, ...] = _engines() if find_spec("torch") else ()
