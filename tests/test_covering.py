"""Covering rows: every pair, or triple, of classes that can occur together is in one of them."""

from __future__ import annotations

from itertools import combinations, product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck.covering import combinations_of, possible_combinations, reached, rows
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.laws import LAWS
from convcheck.problem import Map
from convcheck.space import CLASSES, Space, impossible

TABLES = {
    "everything": tuple(CLASSES.items()),
    "bare": tuple(Space(Capabilities((2,), ("f32",))).table.items()),
    "one axis": tuple(Space(Capabilities((1,), ("f32", "f64"), frozenset(FEATURES))).table.items()),
}
some_features = st.frozensets(st.sampled_from(FEATURES))


def missing(table, strength):
    found = {c for row in rows(table, strength) for c in combinations_of(row, strength)}
    return set(possible_combinations(table, strength)) - found


@pytest.mark.parametrize("strength", [2, 3])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_possible_combination_is_covered(table, strength):
    assert missing(table, strength) == set()


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=15)
@given(some_features, st.sampled_from([(1,), (2,), (1, 2, 3)]))
def test_every_possible_pair_is_covered_whatever_an_engine_offers(features, ndims):
    table = tuple(Space(Capabilities(ndims, ("f32", "i32"), features)).table.items())
    assert missing(table, 2) == set()


@pytest.mark.parametrize("strength", [2, 3])
@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_no_row_is_impossible(table, strength):
    assert not [row for row in rows(table, strength) if impossible(row)]


@pytest.mark.parametrize("table", TABLES.values(), ids=TABLES)
def test_every_row_names_a_class_of_every_parameter(table):
    assert {frozenset(row) for row in rows(table, 2)} == {frozenset(name for name, _ in table)}


def test_rows_are_far_fewer_than_all_combinations():
    assert len(rows(TABLES["everything"], 2)) < 200


def test_rows_are_the_same_again():
    table = TABLES["one axis"]
    assert rows.__wrapped__(table, 3) == rows.__wrapped__(table, 3)


@pytest.mark.parametrize("strength", [2, 3])
def test_a_table_without_a_choice_has_one_row(strength):
    table = (("ndim", ("2",)), ("dtype", ("f32",)), ("bias", ("no",)))
    assert rows(table, strength) == ({"ndim": "2", "dtype": "f32", "bias": "no"},)


def test_a_table_with_one_choice_has_a_row_an_option():
    table = (("ndim", ("2",)), ("dtype", ("f32", "f64")))
    assert [row["dtype"] for row in rows(table, 2)] == ["f32", "f64"]


def test_combinations_that_exclude_each_other_are_not_asked_for():
    table = (("ndim", ("1", "2")), ("stride", ("one", "unequal")))
    expected = {tuple(sorted({"ndim": n, "stride": s}.items())) for n, s in product(*(c for _, c in table))}
    expected.remove((("ndim", "1"), ("stride", "unequal")))
    assert expected == set(possible_combinations(table, 2))


def test_a_class_that_excludes_all_that_is_left_of_another_parameter_is_not_asked_for():
    table = (("dilation", ("one",)), ("padding", ("none", "below-dilation")), ("bias", ("no", "yes")))
    assert "below-dilation" not in str(list(possible_combinations(table, 2)))


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_possible_pair_is_covered_within_the_needs_of_a_law(law):
    offered = Capabilities((1, 2, 3), ("f32", "i32"), frozenset(FEATURES), tuple(Map))
    table = tuple(Space.of(offered, law, law.maps_of(offered)[-1]).table.items())
    assert missing(table, 2) == set()


def test_combinations_of_a_row_are_in_alphabetical_order():
    row = {"stride": "one", "bias": "no", "ndim": "1"}
    expected = list(combinations([("bias", "no"), ("ndim", "1"), ("stride", "one")], 2))
    assert expected == list(combinations_of(row, 2))


def test_a_pair_that_leaves_a_third_parameter_no_class_is_given_up():
    """A kernel of one element excludes "same", a dilation of one "below-dilation": together they leave no padding."""
    table = (("dilation", ("one", "two")), ("kernel", ("unit", "odd")), ("padding", ("same", "below-dilation")))
    found = {(row["dilation"], row["kernel"]) for row in rows(table, 2)}
    assert found == {("one", "odd"), ("two", "unit"), ("two", "odd")}


def test_what_is_reached_is_what_occurs_of_what_can():
    table = (("a", ("1", "2")), ("b", ("3", "4")), ("c", ("5",)))
    met = [("1", "3", "5"), ("1", "4", "5")]
    assert reached(met, ("a", "b", "c"), table, 2) == (5, 8)
    assert reached([], ("a", "b", "c"), table, 3) == (0, 4)
