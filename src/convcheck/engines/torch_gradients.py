"""Derivatives of a function of torch tensors, by torch's autograd."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from convcheck.engines.caller import Caller
from convcheck.engines.derivatives import Derivatives, Values
from convcheck.errors import MisshapenError
from convcheck.problem import Problem

__all__ = ["by_autograd"]

Array = np.ndarray[Any, Any]


def by_autograd(caller: Caller) -> Derivatives:
    """Return the derivatives of the function that a `Caller` calls."""
    primary, to_native, to_numpy = caller.primary, caller.kind.to_native, caller.kind.to_numpy

    def call(problem: Problem, native: dict[str, Any]) -> Any:
        with torch.enable_grad():
            return caller.by_roles(problem, native)

    def vjp(problem: Problem, values: Values, wanted: tuple[str, ...], *, times: int = 1) -> tuple[Array, ...]:
        native = {role: to_native(array) for role, array in values.items()}
        free = [role for role in wanted if role != primary.result]
        for role in free:
            native[role].requires_grad_()
        result = call(problem, native)
        inputs = [native[role] for role in free]
        gradients = _gone_back(result, inputs, native[primary.result], times)
        found = dict(zip(free, gradients, strict=True)) | {primary.result: result}
        return tuple(to_numpy(found[role]) for role in wanted)

    def retained(problem: Problem, values: Values, wanted: tuple[str, ...]) -> tuple[Array, ...]:
        return vjp(problem, values, wanted, times=2)

    def second(
        problem: Problem, values: Values, by: str, direction: Array, wanted: tuple[str, ...]
    ) -> tuple[Array, ...]:
        native = {role: to_native(array) for role, array in values.items()}
        # through the upstream gradient, one that lacks the others' share still carries a graph: wrong in silence
        for role in {by, *wanted, primary.result}:
            native[role].requires_grad_()
        result = call(problem, native)
        (gradient,) = torch.autograd.grad(result, native[by], native[primary.result], create_graph=True)
        inputs = [native[role] for role in wanted]
        return tuple(map(to_numpy, _differentiated(gradient, inputs, to_native(direction), or_zero=by == primary.bias)))

    def accumulate(calls: Sequence[tuple[Problem, Values]], by: str, start: Array) -> Array:
        leaf = to_native(calls[0][1][by]).requires_grad_()
        leaf.grad = to_native(start.copy())
        given = [{role: to_native(array) for role, array in values.items()} | {by: leaf} for _, values in calls]
        results = [call(problem, native) for (problem, _), native in zip(calls, given, strict=True)]
        for result, native in zip(results, given, strict=True):
            result.backward(native[primary.result])
        accumulated: Array = to_numpy(leaf.grad)
        return accumulated

    return Derivatives("by autograd", vjp, second=second, accumulate=accumulate, retained=retained)


def _gone_back(result: Any, inputs: Sequence[Any], upstream: Any, times: int) -> Any:
    """Gradients by the inputs, as they come out the last of several times.

    Raises
    ------
    MisshapenError
        If there is no gradient for the upstream one, since the result has another shape.
    """
    if isinstance(result, torch.Tensor) and result.shape != upstream.shape:
        raise MisshapenError(f"the shape is {tuple(result.shape)}, not {tuple(upstream.shape)}")
    for _ in range(times - 1):
        torch.autograd.grad(result, inputs, upstream, retain_graph=True)
    return torch.autograd.grad(result, inputs, upstream)


def _differentiated(gradient: Any, inputs: Sequence[Any], direction: Any, *, or_zero: bool) -> Any:
    """Gradients of a gradient's inner product with a direction, by inputs that have had none.

    Without a graph, torch leaves it out of every sum in silence: as if it were constant, where ``or_zero`` says so.
    The whole graph is gone back through, not the way to the inputs alone, on which once_differentiable says nothing.

    Raises
    ------
    NotImplementedError
        If it carries no graph.
    """
    if gradient.requires_grad:
        gradient.backward(direction)
        return [torch.zeros_like(each) if each.grad is None else each.grad for each in inputs]
    if or_zero:
        return [torch.zeros_like(each) for each in inputs]
    raise NotImplementedError("the gradient carries no graph, by which it could be differentiated")
