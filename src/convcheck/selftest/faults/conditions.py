"""When a fault shows: conditions on a call, and a hook that acts only under one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from convcheck.selftest.base import positions
from convcheck.selftest.call import Call

__all__ = ["CONDITIONS", "Condition", "table_when", "when"]

Condition = Callable[[Call], bool]
T = TypeVar("T")


def when(condition: Condition, hook: Callable[..., T]) -> Callable[..., T]:
    """Apply a hook only where the condition holds; elsewhere its last argument passes through unchanged."""

    def limited(call: Call, *rest: Any) -> Any:
        return hook(call, *rest) if condition(call) else rest[-1] if rest else call

    return limited


def table_when(condition: Condition, table: Callable[[Call, int], Any]) -> Callable[[Call, int], Any]:
    """Use a table of positions only where the condition holds; elsewhere the right one."""
    return lambda call, axis: (table if condition(call) else positions)(call, axis)


CONDITIONS: dict[str, Condition] = {
    "grouped": lambda call: call.groups > 1,
    "depthwise": lambda call: call.groups > 1 and call.channels == 1,
    "of-several-images": lambda call: call.batch > 1,
    "strided": lambda call: max(call.stride) > 1,
    "dilated": lambda call: max(call.dilation) > 1,
    "padded": lambda call: any(map(any, call.padding)),
    "of-one-axis": lambda call: call.ndim == 1,
    "of-three-axes": lambda call: call.ndim == 3,
    "of-an-even-kernel": lambda call: call.kernel[-1] % 2 == 0,
    "of-a-large-kernel": lambda call: max(call.kernel) > 7,
    "of-one-channel": lambda call: call.channels == 1 and call.groups == 1,
    "strided-and-dilated": lambda call: max(call.stride) > 1 and max(call.dilation) > 1,
    "strided-and-padded": lambda call: max(call.stride) > 1 and any(map(any, call.padding)),
    "grouped-and-dilated": lambda call: call.groups > 1 and max(call.dilation) > 1,
    "grouped-and-strided": lambda call: call.groups > 1 and max(call.stride) > 1,
}
