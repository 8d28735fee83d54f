"""Options that say what the target is and how it is called: shared by the commands that take a target."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, TypeVar

import click

__all__ = [
    "Names",
    "Seconds",
    "Workers",
    "engine_options",
    "isolation_of",
    "isolation_options",
    "processors",
    "target_options",
]

Command = TypeVar("Command", bound=Callable[..., Any])


def processors() -> int:
    """Return the number of CPUs for this process."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Workers(click.ParamType[int]):
    """A number of processes, or ``auto``: as many as there are CPUs for this process."""

    name = "N|auto"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read the number."""
        if value == "auto":
            return processors()
        if not (isinstance(value, int) or (value.isascii() and value.isdigit() and int(value) > 0)):
            self.fail(f"{value!r} is neither a positive number nor 'auto'", param, ctx)
        return int(value)


class Seconds(click.FloatRange):
    """A time that ends."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read the number."""
        seconds = super().convert(value, param, ctx)
        if not isfinite(seconds):
            self.fail(f"{value!r} is no number of seconds", param, ctx)
        return seconds


class Names(click.ParamType[tuple[str, ...]]):
    """Names, separated by commas."""

    name = "NAME,..."

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split the names."""
        names = value.replace(" ", "").split(",") if isinstance(value, str) else value
        if not all(names):
            self.fail(f"{value!r} has an empty name", param, ctx)
        return tuple(names)


def _joined(ctx: click.Context, param: click.Parameter, value: tuple[tuple[str, ...], ...]) -> tuple[str, ...]:
    """Join the names of an option that is given several times."""
    del ctx, param
    return tuple(name for names in value for name in names)


#: by keyword of `convcheck.engines.wrap.wrap`: what makes the option
_TARGET = {
    "ndim": click.option(
        "--ndim",
        type=click.IntRange(1, 3),
        multiple=True,
        help="Spatial axes that the target takes; may be repeated.",
    ),
    "array": click.option("--array", type=click.Choice(["numpy", "torch", "jax"]), help="Arrays that it takes."),
    "device": click.option(
        "--device", metavar="DEVICE", help="Torch device on which it is called: cpu, cuda, cuda:1, mps."
    ),
    "dtypes": click.option(
        "--dtype",
        "dtypes",
        type=Names(),
        multiple=True,
        callback=_joined,
        help="Element types to judge: f64, f32, f16, bf16, i64, ...",
    ),
    "convention": click.option(
        "--convention",
        type=click.Choice(["correlation", "convolution"]),
        help="Whether the kernel is meant to be flipped (convolution).",
    ),
    "accuracy": click.option(
        "--accuracy",
        type=click.Choice(["componentwise", "normwise"]),
        help="Which error is allowed: normwise for Winograd and FFT.",
    ),
    "accumulator": click.option(
        "--accumulator",
        type=click.Choice(["wide", "narrow"]),
        help="In which type f16 and bf16 are summed up: float32, or their own.",
    ),
    "input_rounding": click.option(
        "--input-rounding",
        type=click.Choice(["tf32", "bf16"]),
        help="To which type float32 operands are rounded before they are multiplied.",
    ),
    "splits": click.option(
        "--splits",
        type=click.IntRange(min=1),
        metavar="N",
        help="Partial sums that are stored in the result's type (split-k).",
    ),
    "vjp": click.option(
        "--grad",
        "vjp",
        metavar="TARGET",
        help="Its hand-written gradients: (grad_out, x, w, ...) -> (grad_x, grad_w, grad_b).",
    ),
    "style": click.option(
        "--style",
        type=click.Choice(["functional", "bare", "transposed"]),
        help="f(x, w, bias, stride, ...) on batches of channels, f(X, K) on spatial arrays, or transposed.",
    ),
}

_ISOLATION = {
    "isolate": click.option(
        "--isolate/--no-isolate",
        default=True,
        help="Whether the target runs in worker processes, which it may kill.",
    ),
    "call_timeout": click.option(
        "--call-timeout",
        type=Seconds(min=0, min_open=True),
        metavar="S",
        help="Seconds that a call may take.",
    ),
    "memory_limit": click.option(
        "--memory-limit", type=click.IntRange(0, 1 << 20), metavar="MIB", help="MiB that a call may take; 0: any."
    ),
}


def target_options(command: Command) -> Command:
    """Add the options that describe the target."""
    return _with(command, _TARGET)


def isolation_options(command: Command) -> Command:
    """Add the options that say how the target is kept from doing harm."""
    return _with(command, _ISOLATION)


def _with(command: Command, options: Mapping[str, Callable[[Any], Any]]) -> Command:
    for option in reversed(list(options.values())):
        command = option(command)
    return command


def engine_options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keyword arguments of `wrap` that a user gave, checked.

    Raises
    ------
    UsageError
        If a dtype does not exist.
    """
    from convcheck.dtypes import check_names

    chosen = {name: given[name] for name in _TARGET if given.get(name)}
    check_names(chosen.get("dtypes", ()))
    return chosen


def isolation_of(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a user said of isolation; the rest is left to the defaults of `verify`."""
    return {name: given[name] for name in _ISOLATION if given[name] is not None}
