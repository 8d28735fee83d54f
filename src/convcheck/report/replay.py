"""The command that runs one case again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence

from convcheck.cases import Case
from convcheck.engines.registry import ADAPTERS

__all__ = ["Replay", "replay_with"]

#: from a case to a command that can be pasted into a shell; empty where the target has no name that a shell could use
Replay = Callable[[Case], str]


def replay_with(target: str, words: Sequence[str] = ()) -> Replay:
    """Return what makes replay commands for a target, with the options that it was given."""
    if ":" not in target and target not in ADAPTERS:
        return lambda _: ""

    def command(case: Case) -> str:
        return shlex.join(["convcheck", "replay", target, str(case), *words])

    return command
