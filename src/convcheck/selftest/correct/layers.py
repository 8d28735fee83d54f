"""Correct layers, whose modes of padding are tables of positions, and padded copies."""

from __future__ import annotations

from typing import Any

import numpy as np

from convcheck.engines.base import Engine
from convcheck.engines.layers import PADDING_MODES
from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE
from convcheck.selftest.fault import EVERYTHING, Apply
from convcheck.selftest.faults.layers import WAYS, layered
from convcheck.selftest.faults.operators import registered

__all__ = ["ENGINES"]

Array = np.ndarray[Any, Any]


def _padding_a_copy(mode: Any) -> Apply:
    """Pad by NumPy, then convolve without padding."""

    def call(which: Map, problem: Any, operands: Operands) -> Array:
        x = np.pad(operands.a, ((0, 0), (0, 0), *problem.padding), mode)
        bare = problem.replace(size=x.shape[2:], padding=((0, 0),) * problem.ndim, same=False)
        return BASE(which, bare, operands._replace(a=x))

    return call


ENGINES: tuple[Engine, ...] = (
    Engine("operator-with-kernels-for-shapes", EVERYTHING, BASE, modes=registered()),
    Engine("layer-by-positions", EVERYTHING, BASE, modes=layered(WAYS)),
    Engine(
        "layer-by-padded-copies",
        EVERYTHING,
        BASE,
        modes=layered({mode: _padding_a_copy(name) for mode, name in PADDING_MODES.items()} | {"reloaded": BASE}),
    ),
)
