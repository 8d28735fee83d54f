"""Run every law against every planted fault, and every correct engine through a run: what is found, and what is not."""

from __future__ import annotations

import multiprocessing
import os
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache

from convcheck.cases import Case
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import Capabilities
from convcheck.examine import examine
from convcheck.laws import BY_NAME, LAWS
from convcheck.laws.law import MINUTES
from convcheck.layouts import LAYOUTS
from convcheck.plan import PROFILES, cases_of, slices
from convcheck.run import verify
from convcheck.selftest import CORRECT, FAULTS
from convcheck.selftest.base import BASE
from convcheck.selftest.derivatives import by_maps
from convcheck.selftest.explained import Explained
from convcheck.selftest.fault import Fault

__all__ = ["Trial", "trials"]

#: what every law is given to kill a fault with, when the table is drawn
TABLE = PROFILES["smoke"].replace(name="table", random=8, certifying=48, scope=40, networks=False)
#: the same for laws about layouts: each layout of an operand twice, since some shapes hide it
LAYOUTS_TWICE = TABLE.replace(random=2 * len(LAYOUTS))
#: what a fault meets that survives the table
WHOLE = PROFILES["gate"].replace(shrink_seconds=0.0)
#: what a correct engine must pass
INNOCENT = PROFILES["smoke"].replace(name="innocent", random=20, certifying=200, shrink_seconds=2.0)


@dataclass(frozen=True)
class Trial:
    """What became of one planted fault, or of one correct engine (``fault`` false: ``kills`` are then accusations).

    ``kills`` names the laws that found it, ``cases`` and ``seconds`` are those to the first kill in the order of the
    law book, and ``line`` is a case that shows it. Index faults are ``explained``.
    """

    name: str
    kind: str
    fault: bool
    kills: tuple[str, ...]
    cases: int
    seconds: float
    line: str = ""
    explained: Explained | None = None


def trials(workers: int, seed: int) -> Iterator[Trial]:
    """Try all correct engines, which take longest, then all faults, yielding each as it is done, in their order."""
    tasks = [("correct", i, seed) for i in range(len(CORRECT))] + [("fault", i, seed) for i in range(len(FAULTS))]
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(workers, mp_context=context) as pool:
        yield from pool.map(_trial, tasks)


def _trial(task: tuple[str, int, int]) -> Trial:
    what, index, seed = task
    return _fault(FAULTS[index], seed) if what == "fault" else _correct(CORRECT[index], seed)


def _fault(fault: Fault, seed: int) -> Trial:
    start = time.perf_counter()
    kills: list[str] = []
    cases, seconds, line = 0, 0.0, ""
    for law in LAWS:
        tried, killer = _first_failure(fault.engine, law.name, seed)
        cases += 0 if kills else tried
        if killer:
            line, seconds = line or killer, seconds or time.perf_counter() - start
            kills.append(law.name)
    if not kills:  # so few cases a law were not enough
        report = verify(fault.engine, profile=WHOLE, seed=seed, stop_at_first=True)
        kills, cases = [v.law for v in report.violations], cases + report.judged
        line = next((str(v.found) for v in report.violations), "")
        seconds = time.perf_counter() - start
    explained = Explained.of(fault, line) if fault.index and line else None
    return Trial(fault.name, fault.kind, True, tuple(kills), cases, seconds, line, explained)


def _first_failure(engine: Engine, law: str, seed: int) -> tuple[int, str]:
    """How many cases a law judged until it found a failure, and the line of that (empty if it found none)."""
    tried = 0
    if BY_NAME[law].why_not(engine) or BY_NAME[law].takes == MINUTES:
        return 0, ""
    for case in _table(engine.capabilities, law, seed):
        tried += 1
        verdict = examine(engine, case).verdict
        if verdict is not None and not verdict.ok:
            return tried, str(case)
    return tried, ""


@cache
def _table(offered: Capabilities, law: str, seed: int) -> tuple[Case, ...]:
    """Cases of a law for engines that take the same and declare nothing: most planted faults share them."""
    engine = Engine("planted", offered, BASE, by_maps(BASE), modes={BY_NAME[law].modes: ()})
    profile = LAYOUTS_TWICE if BY_NAME[law].fills == "layouts" else TABLE
    parts = slices(engine, (BY_NAME[law],), profile)
    return tuple(case for part in parts for case in cases_of(engine, part, profile, seed))


def _correct(engine: Engine, seed: int) -> Trial:
    start = time.perf_counter()
    report = verify(engine, profile=INNOCENT, seed=seed)
    line = next((str(v.case) for v in report.violations), "")
    accusers = tuple(v.law for v in report.violations)
    return Trial(engine.name, "correct", False, accusers, report.judged, time.perf_counter() - start, line)
