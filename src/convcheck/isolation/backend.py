"""Judge in worker processes: a death is a violation of the law `survives`, and the run goes on."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from convcheck.backend import Job
from convcheck.cases import Case
from convcheck.diagnosis import Diagnosis
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import Capabilities
from convcheck.engines.probes.derivatives import GRADIENT_PROBE
from convcheck.errors import UnsupportedError, UsageError
from convcheck.isolation.deaths import Deaths, death_of, is_hang
from convcheck.isolation.supervisor import Death, Limits, Supervisor
from convcheck.isolation.tasks import Spec
from convcheck.laws import BY_NAME
from convcheck.laws.law import SECONDS
from convcheck.operands import Fill, Operands
from convcheck.plan import Profile, Slice
from convcheck.problem import Map, Problem
from convcheck.repeat import Replayed
from convcheck.report.model import Violation

__all__ = ["Isolated"]

Array = np.ndarray[Any, Any]

#: deaths after which a law, probing, and making a case small give up on the target
ENOUGH_OF_A_LAW, ENOUGH_OF_PROBES, ENOUGH_OF_TRIES = 5, 8, 8
#: hangs, which take time, after which a law gives up, and in all after which the run does
ENOUGH_HANGS_OF_A_LAW, ENOUGH_HANGS = 2, 8
#: seconds without an answer that count as a hang once the first has been found, and while one is made smaller
IMPATIENT = 2.0
#: violations that are repeated in a new worker, but for those of laws that make the calls before themselves
FEW, HISTORIES = 4, "Contract"
#: how much longer a diagnosis may take than making a case smaller
PATIENT = 3
#: seconds for the diagnosis of a map, where nothing else is asked for
LONG = 60.0
#: what takes a while to import, and laws need that take a while
LIBRARIES = ("scipy.signal", "convcheck.strategies")


class Isolated:
    """Judges in workers, each of which imports the target once."""

    def __init__(
        self, target: Any, options: dict[str, Any], profile: Profile, seed: int, *, workers: int, limits: Limits
    ) -> None:
        self._profile = profile
        self._seed = seed
        module = target.partition(":")[0] if isinstance(target, str) and ":" in target else ""
        if options.get("device", "cpu") != "cpu":  # drivers reserve addresses without bound, and survive no fork
            limits, module = replace(limits, memory=0), ""
        self._limits = limits
        self._supervisor = Supervisor(workers, limits, module, LIBRARIES if SECONDS in profile.affords else ())
        self._deaths = Deaths(self._supervisor)
        self._spec = Spec(target, tuple(sorted(options.items())))
        try:
            self.engine = self._infer()
        except BaseException:
            self.close()
            raise
        self._spec = replace(self._spec, facts=self.engine.facts)

    def _infer(self) -> Engine:
        """Find out what the target takes; a probe that kills it is a death like any other, and then left out."""
        avoid: set[str] = set()
        while True:
            found = self._supervisor.one("infer", self._spec, frozenset(avoid))
            if not isinstance(found, Death):
                engine: Engine = found
                return engine
            if found.entry is None:
                raise UsageError(f"the target {self._spec.target!r} does not survive being imported: {found.how}")
            if len(avoid) >= ENOUGH_OF_PROBES:
                return Engine(str(self._spec.target), Capabilities((), ()), _unanswered, notes=(NOTHING_KNOWN,))
            avoid.add(found.entry.line)
            self._deaths.add(_probe_case(found.entry.line), found.how)
            self._less_patient(found)

    def judge(self, jobs: Iterator[Job], deadline: float, stop: Callable[[Job], bool]) -> Iterator[Job]:
        """Share slices out to workers, in order; a slice that died is cut at the case that killed it."""
        queue: deque[tuple[Job, Slice]] = deque()
        owners: dict[Slice, Job] = {}
        stopped = False

        def tasks() -> tuple[Any, ...] | None:
            while not (stopped or self.hanging):
                while not queue:
                    if (job := next(jobs, None)) is None:
                        return None
                    queue.extend((job, part) for part in job.parts)
                job, part = queue.popleft()
                if time.monotonic() > deadline:
                    return None
                if not job.total().enough:
                    owners[part] = job
                    left = max(0.01, deadline - time.monotonic()) if deadline < float("inf") else 0.0
                    return ("judge_slice", self._spec, part, self._profile, self._seed, left)
            return None

        for task, answer in self._supervisor.run(_Asked(tasks)):
            part: Slice = task[2]
            job = owners[part]
            if isinstance(answer, Death):
                job.deaths += 1
                before, behind = self._bury(part, answer)
                queue.extendleft((job, piece) for piece in before)
                if job.deaths < self._patience():
                    queue.extend((job, piece) for piece in behind)
                else:
                    queue = deque(entry for entry in queue if entry[0] is not job or entry[1] in before)
            else:
                job.done[part] = answer
                yield job
            stopped = stopped or stop(job)

    def _patience(self) -> int:
        """Deaths after which a law gives up."""
        return ENOUGH_HANGS_OF_A_LAW if self._deaths.hangs else ENOUGH_OF_A_LAW

    @property
    def hanging(self) -> bool:
        """Whether the target has hung so often that nothing more is asked of it."""
        return self._deaths.hangs >= ENOUGH_HANGS

    def _bury(self, part: Slice, death: Death) -> tuple[list[Slice], list[Slice]]:
        """Keep the case that the target died of; return what is left of the slice before it, and behind it."""
        self._less_patient(death)
        if death.entry is None:
            return [], []
        self._deaths.add(Case.parse(death.entry.line), death.how)
        if part.stream == "search":
            return [], []
        at = part.start + death.entry.number
        before, behind = part.cut(part.start, at), part.cut(at + 1, part.stop)
        return ([before] if at > part.start else []), ([behind] if at + 1 < part.stop else [])

    def _less_patient(self, death: Death) -> None:
        if is_hang(death.how):
            self._supervisor.limits = replace(self._limits, seconds=min(self._limits.seconds, IMPATIENT))

    def minimise(self, cases: list[Case]) -> list[Violation]:
        """Make failing cases small; a try that kills a worker is not tried again."""
        found: dict[str, Violation] = {}
        avoid: set[str] = set()
        queue = deque(cases)
        tries = 0

        def task() -> tuple[Any, ...] | None:
            if not queue:
                return None
            return ("minimise_case", self._spec, queue.popleft(), self._profile.shrink_seconds, frozenset(avoid))

        for given, answer in self._supervisor.run(_Asked(task)):
            case: Case = given[2]
            if not isinstance(answer, Death):
                found[str(case)] = answer
            elif answer.entry is not None and tries < ENOUGH_OF_TRIES:
                tries += 1
                avoid.add(answer.entry.line)
                queue.append(case)
            else:
                law = BY_NAME[case.law]
                found[str(case)] = Violation(law.name, law.equation, case, case, f"failed, and then {answer.how}")
        violations = [found[str(case)] for case in cases]
        always = [v.law for v in violations if v.failed == v.repeated and BY_NAME[v.law].chapter != HISTORIES]
        return [self._by_itself(v) if v.law in always[:FEW] else v for v in violations]

    def _by_itself(self, violation: Violation) -> Violation:
        """Repeat a violation in a new worker: what other calls before it brought about doesn't show there."""
        self._supervisor.renew()
        answer = self._supervisor.one("judge_case_again", self._spec, violation.case)
        passes = not isinstance(answer, Death) and answer.violation is None and not answer.skipped
        return replace(violation, failed=0, repeated=answer.repeated) if passes else violation

    def diagnose(self, cases: list[Case]) -> list[str]:
        """Diagnose in workers; where that kills one, there are no words."""
        words: dict[str, str] = {}
        seconds = PATIENT * self._profile.shrink_seconds
        tasks = iter([("diagnose_case", self._spec, case, seconds) for case in cases])
        for task, answer in self._supervisor.run(tasks):
            words[str(task[2])] = "" if isinstance(answer, Death) else answer
        return [words[str(case)] for case in cases]

    def last_death(self) -> str:
        """How the target died last, in words; empty where it did not."""
        return self._deaths.last

    def describe(self, problem: Problem, which: Map) -> Diagnosis:
        """Say what the target computes of a map near a problem, also if it dies of that, or takes too long."""
        answer = self._supervisor.one("diagnose_map", self._spec, problem, which, LONG)
        if isinstance(answer, Death):
            return Diagnosis(f"{answer.how} on {problem}, or on one like it", known=True)
        found: Diagnosis = answer or Diagnosis(f"not found out in {LONG:g} s", known=False)
        return found

    def deaths(self) -> list[Violation]:
        """One violation for each way in which the target died, made small."""
        if not self.engine.capabilities.ndims:  # it cannot be called at all: nothing to walk through
            return self._deaths.each()
        return self._deaths.smallest(self._spec, self._profile.shrink_seconds)

    def replay(self, case: Case) -> Replayed:
        """Judge one case again; a death is a violation of `survives`."""
        if not self.engine.capabilities.ndims:
            return Replayed(case, 1, death_of(case, self._deaths.last))
        answer = self._supervisor.one("judge_case_again", self._spec, case)
        if not isinstance(answer, Death):
            replayed: Replayed = answer
            return replayed
        return Replayed(case, 1, death_of(case, answer.how))

    def close(self) -> None:
        """End the workers and all that they started."""
        self._supervisor.close()


class _Asked:
    """An iterator over what a function returns; None means that there is nothing now, and there may be later."""

    def __init__(self, function: Callable[[], tuple[Any, ...] | None]) -> None:
        self._function = function

    def __iter__(self) -> _Asked:
        return self

    def __next__(self) -> tuple[Any, ...]:
        value = self._function()
        if value is None:
            raise StopIteration
        return value


NOTHING_KNOWN = "nothing could be inferred: the target died of every probe"


def _unanswered(_: Map, problem: Problem, __: Operands) -> Array:
    raise UnsupportedError(f"{problem}: {NOTHING_KNOWN}")


def _probe_case(line: str) -> Case:
    """Return the case that a probe was, as its line on the ledger tells."""
    _, style, *words = line.split()
    problem = Problem.parse(" ".join(words))
    which = Map.GRAD_WEIGHT if style == GRADIENT_PROBE else Map.FORWARD
    return Case("survives", problem, (Fill("dense", 3),) * (2 + problem.bias), which)
