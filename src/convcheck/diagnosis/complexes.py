"""What a target makes of complex numbers: conjugated, cut to their real parts, or wrong as real ones are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.bounds import expect
from convcheck.claim import Claim, judge
from convcheck.diagnosis.evidence import dense
from convcheck.engines.base import Conv
from convcheck.errors import TargetRaisedError
from convcheck.operands import Operands
from convcheck.problem import Problem

__all__ = ["complex_words"]

Array = np.ndarray[Any, Any]

_CHANGES: dict[str, Callable[[Operands], Operands]] = {
    "{b} conjugated": lambda o: o._replace(b=o.b.conj()),
    "{a} conjugated": lambda o: o._replace(a=o.a.conj()),
    "imaginary part of {b} ignored": lambda o: o._replace(b=o.b.real.astype(o.b.dtype)),
    "imaginary part of {a} ignored": lambda o: o._replace(a=o.a.real.astype(o.a.dtype)),
    "imaginary part of the bias ignored": lambda o: o._replace(bias=_real(o.bias)),
    "bias conjugated": lambda o: o._replace(bias=None if o.bias is None else o.bias.conj()),
}
_RESULTS: dict[str, Callable[[Array], Array]] = {
    "result conjugated": np.conj,
    "imaginary part of the result dropped": lambda y: y.real.astype(y.dtype),
    "real part of the result dropped": lambda y: 1j * y.imag,
    "real and imaginary part exchanged": lambda y: y.imag + 1j * y.real,
}
_NAMES = {"x": "input", "w": "kernel", "y": "input"}


def complex_words(conv: Conv, problem: Problem) -> str:
    """Say what a target computes of a complex problem, where that is known; an empty string where it isn't.

    Raises
    ------
    UnsupportedError
        If it does not take the problem.
    """
    operands = dense(conv, problem, 0)
    try:
        got = conv.unchecked(problem, operands)
    except TargetRaisedError as error:
        return f"raises {error}"
    right = expect(conv.map, problem, operands, conv.numerics)

    def shows(prediction: Array) -> bool:
        return got.shape == prediction.shape and judge(Claim(got, prediction, right.bound)).ok

    if shows(right.value):
        return ""
    roles = {letter: _NAMES[role] for letter, role in zip("ab", conv.map.roles, strict=True)}
    for words, change in _CHANGES.items():
        if shows(expect(conv.map, problem, change(operands), conv.numerics).value):
            return words.format(**roles)
    return next((words for words, change in _RESULTS.items() if shows(change(right.value))), "")


def _real(bias: Array | None) -> Array | None:
    return None if bias is None else bias.real.astype(bias.dtype)
