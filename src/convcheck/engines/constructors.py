"""What the constructor of a class of layers calls its parameters."""

from __future__ import annotations

import inspect

from convcheck.engines.signature import ALIASES
from convcheck.errors import UsageError

__all__ = ["read_constructor"]

#: what constructors call their parameters, by what convcheck calls them
NAMES = {
    "in_channels": ("in_channels", "in_ch", "in_planes", "inplanes", "c_in"),
    "out_channels": ("out_channels", "out_ch", "out_planes", "planes", "c_out", "filters"),
    "kernel_size": ("kernel_size", "kernel", "kernel_shape", "ksize", "k"),
    **ALIASES,
    "bias": (*ALIASES["bias"], "use_bias"),
    "padding_mode": ("padding_mode", "pad_mode"),
    "dtype": ("dtype",),
    "device": ("device",),
}


def read_constructor(cls: type, label: str) -> dict[str, str]:
    """Return the constructor's parameters by convcheck's names.

    Raises
    ------
    UsageError
        If it needs another argument, or cannot be told the size of its kernel.
    """
    names: dict[str, str] = {}
    for parameter in _parameters(cls):
        role = next((r for r, aliases in NAMES.items() if parameter.name.lower() in aliases), None)
        if role is not None:
            names.setdefault(role, parameter.name)
        elif parameter.default is parameter.empty:
            raise UsageError(
                f"the constructor of {label} needs an argument {parameter.name!r}, which is none of {', '.join(NAMES)};"
                " subclass it with one that does not"
            )
    if "kernel_size" not in names:
        raise UsageError(f"the constructor of {label} takes no kernel_size, so that no weight can be chosen")
    return names


def _parameters(cls: type) -> list[inspect.Parameter]:
    """Parameters of the constructor; where it passes on what it does not name, those of the next class too."""
    found: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__:
        if "__init__" not in vars(base):
            continue
        own = list(inspect.signature(vars(base)["__init__"]).parameters.values())[1:]
        for parameter in own:
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                found.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in own):
            break
    return list(found.values())
