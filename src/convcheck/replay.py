"""Judge one case of a target again, from the line that a report prints."""

from __future__ import annotations

from typing import Any

from convcheck.called import check_call
from convcheck.cases import Case
from convcheck.engines import engine_of
from convcheck.repeat import Replayed, judge_again, read_case

__all__ = ["replay"]


def replay(
    target: Any,
    case: Case | str,
    *,
    isolate: bool = False,
    call_timeout: float = 10.0,
    memory_limit: int = 4096,
    **options: Any,
) -> Replayed:
    """Judge a case of a target again, in a worker process if ``isolate`` says so.

    Options are those of `convcheck.engines.wrap.wrap`, and the limits of a worker those of `convcheck.verify`.

    Raises
    ------
    UsageError
        If the target or an option cannot be used.
    ParseError
        If the line is no case.
    """
    check_call(options, call_timeout=call_timeout, memory_limit=memory_limit)
    case = read_case(case) if isinstance(case, str) else case
    if not isolate:
        return judge_again(engine_of(target, **options), case)
    from convcheck.isolation.backend import Isolated
    from convcheck.isolation.supervisor import Limits
    from convcheck.plan import PROFILES

    limits = Limits(call_timeout, memory_limit)
    backend = Isolated(target, options, PROFILES["smoke"], 0, workers=1, limits=limits)
    try:
        return backend.replay(case)
    finally:
        backend.close()
