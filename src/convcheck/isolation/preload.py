"""Imported by the fork server: convcheck, and the target's module, so that every worker is a fork away."""

from __future__ import annotations

import os
from contextlib import suppress
from importlib import import_module

import convcheck.isolation.tasks  # noqa: F401

_module = os.environ.get("CONVCHECK_PRELOAD", "")
if _module:
    with suppress(BaseException):  # a worker will say what is wrong with it
        import_module(_module)
