"""``convcheck run``: the verdict on a target."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

import click

from convcheck.cli.options import (
    Names,
    Seconds,
    Workers,
    engine_options,
    isolation_of,
    isolation_options,
    processors,
    target_options,
)
from convcheck.errors import UsageError

if TYPE_CHECKING:
    from convcheck.plan import Profile
    from convcheck.report.report import Report

__all__ = ["run"]

_SECONDS = Seconds(min=0)


def _checked_path(ctx: click.Context, param: click.Parameter, value: Path | None) -> Path | None:
    """Refuse, before any work is done, a file that could not be written at its end."""
    if value is None:
        return value
    if value.is_dir():
        raise click.BadParameter(f"{str(value)!r} is a directory, and no file", ctx, param)
    if value.exists() and not (value.is_file() and os.access(value, os.W_OK)):
        raise click.BadParameter(f"{value} is no file that can be written", ctx, param)
    try:
        with tempfile.TemporaryFile(dir=value.absolute().parent):
            return value
    except OSError as error:
        raise click.BadParameter(f"{value.parent} is no directory that can be written to", ctx, param) from error


@click.command()
@click.argument("target")
@click.option("-x", "stop_at_first", is_flag=True, help="Stop at the first violated law.")
@click.option("-n", "workers", type=Workers(), help="Worker processes that share the laws: all CPUs, if left out.")
@isolation_options
@target_options
@click.option("--laws", type=Names(), default=(), help="Judge these laws only.")
@click.option("--exclude-laws", type=Names(), default=(), help="Leave these laws out.")
@click.option(
    "--profile",
    type=click.Choice(["smoke", "gate", "nightly"]),
    default="gate",
    show_default=True,
    help="How much is done: seconds, under a minute, or much.",
)
@click.option(
    "--max-examples",
    type=click.IntRange(1, 1_000_000),
    metavar="N",
    help="Cases for each law and map, chosen freely, instead of the profile's.",
)
@click.option(
    "--max-time", type=Seconds(min=0, min_open=True), metavar="S", help="Seconds after which no new case is begun."
)
@click.option("--shrink-time", type=_SECONDS, metavar="S", help="Seconds to make one counterexample smaller.")
@click.option("--seed", type=int, default=0, show_default=True, help="Chooses the cases.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=_checked_path,
    metavar="FILE",
    help="Write the report there, too.",
)
@click.pass_context
def run(ctx: click.Context, /, target: str, json_file: Path | None, **given: Any) -> None:
    """Judge TARGET, package.module:attribute or an adapter's name, by the laws of convolution."""
    from convcheck.cli.console import make_console, show, text_width
    from convcheck.report.replay import option_words, replay_with
    from convcheck.report.terminal import report_lines

    report = _verify(target, given)
    replay = replay_with(target, option_words(given))
    console = make_console()
    show(console, report_lines(report, text_width(console), replay, option_words(given)))
    if json_file:
        from convcheck.report.document import document, write

        try:
            write(json_file, document(report, _bearing(given), replay))
        except OSError as error:
            raise UsageError(f"the report cannot be written to {json_file}: {error}") from error
    ctx.exit(report.exit_code)


def _verify(target: str, given: dict[str, Any]) -> Report:
    """Run, and show how far it is."""
    from convcheck.cli.console import make_console
    from convcheck.cli.progress import Watch
    from convcheck.plan import select
    from convcheck.run import verify

    workers = given["workers"] or (processors() if given["isolate"] else 1)
    if workers > 1 and not given["isolate"]:
        raise UsageError(f"--no-isolate judges in this process alone, and not in -n {workers} workers")
    chosen = select(given["laws"], given["exclude_laws"])
    with Watch(make_console(stderr=True), len(chosen)) as watch, _terminated_as_interrupted():
        return verify(
            target,
            laws=given["laws"],
            exclude_laws=given["exclude_laws"],
            profile=_profile(given),
            seed=given["seed"],
            stop_at_first=given["stop_at_first"],
            progress=watch.step,
            workers=workers,
            **isolation_of(given),
            **engine_options(given),
        )


def _profile(given: dict[str, Any]) -> Profile:
    """Return the profile with what the options change.

    A person who asks for N cases wants N: the sweep over combinations of classes, whose length is its own, is
    left out, and Hypothesis gets at most a quarter.
    """
    from convcheck.plan import profile_named

    profile = profile_named(given["profile"])
    count = given["max_examples"]
    if count is not None:
        search = min(profile.search, count // 4)
        free = count - search
        profile = profile.replace(
            pairs=False, triples=False, random=free, certifying=free, search=search, scope=8, networks=False
        )
    if given["max_time"] is not None:
        profile = profile.replace(seconds=given["max_time"])
    if given["shrink_time"] is not None:
        profile = profile.replace(shrink_seconds=given["shrink_time"])
    return profile


def _bearing(given: dict[str, Any]) -> dict[str, Any]:
    """Options that bear on the verdict, by name; the number of workers is none."""
    return {name: value for name, value in given.items() if name != "workers" and value not in (None, (), False)}


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Let SIGTERM end a run as Ctrl-C does: with what is known so far."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        del number, frame
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # where no handler can be set
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
