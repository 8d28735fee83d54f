"""The problems that an engine supports and a law needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any, Self

from convcheck.engines.capabilities import Capabilities
from convcheck.problem import Map, Problem
from convcheck.space.build import Builder
from convcheck.space.choose import Chooser
from convcheck.space.table import BETWEEN, CLASSES, COUNTS, DTYPES_OF, ENOUGH, GRADIENTS, KERNELS, NEEDS, WEIGHTS

__all__ = ["Space"]


@dataclass(frozen=True)
class Space:
    """The problems that an engine supports and a law needs, as the classes that are allowed, by parameter.

    ``needs`` restricts parameters to classes, as ``{"dilation": ("two", "more")}``.
    """

    capabilities: Capabilities
    needs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    work_limit: int = 0

    @classmethod
    def of(cls, capabilities: Capabilities, law: Any, which: Map) -> Self:
        """Return the problems on which a law can judge one of an engine's maps."""
        needs = dict(law.needs)
        for name, classes in (GRADIENTS if which is not capabilities.primary else {}).items():
            needs[name] = tuple(c for c in needs.get(name, classes) if c in classes)
        return cls(capabilities, needs, min(law.work, capabilities.work_limit))

    @cached_property
    def table(self) -> dict[str, tuple[str, ...]]:
        """Allowed classes by parameter, simplest first; a parameter without any makes the space empty."""
        return {
            parameter: tuple(c for c in classes if self._allows(parameter, c)) for parameter, classes in CLASSES.items()
        }

    @property
    def lacking(self) -> str:
        """Why the space is empty, or an empty string."""
        return ", ".join(name for name, classes in self.table.items() if not classes)

    def _allows(self, parameter: str, name: str) -> bool:
        offered = self.capabilities
        if parameter == "ndim" and int(name) not in offered.ndims:
            return False
        if parameter == "dtype" and not ({*DTYPES_OF[name]} & {*offered.dtypes}):
            return False
        if parameter == "kernel" and offered.kernels and not self._has_kernel(name):
            return False
        uneven = name in ("unequal", "uneven", "unit-axis", "plane", "mixed")
        if uneven and max(offered.ndims) == 1 and name != "unit-axis":
            return False
        if max(offered.multiples) > 1 and not self._has_count(parameter, name):
            return False
        needs = NEEDS.get((parameter, name), ())
        offers = ENOUGH.get((parameter, name)) in offered.features or all(n in offered.features for n in needs)
        return offers and name in self.needs.get(parameter, CLASSES[parameter])

    def _has_count(self, parameter: str, name: str) -> bool:
        """Whether a class has counts of channels or filters that come in the engine's multiples."""
        if parameter == "groups":
            return name in ("one", "several")
        if parameter not in ("channels", "filters"):
            return True
        multiple = self.capabilities.multiples[parameter == "filters"]
        return any(count % multiple == 0 for count in (*COUNTS[name], *BETWEEN.get(name, ())))

    def _has_kernel(self, name: str) -> bool:
        """Whether an engine whose kernels have a few sizes only has one in a class."""
        sizes = self.capabilities.kernels
        return name == "full" or bool({*KERNELS.get(name, ())} & {*sizes}) or (name == "mixed" and 1 in sizes[:-1])

    def build(self, choose: Chooser, row: Mapping[str, str] | None = None) -> Problem:
        """Build a problem: classes from ``row`` where it names them, else chosen; values chosen inside each class."""
        return self._builder(choose, row or {}).problem()

    def build_around(self, choose: Chooser, layer: Problem) -> Problem:
        """Build a problem of a layer's kernel, stride, padding and dilation, with all else chosen."""
        return self._builder(choose, {}).around(layer.kernel, layer.stride, layer.padding, layer.dilation)

    def alike(self, problem: Problem) -> Problem:
        """Return the problem with axes that may be mistaken for each other, of equal sizes, as far as that is taken."""
        count, ndim = max(2, min(4, problem.channels)), problem.ndim
        counts = {"groups": 1, "channels": count, "filters": count}
        square = {"size": (max(problem.size),) * ndim, "kernel": (max(problem.kernel),) * ndim}
        limit = self.work_limit or self.capabilities.work_limit
        for changes in (counts | square | {"batch": count}, counts | {"batch": count}, counts | square, counts, square):
            other = problem.replace(**changes)
            if other.is_valid and other.work <= limit and not self.capabilities.admits(other):
                return other
        return problem

    def _builder(self, choose: Chooser, row: Mapping[str, str]) -> Builder:
        cls = {p: row.get(p) or choose.pick(_weighted(p, classes)) for p, classes in self.table.items()}
        return Builder(choose, cls, self.capabilities, self.work_limit or self.capabilities.work_limit)


@cache
def _weighted(parameter: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(c for c in classes for _ in range(WEIGHTS.get((parameter, c), 1)))
