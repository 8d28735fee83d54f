"""Engines: what they admit, and a call as a law sees it."""

from __future__ import annotations

import warnings
from contextlib import nullcontext

import numpy as np
import pytest

from convcheck.bounds import Numerics
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv, Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.errors import MisshapenError, TargetRaisedError, UnsupportedError
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

EVERYTHING = Capabilities((1, 2, 3), tuple(DTYPES), frozenset(FEATURES), tuple(Map))
PLAIN = Problem(size=(4, 5), kernel=(2, 3))


def right(which, problem, operands):
    return contract(which, problem, *operands).astype(DTYPES[problem.dtype].numpy)


def conv_of(apply=right, which=Map.FORWARD, **changes):
    return Conv(Engine("it", EVERYTHING, apply).replace(**changes), which)


def operands_of(problem, which=Map.FORWARD, kind="dense", limit=3):
    roles = (*which.roles, *(["bias"] if problem.bias else []))
    return Operands(*(make(problem, role, Fill(kind, limit)) for role in roles))


# -- capabilities ----------------------------------------------------------------------------------------------


def test_a_plain_problem_is_admitted_by_who_offers_no_feature():
    assert Capabilities((2,), ("f32",)).admits(PLAIN) == ""


@pytest.mark.parametrize(
    ("feature", "line"),
    [
        ("batch", "n2 i4x4 k2x2"),
        ("batch", "n0 i4x4 k2x2"),
        ("channels", "c2 i4x4 k2x2"),
        ("channels", "o2 i4x4 k2x2"),
        ("bias", "i4x4 k2x2 bias"),
        ("stride", "i4x4 k2x2 s2x2"),
        ("padding", "i4x4 k2x2 p1x1"),
        ("dilation", "i4x4 k2x2 d2x2"),
        ("groups", "g2 c4 o2 i4x4 k2x2"),
        ("unequal-stride", "i4x4 k2x2 s1x2"),
        ("unequal-padding", "i4x4 k2x2 p0x1"),
        ("unequal-dilation", "i4x4 k2x2 d1x2"),
        ("two-sided-padding", "i4x4 k2x2 p0:1x0:1"),
        ("same-padding", "i4x4 k2x2 psame:0:1x0:1"),
        ("same-lower", "i4x4 k2x2 psame-lower:1:0x1:0"),
        ("strided-same", "i4x4 k3x3 s2x2 psame:0:1x0:1"),
    ],
)
def test_a_problem_is_refused_for_the_feature_that_is_lacking(feature, line):
    lacking = Capabilities((2,), ("f32",), frozenset(FEATURES) - {feature})
    assert lacking.admits(Problem.parse(line)) == feature


def test_a_transposed_convolution_without_output_padding_leaves_nothing_over():
    offered = Capabilities((1,), ("f32",), frozenset({"stride"}), (Map.GRAD_INPUT,), primary=Map.GRAD_INPUT)
    assert offered.admits(Problem.parse("i4 k1 s3")) == ""
    assert offered.admits(Problem.parse("i5 k1 s3")) == "output-padding"


@pytest.mark.parametrize(
    ("features", "lacking"), [({"depthwise"}, ""), ({"groups"}, "channels"), ((), "channels, groups")]
)
def test_channels_that_are_groups_of_their_own_need_one_feature(features, lacking):
    assert Capabilities((1,), ("f32",), frozenset(features)).admits(Problem.parse("g2 c2 o2 i4 k2")) == lacking


def test_several_filters_of_a_channel_are_a_feature_of_their_own():
    problem = Problem.parse("g2 c2 o4 i4 k2")
    assert Capabilities((1,), ("f32",), frozenset({"depthwise"})).admits(problem) == "channels, groups"
    assert Capabilities((1,), ("f32",), frozenset({"depthwise", "multiplier"})).admits(problem) == ""


def test_every_feature_can_be_lacking():
    assert len(FEATURES) == len(set(FEATURES)) == 17


def test_padding_by_name_needs_not_to_be_two_sided():
    offered = Capabilities((1,), ("f32",), frozenset({"padding", "same-padding"}))
    assert offered.admits(Problem.parse("i4 k2 psame:0:1")) == ""


@pytest.mark.parametrize(("line", "expected"), [("i4 k2", "1 spatial axes"), ("bf16 i4x4 k2x2", "bf16")])
def test_a_problem_is_refused_for_its_axes_or_dtype(line, expected):
    assert expected == Capabilities((2,), ("f32",), frozenset(FEATURES)).admits(Problem.parse(line))


def test_everything_that_is_lacking_is_named():
    problem = Problem.parse("f16 n2 i4 k2 s2")
    assert Capabilities((2,), ("f32",)).admits(problem) == "batch, stride, 1 spatial axes, f16"


# -- calls -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("which", Map)
def test_a_call_returns_what_the_target_returns(which):
    operands = operands_of(PLAIN, which)
    expected = right(which, PLAIN, operands)
    assert expected.tolist() == conv_of(which=which)(PLAIN, *operands).tolist()


@pytest.mark.parametrize(("rows", "refused"), [(100_999, False), (101_000, True)])
def test_a_call_for_which_few_engines_have_the_memory_is_not_made(rows, refused):
    problem = Problem(size=(rows,), kernel=(1_000,))
    operands = Operands(*(np.zeros(problem.shapes[role], np.float32) for role in ("x", "w")))
    conv = conv_of(lambda *_: np.zeros(problem.shapes["y"], np.float32))
    with pytest.raises(UnsupportedError, match=r"too large for one call: 1\.0e\+08") if refused else nullcontext():
        conv(problem, *operands)


def test_a_call_without_a_bias_is_one_of_a_problem_without():
    seen = []
    conv_of(lambda *args: seen.append(args[1]) or right(*args))(PLAIN.replace(bias=True), *operands_of(PLAIN))
    assert seen == [PLAIN]


def test_a_call_with_a_bias_hands_it_on():
    problem = PLAIN.replace(bias=True)
    operands = operands_of(problem)
    result = conv_of()(problem, *operands)
    assert result.tolist() == right(Map.FORWARD, problem, operands).tolist()


def test_a_result_of_another_shape_is_an_error_that_shows_both():
    with pytest.raises(MisshapenError, match=r"the shape is \(1, 1, 3\), not \(1, 1, 3, 3\)"):
        conv_of(lambda *args: right(*args)[..., 0])(PLAIN, *operands_of(PLAIN))


def test_an_unchecked_result_may_have_any_shape():
    result = conv_of(lambda *_: np.zeros(7)).unchecked(PLAIN, operands_of(PLAIN))
    assert result.shape == (7,)


def test_a_problem_that_is_not_admitted_is_not_tried():
    conv = conv_of(capabilities=Capabilities((1,), ("f32",)))
    with pytest.raises(UnsupportedError, match="it does not take 2 spatial axes"):
        conv(PLAIN, *operands_of(PLAIN))


def test_an_attempt_does_not_ask_first():
    conv = conv_of(capabilities=Capabilities((1,), ("f32",)))
    assert conv.attempt(PLAIN, operands_of(PLAIN)).shape == (1, 1, 3, 3)


def test_an_exception_of_the_target_is_shown_by_its_first_line():
    def raising(*_):
        raise ValueError("no\nway")

    with pytest.raises(TargetRaisedError, match=r"^ValueError: no$") as caught:
        conv_of(raising)(PLAIN, *operands_of(PLAIN))
    assert isinstance(caught.value.__cause__, ValueError)


def test_a_message_that_begins_with_an_empty_line_is_shown():
    def raising(*_):
        raise ValueError("\n  no\nway")

    with pytest.raises(TargetRaisedError, match=r"^ValueError: no$"):
        conv_of(raising)(PLAIN, *operands_of(PLAIN))


def test_a_long_message_is_cut():
    def raising(*_):
        raise ValueError("x" * 1000)

    with pytest.raises(TargetRaisedError) as caught:
        conv_of(raising)(PLAIN, *operands_of(PLAIN))
    assert len(str(caught.value)) < 350


# -- slack -----------------------------------------------------------------------------------------------------


def test_exact_operands_leave_no_slack():
    assert conv_of().slack(PLAIN, operands_of(PLAIN)) == 0.0


def test_floats_leave_a_slack_an_element():
    slack = conv_of().slack(PLAIN, operands_of(PLAIN, kind="normal"))
    assert (slack.shape, bool(np.all(slack > 0))) == ((1, 1, 3, 3), True)


def test_sums_that_the_output_does_not_hold_leave_a_slack_where_a_law_adds_them_up():
    problem = PLAIN.replace(dtype="f16")
    operands = operands_of(problem, limit=60)
    conv = conv_of()
    assert conv.slack(problem, operands) == 0.0
    assert np.max(conv.slack(problem, operands, summed=True)) > 0


@pytest.mark.parametrize(
    ("numerics", "expected"),
    [(Numerics(), True), (Numerics(normwise=True), False), (Numerics(input_roundoff=0.1), False)],
)
def test_copies_leave_no_slack_to_a_direct_engine(numerics, expected):
    slack = conv_of(numerics=numerics).slack(PLAIN, operands_of(PLAIN, kind="normal"), copies=True)
    assert expected == (np.max(slack) == 0)


# -- hostile targets -------------------------------------------------------------------------------------------


def saying(text):
    def raising(*_):
        raise ValueError(text)

    return raising


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[31mred\x00", r"\x1b[31mred\x00"), ("\ud800", r"\ud800"), ("a\u202eb", r"a\u202eb"), ("größer", "größer")],
)
def test_what_no_terminal_can_show_is_escaped(text, shown):
    with pytest.raises(TargetRaisedError) as caught:
        conv_of(saying(text))(PLAIN, *operands_of(PLAIN))
    assert str(caught.value) == f"ValueError: {shown}"


def test_an_exception_that_raises_what_is_no_exception_when_it_is_printed_is_shown_without_its_text():
    class HostileError(NotImplementedError):
        def __str__(self):
            raise SystemExit

    def raising(*_):
        raise HostileError

    with pytest.raises(UnsupportedError, match="cannot be printed"):
        conv_of(raising)(PLAIN, *operands_of(PLAIN))


def test_how_the_target_treats_floating_point_errors_and_warnings_does_not_outlive_its_call():
    def disturbing(*args):
        np.seterr(all="raise")
        warnings.simplefilter("error")
        return right(*args)

    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        conv_of(disturbing)(PLAIN, *operands_of(PLAIN))
        assert np.isinf(np.ones(1) / np.zeros(1))
        warnings.warn("heard by nobody", stacklevel=1)


def test_complex_numbers_are_no_result_of_real_operands():
    with pytest.raises(TargetRaisedError, match=r"returned complex numbers \(complex128\) of f32 operands"):
        conv_of(lambda *args: right(*args).astype(complex))(PLAIN, *operands_of(PLAIN))
