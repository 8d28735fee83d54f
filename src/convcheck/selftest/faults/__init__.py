"""All planted faults, one module a chapter of mistakes."""

from __future__ import annotations

from convcheck.selftest.fault import Fault
from convcheck.selftest.faults import (
    backward,
    contract,
    geometry,
    kernels,
    memory,
    mixing,
    padding,
    sizes,
    specials,
    state,
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
    *specials.FAULTS,
    *state.FAULTS,
    *memory.FAULTS,
    *contract.FAULTS,
    *backward.FAULTS,
)
