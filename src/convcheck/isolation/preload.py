"""Imported by the fork server: convcheck, its libraries, and the target's module: every worker is a fork away.

A module that takes too long ends the fork server by SIGALRM, whatever it is that it does.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from importlib import import_module

import numpy.random  # noqa: F401 - what every worker needs, and would otherwise import again

import convcheck.isolation.sandbox
import convcheck.isolation.supervisor
import convcheck.isolation.tasks  # noqa: F401

for _library in os.environ.get("CONVCHECK_LIBRARIES", "").split():
    with suppress(ImportError):
        import_module(_library)
_module = os.environ.get("CONVCHECK_PRELOAD", "")
if _module:
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, float(os.environ["CONVCHECK_PRELOAD_SECONDS"]))
    with suppress(BaseException):  # a worker will say what is wrong with it
        import_module(_module)
    signal.setitimer(signal.ITIMER_REAL, 0)
if "torch" in sys.modules:  # its modes, which every worker asks it for
    with suppress(Exception):
        import torch._dynamo
        import torch._subclasses.fake_tensor  # noqa: F401
gc.freeze()  # workers need not look through all this whenever they look for garbage
