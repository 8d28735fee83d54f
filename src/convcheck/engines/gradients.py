"""The two backward maps of a function, where its arrays know how to differentiate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from convcheck.errors import is_interrupt
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

__all__ = ["gradients_of"]

Backward = Callable[[Map, Problem, Operands], Any]


def gradients_of(caller: Any, sample: Problem) -> Backward | None:
    """Return the backward maps of a caller, or None where its results carry no gradient.

    ``backward(which, problem, operands)`` takes the upstream gradient and the operand that ``which.roles`` names.
    """
    makers = {"torch": _torch_backward}
    maker = makers.get(caller.kind.name)
    return maker(caller, sample) if maker else None


def _torch_backward(caller: Any, sample: Problem) -> Backward | None:
    import torch

    def forward(which: Map, problem: Problem, operands: Operands) -> tuple[Any, Any]:
        """Call forward; the operand that is differentiated has values of its own, which must not matter."""
        role = which.result
        free = caller.kind.to_native(make(problem, role, Fill("dense", 3))).requires_grad_()
        fixed = caller.kind.to_native(operands.b)
        pair = (free, fixed) if role == "x" else (fixed, free)
        return caller(problem, *pair, None), free

    def backward(which: Map, problem: Problem, operands: Operands) -> Any:
        with torch.enable_grad():
            result, free = forward(which, problem, operands)
            upstream = caller.kind.to_native(operands.a)
            return torch.autograd.grad(result, free, upstream)[0]

    try:
        operands = Operands(*(make(sample, role, Fill("dense", 3)) for role in Map.GRAD_INPUT.roles))
        differentiable = bool(forward(Map.GRAD_INPUT, sample, operands)[0].requires_grad)
    except BaseException as error:  # a target that cannot run with gradients offers none
        if is_interrupt(error):
            raise
        return None
    return backward if differentiable else None
