"""Operators of torch: what is a dispatcher's own, what somebody registered, and the schema that says what it takes."""

from __future__ import annotations

import builtins
from typing import Any

__all__ = ["is_custom", "is_operator", "is_scripted", "schema_of"]

#: namespaces of torch's own operators
OWN = ("aten", "prims", "prim", "_c10d_functional", "quantized")


def schema_of(function: Any) -> Any:
    """Return the schema of a torch.library.custom_op, of ``torch.ops.ns.name`` or one of its overloads; else None."""
    if type(function).__module__.partition(".")[0] != "torch":
        return None
    overload = getattr(function, "_opoverload", function)  # a custom_op holds its only one
    names = overload.overloads() if callable(getattr(overload, "overloads", None)) else []
    if names:  # a packet calls whichever overload fits: the first is the plainest
        overload = getattr(overload, names[0])
    return getattr(overload, "_schema", None)


def is_scripted(function: Any) -> bool:
    """Whether a function is what torch.jit.script made of one, which has a schema, too."""
    return type(function).__name__ == "ScriptFunction"


def is_operator(function: Any) -> bool:
    """Whether a function goes straight to torch's dispatcher, which knows shapes without values."""
    if schema_of(function) is not None:
        return True
    return isinstance(function, type(builtins.len)) and str(getattr(function, "__module__", "")) == "torch"


def is_custom(function: Any) -> bool:
    """Whether a function is an operator that somebody registered with torch.library."""
    schema = schema_of(function)
    return schema is not None and str(schema.name).partition("::")[0] not in OWN
