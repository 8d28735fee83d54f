"""How targets differentiate, and the two other maps of the relation, which are what their derivatives compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from convcheck.errors import is_interrupt
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

__all__ = ["Derivatives", "Values", "apply_of", "derivatives_of", "filled"]

Array = np.ndarray[Any, Any]

#: arrays by role: x, w, y and a bias; the role of the target's result holds the upstream gradient
Values = Mapping[str, Array]


@dataclass(frozen=True)
class Derivatives:
    """How an engine differentiates.

    ``vjp(problem, values, wanted)`` returns the gradients, with respect to the roles ``wanted``, of the inner product
    of the target's result with the upstream gradient (vector-Jacobian products). ``how`` tells the user.
    """

    how: str
    vjp: Callable[[Problem, Values, tuple[str, ...]], tuple[Array, ...]]

    def timed(self, timed: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Self:
        """Return the same with every call passed through a function."""
        return replace(self, vjp=timed(self.vjp))


def apply_of(
    primary: Map, call: Callable[[Problem, Operands], Array], derivatives: Derivatives | None
) -> Callable[[Map, Problem, Operands], Array]:
    """Make an engine's ``apply`` of a call, which computes the primary map, and of its derivatives.

    The inner product of y with corr(x, w) is linear in x, w and y, and each map is its gradient by one of the three.
    """

    def apply(which: Map, problem: Problem, operands: Operands) -> Array:
        if which is primary or derivatives is None:
            return call(problem, operands)
        return derivatives.vjp(problem, filled(which, problem, operands), (which.result,))[0]

    return apply


def filled(which: Map, problem: Problem, operands: Operands) -> dict[str, Array]:
    """Operands of a map by role; the third role has values of its own, which must not matter."""
    values = dict(zip(which.roles, operands[:2], strict=True))
    return values | {which.result: make(problem, which.result, Fill("dense", 3))}


def derivatives_of(caller: Any, primary: Map, sample: Problem) -> Derivatives | None:
    """Return a caller's derivatives, or None where its results carry no gradient."""
    makers = {"torch": _by_autograd}
    maker = makers.get(caller.kind.name)
    found = maker(caller, primary) if maker else None
    return found if found is not None and _works(found, primary, sample) else None


def _works(derivatives: Derivatives, primary: Map, sample: Problem) -> bool:
    """Whether a first derivative comes back at all; a target that cannot run with gradients offers none."""
    operands = Operands(*(make(sample, role, Fill("dense", 3)) for role in Map.GRAD_WEIGHT.roles))
    values = filled(Map.GRAD_WEIGHT, sample, operands)
    for role in primary.roles:
        try:
            derivatives.vjp(sample, values, (role,))
        except BaseException as error:  # one gradient that raises is for the laws to judge
            if is_interrupt(error):
                raise
        else:
            return True
    return False


def _by_autograd(caller: Any, primary: Map) -> Derivatives:
    import torch

    def vjp(problem: Problem, values: Values, wanted: tuple[str, ...]) -> tuple[Array, ...]:
        native = {role: caller.kind.to_native(array) for role, array in values.items()}
        for role in wanted:
            native[role].requires_grad_()
        with torch.enable_grad():
            result = caller(problem, *(native[role] for role in primary.roles), native.get(primary.bias))
            inputs = [native[role] for role in wanted]
            gradients = torch.autograd.grad(result, inputs, native[primary.result])
        return tuple(map(caller.kind.to_numpy, gradients))

    return Derivatives("by autograd", vjp)
