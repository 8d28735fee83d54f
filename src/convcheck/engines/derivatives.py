"""How targets differentiate, and the two other maps of the relation, which are what their derivatives compute."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from convcheck.errors import is_interrupt
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

__all__ = ["Derivatives", "Values", "apply_of", "filled", "limited", "offers_of", "probed"]

Array = np.ndarray[Any, Any]
Roles = tuple[str, ...]

#: arrays by role: x, w, y and a bias; the role of the target's result holds the upstream gradient
Values = Mapping[str, Array]


@dataclass(frozen=True)
class Derivatives:
    """How an engine differentiates the inner product <result, upstream>; ``how`` tells the user.

    ``vjp(problem, values, wanted)`` returns its gradients by the roles ``wanted`` (vector-Jacobian products); the
    result's own role among them stands for the result, as it was computed to be differentiated. ``roles`` are those
    by which there are gradients. ``second(problem, values, by, direction, wanted)`` returns the gradients, by the
    roles ``wanted``, of the inner product of the gradient by ``by`` with a direction. ``accumulate(calls, by, start)``
    returns what ``start``, the gradient that one operand has already, becomes once several calls that share the
    operand, each of a problem and values, have been made, and then gone back through in turn. ``retained`` is ``vjp``,
    by which a call is gone back through a second time.
    """

    how: str
    vjp: Callable[[Problem, Values, Roles], tuple[Array, ...]]
    roles: Roles = ("x", "w", "y")
    second: Callable[[Problem, Values, str, Array, Roles], tuple[Array, ...]] | None = None
    accumulate: Callable[[Sequence[tuple[Problem, Values]], str, Array], Array] | None = None
    retained: Callable[[Problem, Values, Roles], tuple[Array, ...]] | None = None

    def timed(self, timed: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Self:
        """Return the same with every call passed through a function."""
        return replace(
            self,
            vjp=timed(self.vjp),
            second=self.second and timed(self.second),
            accumulate=self.accumulate and timed(self.accumulate),
            retained=self.retained and timed(self.retained),
        )


def offers_of(derivatives: Derivatives | None, primary: Map) -> tuple[str, ...]:
    """Name what there is to be judged of an engine's derivatives, in the words that a report uses."""
    if derivatives is None:
        return ()
    there = {
        "gradients": True,
        "gradient by a bias": primary.bias in derivatives.roles,
        "second derivatives": derivatives.second is not None,
        "accumulation of gradients": derivatives.accumulate is not None,
    }
    return tuple(name for name, is_there in there.items() if is_there)


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


def probed(derivatives: Derivatives, primary: Map, sample: Problem, *, bias: bool) -> Derivatives | None:
    """Return derivatives less those that do not come back on a sample, or None where no first one does.

    One gradient that raises where another does not is offered, that by a bias too, if it comes back together with
    others only: it is for the laws to judge.
    """
    values = _values(primary, sample)
    if not any(_works(derivatives.vjp, sample, values, (role,)) for role in primary.roles):
        return None
    second = derivatives.second
    direction = {role: make(sample, role, Fill("dense", 3, seed=1)) for role in primary.roles}
    if second and not any(_works(second, sample, values, r, direction[r], primary.roles) for r in primary.roles):
        derivatives = replace(derivatives, second=None)
    biased = sample.replace(bias=True)
    with_bias = values | {primary.bias: make(biased, primary.bias, Fill("dense", 3))}
    ways = ((primary.bias,), ("w", primary.bias), (*primary.roles, primary.bias))
    takes = bias and any(_works(derivatives.vjp, biased, with_bias, way) for way in ways)
    return replace(derivatives, roles=(*primary.roles, *((primary.bias,) if takes else ())))


def limited(derivatives: Derivatives | None, roles: Roles, *, second: bool, bias: bool = False) -> Derivatives | None:
    """Return derivatives as an earlier probe found them; they tell if there is a ``bias``, but no gradient by it."""
    if derivatives is None or not roles:
        return None
    lacks = bias and not {which.bias for which in Map} & set(roles)
    how = derivatives.how + ", none by the bias" * lacks
    return replace(derivatives, how=how, roles=roles, second=derivatives.second if second else None)


def _values(primary: Map, sample: Problem) -> dict[str, Array]:
    operands = Operands(*(make(sample, role, Fill("dense", 3)) for role in primary.roles))
    return filled(primary, sample, operands)


def _works(call: Callable[..., Any], *given: Any) -> bool:
    """Whether a derivative comes back at all."""
    try:
        call(*given)
    except BaseException as error:  # a probe asks; any answer but an array is a no
        if is_interrupt(error):
            raise
        return False
    return True
