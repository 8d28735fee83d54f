"""What it costs to judge in worker processes, and what a second worker brings.

Every slice of a run is judged in this process and in one worker, in turns, the first going first every other time, so
that whatever else the machine does hits both; both compute with one thread. The law work is what a slice takes where it
is judged; the whole adds what passes between the processes and the supervisor's watch, in seconds on the clock and in
seconds of processors. Start-up is left out. Then whole runs are made with one worker and with two, also in turns, and
their reports are compared. Two runs at once that know nothing of each other tell how much faster this machine's second
processor can make anything: no run with two workers can have a larger ratio than theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import torch

from convcheck.backend import Backend, InProcess, Job
from convcheck.engines import engine_of
from convcheck.isolation.backend import Isolated
from convcheck.isolation.supervisor import Limits
from convcheck.laws import LAWS
from convcheck.plan import PROFILES, Slice

#: PyTorch's, by a function of one's own: what crashes PyTorch on some processors is not asked of it
TARGET, SEED = "isolation_overhead:conv2d", 0
FOREVER = float("inf")
#: a run that is start-up and nothing else: one case of one law
NOTHING = ("--laws", "output-size", "--max-examples", "1")
#: as in workers
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


def conv2d(x: torch.Tensor, w: torch.Tensor, bias=None, stride=1, padding=0, dilation=1, groups=1) -> torch.Tensor:
    """PyTorch's convolution."""
    return torch.nn.functional.conv2d(x, w, bias, stride, padding, dilation, groups)


@dataclass(frozen=True)
class Cost:
    """Seconds that a slice took: of its law work, in all on the clock, and in all of processors."""

    work: float
    whole: float
    processors: float


def processors() -> float:
    """Seconds that this process and those that it started have computed so far."""
    spent = time.process_time()
    for child in psutil.Process().children(recursive=True):
        try:
            spent += sum(child.cpu_times()[:2])
        except psutil.Error:
            continue
    return spent


def cost(backend: Backend, job: Job, part: Slice) -> Cost:
    alone = Job(job.law, [part])
    start, before = time.perf_counter(), processors()
    for _ in backend.judge(iter([alone]), FOREVER, lambda _: False):
        pass
    work = sum(tally.seconds for tally in alone.done.values())  # in pieces, where the target died of a case
    return Cost(work, time.perf_counter() - start, processors() - before)


def paired(profile: str) -> Iterator[tuple[str, Cost, Cost]]:
    """Judge every slice in both ways: law, cost in this process, cost in a worker."""
    plan = PROFILES[profile]
    here: Backend = InProcess(engine_of(TARGET), plan, SEED)
    there = Isolated(TARGET, {}, plan, SEED, workers=1, limits=Limits())
    laws = [law for law in LAWS if not law.takes or law.takes in plan.affords]
    try:
        parts = [(job, part) for job in (Job.of(here.engine, law, plan) for law in laws) for part in job.parts]
        for number, (job, part) in enumerate(parts):
            order: list[Backend] = [here, there] if number % 2 else [there, here]
            costs = {id(backend): cost(backend, job, part) for backend in order}
            yield job.law.name, costs[id(here)], costs[id(there)]
    finally:
        there.close()


def overhead(profile: str, costliest: int) -> None:
    pairs = list(paired(profile))
    print(f"{len(pairs)} slices of profile {profile} in this process, and in one worker:\n")
    print(f"{'':<12}  {'here':>8}  {'worker':>8}  {'ratio':>6}  {'median':>6}")
    figures: dict[str, Callable[[Cost], float]] = {
        "law work": lambda c: c.work, "whole": lambda c: c.whole, "processors": lambda c: c.processors,
    }  # fmt: skip
    for name, of in figures.items():
        here, there = (sum(map(of, side)) for side in ([p[1] for p in pairs], [p[2] for p in pairs]))
        ratios = [of(there) / of(here) for _, here, there in pairs if of(here) > 0]
        print(f"{name:<12}  {here:>7.1f}s  {there:>7.1f}s  {there / here:>6.2f}  {median(ratios):>6.2f}")
    more: dict[str, float] = {}
    for law, one, other in pairs:
        more[law] = more.get(law, 0.0) + other.processors - one.processors
    dear = sorted(more.items(), key=lambda item: -item[1])[:costliest]
    print("\nmost of the difference:", ", ".join(f"{law} {seconds:+.2f}s" for law, seconds in dear))


def started(workers: int, report: Path, *options: str) -> subprocess.Popen[bytes]:
    """Start ``convcheck run`` in a process of its own."""
    command = [sys.executable, "-m", "convcheck", "run", TARGET, "-n", str(workers), "--json", str(report), *options]
    here = {"PYTHONPATH": str(Path(__file__).parent)}
    nothing = subprocess.DEVNULL
    return subprocess.Popen(command, env=os.environ | here, stdout=nothing, stderr=nothing)  # noqa: S603 - our own


def seconds_of(runs: int, workers: int, profile: str, folder: Path) -> tuple[float, dict[str, Any]]:
    """Seconds on the clock that so many runs at once take, without start-up, and one's report without its times."""
    seconds = []
    for options in (NOTHING, ("--profile", profile)):
        start = time.perf_counter()
        for process in [started(workers, folder / f"{i}.json", *options) for i in range(runs)]:
            process.wait()
        seconds.append(time.perf_counter() - start)
    whole = json.loads((folder / "0.json").read_text())
    for timed in (whole, *whole["laws"]):
        del timed["seconds"]
    return seconds[1] - seconds[0], whole


def speedup(profile: str, rounds: int) -> None:
    print(f"\nprofile {profile}, {rounds} times in turns, seconds without start-up, on {os.cpu_count()} processors:\n")
    print(f"{'one worker':>12}  {'two':>6}  {'ratio':>6}  {'two runs at once':>16}  {'ratio':>6}  reports")
    with TemporaryDirectory() as name:
        for _ in range(rounds):
            (one, report), (two, other) = (seconds_of(1, workers, profile, Path(name)) for workers in (1, 2))
            both, _ = seconds_of(2, 1, profile, Path(name))
            same = "equal but for times" if report == other else "NOT equal"
            print(
                f"{one:>12.1f}  {two:>6.1f}  {one / two:>6.2f}  {both:>16.1f}  {2 * one / both:>6.2f}  {same}",
                flush=True,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--profile", choices=list(PROFILES), default="gate", help="smoke is quick (gate)")
    parser.add_argument("--rounds", type=int, default=2, help="runs with each number of workers; 0: none (2)")
    parser.add_argument("--skip-overhead", action="store_true")
    given = parser.parse_args()
    if not ONE_THREAD.items() <= os.environ.items():  # which libraries read when they are imported
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | ONE_THREAD)  # noqa: S606
    if not given.skip_overhead:
        overhead(given.profile, costliest=8)
    if given.rounds:
        speedup(given.profile, given.rounds)


if __name__ == "__main__":
    main()
