"""Violations that evidently have one reason."""

from __future__ import annotations

from convcheck.report.grouping import grouped

from .examples import violation, without_arrays

SMALLER = "f32 n1 g1 c1 o1 i1x1 k1x1 s1x1 p0x0 d1x1 x=impulse@0,0,0,0 w=impulse@0,0,0,0"


def laws(*violations):
    return [[group.lead.law, *(v.law for v in group.rest)] for group in grouped(violations)]


def test_the_definition_leads_its_group():
    assert laws(violation("accuracy", SMALLER), violation("definition")) == [["definition", "accuracy"]]


def test_without_the_definition_the_smallest_case_leads():
    assert laws(violation("accuracy"), violation("commutes", SMALLER)) == [["commutes", "accuracy"]]


def test_one_exception_is_one_reason_whatever_its_message():
    first = without_arrays("definition", "raised RuntimeError: no 3")
    second = without_arrays("accuracy", "raised RuntimeError: no 4")
    assert laws(first, second) == [["definition", "accuracy"]]


def test_another_exception_is_another_reason():
    first = without_arrays("definition", "raised RuntimeError: no")
    second = without_arrays("accuracy", "raised ValueError: no")
    assert laws(first, second) == [["definition"], ["accuracy"]]


def test_one_wrong_shape_is_one_reason_whatever_the_shape():
    first = without_arrays("accuracy", "the shape is (1, 2), not (1, 3)")
    second = without_arrays("commutes", "the shape is (2, 2), not (2, 3)", SMALLER)
    assert laws(first, second) == [["commutes", "accuracy"]]


def test_wrong_values_with_other_diagnoses_are_other_reasons():
    found = violation("accuracy", words="stride ignored"), violation("definition", words="kernel flipped")
    assert laws(*found) == [["definition"], ["accuracy"]]


def test_one_diagnosis_is_one_reason_on_every_map_whether_shapes_or_values_are_wrong():
    gradient = "f32 n1 g1 c1 o1 i1x1 k1x1 s1x1 p0x0 d1x1 gy=zeros w=zeros"
    found = (
        violation(words="padding ignored"),
        violation("accuracy@grad_input", gradient, words="grad_input: padding ignored"),
        without_arrays("commutes", "the shape is (1, 2), not (1, 3)", words="padding ignored"),
    )
    assert len(laws(*found)) == 1


def test_no_known_mistake_is_no_common_reason():
    found = [violation(law, words="no known mistake explains it") for law in ("definition", "accuracy")]
    assert [(len(group.rest), group.evident) for group in grouped(found)] == [(1, False)]


def test_a_law_of_the_contract_is_a_reason_of_its_own():
    found = violation("definition"), violation("inputs-untouched"), violation("stateless")
    assert laws(*found) == [["definition"], ["inputs-untouched"], ["stateless"]]


def test_a_law_of_the_contract_has_the_reason_that_its_diagnosis_shares_with_another_law():
    found = [violation(law, words="kernel flipped") for law in ("definition", "stateless", "inputs-untouched")]
    assert laws(*found) == [["definition", "stateless"], ["inputs-untouched"]]


def test_only_a_common_message_or_diagnosis_makes_the_common_reason_evident():
    raised = [without_arrays(law, "raised RuntimeError: no") for law in ("definition", "accuracy")]
    diagnosed = [violation(law, words="kernel flipped") for law in ("definition", "accuracy")]
    bare = [violation(law) for law in ("definition", "accuracy")]
    assert [grouped(found)[0].evident for found in (raised, diagnosed, bare)] == [True, True, False]


def test_what_comes_and_goes_is_one_reason():
    found = violation("accuracy"), violation("deterministic", failed=3), violation("stateless", failed=0)
    assert laws(*found) == [["accuracy"], ["deterministic", "stateless"]]
