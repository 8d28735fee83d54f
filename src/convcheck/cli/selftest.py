"""The command that proves detection: every law against every planted fault, and the innocent through a run."""

from __future__ import annotations

import sys
from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

import click

from convcheck.cli.options import Workers

if TYPE_CHECKING:
    from convcheck.selftest.runner import Trial

__all__ = ["selftest"]


@click.command()
@click.option(
    "-n", "workers", type=Workers(), default="auto", show_default=True, help="Worker processes, or auto: one a core."
)
@click.option("--seed", default=0, show_default=True, help="Chooses the cases.")
@click.option("--table", is_flag=True, help="Print, for every fault, the laws that find it.")
def selftest(workers: int, seed: int, table: bool) -> None:  # noqa: FBT001 - click's way
    """Judge convcheck: it should find all planted faults, and accuse no correct engine."""
    from rich.progress import track

    from convcheck.selftest import CORRECT, FAULTS
    from convcheck.selftest.runner import trials

    total = len(FAULTS) + len(CORRECT)
    shown = not sys.stderr.isatty()
    done = list(track(trials(workers, seed), total=total, description="selftest", transient=True, disable=shown))
    if table:
        for trial in done:
            click.echo(f"{trial.kind:<15} {trial.name:<55} {', '.join(trial.kills) or '-'}")
    sys.exit(_summary(done))


def _summary(done: list[Trial]) -> int:
    """Print what was found and what was not; return the exit code."""
    faults, correct = [t for t in done if t.fault], [t for t in done if not t.fault]
    killed, accused = [t for t in faults if t.kills], [t for t in correct if t.kills]
    _print_laws(faults)
    _print_explanations(faults)
    for trial in faults:
        if not trial.kills:
            click.echo(f"SURVIVES  {trial.name} ({trial.kind})")
    for trial in accused:
        click.echo(f"ACCUSED   {trial.name}: {', '.join(trial.kills)}: {trial.line}")
    if killed:
        cases, seconds = [t.cases for t in killed], [t.seconds for t in killed]
        click.echo(f"cases to the first kill: median {median(cases):g}, worst {max(cases)}")
        click.echo(f"seconds to the first kill: median {median(seconds):.2f}, worst {max(seconds):.2f}")
    click.echo(f"{len(killed)} of {len(faults)} faults found, {len(accused)} of {len(correct)} correct engines accused")
    return 1 if accused or len(killed) < len(faults) else 0


def _print_laws(faults: list[Trial]) -> None:
    """How many faults each law finds, and which it alone finds, or else why it stays."""
    from convcheck.laws import LAWS
    from convcheck.selftest.purposes import PURPOSES

    found = Counter(law for trial in faults for law in trial.kills)
    alone: dict[str, list[str]] = {}
    for trial in faults:
        if len(trial.kills) == 1:
            alone.setdefault(trial.kills[0], []).append(trial.name)
    click.echo(f"{'law':<26}{'finds':>6}{'alone':>6}  what it alone finds, or why it stays")
    for law in sorted((law.name for law in LAWS), key=lambda name: -found[name]):
        only = alone.get(law, [])
        said = ", ".join(only[:3]) + (", ..." if len(only) > 3 else "") if only else PURPOSES.get(law, "NO REASON")
        click.echo(f"{law:<26}{found[law]:>6}{len(only):>6}  {said}")


def _print_explanations(faults: list[Trial]) -> None:
    """How many index faults the diagnosis names, which it does not, and how small their counterexamples are."""
    given = [(trial.name, trial.explained) for trial in faults if trial.explained]
    if not given:
        return
    for name, said in given:
        if not said.named:
            click.echo(f"UNNAMED   {name}: {said.words or 'no words'}: {said.line}")
    named = sum(said.named for _, said in given)
    click.echo(f"diagnosis names {named} of {len(given)} index faults ({named / len(given):.0%})")
    for what, counts in (
        ("operand elements", [said.elements for _, said in given]),
        ("non-zeros", [said.nonzeros for _, said in given]),
    ):
        click.echo(f"{what} of their smallest counterexamples: median {median(counts):g}, most {max(counts)}")
