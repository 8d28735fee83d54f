"""The command that runs one case again."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from convcheck.cases import Case
from convcheck.engines.registry import ADAPTERS

__all__ = ["Replay", "option_words", "replay_with"]

#: from a case to a command to be pasted into a shell; empty where the target has no name to use there
Replay = Callable[[Case], str]


#: options that are named otherwise in Python than on the command line
_FLAGS = {"dtypes": "--dtype", "vjp": "--grad"}
_REPEATED = (
    "ndim",
    "array",
    "device",
    "dtypes",
    "convention",
    "accuracy",
    "accumulator",
    "input_rounding",
    "splits",
    "style",
    "vjp",
    "call_timeout",
    "memory_limit",
)


def option_words(options: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line that give these options, those that say what a target is, again."""
    line: list[str] = []
    for name in _REPEATED:
        value = options.get(name)
        for item in value if isinstance(value, list | tuple) else (value,) if value is not None else ():
            flag = _FLAGS.get(name, "--" + name.replace("_", "-"))
            line += [flag, _word(item)]
    return line + ["--no-isolate"] * (options.get("isolate") is False)


def _word(value: Any) -> str:
    """Return a value as a command line gives it; a function by the name under which it can be imported."""
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    return f"{value:g}" if isinstance(value, float) else str(value)


def replay_with(target: str, words: Sequence[str] = ()) -> Replay:
    """Return what makes replay commands for a target, with the options that it was given."""
    if ":" not in target and target not in ADAPTERS:
        return lambda _: ""

    def command(case: Case) -> str:
        return shlex.join(["convcheck", "replay", target, str(case), *words])

    return command
