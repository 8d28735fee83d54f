"""The pytest plugin: inert where it is not used, one item a law where it is."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from _pytest.outcomes import Failed, Skipped, XFailed

from convcheck.errors import ParseError, UsageError
from convcheck.plan import PROFILES
from convcheck.pytest_plugin import ExpectedFailure, conformance_test
from convcheck.report.model import LawResult

from .report.examples import report, violated, without_arrays

BROKEN = """
    import numpy as np

    def corr2d(X, K):
        if X.dtype != K.dtype or X.ndim != 2 or any(k > x for k, x in zip(K.shape, X.shape)):
            raise ValueError("no")
        K = K[::-1, ::-1]
        rows, columns = (x - k + 1 for x, k in zip(X.shape, K.shape))
        Y = np.zeros((rows, columns), X.dtype)
        for i, j in np.ndindex(rows, columns):
            Y[i, j] = (X[i:i + K.shape[0], j:j + K.shape[1]] * K).sum()
        return Y
"""
CASE = "definition f32 n1 g1 c1 o1 i2x1 k2x1 s1x1 p0x0 d1x1 x=impulse@0,0,1,0 w=impulse@0,0,1,0"
PASSING = "definition f32 n1 g1 c1 o1 i1x1 k1x1 s1x1 p0x0 d1x1 x=ramp w=impulse@0,0,0,0"
LAWS = '"definition", "output-size", "groups-split"'


@pytest.fixture
def run(pytester):
    """Return a function that writes a project with one conformance test, runs it, and returns the result."""

    def run_project(arguments, *options, source=BROKEN):
        pytester.makepyfile(ops=source)
        pytester.makepyfile(f"""
            from convcheck import conformance_test
            from convcheck.pytest_plugin import ExpectedFailure

            test_ops = conformance_test("ops:corr2d", {arguments})
        """)
        pytester.syspathinsert()
        return pytester.runpytest_subprocess("-rA", "--convcheck-profile", "smoke", *options)

    return run_project


def test_importing_the_plugin_imports_nothing_heavy():
    code = "import sys, convcheck.pytest_plugin; print({'numpy', 'hypothesis', 'torch'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert result.stdout == "set()\n"


def test_a_project_that_does_not_use_the_plugin_sees_no_change(pytester):
    pytester.makepyfile("""
        import sys

        def test_nothing_of_it_is_loaded():
            loaded = {name for name in sys.modules if name.split(".")[0] == "convcheck"}
            assert loaded <= {"convcheck", "convcheck.pytest_plugin"}
            assert not {"numpy", "torch"} & set(sys.modules)
    """)
    options = ("-W", "error", "--strict-markers", "--strict-config", "-p", "no:xdist")
    result = pytester.runpytest_subprocess(*options)
    assert result.ret == 0
    result.assert_outcomes(passed=1)


def test_the_profiles_of_the_option_are_those_that_there_are(pytester):
    result = pytester.runpytest_subprocess("--convcheck-profile", "none")
    result.stderr.fnmatch_lines([f"*--convcheck-profile*{name}*" for name in PROFILES][:1])
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_there_is_one_item_a_law(run):
    result = run(f"laws=({LAWS})")
    result.assert_outcomes(failed=1, passed=1, skipped=1)
    result.stdout.fnmatch_lines_random(
        ["FAILED *::test_ops?definition?*", "PASSED *::test_ops?output-size?", "SKIPPED *groups*"]
    )


def test_a_failure_shows_the_violation_and_no_traceback(run):
    output = run('laws=("definition",)').stdout.str()
    for part in ("ops:corr2d violates definition", "expected   got", "convcheck replay ops:corr2d"):
        assert part in output
    assert "Traceback" not in output
    assert "pytest_plugin.py:" not in output


def test_k_selects_laws_by_name(run):
    run(f"laws=({LAWS})", "-k", "output-size").assert_outcomes(passed=1, deselected=2)


def test_xdist_shares_the_items(run):
    pytest.importorskip("xdist")
    run(f"laws=({LAWS})", "-n", "2").assert_outcomes(failed=1, passed=1, skipped=1)


def test_isolated_items_have_the_same_outcomes(run):
    run(f"laws=({LAWS})", "--convcheck-isolate").assert_outcomes(failed=1, passed=1, skipped=1)


def test_the_target_is_not_imported_at_collection(run):
    result = run(f"laws=({LAWS})", "--collect-only", "-q", source="raise RuntimeError")
    assert result.ret == 0
    result.stdout.fnmatch_lines(["*::test_ops?definition?"])


def test_the_target_is_imported_once(run):
    source = BROKEN + "\n    with open('imports', 'a') as file:\n        file.write('once\\n')\n"
    run(f"laws=({LAWS})", source=source)
    assert Path("imports").read_text() == "once\n"


# -- one item, in this process -----------------------------------------------------------------------------------

TINY = PROFILES["smoke"].replace(random=5, certifying=20, shrink_seconds=1.0)


@pytest.fixture
def outcome_of(request, write_target):
    """Return a function that runs one item on a broken target: the exception that it ends with, and its text."""

    def run_item(law, *, source=BROKEN, **options):
        test = conformance_test(write_target(source=source), laws=(law,), profile=TINY, **options)
        try:
            test(law=law, request=request)
        except (Failed, Skipped, XFailed) as end:
            return type(end), str(end)
        return None, ""

    return run_item


def test_a_law_that_holds_passes(outcome_of):
    assert outcome_of("output-size") == (None, "")


def test_a_law_that_does_not_apply_is_skipped_with_its_reason(outcome_of):
    kind, text = outcome_of("groups-split")
    assert (kind, "groups" in text) == (Skipped, True)


def test_the_first_line_of_a_failure_says_what_is_violated(outcome_of):
    kind, text = outcome_of("definition")
    assert kind is Failed
    assert " violates definition: 1 of 1 elements differ\n\nVIOLATED: definition" in text


def test_options_reach_the_target_and_the_replay_command(outcome_of):
    assert "--ndim 2 --dtype f64" in outcome_of("definition", dtypes=("f64",), ndim=2)[1]


def test_a_target_that_cannot_be_imported_fails_with_a_message(outcome_of):
    kind, text = outcome_of("definition", source="raise RuntimeError('not today')")
    assert (kind, "RuntimeError: not today" in text) == (Failed, True)


def test_an_interrupted_item_interrupts_the_session(outcome_of, monkeypatch):
    monkeypatch.setattr("convcheck.run.verify", lambda *_, **__: report(interrupted=True))
    with pytest.raises(KeyboardInterrupt):
        outcome_of("definition")


def test_an_expected_failure_is_an_xfail_with_its_reason_and_link(outcome_of):
    entry = ExpectedFailure("definition", "known since 2.1", link="https://example.org/7")
    assert outcome_of("definition", expected_failures=[entry]) == (XFailed, "known since 2.1 (https://example.org/7)")


def test_an_expected_failure_that_no_longer_fails_is_a_failure(outcome_of):
    kind, text = outcome_of("output-size", expected_failures=[ExpectedFailure("output-size", "once wrong")])
    assert (kind, text) == (Failed, "output-size no longer fails, but a failure is expected: once wrong")


def test_a_case_that_fails_is_enough_for_an_expected_failure(outcome_of, monkeypatch):
    monkeypatch.setattr("convcheck.run.verify", None)
    entry = ExpectedFailure("definition", "known", case=CASE)
    assert outcome_of("definition", expected_failures=[entry]) == (XFailed, "known")


def test_a_case_that_no_longer_fails_does_not_excuse_another(outcome_of):
    entry = ExpectedFailure("definition", "known", case=PASSING)
    kind, text = outcome_of("definition", expected_failures=[entry])
    assert kind is Failed
    assert text.startswith("the expected case of definition no longer fails (known), but another does: ")


def test_an_expected_failure_does_not_excuse_a_crash(outcome_of, monkeypatch):
    crash = LawResult("survives", violation=without_arrays("survives", "crashed: SIGSEGV"))
    monkeypatch.setattr("convcheck.run.verify", lambda *_, **__: report(violated(), crash))
    kind, text = outcome_of("definition", expected_failures=[ExpectedFailure("definition", "known")])
    assert (kind, "crashed: SIGSEGV" in text) == (Failed, True)


def test_an_expected_failure_shows_in_the_summary_of_a_project(run):
    result = run('laws=("definition",), expected_failures=[ExpectedFailure("definition", "known")]')
    result.assert_outcomes(xfailed=1)
    result.stdout.fnmatch_lines(["XFAIL *::test_ops?definition? - known"])


@pytest.mark.parametrize(
    ("entries", "error", "message"),
    [
        ([ExpectedFailure("definitoin", "x")], UsageError, "'definitoin', which is not among the laws: definition"),
        ([ExpectedFailure("definition", "x")] * 2, UsageError, "two expected failures name 'definition'"),
        ([ExpectedFailure("definition", "x", "local i3 k2 x=ramp w=ramp")], UsageError, "is of another law"),
        ([ExpectedFailure("definition", "x", "definition")], ParseError, "is no case, which has a law"),
    ],
)
def test_an_expectation_that_can_never_be_met_is_refused(entries, error, message):
    with pytest.raises(error, match=message):
        conformance_test("ops:corr2d", laws=("definition",), expected_failures=entries)


def test_a_law_that_does_not_exist_is_refused():
    with pytest.raises(UsageError, match="did you mean 'definition'"):
        conformance_test("ops:corr2d", laws=("definitoin",))
