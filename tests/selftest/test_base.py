"""The base convolution is right with no step replaced, and every step can be."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from convcheck.bounds import Numerics, expect
from convcheck.cases import choose_fills
from convcheck.claim import Claim, judge
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.selftest.base import BASE
from convcheck.selftest.call import Request, read_call
from convcheck.selftest.fault import EVERYTHING
from convcheck.space import Space, seeded

LAW = SimpleNamespace(needs={}, work=5_000)


@pytest.mark.parametrize("which", Map)
def test_it_agrees_with_the_definition(which):
    space = Space.of(EVERYTHING, LAW, which)
    for seed in range(300):
        choose = seeded(seed)
        problem = space.build(choose)
        fills = choose_fills("exact", choose, which, problem, Numerics())
        roles = (*which.roles, *(("bias",) if problem.bias else ()))
        operands = Operands(*(make(problem, role, fill) for role, fill in zip(roles, fills, strict=True)))
        expected = expect(which, problem, operands, Numerics())
        verdict = judge(Claim(BASE(which, problem, operands), expected.value, expected.bound))
        assert verdict.ok, f"{problem}: {verdict.reason}"


@pytest.mark.parametrize("which", Map)
def test_an_empty_batch_gives_an_empty_or_zero_result(which):
    problem = Problem(batch=0, channels=4, filters=6, groups=2, size=(4, 5), kernel=(2, 3))
    operands = Operands(*(make(problem, role, Fill("dense", 3)) for role in which.roles))
    result = BASE(which, problem, operands)
    assert result.shape == problem.shapes[which.result]
    assert not result.any()


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"groups": 0}, "start at 1"),
        ({"stride": (0, 1)}, "start at 1"),
        ({"dilation": (1, -1)}, "start at 1"),
        ({"padding": ((0, -1), (0, 0))}, "not negative"),
        ({"padding": ((0, 0),)}, "one entry an axis"),
        ({"groups": 3}, "groups divide"),
        ({"groups": 4}, "as many channels"),
        ({"a": np.zeros((2, 3, 4, 5), np.float32)}, "as many channels"),
        ({"b": np.zeros((4, 4, 5, 2), np.float32), "kernel": (5, 2)}, "fits"),
        ({"bias": np.zeros(3, np.float32)}, "one bias a channel"),
    ],
)
def test_what_is_no_convolution_is_refused(changes, why):
    problem = Problem(batch=2, channels=4, filters=4, size=(4, 5), kernel=(2, 2), bias=True)
    operands = Operands(*(make(problem, role, Fill("dense", 3)) for role in ("x", "w", "bias")))
    request = Request.of(Map.FORWARD, problem, operands)
    assert read_call(request).output == problem.output
    with pytest.raises(ValueError, match=why):
        read_call(request._replace(**changes))


def test_a_hook_acts_on_the_maps_that_it_is_limited_to():
    problem = Problem(size=(4,), kernel=(2,))
    steps = BASE.replace(give=lambda _, __, result: result + 1, on=(Map.GRAD_INPUT,))
    for which in Map:
        operands = Operands(*(make(problem, role, Fill("dense", 3)) for role in which.roles))
        difference = steps(which, problem, operands) - BASE(which, problem, operands)
        assert np.unique(difference).tolist() == [which is Map.GRAD_INPUT]
