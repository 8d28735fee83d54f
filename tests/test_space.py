"""The space of problems: what an engine offers and a law needs, built class by class, and classified again."""

from __future__ import annotations

from itertools import product
from math import prod

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck.dtypes import DTYPES
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.laws import BY_NAME
from convcheck.problem import Map, Problem
from convcheck.space import CLASSES, NEEDS, Space, classify, impossible, network_layers, seeded
from convcheck.space.table import ENOUGH
from convcheck.strategies import problems

EVERYTHING = Capabilities((1, 2, 3), tuple(DTYPES), frozenset(FEATURES), tuple(Map), work_limit=10**18)
BARE = Capabilities((2,), ("f32",))

#: parameters whose class a built problem is in whenever the row that it was built of is possible
KEPT = ("ndim", "dtype", "batch", "channels", "filters", "dilation", "bias")

possible_rows = st.fixed_dictionaries({name: st.sampled_from(classes) for name, classes in CLASSES.items()}).filter(
    lambda row: not impossible(row)
)


def test_everything_is_allowed_to_an_engine_that_offers_everything():
    assert Space(EVERYTHING).table == CLASSES


def test_an_engine_without_features_is_left_the_plain_classes():
    table = Space(BARE).table
    alone = [table[name] for name in ("batch", "channels", "filters", "groups", "stride", "dilation", "padding")]
    assert alone == [("one",)] * 6 + [("none",)]


@pytest.mark.parametrize(("parameter", "name"), NEEDS)
def test_a_class_goes_with_the_feature_that_it_needs(parameter, name):
    for feature in NEEDS[parameter, name]:
        lacking = Capabilities((1, 2, 3), tuple(DTYPES), frozenset(FEATURES) - {feature, *ENOUGH.values()})
        assert name not in Space(lacking).table[parameter]


@pytest.mark.parametrize(("parameter", "name"), ENOUGH)
def test_some_classes_need_one_feature_alone(parameter, name):
    offered = Capabilities((2,), ("f32",), frozenset({ENOUGH[parameter, name]}))
    assert Space(offered).table[parameter] == ("one", name)
    built = [Space(offered).build(seeded(str(number))) for number in range(100)]
    assert {offered.admits(problem) for problem in built} == {""}
    assert max(problem.groups for problem in built) > 16


@pytest.mark.parametrize("multiples", [(8, 8), (3, 1), (1, 2)])
def test_channels_and_filters_come_in_an_engine_s_multiples(multiples):
    offered = Capabilities((1, 2), ("f32",), frozenset(FEATURES), multiples=multiples)
    built = [Space(offered).build(seeded(str(number))) for number in range(200)]
    assert {offered.admits(problem) for problem in built} == {""}
    assert Space(offered).table["groups"] == ("one", "several")


def test_one_axis_is_never_uneven():
    line = Capabilities((1,), ("f32",), frozenset(FEATURES))
    uneven = {
        ("kernel", "mixed"),
        ("stride", "unequal"),
        ("dilation", "unequal"),
        ("size", "uneven"),
        ("size", "plane"),
    }
    assert not [pair for pair in uneven if pair[1] in Space(line).table[pair[0]]]


def test_padding_by_name_needs_no_unequal_padding():
    features = frozenset(FEATURES) - {"unequal-padding"}
    assert "same" in Space(Capabilities((1,), ("f32",), features)).table["padding"]
    assert "same" in Space(Capabilities((1, 2), ("f32",), features)).table["padding"]


def test_the_needs_of_a_law_restrict_the_classes():
    space = Space(EVERYTHING, {"stride": ("two", "more")})
    assert space.table["stride"] == ("two", "more")


@pytest.mark.parametrize(
    ("needs", "expected"),
    [({}, ""), ({"stride": ("two",)}, "stride"), ({"bias": ("yes",), "groups": ("several",)}, "groups, bias")],
)
def test_lacking_names_the_parameters_without_a_class(needs, expected):
    assert expected == Space(BARE, needs).lacking


@pytest.mark.parametrize("which", [Map.GRAD_INPUT, Map.GRAD_WEIGHT])
def test_gradients_are_those_of_floats_without_a_bias(which):
    table = Space.of(EVERYTHING, BY_NAME["definition"], which).table
    assert (table["dtype"], table["bias"]) == (("f32", "f64", "f16", "bf16"), ("no",))


def test_a_forward_map_keeps_integers_and_bias():
    table = Space.of(EVERYTHING, BY_NAME["definition"], Map.FORWARD).table
    assert ("integer" in table["dtype"], table["bias"]) == (True, ("no", "yes"))


def test_a_law_bounds_the_work_of_its_problems():
    law = BY_NAME["commutes"]
    assert Space.of(EVERYTHING, law, Map.FORWARD).work_limit == law.work
    assert Space.of(BARE.__class__((2,), ("f32",), work_limit=5), law, Map.FORWARD).work_limit == 5


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(possible_rows, st.integers(0, 99))
def test_a_possible_row_is_built_into_a_valid_problem(row, seed):
    problem = Space(EVERYTHING).build(seeded(seed), row)
    assert (problem.is_valid, EVERYTHING.admits(problem)) == (True, "")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(possible_rows, st.integers(0, 99))
def test_a_problem_is_in_the_classes_of_its_row(row, seed):
    found = classify(Space(EVERYTHING).build(seeded(seed), row))
    assert {name: row[name] for name in KEPT} == {name: found[name] for name in KEPT}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(tuple(CLASSES)), st.integers(0, 6)), st.integers(0, 99))
def test_what_a_row_does_not_name_is_chosen_freely(choice, seed):
    row = {name: CLASSES[name][index % len(CLASSES[name])] for name, index in choice.items()}
    assert Space(EVERYTHING).build(seeded(seed), row).is_valid


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 9_999), st.sampled_from((20, 1_000, 100_000)))
def test_channels_and_images_stay_below_the_work_limit(seed, limit):
    offered = Capabilities((1, 2), ("f32",), frozenset(FEATURES), work_limit=limit)
    problem = Space(offered).build(seeded(seed))
    plain = problem.replace(batch=1, groups=1, channels=1, filters=1)
    work, least = (_work(p) for p in (problem, plain))
    # two groups, or a filter that a multiplier adds, are never taken away
    assert work <= max(limit, 4 * least)


def _work(problem):
    total = problem.batch * problem.filters * problem.channels_per_group
    for size in (*problem.output, *problem.kernel):
        total *= size
    return total


def test_the_same_seed_makes_the_same_choices():
    one, two = (Space(EVERYTHING).build(seeded("7/definition")) for _ in range(2))
    assert one == two


def test_different_seeds_make_different_choices():
    assert len({str(Space(EVERYTHING).build(seeded(seed))) for seed in range(50)}) > 45


def test_a_seeded_chooser_reaches_both_ends_of_a_range():
    choose = seeded(0)
    assert {choose.integer(2, 4) for _ in range(100)} == {2, 3, 4}


def test_a_seeded_chooser_picks_every_option():
    choose = seeded(0)
    assert {choose.pick("abc") for _ in range(100)} == set("abc")


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(dtypes=tuple(DTYPES)))
def test_every_problem_has_a_class_of_every_parameter(problem):
    assert set(classify(problem)) == set(CLASSES)


@pytest.mark.parametrize(
    ("line", "parameter", "expected"),
    [
        ("i5 k2", "ndim", "1"),
        ("i8 i5 k2", "dtype", "integer"),
        ("bf16 i5 k2", "dtype", "bf16"),
        ("n2 i5 k2", "batch", "several"),
        ("c1 i5 k2", "channels", "one"),
        ("c6 g2 i5 k2 o2", "channels", "few"),
        ("c14 i5 k2", "channels", "around"),
        ("c100 i5 k2", "channels", "wide"),
        ("o64 i5 k2", "filters", "wide"),
        ("c4 o4 g2 i5 k2", "groups", "several"),
        ("c4 o4 g4 i5 k2", "groups", "depthwise"),
        ("c4 o8 g4 i5 k2", "groups", "multiplier"),
        ("i5 k1", "kernel", "unit"),
        ("i5x5 k5x5", "kernel", "full"),
        ("i5 k3 d2", "kernel", "full"),
        ("i15 k9", "kernel", "large"),
        ("i5x5 k1x3", "kernel", "mixed"),
        ("i5x5 k2x3", "kernel", "small"),
        ("i5 k3", "kernel", "odd"),
        ("i5 k2", "kernel", "even"),
        ("i5 k2 s2", "stride", "two"),
        ("i5 k2 s3", "stride", "above-kernel"),
        ("i5 k3 s3", "stride", "more"),
        ("i9 k7 s5", "stride", "more"),
        ("i5x5 k2x2 s1x2", "stride", "unequal"),
        ("i5x5 k2x2 d1x2", "dilation", "unequal"),
        ("i9 k2 d3", "dilation", "more"),
        ("i5 k2", "padding", "none"),
        ("i5 k2 psame:0:1", "padding", "same"),
        ("i5 k2 psame-lower:1:0", "padding", "same-lower"),
        ("i5 k2 s2 psame-lower:1:0", "padding", "same-strided"),
        ("i5 k3 p1", "padding", "symmetric"),
        ("i5 k3 p1:2", "padding", "two-sided"),
        ("i5 k2 p2", "padding", "at-least-kernel"),
        ("i5x5 k3x3 p1x2", "padding", "unequal"),
        ("i9 k3 p1 d2", "padding", "below-dilation"),
        ("i300 k3", "size", "large"),
        ("i24x33 k3x3", "size", "plane"),
        ("i10x14x12 k3x1x3", "size", "plane"),
        ("i23x40 k3x3", "size", "uneven"),
        ("i1x5 k1x2", "size", "unit-axis"),
        ("i18 k3", "size", "vector"),
        ("i50 k3", "size", "uneven"),
        ("i5 k3", "size", "tiny"),
        ("i22 k3", "size", "narrow"),
        ("i5 k2", "bias", "no"),
        ("i5 k2 bias", "bias", "yes"),
    ],
)
def test_a_problem_is_classified(line, parameter, expected):
    assert expected == classify(Problem.parse(line))[parameter]


def test_a_row_is_possible_where_it_names_nothing_that_excludes_another():
    assert not impossible({"ndim": "1", "stride": "two"})


@pytest.mark.parametrize(
    "row",
    [
        {"ndim": "1", "stride": "unequal"},
        {"groups": "depthwise", "channels": "few"},
        {"groups": "multiplier", "filters": "one"},
        {"padding": "same", "stride": "two"},
        {"padding": "same-lower", "stride": "two"},
        {"padding": "same-strided", "stride": "one"},
        {"padding": "below-dilation", "dilation": "one"},
        {"kernel": "full", "size": "large"},
        {"kernel": "large", "size": "plane"},
        {"ndim": "1", "size": "plane"},
    ],
)
def test_a_row_whose_classes_exclude_each_other_is_impossible(row):
    assert impossible(row)


@pytest.mark.parametrize("strength", [1, 2])
def test_no_class_is_excluded_from_all_others(strength):
    for name, classes in CLASSES.items():
        for one in classes:
            others = (n for n in CLASSES if n != name)
            assert all(
                any(not impossible({name: one, other: two}) for two in CLASSES[other])
                for other, _ in product(others, range(strength))
            )


def test_some_layers_of_networks_have_many_channels_and_filters_on_planes():
    layers = network_layers(EVERYTHING, Map.FORWARD, 300_000)
    blocked = [p for p in layers if min(p.channels_per_group, p.filters_per_group, *p.output[-2:]) >= 8]
    blocked = [p for p in blocked if min(p.channels_per_group, p.filters_per_group) >= 16]
    assert {p.ndim for p in blocked} == {1, 2, 3}
    assert {p.dtype for p in blocked} == {"f32", "bf16"}


def test_some_inputs_have_more_positions_than_16_bits_number_on_any_number_of_axes():
    layers = network_layers(EVERYTHING, Map.FORWARD, 300_000)
    assert {p.ndim for p in layers if prod(p.size) > 1 << 16} == {1, 2, 3}


def test_layers_of_networks_stay_below_the_work_limit():
    layers = network_layers(EVERYTHING, Map.FORWARD, 50_000)
    assert max(p.work for p in layers) <= 50_000
    assert all(p.work <= 300_000 for p in network_layers(EVERYTHING, Map.FORWARD, 10**9))


def built(row, seeds=range(300)):
    space = Space(Capabilities((2,), ("f32",), frozenset(FEATURES), work_limit=10**18))
    return [space.build(seeded(seed), {"ndim": "2", "stride": "one", "dilation": "one", **row}) for seed in seeds]


def test_both_axes_of_a_plane_exceed_whole_tiles():
    outputs = [p.output for p in built({"size": "plane", "kernel": "odd", "padding": "none"})]
    assert (max(min(output) for output in outputs) > 32, min(min(output) for output in outputs) > 16) == (True, True)


@pytest.mark.parametrize(
    ("name", "least", "most"), [("few", 2, 4), ("odd", 5, 9), ("around", 10, 33), ("wide", 32, 300)]
)
def test_any_count_of_a_class_occurs(name, least, most):
    counts = {p.channels for p in built({"channels": name, "groups": "one", "size": "tiny"})}
    others = {8, 16, 32} if name == "around" else {8} if name == "odd" else {33} if name == "wide" else set()
    assert (min(counts) >= least, max(counts) <= most, counts & others) == (True, True, set())
    assert len(counts) > (most - least) / 3


@pytest.mark.parametrize(
    ("line", "features", "expected"),
    [
        ("n1 g1 c3 o1 i4x6 k2x3", FEATURES, "n3 g1 c3 o3 i6x6 k3x3"),
        ("n2 g2 c4 o2 i5x4 k1x1", FEATURES, "n4 g1 c4 o4 i5x5 k1x1"),
        ("n1 g1 c1 o1 i2x3 k1x2", (), "n1 g1 c1 o1 i3x3 k2x2"),
        ("n1 g1 c5 o1 i2x3 k1x2", ("channels",), "n1 g1 c4 o4 i3x3 k2x2"),
    ],
)
def test_axes_are_made_alike_as_far_as_that_is_taken(line, features, expected):
    space = Space(Capabilities((2,), ("f32",), frozenset(features)))
    assert space.alike(Problem.parse(line)) == Problem.parse(expected)


def test_batches_are_of_any_size():
    batches = {p.batch for p in built({"batch": "several", "size": "tiny"})}
    assert (min(batches), max(batches), len(batches) > 25) == (2, 33, True)


@pytest.mark.parametrize(("name", "expected"), [("stride", {1, 2, 3, 4, 5}), ("dilation", {1, 2, 3, 4, 7})])
def test_values_that_differ_by_axis_are_of_a_wide_range(name, expected):
    assert expected == {v for p in built({name: "unequal", "size": "tiny"}) for v in getattr(p, name)}


def test_paddings_that_differ_by_axis_are_of_a_wide_range():
    problems = built({"padding": "unequal", "size": "tiny"})
    assert {pad[0] for p in problems for pad in p.padding} == set(range(6))


def test_large_kernels_are_large_along_one_axis_or_along_several():
    kernels = [p.kernel for p in built({"kernel": "large", "size": "tiny"})]
    assert {min(kernel) > 7 for kernel in kernels} == {True, False}
    assert {max(kernel) for kernel in kernels} == {8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 31}
