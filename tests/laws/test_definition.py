"""Chapter Definition: the independent witnesses agree with the oracle on every kind of padding, and on every device."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings

from convcheck.cases import Case
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.examine import examine
from convcheck.laws.definition import _scipy_window
from convcheck.operands import Fill
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract
from convcheck.strategies import problems

OFFERED = Capabilities((1, 2, 3), tuple(DTYPES), frozenset(FEATURES))


def right(which, problem, operands):
    number = np.int64 if DTYPES[problem.dtype].kind == "i" else np.float64
    return contract(which, problem, *operands, number=number).astype(DTYPES[problem.dtype].numpy)


def verdict(law, problem, apply=right):
    fills = (Fill("dense", 3), Fill("dense", 3, 1), *([Fill("dense", 3)] if problem.bias else []))
    return examine(Engine("it", OFFERED, apply), Case(law, problem, fills)).verdict


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("i5 k3", "valid"),
        ("i5 k3 p1", "same"),
        ("i5 k4 p2:1", "same"),
        ("i5 k4 p1:2", "full"),
        ("i5 k3 p2", "full"),
        ("i5 k3 p5:0", "full"),
        ("i2 k3 p1", "full"),
        ("i5 k2 d3", "valid"),
        ("i5x5 k3x1 p1x0", "same"),
        ("i5x5 k3x1 p1x1", "full"),
    ],
)
def test_the_mode_of_scipy_is_the_one_that_the_padding_asks_for(line, expected):
    problem = Problem.parse(line)
    assert (_scipy_window(problem)[0], verdict("agrees-with-scipy", problem).ok) == (expected, True)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(problems(dtypes=("f64", "i32"), needs={"size": ("tiny", "unit-axis")}, work_limit=200))
def test_scipy_agrees_with_the_oracle_on_any_problem(problem):
    found = verdict("agrees-with-scipy", problem)
    assume(found is not None)  # too large for SciPy
    assert found.ok


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(problems(dtypes=("f32", "i8"), needs={"size": ("tiny", "narrow")}, work_limit=1_000))
def test_torch_agrees_with_the_oracle_on_any_problem(problem):
    pytest.importorskip("torch")
    assert verdict("agrees-with-torch", problem).ok


def test_torch_tells_on_which_devices_it_was_asked():
    torch = pytest.importorskip("torch")
    found = verdict("agrees-with-torch", Problem(size=(3,), kernel=(2,)), lambda *args: right(*args) + 1)
    devices = "cpu and cuda" if torch.cuda.is_available() else "cpu"
    assert found.reason.endswith(f"(torch on {devices})")


def test_an_impulse_response_is_expected_of_operands_as_they_were_before_the_call():
    def spoiling(which, problem, operands):
        result = right(which, problem, operands)
        operands.a[...] = 0
        return result

    assert verdict("impulse-response", Problem.parse("i3 k2"), spoiling).ok


@pytest.mark.parametrize("line", ["i3 k2", "i3x2 k2x2 s2x1 p1x0:1", "c2 o2 g2 i3 k2", "n2 c2 o3 i4 k3 d2 p2"])
@pytest.mark.parametrize("which", Map)
def test_an_impulse_response_tells_an_engine_that_is_right_from_one_that_is_not(which, line):
    case = Case("impulse-response", Problem.parse(line), (Fill("zeros"), Fill("zeros")), which)
    offered = Capabilities((1, 2, 3), ("f32",), frozenset(FEATURES), tuple(Map))
    engines = [Engine("it", offered, apply) for apply in (right, lambda *args: np.flip(right(*args), -1))]
    assert [examine(engine, case).verdict.ok for engine in engines] == [True, False]
