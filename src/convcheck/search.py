"""Hypothesis looks for cases: beyond the classes of the sweep, and towards the largest error."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import isfinite

from convcheck.cases import Case
from convcheck.engines.base import Engine
from convcheck.laws import BY_NAME
from convcheck.plan import Slice
from convcheck.tally import Outcome

__all__ = ["search"]


def search(engine: Engine, part: Slice, seed: int, judge_case: Callable[[Case], Outcome]) -> None:
    """Judge the examples that Hypothesis draws; where a law measures an error, it climbs towards a larger one."""
    import hypothesis
    from hypothesis import HealthCheck, Phase, given, settings, target

    from convcheck.strategies import cases

    law = BY_NAME[part.law]

    @hypothesis.seed(f"{seed}/{part.law}/{part.map}")
    @settings(
        max_examples=part.stop - part.start,
        database=None,
        deadline=None,
        phases=[Phase.generate, *([Phase.target] if law.fills == "float" else [])],
        suppress_health_check=list(HealthCheck),
    )
    @given(cases(engine, law, part.map))
    def one(case: Case) -> None:
        outcome = judge_case(case)
        if law.fills == "float" and outcome.verdict is not None and isfinite(outcome.verdict.ratio):
            target(outcome.verdict.ratio)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one()
