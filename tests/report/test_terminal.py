"""The report that a person reads."""

from __future__ import annotations

import pytest

from convcheck.report.model import LawResult
from convcheck.report.replay import option_words, replay_with
from convcheck.report.terminal import report_lines, report_text, violations_text

from .examples import holds, report, violated, without_arrays


def test_a_report_that_conforms_is_told_whole():
    skipped = LawResult("groups-split", reason="the target has no groups")
    float_law = holds("accuracy", 1, worst=0.918, skipped={"it does not take f16": 2})
    trivial = holds("rejects-invalid", 3, nontrivial=0)
    expected = """ops:conv2d
  versions    numpy 2.0.0
  run         profile gate, seed 0
  inferred    arrays: numpy
              style: bare

Definition
  holds     definition       10 cases
  holds     accuracy         1 case; worst error 0.92 of its bound; 2 skipped: it does not take f16
Contract
  holds     rejects-invalid  3 cases; nothing but zeros, shapes or exceptions is compared

ops:conv2d conforms: all 3 laws that were judged hold.
  judged      14 cases in 1.2 s; in 3 of them nothing but zeros, shapes or exceptions is compared
  reached     10 of 20 pairs and 30 of 40 triples of classes of problems
  not judged  groups-split: the target has no groups
  skipped     2 cases: it does not take f16"""
    assert report_text(report(holds(), float_law, skipped, trivial)) == expected


def test_print_shows_the_report():
    found = report(holds())
    assert str(found) == report_text(found)


def test_a_group_of_violations_is_told_once():
    text = report_text(report(violated(), violated("accuracy"), holds("mirrors")))
    assert text.count("VIOLATED: ") == 1
    assert "  another law fails, perhaps for the same reason:\n    accuracy f32 n1" in text
    assert "ops:conv2d does not conform: 2 of 3 laws judged are violated." in text


def test_violations_can_be_told_without_the_rest():
    text = violations_text(report(violated(), violated("inputs-untouched")), replay_with("ops:conv2d"))
    assert text.startswith("VIOLATED: definition")
    assert "\n\nVIOLATED: inputs-untouched" in text


@pytest.mark.parametrize(
    ("results", "interrupted", "sentence"),
    [
        ((holds(),), False, "ops:conv2d conforms: the one law that was judged holds."),
        ((violated(),), False, "ops:conv2d does not conform: 1 of 1 law judged is violated."),
        ((LawResult("mass"),), False, "No verdict on ops:conv2d: nothing, or nothing but zeros, was judged."),
        ((holds(),), True, "Interrupted: what is known of ops:conv2d is that 1 law judged so far holds."),
        ((holds(), violated("accuracy")), True, "is that 1 law of 2 judged so far is violated."),
    ],
)
def test_the_verdict_is_a_sentence(results, interrupted, sentence):
    assert sentence in report_text(report(*results, interrupted=interrupted))


def test_a_law_that_fails_in_several_ways_counts_once_and_tells_each():
    ways = [without_arrays("survives", f"crashed: {name}") for name in ("SIGSEGV", "SIGFPE")]
    text = report_text(report(*(LawResult("survives", violation=way) for way in ways)))
    assert "VIOLATED  survives  crashed: SIGSEGV" in text
    assert "VIOLATED  survives  crashed: SIGFPE" in text
    assert "1 of 1 law judged is violated" in text
    assert "not judged" not in text


@pytest.mark.parametrize(
    ("reason", "short"),
    [
        ("ops:conv2d: no dilation", "no dilation"),
        ("ops:conv2d does not take 3 axes", "the target does not take 3 axes"),
        ("other", "other"),
    ],
)
def test_reasons_do_not_repeat_the_name_of_the_target(reason, short):
    lines = report_text(report(LawResult("mass", skipped={reason: 3}))).splitlines()
    assert f"  not judged  mass: {short}" in lines


def test_a_law_without_a_case_says_so():
    assert "not judged  mass: no case was drawn" in report_text(report(LawResult("mass")))


def test_laws_that_a_run_stopped_before_are_counted():
    stopped = [LawResult(law, reason="stopped at the first violation") for law in ("mass", "commutes")]
    assert "not judged  2 laws: stopped at the first violation" in report_text(report(violated(), *stopped))


def test_a_remark_that_is_too_long_is_cut_in_its_line_and_whole_in_the_summary():
    reason = "for a reason that takes many words, more than a line of this width has room for"
    result = holds("mass", skipped={reason: 3})
    lines = [line.plain for line in report_lines(report(result), 50, str)]
    assert max(map(len, lines)) <= 50
    assert any(line.endswith("...") for line in lines)
    assert reason in " ".join(" ".join(lines).split())


def test_the_replay_command_has_the_options_that_the_target_was_given():
    options = {"ndim": 2, "dtypes": ("f32", "f64"), "device": None, "call_timeout": 2.5, "isolate": False}
    words = option_words(options)
    assert words == ["--ndim", "2", "--dtype", "f32", "--dtype", "f64", "--call-timeout", "2.5", "--no-isolate"]


def test_the_replay_command_is_quoted_for_a_shell():
    command = replay_with("my ops:conv2d", ["--ndim", "2"])(violated().violation.case)
    assert command.startswith("convcheck replay 'my ops:conv2d' 'definition f32 ")
    assert command.endswith("' --ndim 2")


def test_the_options_of_a_run_are_words_that_can_be_copied():
    text = "\n".join(
        line.plain for line in report_lines(report(), 100, lambda _: "", ["--dtype", "f32", "--ndim", "2"])
    )
    assert "seed 0, --dtype f32 --ndim 2" in text
