"""Faults of the backward maps: forward is right, and the gradient of the input or of the weight is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE, Steps, raw
from convcheck.selftest.base import store as right_store
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Apply, Fault, plant_apply
from convcheck.selftest.faults import geometry, kernels, memory, mixing, padding, sizes, state, values
from convcheck.selftest.faults.conditions import CONDITIONS, when
from convcheck.selftest.faults.contract import refusing

__all__ = ["FAULTS"]

Array = np.ndarray[Any, Any]
Give = Callable[[Call, Operands, Array], Array]

LETTERS = {Map.GRAD_INPUT: "x", Map.GRAD_WEIGHT: "w"}


def scaled(factor: Callable[[Call], float]) -> Callable[[Call, Array, Array | None], Array]:
    """Multiply a gradient by a number."""
    return values.changed(lambda call, sums: sums * factor(call))


def flipped_result(_: Call, __: Operands, result: Array) -> Array:
    """Reverse the spatial axes of what comes back."""
    return np.flip(result, tuple(range(2, result.ndim))).copy()


def _only_image(index: int) -> Callable[[Call, Operands], Operands]:
    """Let one image's upstream gradient count alone."""

    def take(call: Call, operands: Operands) -> Operands:
        kept = (np.arange(call.batch) == index % max(1, call.batch)).reshape(-1, *(1,) * (call.ndim + 1))
        return operands._replace(a=np.where(kept, operands.a, np.zeros((), operands.a.dtype)))

    return take


def _without_last(axis: int) -> Callable[[Call, Operands], Operands]:
    """Leave out the last entry of the upstream gradient along an axis, where there are several."""

    def take(_: Call, operands: Operands) -> Operands:
        upstream = operands.a.copy()
        if upstream.shape[axis] > 1:
            np.moveaxis(upstream, axis, 0)[-1] = 0
        return operands._replace(a=upstream)

    return take


def _last_zero(axis: int) -> Give:
    return lambda _, __, result: np.moveaxis(_cleared(np.moveaxis(result, axis, 0)), 0, axis)


def _cleared(array: Array) -> Array:
    array[-1] = 0
    return array


def _leftover(what: str) -> Give:
    """Positions that no window reaches, since the stride leaves them over: cut off, or not zero."""

    def give(call: Call, _: Operands, result: Array) -> Array:
        if call.which is not Map.GRAD_INPUT:
            return result
        ends = [min(s, int(raw(call, axis).max()) + 1) for axis, s in enumerate(call.size)]
        if what == "cut":
            return result[(..., *map(slice, ends))]
        result[..., ends[-1] :] = 113 if what == "garbage" else result[..., ends[-1] - 1 : ends[-1]]
        return result

    return give


def _clipped_columns(first: int) -> Give:
    def give(_: Call, __: Operands, result: Array) -> Array:
        result[..., first:] = 0
        return result

    return give


def _channels_zero_from(first: int) -> Give:
    def give(_: Call, __: Operands, result: Array) -> Array:
        result[:, first:] = 0
        return result

    return give


class Accumulating:
    """A gradient is added to that of the last call of the same shape: nobody set it to zero."""

    def __init__(self, on: Map) -> None:
        self.on = on
        self.last: Any = None

    def __call__(self, which: Map, problem: Any, operands: Operands) -> Array:
        """Apply a map."""
        result = BASE(which, problem, operands)
        if which is not self.on:
            return result
        if self.last is not None and (self.last.shape, self.last.dtype) == (result.shape, result.dtype):
            result = (result + self.last).astype(result.dtype)
        self.last = result.copy()
        return result


def _remembered(what: str, on: Map) -> Apply:
    """Use what an earlier call of the same shapes and parameters was given, or returned."""
    kept = state.remembered(what, state.parameters)
    return lambda which, problem, operands: (kept if which is on else BASE)(which, problem, operands)


def _as_type(only: str, to: Any) -> Give:
    return lambda _, __, result: result.astype(to) if result.dtype.name == only else result


_ONES: Callable[[Call], Any] = lambda call: (1,) * call.ndim  # noqa: E731 - an entry of a table, used three times
_NO_PADDING: Callable[[Call], Any] = lambda call: ((0, 0),) * call.ndim  # noqa: E731
_EXCHANGED = padding.padded(lambda call: [(high, low) for low, high in call.padding])

#: mistakes that either gradient may have: name, whether the map stays bilinear, the steps replaced
EITHER: dict[str, tuple[bool, dict[str, Any]]] = {
    "zero": (True, {"store": scaled(lambda _: 0)}),
    "negated": (True, {"store": scaled(lambda _: -1)}),
    "doubled": (True, {"store": scaled(lambda _: 2)}),
    "scaled-by-batch": (True, {"store": scaled(lambda call: call.batch)}),
    "averaged-over-batch": (True, {"store": scaled(lambda call: 1 / max(1, call.batch))}),
    "averaged-over-outputs": (True, {"store": scaled(lambda call: 1 / call.places)}),
    "stride-ignored": (True, {"see": geometry.stepped(_ONES)}),
    "stride-from-first-axis": (True, {"see": geometry.stepped(lambda call: [call.stride[0]] * call.ndim)}),
    "stride-ignored-when-grouped": (True, {"see": when(CONDITIONS["grouped"], geometry.stepped(_ONES))}),
    "stride-ignored-for-depthwise": (True, {"see": when(CONDITIONS["depthwise"], geometry.stepped(_ONES))}),
    "stride-and-dilation-exchanged": (
        True,
        {"see": lambda call: call.replace(stride=call.dilation, dilation=call.stride)},
    ),
    "dilation-ignored": (True, {"see": geometry.spread(_ONES)}),
    "dilation-from-first-axis": (True, {"see": geometry.spread(lambda call: [call.dilation[0]] * call.ndim)}),
    "dilation-ignored-when-strided": (True, {"see": when(CONDITIONS["strided"], geometry.spread(_ONES))}),
    "padding-ignored": (True, {"see": padding.padded(_NO_PADDING)}),
    "padding-ends-exchanged": (True, {"see": _EXCHANGED}),
    "padding-ignored-when-strided": (
        True,
        {"see": when(CONDITIONS["strided-and-padded"], padding.padded(_NO_PADDING))},
    ),
    "padding-from-first-axis": (True, {"see": padding.padded(lambda call: [call.padding[0]] * call.ndim)}),
    "one-position-off": (True, {"table": kernels.shifted(1)}),
    "groups-reversed": (
        True,
        {"take": mixing.reordered("a", 1, lambda c, n: np.arange(n).reshape(c.groups, -1)[::-1].ravel())},
    ),
    "last-output-left-out": (True, {"take": _without_last(-1)}),
    "last-filter-left-out": (True, {"take": _without_last(1)}),
    "first-image-only": (True, {"take": _only_image(0)}),
    "last-image-only": (True, {"take": _only_image(-1)}),
    "tail-of-8-columns-zero": (True, {"give": sizes.tail(8, "zero")}),
    "tail-of-4-channels-zero": (True, {"give": sizes.tail(4, "zero", axis=1)}),
    "channels-from-16-on-zero": (True, {"give": _channels_zero_from(16)}),
    "last-column-zero": (True, {"give": _last_zero(-1)}),
    "sums-beyond-64-terms-dropped": (True, {"sums": sizes.summed(64)}),
    "f32-operands-rounded-to-bf16": (False, {"sums": values.rounded(("float32",), ml_dtypes.bfloat16)}),
    "f32-operands-rounded-to-tf32": (False, {"sums": values.rounded(("float32",), "tf32")}),
    "bf16-summed-in-bf16": (False, {"sums": values.narrowed(("bfloat16",), ml_dtypes.bfloat16)}),
    "f16-summed-in-f16": (False, {"sums": values.narrowed(("float16",), np.float16)}),
    "f64-operands-rounded-to-f32": (False, {"sums": values.rounded(("float64",), np.float32)}),
    "f64-comes-back-as-f32": (False, {"give": _as_type("float64", np.float32)}),
    "f16-comes-back-as-f32": (False, {"give": _as_type("float16", np.float32)}),
    "clipped-to-1000": (False, {"store": values.changed(lambda _, sums: np.clip(sums, -1000, 1000))}),
    "upstream-strides-ignored": (False, {"take": memory.misread("a", memory.as_contiguous)}),
    "operand-strides-ignored": (False, {"take": memory.misread("b", memory.as_contiguous)}),
    "expanded-upstream-read-as-contiguous": (
        False,
        {"take": memory.misread("a", memory.as_contiguous, memory.is_broadcast)},
    ),
    "channels-last-upstream-read-as-contiguous": (
        False,
        {"take": memory.misread("a", memory.as_contiguous, memory.is_channels_last)},
    ),
}
_OF_INPUT: dict[str, tuple[bool, dict[str, Any]]] = {
    "kernel-flipped": (True, {"take": kernels.flipped()}),
    "kernel-flipped-along-last-axis": (True, {"take": kernels.flipped(-1)}),
    "filters-reversed": (True, {"take": mixing.reordered("b", 0, lambda _, n: np.arange(n)[::-1])}),
    "last-group-uses-first-weights": (True, {"take": mixing.reordered("b", 0, mixing.last_is_first)}),
    "leftover-positions-cut-off": (False, {"give": _leftover("cut")}),
    "leftover-positions-repeat": (True, {"give": _leftover("repeat")}),
    "leftover-positions-garbage": (False, {"give": _leftover("garbage")}),
    "wrong-for-narrow-strided-inputs": (
        True,
        {"see": when(lambda c: max(c.stride) > 1 and c.channels > 8 and c.size[-1] < 17, geometry.stepped(_ONES))},
    ),
    "last-row-zero-under-padding": (True, {"give": when(CONDITIONS["padded"], geometry.last("zero", 2))}),
}
_OF_WEIGHT: dict[str, tuple[bool, dict[str, Any]]] = {
    "flipped": (True, {"give": flipped_result}),
    "images-of-the-input-reversed": (True, {"take": mixing.reordered("b", 0, lambda _, n: np.arange(n)[::-1])}),
    "flipped-when-grouped": (True, {"give": when(CONDITIONS["grouped"], flipped_result)}),
    "channels-and-filters-swapped-when-equal": (
        True,
        {"give": lambda _, __, g: np.swapaxes(g, 0, 1).copy() if g.shape[0] == g.shape[1] else g},
    ),
    "last-tap-zero-for-depthwise": (True, {"give": when(CONDITIONS["depthwise"], _last_zero(-1))}),
    "taps-from-3-on-zero": (True, {"give": _clipped_columns(3)}),
    "partial-sums-of-32-in-bf16": (False, {"sums": values.in_pieces(("bfloat16",), 32, ml_dtypes.bfloat16)}),
    "result-rounded-to-bf16": (
        False,
        {"store": lambda call, sums, bias: right_store(call, _to_bf16(sums), bias)},
    ),
}


def _to_bf16(sums: Array) -> Array:
    return sums.astype(ml_dtypes.bfloat16).astype(sums.dtype) if sums.dtype == np.float32 else sums


def _more(on: Map) -> dict[str, Apply]:
    """Mistakes that are more than a replaced step."""
    return {
        "upstream-negated-in-place": memory.damaging("a", memory.negate, (on,)),
        "operand-cleared-in-one-place": memory.damaging("b", memory.clear_first, (on,)),
        "added-to-the-last": Accumulating(on),
        "every-second-call-wrong": state.counted(2, on),
        "every-fifth-call-wrong": state.counted(5, on),
        "in-a-buffer-used-again": memory.InBuffer((on,)),
        "operand-cached-by-shapes": _remembered("b", on),
        "cached-by-shapes": _remembered("result", on),
        "refused-for-dilated-groups": refusing(CONDITIONS["grouped-and-dilated"], (on,)),
    }


def _backward(on: Map, name: str, apply: Apply, *, index: bool = False) -> Fault:
    return plant_apply(f"grad-{LETTERS[on]}-{name}", "gradient", apply, index=index, maps=tuple(Map))


def _of(on: Map, table: dict[str, tuple[bool, dict[str, Any]]]) -> list[Fault]:
    return [_backward(on, name, Steps(on=(on,), **steps), index=index) for name, (index, steps) in table.items()]


FAULTS: tuple[Fault, ...] = (
    *(fault for on in LETTERS for fault in _of(on, EITHER)),
    *(_backward(on, name, apply) for on in LETTERS for name, apply in _more(on).items()),
    *_of(Map.GRAD_INPUT, _OF_INPUT),
    *_of(Map.GRAD_WEIGHT, _OF_WEIGHT),
)
