"""Adapters by name, each imported only when it is asked for."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from convcheck.engines.base import Engine
from convcheck.errors import UsageError

__all__ = ["ADAPTERS"]


def _adapter(name: str) -> Callable[..., Engine]:
    def make(**options: Any) -> Engine:
        try:
            module = import_module(f"convcheck.engines.{name}_adapter")
        except ImportError as error:
            raise UsageError(f"the adapter {name!r} needs a library that is not installed: {error}") from error
        engine: Engine = module.make(**options)
        return engine

    return make


ADAPTERS: dict[str, Callable[..., Engine]] = {name: _adapter(name) for name in ("torch", "scipy")}
