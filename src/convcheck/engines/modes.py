"""Modes: other ways to call a target that must not change its results, or only as much as they say."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["CLAIMS", "Mode", "Modes"]

Array = np.ndarray[Any, Any]
Apply = Callable[[Map, Problem, Operands], Array]

#: what is claimed of modes, and what a target lacks that has none of them
CLAIMS = {
    "values": "takes no torch tensors",
    "threads": "takes no torch tensors",
    "autocast": "takes no torch tensors",
    "compiled": "takes no torch tensors",
    "meta": "is no operator of torch",
    "fake": "is no operator of torch",
    "opcheck": "is no operator of torch.library",
    "padding": "is no layer with modes of padding",
    "state": "is no layer",
    "calls": "is no layer",
}


def _nothing() -> None:
    pass


@dataclass(frozen=True)
class Mode:
    """One way to call a target; it raises NotImplementedError where it does not exist, as channels_last of one axis.

    ``maps`` are those that can be called so. Where ``must`` is false, a target that raises is not judged: nobody
    promised that it can be called so. ``prepare`` is called before, and takes time that is not the target's.
    """

    name: str
    call: Apply
    maps: tuple[Map, ...] = tuple(Map)
    must: bool = True
    prepare: Callable[[], None] = _nothing

    def timed(self, timed: Callable[[Callable[..., Any]], Callable[..., Any]]) -> Self:
        """Return the same with every call passed through a function."""
        return replace(self, call=timed(self.call))


#: modes by what is claimed of them
Modes = Mapping[str, tuple[Mode, ...]]
