"""``convcheck diagnose``: what a function computes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from convcheck.cli.options import engine_options, isolation_of, isolation_options, target_options

if TYPE_CHECKING:
    from convcheck.diagnosis import Diagnosis
    from convcheck.engines.capabilities import Capabilities
    from convcheck.problem import Map, Problem

    Find = Callable[[Problem, Map], Diagnosis]

__all__ = ["diagnose"]


@click.command()
@click.argument("target")
@isolation_options
@target_options
@click.option("--problem", "line", metavar="LINE", help="Look near this problem, or at the problem of this case line.")
def diagnose(target: str, line: str | None, **given: Any) -> None:
    """Say what TARGET computes instead of a convolution, for each map and number of axes that it offers.

    Element types are asked in turn until one shows a difference. It answers a question and gives no verdict: the exit
    code is 0 whatever the answer is.
    """
    problem = _problem(line) if line else None
    with _asked(target, given) as (offered, find):
        for which in offered.maps:
            for alike in [[problem]] if problem else _plain(offered):
                found, asked = _first_difference(find, which, alike)
                dtypes = asked.dtype if _differs(found) else ", ".join(p.dtype for p in alike)
                click.echo(f"{which}, {asked.ndim} spatial axes, {dtypes}: {found.words}")
                for detail in found.details:
                    click.echo(f"  {detail}")


@contextmanager
def _asked(target: str, given: dict[str, Any]) -> Iterator[tuple[Capabilities, Find]]:
    """What a target offers, and how it is asked: in a worker, unless that is not wanted."""
    from convcheck.called import check_call

    limits, options = isolation_of(given), engine_options(given)
    isolate = limits.pop("isolate", True)
    check_call(options, **limits)
    if not isolate:
        from convcheck.diagnosis import diagnose as find
        from convcheck.engines import engine_of

        engine = engine_of(target, **options)
        yield engine.capabilities, lambda problem, which: find(engine, problem, which)
        return
    from convcheck.isolation.backend import Isolated
    from convcheck.isolation.supervisor import Limits
    from convcheck.plan import PROFILES

    limit = Limits(limits.get("call_timeout", Limits.seconds), limits.get("memory_limit", Limits.memory))
    backend = Isolated(target, options, PROFILES["smoke"], 0, workers=1, limits=limit)
    try:
        if not backend.engine.capabilities.ndims:
            click.echo(f"does not survive being called: {backend.last_death()}")
        yield backend.engine.capabilities, backend.describe
    finally:
        backend.close()


def _first_difference(find: Find, which: Map, alike: list[Problem]) -> tuple[Diagnosis, Problem]:
    """Ask about problems in turn, up to the first that shows a difference."""
    for problem in alike:
        found = find(problem, which)
        if _differs(found):
            break
    return found, problem


def _differs(found: Diagnosis) -> bool:
    from convcheck.minimise import NO_DIFFERENCE

    return not found.words.endswith(NO_DIFFERENCE)


def _problem(line: str) -> Problem:
    """Read a problem, or the problem of a case."""
    from convcheck.errors import ParseError, ShapeError
    from convcheck.examine import too_large
    from convcheck.problem import Problem
    from convcheck.repeat import read_case

    try:
        problem = read_case(line).problem if "=" in line else Problem.parse(line)
    except ShapeError as error:
        raise ParseError(f"{line!r} is no problem: {error}") from error
    if reason := too_large(problem):
        raise ParseError(reason)
    return problem


def _plain(offered: Capabilities) -> Iterator[list[Problem]]:
    """Yield a small plain problem for each number of axes, of every element type."""
    from convcheck.problem import Problem

    for ndim in offered.ndims:
        yield [Problem(size=(5, 6, 4)[:ndim], kernel=(2, 3, 2)[:ndim], dtype=dtype) for dtype in offered.dtypes]
