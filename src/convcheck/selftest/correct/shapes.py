"""Correct engines of another construction: tap loops, windows as views, other axes, other memory, other libraries."""

from __future__ import annotations

from threading import local
from typing import Any

import numpy as np

from convcheck.engines.base import Engine
from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE, accumulator
from convcheck.selftest.base import store as right_store
from convcheck.selftest.call import Call, Request, read_call, trailing
from convcheck.selftest.fault import EVERYTHING

__all__ = ["ENGINES"]

Array = np.ndarray[Any, Any]


def _read(which: Map, problem: Any, operands: Operands) -> tuple[Call, Array, Array]:
    """The call, the input padded and the weight by groups, both in the accumulator's type."""
    call = read_call(Request.of(which, problem, operands))
    wide = accumulator(call.dtype)
    x = np.pad(operands.a, ((0, 0), (0, 0), *call.padding)).astype(wide)
    w = operands.b.astype(wide).reshape(call.groups, call.filters, call.channels, *call.kernel)
    return call, x.reshape(call.batch, call.groups, call.channels, *x.shape[2:]), w


def _finish(call: Call, sums: Array, bias: Array | None) -> Array:
    return right_store(call, sums.reshape(call.batch, call.groups * call.filters, *call.output), bias)


def _window(call: Call, tap: tuple[int, ...]) -> tuple[slice, ...]:
    """Where a tap meets the padded input."""
    rows = zip(tap, call.dilation, call.output, call.stride, strict=True)
    return tuple(slice(k * d, k * d + s * (out - 1) + 1, s) for k, d, out, s in rows)


def _tap_loop(which: Map, problem: Any, operands: Operands) -> Array:
    """Add one tap's contribution after the other."""
    call, x, w = _read(which, problem, operands)
    total = np.zeros((call.batch, call.groups, call.filters, call.places), x.dtype)
    for tap in np.ndindex(*call.kernel):
        seen = x[trailing(_window(call, tap))].reshape(call.batch, call.groups, call.channels, call.places)
        total += np.matmul(w[(..., *tap)], seen)
    return _finish(call, total, operands.bias)


def _windows(call: Call, x: Array) -> Array:
    """A view of the padded input: N, G, C, *output, *kernel, without a copy."""
    rows = zip(x.strides[3:], call.stride, call.dilation, strict=True)
    steps = [(stride * s, stride * d) for stride, s, d in rows]
    return np.lib.stride_tricks.as_strided(
        x,
        (*x.shape[:3], *call.output, *call.kernel),
        (*x.strides[:3], *(step for step, _ in steps), *(step for _, step in steps)),
        writeable=False,
    )


def _strided_windows(which: Map, problem: Any, operands: Operands) -> Array:
    """Sum over a strided view of all windows, by einsum."""
    call, x, w = _read(which, problem, operands)
    return _finish(call, np.einsum("ngc...k,gock->ngo...", *_flat_taps(call, _windows(call, x), w)), operands.bias)


def _flat_taps(call: Call, windows: Array, w: Array) -> tuple[Array, Array]:
    return windows.reshape(*windows.shape[: 3 + call.ndim], call.taps), w.reshape(*w.shape[:3], call.taps)


def _tensor_product(which: Map, problem: Any, operands: Operands) -> Array:
    """One tensordot a group over a sliding view."""
    call, x, w = _read(which, problem, operands)
    spatial = tuple(range(3, 3 + call.ndim))
    views = np.lib.stride_tricks.sliding_window_view(x, call.reach, spatial)
    views = views[trailing(slice(None, None, step) for step in (*call.stride, *call.dilation))]
    taps = range(3 + call.ndim, 3 + 2 * call.ndim)
    parts = [
        np.tensordot(views[:, g], w[g], ([1, *(t - 1 for t in taps)], [1, *range(2, 2 + call.ndim)]))
        for g in range(call.groups)
    ]
    return _finish(call, np.moveaxis(np.stack(parts, axis=1), -1, 2), operands.bias)


def _channels_last(which: Map, problem: Any, operands: Operands) -> Array:
    """Work with the channels last, and hand such memory back: right values, unusual strides."""
    result = BASE(which, problem, operands)
    return np.moveaxis(np.ascontiguousarray(np.moveaxis(result, 1, -1)), -1, 1)


def _every_second(which: Map, problem: Any, operands: Operands) -> Array:
    """Hand a strided, reversed view of larger memory back."""
    result = BASE(which, problem, operands)
    host = np.full((*result.shape[:-1], 2 * result.shape[-1]), 99, result.dtype)
    view = host[..., ::-2]
    view[...] = result
    return view


def _read_only(which: Map, problem: Any, operands: Operands) -> Array:
    """Hand back what nobody may write."""
    result = BASE(which, problem, operands)
    result.flags.writeable = False
    return result


class ScratchOfItsThread:
    """Pad into a buffer that is kept from call to call, one a thread, cleared before use."""

    def __init__(self) -> None:
        self.kept = local()

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map."""
        call = read_call(Request.of(which, problem, operands))
        sizes = tuple(s + sum(p) for s, p in zip(call.size, call.padding, strict=True))
        shape = (*operands.a.shape[:2], *sizes)
        if getattr(self.kept, "scratch", np.empty(0)).shape != shape or self.kept.scratch.dtype != call.dtype:
            self.kept.scratch = np.empty(shape, call.dtype)
        self.kept.scratch[...] = 0
        ends = zip(call.padding, call.size, strict=True)
        self.kept.scratch[trailing(slice(low, low + s) for (low, _), s in ends)] = operands.a
        bare = Request.of(which, problem, operands)._replace(
            a=self.kept.scratch, size=sizes, padding=((0, 0),) * call.ndim
        )
        return BASE.replace(front=lambda _: bare)(which, problem, operands)


class SafelyCached:
    """Keep the last weight, prepared, and use it only where the weight's bytes are the same."""

    def __init__(self) -> None:
        self.last: tuple[Any, Array] | None = None

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map."""
        key = (operands.b.shape, operands.b.dtype, operands.b.tobytes())
        last = self.last
        if last is None or last[0] != key:
            last = self.last = (key, operands.b.copy())
        return BASE(which, problem, operands._replace(b=last[1]))


def _as_three_axes(which: Map, problem: Any, operands: Operands) -> Array:
    """Run every problem as one of three axes."""
    request = Request.of(which, problem, operands)
    read_call(request)
    more = 3 - len(request.size)
    ones = (1,) * more
    a, b = (array.reshape(*array.shape[:2], *ones, *array.shape[2:]) for array in (request.a, request.b))
    wider = request._replace(
        a=a, b=b, size=ones + request.size, kernel=ones + request.kernel, stride=ones + request.stride,
        dilation=ones + request.dilation, padding=((0, 0),) * more + request.padding,
    )  # fmt: skip
    result = BASE.replace(front=lambda _: wider)(which, problem, operands)
    return result.reshape(*result.shape[:2], *result.shape[2 + more :])


def _axes_reversed(which: Map, problem: Any, operands: Operands) -> Array:
    """Run every problem with its axes in reverse order."""
    request = Request.of(which, problem, operands)

    def turn(array: Array) -> Array:
        return array.transpose(0, 1, *range(array.ndim - 1, 1, -1))

    turned = request._replace(
        a=turn(request.a), b=turn(request.b), size=request.size[::-1], kernel=request.kernel[::-1],
        stride=request.stride[::-1], padding=request.padding[::-1], dilation=request.dilation[::-1],
    )  # fmt: skip
    return turn(BASE.replace(front=lambda _: turned)(which, problem, operands))


def _engine(name: str, apply: Any) -> Engine:
    return Engine(name, EVERYTHING, apply)


ENGINES: tuple[Engine, ...] = (
    _engine("tap-by-tap", _tap_loop),
    _engine("strided-windows", _strided_windows),
    _engine("tensor-product", _tensor_product),
    _engine("result-channels-last", _channels_last),
    _engine("result-strided-and-reversed", _every_second),
    _engine("result-read-only", _read_only),
    _engine("scratch-of-its-thread", ScratchOfItsThread()),
    _engine("weight-safely-cached", SafelyCached()),
    _engine("as-three-axes", _as_three_axes),
    _engine("axes-reversed", _axes_reversed),
)
