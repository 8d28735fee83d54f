"""Derivatives of a function of jax arrays, by jax.vjp."""

from __future__ import annotations

from typing import Any

import jax
import numpy as np

from convcheck.engines.caller import Caller
from convcheck.engines.derivatives import Derivatives, Values
from convcheck.problem import Problem

__all__ = ["by_jax"]

Array = np.ndarray[Any, Any]


def by_jax(caller: Caller) -> Derivatives:
    """Return the derivatives of the function that a `Caller` calls."""
    primary, call = caller.primary, caller.by_roles

    def natives(values: Values) -> dict[str, Any]:
        return {role: caller.kind.to_native(array) for role, array in values.items()}

    def vjp(problem: Problem, values: Values, wanted: tuple[str, ...]) -> tuple[Array, ...]:
        native = natives(values)
        free = [role for role in wanted if role != primary.result]
        result, pull = jax.vjp(
            lambda *arrays: call(problem, native | dict(zip(free, arrays, strict=True))),
            *(native[role] for role in free),
        )
        found = dict(zip(free, pull(native[primary.result]), strict=True)) | {primary.result: result}
        return tuple(caller.kind.to_numpy(found[role]) for role in wanted)

    def second(
        problem: Problem, values: Values, by: str, direction: Array, wanted: tuple[str, ...]
    ) -> tuple[Array, ...]:
        native = natives(values)

        def gradient(*arrays: Any) -> Any:
            given = native | dict(zip(wanted, arrays, strict=True))
            _, pull = jax.vjp(lambda free: call(problem, given | {by: free}), given[by])
            return pull(given[primary.result])[0]

        _, pull = jax.vjp(gradient, *(native[role] for role in wanted))
        return tuple(map(caller.kind.to_numpy, pull(caller.kind.to_native(direction))))

    return Derivatives("by jax.vjp", vjp, second=second)
