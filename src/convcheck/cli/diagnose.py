"""``convcheck diagnose``: what a function computes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from convcheck.cli.options import engine_options, target_options

if TYPE_CHECKING:
    from convcheck.engines.base import Engine
    from convcheck.problem import Problem

__all__ = ["diagnose"]


@click.command()
@click.argument("target")
@target_options
@click.option("--problem", "line", metavar="LINE", help="Look near this problem, or at the problem of this case line.")
def diagnose(target: str, line: str | None, **given: Any) -> None:
    """Say what TARGET computes instead of a convolution, for each map and number of axes that it offers.

    It answers a question and gives no verdict: the exit code is 0 whatever the answer is.
    """
    from convcheck.diagnosis import diagnose as find
    from convcheck.engines import engine_of

    problem = _problem(line) if line else None
    engine = engine_of(target, **engine_options(given))
    for which in engine.capabilities.maps:
        for asked in [problem] if problem else _plain(engine):
            found = find(engine, asked, which)
            click.echo(f"{which}, {asked.ndim} spatial axes: {found.words}")
            for detail in found.details:
                click.echo(f"  {detail}")


def _problem(line: str) -> Problem:
    """Read a problem, or the problem of a case."""
    from convcheck.errors import ParseError, ShapeError
    from convcheck.problem import Problem
    from convcheck.repeat import read_case

    try:
        return read_case(line).problem if "=" in line else Problem.parse(line)
    except ShapeError as error:
        raise ParseError(f"{line!r} is no problem: {error}") from error


def _plain(engine: Engine) -> Iterator[Problem]:
    """Yield a small plain problem for each number of axes."""
    from convcheck.problem import Problem

    for ndim in engine.capabilities.ndims:
        yield Problem(size=(5, 6, 4)[:ndim], kernel=(2, 3, 2)[:ndim], dtype=engine.capabilities.dtypes[0])
