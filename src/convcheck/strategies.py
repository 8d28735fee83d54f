"""Hypothesis strategies for problems and operands, valid by construction: nothing is drawn and thrown away.

They shrink towards one spatial axis, one image, channel, filter and group, a kernel of two elements, unit stride
and dilation, no padding, no bias, float32, the smallest input that the kernel fits into, and small integers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from hypothesis import strategies as st

from convcheck.bounds import Numerics
from convcheck.cases import Case, choose_fills
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.laws.law import Law
from convcheck.operands import Operands, make
from convcheck.problem import Map, Problem
from convcheck.space import Space

__all__ = ["cases", "operands", "problems"]

T = TypeVar("T")


class _Drawn:
    """Choices drawn by Hypothesis; the first option and the low end are what they shrink to."""

    def __init__(self, draw: st.DrawFn) -> None:
        self._draw = draw

    def pick(self, options: Sequence[T]) -> T:
        return options[self._draw(st.integers(0, len(options) - 1))]

    def integer(self, low: int, high: int) -> int:
        return self._draw(st.integers(low, high))


@st.composite
def problems(
    draw: st.DrawFn,
    *,
    ndim: int | Sequence[int] = (1, 2, 3),
    dtypes: Sequence[str] = ("f32",),
    features: Sequence[str] = FEATURES,
    needs: Mapping[str, tuple[str, ...]] | None = None,
    work_limit: int = 100_000,
) -> Problem:
    """Problems that every engine with the given features must take.

    Parameters
    ----------
    ndim
        Number of spatial axes, or several to choose from.
    dtypes
        Names from `convcheck.dtypes`.
    features
        What may occur beyond one image, channel and filter: names from `convcheck.engines.capabilities.FEATURES`.
    needs
        Classes of `convcheck.space.CLASSES` to which parameters are restricted, as ``{"stride": ("two",)}``.
    work_limit
        Most multiply-adds that a problem has.
    """
    ndims = (ndim,) if isinstance(ndim, int) else tuple(ndim)
    offered = Capabilities(ndims, tuple(dtypes), frozenset(features), work_limit=work_limit)
    return Space(offered, needs or {}).build(_Drawn(draw))


@st.composite
def operands(draw: st.DrawFn, problem: Problem, *, which: Map = Map.FORWARD, recipe: str = "exact") -> Operands:
    """Operands of a problem by a recipe of `convcheck.cases.RECIPES`; ``exact`` ones make every sum exact."""
    fills = choose_fills(recipe, _Drawn(draw), which, problem, Numerics())
    roles = (*which.roles, *((which.bias,) if problem.bias else ()))
    return Operands(*(make(problem, role, fill) for role, fill in zip(roles, fills, strict=True)))


@st.composite
def cases(draw: st.DrawFn, engine: Engine, law: Law, which: Map = Map.FORWARD) -> Case:
    """Cases on which a law can judge one of an engine's maps."""
    return _case(_Drawn(draw), engine, law, which)


def _case(choose: Any, engine: Engine, law: Law, which: Map) -> Case:
    problem = Space.of(engine.capabilities, law, which).build(choose)
    fills = choose_fills(law.fills, choose, which, problem, engine.numerics, law.headroom)
    return Case(law.name, problem, fills, which)
