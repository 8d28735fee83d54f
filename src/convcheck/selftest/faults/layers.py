"""Faults of layers: what a function has no part in, modes of padding and the state that is saved, goes wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import ml_dtypes
import numpy as np

from convcheck.engines.modes import Mode, Modes
from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE, Steps, positions, raw
from convcheck.selftest.call import Call
from convcheck.selftest.fault import Apply, Fault, plant_apply
from convcheck.selftest.faults import geometry, kernels, mixing, values
from convcheck.selftest.faults.padding import circular, padded, reflect, replicate

__all__ = ["FAULTS", "WAYS", "layered"]

Array = np.ndarray[Any, Any]
Table = Callable[[Call, int], Array]

#: the right way to do what a layer does beside its call
WAYS: dict[str, Steps] = {
    "circular": BASE.replace(table=circular),
    "reflect": BASE.replace(table=reflect),
    "replicate": BASE.replace(table=replicate),
    "reloaded": BASE,
}


def layered(ways: Mapping[str, Apply]) -> Modes:
    """Return the modes of a layer, which is reloaded and called again by the ways so named, and pads by others."""
    modes = {name: Mode(name, call, (Map.FORWARD,)) for name, call in ({"called again": BASE} | dict(ways)).items()}
    state, calls = modes.pop("reloaded"), modes.pop("called again")
    return {"padding": tuple(modes.values()), "state": (state,), "calls": (calls,)}


def _on_axes(which: Callable[[Call, int], bool], table: Table) -> Table:
    """Use a table along some of the axes only; along the others, pad with zeros."""
    return lambda call, axis: (table if which(call, axis) else positions)(call, axis)


def _wrong_end(call: Call, axis: int) -> Array:
    """A circle that is read from the end that lies near, not from the far one."""
    table, size = raw(call, axis), call.size[axis]
    return np.asarray(np.where((table < 0) | (table >= size), (size - 1 - table) % size, table))


def _border_twice(call: Call, axis: int) -> Array:
    """A mirror image in which the border is counted twice."""
    folded = raw(call, axis) % (2 * call.size[axis])
    return np.asarray(np.minimum(folded, 2 * call.size[axis] - 1 - folded))


def _low_end_only(table: Table) -> Table:
    return lambda call, axis: np.where(raw(call, axis) < call.size[axis], table(call, axis), -1)


def _one_too_far(call: Call, axis: int) -> Array:
    """Beyond the last column, the circle begins with the second."""
    table = raw(call, axis)
    return np.asarray((table + (table >= call.size[axis])) % call.size[axis])


def _modes(change: Callable[[Steps], dict[str, Any]]) -> dict[str, Steps]:
    """All modes with steps replaced; ``change`` is given the right ones."""
    return {name: steps.replace(**change(steps)) for name, steps in WAYS.items() if name != "reloaded"}


def _weight_transposed(call: Call, operands: Operands) -> Operands:
    square = call.groups == 1 and call.filters == call.channels
    return operands._replace(b=operands.b.swapaxes(0, 1)) if square else operands


def _without_bias(_: Call, operands: Operands) -> Operands:
    return operands._replace(bias=None)


_MODES: dict[str, dict[str, Steps]] = {
    "padding-mode-ignored": _modes(lambda _: {"table": positions}),
    "padding-mode-on-last-axis-only": _modes(
        lambda steps: {"table": _on_axes(lambda call, axis: axis == call.ndim - 1, steps.table)}
    ),
    "padding-mode-at-low-end-only": _modes(lambda steps: {"table": _low_end_only(steps.table)}),
    "padding-mode-with-axes-exchanged": _modes(lambda _: {"see": padded(lambda call: call.padding[::-1])}),
    "padding-mode-forgets-the-stride": _modes(lambda _: {"see": geometry.stepped(lambda call: (1,) * call.ndim)}),
    "padding-mode-forgets-the-bias": _modes(lambda _: {"take": _without_bias}),
    "circular-padding-from-the-wrong-end": {"circular": BASE.replace(table=_wrong_end)},
    "circular-padding-one-too-far": {"circular": BASE.replace(table=_one_too_far)},
    "reflection-counts-the-border-twice": {"reflect": BASE.replace(table=_border_twice)},
    "reflection-is-replication": {"reflect": WAYS["replicate"]},
    "replication-is-zeros-at-unit-axes": {
        "replicate": BASE.replace(table=_on_axes(lambda call, axis: call.size[axis] > 1, replicate))
    },
}
_STATES: dict[str, dict[str, Any]] = {
    "bias-not-in-the-state": {"take": _without_bias},
    "weight-transposed-when-loaded": {"take": _weight_transposed},
    "kernel-turned-when-loaded": {"take": kernels.turned("b")},
    "last-group-loaded-from-the-first": {"take": mixing.reordered("b", 0, mixing.last_is_first)},
    "state-saved-in-half-precision": {"sums": values.rounded(("float32", "float64"), ml_dtypes.bfloat16)},
    "stride-forgotten-when-loaded": {"see": geometry.stepped(lambda call: (1,) * call.ndim)},
}


def _plant(name: str, ways: dict[str, Steps]) -> Fault:
    fault = plant_apply(name, "layer", BASE)
    return replace(fault, engine=fault.engine.replace(modes=layered(WAYS | ways)))


FAULTS: tuple[Fault, ...] = (
    *(_plant(name, ways) for name, ways in _MODES.items()),
    *(_plant(name, {"reloaded": BASE.replace(**steps)}) for name, steps in _STATES.items()),
    _plant("bias-forgotten-in-the-second-call", {"called again": BASE.replace(take=_without_bias)}),
)
