"""Chapter Locality: what an output sees, and where a NaN or an infinity arrives."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.bounds import Numerics
from convcheck.cases import Case
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.examine import examine
from convcheck.problem import Map
from convcheck.reference.maps import contract, taps
from convcheck.selftest.faults.values import tf32

LINE = "n2 g2 c4 o2 i5x6 k2x3 s2x1 p1x0:2 d1x2 x=dense:7#1 w=dense:7#2"


def right(which, problem, operands):
    with np.errstate(all="ignore"):
        return contract(which, problem, *operands).astype(DTYPES[problem.dtype].numpy)


def by_zeros_too(which, problem, operands):
    """Padding is multiplied like everything else, so that nothing is ever left out."""
    with np.errstate(all="ignore"):
        x = np.pad(operands.a, ((0, 0), (0, 0), *problem.padding))
        bare = problem.replace(size=x.shape[2:], padding=((0, 0),) * problem.ndim)
        return right(which, bare, operands._replace(a=x))


def skipping_zero_weights(which, problem, operands):
    """Products by a zero of the weight are left out, as a sparse engine leaves them."""
    y = np.zeros(problem.shapes["y"])
    for tap, (inside, out) in zip(np.ndindex(*problem.kernel), taps(problem), strict=True):
        weight = float(operands.b[(0, 0, *tap)])
        if weight:
            y[(0, 0, *out)] += operands.a[(0, 0, *inside)].astype(np.float64) * weight
    return y.astype(DTYPES[problem.dtype].numpy)


def verdict(apply, line, features=FEATURES):
    offered = Capabilities((1, 2, 3), ("f32", "f64"), frozenset(features), tuple(Map))
    return examine(Engine("it", offered, apply), Case.parse(line)).verdict


@pytest.mark.parametrize("law", ["local", "nan-propagates", "inf-propagates"])
@pytest.mark.parametrize("apply", [right, by_zeros_too])
def test_correct_engines_keep_specials_where_they_belong(law, apply):
    assert verdict(apply, f"{law} f32 {LINE}").ok


@pytest.mark.parametrize("law", ["nan-propagates", "inf-propagates"])
def test_an_engine_may_leave_out_a_product_by_zero(law):
    line = f"{law} f32 i5 k3 x=dense:7#1 w=points@0,0,0=2;0,0,2=-1"
    assert [verdict(apply, line).ok for apply in (right, skipping_zero_weights)] == [True, True]


@pytest.mark.parametrize("law", ["nan-propagates", "inf-propagates"])
def test_a_special_that_spreads_to_a_neighbour_is_found(law):
    def spreading(which, problem, operands):
        y = right(which, problem, operands)
        return np.where(np.isfinite(np.roll(y, 1, -1)), y, np.roll(y, 1, -1))

    assert not verdict(spreading, f"{law} f32 i9 k2 x=dense:7#1 w=dense:7#2").ok


def test_an_infinity_of_the_wrong_sign_is_found():
    line = "inf-propagates f32 i5 k2 x=dense:7#1 w=points@0,0,0=2;0,0,1=-1"
    assert not verdict(lambda *args: np.where(np.isinf(y := right(*args)), np.inf, y), line).ok


@pytest.mark.parametrize("features", [FEATURES, ()])
def test_a_dense_weight_is_read_with_and_without_batches(features):
    line = "weights-shared f32 i7x6 k2x3 x=zeros w=dense:7#2"
    scrambled = [verdict(apply, line, features) for apply in (right, lambda *args: np.flip(right(*args), -1))]
    assert [found.ok for found in scrambled] == [True, False]


@pytest.mark.parametrize(("value", "declared", "ok"), [(2049, True, True), (2049, False, False), (2050, False, True)])
def test_a_dense_weight_may_carry_the_rounding_that_is_declared(value, declared, ok):
    """1 * 2049 through TF32 is 2048: the tap that meets the only input is not the first."""
    numerics = Numerics(input_roundoff=2.0**-11 if declared else 0.0)
    offered = Capabilities((1, 2, 3), ("f32",), frozenset(FEATURES))
    engine = Engine("it", offered, lambda m, p, o: right(m, p, o._replace(b=tf32(o.b))), numerics=numerics)
    case = Case.parse(f"weights-shared f32 i1 k2 p1:0 x=zeros w=points@0,0,1={value}")
    assert examine(engine, case).verdict.ok == ok


def test_a_dense_weight_that_would_fill_the_memory_is_not_asked_for():
    engine = Engine("right", Capabilities((1,), ("f32",), frozenset(FEATURES)), right)
    outcome = examine(engine, Case.parse("weights-shared i5000 k2 x=dense:1#1 w=dense:1#2"))
    assert (outcome.verdict, outcome.skipped) == (None, "too large for a dense weight: 2.5e+07 elements")


def test_opposite_infinities_in_one_window_make_a_nan():
    def saturating(which, problem, operands):
        y = right(which, problem, operands)
        both = np.isposinf(operands.a).any() and np.isneginf(operands.a).any()
        return np.where(np.isnan(y), np.array(np.inf, y.dtype), y) if both else y

    line = "inf-propagates f32 i5 k3 x=dense:7#1 w=points@0,0,0=2;0,0,1=2;0,0,2=2"
    assert [verdict(apply, line).ok for apply in (right, saturating)] == [True, False]


def test_a_reader_is_told_where_the_special_was_put():
    line = "nan-propagates f32 i5 k3 x=dense:7#1 w=dense:7#2"
    zeros = verdict(lambda which, problem, operands: np.nan_to_num(right(which, problem, operands)), line)
    assert zeros.reason.endswith("(nan in x at (0, 0, 2), then nan in w at (0, 0, 1))")
