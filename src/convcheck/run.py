"""Verify an engine: run the slices of a plan, add them up, and make the counterexamples small."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from convcheck.cases import Case
from convcheck.covering import combinations_of, possible_combinations
from convcheck.engines import engine_of
from convcheck.engines.base import Engine
from convcheck.examine import examine, run_slice
from convcheck.laws import BY_NAME
from convcheck.laws.law import Law
from convcheck.plan import PROFILES, Profile, Slice, profile_named, select, slices
from convcheck.report.model import LawResult, Report, Violation
from convcheck.shrink import complexity, shrink
from convcheck.space import CLASSES, Space
from convcheck.tally import Tally

__all__ = ["Progress", "verify"]

#: how often a counterexample is repeated, to tell a mistake that is always there from one that comes and goes
REPETITIONS = 20


@dataclass(frozen=True)
class Progress:
    """What a run tells while it works: which law, how many slices of it are done, and violations as they are found."""

    law: str
    done: int
    of: int
    tally: Tally


def verify(
    target: Any,
    *,
    laws: Sequence[str] = (),
    exclude_laws: Sequence[str] = (),
    profile: str | Profile = "gate",
    seed: int = 0,
    stop_at_first: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    **options: Any,
) -> Report:
    """Judge a convolution by the law book.

    Parameters
    ----------
    target
        ``package.module:attribute``, an adapter's name, a function, or an `Engine`.
    laws, exclude_laws
        Names of the laws to judge (all), and of those to leave out.
    profile
        ``smoke`` (seconds), ``gate`` (under a minute) or ``nightly``, or a `Profile`.
    seed
        Chooses the cases: the same seed gives the same cases.
    stop_at_first
        Stop at the first violated law.
    progress
        Called after every slice of work.
    options
        What `convcheck.engines.wrap.wrap` takes: ndim, array, style, dtypes, device, convention, accuracy.

    Raises
    ------
    UsageError
        If the target or an option cannot be used.
    """
    chosen = select(tuple(laws), tuple(exclude_laws))
    plan = profile_named(profile) if isinstance(profile, str) else profile
    start = time.perf_counter()
    engine = engine_of(target, **options)
    run = _Run(engine, chosen, plan, seed, progress)
    results = list(run.results(stop_at_first=stop_at_first))
    return Report(
        target=engine.name,
        notes=engine.notes,
        versions=engine.versions,
        profile=plan.name,
        seed=seed,
        results=tuple(results),
        reached=run.reached(),
        seconds=time.perf_counter() - start,
        interrupted=run.interrupted,
    )


@dataclass
class _Run:
    engine: Engine
    laws: tuple[Law, ...]
    profile: Profile
    seed: int
    progress: Callable[[Progress], None]
    interrupted: bool = False
    classes: set[tuple[str, ...]] = field(default_factory=set)

    def results(self, *, stop_at_first: bool) -> Iterator[LawResult]:
        """Results law by law, in the order of the book."""
        deadline = time.monotonic() + self.profile.seconds if self.profile.seconds else float("inf")
        for law in self.laws:
            reason = self.why_not(law) or ("out of time" if time.monotonic() > deadline else "")
            if reason or self.interrupted:
                yield LawResult(law.name, reason=reason or "interrupted")
                continue
            tally = self.judge(law, deadline)
            self.classes |= tally.classes
            result = self.conclude(law, tally)
            yield result
            if result.violation and stop_at_first:
                return

    def why_not(self, law: Law) -> str:
        """Why a law cannot be judged on this engine, or an empty string."""
        if law.direct and self.engine.numerics.normwise:
            return "does not hold for engines that declare Winograd or FFT"
        if law.requires and not _importable(law.requires):
            return f"{law.requires} is not installed"
        spaces = [Space.of(self.engine.capabilities, law, m) for m in law.maps if m in self.engine.capabilities.maps]
        lacking = spaces[0].lacking if spaces and not law.every else ""
        return f"the target has no {lacking} that the law speaks of" if lacking else ""

    def judge(self, law: Law, deadline: float) -> Tally:
        """Run all slices of a law."""
        total = Tally()
        parts = list(slices(self.engine, (law,), self.profile))
        try:
            for done, part in enumerate(parts, 1):
                total.add(run_slice(self.engine, part, self.profile, self.seed, lambda _: None, deadline))
                self.progress(Progress(law.name, done, len(parts), total))
                if total.enough or time.monotonic() > deadline:
                    break
        except KeyboardInterrupt:
            self.interrupted = True
        return total

    def conclude(self, law: Law, tally: Tally) -> LawResult:
        """Turn a law's counts into its result, with the smallest counterexample."""
        why = max(tally.skipped, key=lambda text: tally.skipped[text], default="no case")
        return LawResult(
            law.name,
            judged=tally.judged,
            failed=len(tally.failures),
            nontrivial=tally.nontrivial,
            worst=tally.worst,
            skipped=dict(sorted(tally.skipped.items())),
            violation=self.violation(law, tally) if tally.failures else None,
            seconds=tally.seconds,
            reason="" if tally.judged else why,
        )

    def violation(self, law: Law, tally: Tally) -> Violation:
        """Make the simplest of the failures smaller, and repeat it."""
        found = min(tally.failures, key=complexity)
        failed = self.repeat(found)
        small = found
        if failed == REPETITIONS:
            small = shrink(found, self.fails, seconds=self.profile.shrink_seconds)
        verdict = examine(self.engine, small).verdict
        if verdict is None or verdict.ok:  # it comes and goes: what is known is that it failed
            return Violation(law.name, law.equation, small, found, _UNSTEADY, failed=failed, repeated=REPETITIONS)
        return Violation(
            law.name,
            law.equation,
            small,
            found,
            verdict.reason,
            verdict.ratio,
            verdict.index,
            verdict.expected,
            verdict.got,
            failed=failed,
            repeated=REPETITIONS,
        )

    def fails(self, case: Case) -> bool:
        """Whether a case is judged and fails."""
        verdict = examine(self.engine, case).verdict
        return verdict is not None and not verdict.ok

    def repeat(self, case: Case) -> int:
        """How many of the repetitions of a case fail."""
        return sum(self.fails(case) for _ in range(REPETITIONS))

    def reached(self) -> dict[int, tuple[int, int]]:
        """Pairs and triples of classes: how many the judged problems were in, of how many that can occur."""
        table = tuple(Space(self.engine.capabilities).table.items())
        names = list(CLASSES)
        figures = {}
        for strength in (2, 3):
            possible = set(possible_combinations(table, strength))
            seen: set[Any] = set()
            for classes in self.classes:
                seen.update(combinations_of(dict(zip(names, classes, strict=True)), strength))
            figures[strength] = (len(seen & possible), len(possible))
        return figures


_UNSTEADY = "failed in the run, and not when it was repeated: the result depends on the calls before it, or on chance"


def _importable(name: str) -> bool:
    from importlib.util import find_spec

    return find_spec(name) is not None
