"""Find what a target names: ``package.module:attribute``, also from the current directory."""

from __future__ import annotations

import importlib
import sys
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from convcheck.errors import UsageError

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
        raise UsageError(f"the target {target!r} is not of the form package.module:attribute")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found: Any = importlib.import_module(module_name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise UsageError(f"cannot import {module_name!r}: {type(error).__name__}: {error}") from error
    for name in path.split("."):
        try:
            found = getattr(found, name)
        except AttributeError:
            near = get_close_matches(name, dir(found), n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"{module_name!r} has no attribute {path!r}{hint}") from None
    return found
