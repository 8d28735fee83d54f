"""A planted fault: a convolution that is wrong in one way, and what one should be told about it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from convcheck.dtypes import REAL
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.operands import Operands
from convcheck.problem import Map
from convcheck.selftest.base import BASE

__all__ = ["COMPLEX", "EVERYTHING", "KINDS", "Apply", "Fault", "plant", "plant_apply"]

Array = np.ndarray[Any, Any]
Apply = Callable[[Map, Any, Operands], Array]

KINDS = (
    "index", "padding", "stride", "dilation", "groups", "channels", "batch", "bias", "dtype", "arithmetic",
    "complex", "special values", "size-dependent", "state", "memory", "contract", "gradient", "transposed", "layer",
    "mode",
)  # fmt: skip

#: what an engine without gaps takes, forwards only
EVERYTHING = Capabilities((1, 2, 3), REAL, frozenset(FEATURES), (Map.FORWARD,), work_limit=50_000)


#: what an engine for complex numbers takes
COMPLEX = ("f64", "complex64", "complex128")


@dataclass(frozen=True)
class Fault:
    """An engine with one planted mistake.

    ``kind`` is the class of mistake, one of `KINDS`; ``words`` should occur in a right diagnosis; ``index`` says
    that the engine is still bilinear in x and w, and realises a wrong operator.
    """

    name: str
    kind: str
    engine: Engine
    words: tuple[str, ...] = ()
    index: bool = False


def plant(name: str, kind: str, *, words: tuple[str, ...] = (), index: bool = False, **hooks: Any) -> Fault:
    """Plant a fault by replacing steps of the right convolution (`convcheck.selftest.base.Steps`)."""
    return plant_apply(name, kind, BASE.replace(**hooks), words=words, index=index)


def plant_apply(
    name: str,
    kind: str,
    apply: Apply,
    *,
    words: tuple[str, ...] = (),
    index: bool = False,
    maps: tuple[Map, ...] = (Map.FORWARD,),
    primary: Map = Map.FORWARD,
) -> Fault:
    """Plant a fault that is more than a replaced step."""
    offered = replace(EVERYTHING, maps=maps, primary=primary)
    return Fault(name, kind, Engine(name, offered, apply), words, index)
