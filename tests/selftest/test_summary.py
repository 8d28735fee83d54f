"""What the selftest prints of its trials, and its exit code."""

from __future__ import annotations

import pytest

from convcheck.cli.selftest import _summary
from convcheck.selftest.explained import Explained
from convcheck.selftest.runner import Trial

SMALL = Explained("definition i1 k1 x=ones w=ones", 2, 2, "stride ignored", named=True)
FOUND = Trial("stride-ignored", "stride", True, ("definition", "mirrors"), 3, 0.1, "a line", SMALL)
ALONE = Trial("chance", "state", True, ("deterministic",), 5, 0.2, "another line")
INNOCENT = Trial("im2col", "correct", False, (), 100, 1.0)


def test_all_found_and_none_accused_is_success(capsys):
    assert _summary([FOUND, ALONE, INNOCENT]) == 0
    assert "2 of 2 faults found, 0 of 1 correct engines accused" in capsys.readouterr().out


def test_a_law_is_printed_with_what_it_alone_finds_or_why_it_stays(capsys):
    _summary([FOUND, ALONE])
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert lines["deterministic"].split() == ["deterministic", "1", "1", "chance"]
    assert "diagnosis: one end treated unlike the other" in lines["mirrors"]


@pytest.mark.parametrize(
    ("trial", "line"),
    [
        (Trial("lost", "bias", True, (), 9, 1.0), "SURVIVES  lost (bias)"),
        (
            Trial("fft", "correct", False, ("accuracy",), 9, 1.0, "accuracy i1 k1"),
            "ACCUSED   fft: accuracy: accuracy i1 k1",
        ),
    ],
)
def test_a_fault_that_survives_or_an_engine_that_is_accused_is_failure(capsys, trial, line):
    assert _summary([FOUND, trial]) == 1
    assert line in capsys.readouterr().out.splitlines()


def test_explanations_are_counted_and_those_that_name_something_else_listed(capsys):
    other = Explained("definition i9 k3 x=ones w=ones", 12, 4, "no known mistake explains it", named=False)
    _summary([FOUND, Trial("tap-lost", "index", True, ("definition",), 1, 0.1, "", other)])
    lines = capsys.readouterr().out.splitlines()
    assert "UNNAMED   tap-lost: no known mistake explains it: definition i9 k3 x=ones w=ones" in lines
    assert "diagnosis names 1 of 2 index faults (50%)" in lines
    assert "operand elements of their smallest counterexamples: median 7, most 12" in lines
    assert "non-zeros of their smallest counterexamples: median 3, most 4" in lines
