"""Faults that real numbers do not show: conjugates, lost parts, and halves of the precision."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from convcheck.operands import Operands
from convcheck.selftest.base import store
from convcheck.selftest.call import Call
from convcheck.selftest.fault import COMPLEX, Fault, plant
from convcheck.selftest.faults.conditions import CONDITIONS, when

__all__ = ["FAULTS"]

Array = np.ndarray[Any, Any]
Store = Callable[[Call, Array, Array | None], Array]


def _taken(change: Callable[[Operands], Operands]) -> Callable[[Call, Operands], Operands]:
    return lambda _, operands: change(operands)


def _stored(change: Callable[[Array], Array]) -> Store:
    """Change the result before it is stored; real ones are left alone."""

    def changed(call: Call, sums: Array, bias: Array | None) -> Array:
        result = store(call, sums, bias)
        return change(result).astype(result.dtype) if result.dtype.kind == "c" else result

    return changed


def _stored_when(condition: Callable[[Call], bool], change: Callable[[Array], Array]) -> Store:
    changed = _stored(change)
    return lambda call, sums, bias: (changed if condition(call) else store)(call, sums, bias)


def _single(operands: Operands) -> Operands:
    """Round the parts of complex128 to float32."""
    return operands.changed(lambda a: a.astype(np.complex64).astype(a.dtype) if a.dtype == np.complex128 else a)


def _weight_conjugated(operands: Operands) -> Operands:
    return operands._replace(b=operands.b.conj())


def _fault(name: str, *, words: tuple[str, ...] = (), **hooks: Any) -> Fault:
    fault = plant(name, "complex", words=words, **hooks)
    offered = replace(fault.engine.capabilities, dtypes=COMPLEX)
    return replace(fault, engine=fault.engine.replace(capabilities=offered))


FAULTS: tuple[Fault, ...] = (
    _fault("weight-conjugated", words=("kernel conjugated",), take=_taken(_weight_conjugated)),
    _fault("weight-conjugated-when-grouped", take=when(CONDITIONS["grouped"], _taken(_weight_conjugated))),
    _fault("input-conjugated-when-strided-and-dilated", take=when(
        CONDITIONS["strided-and-dilated"], _taken(lambda o: o._replace(a=o.a.conj()))
    )),
    _fault("bias-conjugated", take=_taken(lambda o: o._replace(bias=None if o.bias is None else o.bias.conj()))),
    _fault("imaginary-part-dropped-for-one-axis", store=_stored_when(CONDITIONS["of-one-axis"], np.real)),
    _fault("parts-exchanged", store=_stored(lambda y: y.imag + 1j * y.real)),
    _fault("result-conjugated-for-a-large-kernel", store=_stored_when(CONDITIONS["of-a-large-kernel"], np.conj)),
    _fault("complex128-through-complex64", take=_taken(_single)),
    _fault("modulus-instead-of-value-for-several-images", store=_stored_when(
        CONDITIONS["of-several-images"], np.abs
    )),
)  # fmt: skip
