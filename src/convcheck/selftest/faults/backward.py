"""Faults of the backward maps: forward is right, and the gradient of the input or of the weight is wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import Steps
from convcheck.selftest.base import store as right_store
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Apply, Fault, plant_apply
from convcheck.selftest.faults import (
    geometry,
    kernels,
    layouts,
    memory,
    mixing,
    padding,
    sizes,
    specials,
    state,
    values,
)
from convcheck.selftest.faults.conditions import CONDITIONS, when
from convcheck.selftest.faults.contract import refusing
from convcheck.selftest.faults.gradients import (
    Accumulating,
    flipped_result,
    last_zero,
    leftover,
    only_image,
    remembered,
    scaled,
    without_last,
    zero_from,
)

__all__ = ["EITHER", "FAULTS", "OF_INPUT", "WORDS"]

Array = np.ndarray[Any, Any]

LETTERS = {Map.GRAD_INPUT: "x", Map.GRAD_WEIGHT: "w"}


def _as_type(only: str, to: Any) -> Callable[[Call, Operands, Array], Array]:
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
    "last-output-left-out": (True, {"take": without_last(-1)}),
    "last-filter-left-out": (True, {"take": without_last(1)}),
    "first-image-only": (True, {"take": only_image(0)}),
    "last-image-only": (True, {"take": only_image(-1)}),
    "tail-of-8-columns-zero": (True, {"give": sizes.tail(8, "zero")}),
    "tail-of-4-channels-zero": (True, {"give": sizes.tail(4, "zero", axis=1)}),
    "channels-from-16-on-zero": (True, {"give": zero_from(16, 1)}),
    "last-column-zero": (True, {"give": last_zero(-1)}),
    "sums-beyond-64-terms-dropped": (True, {"sums": sizes.summed(64)}),
    "f32-operands-rounded-to-bf16": (False, {"sums": values.rounded(("float32",), ml_dtypes.bfloat16)}),
    "f32-operands-rounded-to-tf32": (False, {"sums": values.rounded(("float32",), "tf32")}),
    "bf16-summed-in-bf16": (False, {"sums": values.narrowed(("bfloat16",), ml_dtypes.bfloat16)}),
    "f16-summed-in-f16": (False, {"sums": values.narrowed(("float16",), np.float16)}),
    "f64-operands-rounded-to-f32": (False, {"sums": values.rounded(("float64",), np.float32)}),
    "f64-comes-back-as-f32": (False, {"give": _as_type("float64", np.float32)}),
    "f16-comes-back-as-f32": (False, {"give": _as_type("float16", np.float32)}),
    "clipped-to-1000": (False, {"store": values.changed(lambda _, sums: np.clip(sums, -1000, 1000))}),
    "nan-of-the-upstream-read-as-zero": (False, {"take": specials.cleaned("a", nan=0)}),
    "nan-of-the-operand-read-as-zero": (False, {"take": specials.cleaned("b", nan=0)}),
    "upstream-strides-ignored": (False, {"take": layouts.misread("a", layouts.as_contiguous)}),
    "operand-strides-ignored": (False, {"take": layouts.misread("b", layouts.as_contiguous)}),
    "expanded-upstream-read-as-contiguous": (
        False,
        {"take": layouts.misread("a", layouts.as_contiguous, layouts.is_broadcast)},
    ),
    "channels-last-upstream-read-as-contiguous": (
        False,
        {"take": layouts.misread("a", layouts.as_contiguous, layouts.is_channels_last)},
    ),
}
OF_INPUT: dict[str, tuple[bool, dict[str, Any]]] = {
    "kernel-flipped": (True, {"take": kernels.flipped()}),
    "kernel-flipped-along-last-axis": (True, {"take": kernels.flipped(-1)}),
    "filters-reversed": (True, {"take": mixing.reordered("b", 0, lambda _, n: np.arange(n)[::-1])}),
    "last-group-uses-first-weights": (True, {"take": mixing.reordered("b", 0, mixing.last_is_first)}),
    "leftover-positions-cut-off": (False, {"give": leftover("cut")}),
    "leftover-positions-repeat": (True, {"give": leftover("repeat")}),
    "leftover-positions-garbage": (False, {"give": leftover("garbage")}),
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
    "last-tap-zero-for-depthwise": (True, {"give": when(CONDITIONS["depthwise"], last_zero(-1))}),
    "taps-from-3-on-zero": (True, {"give": zero_from(3, -1)}),
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
        "scratch-shared-by-threads": state.Sharing(on),
        "empty-batch-refused-when-grouped": refusing(lambda call: call.batch == 0 and call.groups > 1, (on,)),
        "added-to-the-last": Accumulating(on),
        "every-second-call-wrong": state.Counting(2, on),
        "every-fifth-call-wrong": state.Counting(5, on),
        "in-a-buffer-used-again": memory.InBuffer((on,)),
        "operand-cached-by-shapes": remembered("b", on),
        "cached-by-shapes": remembered("result", on),
        "refused-for-dilated-groups": refusing(CONDITIONS["grouped-and-dilated"], (on,)),
    }


def _backward(on: Map, name: str, apply: Apply, *, index: bool = False) -> Fault:
    words = WORDS.get(name) or tuple(word for word in ("stride", "dilation", "padding") if name.startswith(word))
    return plant_apply(f"grad-{LETTERS[on]}-{name}", "gradient", apply, words=words, index=index, maps=tuple(Map))


#: words of a right diagnosis of the index faults, where they are not the first word of the name
WORDS: dict[str, tuple[str, ...]] = {
    "zero": ("zero everywhere",),
    "negated": ("negated",),
    "doubled": ("scaled by 2",),
    "scaled-by-batch": ("multiplied by the number of images",),
    "averaged-over-batch": ("divided by the number of images",),
    "averaged-over-outputs": ("divided by the number of output positions",),
    "one-position-off": ("shifted",),
    "groups-reversed": ("groups in reverse order",),
    "last-output-left-out": ("last output",),
    "last-filter-left-out": ("last filter",),
    "first-image-only": ("all images but the first",),
    "last-image-only": ("all images but the last",),
    "tail-of-8-columns-zero": ("beyond the last multiple of 8 ",),
    "tail-of-4-channels-zero": ("channels beyond the last multiple of 4 ",),
    "channels-from-16-on-zero": ("channels from 16 on",),
    "last-column-zero": ("last input", "last tap"),
    "sums-beyond-64-terms-dropped": ("from 64 on", "beyond the last multiple of 64 "),
    "kernel-flipped": ("kernel not flipped",),
    "kernel-flipped-along-last-axis": ("kernel not flipped",),
    "filters-reversed": ("filters in reverse order",),
    "last-group-uses-first-weights": ("last group",),
    "leftover-positions-repeat": ("repeat",),
    "wrong-for-narrow-strided-inputs": ("stride ignored",),
    "last-row-zero-under-padding": ("last input",),
    "flipped": ("result flipped",),
    "images-of-the-input-reversed": ("images in reverse order",),
    "flipped-when-grouped": ("result flipped",),
    "channels-and-filters-swapped-when-equal": ("filters and channels of the weight swapped",),
    "last-tap-zero-for-depthwise": ("last tap",),
    "taps-from-3-on-zero": ("taps from 3 on",),
}


def _of(on: Map, table: dict[str, tuple[bool, dict[str, Any]]]) -> list[Fault]:
    return [_backward(on, name, Steps(on=(on,), **steps), index=index) for name, (index, steps) in table.items()]


FAULTS: tuple[Fault, ...] = (
    *(fault for on in LETTERS for fault in _of(on, EITHER)),
    *(_backward(on, name, apply) for on in LETTERS for name, apply in _more(on).items()),
    *_of(Map.GRAD_INPUT, OF_INPUT),
    *_of(Map.GRAD_WEIGHT, _OF_WEIGHT),
)
