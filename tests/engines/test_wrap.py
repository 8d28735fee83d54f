"""Wrapping a function: what it takes is read from its signature, and found by tiny calls."""

from __future__ import annotations

import sys
import threading
import time
import warnings
from functools import partial

import numpy as np
import pytest
import scipy.signal

from convcheck.bounds import Numerics
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.engines.facts import Watch
from convcheck.engines.wrap import wrap
from convcheck.errors import TargetRaisedError, UnsupportedError, UsageError
from convcheck.laws import BY_NAME
from convcheck.operands import Fill, Operands, make
from convcheck.plan import PROFILES
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract
from convcheck.run import verify
from convcheck.space import Space, seeded


def layer(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """The layer of any rank, with every parameter in any form: what the functions below are made of."""
    ndim = x.ndim - 2
    if padding == "same":
        total = [d * (k - 1) for d, k in zip(per_axis(dilation, ndim), w.shape[2:], strict=True)]
        padding = [(t // 2, t - t // 2) for t in total]
    pads = [p if isinstance(p, tuple) else (p, p) for p in per_axis(padding, ndim)]
    name = next(n for n, d in DTYPES.items() if d.numpy == x.dtype)
    problem = Problem(
        size=x.shape[2:],
        kernel=w.shape[2:],
        stride=per_axis(stride, ndim),
        padding=tuple(pads),
        dilation=per_axis(dilation, ndim),
        batch=len(x),
        channels=x.shape[1],
        filters=len(w),
        groups=groups,
        dtype=name,
    )
    if w.shape[1] * groups != x.shape[1] or not problem.is_valid:
        raise ValueError(f"{x.shape} and {w.shape} do not go together")
    number = np.int64 if x.dtype.kind == "i" else np.float64
    return contract(Map.FORWARD, problem, x, w, bias, number=number).astype(x.dtype)


def per_axis(value, ndim):
    return tuple(value) if isinstance(value, tuple | list) else (value,) * ndim


def only(kind, *values):
    """Raise unless all values are of a kind, as a function does that takes no other form."""
    if not all(isinstance(value, kind) for value in values):
        raise TypeError(f"{values} should be of {kind}")


def corr1d(X, K):
    return np.correlate(X, K, "valid")


def corr2d(X, K):
    return layer(X[None, None], K[None, None])[0, 0]


def conv2d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    if x.ndim != 4:
        raise ValueError(f"x has {x.ndim} axes")
    return layer(x, w, bias, stride, padding, dilation, groups)


def any_rank(x, w, stride=1):
    return layer(x, w, stride=stride)


def with_pairs(x, w, padding=((0, 0), (0, 0))):
    only(tuple, padding, *padding)
    return layer(x, w, padding=padding)


def with_int_or_pairs(x, w, pads=0):
    if not isinstance(pads, int):
        only(tuple, pads, *pads)
    return layer(x, w, padding=pads)


def with_every_form(x, w, pad=0):
    return layer(x, w, padding=pad)


def with_scalar_stride(x, w, s=1):
    only(int, s)
    return layer(x, w, stride=s)


def with_tuple_stride(x, w, strides=(1, 1)):
    only(tuple, strides)
    return layer(x, w, stride=strides)


def keyword_only(x, w, *, rate=1):
    return layer(x, w, dilation=rate)


def positional_only(x, w, b=None, strides=1, /):
    return layer(x, w, b, strides)


def without_names(x, w, padding=0):
    only((int, tuple), padding)
    return layer(x, w, padding=padding)


def refusing_dilation(x, w, stride=1, dilation=1):
    if max(per_axis(dilation, 2)) > 1:
        raise NotImplementedError("dilation")
    return layer(x, w, stride=stride)


def refusing_batches(x, w, bias=None, groups=1):
    if len(x) != 1 or groups > 1 or bias is not None:
        raise NotImplementedError
    return layer(x, w)


def returning_lists(X, K):
    return corr1d(X, K).tolist()


def returning_none(X, K):
    return None


def raising(x, w):
    raise RuntimeError("not today")


def too_short(x, w):
    return layer(x, w)[..., :-1]


def of_float64(x, w):
    return layer(x.astype(np.float64), w.astype(np.float64))


def in_its_own_type(X, K):
    total = np.zeros(len(X) - len(K) + 1, X.dtype)
    for k, value in enumerate(K):
        total = (total + (X[k : k + len(total)] * value).astype(X.dtype)).astype(X.dtype)
    return total


def by_fft(X, K):
    return scipy.signal.fftconvolve(X, K[::-1], "valid").astype(X.dtype)


def annotated(x: np.ndarray, w: np.ndarray) -> np.ndarray:
    return layer(x, w)


def features(function, **options):
    return wrap(function, **{"ndim": 2, **options}).capabilities.features


PLAIN = frozenset({"batch", "channels"})


# -- style and axes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "style", "ndims"),
    [(corr1d, "bare", (1,)), (corr2d, "bare", (2,)), (conv2d, "functional", (2,)), (any_rank, "functional", (1, 2, 3))],
)
def test_style_and_axes_are_found(function, style, ndims):
    engine = wrap(function)
    assert (f"style: {style}" in engine.notes, engine.capabilities.ndims) == (True, ndims)


def test_axes_that_no_name_tells_are_found_by_trying():
    assert wrap(lambda x, w, stride=1: layer(x, w, stride=stride)).capabilities.ndims == (1, 2, 3)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("corr1d", (1,)), ("mine.conv2d_ops:corr1d", (1,)), ("mine.ops1d:corr", (1,)), ("mine:Conv1D", (1,))],
)
def test_axes_are_read_from_the_function_s_name_before_the_module_s(name, expected):
    assert expected == wrap(corr1d, name=name).capabilities.ndims


@pytest.mark.parametrize(("ndim", "expected"), [(1, (1,)), ((1, 3), (1, 3)), ([2], (2,))])
def test_axes_may_be_told(ndim, expected):
    assert expected == wrap(any_rank, ndim=ndim).capabilities.ndims


def test_unequal_parameters_are_found_where_one_of_the_axes_told_is_one():
    assert "unequal-stride" in features(any_rank, ndim=(1, 2))


def test_a_bare_function_takes_one_image_one_channel_and_no_parameter():
    assert features(corr2d) == frozenset()


# -- parameters ------------------------------------------------------------------------------------------------


def test_a_function_with_every_parameter_offers_every_feature_but_two_sided_padding():
    def strict(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
        if padding != "same":
            only(int, *per_axis(padding, 2))
        return layer(x, w, bias, stride, padding, dilation, groups)

    expected = PLAIN | {
        "groups", "bias", "stride", "padding", "dilation", "same-padding",
        "unequal-stride", "unequal-padding", "unequal-dilation",
    }  # fmt: skip
    assert features(strict) == expected


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (with_scalar_stride, {"stride"}),
        (with_tuple_stride, {"stride", "unequal-stride"}),
        (keyword_only, {"dilation", "unequal-dilation"}),
        (positional_only, {"bias", "stride", "unequal-stride"}),
        (with_pairs, {"padding", "unequal-padding", "two-sided-padding"}),
        (with_int_or_pairs, {"padding", "unequal-padding", "two-sided-padding"}),
        (without_names, {"padding", "unequal-padding", "two-sided-padding"}),
        (refusing_dilation, {"stride", "unequal-stride"}),
    ],
)
def test_the_forms_that_work_are_the_features_that_are_offered(function, expected):
    assert features(function) == PLAIN | expected


def test_what_raises_not_implemented_is_not_offered():
    assert features(refusing_batches) == {"channels"}


@pytest.mark.parametrize(("multiplier", "expected"), [(1, {"depthwise"}), (2, {"depthwise", "multiplier"})])
def test_channels_that_are_groups_of_their_own_are_found_by_what_comes_back(multiplier, expected):
    def depthwise(x, w):
        if w.shape[1] != 1 or len(w) % x.shape[1] or len(w) // x.shape[1] > multiplier:
            raise ValueError("one filter a channel")
        return layer(x, w, groups=x.shape[1])

    assert features(depthwise) == {"batch"} | expected


def test_a_depthwise_function_that_is_wrong_is_depthwise():
    def first_kernel_for_all(x, w):
        if w.shape[1] != 1:
            raise NotImplementedError("depthwise")
        return layer(x, np.repeat(w[:1], len(w), axis=0), groups=x.shape[1])

    assert features(first_kernel_for_all) == {"batch", "depthwise", "multiplier"}


@pytest.mark.parametrize("multiples", [(8, 8), (4, 1), (3, 1), (1, 2)])
def test_channels_and_filters_that_come_in_multiples_are_found(multiples):
    def tiled(x, w, stride=1):
        if x.shape[1] % multiples[0] or len(w) % multiples[1]:
            raise NotImplementedError("whole tiles only")
        return layer(x, w, stride=stride)

    offered = wrap(tiled, ndim=2).capabilities
    assert (offered.multiples, offered.features) == (multiples, PLAIN | {"stride", "unequal-stride"})


def test_a_function_that_only_widens_is_not_judged_unless_asked_for():
    def widening(x, w):
        if x.dtype != np.int8:
            raise TypeError("int8 only")
        return layer(x.astype(np.int32), w.astype(np.int32))

    with pytest.raises(UsageError, match=r"not of their operands' type: i8 \(comes back as int32\)"):
        wrap(widening, ndim=2)
    assert wrap(widening, ndim=2, dtypes=("i8",)).capabilities.dtypes == ("i8",)


def test_a_function_with_groups_that_refuses_several_channels_of_one_is_depthwise():
    def depthwise(x, w, groups=1):
        if groups != x.shape[1]:
            raise NotImplementedError("one channel a group")
        return layer(x, w, groups=groups)

    assert features(depthwise) == {"batch", "groups", "depthwise", "multiplier"}


def test_several_channels_that_raise_are_judged_where_groups_could_be_asked_for():
    def wrong(x, w, groups=1):
        if groups != x.shape[1]:
            raise ValueError("a mistake")
        return layer(x, w, groups=groups)

    assert features(wrong) == {"batch", "channels", "groups"}


@pytest.mark.parametrize("function", [conv2d, with_pairs, with_int_or_pairs, with_every_form])
@pytest.mark.parametrize("line", ["i5x6 k2x3 p1:2x1:2", "i6x5 k2x3 p1:2x1:2", "i5x5 k2x2 p1x1", "i6x6 k2x2 p2x0:1"])
def test_padding_reaches_the_function_in_the_form_that_it_takes(function, line):
    problem = Problem.parse(line)
    x, w = (make(problem, role, Fill("dense", 9)) for role in "xw")
    expected = contract(Map.FORWARD, problem, x, w)
    assert expected.tolist() == Conv(wrap(function, ndim=2))(problem, x, w).tolist()


@pytest.mark.parametrize("size", [5, 6])
def test_a_parameter_of_several_forms_is_given_in_each_of_them(size):
    seen = set()

    def recording(x, w, stride=1):
        seen.add(type(stride))
        return layer(x, w, stride=stride)

    engine = wrap(recording, ndim=2)
    seen.clear()
    problem = Problem(size=(size, size), kernel=(2, 2), stride=(2, 2))
    Conv(engine)(problem, *(make(problem, role, Fill("ones")) for role in "xw"))
    assert seen == {int if size % 2 else tuple}


def test_padding_by_name_reaches_the_function_by_name():
    problem = Problem.parse("i5x6 k2x3 psame:0:1x1")
    x, w = (make(problem, role, Fill("dense", 9)) for role in "xw")
    expected = contract(Map.FORWARD, problem, x, w)
    assert expected.tolist() == Conv(wrap(conv2d, ndim=2))(problem, x, w).tolist()


def named(x, w, stride=1, padding="VALID"):
    """Padding by ONNX's names alone."""
    rules = {"VALID": {}, "SAME_UPPER": {"same": True}, "SAME_LOWER": {"same": True, "lower": True}}
    sizes = {"size": x.shape[2:], "kernel": w.shape[2:], "stride": per_axis(stride, x.ndim - 2)}
    return layer(x, w, stride=stride, padding=list(Problem(**sizes, **rules[padding]).padding))


def test_a_function_that_takes_padding_by_name_alone_is_given_no_numbers():
    expected = PLAIN | {"stride", "unequal-stride", "same-padding", "same-lower", "strided-same"}
    assert features(named) == expected


@pytest.mark.parametrize("line", ["i6x5 k4x3 psame:0x0", "i6x5 k4x2 psame-lower:0x0", "i6x5 k3x3 s2x3 psame-lower:0x0"])
def test_each_name_of_padding_reaches_the_function(line):
    problem = Problem.parse(line)
    x, w = (make(problem, role, Fill("dense", 9)) for role in "xw")
    expected = contract(Map.FORWARD, problem, x, w)
    assert expected.tolist() == Conv(wrap(named, ndim=2))(problem, x, w).tolist()


def test_a_function_that_takes_any_name_of_padding_is_asked_for_none():
    def heedless(x, w, padding=0):
        return layer(x, w, padding="same" if isinstance(padding, str) else padding)

    assert not features(heedless) & {"same-padding", "same-lower"}


def test_same_with_a_stride_is_left_out_where_it_means_something_else():
    def padded_before(x, w, stride=1, padding=0):
        return layer(x, w, stride=stride, padding=padding)

    assert features(padded_before) >= {"same-padding"}
    assert "strided-same" not in features(padded_before)


def test_a_name_of_padding_in_capitals_says_what_it_pads_with_a_stride():
    def padded_before(x, w, stride=1, padding="VALID"):  # as torch's "same", which goes with no stride
        return layer(x, w, stride=stride, padding={"SAME": "same", "VALID": 0}[padding])

    engine = wrap(padded_before, dtypes=("f64",))
    assert "strided-same" in engine.capabilities.features
    (violation,) = verify(engine, laws=["definition"], profile="smoke").violations
    assert (violation.case.problem.same, max(violation.case.problem.stride)) == (True, 2)


# -- how functions are written ---------------------------------------------------------------------------------


def textbook(x, w, stride=1, padding=0):
    """Ints alone, of which the sizes are computed."""
    _ = (x.shape[2] + 2 * padding - w.shape[2]) // stride
    return layer(x, w, stride=stride, padding=padding)


def all_required(x, w, b, stride, pad):
    return textbook(x, w, stride, pad) + b.reshape(-1, 1, 1)


def padded_by_default(x, w, stride=2, padding=1):
    return textbook(x, w, stride, padding)


def padded_as_torch(x, w, stride=1, pad=(0, 0, 0, 0)):
    left, right, top, bottom = pad
    return layer(x, w, stride=stride, padding=((top, bottom), (left, right)))


def padded_as_onnx(x, w, strides=(1, 1), pads=(0, 0, 0, 0)):
    return layer(x, w, stride=strides, padding=[(pads[0], pads[2]), (pads[1], pads[3])])


def with_a_cache(x, w, stride=1, padding=0):
    return textbook(x, w, stride, padding), (x, w)


def full_by_default(x, w, padding="full"):
    if padding == "full":
        return layer(x, w, padding=[(k - 1, k - 1) for k in w.shape[2:]])
    if padding != "valid":
        raise ValueError(padding)
    return layer(x, w)


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (textbook, {"stride", "padding"}),
        (all_required, {"stride", "padding", "bias"}),
        (padded_by_default, {"stride", "padding"}),
        (padded_as_torch, {"stride", "unequal-stride", "padding", "unequal-padding", "two-sided-padding"}),
        (padded_as_onnx, {"stride", "unequal-stride", "padding", "unequal-padding", "two-sided-padding"}),
        (with_a_cache, {"stride", "padding"}),
        (full_by_default, set()),
    ],
)
def test_functions_are_called_as_they_are_written(function, expected):
    engine = wrap(function, ndim=2)
    assert engine.capabilities.features == PLAIN | expected
    for line in ("i5x5 k2x2", "i5x5 k3x3 s2x2", "i5x5 k3x3 p1x1", "i4x4 k3x3 s2x2 p1x1"):
        problem = Problem.parse(line)
        if engine.capabilities.admits(problem):
            continue
        x, w = (make(problem, role, Fill("dense", 9)) for role in "xw")
        assert Conv(engine)(problem, x, w).tolist() == contract(Map.FORWARD, problem, x, w).tolist()


def padded_by_numpy(X, K, padding=0):
    """A pair of numbers is what `numpy.pad` takes it for: the two ends of every axis."""
    return of_two_axes(np.pad(X, padding), K)


def of_two_axes(X, K):
    if (X.ndim, K.ndim) != (2, 2):
        raise ValueError(X.shape)
    return corr2d(X, K)


def test_a_pair_that_pads_both_axes_is_not_one_number_an_axis():
    engine = wrap(padded_by_numpy)
    assert engine.capabilities.features == {"padding", "unequal-padding", "two-sided-padding"}
    problem = Problem.parse("i5x5 k2x2 p1x2")
    x, w = (make(problem, role, Fill("dense", 9)) for role in "xw")
    assert Conv(engine)(problem, x, w).tolist() == contract(Map.FORWARD, problem, x, w).tolist()


def test_a_form_that_is_taken_and_comes_out_wrong_is_judged():
    def forgetful(x, w, dilation=(1, 1)):
        return layer(x, w, dilation=1 if isinstance(dilation, int) else dilation)

    engine = wrap(forgetful, ndim=2)
    assert "unequal-dilation" in engine.capabilities.features
    problem = Problem(size=(5, 5), kernel=(2, 2), dilation=(2, 2))
    assert Conv(engine).unchecked(problem, Operands(*(make(problem, r, Fill("ones")) for r in "xw"))).shape[2:] == (
        4,
        4,
    )


def test_a_factor_that_is_a_little_wrong_is_no_transform():
    def off(x, w):
        y = layer(x, w)
        return y * (1 + 2.0**-51) if y.dtype == np.float64 else y

    assert not wrap(off, ndim=2).numerics.normwise


def test_integers_of_a_transform_are_judged():
    engine = wrap(by_fft, ndim=1)
    assert engine.numerics.normwise
    assert {"i32", "i8"} & {*engine.capabilities.dtypes}


def test_a_convolution_by_fft_is_found_out_where_it_is_declared_one():
    def flipped(X, K):
        return by_fft(X, K[::-1])

    assert wrap(flipped, ndim=1, convention="convolution").numerics.normwise


def test_the_name_of_a_module_says_nothing_of_the_style():
    assert wrap(conv2d, name="transposed_weights:conv2d").facts.style == "functional"


def test_a_convolution_that_is_made_of_a_transposed_one_is_a_convolution():
    assert wrap(conv2d, name="mine:conv_by_transpose2d").facts.style == "functional"


def test_a_name_that_misleads_about_axes_is_given_up_where_nothing_comes_back():
    assert wrap(of_two_axes, name="lib1d:corr").capabilities.ndims == (2,)


def test_axes_on_which_a_kernel_of_one_tap_alone_is_taken_are_not_the_targets():
    def of_one_axis(x, k):  # a single tap is broadcast over planes
        positions = len(x) - len(k) + 1
        return sum(x[j : j + positions] * k[j] for j in range(len(k)))

    assert wrap(of_one_axis, name="corr").capabilities.ndims == (1,)


@pytest.mark.parametrize("dtype", ["f16", "i32", "u8"])
def test_a_function_that_takes_one_rare_type_is_found(dtype):
    def picky(x, w):
        dtype_of = DTYPES[dtype].numpy
        if x.dtype != dtype_of:
            raise TypeError(x.dtype)
        return layer(x.astype(np.float64), w.astype(np.float64)).astype(dtype_of)

    assert wrap(picky, ndim=2).capabilities.dtypes == (dtype,)


def test_bfloat16_is_not_judged_where_a_numpy_function_takes_it_for_an_integer():
    def unaware(x, w):
        return layer(x, w) if x.dtype.kind == "f" else layer(x.astype(np.int64), w.astype(np.int64)).astype(x.dtype)

    engine = wrap(unaware, ndim=1)
    assert "bf16" not in engine.capabilities.dtypes
    assert any("bf16 (comes back as no sum of products" in note for note in engine.notes)


def test_a_plain_problem_leaves_the_function_to_its_own_defaults():
    def stubborn(x, w, stride=None, padding=None):
        return layer(x, w, stride=stride or 1, padding=padding or 0)

    problem = Problem(size=(4, 4), kernel=(2, 2))
    result = Conv(wrap(stubborn, ndim=2))(problem, *(make(problem, role, Fill("ones")) for role in "xw"))
    assert result.shape == (1, 1, 3, 3)


def test_a_grouped_layer_with_bias_is_called_with_everything():
    problem = Problem.parse("n2 g2 c4 o6 i7x8 k3x2 s2x1 p1x0 d1x2 bias")
    x, w, b = (make(problem, role, Fill("dense", 9)) for role in ("x", "w", "bias"))
    expected = contract(Map.FORWARD, problem, x, w, b)
    assert expected.tolist() == Conv(wrap(conv2d))(problem, x, w, b).tolist()


# -- results ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (returning_lists, "TypeError: returned a list instead of a numpy array"),
        (returning_none, "TypeError: returned None instead of a numpy array"),
    ],
)
def test_what_is_no_array_is_an_error_that_shows_it(function, message):
    problem = Problem(size=(4,), kernel=(2,))
    with pytest.raises(TargetRaisedError, match=message):
        Conv(wrap(function, ndim=1))(problem, *(make(problem, role, Fill("ones")) for role in "xw"))


@pytest.mark.parametrize(
    ("function", "met"),
    [(returning_none, "TypeError: returned None instead of a numpy array"), (raising, "RuntimeError: not today")],
)
def test_a_function_that_never_answers_is_judged_as_it_would_be_called(function, met):
    engine = wrap(function, ndim=1)
    assert f"no probe came back with an array: arrays of (5,) and (2,), as below, met {met}" in engine.notes
    assert (engine.capabilities.ndims, engine.capabilities.dtypes) == ((1,), ("f32",))


def test_a_function_of_the_wrong_shape_is_called_in_the_style_in_which_it_answered():
    engine = wrap(too_short, ndim=2)
    assert ("style: functional" in engine.notes, len(engine.capabilities.dtypes) > 1) == (True, True)


def test_not_implemented_is_no_error_of_the_target():
    problem = Problem(size=(9, 9), kernel=(2, 2), dilation=(2, 2))
    with pytest.raises(UnsupportedError, match="does not take dilation"):
        Conv(wrap(refusing_dilation, ndim=2))(problem, *(make(problem, role, Fill("ones")) for role in "xw"))


def test_a_warning_of_a_probe_is_nobody_s_business():
    def warning(X, K):
        warnings.warn("slow", UserWarning, stacklevel=1)
        return corr1d(X, K)

    assert wrap(warning, ndim=1).capabilities.ndims == (1,)


def test_an_interrupt_while_probing_is_passed_on():
    def interrupted(X, K):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        wrap(interrupted, ndim=1)


def test_an_interrupt_while_asking_what_is_refused_is_passed_on():
    def interrupted(x, w):
        if len(x) > 1:
            raise KeyboardInterrupt
        return layer(x, w)

    with pytest.raises(KeyboardInterrupt):
        wrap(interrupted, ndim=2)


def test_an_exit_while_probing_is_an_answer_like_any_other():
    def exiting(X, K):
        raise SystemExit(1)

    assert "no probe came back" in wrap(exiting, ndim=1).notes[0]


# -- dtypes, arithmetic and speed ------------------------------------------------------------------------------


def test_dtypes_that_come_back_as_themselves_are_judged():
    dtypes = ("f32", "f64", "f16", "bf16", "i64", "i32", "i16", "i8")
    assert wrap(conv2d).capabilities.dtypes[:8] == dtypes


def test_low_precision_that_comes_back_as_another_type_is_not_judged():
    engine = wrap(of_float64, ndim=2)
    assert engine.capabilities.dtypes == ("f32", "f64")
    assert any(note.startswith("dtypes not judged: f16 (comes back as float64)") for note in engine.notes)


def test_dtypes_may_be_told():
    assert wrap(conv2d, dtypes=["f32"]).capabilities.dtypes == ("f32",)


def test_dtypes_must_be_taken_on_all_axes():
    def picky(x, w, stride=1):
        if x.ndim == 5 and x.dtype == np.float16:
            raise TypeError("no float16 in three axes")
        return layer(x, w, stride=stride)

    assert "f16" not in wrap(picky, ndim=(1, 2, 3)).capabilities.dtypes
    assert "f16" in wrap(picky, ndim=(1, 2)).capabilities.dtypes


def test_numpy_s_own_arithmetic_is_known_to_round_after_every_step():
    engine = wrap(in_its_own_type, ndim=1)
    assert engine.numerics == Numerics(accumulators={"f16": "f16", "bf16": "bf16"})
    assert "accumulator: that of the operands in f16, bf16 (accumulator wide asks for float32)" in engine.notes


def test_sums_in_float64_are_held_to_the_sharpest_rule():
    engine = wrap(conv2d)
    assert (engine.numerics, "accuracy: componentwise" in engine.notes) == (Numerics(), True)


@pytest.mark.parametrize(
    ("function", "accuracy", "expected"),
    [(by_fft, None, True), (by_fft, "componentwise", False), (corr1d, "normwise", True), (corr1d, None, False)],
)
def test_an_fft_is_found_out_and_accuracy_may_be_told(function, accuracy, expected):
    assert expected == wrap(function, ndim=1, accuracy=accuracy).numerics.normwise


@pytest.mark.parametrize("ndim", [2, 3])
def test_a_layer_by_fft_is_found_out_on_several_axes(ndim):
    def by_channel(x, w):
        flipped = np.flip(w, tuple(range(2, w.ndim)))
        products = [[scipy.signal.fftconvolve(*pair, "valid") for pair in zip(x[0], o, strict=True)] for o in flipped]
        return np.sum(products, axis=1)[None].astype(x.dtype)

    assert wrap(by_channel, ndim=ndim, dtypes=["f32"]).numerics.normwise


def busy(seconds):
    start = time.thread_time()
    while time.thread_time() - start < seconds:
        pass


def test_a_slow_function_is_given_small_problems():
    def slow(X, K):
        busy(0.006)
        return corr1d(X, K)

    engine = wrap(slow, ndim=1)
    assert engine.capabilities.work_limit <= 5_000
    assert any(note.startswith("slow target: problems are kept below") for note in engine.notes)


def test_a_function_whose_threads_are_slow_is_slow():
    def threaded(X, K):
        thread = threading.Thread(target=busy, args=(0.006,))
        thread.start()
        thread.join()
        return corr1d(X, K)

    assert wrap(threaded, ndim=1).capabilities.work_limit <= 5_000


def test_a_very_slow_function_is_not_called_on_a_large_problem():
    sizes = []

    def very_slow(X, K):
        sizes.append(X.size)
        busy(0.06 if X.size > 100 else 0)
        return corr1d(X, K)

    assert wrap(very_slow, ndim=1).capabilities.work_limit == 1_000
    assert max(sizes) < 1_000


# -- array kinds -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("function", "ndim"), [(annotated, 2), (conv2d, None), (corr1d, None)])
def test_numpy_is_recognised(function, ndim):
    assert "arrays: numpy" in wrap(function, ndim=ndim).notes


def test_torch_is_recognised_by_annotations():
    torch = pytest.importorskip("torch")

    def conv(x, w):
        return torch.nn.functional.conv2d(x, w)

    conv.__annotations__ = {"x": torch.Tensor, "w": "torch.Tensor"}
    assert "arrays: torch" in wrap(conv, ndim=2).notes


@pytest.mark.parametrize("name", ["conv1d", "conv2d", "conv3d"])
def test_builtins_of_torch_are_recognised(name):
    torch = pytest.importorskip("torch")
    engine = wrap(getattr(torch, name))
    assert (engine.notes[0], engine.capabilities.ndims) == ("arrays: torch", (int(name[4]),))
    assert {"stride", "padding", "dilation", "groups", "bias"} <= engine.capabilities.features


def test_torch_is_recognised_by_what_the_function_s_module_uses():
    torch = pytest.importorskip("torch")
    namespace = {"torch": torch}
    exec("def conv(x, w):\n    return torch.conv2d(x, w)", namespace)  # noqa: S102 - a module of its own
    assert "arrays: torch" in wrap(namespace["conv"], ndim=2).notes


def test_numpy_is_tried_first_where_a_module_uses_both():
    torch = pytest.importorskip("torch")
    namespace = {"torch": torch, "np": np}
    exec("def corr(X, K):\n    return np.correlate(X, K)", namespace)  # noqa: S102 - a module of its own
    assert "arrays: numpy" in wrap(namespace["corr"], ndim=1).notes


def test_arrays_may_be_told():
    torch = pytest.importorskip("torch")
    assert "arrays: torch" in wrap(lambda x, w: -torch.conv2d(x, w), array="torch", ndim=2).notes


def test_a_device_means_torch():
    pytest.importorskip("torch")
    with pytest.raises(UsageError, match="the device 'meta' needs torch arrays, not numpy arrays"):
        wrap(conv2d, array="numpy", device="meta")
    assert "arrays: torch" in wrap(conv2d, device="meta", ndim=2).notes


def test_arrays_of_a_library_that_is_missing_are_an_error(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(UsageError, match="torch arrays need torch, which cannot be imported"):
        wrap(conv2d, array="torch")


# -- options ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"style": "fancy"}, "no style is called 'fancy'; there are functional, bare"),
        ({"convention": "both"}, "no convention is called 'both'; there are correlation, convolution"),
        ({"accuracy": "good"}, "no accuracy is called 'good'; there are componentwise, normwise"),
        ({"dtypes": ["f32", "f8"]}, "no dtype is called 'f8'; there are f64, f32"),
        ({"array": "cupy"}, "no arrays are called 'cupy'"),
        ({"ndim": 4}, "ndim is 4; convolutions have 1, 2 or 3 spatial axes"),
        ({"ndim": (1, 0)}, "ndim is 0; convolutions have 1, 2 or 3 spatial axes"),
    ],
)
def test_an_option_that_does_not_exist_is_shown(options, message):
    with pytest.raises(UsageError, match=message):
        wrap(conv2d, **options)


def test_a_style_may_be_told():
    assert "style: bare" in wrap(corr2d, style="bare", ndim=2).notes


def test_a_convolution_is_presented_as_the_correlation_that_it_becomes():
    problem = Problem(size=(5,), kernel=(3,))
    x, w = (make(problem, role, Fill("ramp")) for role in "xw")
    engine = wrap(lambda X, K: np.convolve(X, K, "valid"), ndim=1, convention="convolution")
    assert Conv(engine)(problem, x, w).tolist() == contract(Map.FORWARD, problem, x, w).tolist()


def test_a_name_may_be_told():
    assert wrap(corr1d, name="mine").name == "mine"


def test_a_callable_without_a_name_is_called_by_its_repr():
    class Layer:
        def __call__(self, X, K):
            return corr1d(X, K)

        def __repr__(self):
            return "Layer(1d)"

    assert wrap(Layer(), ndim=1).name == "Layer(1d)"


# -- facts -----------------------------------------------------------------------------------------------------


def test_facts_make_the_same_engine_again_without_a_probe():
    calls = []

    def counting(x, w, stride=1):
        calls.append(1)
        return layer(x, w, stride=stride)

    first = wrap(counting, ndim=2)
    calls.clear()
    again = wrap(counting, facts=first.facts)
    assert (len(calls), again.capabilities, again.numerics, again.notes) == (
        0,
        first.capabilities,
        first.numerics,
        first.notes,
    )


def test_every_probe_is_announced_and_those_to_avoid_are_not_made():
    announced = []
    wrap(corr1d, ndim=1, watch=Watch(announced.append))
    deadly = next(line for line in announced if "bf16" in line)
    again = []
    engine = wrap(corr1d, ndim=1, watch=Watch(again.append, frozenset({deadly})))
    assert (deadly in again, "bf16" in engine.capabilities.dtypes) == (False, False)


def test_a_target_that_died_of_four_probes_is_not_asked_for_its_arithmetic():
    dead = frozenset(f"numpy bare f32 n1 g1 c1 o1 i{size} k9 s1 p0 d1" for size in range(9, 13))
    asked, spared = [], []
    wrap(corr1d, ndim=1, watch=Watch(asked.append))
    engine = wrap(corr1d, ndim=1, watch=Watch(spared.append, dead))
    assert "arithmetic: not probed, since the target died of other probes" in engine.notes
    assert len(spared) < len(asked) / 2


def winograd_only(x, w, padding=0):
    if w.shape[2:] != (3, 3):
        raise NotImplementedError("3 x 3 kernels only")
    x = np.pad(x, ((0, 0), (0, 0), *[(p, p) for p in np.broadcast_to(padding, 2)]))
    windows = np.lib.stride_tricks.sliding_window_view(x, (3, 3), axis=(2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)


def test_kernels_that_are_refused_are_not_asked_for():
    engine = wrap(winograd_only)
    space = Space.of(engine.capabilities, BY_NAME["definition"], Map.FORWARD)
    kernels = {space.build(seeded(number)).kernel for number in range(50)}
    assert (engine.capabilities.kernels, kernels, space.table["kernel"]) == ((3,), {(3, 3)}, ("small", "odd", "full"))
    assert "kernels: 3 along every axis" in engine.notes


# -- complex numbers -------------------------------------------------------------------------------------------


def test_complex_operands_are_judged_where_the_plainest_come_back_right():
    def plain(x, w):
        if x.dtype.kind != "c":
            return layer(x, w)
        real, imaginary = layer(x.real, w.real) - layer(x.imag, w.imag), layer(x.real, w.imag) + layer(x.imag, w.real)
        return (real + 1j * imaginary).astype(x.dtype)

    assert {"complex64", "complex128"} <= {*wrap(plain, ndim=1).capabilities.dtypes}


def test_complex_operands_of_which_nothing_was_meant_are_not_judged_unless_they_are_asked_for():
    def conjugating(x, w):
        return layer(x, w.conj())

    engine = wrap(conjugating, ndim=1)
    assert "complex64" not in engine.capabilities.dtypes
    assert any("complex64 (comes back as no sum of products" in note for note in engine.notes)
    assert wrap(conjugating, ndim=1, dtypes=["complex64"]).capabilities.dtypes == ("complex64",)


class TestOfOneImage:
    """Functions of (C, H, W), as lessons have them, are given one image of a batch that has no other."""

    @staticmethod
    def alone(x, w, stride=1):
        if x.ndim != 3 or len(x) != w.shape[1]:
            raise ValueError(x.shape)
        rows, columns = w.shape[2:]
        windows = np.lib.stride_tricks.sliding_window_view(x, (rows, columns), (1, 2))[:, ::stride, ::stride]
        return np.einsum("chwij,ocij->ohw", windows, w).astype(x.dtype)

    def test_they_are_found_out(self):
        engine = wrap(self.alone)
        assert "images: one at a time, without a batch" in engine.notes
        assert engine.capabilities.features == {"channels", "stride"}

    def test_they_conform(self):
        report = verify(wrap(self.alone), profile="smoke", exclude_laws=("rejects-invalid",))
        assert [violation.law for violation in report.violations] == []

    def test_a_wrong_one_does_not(self):
        def last_column_zero(x, w, stride=1):
            y = self.alone(x, w, stride)
            y[..., -1] = 0
            return y

        assert verify(wrap(last_column_zero), profile="smoke", laws=("definition",)).violations


def test_a_number_that_must_be_told_is_found_also_where_other_kernels_are_refused():
    def conv2d(x, w, padding=1):
        if w.shape[2:] != (3, 3):
            raise NotImplementedError("3x3 only")
        x = np.pad(x, ((0, 0), (0, 0), *[(padding, padding)] * 2))
        return np.einsum("nchwij,ocij->nohw", np.lib.stride_tricks.sliding_window_view(x, (3, 3), (2, 3)), w)

    engine = wrap(conv2d)
    assert "kernels: 3 along every axis" in engine.notes
    assert "padding" in engine.capabilities.features


def half(x, w):
    """Refuse odd sizes; sum in the operands' own type."""
    if x.shape[2] % 2 or x.shape[3] % 2:
        raise NotImplementedError(x.shape)
    windows = np.lib.stride_tricks.sliding_window_view(x, w.shape[2:], (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, w)


class Called:
    """An object that is called like a function."""

    def __call__(self, x, w):
        return half(x, w)


@pytest.mark.parametrize("function", [partial(half), Called()])
def test_what_is_written_in_python_may_sum_in_its_own_type_however_it_is_called(function):
    assert any(note.startswith("accumulator: that of the operands in f16") for note in wrap(function).notes)


def refusing(fits, words="not that"):
    """A correlation of two planes that says what it doesn't take by an exception that might be a mistake's."""

    def corr2d(X, K):
        if not fits(X, K):
            raise ValueError(words)
        return correlated(X, K)

    return corr2d


def correlated(X, K):
    windows = np.lib.stride_tricks.sliding_window_view(X, K.shape)
    return np.einsum("ijkl,kl->ij", windows, K).astype(X.dtype)


FEW = PROFILES["smoke"].replace(random=4, certifying=30)


@pytest.mark.parametrize(
    ("fits", "kernels"),
    [
        (lambda _, K: K.shape[0] == K.shape[1], ()),
        (lambda _, K: K.shape == (3, 3), (3,)),
        (lambda _, K: K.shape[0] % 2 and K.shape[1] % 2, (1, 3, 5)),
        (lambda X, _: X.shape[0] == X.shape[1], ()),
        (lambda X, K: X.flags.c_contiguous and K.flags.c_contiguous, ()),
    ],
    ids=["square-kernels", "kernels-of-three", "odd-kernels", "square-planes", "contiguous"],
)
def test_what_the_plainest_problem_of_a_kind_is_refused_for_is_counted_where_it_is_met_again(fits, kernels):
    engine = wrap(refusing(fits, "only some"))
    report = verify(engine, profile=FEW)
    assert "refuses, in its own words: only some" in engine.notes
    assert (report.verdict, engine.capabilities.kernels) == ("conforms", kernels)


@pytest.mark.parametrize("parameter", ["stride", "padding", "dilation", "groups"])
def test_a_parameter_that_is_refused_is_a_violation(parameter):
    def for_show(x, w, stride=1, padding=0, dilation=1, groups=1):
        given = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
        if np.max(given[parameter]) > (parameter != "padding"):
            raise ValueError("not yet")
        return layer(x, w, **given)

    report = verify(wrap(for_show, dtypes=("f64",)), laws=["definition"], profile=FEW)
    assert [violation.reason for violation in report.violations] == ["raised ValueError: not yet"]


def test_kernels_that_are_taken_side_by_side_alone_are_taken():
    def patches(x, w, stride=1):
        if per_axis(stride, 2) != w.shape[2:]:
            raise NotImplementedError("the stride must be the kernel's size")
        return layer(x, w, stride=stride)

    engine = wrap(patches, dtypes=("f64",))
    assert (engine.capabilities.kernels, "stride" in engine.capabilities.features) == ((), True)


def test_images_that_are_refused_together_are_not_asked_for():
    def one_image(x, w):
        assert len(x) == 1, "one image"
        return layer(x, w)

    assert features(one_image) == {"channels"}


def test_what_no_plain_problem_is_refused_for_is_a_violation():
    report = verify(refusing(lambda X, _: X.size < 100), profile=FEW)
    assert "definition" in {violation.law for violation in report.violations}


@pytest.mark.parametrize("error", [RuntimeError, IndexError, BaseException])
def test_an_exception_by_which_no_argument_is_refused_is_a_violation(error):
    def corr2d(X, K):
        if K.shape == (3, 3):
            raise error("not that")
        return correlated(X, K)

    engine = wrap(corr2d, dtypes=("f64",))
    assert [note for note in engine.notes if "refuses" in note] == []
    assert not verify(engine, laws=["definition"], profile="smoke").ok


def test_a_mistake_that_raises_is_no_refusal():
    def wrong(X, K):
        return correlated(X, K) if K.shape[0] == K.shape[1] else X @ np.ones(1000)

    assert [note for note in wrap(wrong).notes if "refuses" in note] == []
    assert not verify(wrong, profile=FEW).ok


@pytest.mark.parametrize(
    ("function", "ndims", "convention"),
    [
        (np.correlate, (1,), "correlation"),
        (np.convolve, (1,), "convolution"),
        (scipy.signal.correlate, (1, 2, 3), "correlation"),
        (scipy.signal.convolve2d, (2,), "convolution"),
        (scipy.signal.fftconvolve, (1, 2, 3), "convolution"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_functions_with_a_mode_are_called_in_valid_and_either_operand_may_be_the_larger_one(
    function, ndims, convention
):
    engine = wrap(function)
    assert (engine.capabilities.ndims, engine.convention) == (ndims, convention)
    assert {"style: bare", "mode: valid"} <= set(engine.notes)
    assert verify(engine, laws=["definition", "rejects-invalid", "stateless"], profile=FEW).verdict == "conforms"


def test_a_mode_of_another_kind_is_left_at_its_default():
    def corr(X, K, mode="constant"):
        assert mode == "constant"
        return correlated(X, K)

    assert "left at their defaults: mode" in wrap(corr).notes


def test_what_is_called_a_convolution_and_is_a_correlation_is_judged_as_that_unless_it_is_declared():
    assert wrap(correlated, name="convolve").convention == "correlation"
    assert wrap(correlated, name="convolve", convention="convolution").convention == "convolution"


def test_a_kernel_that_is_flipped_is_a_mistake_under_another_name():
    def conv2d(X, K):
        return correlated(X, K[::-1, ::-1])

    assert (wrap(conv2d).convention, wrap(conv2d, name="convolve").convention) == ("correlation", "convolution")
