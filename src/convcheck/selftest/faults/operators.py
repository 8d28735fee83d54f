"""Faults of registered operators: their shapes on the meta device, their fake kernels, and what opcheck would say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from convcheck.engines.modes import Mode, Modes
from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE
from convcheck.selftest.fault import Apply, Fault, plant_apply
from convcheck.selftest.faults import geometry

__all__ = ["FAULTS", "registered"]

Array = np.ndarray[Any, Any]

#: a kernel that knows sizes only: of a convolution that forgets a parameter
_FORGETFUL: dict[str, Apply] = {
    "the-stride": BASE.replace(see=geometry.sized(stride=lambda call: (1,) * call.ndim)),
    "the-dilation": BASE.replace(see=geometry.sized(dilation=lambda call: (1,) * call.ndim)),
}


def _then(change: Callable[[Array], Array]) -> Apply:
    """Change what the right convolution returns."""
    return lambda which, problem, operands: change(BASE(which, problem, operands))


def _grouped_refused(which: Map, problem: Any, operands: Operands) -> Array:
    if problem.groups > 1:
        raise ValueError("the shapes do not match")
    return BASE(which, problem, operands)


def _channels_last(result: Array) -> Array:
    return np.moveaxis(np.moveaxis(result, 1, -1).copy(), -1, 1)


def _no_autograd_for_a_bias(_: Map, __: Any, operands: Operands) -> Array:
    if operands.bias is not None:
        raise AssertionError("the operator has no autograd formula")
    return np.array([True])


def _all_well(*_: Any) -> Array:
    return np.array([True])


def registered(meta: Apply = BASE, fake: Apply = BASE, opcheck: Apply = _all_well) -> Modes:
    """Return the modes that a registered operator has beside those of any function."""
    calls = {"meta": meta, "fake": fake, "opcheck": opcheck}
    return {claim: (Mode(f"as {claim}", call, (Map.FORWARD,)),) for claim, call in calls.items()}


_MODES: dict[str, Modes] = {
    **{f"meta-kernel-forgets-{what}": registered(meta=steps) for what, steps in _FORGETFUL.items()},
    **{f"fake-kernel-forgets-{what}": registered(fake=steps) for what, steps in _FORGETFUL.items()},
    "meta-result-always-f32": registered(meta=_then(lambda y: y.astype(np.float32))),
    "meta-kernel-refuses-groups": registered(meta=_grouped_refused),
    "fake-result-in-channels-last": registered(fake=_then(_channels_last)),
    "fake-result-one-filter-short": registered(fake=_then(lambda y: y[:, : max(1, y.shape[1] - 1)])),
    "operator-without-autograd-for-a-bias": registered(opcheck=_no_autograd_for_a_bias),
}


def _plant(name: str, modes: Modes) -> Fault:
    fault = plant_apply(name, "mode", BASE)
    return replace(fault, engine=fault.engine.replace(modes=modes))


FAULTS: tuple[Fault, ...] = tuple(_plant(name, modes) for name, modes in _MODES.items())
