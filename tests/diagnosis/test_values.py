"""Mistakes in the values, of the bias, and of what is remembered from call to call."""

from __future__ import annotations

from math import prod

import numpy as np
import pytest

from convcheck.diagnosis import diagnose
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

PLAIN = Problem.parse("f32 n1 g1 c2 o2 i4x5 k2x2 s1x1 p0x0 d1x1")
BIASED = PLAIN.replace(bias=True)


def finishing(change):
    """Change the values of a right result; the problem is given, too."""

    def apply(which, problem, operands):
        return change(contract(which, problem, *operands), problem).astype(operands.a.dtype)

    return apply


RESULTS = {
    "result is zero everywhere": finishing(lambda y, _: 0 * y),
    "result negated": finishing(lambda y, _: -y),
    "negative results clipped to zero (ReLU)": finishing(lambda y, _: np.maximum(y, 0)),
    "absolute value of the result": finishing(lambda y, _: np.abs(y)),
    "result squared": finishing(lambda y, _: y * y),
    "one added to the result": finishing(lambda y, _: y + 1),
    "results clipped to -6..6": finishing(lambda y, _: np.clip(y, -6, 6)),
    "result wrapped to 8 bits with sign": finishing(lambda y, _: (3 * 256 + y + 128) % 256 - 128),
    "result scaled by 2": finishing(lambda y, _: 2 * y),
    "result scaled by 1.001": finishing(lambda y, _: 1.001 * y),
    "result scaled by -0.5": finishing(lambda y, _: -y / 2),
    "result divided by the number of taps": finishing(lambda y, p: y / prod(p.kernel)),
    "result multiplied by the number of images": finishing(lambda y, p: y * p.batch),
}


@pytest.mark.parametrize("words", RESULTS)
def test_names_what_becomes_of_the_result(engine, words):
    """A right result is changed at the end."""
    found = diagnose(engine(RESULTS[words]), PLAIN)
    assert (found.words, found.known) == (words, True)


@pytest.mark.parametrize("words", ["result negated", "result scaled by 2", "result multiplied by the number of images"])
@pytest.mark.parametrize("which", [Map.GRAD_INPUT, Map.GRAD_WEIGHT])
def test_names_what_becomes_of_a_gradient(engine, words, which):
    """A right gradient is changed at the end."""
    assert diagnose(engine(RESULTS[words]), PLAIN, which).words == f"{which}: {words}"


OPERANDS = {
    "weight taken without its sign": lambda ops: ops._replace(b=np.abs(ops.b)),
    "input clipped to zero where negative": lambda ops: ops._replace(a=np.maximum(ops.a, 0)),
    "bias missing": lambda ops: ops._replace(bias=None),
    "bias added twice": lambda ops: ops._replace(bias=None if ops.bias is None else 2 * ops.bias),
    "bias negated": lambda ops: ops._replace(bias=None if ops.bias is None else -ops.bias),
    "bias only on the first filter": lambda ops: ops._replace(
        bias=None if ops.bias is None else ops.bias * (np.arange(len(ops.bias)) == 0)
    ),
    "bias in reverse order": lambda ops: ops._replace(bias=None if ops.bias is None else ops.bias[::-1]),
}


@pytest.mark.parametrize("words", OPERANDS)
def test_names_what_becomes_of_an_operand(engine, words):
    """An operand, or the bias, is changed first."""

    def apply(which, problem, operands):
        return contract(which, problem, *OPERANDS[words](operands)).astype(operands.a.dtype)

    found = diagnose(engine(apply), BIASED)
    assert (found.words, found.known) == (words, True)


def test_sees_that_a_bias_is_not_scaled_along(engine):
    """The mean over the channels, to which the bias is added."""

    def apply(which, problem, operands):
        mean = contract(which, problem, *operands[:2]) / problem.channels_per_group
        bias = 0 if operands.bias is None else operands.bias.reshape(-1, *(1,) * problem.ndim)
        return (mean + bias).astype(operands.a.dtype)

    assert diagnose(engine(apply), BIASED).words == "result divided by the number of channels per group"


@pytest.mark.parametrize("axis", [0, 1])
def test_names_axis_of_the_bias(engine, axis):
    """The bias stands along a spatial axis, where it fits there."""

    def apply(which, problem, operands):
        x, w, bias = operands
        if bias is None or problem.filters != problem.output[axis]:
            return contract(which, problem, x, w, bias).astype(x.dtype)
        added = bias.reshape(-1, 1) if axis == 0 else bias
        return (contract(which, problem, x, w) + added).astype(x.dtype)

    found = diagnose(engine(apply, ndims=(2,)), BIASED)
    assert (found.words, found.known) == (f"bias added along axis {axis} instead of the filters", True)


def remembering(change):
    """Change the operands by those of the first call on a problem."""
    memory = {}

    def apply(which, problem, operands):
        before = memory.setdefault(problem, type(operands)(*(None if a is None else a.copy() for a in operands)))
        return contract(which, problem, *change(operands, before)).astype(operands.a.dtype)

    return apply


EARLIER = {
    "weight of an earlier call used": lambda now, before: now._replace(b=before.b),
    "input of an earlier call used": lambda now, before: now._replace(a=before.a),
    "result of an earlier call returned": lambda _, before: before,
}


@pytest.mark.parametrize("words", EARLIER)
def test_names_what_is_remembered(engine, words):
    """Something is kept from the first call on the same problem."""
    assert diagnose(engine(remembering(EARLIER[words])), PLAIN).words == words


def test_names_results_that_come_one_call_late(engine):
    """Each call returns the result of the one before."""
    late = {}

    def apply(which, problem, operands):
        result = contract(which, problem, *operands).astype(operands.a.dtype)
        before, late[problem] = late.get(problem, result), result
        return before

    assert diagnose(engine(apply), PLAIN).words == "result of an earlier call returned"


def test_names_weight_cached_by_its_first_element(engine):
    """A cache that looks at one element mistakes one weight for another."""
    cache = {}

    def apply(which, problem, operands):
        key = (problem, float(operands.b.flat[0]))
        weight = cache.setdefault(key, operands.b.copy())
        return contract(which, problem, operands.a, weight, operands.bias).astype(operands.a.dtype)

    assert diagnose(engine(apply), PLAIN).words == "weight of an earlier call used"


def test_says_that_results_change(engine):
    """Every second call is wrong in a way that nothing explains."""
    calls = []

    def apply(which, problem, operands):
        calls.append(0)
        y = contract(which, problem, *operands)
        y.flat[:: len(calls) % 7 + 2] += len(calls) % 5
        return y.astype(operands.a.dtype)

    found = diagnose(engine(apply), PLAIN)
    assert (found.words, found.known) == ("not deterministic: equal operands give different results", True)


def test_names_operand_that_is_written_to(engine):
    """The result is right, and the input is not the same afterwards."""

    def apply(which, problem, operands):
        result = contract(which, problem, *operands).astype(operands.a.dtype)
        operands.a.flat[0] = 0
        return result

    assert diagnose(engine(apply), PLAIN).words == "writes to its input"


def test_names_layouts_that_are_misread(engine):
    """The memory of the input is read as if it was contiguous."""

    def apply(which, problem, operands):
        x = operands.a if operands.a.flags.c_contiguous else np.ascontiguousarray(operands.a)[..., ::-1]
        return contract(which, problem, x, *operands[1:]).astype(x.dtype)

    found = diagnose(engine(apply), PLAIN.replace(channels=1, filters=1))
    words, _, layouts = found.words.partition(": ")
    assert words == "misreads operands that are not contiguous"
    assert {"strided", "reversed"} <= set(layouts.split(", "))
    assert "contiguous" not in layouts.split(", ")
