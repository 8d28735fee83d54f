"""Correct transposed convolutions: by zeros between the inputs and a flipped kernel, by scattering, by torch."""

from __future__ import annotations

from dataclasses import replace
from importlib.util import find_spec
from typing import Any

import numpy as np

from convcheck.engines.base import Engine
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.selftest.base import BASE, accumulator
from convcheck.selftest.base import store as right_store
from convcheck.selftest.call import Call, Request, read_call, trailing
from convcheck.selftest.fault import EVERYTHING

__all__ = ["ENGINES"]

Array = np.ndarray[Any, Any]


def _cut(call: Call, whole: Array) -> Array:
    """Cut the padding off a result of which nothing was cut, and add zeros where nothing was scattered."""
    short = [max(0, low + s - n) for n, s, (low, _) in zip(whole.shape[2:], call.size, call.padding, strict=True)]
    whole = np.pad(whole, ((0, 0), (0, 0), *((0, more) for more in short)))
    return np.asarray(whole[trailing(slice(low, low + s) for s, (low, _) in zip(call.size, call.padding, strict=True))])


def _zero_stuffed(which: Map, problem: Any, operands: Operands) -> Array:
    """Correlate the input, with s - 1 zeros between its elements, with the flipped kernel, channels exchanged."""
    call = read_call(Request.of(which, problem, operands))
    y, w, bias = operands
    stuffed = np.zeros(
        (*y.shape[:2], *((n - 1) * s + 1 for n, s in zip(call.output, call.stride, strict=True))), y.dtype
    )
    stuffed[trailing(slice(None, None, s) for s in call.stride)] = y
    grouped = np.flip(w, tuple(range(2, w.ndim))).reshape(call.groups, call.filters, call.channels, *call.kernel)
    weight = grouped.swapaxes(1, 2).reshape(-1, call.filters, *call.kernel)
    dense = Problem(
        size=stuffed.shape[2:],
        kernel=call.kernel,
        padding=tuple((r - 1, r - 1) for r in call.reach),
        dilation=call.dilation,
        dtype=problem.dtype,
        batch=call.batch,
        groups=call.groups,
        channels=call.groups * call.filters,
        filters=call.groups * call.channels,
    )
    whole = BASE.replace(store=lambda _, sums, __: sums)(Map.FORWARD, dense, Operands(stuffed, weight))
    return right_store(call, _cut(call, whole), bias)


def _scattered(which: Map, problem: Any, operands: Operands) -> Array:
    """Add each tap's product with the whole input to a strided window of the result."""
    call = read_call(Request.of(which, problem, operands))
    wide = accumulator(call.dtype)
    y = operands.a.astype(wide).reshape(call.batch, call.groups, call.filters, call.places)
    w = operands.b.astype(wide).reshape(call.groups, call.filters, call.channels, *call.kernel)
    shape = ((n - 1) * s + r for n, s, r in zip(call.output, call.stride, call.reach, strict=True))
    whole = np.zeros((call.batch, call.groups * call.channels, *shape), wide)
    for tap in np.ndindex(*call.kernel):
        product = np.einsum("ngfp,gfc->ngcp", y, w[(..., *tap)])
        rows = zip(tap, call.dilation, call.stride, call.output, strict=True)
        window = trailing(slice(k * d, k * d + (n - 1) * s + 1, s) for k, d, s, n in rows)
        whole[window] += product.reshape(*whole.shape[:2], *call.output)
    return right_store(call, _cut(call, whole), operands.bias)


def _by_torch(which: Map, problem: Any, operands: Operands) -> Array:
    """Let torch transpose, and cut off the padding here."""
    import torch

    call = read_call(Request.of(which, problem, operands))
    y, w = (torch.from_numpy(np.array(array)) for array in operands[:2])
    function = getattr(torch.nn.functional, f"conv_transpose{call.ndim}d")
    whole = function(y, w, None, call.stride, 0, 0, call.groups, call.dilation).numpy()
    return right_store(call, _cut(call, whole), operands.bias)


_OFFERED = replace(EVERYTHING, maps=(Map.GRAD_INPUT,), primary=Map.GRAD_INPUT)
_TORCH = (Engine("transposed-by-torch", replace(_OFFERED, dtypes=("f64", "f32")), _by_torch),)
ENGINES: tuple[Engine, ...] = (
    Engine("transposed-by-zeros", _OFFERED, _zero_stuffed),
    Engine("transposed-by-scattering", _OFFERED, _scattered),
    Engine("transposed-with-gradients", replace(_OFFERED, maps=tuple(Map)), BASE),
    *(_TORCH if find_spec("torch") else ()),
)
