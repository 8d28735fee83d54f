"""The textbook's loops agree with scipy.signal on any operands, in every mode."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy import signal

from convcheck import corr1d, corr2d, corr3d
from convcheck.bounds import Numerics, expect
from convcheck.claim import Claim, judge
from convcheck.problem import Map
from convcheck.strategies import operands, problems

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=60)
LOOPS = {1: corr1d, 2: corr2d, 3: corr3d}
SMALL = {"size": ("tiny",), "kernel": ("small", "unit", "even", "odd", "mixed", "full")}


@st.composite
def bare(draw, recipe, dtypes):
    """Draw a plain problem and an input and a kernel of it, without batch and channels."""
    problem = draw(problems(dtypes=dtypes, features=(), needs=SMALL))
    drawn = draw(operands(problem, recipe=recipe))
    return problem, drawn, drawn.a[0, 0], drawn.b[0, 0]


@unhurried
@given(bare("exact", ("i64", "i32", "f64", "f32")))
def test_the_loops_equal_scipy_on_exact_operands(drawn):
    _, _, x, k = drawn
    expected = signal.correlate(x, k, "valid", method="direct")
    assert expected.tolist() == LOOPS[x.ndim](x, k).tolist()


@unhurried
@given(bare("float", ("f64", "f32")))
def test_the_loops_agree_with_scipy_within_the_rounding_errors_of_both(drawn):
    problem, both, x, k = drawn
    bound = np.asarray(expect(Map.FORWARD, problem, both, Numerics()).bound)[0, 0]
    ours, theirs = LOOPS[x.ndim](x, k), signal.correlate(x, k, "valid", method="direct")
    assert judge(Claim(ours, theirs, 2 * bound)).ok


@pytest.mark.parametrize("mode", ["same", "full"])
@unhurried
@given(drawn=bare("exact", ("i64", "f64")))
def test_the_loops_on_a_padded_input_equal_scipy_in_its_other_modes(mode, drawn):
    _, _, x, k = drawn
    # SciPy centres its result with the odd one at the low end, where libraries pad less there
    widths = {"same": [(n // 2, (n - 1) // 2) for n in k.shape], "full": [(n - 1, n - 1) for n in k.shape]}[mode]
    expected = signal.correlate(x, k, mode, method="direct")
    assert expected.tolist() == LOOPS[x.ndim](np.pad(x, widths), k).tolist()


@unhurried
@given(bare("float", ("f64",)))
def test_the_loops_agree_with_scipy_s_fft_within_its_normwise_error(drawn):
    problem, both, x, k = drawn
    bound = np.asarray(expect(Map.FORWARD, problem, both, Numerics(normwise=True)).bound)[0, 0]
    ours, theirs = LOOPS[x.ndim](x, k), signal.correlate(x, k, "valid", method="fft")
    assert judge(Claim(theirs, ours, 2 * bound)).ok
