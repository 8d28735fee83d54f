"""Which arguments of a function are the input, the weight, the stride and so on: its signature, schema or docstring."""

from __future__ import annotations

import inspect
import re
from ast import literal_eval
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from convcheck.engines.operators import is_scripted, schema_of
from convcheck.errors import UsageError

__all__ = ["Signature", "code_of", "read_signature"]

#: what libraries call the arguments of a convolution, by what convcheck calls them
ALIASES = {
    "bias": ("bias", "b"),
    "stride": ("stride", "strides", "window_strides", "s"),
    "padding": ("padding", "pad", "pads", "paddings", "p"),
    "dilation": ("dilation", "dilations", "rate", "rhs_dilation", "d"),
    "output_padding": ("output_padding", "out_padding", "output_pad", "output_pads"),
    "groups": ("groups", "group", "feature_group_count", "num_groups", "g"),
}
#: which part of the full convolution NumPy's and SciPy's functions return
MODES = ("valid", "same", "full")
#: names of a kernel and of an input that cannot be meant otherwise
KERNELS = ("k", "kernel", "w", "weight", "weights", "filter", "filters", "h", "taps", "kern", "coeffs")
INPUTS = ("x", "input", "inputs", "image", "images", "img", "signal")


@dataclass(frozen=True)
class Signature:
    """The first arguments are the arrays; ``names`` maps convcheck's names of the others to the function's.

    ``positional`` lists, in order, the others that can only be given by position, with their defaults; ``buffer`` says
    whether ``out``, into which the result is written, is ``optional`` or ``required`` (empty: there is none). A
    ``told`` function must be given every parameter, since some have no default, or one that means something; so must
    one that ``needs_bias``. One whose arrays are named so takes the ``kernel_first``. ``unknown`` parameters are no
    convolution's, and are left at their defaults; a ``mode`` as NumPy and SciPy have it is always "valid".
    """

    arrays: tuple[str, ...]
    names: dict[str, str]
    positional: tuple[tuple[str, Any], ...] = ()
    buffer: str = ""
    told: bool = False
    needs_bias: bool = False
    unknown: tuple[str, ...] = ()

    def arguments(self, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
        """Positional and keyword arguments for what is given under convcheck's names."""
        order = [name for name, _ in self.positional]
        last = max((order.index(name) for name in given if name in order), default=-1)  # those before can't be left out
        by_position = [given.get(name, default) for name, default in self.positional[: last + 1]]
        return by_position, {self.names[name]: value for name, value in given.items() if name not in order}

    @property
    def kernel_first(self) -> bool:
        """Whether the first array is named as a kernel is, and the second as an input."""
        first, second = (re.sub("[^a-z]", "", name.lower()) for name in self.arrays[:2])
        return first in KERNELS and second in INPUTS


def read_signature(
    function: Callable[..., Any],
    label: str,
    *,
    arrays: int = 2,
    what: str = "a convolution takes an input and a kernel",
) -> Signature:
    """Read a function's signature; an operator's is its schema, a builtin's the first line of its docstring.

    Raises
    ------
    UsageError
        If it does not take so many arrays (the message says ``what`` is expected), or needs arguments that no
        convolution has.
    """
    parameters = _parameters(function, label)
    fixed = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(fixed) < arrays and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
        manner = " by position" if len(parameters) >= arrays else ""
        raise UsageError(f"{label} takes {_list(parameters)}: {what}{manner}")
    spoken: dict[str, inspect.Parameter] = {}
    unknown: list[str] = []
    for parameter in (p for p in parameters if p not in fixed[:arrays]):
        if role := _role(parameter, arrays):
            spoken[role] = parameter
        elif parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            unknown.append(parameter.name)
            _must_have_default(parameter, label)
    told = any(not _says_nothing(role, p.default) for role, p in spoken.items() if role in ALIASES and role != "bias")
    required = {role for role, p in spoken.items() if p.default is p.empty}
    return Signature(
        arrays=tuple(p.name for p in fixed[:arrays]) or ("x", "w"),
        names={role: p.name for role, p in spoken.items()},
        positional=tuple((role, p.default) for role, p in spoken.items() if p.kind is p.POSITIONAL_ONLY),
        buffer=("required" if "out" in required else "optional") if "out" in spoken else "",
        told=told,
        needs_bias="bias" in required,
        unknown=tuple(unknown),
    )


def code_of(function: Any) -> Any:
    """Return what is called in the end: inside a functools.partial, or as a method of an object."""
    while isinstance(function, partial):
        function = function.func
    if hasattr(function, "forward"):
        return function.forward
    return function if inspect.isroutine(function) or isinstance(function, type) else type(function).__call__


def _role(parameter: inspect.Parameter, arrays: int) -> str | None:
    """What a parameter says of a convolution, by its name."""
    if arrays == 2 and parameter.name == "out":
        return "out"
    if parameter.name == "mode" and parameter.default in MODES:
        return "mode"
    return next((role for role, aliases in ALIASES.items() if parameter.name.lower() in aliases), None)


def _must_have_default(parameter: inspect.Parameter, label: str) -> None:
    if parameter.default is parameter.empty:
        raise UsageError(
            f"{label} needs an argument {parameter.name!r}, which is none of {', '.join(ALIASES)};"
            " wrap it in a function that fixes it"
        )


def _says_nothing(role: str, default: Any) -> bool:
    """Whether a default leaves a convolution plain: a stride of 1, a padding of 0."""
    if isinstance(default, list | tuple):
        return all(_says_nothing(role, value) for value in default)
    if isinstance(default, str):
        return default.lower() in ("valid", "notset")
    missing, nothing = default is inspect.Parameter.empty, 0 if "padding" in role else 1
    return not missing and (default is None or bool(np.all(np.equal(default, nothing))))


def _parameters(function: Any, label: str) -> list[inspect.Parameter]:
    schema = function.schema if is_scripted(function) else schema_of(function)
    if schema is not None:
        return [_parameter(argument) for argument in schema.arguments]
    if hasattr(function, "forward"):  # a torch module is called by what its class makes of it
        function = function.forward
    try:
        return list(inspect.signature(function).parameters.values())
    except TypeError as error:
        raise UsageError(f"{label} is not a function: {error}") from error
    except ValueError:
        if isinstance(function, partial):  # of a builtin
            whole = _parameters(function.func, label)[len(function.args) :]
            return [p.replace(default=function.keywords.get(p.name, p.default)) for p in whole]
        found = re.match(r"\s*\w+\(([^)]*)\)", inspect.getdoc(function) or "")
        if not found:
            raise UsageError(f"{label} has no signature that can be read; wrap it in a function that has one") from None
    parameters = []
    for text in filter(None, (word.strip() for word in found[1].split(","))):
        if text in ("*", "/"):
            continue
        name, has_default, default = text.partition("=")
        value: Any = default.strip()
        with suppress(ValueError, SyntaxError):
            value = literal_eval(value)
        parameters.append(
            inspect.Parameter(
                name.strip(" *"),
                inspect.Parameter.POSITIONAL_OR_KEYWORD,
                default=value if has_default else inspect.Parameter.empty,
            )
        )
    return parameters


def _parameter(argument: Any) -> inspect.Parameter:
    """Turn an argument of an operator's schema into a parameter."""
    kind = inspect.Parameter.KEYWORD_ONLY if argument.kwarg_only else inspect.Parameter.POSITIONAL_OR_KEYWORD
    default = argument.default_value if argument.has_default_value() else inspect.Parameter.empty
    return inspect.Parameter(argument.name, kind, default=default)


def _list(parameters: list[inspect.Parameter]) -> str:
    return ", ".join(p.name for p in parameters) or "no argument"
