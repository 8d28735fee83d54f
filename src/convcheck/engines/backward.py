"""A hand-written backward, (grad_out, x, w, ...) -> (grad_x, grad_w, grad_b), as the derivatives of a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from convcheck.engines.caller import Caller
from convcheck.engines.derivatives import Derivatives, Values
from convcheck.engines.signature import Signature, read_signature
from convcheck.engines.target import load
from convcheck.errors import UsageError, is_interrupt
from convcheck.operands import Fill, make
from convcheck.problem import Map, Problem

__all__ = ["Backward", "by_hand", "offered_roles", "read_backward"]

Array = np.ndarray[Any, Any]

#: what a parameter is where nothing was asked for, so that a backward need not take it
PLAIN: dict[str, Callable[[Problem], bool]] = {
    "stride": lambda p: set(p.stride) == {1},
    "padding": lambda p: not any(map(any, p.padding)),
    "dilation": lambda p: set(p.dilation) == {1},
    "groups": lambda p: p.groups == 1,
    "output_padding": lambda p: True,  # noqa: ARG005 - it is told by the upstream gradient's shape
}


@dataclass(frozen=True)
class Backward:
    """A function that computes gradients, by which name the user knows it, and which arguments it takes."""

    function: Callable[..., Any]
    label: str
    signature: Signature


def read_backward(vjp: Callable[..., Any] | str) -> Backward:
    """Read a backward: a function, or the name of one as ``package.module:attribute``.

    Raises
    ------
    UsageError
        If it cannot be imported, or does not take an upstream gradient, an input and a kernel.
    """
    function = load(vjp) if isinstance(vjp, str) else vjp
    label = vjp if isinstance(vjp, str) else str(getattr(function, "__name__", repr(function)))
    what = "a backward takes the upstream gradient, an input and a kernel"
    return Backward(function, label, read_signature(function, label, arrays=3, what=what))


def by_hand(backward: Backward, caller: Caller) -> Derivatives:
    """Return the derivatives that a backward computes of the function that a `Caller` calls."""
    primary = caller.primary
    order = (*primary.roles, primary.bias)
    to_native, to_numpy = caller.kind.to_native, caller.kind.to_numpy

    def vjp(problem: Problem, values: Values, wanted: tuple[str, ...]) -> tuple[Array, ...]:
        native = {role: to_native(array) for role, array in values.items()}
        found = dict(zip(order, _gradients(backward, caller, problem, native), strict=False))
        if primary.result in wanted:
            found[primary.result] = caller.by_roles(problem, native)
        missing = [role for role in wanted if found.get(role) is None]
        if missing:
            raise TypeError(f"{backward.label} returned None for grad_{missing[0]}")
        return tuple(to_numpy(_owned(caller, backward, role, found[role])) for role in wanted)

    return Derivatives(f"by {backward.label}", vjp, roles=order)


def offered_roles(backward: Backward, caller: Caller, sample: Problem, *, bias: bool) -> tuple[str, ...]:
    """Roles of which a backward returns the gradient on a sample; all, where it raises, which is for the laws to judge.

    Raises
    ------
    UsageError
        If it returns anything but two or three gradients.
    """
    primary, asked = caller.primary, sample.replace(bias=bias)
    roles = (*Map.GRAD_WEIGHT.roles, "w", *((primary.bias,) if bias else ()))
    native = {role: caller.kind.to_native(make(asked, role, Fill("dense", 3))) for role in roles}
    order = (*primary.roles, *((primary.bias,) if bias else ()))
    try:
        found = _gradients(backward, caller, asked, native)
    except _NoGradientsError as error:
        raise UsageError(str(error)) from None
    except BaseException as error:  # whatever else it raises is for the laws to judge
        if is_interrupt(error):
            raise
        return order
    there = tuple(role for role, array in zip(order, found, strict=False) if array is not None)
    if not set(there) & set(primary.roles):
        raise UsageError(f"{backward.label} returned {_shown(found)}: no gradient of the input or of the kernel")
    return there


class _NoGradientsError(TypeError):
    """A backward returned what is not two or three gradients; the message shows it."""


def _gradients(backward: Backward, caller: Caller, problem: Problem, native: dict[str, Any]) -> Any:
    """Call the function on native arrays; a tuple of two or three native arrays with the problem's axes, or None."""
    primary, names = caller.primary, backward.signature.names
    lacking = [name for name, plain in PLAIN.items() if name not in names and not plain(problem)]
    if lacking:
        raise NotImplementedError(f"{backward.label} takes no {' and no '.join(lacking)}")
    given = {name: caller.spell(name, problem) for name in PLAIN if name in names}
    if "bias" in names:
        given["bias"] = native.get(primary.bias)
    args, kwargs = backward.signature.arguments(given)
    bare = caller.style == "bare"
    arrays = [native[role][0, 0] if bare else native[role] for role in (primary.result, *primary.roles)]
    found = backward.function(*arrays, *args, **kwargs)
    if not (isinstance(found, tuple | list) and 2 <= len(found) <= 3):
        raise _NoGradientsError(
            f"{backward.label} returned {_shown(found)}, not (grad_x, grad_w) or (grad_x, grad_w, grad_b)"
        )
    return [array[None, None] if bare and caller.kind.owns(array) else array for array in found]


def _owned(caller: Caller, backward: Backward, role: str, array: Any) -> Any:
    if not caller.kind.owns(array):
        raise TypeError(f"{backward.label} returned {_shown(array)} for grad_{role}, not a {caller.kind.name} array")
    return array


def _shown(value: Any) -> str:
    """What a function returned, in a few words: arrays by their shape."""
    if isinstance(value, tuple | list):
        return f"({', '.join(map(_shown, value))}{',' * (len(value) == 1)})"
    shape = getattr(value, "shape", None)
    return f"an array of shape {tuple(shape)}" if shape is not None else f"{value!r}"[:80]
