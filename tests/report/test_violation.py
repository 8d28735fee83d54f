"""A violation in words and numbers."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.report.replay import replay_with
from convcheck.report.violation import violation_lines

from .examples import violation, without_arrays


def text(found, width=100):
    return "\n".join(line.plain for line in violation_lines(found, width, replay_with("ops:conv2d")))


def test_a_small_violation_is_told_whole():
    expected = """VIOLATED: definition
  law         y = corr(x, w)
  case        definition f32 n1 g1 c1 o1 i2x1 k2x1 s1x1 p0x0 d1x1 x=impulse@0,0,1,0 w=impulse@0,0,1,0
  fails       1 of 1 elements differ; no error is allowed here

  x   w   expected   got
  0   0   1          0
  1   1

  diagnosis   kernel flipped
  condition   fails always (10 of 10)
  replay      convcheck replay ops:conv2d 'definition f32 n1 g1 c1 o1 i2x1 k2x1 s1x1 p0x0 d1x1 """
    found = violation(words="kernel flipped", condition="fails always (10 of 10)")
    assert text(found) == expected + "x=impulse@0,0,1,0 w=impulse@0,0,1,0'"


@pytest.mark.parametrize(("ratio", "words"), [(3.9374, "3.94"), (74630415.69, "74,630,416"), (7e20, "7e+20")])
def test_the_error_is_told_in_multiples_of_its_bound(ratio, words):
    assert f"; the largest error is {words} times its bound" in text(violation(ratio=ratio))


def test_a_result_that_is_no_number_is_called_so():
    nan = np.full((1, 1, 1, 1), np.nan, np.float32)
    assert "one of the two values is no finite number" in text(violation(got=nan))


def test_large_operands_and_results_are_told_by_their_sizes_and_worst_element():
    large = np.zeros((1, 1, 20, 20), np.float32)
    line = "f32 n1 g1 c1 o1 i20x20 k1x1 s1x1 p0x0 d1x1 x=ramp w=impulse@0,0,0,0"
    shown = text(violation(line=line, expected=large + 5, got=large, index=(0, 0, 3, 7)))
    assert "1x1x20x20 elements, as the case says" in shown
    assert "worst at    [0, 0, 3, 7]: expected 5, got 0" in shown
    assert "\n  expected" not in shown


def test_where_the_target_raised_no_results_are_shown():
    shown = text(without_arrays("definition", "raised RuntimeError: boom"))
    assert "fails       raised RuntimeError: boom" in shown
    assert "expected" not in shown


def test_where_the_dtype_is_wrong_numbers_that_only_stand_for_it_are_not_shown():
    shown = text(violation(law="shape-dtype-kept", reason="the dtype is f32, not f64"))
    assert "the dtype is f32, not f64\n" in shown
    assert "expected" not in shown


def test_a_law_that_makes_its_own_operands_shows_none():
    line = "f32 n1 g1 c1 o1 i1x1 k1x1 s1x1 p0x0 d1x1 x=zeros w=zeros"
    assert "\n  x " not in text(violation(law="impulse-response", line=line))


def test_what_comes_and_goes_is_told_with_its_count():
    assert "fails 7 of 20 repetitions" in text(violation(failed=7))


def test_what_never_came_back_is_told_with_its_count():
    told = " ".join(text(violation(failed=0)).split())
    assert "failed in the run, after other calls, and in none of 20 repetitions by itself" in told


def test_a_target_without_a_name_has_no_replay_command():
    lines = violation_lines(violation(), 100, replay_with("conv2d"))
    assert not any("replay" in line.plain for line in lines)


def test_gradients_show_the_operands_of_their_map():
    line = "f32 n1 g1 c1 o1 i1x1 k1x1 s1x1 p0x0 d1x1 gy=impulse@0,0,0,0 w=impulse@0,0,0,0"
    found = violation(line=line, law="definition@grad_input")
    assert "gy   w   expected   got" in text(found)


@pytest.mark.parametrize("width", [30, 40, 80])
def test_lines_fit_the_width_but_for_those_to_be_copied(width):
    found = violation(words="a diagnosis of many words " * 5, condition="a condition of many words " * 5)
    lines = [line.plain for line in violation_lines(found, width, replay_with("ops:conv2d"))]
    wide = {line.split()[0] for line in lines if len(line) > max(width, 34)}
    assert wide <= {"case", "replay"}


def test_where_a_law_has_words_of_its_own_they_are_told_alone():
    words = "left a trace in 1 of 14 places: the environment"
    shown = text(violation(law="leaves-no-trace", reason=words))
    assert f"  fails       {words}\n" in shown
    assert "expected" not in shown
