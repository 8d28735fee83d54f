"""Correct engines that other libraries compute, and engines that take or offer less or more than usual."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from math import prod
from typing import Any

import numpy as np
import scipy.signal
import scipy.sparse

from convcheck.engines.base import Engine
from convcheck.engines.capabilities import Capabilities
from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE, accumulator, positions
from convcheck.selftest.base import store as right_store
from convcheck.selftest.call import Call, Request, read_call
from convcheck.selftest.fault import EVERYTHING, Apply

__all__ = ["ENGINES"]

Array = np.ndarray[Any, Any]


def _scipy_correlate(which: Map, problem: Any, operands: Operands) -> Array:
    """Add up scipy.signal.correlate of the padded planes, channel by channel, and subsample."""
    call = read_call(Request.of(which, problem, operands))
    wide = accumulator(call.dtype)
    x = np.pad(operands.a, ((0, 0), (0, 0), *call.padding)).astype(wide)
    w = operands.b.astype(wide)
    window = tuple(slice(None, None, s) for s in call.stride)
    sums = np.zeros((call.batch, call.groups * call.filters, *call.output), wide)
    for n, o, c in np.ndindex(call.batch, call.groups * call.filters, call.channels):
        plane = x[n, o // call.filters * call.channels + c]
        sums[n, o] += scipy.signal.correlate(plane, w[o, c], "valid", method="direct")[window]
    return right_store(call, sums, operands.bias)


def _sparse(which: Map, problem: Any, operands: Operands) -> Array:
    """Multiply by the sparse matrix of the fully connected layer that the convolution is."""
    call = read_call(Request.of(which, problem, operands))
    wide = accumulator(call.dtype)
    rows, columns, taps = _pattern(call)
    x = operands.a.astype(wide).reshape(call.batch, call.groups, call.channels, prod(call.size))
    w = operands.b.astype(wide).reshape(call.groups, call.filters, call.channels, call.taps)
    sums = np.zeros((call.batch, call.groups, call.filters, call.places), wide)
    for g, o, c in np.ndindex(call.groups, call.filters, call.channels):
        matrix = scipy.sparse.csr_array((w[g, o, c, taps], (rows, columns)), (call.places, prod(call.size)))
        sums[:, g, o] += (matrix @ x[:, g, c].T).T
    return right_store(call, sums.reshape(call.batch, call.groups * call.filters, *call.output), operands.bias)


def _pattern(call: Call) -> tuple[Array, Array, Array]:
    """Output, input and tap number of every product, as three equally long lines."""
    shape = (*call.kernel, *call.output)
    where, seen = np.zeros(shape, int), np.ones(shape, bool)
    for axis, size in enumerate(call.size):
        table = positions(call, axis)
        table = np.moveaxis(table.reshape(*table.shape, *(1,) * (2 * call.ndim - 2)), (0, 1), (axis, call.ndim + axis))
        where, seen = where * size + table, seen & (table >= 0)
    tap, place = np.nonzero(seen.reshape(call.taps, call.places))
    return place, where.reshape(call.taps, call.places)[tap, place], tap


def _torch_unfold(which: Map, problem: Any, operands: Operands) -> Array:
    """im2col by torch.nn.functional.unfold, then one matrix product a group."""
    import torch

    call = read_call(Request.of(which, problem, operands))
    padded = np.pad(operands.a, ((0, 0), (0, 0), *call.padding))
    x, w = (torch.from_numpy(np.array(array)) for array in (padded, operands.b))
    columns = torch.nn.functional.unfold(x, call.kernel, call.dilation, 0, call.stride)
    columns = columns.reshape(call.batch, call.groups, call.channels * call.taps, call.places)
    sums = torch.matmul(w.reshape(call.groups, call.filters, -1), columns).numpy()
    return right_store(call, sums.reshape(call.batch, call.groups * call.filters, *call.output), operands.bias)


def _torch_gradients(which: Map, problem: Any, operands: Operands) -> Array:
    """Forward by NumPy, backward by torch's autograd over a padded torch convolution."""
    import torch

    if which is Map.FORWARD:
        return BASE(which, problem, operands)
    call = read_call(Request.of(which, problem, operands))
    upstream, other = (torch.from_numpy(np.array(array)) for array in operands[:2])
    x_shape = (call.batch, call.groups * call.channels, *call.size)
    free = torch.zeros(x_shape if which is Map.GRAD_INPUT else problem.shapes["w"], dtype=other.dtype)
    free.requires_grad_()
    x, w = (free, other) if which is Map.GRAD_INPUT else (other, free)
    ends = [end for pair in reversed(call.padding) for end in pair]
    function = getattr(torch.nn.functional, f"conv{call.ndim}d")
    y = function(torch.nn.functional.pad(x, ends), w, None, call.stride, 0, call.dilation, call.groups)
    gradient: Array = torch.autograd.grad(y, free, upstream)[0].numpy()
    return gradient


def _flipping(which: Map, problem: Any, operands: Operands) -> Array:
    """A convolution in the mathematician's sense: the kernel is flipped first."""
    return BASE(which, problem, operands._replace(b=np.flip(operands.b, tuple(range(2, operands.b.ndim)))))


def _refusing(condition: Callable[[Call], bool], why: str) -> Apply:
    """Say, by NotImplementedError, what is not supported although it was declared."""

    def apply(which: Map, problem: Any, operands: Operands) -> Array:
        if condition(read_call(Request.of(which, problem, operands))):
            raise NotImplementedError(why)
        return BASE(which, problem, operands)

    return apply


def _takes(ndims: tuple[int, ...], dtypes: tuple[str, ...], *features: str) -> Capabilities:
    return Capabilities(ndims, dtypes, frozenset(features), work_limit=EVERYTHING.work_limit)


FLOATS = ("f64", "f32")
_SMALL = replace(EVERYTHING, work_limit=2_000)
_UNDILATED = replace(_SMALL, features=EVERYTHING.features - {"dilation", "unequal-dilation"})
_BACKWARD = replace(EVERYTHING, maps=tuple(Map))
_LIMITED: tuple[Engine, ...] = (
    Engine("without-parameters", _takes((1, 2, 3), ("f64", "f32", "bf16"), "batch", "channels"), BASE),
    Engine("bare-two-axes", _takes((2,), FLOATS), BASE),
    Engine("two-axes-with-stride", _takes((2,), FLOATS, "batch", "channels", "stride"), BASE),
    Engine(
        "one-axis-causal", _takes((1,), FLOATS, "batch", "channels", "padding", "two-sided-padding", "dilation"), BASE
    ),
    Engine("f64-only", _takes((1, 2), ("f64",), "batch", "channels", "groups", "bias", "padding"), BASE),
    Engine("integers-only", _takes((1, 2), ("i64", "i32", "i16", "i8", "u8"), "batch", "channels", "stride"), BASE),
    Engine("refuses-stride", EVERYTHING, _refusing(lambda call: max(call.stride) > 1, "stride above 1")),
    Engine(
        "refuses-dilated-groups",
        EVERYTHING,
        _refusing(lambda c: c.groups > 1 and max(c.dilation) > 1, "dilated groups"),
    ),
)
_TORCH: tuple[Engine, ...] = (
    Engine("torch-unfold", _takes((2,), FLOATS, *EVERYTHING.features), _torch_unfold),
    Engine("gradients-by-torch", replace(_BACKWARD, dtypes=FLOATS), _torch_gradients),
)
ENGINES: tuple[Engine, ...] = (
    Engine("scipy-correlate", _UNDILATED, _scipy_correlate),
    Engine("sparse-matrix", replace(_SMALL, dtypes=(*FLOATS, "f16", "bf16", "i64")), _sparse),
    *_LIMITED,
    Engine("flips-and-says-so", EVERYTHING, _flipping, convention="convolution"),
    Engine("with-gradients", _BACKWARD, BASE),
    *(_TORCH if find_spec("torch") else ()),
)
