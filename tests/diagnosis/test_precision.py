"""Operands, sums and results of fewer bits than the dtype has: right on small whole numbers, found by probes."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.bounds import Numerics
from convcheck.diagnosis import diagnose
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract


def plain(dtype):
    return Problem.parse(f"{dtype} n1 g1 c1 o1 i3x4 k2x2 s1x1 p0x0 d1x1")


def kept(array, bits, *, cut=False):
    """Keep so many bits of the mantissa."""
    mantissa, exponent = np.frexp(array.astype(np.float64))
    scaled = np.ldexp(mantissa, bits)
    return np.ldexp(np.trunc(scaled) if cut else np.rint(scaled), exponent - bits).astype(array.dtype)


def rounding(bits, *fields, cut=False):
    """Round operands before a right convolution."""

    def apply(which, problem, operands):
        changed = operands._replace(**{f: kept(getattr(operands, f), bits, cut=cut) for f in fields})
        return contract(which, problem, *changed).astype(operands.a.dtype)

    return apply


@pytest.mark.parametrize(
    ("words", "dtype", "apply"),
    [
        ("inputs rounded to 8 bits (bfloat16)", "f32", rounding(8, "a")),
        ("weights rounded to 8 bits (bfloat16)", "f32", rounding(8, "b")),
        ("inputs and weights rounded to 11 bits (TF32 or float16)", "f32", rounding(11, "a", "b")),
        ("inputs and weights truncated to 11 bits (TF32 or float16)", "f32", rounding(11, "a", "b", cut=True)),
        ("inputs rounded to 5 bits", "bf16", rounding(5, "a")),
        ("inputs and weights rounded to 24 bits (float32)", "f64", rounding(24, "a", "b")),
    ],
)
def test_counts_bits_of_operands(engine, words, dtype, apply):
    """An operand is rounded first."""
    found = diagnose(engine(apply), plain(dtype))
    assert (found.words, found.known) == (words, True)


def test_names_operands_of_gradients(engine):
    """An upstream gradient is called so."""
    apply = rounding(8, "a", "b")
    words = [diagnose(engine(apply), plain("f32"), which).words for which in (Map.GRAD_INPUT, Map.GRAD_WEIGHT)]
    assert words == [
        "grad_input: upstream gradients and weights rounded to 8 bits (bfloat16)",
        "grad_weight: upstream gradients and inputs rounded to 8 bits (bfloat16)",
    ]


def summing(bits):
    """Keep so many bits of every partial sum."""

    def apply(which, problem, operands):
        total = np.zeros(problem.shapes[which.result])
        first = np.zeros_like(operands.b).reshape(-1)
        for i, value in enumerate(operands.b.ravel()):
            first[i] = value
            total = kept(total + contract(which, problem, operands.a, first.reshape(operands.b.shape)), bits)
            first[i] = 0
        return total.astype(operands.a.dtype)

    return apply


@pytest.mark.parametrize(
    ("dtype", "bits", "words"),
    [
        ("f32", 11, "sums kept in 11 bits (TF32 or float16), not in 24 bits (float32)"),
        ("bf16", 8, "sums kept in 8 bits (bfloat16), not in 24 bits (float32)"),
        ("f64", 24, "sums kept in 24 bits (float32), not in 53 bits (float64)"),
    ],
)
def test_counts_bits_of_sums(engine, dtype, bits, words):
    """An accumulator is narrow."""
    problem = Problem.parse(f"{dtype} n1 g1 c1 o1 i4 k2 s1 p0 d1")
    offered = {"without": ("channels", "groups", "batch", "bias"), "maps": (Map.FORWARD,), "ndims": (1,)}
    assert diagnose(engine(summing(bits), **offered), problem).words == words


@pytest.mark.parametrize(
    ("dtype", "bits", "words"),
    [
        ("f32", 8, "result stored in 8 bits (bfloat16), not in 24 bits (float32)"),
        ("f32", 17, "result stored in 17 bits, not in 24 bits (float32)"),
        ("f64", 24, "result stored in 24 bits (float32), not in 53 bits (float64)"),
    ],
)
def test_counts_bits_of_the_result(engine, dtype, bits, words):
    """The result passes through a lower precision."""

    def apply(which, problem, operands):
        return kept(contract(which, problem, *operands).astype(operands.a.dtype), bits)

    found = diagnose(engine(apply), plain(dtype))
    assert (found.words, found.known) == (words, True)


def test_tells_range_from_precision(engine):
    """Results beyond 1000 are cut off."""

    def apply(which, problem, operands):
        return np.clip(contract(which, problem, *operands), -1000, 1000).astype(operands.a.dtype)

    found = diagnose(engine(apply), plain("f32").replace(channels=1))
    assert found.words == "results are limited: 1024 comes back as 1000"


def test_sees_fractions_that_get_lost(engine):
    """Operands, or the result, pass through an integer type."""

    def operands_cut(which, problem, operands):
        cut = Operands(*(None if a is None else np.trunc(a) for a in operands))
        return contract(which, problem, *cut).astype(operands.a.dtype)

    def result_cut(which, problem, operands):
        return np.rint(contract(which, problem, *operands)).astype(operands.a.dtype)

    assert diagnose(engine(operands_cut), plain("f32")).words == "inputs and weights cut to whole numbers"
    assert diagnose(engine(result_cut), plain("f32")).words == "result cut to whole numbers"


def test_counts_bits_of_integers(engine):
    """Sums of 32-bit integers are kept in float32."""

    def apply(which, problem, operands):
        return contract(which, problem, *operands, number=np.float32).astype(operands.a.dtype)

    found = diagnose(engine(apply), plain("i32"))
    assert found.words == "whole numbers of more than 24 bits get lost"


def test_accepts_what_is_declared(engine):
    """TF32 operands and a float16 accumulator are no mistake where they are declared."""
    rounded = engine(rounding(11, "a", "b"), numerics=Numerics(input_roundoff=2.0**-11))
    assert diagnose(rounded, plain("f32")).words == "no difference found"
