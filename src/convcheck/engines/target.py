"""Find what a target names: ``package.module:attribute``, also from the current directory."""

from __future__ import annotations

import importlib
import sys
from contextlib import suppress
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from convcheck.engines.base import first_line
from convcheck.errors import UsageError, is_interrupt

__all__ = ["load"]


def load(target: str) -> Any:
    """Import ``package.module:attribute`` and return the attribute.

    Raises
    ------
    UsageError
        If the form is another, the module cannot be imported, or it has no such attribute.
    """
    module_name, colon, path = target.partition(":")
    if not (module_name and colon and path):
        head, _, tail = target.rpartition(".")
        hint = f"; did you mean {head}:{tail}?" if head and tail and not colon and "/" not in target else ""
        raise UsageError(f"the target {target!r} is not of the form package.module:attribute{hint}")
    if module_name.endswith(".py") or "/" in module_name:
        module = Path(module_name).stem
        raise UsageError(f"{module_name!r} is a file, and a module is meant: from its directory, {module}:{path}")
    with suppress(OSError):  # a directory that is gone
        if (here := str(Path.cwd())) not in sys.path:
            sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except BaseException as error:
        if is_interrupt(error):
            raise
        raise UsageError(f"cannot import {module_name!r}: {type(error).__name__}: {first_line(error)}") from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            near = get_close_matches(name, _names(found), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{module_name!r} has no attribute {path!r}{hint}") from None
        except BaseException as error:
            if is_interrupt(error):
                raise
            reason = f"{type(error).__name__}: {first_line(error)}"
            raise UsageError(f"{module_name!r} gives no attribute {path!r}: {reason}") from error
    return found


def _names(found: Any) -> list[str]:
    """Names of attributes, as far as something tells them."""
    try:
        return [name for name in dir(found) if isinstance(name, str)]
    except Exception:  # noqa: BLE001 - a module may have a __dir__ of its own
        return []
