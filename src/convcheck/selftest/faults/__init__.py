"""All planted faults, one module a chapter of mistakes."""

from __future__ import annotations

from convcheck.selftest.fault import Fault
from convcheck.selftest.faults import (
    autograd,
    backward,
    caches,
    combined,
    complexes,
    contract,
    geometry,
    kernels,
    layers,
    layouts,
    memory,
    mixing,
    modes,
    narrow,
    operators,
    padding,
    sizes,
    specials,
    state,
    transposed,
    values,
)

__all__ = ["FAULTS"]

FAULTS: tuple[Fault, ...] = (
    *kernels.FAULTS,
    *padding.FAULTS,
    *geometry.FAULTS,
    *sizes.FAULTS,
    *mixing.FAULTS,
    *values.FAULTS,
    *complexes.FAULTS,
    *specials.FAULTS,
    *caches.FAULTS,
    *state.FAULTS,
    *layouts.FAULTS,
    *memory.FAULTS,
    *contract.FAULTS,
    *combined.FAULTS,
    *narrow.FAULTS,
    *backward.FAULTS,
    *modes.FAULTS,
    *operators.FAULTS,
    *transposed.FAULTS,
    *layers.FAULTS,
    *autograd.FAULTS,
)
