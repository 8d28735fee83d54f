"""One case and one slice: whatever a target does becomes a verdict, or a reason why there is none."""

from __future__ import annotations

import time
import warnings
from dataclasses import replace
from math import inf

import numpy as np
import pytest

from convcheck.cases import Case
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.examine import examine, run_slice
from convcheck.laws import BY_NAME
from convcheck.plan import PROFILES, Slice
from convcheck.problem import Map
from convcheck.reference.maps import contract
from convcheck.tally import ENOUGH

SMOKE = PROFILES["smoke"]
OFFERED = Capabilities((1, 2, 3), ("f32", "f64"), frozenset(FEATURES), tuple(Map), work_limit=1_000)
CASE = Case.parse("definition i5x5 k2x2 x=ramp w=ones")


def right(which, problem, operands):
    return contract(which, problem, *operands).astype(DTYPES[problem.dtype].numpy)


def engine_of(apply, **changes):
    return Engine("it", OFFERED, apply).replace(**changes)


def raising(error):
    def apply(*_):
        raise error

    return engine_of(apply)


def outcome_of(apply, case=CASE):
    return examine(engine_of(apply), case)


def test_a_right_result_is_a_verdict_that_holds():
    outcome = outcome_of(right)
    assert (outcome.case, outcome.verdict.ok, outcome.verdict.weight) == (CASE, True, 16)


def test_a_wrong_result_is_a_verdict_that_does_not():
    outcome = outcome_of(lambda *args: right(*args) + 1)
    assert (outcome.verdict.ok, outcome.verdict.reason) == (False, "16 of 16 elements differ")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ValueError("no way\nat all"), "raised ValueError: no way"),
        (RuntimeError(), "raised RuntimeError: "),
        (AssertionError("x"), "raised AssertionError: x"),
        (SystemExit(3), "raised SystemExit: 3"),
        (MemoryError("too much"), "raised MemoryError: too much"),
    ],
)
def test_an_exception_is_a_violation_that_shows_it(error, reason):
    verdict = examine(raising(error), CASE).verdict
    assert (verdict.ok, verdict.reason, verdict.ratio) == (False, reason, inf)


def test_an_exception_that_cannot_be_printed_is_a_violation_too():
    class HostileError(Exception):
        def __str__(self):
            raise ValueError("not even this")

    verdict = examine(raising(HostileError()), CASE).verdict
    assert (verdict.ok, "cannot be printed" in verdict.reason) == (False, True)


@pytest.mark.parametrize(
    ("error", "reason"),
    [(NotImplementedError("dilation"), "it: dilation"), (NotImplementedError(), "it: not implemented")],
)
def test_not_implemented_is_no_violation(error, reason):
    outcome = examine(raising(error), CASE)
    assert (outcome.verdict, outcome.skipped) == (None, reason)


def test_an_interrupt_of_the_user_is_passed_on():
    with pytest.raises(KeyboardInterrupt):
        examine(raising(KeyboardInterrupt()), CASE)


@pytest.mark.parametrize("law", ["stateless", "revisits"])
def test_a_law_that_makes_other_calls_too_is_not_judged_by_those_alone(law):
    outcome = outcome_of(right, Case.parse(f"{law} f16 i5 k2 x=ones w=ones"))
    assert (outcome.verdict, outcome.skipped) == (None, "it does not take f16")


def test_what_the_engine_does_not_offer_is_skipped():
    outcome = outcome_of(right, Case.parse("definition f16 i5 k2 x=ones w=ones"))
    assert (outcome.verdict, outcome.skipped) == (None, "it does not take f16")


def test_a_problem_of_which_a_law_does_not_speak_is_skipped():
    case = Case.parse("rank-embeds i5x5x5 k2x2x2 x=ones w=ones")
    outcome = outcome_of(right, case)
    assert (outcome.verdict, outcome.skipped) == (None, f"rank-embeds does not speak of {case.problem}")


def test_a_result_of_another_shape_is_a_violation_of_every_law():
    verdict = outcome_of(lambda *args: right(*args)[..., :-1], Case.parse("mirrors i5x5 k2x2 x=ramp w=ones")).verdict
    assert (verdict.ok, verdict.reason) == (False, "the shape is (1, 1, 4, 3), not (1, 1, 4, 4)")


def test_a_warning_of_the_target_is_not_an_error():
    def warning(*args):
        warnings.warn("slow", UserWarning, stacklevel=1)
        return right(*args)

    assert outcome_of(warning).verdict.ok


def test_floating_point_exceptions_of_the_target_are_not_errors():
    def dividing(*args):
        np.ones(1) / np.zeros(1)
        return right(*args)

    assert outcome_of(dividing).verdict.ok


@pytest.mark.parametrize("which", Map)
def test_every_map_is_examined(which):
    roles = {"x": "x", "w": "w", "y": "gy"}
    fills = " ".join(f"{roles[role]}=dense:7#1" for role in which.roles)
    assert outcome_of(right, Case.parse(f"definition@{which} n2 c2 o3 i5x5 k2x2 {fills}")).verdict.ok


def test_an_engine_whose_convention_is_convolution_is_judged_as_the_correlation_it_becomes():
    def flipping(which, problem, operands):
        if which is Map.GRAD_WEIGHT:
            return np.flip(right(which, problem, operands), (2, 3))
        return right(which, problem, operands._replace(b=np.flip(operands.b, (2, 3))))

    for line in (
        "definition i5x5 k2x2 x=ramp w=ramp",
        "definition@grad_input i5x5 k2x2 gy=ramp w=ramp",
        "definition@grad_weight i5x5 k2x2 gy=ramp x=ramp",
    ):
        case = Case.parse(line)
        engine = engine_of(flipping)
        found = [examine(engine.replace(convention=c), case).verdict.ok for c in ("correlation", "convolution")]
        assert found == [False, True]


def test_a_law_that_runs_out_of_memory_itself_accuses_nobody(monkeypatch):
    def check(*_):
        raise MemoryError

    monkeypatch.setitem(BY_NAME, "mass", replace(BY_NAME["mass"], check=check))
    outcome = examine(engine_of(right), Case.parse("mass i5x5 k2x2 x=ramp w=ramp"))
    assert (outcome.verdict, "has not the memory" in outcome.skipped) == (None, True)


# -- slices ----------------------------------------------------------------------------------------------------


def test_a_slice_judges_its_cases():
    part = Slice("definition", Map.FORWARD, "random", 5, 25)
    tally = run_slice(engine_of(right), part, SMOKE, 0, lambda _: None)
    assert (tally.judged, tally.failures) == (20, [])
    assert tally.nontrivial > 15


def test_every_case_is_announced_before_the_target_is_called():
    events = []

    def recording(*args):
        events.append("called")
        return right(*args)

    part = Slice("definition", Map.FORWARD, "random", 0, 3)
    run_slice(engine_of(recording), part, SMOKE, 0, lambda case: events.append(case.law))
    assert events == ["definition", "called"] * 3


def test_a_slice_stops_when_more_failures_would_say_nothing_new():
    part = Slice("definition", Map.FORWARD, "random", 0, 200)
    tally = run_slice(engine_of(lambda *args: right(*args) + 1), part, SMOKE, 0, lambda _: None)
    assert (tally.judged, len(tally.failures)) == (ENOUGH, ENOUGH)


def test_a_slice_stops_at_its_deadline():
    part = Slice("definition", Map.FORWARD, "random", 0, 200)
    tally = run_slice(engine_of(right), part, SMOKE, 0, lambda _: None, time.monotonic() - 1)
    assert tally.judged == 1


def test_a_slice_of_a_search_judges_what_hypothesis_draws():
    part = Slice("definition", Map.FORWARD, "search", 0, 5)
    tally = run_slice(engine_of(right), part, SMOKE, 0, lambda _: None)
    assert (tally.judged >= 5, tally.failures) == (True, [])


def test_a_map_that_is_not_offered_is_not_judged():
    case = Case.parse("definition@grad_input f32 n1 g1 c1 o1 i2x2 k1x1 s1x1 p0x0 d1x1 gy=impulse@0,0,0,0 w=zeros")
    forward = engine_of(right, capabilities=replace(OFFERED, maps=(Map.FORWARD,)))
    assert examine(forward, case).skipped == "it offers no grad_input"
