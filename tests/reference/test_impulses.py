"""One call of one-hot operands holds the same responses as one call a pair."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck.bounds import Numerics
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv, Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.errors import UnsupportedError
from convcheck.problem import Map, Problem
from convcheck.reference.impulses import certify, impulse_call
from convcheck.reference.maps import contract

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)

NUMERICS = (Numerics(), Numerics(splits=8), Numerics(normwise=True), Numerics(input_roundoff=2.0**-11))
GROUPED = Problem(
    size=(3, 2),
    kernel=(2, 1),
    stride=(1, 2),
    padding=((1, 0), (0, 1)),
    batch=2,
    groups=2,
    channels=4,
    filters=6,
)


@st.composite
def tiny(draw):
    """Draw a problem with few enough positions to call once a pair of one-hots."""
    ndim, groups, fan_in, fan_out, batch = (draw(st.integers(1, 2)) for _ in range(5))
    kernel, stride, dilation = (draw(st.tuples(*[st.integers(1, 2)] * ndim)) for _ in range(3))
    padding = draw(st.tuples(*[st.tuples(st.integers(0, 1), st.integers(0, 1))] * ndim))
    size = tuple(
        max(1, d * (k - 1) + 1 - sum(p)) + draw(st.integers(0, 1))
        for d, k, p in zip(dilation, kernel, padding, strict=True)
    )
    return Problem(
        size=size,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        batch=batch,
        groups=groups,
        channels=groups * fan_in,
        filters=groups * fan_out,
    )


def one_hots(problem, role):
    shape = problem.shapes[role]
    return list(np.eye(prod(shape)).reshape(-1, *shape))


def pair_by_pair(which, problem):
    """Responses to the pairs of one-hots of a group, one call each; pairs of different groups do not meet."""
    c, o = problem.channels_per_group, problem.filters_per_group
    counts = {
        Map.FORWARD: {"batch": 1, "channels": c, "filters": 1},
        Map.GRAD_INPUT: {"batch": 1, "channels": 1, "filters": o},
        Map.GRAD_WEIGHT: {"channels": 1, "filters": 1},
    }[which]
    one = problem.replace(groups=1, **counts)
    firsts, seconds = (one_hots(one, role) for role in which.roles)
    table = np.array([[contract(which, one, a, b)[0, 0] for b in seconds] for a in firsts])
    if which is Map.GRAD_WEIGHT:
        return np.concatenate([table] * problem.groups)
    whole = np.zeros((problem.groups, len(firsts), problem.groups, *table.shape[1:]))
    for group in range(problem.groups):
        whole[group, :, group] = table
    return whole.reshape(problem.groups * len(firsts), -1, *table.shape[2:])


def conv_of(which, features=FEATURES, change=lambda result: result, numerics=NUMERICS[0]):
    offered = Capabilities((1, 2, 3), ("f32", "f64"), frozenset(features), tuple(Map))

    def apply(which, problem, operands):
        return change(contract(which, problem, *operands).astype(DTYPES[problem.dtype].numpy))

    return Conv(Engine("contract", offered, apply, numerics=numerics), which)


@unhurried
@given(tiny(), st.sampled_from(Map))
def test_one_call_gives_the_responses_of_all_pairs_of_one_hots(problem, which):
    stacked, a, b = impulse_call(which, problem)
    assert pair_by_pair(which, problem).tolist() == contract(which, stacked, a, b).tolist()


@unhurried
@given(tiny(), st.sampled_from(Map))
def test_an_impulse_call_has_the_problem_s_geometry(problem, which):
    stacked, _, _ = impulse_call(which, problem)
    geometry = ("size", "kernel", "stride", "padding", "dilation", "groups", "dtype", "same")
    assert [getattr(problem, n) for n in geometry] == [getattr(stacked, n) for n in geometry]


@unhurried
@given(tiny(), st.sampled_from(Map))
def test_impulse_operands_have_the_shapes_of_their_call(problem, which):
    stacked, a, b = impulse_call(which, problem)
    assert [stacked.shapes[role] for role in which.roles] == [a.shape, b.shape]


@pytest.mark.parametrize("which", Map)
@pytest.mark.parametrize("features", [FEATURES, set(FEATURES) - {"batch", "channels"}])
def test_a_right_engine_realises_what_is_expected(which, features):
    single = "channels" not in features
    problem = GROUPED.replace(batch=1, groups=1, channels=1, filters=1) if single else GROUPED
    realised, expected, _ = certify(conv_of(which, features), problem)
    assert expected.tolist() == realised.tolist()


@pytest.mark.parametrize("which", Map)
@pytest.mark.parametrize("features", [FEATURES, set(FEATURES) - {"batch", "channels"}])
def test_a_shifted_engine_realises_something_else(which, features):
    problem = GROUPED.replace(batch=1, groups=1, channels=1, filters=1, size=(3, 4), kernel=(2, 2))
    conv = conv_of(which, features, change=lambda result: np.roll(result, 1, axis=-1))
    realised, expected, _ = certify(conv, problem)
    assert expected.tolist() != realised.tolist()


@pytest.mark.parametrize("which", Map)
def test_certificates_with_and_without_batches_have_the_same_ones(which):
    problem = GROUPED.replace(batch=1, groups=1, channels=1, filters=1)
    together, *_ = certify(conv_of(which), problem)
    apart, *_ = certify(conv_of(which, set(FEATURES) - {"batch", "channels"}), problem)
    assert apart.sum() == together.sum()


@pytest.mark.parametrize("which", Map)
@pytest.mark.parametrize("features", [FEATURES, set(FEATURES) - {"batch", "channels"}])
@pytest.mark.parametrize(("numerics", "allowed"), [*zip(NUMERICS, (False, False, True, False), strict=True)])
def test_a_certificate_allows_errors_to_engines_that_declare_a_transform_alone(which, features, numerics, allowed):
    problem = GROUPED.replace(batch=1, groups=1, channels=1, filters=1)
    _, expected, slack = certify(conv_of(which, features, numerics=numerics), problem)
    assert np.all(slack[expected != 0] > 0) == allowed


def test_expected_responses_are_of_the_problem_s_dtype():
    _, expected, _ = certify(conv_of(Map.FORWARD), GROUPED.replace(dtype="f64"))
    assert expected.dtype == np.float64


@pytest.mark.parametrize("features", [FEATURES, set(FEATURES) - {"batch"}])
def test_no_certificate_takes_more_work_than_the_engine_s_speed_allows(features):
    conv = conv_of(Map.FORWARD, features)
    problem = Problem(size=(2, 3), kernel=(2, 2))
    conv.engine = conv.engine.replace(capabilities=replace(conv.engine.capabilities, work_limit=1))
    with pytest.raises(UnsupportedError, match="too large to certify"):
        certify(conv, problem)


def test_no_certificate_has_operands_that_fill_the_memory():
    problem = Problem.parse("f32 n1 g2 c2 o2 i33x34x17 k5x5x3 d8x8x8")  # 38,000 channels of as many elements
    with pytest.raises(UnsupportedError, match="too large to certify"):
        certify(conv_of(Map.GRAD_WEIGHT), problem)


def test_no_certificate_takes_more_than_ten_thousand_calls():
    conv = conv_of(Map.FORWARD, set(FEATURES) - {"channels"})
    with pytest.raises(UnsupportedError, match="too large to certify"):
        certify(conv, Problem(size=(102,), kernel=(102,)))


def test_no_certificate_has_more_planes_than_a_loop_over_them_has_time_for():
    conv = conv_of(Map.FORWARD)
    certify(conv, Problem(size=(1,), kernel=(1,), channels=46, filters=1))
    with pytest.raises(UnsupportedError, match="too large to certify"):  # 47 images, 47 filters and 47 channels
        certify(conv, Problem(size=(1,), kernel=(1,), channels=47, filters=1))
