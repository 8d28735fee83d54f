"""What a law is: a pure function from a convolution and a case to a claim, and what it needs to be judged."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec

from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv, Engine
from convcheck.engines.capabilities import Capabilities
from convcheck.engines.derivatives import offers_of
from convcheck.engines.modes import CLAIMS
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["ALL_MAPS", "MINUTES", "OWN_MAPS", "SECONDS", "Law", "floating", "inexact"]

ALL_MAPS = tuple(Map)
#: maps that a call of a target may compute: a convolution, or a transposed one
OWN_MAPS = (Map.FORWARD, Map.GRAD_INPUT)
SECONDS, MINUTES = "seconds", "minutes"


def floating(problem: Problem) -> bool:
    """Whether a problem is one of floating-point operands."""
    return DTYPES[problem.dtype].kind == "f"


def inexact(problem: Problem) -> bool:
    """Whether a problem's operands, real or complex, are rounded."""
    return DTYPES[problem.dtype].kind in "fc"


@dataclass(frozen=True)
class Law:
    """One law of the book.

    ``needs`` restricts the classes of problems (`convcheck.space`) that are drawn to those that can tell; ``holds``
    tells for any problem whether the law speaks of it; ``maps`` are the bilinear maps it speaks of; ``fills`` names
    the recipe of operands (`convcheck.cases`); ``headroom`` is the number of bits that the law's own arithmetic adds
    to exact operands; ``work`` bounds the multiply-adds of a problem whose law calls the target many times. ``direct``
    laws do not hold for engines that declare Winograd or FFT. ``every`` lists all problems of a law that exhausts a
    scope instead of sampling, and ``few`` samples so many problems where more would take too long. ``requires`` is a
    library. ``own`` laws speak of the target's own call only, ``derived`` ones of its derivatives only, of which
    ``offers`` names what the law needs (`convcheck.engines.derivatives`). ``modes`` are those of an engine that the law
    speaks of (`convcheck.engines.modes.CLAIMS`); ``takes`` says what a law takes beside its cases:
    `SECONDS`, to load a library, or `MINUTES`. ``valueless`` laws speak of shapes and types alone,
    and those ``beside_values`` of what a call refuses or leaves behind.
    """

    check: Callable[[Conv, Problem, Operands], Claim]
    chapter: str
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    holds: Callable[[Problem], bool] = lambda problem: True  # noqa: ARG005
    maps: tuple[Map, ...] = (Map.FORWARD,)
    fills: str = "exact"
    headroom: int = 0
    work: int = 100_000
    direct: bool = False
    every: Callable[[Capabilities], Iterator[Problem]] | None = None
    requires: str = ""
    own: bool = False
    derived: bool = False
    offers: str = ""
    modes: str = ""
    few: int = 0
    takes: str = ""
    valueless: bool = False
    beside_values: bool = False

    @property
    def name(self) -> str:
        """What a person calls it: kebab-case."""
        return self.check.__name__.replace("_", "-")

    @property
    def of_values(self) -> bool:
        """Whether it speaks of the values that a valid call returns."""
        return not (self.valueless or self.beside_values)

    def maps_of(self, offered: Capabilities) -> tuple[Map, ...]:
        """Maps of an engine that the law speaks of."""
        left_out = {True: self.derived, False: self.own}
        return tuple(m for m in self.maps if m in offered.maps and not left_out[m is offered.primary])

    def why_not(self, engine: Engine) -> str:
        """Why the law cannot be judged on an engine, whatever the problem, or an empty string."""
        if self.direct and engine.numerics.normwise:
            return "does not hold for engines that declare Winograd or FFT"
        if not (self.valueless or engine.has_values):
            return "the device has no values"
        if self.modes and self.modes not in engine.modes:
            return f"the target {CLAIMS[self.modes]}"
        if self.offers and self.offers not in offers_of(engine.derivatives, engine.capabilities.primary):
            return f"the target offers no {self.offers}"
        return f"{self.requires} is not installed" if self.requires and not _importable(self.requires) else ""

    @property
    def equation(self) -> str:
        """First line of the law's docstring."""
        return (inspect.getdoc(self.check) or "").partition("\n")[0]

    @property
    def text(self) -> str:
        """Whole docstring."""
        return inspect.getdoc(self.check) or ""


@cache
def _importable(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except (ImportError, ValueError):  # something keeps it from being imported, and says so here already
        return False
