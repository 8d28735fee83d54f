"""``convcheck replay``: one case again."""

from __future__ import annotations

from typing import Any

import click

from convcheck.cli.options import engine_options, isolation_of, isolation_options, target_options

__all__ = ["replay"]

PASSES, FAILS, NOT_TAKEN = 0, 1, 3


@click.command()
@click.argument("target")
@click.argument("line")
@isolation_options
@target_options
@click.pass_context
def replay(ctx: click.Context, /, target: str, line: str, **given: Any) -> None:
    """Judge one case of TARGET again: LINE is what a report prints as the case.

    Exit codes: 1 it still fails; 0 it passes; 3 the target does not take it.
    """
    from convcheck.cli.console import make_console, show, text_width
    from convcheck.replay import replay as judge_again
    from convcheck.report.replay import option_words, replay_with
    from convcheck.report.violation import violation_lines

    found = judge_again(target, line, **isolation_of(given), **engine_options(given))
    if found.skipped:
        click.echo(f"Not judged: {found.skipped}.")
        ctx.exit(NOT_TAKEN)
    if found.violation is None:
        times = "" if found.repeated == 1 else f", {found.repeated} times"
        click.echo(f"Passes{times}: {found.case}")
        ctx.exit(PASSES)
    console = make_console()
    show(
        console,
        violation_lines(found.violation, text_width(console), replay_with(target, option_words(given))),
    )
    click.echo("\nStill fails.")
    ctx.exit(FAILS)
