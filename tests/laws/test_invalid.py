"""Invalid calls: only what the engine's features allow to ask, and each really no convolution."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.engines.capabilities import FEATURES
from convcheck.errors import ShapeError
from convcheck.laws.invalid import invalid_calls
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.reference.definition import correlate_by_definition

GROUPED = Problem(
    size=(5, 6), kernel=(2, 3), padding=((1, 0), (0, 0)), batch=2, groups=2, channels=4, filters=6, bias=True
)
PLAIN = Problem(size=(5,), kernel=(2,))


def calls(problem=GROUPED, features=FEATURES):
    roles = (*Map.FORWARD.roles, *(["bias"] if problem.bias else []))
    operands = Operands(*(make(problem, role, Fill("ones")) for role in roles))
    return {
        what: (wrong, given)
        for what, wrong, given in invalid_calls(Map.FORWARD, problem, operands, frozenset(features))
    }


def test_everything_is_asked_of_an_engine_that_offers_everything():
    assert set(calls()) == {
        "kernel larger than the padded input",
        "kernel larger than axis 0 of the padded input",
        "kernel larger than axis 1 of the padded input",
        "dilation 6 of a padded input of 6",
        "input lacks a channel",
        "input has a channel too many",
        "2 groups of 7 filters",
        "5 groups of 4 channels",
        "0 groups",
        "stride 0",
        "stride -1",
        "stride 0 on axis 0",
        "stride 0 on axis 1",
        "dilation 0",
        "dilation -1",
        "dilation 0 on axis 0",
        "dilation 0 on axis 1",
        "padding -1",
        "padding -1 on axis 0",
        "padding -1 on axis 1",
        "one axis too many",
        "bias one too long",
        "bias one too short",
    }


def test_only_a_kernel_that_is_too_large_is_asked_of_a_bare_function():
    assert set(calls(PLAIN, ())) == {"kernel larger than the padded input"}


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        ("stride", {"stride 0", "stride -1"}),
        ("dilation", {"dilation 0", "dilation -1", "dilation 5 of a padded input of 5"}),
        ("padding", {"padding -1"}),
        ("groups", {"2 groups of 1 channels", "0 groups"}),
        ("channels", {"one axis too many"}),
    ],
)
def test_a_feature_is_asked_about_where_it_is_offered(feature, expected):
    assert set(calls(PLAIN, (feature,))) - set(calls(PLAIN, ())) == expected


def test_a_bias_is_asked_about_where_there_are_filters_enough():
    """A bias of two for one filter might be broadcast; it is left out."""
    assert "bias one too long" not in calls(PLAIN.replace(bias=True))
    assert "bias one too short" not in calls(PLAIN.replace(filters=2, bias=True))


@pytest.mark.parametrize("name", ["stride", "dilation", "padding"])
def test_one_axis_alone_is_asked_about_where_axes_may_differ(name):
    features = set(FEATURES) - {f"unequal-{name}"}
    assert not [what for what in calls(GROUPED, features) if what.startswith(name) and " on axis " in what]


def test_a_dilation_is_too_large_on_all_axes_where_they_may_not_differ():
    wrong, _ = calls(GROUPED, set(FEATURES) - {"unequal-dilation"})["dilation 6 of a padded input of 6"]
    assert wrong.dilation == (6, 6)


def test_a_kernel_is_too_large_along_one_axis_alone():
    _, given = calls()["kernel larger than axis 1 of the padded input"]
    assert given.b.shape == (6, 2, 2, 7)


def test_filters_that_groups_do_not_divide_come_with_a_bias_for_each():
    _, given = calls()["2 groups of 7 filters"]
    assert (given.b.shape[0], given.bias.shape) == (7, (7,))


@pytest.mark.parametrize("what", calls())
def test_every_call_is_refused_by_the_definition(what):
    wrong, (x, w, b) = calls()[what]
    options = {name: getattr(wrong, name) for name in ("stride", "padding", "dilation", "groups")}
    with pytest.raises((ShapeError, ZeroDivisionError)):
        _check(wrong, x, w, b, options)


def _check(wrong, x, w, b, options):
    if min(end for pair in wrong.padding for end in pair) < 0:
        raise ShapeError("negative padding, which the definition takes as cropping")
    correlate_by_definition(x, w, b, **options)


def test_the_operands_of_the_valid_problem_are_left_alone():
    problem = GROUPED
    operands = Operands(*(make(problem, role, Fill("ones")) for role in ("x", "w", "bias")))
    before = [array.copy() for array in operands]
    list(invalid_calls(Map.FORWARD, problem, operands, frozenset(FEATURES)))
    assert [np.array_equal(a, b) for a, b in zip(before, operands, strict=True)] == [True] * 3
