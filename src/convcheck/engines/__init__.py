"""Engines: what is under test, and the adapters that present libraries and user functions as such."""

from __future__ import annotations

from typing import Any

from convcheck.engines.base import Engine
from convcheck.engines.registry import ADAPTERS
from convcheck.engines.target import load
from convcheck.engines.wrap import wrap
from convcheck.errors import UsageError

__all__ = ["engine_of"]


def engine_of(target: Any, **options: Any) -> Engine:
    """Make an engine of an engine, a function, ``package.module:attribute``, or an adapter's name.

    Raises
    ------
    UsageError
        If it cannot be imported or called, or an option does not exist.
    """
    if isinstance(target, Engine):
        return target
    if not isinstance(target, str):
        return wrap(target, **options)
    if ":" in target:
        found = load(target)
        return found if isinstance(found, Engine) else wrap(found, name=target, **options)
    if target not in ADAPTERS:
        raise UsageError(
            f"the target {target!r} is neither package.module:attribute nor an adapter ({', '.join(ADAPTERS)})"
        )
    return ADAPTERS[target](**options)
