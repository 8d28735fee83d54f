"""The probes for a target's arithmetic: narrow sums are seen wherever they are, FFT is told from a mistake."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from convcheck.dtypes import DTYPES
from convcheck.engines.probes.arithmetic import is_normwise, sums_narrowly
from convcheck.engines.wrap import wrap
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

PLAIN = Problem(size=(5,), kernel=(2,))


def wide(problem, operands):
    return contract(Map.FORWARD, problem, *operands).astype(DTYPES[problem.dtype].numpy)


def narrow_over_channels(problem, operands):
    one = problem.replace(channels=1)
    total = np.zeros(problem.shapes["y"], DTYPES[problem.dtype].numpy)
    for c in range(problem.channels):
        total += wide(one, (operands.a[:, c : c + 1], operands.b[:, c : c + 1]))
    return total


def slightly_off(problem, operands):
    exact = contract(Map.FORWARD, problem, *operands)
    return (exact * (1 + 2.0**-22)).astype(DTYPES[problem.dtype].numpy)


def off_by_the_largest_term(problem, operands):
    exact = contract(Map.FORWARD, problem, *operands)
    return (exact + 2.0**-22 * np.max(np.abs(exact))).astype(DTYPES[problem.dtype].numpy)


def through_bfloat16(problem, operands):
    rounded = (array.astype(DTYPES["bf16"].numpy).astype(array.dtype) for array in operands[:2])
    return wide(problem, tuple(rounded))


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_sums_in_float32_are_not_narrow(dtype):
    assert not sums_narrowly(wide, PLAIN, dtype, channels=True)


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
def test_sums_that_are_rounded_between_channels_are_narrow(dtype):
    assert sums_narrowly(narrow_over_channels, PLAIN, dtype, channels=True)


def test_an_exact_engine_is_not_normwise():
    assert not is_normwise(wide, Map.FORWARD, PLAIN, ("f32", "f64"), channels=True)


def test_errors_of_a_few_roundings_of_the_largest_are_normwise():
    assert is_normwise(off_by_the_largest_term, Map.FORWARD, PLAIN, ("f32",), channels=False)


def test_errors_of_a_few_roundings_of_each_result_are_those_of_a_wrong_factor():
    assert not is_normwise(slightly_off, Map.FORWARD, PLAIN, ("f32",), channels=False)


def winograd_2_3(problem, operands):
    """F(2, 3) along the last axis: sums of two taps at once, with differences and halves of what a tile holds."""
    dtype = DTYPES[problem.dtype].numpy
    x, w = operands.a.astype(dtype), operands.b.astype(dtype)
    size = problem.shapes["y"][-1]
    if w.shape[-1] != 3 or size % 2:
        return wide(problem, operands)
    y = np.zeros(problem.shapes["y"], dtype)
    half = dtype.type(0.5)
    taps = np.ndindex(*problem.kernel[:-1])
    for c, rows in product(range(problem.channels), taps):
        lines = x[:, c, *(slice(r, r + n) for r, n in zip(rows, y.shape[2:-1], strict=True))]
        for o, i in product(range(problem.filters), range(0, size, 2)):
            a, b, d = w[o, c, *rows]
            p, q, r, s = (lines[..., i + k] for k in range(4))
            sum_, rest = (q + r) * ((a + b + d) * half), (r - q) * ((a - b + d) * half)
            y[:, o, ..., i] += (p - r) * a + sum_ + rest
            y[:, o, ..., i + 1] += sum_ - rest - (q - s) * d
    return y


@pytest.mark.parametrize("dtypes", [("f32",), ("f64",), ("f32", "f64")])
def test_the_smallest_winograd_transform_is_normwise_though_integers_are_exact(dtypes):
    assert is_normwise(winograd_2_3, Map.FORWARD, PLAIN, dtypes, channels=True)


@pytest.mark.parametrize("error", [1e-7, 1e-12])
def test_a_small_constant_error_is_a_mistake_and_not_normwise(error):
    def off(problem, operands):
        return wide(problem, operands) + DTYPES[problem.dtype].numpy.type(error)

    assert not is_normwise(off, Map.FORWARD, PLAIN, ("f32", "f64"), channels=True)


def test_a_neighbour_that_leaks_a_little_is_a_mistake_and_not_normwise():
    def leaking(problem, operands):
        return wide(problem, operands) + 1e-7 * operands.a[..., :1].sum(axis=1, keepdims=True).mean()

    assert not is_normwise(leaking, Map.FORWARD, PLAIN, ("f32", "f64"), channels=True)


def test_operands_rounded_to_bfloat16_are_a_mistake_and_not_normwise():
    assert not is_normwise(through_bfloat16, Map.FORWARD, PLAIN, ("f32",), channels=True)


def test_a_target_that_answers_nothing_is_neither():
    assert not sums_narrowly(lambda *_: None, PLAIN, "f16", channels=True)
    assert not is_normwise(lambda *_: None, Map.FORWARD, PLAIN, ("f32",), channels=True)


def rounding_in(*types):
    def corr1d(X, K):
        number = X.dtype if X.dtype.name in types else np.float32 if X.dtype.itemsize == 2 else X.dtype
        X, K, kind = X.astype(number), K.astype(number), X.dtype
        y = np.zeros(len(X) - len(K) + 1, number)
        for k, value in enumerate(K):
            y += X[k : k + len(y)] * value
        return y.astype(kind)

    return corr1d


@pytest.mark.parametrize(
    ("types", "expected"), [((), {}), (("float16", "bfloat16"), {"f16": "f16", "bf16": "bf16"}), (("float16",), {})]
)
def test_sums_in_the_operands_own_type_are_a_manner_only_if_all_types_are_summed_so(types, expected):
    assert expected == wrap(rounding_in(*types)).numerics.accumulators
