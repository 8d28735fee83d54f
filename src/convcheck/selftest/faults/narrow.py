"""Faults of engines that take little: a bare correlation of two arrays, one axis only, a declared convolution."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from convcheck.engines.capabilities import Capabilities
from convcheck.operands import Operands
from convcheck.selftest.base import BASE
from convcheck.selftest.fault import Fault, plant, plant_apply
from convcheck.selftest.faults import (
    caches,
    contract,
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

__all__ = ["FAULTS"]

Array = np.ndarray[Any, Any]

#: what the textbook's corr2d takes
BARE = Capabilities((2,), ("f32", "f64"), work_limit=50_000)
#: a layer over time
LINE = Capabilities((1,), ("f32",), frozenset({"batch", "channels", "padding", "stride"}), work_limit=50_000)
#: the same as corr2d, in one type, fast enough for large images
FAST = replace(BARE, dtypes=("f32",), work_limit=1_000_000)


def _offer(fault: Fault, capabilities: Capabilities, name: str) -> Fault:
    engine = fault.engine.replace(name=name, capabilities=capabilities)
    return Fault(name, fault.kind, engine, fault.words, fault.index)


def _found(name: str) -> Fault:
    chapters = (kernels, padding, geometry, sizes, mixing, values, specials, layouts, memory, contract)
    by_name: dict[str, Fault] = {fault.name: fault for chapter in chapters for fault in chapter.FAULTS}
    return by_name[name]


_OF_BARE = (
    "kernel-flipped",
    "kernel-flipped-along-last-axis",
    "kernel-axes-swapped-when-square",
    "input-read-one-to-the-right",
    "last-tap-dropped",
    "middle-output-loses-a-tap",
    "taps-beyond-3-dropped",
    "output-one-short",
    "last-column-zero",
    "last-column-repeated",
    "columns-after-whole-vectors-of-4-zero",
    "columns-from-64-on-zero",
    "sums-beyond-16-terms-dropped",
    "f32-operands-rounded-to-tf32",
    "f64-operands-rounded-to-f32",
    "f64-summed-in-f32",
    "f32-comes-back-as-f64",
    "negative-results-zero",
    "results-clipped-to-2048",
    "averaged-over-taps",
    "nan-of-the-input-read-as-zero",
    "nan-spreads-over-the-plane",
    "input-negated",
    "weight-flipped-in-place",
    "input-strides-ignored",
    "weight-strides-ignored",
    "kernel-larger-than-input-accepted",
    "single-output-squeezed",
)
_OF_LINE = (
    "kernel-flipped",
    "stride-ignored",
    "stride-one-more",
    "padding-dropped",
    "padding-wraps-around",
    "output-size-rounded-up",
    "images-reversed",
    "first-channel-only",
    "filters-after-whole-vectors-of-4-zero",
    "channels-after-whole-vectors-of-4-dropped",
    "single-filter-squeezed",
    "negative-padding-crops",
)


def _bare_state() -> dict[str, Any]:
    """Stateful engines of their own, since a state shared with another engine would mix the two up."""
    return {
        "weight-cached-by-shapes": caches.remembered("b", caches.shapes),
        "result-in-a-buffer-used-again": memory.InBuffer(),
        "every-fifth-call-wrong": state.Counting(5),
        "result-cached-by-the-weight": caches.remembered(
            "result", lambda _, __, operands: (operands.a.shape, operands.b.tobytes())
        ),
    }


def _numbered_in_16_bits(_: Any, operands: Operands) -> Operands:
    """Read a plane's elements where the last 16 bits of their numbers say that they are."""
    planes = operands.a.reshape(*operands.a.shape[:2], -1)
    numbers = np.arange(planes.shape[-1]) % (1 << 16)
    return Operands(planes[..., numbers].reshape(operands.a.shape), operands.b, operands.bias)


FAULTS: tuple[Fault, ...] = (
    _offer(plant("", "size-dependent", take=_numbered_in_16_bits), FAST, "bare-elements-numbered-in-16-bits"),
    *(_offer(_found(name), BARE, f"bare-{name}") for name in _OF_BARE),
    *(_offer(_found(name), LINE, f"line-{name}") for name in _OF_LINE),
    *(_offer(plant_apply(name, "state", apply), BARE, f"bare-{name}") for name, apply in _bare_state().items()),
    *(
        Fault(
            f"convolution-{name}",
            "index",
            fault.engine.replace(name=f"convolution-{name}", convention="convolution"),
            ("flipped",),
            True,
        )
        for name, fault in {
            "declared-but-correlates": plant_apply("", "index", BASE),
            "flips-last-axis-only": plant("", "index", take=kernels.flipped(-1)),
        }.items()
    ),
)
