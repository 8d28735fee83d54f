"""Faults of the contract: invalid calls accepted, valid ones refused, wrong dtype or rank of the result."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE
from convcheck.selftest.call import Call, Request, read_call, trailing
from convcheck.selftest.fault import Apply, Fault, plant, plant_apply
from convcheck.selftest.faults.conditions import CONDITIONS, Condition

__all__ = ["FAULTS"]

Array = np.ndarray[Any, Any]
Front = Callable[[Request], Request]


# -- invalid calls accepted: each repairs what it should refuse --------------------------------------------


def _kernel_cut(request: Request) -> Request:
    """Cut a kernel that does not fit down to what fits."""
    fits = [
        max(1, min(k, (i + sum(p) - 1) // max(1, d) + 1))
        for k, i, p, d in zip(request.kernel, request.size, request.padding, request.dilation, strict=True)
    ]
    return request._replace(b=request.b[trailing(map(slice, fits))], kernel=tuple(fits))


def _channels_cut(request: Request) -> Request:
    """Use as many channels as both operands have."""
    common = min(request.a.shape[1], request.b.shape[1] * request.groups)
    if request.groups != 1:
        return request
    return request._replace(a=request.a[:, :common], b=request.b[:, :common])


def _groups_rounded(request: Request) -> Request:
    """Take one group where the number of groups does not divide."""
    counts = request.a.shape[1], request.b.shape[0]
    bad = request.groups > 1 and any(count % request.groups for count in counts)
    return _fit_to_one(request) if bad else request


def _groups_from_zero(request: Request) -> Request:
    return _fit_to_one(request) if request.groups == 0 else request


def _fit_to_one(request: Request) -> Request:
    return request._replace(groups=1, a=request.a[:, : request.b.shape[1]])


def _with(request: Request, name: str, values: Iterable[Any]) -> Request:
    changes: dict[str, Any] = {name: tuple(values)}
    return request._replace(**changes)


def _at_least(name: str, least: int) -> Front:
    """Raise a stride or a dilation to the least that makes sense."""
    return lambda request: _with(request, name, (max(least, v) for v in getattr(request, name)))


def _zero_is_one(name: str) -> Front:
    return lambda request: _with(request, name, (v or 1 for v in getattr(request, name)))


def _absolute(name: str) -> Front:
    return lambda request: _with(request, name, map(abs, getattr(request, name)))


def _padding_from_zero(request: Request) -> Request:
    return request._replace(padding=tuple((max(0, low), max(0, high)) for low, high in request.padding))


def _cropped(request: Request) -> Request:
    """Take negative padding as cropping."""
    crop = [(max(0, -low), s - max(0, -high)) for (low, high), s in zip(request.padding, request.size, strict=True)]
    x = request.a[trailing(slice(low, high) for low, high in crop)]
    return _padding_from_zero(request._replace(a=x, size=x.shape[2:]))


def _bias_fitted(request: Request) -> Request:
    return request if request.bias is None else request._replace(bias=np.resize(request.bias, request.b.shape[:1]))


def _kernel_cut_along_one_axis(request: Request) -> Request:
    """Check that the kernel fits along the first axis, and cut it down along the others."""
    cut = _kernel_cut(request)
    return cut if cut.kernel[0] == request.kernel[0] else request


def _dilation_given_up(request: Request) -> Request:
    """Check that the kernel fits without its dilation; where it doesn't with it, forget the dilation."""
    cut = _kernel_cut(request)
    plain = request._replace(dilation=(1,) * len(request.dilation))
    return plain if cut.kernel != request.kernel and _kernel_cut(plain).kernel == request.kernel else request


def _surplus_channels_ignored(request: Request) -> Request:
    """Read as many channels as the weight takes, without a look at how many there are."""
    return request._replace(a=request.a[:, : max(1, request.groups) * request.b.shape[1]])


def _filters_rounded_down(request: Request) -> Request:
    """Compute as many filters a group as all groups have."""
    kept = len(request.b) - len(request.b) % max(1, request.groups)
    return request._replace(b=request.b[:kept], bias=None if request.bias is None else request.bias[:kept])


def _first_axis_checked(name: str, least: Any) -> Front:
    """Check a parameter on the first axis alone, and take one on the others that makes sense."""

    def front(request: Request) -> Request:
        first, *others = getattr(request, name)
        return _with(request, name, (first, *(max(v, least) for v in others)))

    return front


def _short_bias_repeated(request: Request) -> Request:
    short = request.bias is not None and len(request.bias) < len(request.b)
    return _bias_fitted(request) if short else request


_ACCEPTED: dict[str, Front] = {
    "kernel-larger-than-input-accepted": _kernel_cut,
    "missing-channel-accepted": _channels_cut,
    "groups-that-do-not-divide-accepted": _groups_rounded,
    "zero-groups-accepted": _groups_from_zero,
    "zero-stride-accepted": _zero_is_one("stride"),
    "negative-stride-accepted": _absolute("stride"),
    "zero-dilation-accepted": _zero_is_one("dilation"),
    "negative-dilation-accepted": _absolute("dilation"),
    "non-positive-stride-accepted": _at_least("stride", 1),
    "negative-padding-read-as-zero": _padding_from_zero,
    "negative-padding-crops": _cropped,
    "bias-of-wrong-length-accepted": _bias_fitted,
    "kernel-larger-than-one-axis-accepted": _kernel_cut_along_one_axis,
    "kernel-too-large-by-its-dilation-accepted": _dilation_given_up,
    "surplus-channels-ignored": _surplus_channels_ignored,
    "filters-that-groups-do-not-divide-accepted": _filters_rounded_down,
    "stride-checked-on-the-first-axis-only": _first_axis_checked("stride", 1),
    "dilation-checked-on-the-first-axis-only": _first_axis_checked("dilation", 1),
    "padding-checked-on-the-first-axis-only": _first_axis_checked("padding", (0, 0)),
    "bias-too-short-accepted": _short_bias_repeated,
}

# -- valid calls refused -----------------------------------------------------------------------------------


def refusing(condition: Condition, on: tuple[Map, ...] = (Map.FORWARD,)) -> Apply:
    """Raise where a condition holds."""

    def apply(which: Map, problem: Any, operands: Operands) -> Array:
        if which in on and condition(read_call(Request.of(which, problem, operands))):
            raise RuntimeError("internal error")
        return BASE(which, problem, operands)

    return apply


_REFUSED: dict[str, Condition] = {
    "empty-batch-refused-when-grouped": lambda call: call.batch == 0 and call.groups > 1,
    "batch-above-4-refused": lambda call: call.batch > 4,
    "kernel-larger-than-unpadded-input-refused": lambda call: any(
        r > i for r, i in zip(call.reach, call.size, strict=True)
    ),
    "padding-of-kernel-size-refused": lambda call: any(
        max(p) >= k for p, k in zip(call.padding, call.kernel, strict=True)
    ),
    "one-output-refused": lambda call: call.places == 1,
    "input-of-one-refused": lambda call: set(call.size) == {1},
    "stride-with-dilation-refused": CONDITIONS["strided-and-dilated"],
    "dilated-groups-refused": CONDITIONS["grouped-and-dilated"],
    "many-groups-refused": lambda call: call.groups > 16,
}

# -- the result's rank and dtype ------------------------------------------------------------------------------


def _squeezed_single(_: Call, __: Operands, y: Array) -> Array:
    return y.reshape(y.shape[:2]) if set(y.shape[2:]) == {1} else y


def _squeezed(axis: int) -> Callable[[Call, Operands, Array], Array]:
    return lambda _, __, y: np.squeeze(y, axis) if y.shape[axis] == 1 else y


def _fully_squeezed(_: Call, __: Operands, y: Array) -> Array:
    return np.asarray(np.squeeze(y))


def _channels_last(_: Call, __: Operands, y: Array) -> Array:
    return np.moveaxis(y, 1, -1)


def _as_type(only: str, to: Any) -> Callable[[Call, Operands, Array], Array]:
    return lambda _, __, y: y.astype(to) if y.dtype.name == only else y


_RESULTS: dict[str, Callable[[Call, Operands, Array], Array]] = {
    "single-output-squeezed": _squeezed_single,
    "single-image-squeezed": _squeezed(0),
    "single-filter-squeezed": _squeezed(1),
    "unit-axes-squeezed": _fully_squeezed,
    "channels-come-last": _channels_last,
    "f32-comes-back-as-f64": _as_type("float32", np.float64),
    "f64-comes-back-as-f32": _as_type("float64", np.float32),
    "f16-comes-back-as-f32": _as_type("float16", np.float32),
    "bf16-comes-back-as-f32": _as_type("bfloat16", np.float32),
    "i8-comes-back-as-i32": _as_type("int8", np.int32),
    "i64-comes-back-as-f64": _as_type("int64", np.float64),
}


def _leaving(trace: Callable[[], Any]) -> Callable[[Call, Operands, Array], Array]:
    def give(_: Call, __: Operands, y: Array) -> Array:
        trace()
        return y

    return give


#: what is left behind, in generators only: a selftest has its own streams and directory to keep
_TRACES: dict[str, Callable[[], Any]] = {
    "numpy-random-seeded": lambda: np.random.seed(0),  # noqa: NPY002
    "python-random-drawn-from": random.random,
}
FAULTS: tuple[Fault, ...] = (
    *(plant(name, "contract", front=front) for name, front in _ACCEPTED.items()),
    *(plant_apply(name, "contract", refusing(condition)) for name, condition in _REFUSED.items()),
    *(plant(name, "contract", give=give) for name, give in _RESULTS.items()),
    *(plant(name, "contract", give=_leaving(trace)) for name, trace in _TRACES.items()),
)
