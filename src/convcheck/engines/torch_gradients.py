"""Derivatives of a function of torch tensors, by torch's autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from convcheck.engines.caller import Caller
from convcheck.engines.derivatives import Derivatives, Values
from convcheck.problem import Problem

__all__ = ["by_autograd"]

Array = np.ndarray[Any, Any]


def by_autograd(caller: Caller) -> Derivatives:
    """Return the derivatives of the function that a `Caller` calls."""
    primary, to_native, to_numpy = caller.primary, caller.kind.to_native, caller.kind.to_numpy

    def call(problem: Problem, native: dict[str, Any]) -> Any:
        with torch.enable_grad():
            return caller.by_roles(problem, native)

    def vjp(problem: Problem, values: Values, wanted: tuple[str, ...]) -> tuple[Array, ...]:
        native = {role: to_native(array) for role, array in values.items()}
        free = [role for role in wanted if role != primary.result]
        for role in free:
            native[role].requires_grad_()
        result = call(problem, native)
        gradients = torch.autograd.grad(result, [native[role] for role in free], native[primary.result])
        found = dict(zip(free, gradients, strict=True)) | {primary.result: result}
        return tuple(to_numpy(found[role]) for role in wanted)

    def second(
        problem: Problem, values: Values, by: str, direction: Array, wanted: tuple[str, ...]
    ) -> tuple[Array, ...]:
        native = {role: to_native(array) for role, array in values.items()}
        for role in {by, *wanted}:
            native[role].requires_grad_()
        result = call(problem, native)
        (gradient,) = torch.autograd.grad(result, native[by], native[primary.result], create_graph=True)
        if not gradient.requires_grad:
            raise NotImplementedError("the gradient carries no graph, by which it could be differentiated")
        inputs = [native[role] for role in wanted]
        found = torch.autograd.grad(gradient, inputs, to_native(direction), materialize_grads=True)
        return tuple(map(to_numpy, found))

    def accumulate(problem: Problem, calls: Sequence[Values], by: str, start: Array) -> Array:
        leaf = to_native(calls[0][by]).requires_grad_()
        leaf.grad = to_native(start.copy())
        given = [{role: to_native(array) for role, array in values.items()} | {by: leaf} for values in calls]
        results = [call(problem, native) for native in given]
        for result, native in zip(results, given, strict=True):
            result.backward(native[primary.result])
        accumulated: Array = to_numpy(leaf.grad)
        return accumulated

    return Derivatives("by autograd", vjp, second=second, accumulate=accumulate)
