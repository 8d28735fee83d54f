"""What a result must be, how far off it may be, and engines that round as badly as they can."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck import bounds
from convcheck.bounds import Numerics, expect, gamma, is_exact
from convcheck.claim import Claim, judge
from convcheck.dtypes import DTYPES
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract, exact, gather
from convcheck.strategies import problems

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)

FLOATS = ("f64", "f32", "f16", "bf16")
LINE = Problem(size=(6,), kernel=(4,), channels=3, dtype="f32")
PLAIN = Numerics()
small = problems(dtypes=("f32",), needs={"size": ("tiny",), "kernel": ("small", "unit")}, work_limit=500)


def operands_of(problem, kind="normal", which=Map.FORWARD, limit=1):
    roles = (*which.roles, *(("bias",) if problem.bias else ()))
    return Operands(*(make(problem, role, Fill(kind, limit, seed=i)) for i, role in enumerate(roles)))


def rounded_after_every_step(problem, operands, accumulator, towards=None):
    """Forward sums in the accumulator's type, one term after the other, each rounded; the output rounded last.

    ``towards`` rounds every result to the neighbour in that direction instead of the nearest.
    """
    number, g = DTYPES[accumulator].numpy, problem.groups
    columns = gather(problem, operands.a).astype(number)
    weight = operands.b.astype(number).reshape(g, problem.filters_per_group, -1)
    total = np.zeros((problem.batch, g, problem.filters_per_group, columns.shape[-1]), number)
    for term in range(columns.shape[2]):
        products = columns[:, :, None, term] * weight[None, :, :, term, None]
        total = (total + _nudged(products, towards)).astype(number)
        total = _nudged(total, towards)
    y = total.reshape(problem.shapes["y"])
    if operands.bias is not None:
        y = y + operands.bias.astype(number).reshape(-1, *(1,) * problem.ndim)
    return y.astype(DTYPES[problem.dtype].numpy)


def _nudged(array, towards):
    """Half an ulp of luck is not to be had: results move to the next number in one direction."""
    return array if towards is None else np.nextafter(array, array.dtype.type(towards))


# -- gamma ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terms", "roundoff", "expected"),
    [(0, 0.5, 0.0), (1, 0.0, 0.0), (1, 0.25, 1 / 3), (3, 0.25, 3.0), (4, 0.25, np.inf), (9, 0.25, np.inf)],
)
def test_gamma_is_nu_over_one_less_nu_and_infinite_from_one_on(terms, roundoff, expected):
    assert expected == gamma(terms, roundoff)


def test_gamma_takes_a_number_of_terms_an_element():
    assert gamma(np.array([0, 1, 2]), 0.25).tolist() == [0.0, 1 / 3, 1.0]


@unhurried
@given(st.integers(0, 10**6), st.sampled_from([2.0**-53, 2.0**-24, 2.0**-11]))
def test_gamma_is_at_least_the_growth_of_that_many_roundings(terms, roundoff):
    assert np.expm1(terms * np.log1p(roundoff)) <= gamma(terms, roundoff) * (1 + 1e-12)


# -- the certificate of exactness ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_small_integers_are_certified_exact(dtype):
    problem = LINE.replace(dtype=dtype)
    assert is_exact(Map.FORWARD, problem, operands_of(problem, "dense", limit=3), PLAIN)


@pytest.mark.parametrize("kind", ["normal", "positive", "wide"])
def test_fractional_operands_are_not_certified(kind):
    assert not is_exact(Map.FORWARD, LINE, operands_of(LINE, kind), PLAIN)


def test_integers_whose_sums_outgrow_the_accumulator_are_not_certified():
    assert not is_exact(Map.FORWARD, LINE, operands_of(LINE, "dense", limit=2**12), PLAIN)


def test_a_fractional_bias_alone_spoils_the_certificate():
    problem = LINE.replace(bias=True)
    whole = operands_of(problem, "ones")
    assert is_exact(Map.FORWARD, problem, whole, PLAIN)
    assert not is_exact(Map.FORWARD, problem, whole._replace(bias=np.array([0.5], np.float32)), PLAIN)


def test_a_large_bias_alone_spoils_the_certificate():
    problem = LINE.replace(bias=True)
    large = operands_of(problem, "ones")._replace(bias=np.array([2.0**24], np.float32))
    assert not is_exact(Map.FORWARD, problem, large, PLAIN)


def test_sums_that_fit_although_the_largest_elements_would_not_are_certified():
    # the largest x meets the zero of w: the sharp sum of |x||w| certifies what the product of peaks does not
    x = np.array([2.0**20, 1, 1], np.float32).reshape(1, 1, 3)
    w = np.array([0, 2.0**20, 1], np.float32).reshape(1, 1, 3)
    assert is_exact(Map.FORWARD, Problem(size=(3,), kernel=(3,)), Operands(x, w), PLAIN)


def test_the_largest_certified_sum_is_two_to_the_precision():
    problem = Problem(size=(4,), kernel=(4,))
    x = np.full((1, 1, 4), 2.0**11, np.float32)
    assert is_exact(Map.FORWARD, problem, Operands(x, x), PLAIN)
    assert not is_exact(Map.FORWARD, problem, Operands(x, x + 1), PLAIN)


def test_stored_asks_that_the_output_s_own_type_holds_every_sum():
    problem = LINE.replace(dtype="f16")
    operands = operands_of(problem, "dense", limit=30)
    assert is_exact(Map.FORWARD, problem, operands, PLAIN)
    assert not is_exact(Map.FORWARD, problem, operands, PLAIN, stored=True)


@pytest.mark.parametrize(
    "numerics",
    [
        Numerics(normwise=True),
        Numerics(accumulators={"f32": "bf16"}),
    ],
)
def test_who_declares_to_round_is_not_held_to_exactness(numerics):
    operands = operands_of(LINE, "dense", limit=9)
    assert not is_exact(Map.FORWARD, LINE, operands, numerics)


@pytest.mark.parametrize(("largest", "exact"), [(2**11, True), (2**11 + 1, False)])
def test_operands_rounded_to_tf32_keep_integers_of_eleven_bits(largest, exact):
    operands = Operands(np.array([[[1.0, largest]]], np.float32), np.ones((1, 1, 1), np.float32))
    problem = Problem(size=(2,), kernel=(1,))
    assert is_exact(Map.FORWARD, problem, operands, Numerics(input_roundoff=2.0**-11)) == exact


@pytest.mark.parametrize("dtype", ["f64", "f16", "bf16"])
def test_only_float32_operands_are_rounded_first(dtype):
    rounded, (problem, operands) = Numerics(input_roundoff=2.0**-11), _of_dtype(dtype)
    bounds = [expect(Map.FORWARD, problem, operands, numerics).bound for numerics in (PLAIN, rounded)]
    assert np.array_equal(*bounds)


def _of_dtype(dtype):
    problem = LINE.replace(dtype=dtype)
    return problem, operands_of(problem, "positive")


@pytest.mark.parametrize(("limit", "exact"), [(8, True), (30, False)])
def test_partial_sums_that_are_stored_keep_what_the_type_holds(limit, exact):
    problem = LINE.replace(dtype="f16")
    operands = operands_of(problem, "dense", limit=limit)
    assert is_exact(Map.FORWARD, problem, operands, Numerics(splits=2)) == exact


def test_gradients_have_an_accumulator_of_their_own():
    numerics = Numerics(gradient_accumulators={"f32": "bf16"})
    assert [numerics.accumulator("f32", which) for which in Map] == ["f32", "bf16", "bf16"]


@unhurried
@given(problems(dtypes=FLOATS, needs={"size": ("tiny",)}, work_limit=500), st.sampled_from(Map), st.data())
def test_certified_operands_give_the_same_sum_in_any_order(problem, which, data):
    problem = problem.replace(bias=False)
    limit = data.draw(st.integers(1, 2**10))
    operands = operands_of(problem, "dense", which, min(limit, 2 ** DTYPES[problem.dtype].precision))
    if is_exact(which, problem, operands, PLAIN):
        number = DTYPES[PLAIN.accumulator(problem.dtype, which)].numpy
        forwards = contract(which, problem, *operands, number=number)
        assert forwards.tolist() == contract(which, problem, *operands, number=np.float64).tolist()


# -- what is expected ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", FLOATS)
def test_exact_operands_leave_no_room_for_an_error(dtype):
    problem = LINE.replace(dtype=dtype)
    assert expect(Map.FORWARD, problem, operands_of(problem, "dense", limit=3), PLAIN).bound == 0.0


def test_an_exact_sum_is_rounded_once_to_the_output_s_type():
    # 2049 is no float16; to nearest even it becomes 2048
    problem = Problem(size=(2,), kernel=(2,), dtype="f16")
    x = np.array([[[2048, 1]]], np.float16)
    expected = expect(Map.FORWARD, problem, Operands(x, np.ones((1, 1, 2), np.float16)), PLAIN)
    assert (expected.value.dtype, expected.value.item(), expected.bound) == (np.float16, 2048.0, 0.0)


def test_an_exact_sum_beyond_the_output_s_range_is_infinite():
    problem = Problem(size=(2,), kernel=(2,), dtype="f16")
    operands = operands_of(problem, "ones")
    large = operands._replace(a=operands.a * 60000)
    assert expect(Map.FORWARD, problem, large, PLAIN).value.item() == np.inf


def test_integers_wrap_around_as_their_dtype_does():
    problem = Problem(size=(2,), kernel=(2,), dtype="i8")
    x = np.array([[[100, 100]]], np.int8)
    expected = expect(Map.FORWARD, problem, Operands(x, np.ones((1, 1, 2), np.int8)), PLAIN)
    assert (expected.value.dtype, expected.value.item(), expected.bound) == (np.int8, -56, 0.0)


@pytest.mark.parametrize("which", Map)
@pytest.mark.parametrize("wide", [np.longdouble, object])
def test_float64_is_judged_by_a_longer_arithmetic_or_by_fractions(which, wide, monkeypatch):
    monkeypatch.setattr(bounds, "WIDE", wide)
    problem = LINE.replace(dtype="f64")
    operands = operands_of(problem, which=which)
    truth = contract(which, problem, *operands, number=object)
    value = expect(which, problem, operands, PLAIN).value
    error = max(abs(float(Fraction(str(ours)) - theirs)) for ours, theirs in zip(value.flat, truth.flat, strict=True))
    assert error <= (0 if wide is object else 12 * 10 * float(np.finfo(np.longdouble).eps))


def test_the_same_verdict_comes_with_fractions_as_with_a_longer_arithmetic(monkeypatch):
    problem = LINE.replace(dtype="f64")
    operands = operands_of(problem)
    y = contract(Map.FORWARD, problem, *operands)
    ratios = []
    for wide in (np.longdouble, object):
        monkeypatch.setattr(bounds, "WIDE", wide)
        expected = expect(Map.FORWARD, problem, operands, PLAIN)
        ratios.append(judge(Claim(y, expected.value, expected.bound)).ratio)
    assert ratios[0] == pytest.approx(ratios[1], rel=0.01)


# -- the componentwise bound -----------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulator", ["f32", "f16", "bf16"])
@pytest.mark.parametrize("kind", ["normal", "positive", "wide"])
def test_sums_rounded_after_every_step_stay_below_the_bound(kind, accumulator):
    for dtype in ("f32",) if accumulator == "f32" else ("f32", accumulator):
        problem = Problem(size=(9,), kernel=(5,), channels=9, filters=3, dtype=dtype, bias=True)
        if kind == "wide" and accumulator == "f16" != dtype:
            problem = problem.replace(dtype="f16")  # float32's range of exponents is not float16's
        operands = operands_of(problem, kind)
        numerics = Numerics(accumulators={problem.dtype: accumulator})
        expected = expect(Map.FORWARD, problem, operands, numerics)
        y = rounded_after_every_step(problem, operands, accumulator)
        assert judge(Claim(y, expected.value, expected.bound)).ok


@pytest.mark.parametrize("dtype", ["f16", "bf16"])
@pytest.mark.parametrize("kind", ["normal", "positive", "wide"])
def test_low_precision_outputs_of_float32_sums_stay_below_the_bound(dtype, kind):
    problem = Problem(size=(9,), kernel=(5,), channels=9, filters=3, dtype=dtype, bias=True)
    operands = operands_of(problem, kind)
    expected = expect(Map.FORWARD, problem, operands, PLAIN)
    y = rounded_after_every_step(problem, operands, "f32")
    assert judge(Claim(y, expected.value, expected.bound)).ok


def test_an_accumulator_narrower_than_declared_is_beyond_the_bound():
    problem = Problem(size=(9,), kernel=(5,), channels=9)
    operands = operands_of(problem, "positive")
    expected = expect(Map.FORWARD, problem, operands, PLAIN)
    y = rounded_after_every_step(problem, operands, "bf16")
    assert judge(Claim(y, expected.value, expected.bound)).ratio > 100


def test_rounding_away_in_one_direction_comes_near_the_bound():
    """All terms positive and every sum rounded up to the next number: about as bad as rounding can be."""
    problem = Problem(size=(5,), kernel=(5,), channels=20)
    operands = operands_of(problem, "positive")
    expected = expect(Map.FORWARD, problem, operands, PLAIN)
    y = rounded_after_every_step(problem, operands, "f32", towards=np.inf)
    assert 0.1 < judge(Claim(y, expected.value, expected.bound)).ratio < 2


@unhurried
@given(small, st.sampled_from(("normal", "positive", "wide")))
def test_no_correct_sum_in_float32_is_beyond_the_bound(problem, kind):
    operands = operands_of(problem, kind)
    expected = expect(Map.FORWARD, problem, operands, PLAIN)
    y = rounded_after_every_step(problem, operands, "f32")
    assert judge(Claim(y, expected.value, expected.bound)).ok


@pytest.mark.parametrize("which", Map)
@pytest.mark.parametrize("dtype", FLOATS)
def test_every_map_of_float_operands_computed_in_the_accumulator_stays_below_the_bound(which, dtype):
    problem = Problem(size=(7, 5), kernel=(3, 2), batch=2, channels=4, filters=6, groups=2, dtype=dtype)
    operands = operands_of(problem, "normal", which)
    number = DTYPES[DTYPES[dtype].accumulator].numpy
    y = contract(which, problem, *operands, number=number).astype(DTYPES[dtype].numpy)
    expected = expect(which, problem, operands, PLAIN)
    assert judge(Claim(y, expected.value, expected.bound)).ok


@pytest.mark.parametrize("dtype", ["f64", "f32"])
def test_the_bound_counts_only_products_of_two_non_zeros(dtype):
    problem = Problem(size=(3,), kernel=(3,), padding=((2, 2),), dtype=dtype)
    operands = Operands(*(np.full((1, 1, 3), 0.1, DTYPES[dtype].numpy) for _ in "xw"))
    bound = np.asarray(expect(Map.FORWARD, problem, operands, PLAIN).bound).ravel()
    terms = np.array([1, 2, 3, 2, 1])
    u = 2.0**-53 if dtype == "f64" else 2.0**-24 + 2.0**-53
    assert bound == pytest.approx(terms * u * terms * float(operands.a.flat[0]) ** 2, rel=1e-5)


def test_a_zero_sum_carries_no_error_beyond_underflow():
    problem = Problem(size=(2,), kernel=(1,))
    operands = Operands(np.array([[[0, 0.1]]], np.float32), np.array([[[0.1]]], np.float32))
    assert np.asarray(expect(Map.FORWARD, problem, operands, PLAIN).bound).ravel()[0] == 0.0


@pytest.mark.parametrize(
    ("numerics", "extra"),
    [(Numerics(input_roundoff=2.0**-11), 2 * 2.0**-11 + 2.0**-22), (Numerics(splits=4), 4 * 2.0**-24)],
)
def test_what_is_declared_is_added_to_the_bound(numerics, extra):
    operands = operands_of(LINE, "positive")
    sums = contract(Map.FORWARD, LINE, *operands)
    plain, wider = (np.asarray(expect(Map.FORWARD, LINE, operands, n).bound) for n in (PLAIN, numerics))
    assert ((wider - plain) / sums).ravel() == pytest.approx(extra, rel=1e-4)


def test_rounding_the_inputs_to_tf32_stays_below_the_bound_where_it_is_declared():
    problem = Problem(size=(9,), kernel=(5,), channels=9)
    operands = operands_of(problem, "positive")
    mask = np.uint32(0xFFFFE000)
    rounded = Operands(*((o.view(np.uint32) & mask).view(np.float32) for o in operands[:2]))
    y = contract(Map.FORWARD, problem, *rounded).astype(np.float32)
    verdicts = []
    for numerics in (PLAIN, Numerics(input_roundoff=2.0**-10)):  # truncation, not rounding: twice the roundoff
        expected = expect(Map.FORWARD, problem, operands, numerics)
        verdicts.append(judge(Claim(y, expected.value, expected.bound)).ok)
    assert verdicts == [False, True]


# -- the normwise bound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["f32", "f64"])
@pytest.mark.parametrize("kind", ["normal", "positive", "dense"])
def test_a_convolution_by_fft_stays_below_the_normwise_bound(dtype, kind):
    problem = Problem(size=(40,), kernel=(9,), channels=5, dtype=dtype, bias=True)
    operands = operands_of(problem, kind, limit=1000)
    expected = expect(Map.FORWARD, problem, operands, Numerics(normwise=True))
    y = _by_fft(problem, operands)
    assert judge(Claim(y, expected.value, expected.bound)).ok


def test_a_convolution_by_fft_is_beyond_the_componentwise_bound():
    """Zeros stay zeros in a direct sum, and do not in an FFT."""
    problem = Problem(size=(40,), kernel=(9,), channels=5)
    operands = operands_of(problem, "normal")
    operands.a[..., :20] = 0
    expected = expect(Map.FORWARD, problem, operands, PLAIN)
    assert not judge(Claim(_by_fft(problem, operands), expected.value, expected.bound)).ok


def _by_fft(problem, operands):
    complex_type = np.complex64 if problem.dtype == "f32" else np.complex128
    length = problem.size[0] + problem.kernel[0]
    fx, fw = (np.fft.fft(o, length).astype(complex_type) for o in (operands.a, operands.b[..., ::-1]))
    full = np.fft.ifft((fx[:, None] * fw[None]).sum(axis=2)).real
    y = full[..., problem.kernel[0] - 1 :][..., : problem.output[0]]
    y = y if operands.bias is None else y + operands.bias.reshape(1, -1, 1)
    return y.astype(DTYPES[problem.dtype].numpy)


@pytest.mark.parametrize("which", Map)
def test_the_normwise_bound_is_one_number_for_all_elements_of_float_sums(which):
    operands = operands_of(LINE, which=which)
    expected = expect(which, LINE, operands, Numerics(normwise=True))
    bound = np.asarray(expected.bound) - 2.0**-24 * np.abs(expected.value)
    assert np.ptp(bound) <= 1e-6 * bound.max()


def test_declaring_normwise_allows_an_error_on_integers_too():
    operands = operands_of(LINE, "dense", limit=3)
    assert np.min(expect(Map.FORWARD, LINE, operands, Numerics(normwise=True)).bound) > 0


# -- fractions as the last resort ------------------------------------------------------------------------------


def test_exact_fractions_are_what_the_oracle_sums():
    problem = Problem(size=(3,), kernel=(2,), dtype="f64")
    operands = operands_of(problem)
    x, w = exact(operands.a).ravel(), exact(operands.b).ravel()
    expected = [x[0] * w[0] + x[1] * w[1], x[1] * w[0] + x[2] * w[1]]
    assert expected == contract(Map.FORWARD, problem, *operands, number=object).ravel().tolist()


# -- complex numbers -------------------------------------------------------------------------------------------


def _complex(dtype, kind, seed, **options):
    problem = Problem(size=(9,), kernel=(5,), channels=7, dtype=dtype)
    x, w = (make(problem, role, Fill(kind, seed=seed, **options)) for role in "xw")
    return problem, Operands(x, w)


def _three_products(problem, operands):
    """The imaginary part from (xr + xi) (wr + wi), in the parts' own type."""
    a, b = operands.a, operands.b
    number = a.real.dtype
    real, imaginary, both = (
        contract(Map.FORWARD, problem, x, w, number=number)
        for x, w in ((a.real, b.real), (a.imag, b.imag), (a.real + a.imag, b.real + b.imag))
    )
    return (real - imaginary) + 1j * (both - real - imaginary)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("kind", ["normal", "positive", "wide"])
def test_complex_sums_of_three_products_are_within_the_bound(kind, seed):
    problem, operands = _complex("complex64", kind, seed)
    expected = expect(Map.FORWARD, problem, operands, PLAIN)
    assert np.all(np.abs(_three_products(problem, operands) - expected.value) <= expected.bound)


@pytest.mark.parametrize("dtype", ["complex64", "complex128"])
def test_complex_operands_of_half_the_precision_are_not_within_the_bound(dtype):
    problem, operands = _complex(dtype, "normal", 1)
    shorter = operands.changed(lambda a: (a * 2.0**-12).astype("c8") * 2.0**12 if dtype == "complex128" else _cut(a))
    expected = expect(Map.FORWARD, problem, operands, PLAIN)
    got = contract(Map.FORWARD, problem, *shorter, number=np.complex128)
    assert np.any(np.abs(got - expected.value) > expected.bound)


def _cut(array):
    return array.real.astype(np.float16) + 1j * array.imag.astype(np.float16)


@pytest.mark.parametrize(("limit", "exact"), [(2**8, True), (2**9, False)])
def test_complex_integers_are_exact_where_three_products_are(limit, exact):
    problem, operands = _complex("complex64", "dense", 1, limit=limit)
    assert is_exact(Map.FORWARD, problem, operands, PLAIN) == exact
    if exact:
        expected = expect(Map.FORWARD, problem, operands, PLAIN)
        assert expected.bound == 0.0
        assert _three_products(problem, operands).tolist() == expected.value.tolist()
