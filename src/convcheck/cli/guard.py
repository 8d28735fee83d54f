"""Exit codes: every way in which a command can end has its own."""

from __future__ import annotations

import errno
import platform
import traceback
from pathlib import Path
from typing import Any

import click

import convcheck
from convcheck.cli.book import installed
from convcheck.errors import ParseError, UsageError

__all__ = ["GuardedGroup"]

USAGE, OWN_ERROR, INTERRUPTED = 2, 70, 130
#: errors of a file, a disk or a quota that takes no more
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
APOLOGY = """
This is a mistake in convcheck, not in what it was asked to check. Sorry.
Please report it with the traceback above, the command, and this line:
  {versions}
"""


class _RefusedError(click.ClickException):
    """What a user can put right, told without the usage of a command that was used rightly."""

    exit_code = USAGE


class GuardedGroup(click.Group):
    """A group of commands whose exceptions become exit codes and messages."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command."""
        try:
            Path.cwd()
        except FileNotFoundError as error:
            raise _RefusedError("the working directory is gone") from error
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort, BrokenPipeError):
            raise
        except (UsageError, ParseError) as error:
            raise _RefusedError(str(error)) from error
        except KeyboardInterrupt:
            click.echo("\nInterrupted.", err=True)
            ctx.exit(INTERRUPTED)
        except Exception as error:
            if isinstance(error, OSError) and error.errno in FULL:
                from convcheck.cli.console import abandon_output

                abandon_output()
                raise _RefusedError(f"cannot write all of it: {error.strerror}") from error
            click.echo(traceback.format_exc() + APOLOGY.format(versions=_versions()), err=True)
            ctx.exit(OWN_ERROR)


def _versions() -> str:
    python = f"Python {platform.python_version()} on {platform.platform()}"
    libraries = [f"{name} {installed(name)}" for name in ("numpy", "hypothesis", "torch")]
    return ", ".join([f"convcheck {convcheck.__version__}", python, *libraries])
