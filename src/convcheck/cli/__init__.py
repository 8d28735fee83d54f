"""The command line: ``convcheck run mypkg.ops:conv2d``. Commands import what is heavy when they run."""

from __future__ import annotations

import click

import convcheck
from convcheck.cli.book import engines, explain, laws
from convcheck.cli.diagnose import diagnose
from convcheck.cli.guard import GuardedGroup
from convcheck.cli.replay import replay
from convcheck.cli.run import run
from convcheck.cli.selftest import selftest

__all__ = ["cli", "main"]


@click.group(
    cls=GuardedGroup,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 conforms; 1 a law is violated; 2 usage or import error; 3 too little was judged; "
    "70 an error of convcheck's own; 130 interrupted.",
)
@click.version_option(convcheck.__version__, prog_name="convcheck")
def cli() -> None:
    """Tell which laws of convolution a function obeys, and what it computes where it does not."""


for _command in (run, replay, diagnose, laws, explain, engines, selftest):
    cli.add_command(_command)


def main() -> None:
    """Entry point of the ``convcheck`` command."""
    cli(prog_name="convcheck")
