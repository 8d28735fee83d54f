"""Verify an engine: run the slices of a plan, add them up, and make the counterexamples small."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from convcheck.backend import Backend, InProcess, Job
from convcheck.called import check_call
from convcheck.cases import Case
from convcheck.covering import reached
from convcheck.engines import engine_of
from convcheck.engines.base import Engine
from convcheck.laws import BY_NAME
from convcheck.laws.law import Law
from convcheck.plan import PROFILES, Profile, profile_named, select
from convcheck.problem import Problem
from convcheck.report.model import LawResult, Violation
from convcheck.report.report import Report
from convcheck.shrink import complexity
from convcheck.space import CLASSES, Space
from convcheck.tally import Tally

__all__ = ["Progress", "verify"]

#: problems, at most, from which the condition of a failure is sought
MOST_PROBLEMS = 2000
#: failures from which on a condition that all share is more than chance
FEWEST_FAILURES = 4
#: why laws are not judged after the first violation, where that is all that was asked for
STOPPED = "stopped at the first violation"
#: why laws are not judged of a target that dies of their cases, or hangs again and again
DIED, HANGS = "given up: the target died of its cases (see survives)", "given up: the target hangs (see survives)"


@dataclass(frozen=True)
class Progress:
    """What a run tells while it works: on which law, how many of its slices are done, and what they found."""

    law: str
    done: int
    of: int
    tally: Tally


def verify(  # noqa: PLR0913 - everything that a user may say about a run
    target: Any,
    *,
    laws: Sequence[str] = (),
    exclude_laws: Sequence[str] = (),
    profile: str | Profile = "gate",
    seed: int = 0,
    stop_at_first: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
    isolate: bool = False,
    workers: int = 1,
    call_timeout: float = 10.0,
    memory_limit: int = 4096,
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
    isolate, workers
        Judge in so many worker processes, which a target may crash or hang; several workers imply isolation. The
        target is then given by name.
    call_timeout, memory_limit
        What one call may take in a worker: seconds, and MiB (0: unlimited).
    options
        What `convcheck.engines.wrap.wrap` takes: ndim, array, style, dtypes, device, convention, accuracy, accumulator,
        input_rounding, splits, vjp.

    Raises
    ------
    UsageError
        If the target or an option cannot be used.
    """
    chosen = select(laws, exclude_laws)
    check_call(options, workers=workers, call_timeout=call_timeout, memory_limit=memory_limit)
    plan = profile_named(profile) if isinstance(profile, str) else profile
    start = time.monotonic()
    backend: Backend
    if isolate or workers > 1:
        from convcheck.isolation.backend import Isolated
        from convcheck.isolation.supervisor import Limits

        limits = Limits(call_timeout, memory_limit)
        backend = Isolated(target, options, plan, seed, workers=workers, limits=limits)
    else:
        backend = InProcess(engine_of(target, **options), plan, seed)
    try:
        run = _Run(backend, chosen, plan, progress, start, named=bool(laws))
        results = run.results(stop_at_first=stop_at_first)
    finally:
        backend.close()
    return Report(
        target=backend.engine.name,
        notes=backend.engine.notes,
        versions=backend.engine.versions,
        profile=plan.name,
        seed=seed,
        results=results,
        reached=run.reached(),
        seconds=time.monotonic() - start,
        interrupted=run.interrupted,
    )


@dataclass
class _Run:
    backend: Backend
    laws: tuple[Law, ...]
    profile: Profile
    progress: Callable[[Progress], None]
    start: float
    named: bool = False
    interrupted: bool = False
    classes: set[tuple[str, ...]] = field(default_factory=set)

    @property
    def engine(self) -> Engine:
        return self.backend.engine

    def results(self, *, stop_at_first: bool) -> tuple[LawResult, ...]:
        """Judge, make small what failed, and conclude, law by law in the order of the book."""
        silent = {law.name: self.why_not(law) for law in self.laws}
        jobs = self.judged([law for law in self.laws if not silent[law.name]], stop_at_first=stop_at_first)
        tallies = {name: job.total(first=stop_at_first) for name, job in jobs.items()}
        if stop_at_first:
            tallies = dict(_up_to_first_failure(tallies))
        violations = self.violations(tallies)
        for tally in tallies.values():
            self.classes |= tally.classes
        for name, job in jobs.items():
            if job.deaths and not tallies.get(name, job.total()).judged:
                silent[name] = DIED
        unreached = HANGS if getattr(self.backend, "hanging", False) else STOPPED
        results = []
        for law in self.laws:
            silence = silent[law.name] or ("" if law.name in tallies or self.interrupted else unreached)
            tally = tallies.get(law.name, Tally())
            results.append(_conclude(law, tally, violations.get(law.name), silence))
        return self.with_deaths(results)

    def judged(self, laws: list[Law], *, stop_at_first: bool) -> dict[str, Job]:
        """Judge laws, each planned while those before are judged; the jobs that were begun, by law."""
        jobs: dict[str, Job] = {}
        deadline = self.start + self.profile.seconds if self.profile.seconds else float("inf")
        if not (stop_at_first or self.profile.seconds):  # what takes longest isn't left for the end, when others idle
            laws = sorted(laws, key=lambda law: not law.takes)
        planner = ThreadPoolExecutor(1)
        plans = [planner.submit(Job.of, self.engine, law, self.profile) for law in laws]
        planned = (jobs.setdefault(job.law.name, job) for job in (plan.result() for plan in plans))
        try:
            for job in self.backend.judge(planned, deadline, lambda job: stop_at_first and bool(job.total().failures)):
                self.progress(Progress(job.law.name, len(job.done), len(job.parts), job.total()))
        except KeyboardInterrupt:
            self.interrupted = True
        finally:
            planner.shutdown(cancel_futures=True)
        return jobs

    def telling(self, case: Case) -> tuple[Any, ...]:
        """How hard a counterexample is to read: those of the target's own call, and small ones, come first."""
        return case.map is not self.engine.capabilities.primary, complexity(case)

    def violations(self, tallies: dict[str, Tally]) -> dict[str, Violation]:
        """The smallest counterexample of every law that failed, with the condition under which it fails."""
        found = {name: min(t.failures, key=self.telling) for name, t in tallies.items() if t.failures}
        if self.interrupted:
            return {name: _unshrunk(BY_NAME[name], case) for name, case in found.items()}
        try:
            small = self.backend.minimise(list(found.values()))
            words = self.backend.diagnose([violation.case for violation in small])
        except KeyboardInterrupt:
            self.interrupted = True
            return {name: _unshrunk(BY_NAME[name], case) for name, case in found.items()}
        return {
            v.law: replace(v, words=text, condition=_condition(tallies[v.law], v.case.problem))
            for v, text in zip(small, words, strict=True)
        }

    def with_deaths(self, results: list[LawResult]) -> tuple[LawResult, ...]:
        """Add what the target did not survive, in the place of the law `survives`."""
        deaths = [] if self.interrupted else self.backend.deaths()
        if not deaths:
            return tuple(results)
        first = next((r for r in results if r.law == "survives"), LawResult("survives"))
        judged = [
            LawResult("survives", first.judged, len(deaths), first.nontrivial, violation=death) for death in deaths
        ]
        return (*(r for r in results if r.law != "survives"), *judged)

    def why_not(self, law: Law) -> str:
        """Why a law cannot be judged on this engine, or an empty string."""
        if not self.engine.capabilities.ndims:
            return "the target does not survive being called"
        if reason := law.why_not(self.engine):
            return reason
        if law.takes and law.takes not in self.profile.affords and not self.named:
            affording = " and ".join(profile.name for profile in PROFILES.values() if law.takes in profile.affords)
            return f"takes {law.takes}: judged in {affording}, or where it is named by --laws"
        offered = self.engine.capabilities
        spaces = [Space.of(offered, law, m) for m in law.maps_of(offered)]
        if not spaces:
            missing = " and ".join(m for m in law.maps if m not in offered.maps)
            return f"speaks of {missing}, which the target does not offer"
        lacking = spaces[0].lacking if not law.every else ""
        return f"the target takes no {lacking}" if lacking else ""

    def reached(self) -> dict[int, tuple[int, int]]:
        """Pairs and triples of classes: how many the judged problems were in, of how many that can occur."""
        if not self.engine.capabilities.ndims:
            return {}
        table = tuple(Space(self.engine.capabilities).table.items())
        return {strength: reached(self.classes, tuple(CLASSES), table, strength) for strength in (2, 3)}


def _conclude(law: Law, tally: Tally, violation: Violation | None, silent: str) -> LawResult:
    """Turn a law's counts into its result."""
    commonest = max(tally.skipped, key=lambda text: tally.skipped[text], default="no case was judged")
    return LawResult(
        law.name,
        judged=tally.judged,
        failed=len(tally.failures),
        nontrivial=tally.nontrivial,
        worst=tally.worst,
        skipped=dict(sorted(tally.skipped.items())),
        violation=violation,
        seconds=tally.seconds,
        reason="" if tally.judged else silent or commonest,
    )


def _condition(tally: Tally, smallest: Problem) -> str:
    """The smallest condition under which a law fails, from its failures and an even sample of the other problems.

    What it says holds of the smallest counterexample too.
    """
    from convcheck.conditions import smallest_condition

    passed = [line for line, failed in tally.problems if not failed]
    step = -(-len(passed) // MOST_PROBLEMS) or 1
    failed = [Problem.parse(line) for line, failed in tally.problems if failed]
    cases = [
        *((problem, True) for problem in (*failed, smallest)),
        *((Problem.parse(p), False) for p in passed[::step]),
    ]
    return smallest_condition(cases, fewest=FEWEST_FAILURES)


def _up_to_first_failure(tallies: dict[str, Tally]) -> Iterator[tuple[str, Tally]]:
    for name, tally in tallies.items():
        yield name, tally
        if tally.failures:
            return


def _unshrunk(law: Law, case: Any) -> Violation:
    return Violation(law.name, law.equation, case, case, "failed; the run was interrupted before it was made smaller")
