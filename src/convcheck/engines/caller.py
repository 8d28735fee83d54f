"""How a function is called: in which style, on which arrays, with each parameter in the form that it takes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from convcheck.dtypes import DTYPES
from convcheck.engines.arrays import ArrayKind, as_numpy
from convcheck.engines.buffers import has_its_turn, poisoned
from convcheck.engines.signature import Signature
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["STYLES", "Caller"]

Array = np.ndarray[Any, Any]

STYLES = ("functional", "bare", "transposed")


@dataclass(frozen=True)
class Caller:
    """How a function is called: with which arrays, in which style, and each parameter in which form.

    ``forms`` says, by parameter, whether it is given as a ``tuple`` (one entry an axis), an ``int`` (the same for
    every axis), ``pairs`` ((low, high) an axis), ``flat`` (the low ends, then the high ones, as ONNX has it),
    ``backwards`` (the last axis's ends first, as torch.nn.functional.pad has it) or a ``name`` alone; what padding
    is called that keeps sizes (``same``, ``lower``), or adds nothing (``none``: at odd sizes, where numbers go
    too); that the ``result`` is the ``first`` of a tuple; and that ``images`` come ``alone``, without an axis for
    several. ``told`` calls say everything, also what says nothing.
    """

    function: Callable[..., Any]
    signature: Signature
    kind: ArrayKind
    style: str
    forms: dict[str, str]
    told: bool = False

    @property
    def primary(self) -> Map:
        """The map that a call computes: a transposed convolution is the gradient of one by its input."""
        return Map.GRAD_INPUT if self.style == "transposed" else Map.FORWARD

    def __call__(self, problem: Problem, x: Any, w: Any, bias: Any | None, *, buffered: bool = False) -> Any:
        """Call the function on native arrays of the problem's shapes, whatever its style; a native result.

        ``buffered`` calls give it an output buffer also where it needs none.
        """
        defaults = _defaults(problem)
        if bias is None and self.signature.needs_bias:
            bias = self.kind.to_native(self._no_bias(problem))
        given: dict[str, Any] = {} if bias is None else {"bias": bias}
        if self.told or self.signature.told or any(getattr(problem, name) != value for name, value in defaults.items()):
            named = [name for name in (*defaults, "output_padding") if name in self.signature.names]
            given |= {name: self.spell(name, problem) for name in named}
        if "mode" in self.signature.names:
            given["mode"] = "valid"
        if buffered or self.signature.buffer == "required":
            given["out"] = self.kind.to_native(poisoned(self.primary, problem)[self._first])
        x, w = x[self._first], w[self._first] if self.style == "bare" else w
        args, kwargs = self.signature.arguments(given)
        if self.signature.kernel_first:
            x, w = w, x
        result: Any = self.function(x, w, *args, **kwargs)
        if self.forms.get("result") == "first" and isinstance(result, tuple) and result:
            result = result[0]
        if result is None and "out" in given:
            result = given["out"]
        return result[(None,) * len(self._first)] if self._first and self.kind.owns(result) else result

    @property
    def _first(self) -> tuple[int, ...]:
        """Index of what is given of a batch of images of channels: one plane, one image, or all."""
        return (0, 0) if self.style == "bare" else (0,) if self.forms.get("images") == "alone" else ()

    def _no_bias(self, problem: Any) -> Array:
        """Zeros, for a function that must have a bias."""
        count = problem.filters if self.primary is Map.FORWARD else problem.channels
        return np.zeros(count, DTYPES[problem.dtype].numpy)

    def by_roles(self, problem: Problem, native: Mapping[str, Any]) -> Any:
        """Call the function on native arrays by the roles that they play; a native result."""
        a, b = (native[role] for role in self.primary.roles)
        return self(problem, a, b, native.get(self.primary.bias))

    def on_numpy(self, problem: Problem, operands: Operands) -> Array:
        """Call the function on NumPy arrays; a NumPy result."""
        a, b, bias = (None if o is None else self.kind.to_native(o) for o in operands)
        buffered = bool(self.signature.buffer) and has_its_turn(self.primary, problem)
        return as_numpy(self.kind, self(problem, a, b, bias, buffered=buffered))

    def spell(self, name: str, problem: Problem) -> Any:
        """One parameter in the form that the function takes; in turn, where it takes an int and a tuple."""
        value: Any = problem.leftover if name == "output_padding" else getattr(problem, name)
        if name == "groups":
            return value
        if name == "padding" and problem.same:
            return self.forms["lower" if problem.lower else "same"]
        form = self.forms.get(name, "tuple")
        nothing = name == "padding" and not any(map(any, value))
        if nothing and "none" in self.forms and (form == "name" or problem.size[-1] % 2):
            return self.forms["none"]
        if name == "padding" and form == "flat":
            return (*(low for low, _ in value), *(high for _, high in value))
        if name == "padding" and form == "backwards":
            return tuple(end for pair in reversed(value) for end in pair)
        if name == "padding" and form != "pairs" and all(low == high for low, high in value):
            value = tuple(low for low, _ in value)
        if form == "either":
            alike = len(set(value)) == 1 and isinstance(value[0], int)  # not a pair of different ends
            form = "int" if alike and problem.size[0] % 2 else "tuple"
        return value[0] if form == "int" else value


def _defaults(problem: Problem) -> dict[str, Any]:
    """Parameters of a plain problem: a function is left to its own defaults there, and told everything elsewhere."""
    ones = (1,) * problem.ndim
    return {"stride": ones, "padding": ((0, 0),) * problem.ndim, "dilation": ones, "groups": 1}
