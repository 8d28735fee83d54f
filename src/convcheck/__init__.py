"""Property-based verification of convolutions: point it at one, and it tells which mathematical laws hold.

Everything public is imported when it is first used, so that ``import convcheck`` is quick and needs no torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convcheck import strategies
    from convcheck.cases import Case
    from convcheck.engines.base import Engine
    from convcheck.engines.wrap import wrap
    from convcheck.laws import LAWS
    from convcheck.operands import Fill
    from convcheck.problem import Problem
    from convcheck.pytest_plugin import conformance_test
    from convcheck.reference.layer import Conv2D
    from convcheck.reference.textbook import corr1d, corr2d, corr3d
    from convcheck.run import verify

__version__ = "0.1.0"

_HOMES = {
    "Case": "convcheck.cases",
    "Conv2D": "convcheck.reference.layer",
    "Engine": "convcheck.engines.base",
    "Fill": "convcheck.operands",
    "LAWS": "convcheck.laws",
    "Problem": "convcheck.problem",
    "conformance_test": "convcheck.pytest_plugin",
    "corr1d": "convcheck.reference.textbook",
    "corr2d": "convcheck.reference.textbook",
    "corr3d": "convcheck.reference.textbook",
    "verify": "convcheck.run",
    "wrap": "convcheck.engines.wrap",
}

__all__ = [
    "LAWS",
    "Case",
    "Conv2D",
    "Engine",
    "Fill",
    "Problem",
    "conformance_test",
    "corr1d",
    "corr2d",
    "corr3d",
    "strategies",
    "verify",
    "wrap",
]


def __getattr__(name: str) -> Any:
    if name == "strategies":
        return import_module("convcheck.strategies")
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
