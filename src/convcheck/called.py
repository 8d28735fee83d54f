"""Whether what was said of a run, and of how the target is called, can be meant."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from difflib import get_close_matches
from math import inf
from typing import Any

from convcheck.engines.wrap import wrap
from convcheck.errors import UsageError

__all__ = ["LEAST_MEMORY", "check_call"]

#: MiB without which a worker cannot call anything
LEAST_MEMORY = 64
#: parameters of `wrap` that are no options
_OWN = ("function", "name", "facts", "watch")


def check_call(
    options: Mapping[str, Any], *, workers: Any = 1, call_timeout: float = 10.0, memory_limit: int = 4096
) -> None:
    """Check options of `convcheck.engines.wrap.wrap`, by name, and the limits of workers.

    Raises
    ------
    UsageError
        If an option does not exist (the message suggests the nearest), or a value makes no sense.
    """
    known = [name for name in inspect.signature(wrap).parameters if name not in _OWN]
    for name in options:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise UsageError(f"no option is called {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    if isinstance(dtypes := options.get("dtypes"), str):
        raise UsageError(f"dtypes are given by several names, as in [{dtypes!r}], not by {dtypes!r}")
    if not isinstance(workers, int) or isinstance(workers, bool) or workers < 1:
        raise UsageError(f"workers is {workers!r}; it is a number of processes, 1 or more")
    if not 0 < call_timeout < inf:
        raise UsageError(f"the time for a call is {call_timeout:g} s; it is more than 0, and not endless")
    if memory_limit != 0 and memory_limit < LEAST_MEMORY:
        raise UsageError(f"the limit of memory is {memory_limit} MiB; no call can do with less than {LEAST_MEMORY}")
