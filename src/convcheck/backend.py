"""Where slices are judged: in this process, or (`convcheck.isolation.backend`) in workers that may die."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from convcheck.cases import Case
from convcheck.engines import torch_state
from convcheck.engines.base import Engine
from convcheck.examine import run_slice
from convcheck.laws.law import Law
from convcheck.minimise import minimise, words_for
from convcheck.plan import Profile, Slice, slices
from convcheck.report.model import Violation
from convcheck.tally import Tally

__all__ = ["Backend", "InProcess", "Job"]


@dataclass
class Job:
    """One law's slices, and what came of them: added up in order, so that it does not matter who finished first."""

    law: Law
    parts: list[Slice]
    done: dict[Slice, Tally] = field(default_factory=dict)
    deaths: int = 0

    @classmethod
    def of(cls, engine: Engine, law: Law, profile: Profile) -> Job:
        """Return a law's job."""
        return cls(law, list(slices(engine, (law,), profile)))

    def total(self, *, first: bool = False) -> Tally:
        """Add up the slices, in order, up to the one at which enough failures are known, or the ``first`` one is."""
        total = Tally()
        for part in sorted(self.done, key=self.order):
            total.add(self.done[part])
            if total.enough or (first and total.failures):
                break
        return total

    def order(self, part: Slice) -> tuple[int, int]:
        """Place of a slice, or of a piece of one, in the law's order."""
        same = [i for i, p in enumerate(self.parts) if (p.map, p.stream) == (part.map, part.stream)]
        return (same[0] if same else 0, part.start)


class Backend(Protocol):
    """Judges jobs and makes counterexamples small."""

    engine: Engine

    def judge(self, jobs: Iterator[Job], deadline: float, stop: Callable[[Job], bool]) -> Iterator[Job]:
        """Judge jobs, yielding each time that a slice of one is done; ``stop`` tells to begin no more."""

    def minimise(self, cases: list[Case]) -> list[Violation]:
        """Make failing cases small."""

    def diagnose(self, cases: list[Case]) -> list[str]:
        """Say in words what the target computes instead, by case."""

    def deaths(self) -> list[Violation]:
        """What the target did not survive, made small."""

    def close(self) -> None:
        """End whatever was started."""


class InProcess:
    """Judges in this process: a target that crashes takes it along."""

    def __init__(self, engine: Engine, profile: Profile, seed: int) -> None:
        self.engine = engine
        self._profile = profile
        self._seed = seed

    def judge(self, jobs: Iterator[Job], deadline: float, stop: Callable[[Job], bool]) -> Iterator[Job]:
        """Judge slice by slice, with one thread in torch, as workers do."""
        for job in jobs:
            for part in job.parts:
                if job.total().enough or time.monotonic() > deadline:
                    break
                with torch_state.one_thread():
                    tally = run_slice(self.engine, part, self._profile, self._seed, lambda _: None, deadline)
                job.done[part] = tally
                yield job
            if stop(job):
                return

    def minimise(self, cases: list[Case]) -> list[Violation]:
        """Make failing cases small, one after the other."""
        return [minimise(self.engine, case, seconds=self._profile.shrink_seconds) for case in cases]

    def diagnose(self, cases: list[Case]) -> list[str]:
        """Diagnose on the problems of the cases."""
        return [words_for(self.engine, case) for case in cases]

    def deaths(self) -> list[Violation]:
        """Return nothing: who is here to ask has survived."""
        return []

    def close(self) -> None:
        """Do nothing: nothing was started."""
