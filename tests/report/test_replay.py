"""Commands that run a case again repeat what was said of the target."""

from __future__ import annotations

from convcheck.report.replay import option_words


def backward(*_):
    """Stand for a hand-written backward."""


def test_a_backward_is_repeated_by_its_name():
    assert option_words({"vjp": "ops:conv2d_backward"}) == ["--grad", "ops:conv2d_backward"]


def test_a_backward_given_as_a_function_is_repeated_by_the_name_of_that():
    assert option_words({"vjp": backward}) == ["--grad", f"{__name__}:backward"]
