"""Correct layers, whose modes of padding are tables of positions, and padded copies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from convcheck.engines.base import Engine
from convcheck.engines.modules import PADDING_MODES, RELOADED
from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE
from convcheck.selftest.fault import EVERYTHING
from convcheck.selftest.faults.layers import WAYS, layered

__all__ = ["ENGINES"]

Array = np.ndarray[Any, Any]


def _padding_a_copy(mode: Any) -> Callable[[Any, Operands], Array]:
    """Pad by NumPy, then convolve without padding."""

    def call(problem: Any, operands: Operands) -> Array:
        x = np.pad(operands.a, ((0, 0), (0, 0), *problem.padding), mode)
        bare = problem.replace(size=x.shape[2:], padding=((0, 0),) * problem.ndim, same=False)
        return BASE(Map.FORWARD, bare, operands._replace(a=x))

    return call


ENGINES: tuple[Engine, ...] = (
    Engine("layer-by-positions", EVERYTHING, BASE, layer=layered(WAYS)),
    Engine(
        "layer-by-padded-copies",
        EVERYTHING,
        BASE,
        layer=layered({RELOADED: BASE}) | {mode: _padding_a_copy(name) for mode, name in PADDING_MODES.items()},
    ),
)
