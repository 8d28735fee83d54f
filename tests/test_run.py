"""A whole run: what holds, what is violated and by which smallest case, what is not judged and why."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck import Case, verify
from convcheck.bounds import Numerics
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.errors import UsageError
from convcheck.laws import LAWS
from convcheck.plan import PROFILES, Profile
from convcheck.problem import Map
from convcheck.reference.maps import contract

OFFERED = Capabilities((1, 2), ("f32", "f64"), frozenset(FEATURES), tuple(Map), work_limit=500)
FEW = Profile("few", pairs=False, triples=False, random=6, certifying=12, search=0, shrink_seconds=2.0)
BRIEF = ("output-size", "definition", "stride-subsamples", "flip-relates", "shape-dtype-kept")


def right(which, problem, operands):
    return contract(which, problem, *operands).astype(DTYPES[problem.dtype].numpy)


def last_tap_dropped(which, problem, operands):
    if which is Map.GRAD_WEIGHT:
        return right(which, problem, operands)
    w = operands.b.copy()
    w[(..., *(-1,) * problem.ndim)] = 0
    return right(which, problem, operands._replace(b=w))


def engine_of(apply=right, offered=OFFERED, **changes):
    return Engine("it", offered, apply).replace(**changes)


def run(apply=right, offered=OFFERED, changes=None, **options):
    options = {"profile": FEW, "laws": BRIEF} | options
    return verify(engine_of(apply, offered, **(changes or {})), **options)


def result_of(report, law):
    return next(result for result in report.results if result.law == law)


# -- a correct engine ------------------------------------------------------------------------------------------


def test_a_correct_engine_conforms():
    report = run(laws=(), exclude_laws=("agrees-with-torch", "rejects-invalid"))
    assert (report.verdict, report.violations, report.exit_code) == ("conforms", (), 0)


def test_a_correct_engine_passes_a_gate_of_the_certifying_law():
    gate = PROFILES["gate"].replace(triples=False, certifying=20, search=5)
    report = verify(engine_of(), laws=("definition",), profile=gate)
    assert (report.ok, result_of(report, "definition").judged > 200) == (True, True)


def test_a_correct_function_passes_smoke():
    report = verify(lambda X, K: np.correlate(X, K, "valid"), ndim=1, profile="smoke", laws=BRIEF)
    assert (report.ok, report.profile) == (True, "smoke")


def test_a_target_may_be_an_adapter_s_name():
    assert verify("scipy", profile=FEW, laws=("definition",)).target == "scipy"


def test_a_report_has_a_result_a_law_in_the_order_of_the_book():
    nothing = FEW.replace(random=0, certifying=0)
    assert [result.law for result in run(laws=(), profile=nothing).results] == [law.name for law in LAWS]


def test_laws_are_chosen_and_left_out_by_name():
    report = run(laws=("mass", "definition", "mirrors"), exclude_laws=("mirrors",))
    assert [result.law for result in report.results] == ["definition", "mass"]


def test_a_report_says_what_was_run():
    report = run(seed=7, changes={"notes": ("style: bare",), "versions": ("numpy 2",)})
    told = (report.target, report.seed, report.profile, report.notes, report.versions)
    assert told == ("it", 7, "few", ("style: bare",), ("numpy 2",))


def test_a_report_says_how_much_was_judged():
    result = result_of(run(), "definition")
    assert (result.status, result.judged, result.failed, result.nontrivial > 0) == ("holds", 3 * 12, 0, True)


def test_the_worst_error_is_told_in_multiples_of_its_bound():
    def single(which, problem, operands):
        return contract(which, problem, *operands, number=DTYPES[problem.dtype].numpy)

    result = result_of(run(single, laws=("accuracy",)), "accuracy")
    assert 0 < result.worst <= 1


def test_pairs_and_triples_of_classes_that_were_reached_are_counted():
    few, more = (run(profile=FEW.replace(certifying=n)).reached for n in (5, 50))
    assert [few[strength][1] for strength in (2, 3)] == [more[strength][1] for strength in (2, 3)]
    assert all(0 < few[strength][0] < more[strength][0] <= more[strength][1] for strength in (2, 3))


# -- a broken engine -------------------------------------------------------------------------------------------


def test_a_broken_engine_is_violated():
    report = run(last_tap_dropped)
    assert (report.verdict, report.exit_code, report.ok) == ("violated", 1, False)


def test_the_counterexample_is_the_smallest_case():
    violation = run(last_tap_dropped, laws=("definition",)).violations[0]
    expected = "definition f32 n1 g1 c1 o1 i1 k1 s1 p0 d1 x=impulse@0,0,0 w=impulse@0,0,0"
    assert expected == str(violation.case)


def test_the_counterexample_comes_with_what_was_expected_and_what_came():
    violation = run(last_tap_dropped, laws=("definition",)).violations[0]
    assert (violation.expected.tolist(), violation.got.tolist(), violation.index) == ([[[1]]], [[[0]]], (0, 0, 0))
    assert violation.reason == "1 of 1 elements differ"


def test_the_case_before_it_was_made_smaller_is_kept():
    violation = run(last_tap_dropped, laws=("definition",)).violations[0]
    assert Case.parse(str(violation.found)).law == "definition"


def test_a_mistake_that_is_always_there_fails_every_repetition():
    violation = run(last_tap_dropped, laws=("definition",)).violations[0]
    assert (violation.failed, violation.repeated) == (20, 20)


def test_a_mistake_that_comes_once_is_reported_as_such():
    calls = []

    def once(which, problem, operands):
        calls.append(1)
        return right(which, problem, operands) + (len(calls) == 3)

    violation = run(once, laws=("definition",)).violations[0]
    assert (violation.failed, "not when it was repeated" in violation.reason) == (0, True)


def test_a_mistake_that_comes_and_goes_is_counted():
    calls = []

    def every_other(which, problem, operands):
        calls.append(1)
        return right(which, problem, operands) + len(calls) % 2

    violation = run(every_other, laws=("definition",)).violations[0]
    assert 0 < violation.failed < violation.repeated


def test_an_exception_is_a_violation_that_shows_it():
    def raising(*_):
        raise ZeroDivisionError("by chance")

    violation = run(raising, laws=("definition",)).violations[0]
    assert violation.reason == "raised ZeroDivisionError: by chance"


def test_every_law_that_is_violated_is_reported():
    report = run(last_tap_dropped, laws=("definition", "mass", "negates"))
    assert [violation.law for violation in report.violations] == ["definition", "mass"]


def test_a_run_may_stop_at_the_first_violated_law():
    report = run(last_tap_dropped, laws=("output-size", "definition", "mass"), stop_at_first=True)
    assert [result.status for result in report.results] == ["holds", "violated", "not judged"]
    assert report.results[-1].reason == "stopped at the first violation"


# -- what is not judged ----------------------------------------------------------------------------------------


def test_a_law_about_what_the_target_lacks_says_so():
    bare = Capabilities((1,), ("f32",), work_limit=500)
    result = result_of(run(offered=bare), "stride-subsamples")
    expected = ("not judged", "the target takes no stride")
    assert expected == (result.status, result.reason)


def test_a_law_about_direct_sums_says_that_it_does_not_hold_for_an_fft():
    result = result_of(run(laws=("local",), changes={"numerics": Numerics(normwise=True)}), "local")
    assert result.reason == "does not hold for engines that declare Winograd or FFT"


def test_cases_that_the_target_does_not_take_are_counted_by_reason():
    def refusing(*_):
        raise NotImplementedError("nothing at all")

    result = result_of(run(refusing), "definition")
    assert (result.judged, result.skipped, result.reason) == (0, {"it: nothing at all": 36}, "it: nothing at all")


def test_a_run_that_judges_nothing_is_vacuous():
    def refusing(*_):
        raise NotImplementedError

    report = run(refusing)
    assert (report.verdict, report.exit_code) == ("too little judged", 3)


def test_a_run_of_nothing_but_zeros_is_vacuous():
    assert run(laws=("survives",), offered=Capabilities((1,), ("f32",)), profile=FEW.replace(random=0)).vacuous


def test_a_run_that_judges_no_values_of_those_it_asked_for_is_vacuous():
    def refusing(which, problem, operands):
        if problem.is_valid:
            raise NotImplementedError("no values")
        raise ValueError(problem)

    report = run(refusing, laws=("definition", "rejects-invalid"))
    assert result_of(report, "rejects-invalid").nontrivial > 0
    assert report.exit_code == 3


# -- reproducibility, progress and time ------------------------------------------------------------------------


def verdicts(report):
    return [(r.law, r.judged, r.failed, r.nontrivial, r.worst, r.skipped) for r in report.results]


def test_the_same_seed_gives_the_same_run():
    searching = FEW.replace(search=5)
    laws = ("definition", "accuracy", "mirrors", "negates", "layout-free")
    one, two = (run(laws=laws, profile=searching, seed=5) for _ in range(2))
    assert verdicts(one) == verdicts(two)


def test_the_same_seed_gives_the_same_counterexamples():
    one, two = (run(last_tap_dropped, laws=("mass",), seed=5).violations for _ in range(2))
    assert [(str(v.found), str(v.case)) for v in one] == [(str(v.found), str(v.case)) for v in two]


def test_another_seed_gives_another_run():
    one, two = (run(last_tap_dropped, laws=("mass",), seed=seed).violations[0].found for seed in (0, 1))
    assert str(one) != str(two)


def test_progress_is_told_after_every_slice():
    told = []
    run(laws=("definition", "mass"), progress=told.append)
    assert [(p.law, p.done, p.of) for p in told] == [
        ("definition", 1, 3),
        ("definition", 2, 3),
        ("definition", 3, 3),
        ("mass", 1, 1),
    ]
    assert told[-1].tally.judged == 6


def test_a_run_out_of_time_says_what_it_did_not_judge():
    report = run(laws=("definition", "mass"), profile=FEW.replace(seconds=1e-9))
    assert result_of(report, "mass").status == "not judged"


def test_an_interrupt_ends_the_run_with_what_is_known():
    calls = []

    def interrupted(which, problem, operands):
        calls.append(1)
        if len(calls) > 20:
            raise KeyboardInterrupt
        return right(which, problem, operands)

    report = run(interrupted)
    assert (report.verdict, report.exit_code, report.judged > 0) == ("interrupted", 130, True)


def test_an_interrupt_after_a_failure_keeps_the_failure():
    calls = []

    def interrupted(which, problem, operands):
        calls.append(1)
        if len(calls) > 45:
            raise KeyboardInterrupt
        return right(which, problem, operands) + 1

    report = run(interrupted, laws=("definition",))
    assert (report.interrupted, [v.law for v in report.violations]) == (True, ["definition"])


# -- options ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"profile": "quick"}, "no profile is called 'quick'"),
        ({"laws": ("definitoin",)}, r"no law is called 'definitoin'; did you mean 'definition'\?"),
        ({"exclude_laws": ("definitoin",)}, r"did you mean 'definition'\?"),
    ],
)
def test_an_option_that_does_not_exist_is_shown(options, message):
    with pytest.raises(UsageError, match=message):
        verify(engine_of(), **options)


def test_options_of_the_target_are_passed_on():
    report = verify(lambda X, K: np.convolve(X, K, "valid"), ndim=1, convention="convolution", profile=FEW, laws=BRIEF)
    assert report.ok


def test_a_function_without_the_option_is_the_other_convention_s():
    report = verify(lambda X, K: np.convolve(X, K, "valid"), ndim=1, profile=FEW, laws=("definition",))
    assert not report.ok


def test_an_interrupt_while_a_case_is_made_smaller_keeps_the_case_as_it_was_found():
    told = []

    def interrupted(which, problem, operands):
        if told:
            raise KeyboardInterrupt
        return right(which, problem, operands) + 1

    report = run(interrupted, laws=("mass",), progress=told.append)
    assert (report.interrupted, [v.case == v.found for v in report.violations]) == (True, [True])


def test_a_target_that_could_not_be_called_at_all_is_judged_by_no_law():
    result = result_of(run(offered=Capabilities((), ())), "definition")
    assert (result.status, result.reason) == ("not judged", "the target does not survive being called")
