"""What is known of a target: found by probes, declared by the user, and who watches while it is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from convcheck.bounds import Numerics
from convcheck.problem import Problem

__all__ = ["Facts", "Wanted", "Watch"]


@dataclass(frozen=True)
class Facts:
    """What the probes found, as plain values that cross processes.

    ``kind``, ``style`` and ``forms`` say how the target is called, ``problem`` is one that it takes, ``gradients`` are
    the roles by which it has derivatives, ``twice`` says whether these have some, and ``notes`` tell the user. A target
    that ``inherits`` calls torch's own convolution, with what that gets wrong; one whose ``convention`` is convolution
    flips the kernel. ``refusals`` are the places at which it raises on the plainest problems of a kind that it doesn't
    take (`convcheck.engines.refusals.raised_at`).
    """

    kind: str
    style: str
    forms: dict[str, str]
    problem: Problem
    ndims: tuple[int, ...]
    dtypes: tuple[str, ...]
    features: frozenset[str]
    numerics: Numerics
    work_limit: int
    notes: tuple[str, ...]
    kernels: tuple[int, ...] = ()
    gradients: tuple[str, ...] = ()
    twice: bool = False
    inherits: bool = False
    convention: str = "correlation"
    refusals: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Wanted:
    """What the user declares instead of leaving it to the probes; empty or None where nothing is declared."""

    dtypes: tuple[str, ...] = ()
    accuracy: str | None = None
    accumulator: str | None = None
    input_rounding: str | None = None
    splits: int = 0


@dataclass(frozen=True)
class Watch:
    """Who watches the probes: each is announced before the target is called, and those that killed it are left out."""

    announce: Callable[[str], None] = lambda _: None
    avoid: frozenset[str] = frozenset()
