"""Plans: the same cases for a seed, however they are cut into slices."""

from __future__ import annotations

from dataclasses import replace

import pytest

from convcheck.covering import rows
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.errors import UsageError
from convcheck.laws import BY_NAME, LAWS
from convcheck.plan import CHUNK, PROFILES, Profile, Slice, cases_of, profile_named, select, slices
from convcheck.problem import Map
from convcheck.space import Space, geometries, network_layers

FULL = Engine("full", Capabilities((1, 2, 3), ("f32", "i32"), frozenset(FEATURES), tuple(Map), 1_000), lambda *_: None)
ROOMY = FULL.replace(capabilities=replace(FULL.capabilities, work_limit=100_000))
BARE = Engine("bare", Capabilities((1,), ("f32",)), lambda *_: None)
SMOKE, GATE = PROFILES["smoke"], PROFILES["gate"]


def laws(*names):
    return tuple(BY_NAME[name] for name in names)


def all_cases(engine, chosen, profile, seed=0):
    parts = [part for part in slices(engine, chosen, profile) if part.stream != "search"]
    return [case for part in parts for case in cases_of(engine, part, profile, seed)]


def test_there_are_three_profiles():
    assert list(PROFILES) == ["smoke", "gate", "nightly"]


@pytest.mark.parametrize("name", PROFILES)
def test_a_profile_is_found_by_its_name(name):
    assert profile_named(name).name == name


def test_a_profile_that_does_not_exist_is_shown_with_those_that_do():
    with pytest.raises(UsageError, match="no profile is called 'fast'; there are smoke, gate, nightly"):
        profile_named("fast")


def test_no_law_left_is_an_error():
    with pytest.raises(UsageError, match="no law is left of mass without mass"):
        select(["mass"], ["mass"])


def test_a_profile_can_be_changed():
    assert SMOKE.replace(random=5).random == 5


def test_all_laws_are_selected_where_none_is_named():
    assert select((), ()) == LAWS


def test_laws_are_selected_in_the_order_of_the_book():
    assert select(("mass", "definition"), ()) == laws("definition", "mass")


def test_laws_are_left_out_by_name():
    assert [law.name for law in LAWS if law not in select((), ("mass",))] == ["mass"]


@pytest.mark.parametrize("names", [(("deffinition",), ()), ((), ("deffinition",))])
def test_a_law_that_does_not_exist_is_shown_with_the_nearest(names):
    with pytest.raises(UsageError, match=r"no law is called 'deffinition'; did you mean 'definition'\?"):
        select(*names)


def test_a_law_that_is_near_to_none_is_shown_alone():
    with pytest.raises(UsageError, match=r"no law is called 'zzzzzz'$"):
        select(("zzzzzz",), ())


@pytest.mark.parametrize("profile", [SMOKE, GATE.replace(triples=False, certifying=100)], ids=lambda p: p.name)
def test_the_same_seed_gives_the_same_cases(profile):
    chosen = laws("definition", "flip-relates", "small-scope")
    one, two = (all_cases(FULL, chosen, profile, seed=3) for _ in range(2))
    assert one == two


def test_another_seed_gives_other_cases():
    chosen = laws("flip-relates")
    one, two = (set(map(str, all_cases(FULL, chosen, SMOKE, seed=seed))) for seed in (0, 1))
    assert len(one & two) < len(one) / 2


def test_a_case_does_not_depend_on_the_slice_that_it_is_in():
    whole = list(cases_of(FULL, Slice("definition", Map.FORWARD, "random", 0, 20), SMOKE, 0))
    pieces = [
        case
        for start in range(0, 20, 7)
        for case in cases_of(FULL, Slice("definition", Map.FORWARD, "random", start, min(20, start + 7)), SMOKE, 0)
    ]
    assert whole == pieces


def test_a_scope_does_not_depend_on_the_slices_that_it_is_cut_into():
    whole = list(cases_of(FULL, Slice("small-scope", Map.FORWARD, "scope", 0, 20), GATE, 0))
    halves = [
        case
        for start in (0, 10)
        for case in cases_of(FULL, Slice("small-scope", Map.FORWARD, "scope", start, start + 10), GATE, 0)
    ]
    assert whole == halves


def test_slices_are_no_longer_than_a_chunk():
    assert max(part.stop - part.start for part in slices(FULL, LAWS, GATE)) <= CHUNK


def test_slices_of_a_stream_follow_each_other_without_a_gap():
    parts = [p for p in slices(FULL, laws("definition"), GATE) if (p.map, p.stream) == (Map.FORWARD, "random")]
    assert [p.start for p in parts] == [0, *(p.stop for p in parts[:-1])]
    assert parts[-1].stop == GATE.certifying


def test_only_maps_that_the_engine_offers_are_judged():
    forward = FULL.replace(capabilities=Capabilities((1,), ("f32",), frozenset(FEATURES)))
    assert {part.map for part in slices(forward, LAWS, SMOKE)} == {Map.FORWARD}


def test_all_maps_of_a_law_are_judged_where_the_engine_offers_them():
    assert {part.map for part in slices(FULL, laws("definition"), SMOKE)} == set(Map)


def test_a_law_about_what_the_engine_lacks_has_no_slice():
    assert list(slices(BARE, laws("dilation-zero-stuffs"), GATE)) == []


def test_smoke_has_no_sweep_and_no_search():
    assert {part.stream for part in slices(FULL, LAWS, SMOKE)} == {"networks", "random", "scope"}


def test_a_gate_has_every_stream():
    assert {part.stream for part in slices(FULL, LAWS, GATE)} == {"sweep", "networks", "random", "search", "scope"}


@pytest.mark.parametrize(
    ("name", "profile", "expected"), [("definition", SMOKE, 200), ("mass", SMOKE, 12), ("mass", GATE, 36)]
)
def test_the_law_that_certifies_gets_more_free_choices(name, profile, expected):
    parts = [p for p in slices(FULL, laws(name), profile) if (p.map, p.stream) == (Map.FORWARD, "random")]
    assert expected == sum(part.stop - part.start for part in parts)


def test_the_sweep_of_a_gate_asks_for_every_pair_of_classes():
    law = BY_NAME["mirrors"]
    table = tuple(Space.of(FULL.capabilities, law, Map.FORWARD).table.items())
    parts = [p for p in slices(FULL, (law,), GATE) if p.stream == "sweep"]
    assert sum(p.stop - p.start for p in parts) == len(rows(table, 2))


@pytest.mark.parametrize(
    ("profile", "longer"), [(GATE, False), (PROFILES["nightly"].replace(random=1, search=0), True)]
)
def test_only_a_nightly_run_sweeps_every_law_over_triples(profile, longer):
    counts = {}
    for name in ("mirrors", "definition"):
        parts = [p for p in slices(FULL, laws(name), profile) if (p.map, p.stream) == (Map.FORWARD, "sweep")]
        counts[name] = sum(part.stop - part.start for part in parts)
    assert (counts["mirrors"] > 300, counts["definition"] > 300) == (longer, True)


def geometry(problem):
    """What layers keep of a network: kernel, stride, padding and dilation, whichever axis is the first."""
    axes = tuple(zip(problem.kernel, problem.stride, problem.padding, problem.dilation, strict=True))
    return replace(problem, size=(1,), kernel=(1,), stride=(), padding=(), dilation=(), bias=False), min(
        axes, axes[::-1]
    )


def test_layers_of_networks_are_the_same_for_every_seed_but_for_operands_sizes_bias_and_the_order_of_axes():
    law = BY_NAME["definition"]
    parts = [p for p in slices(ROOMY, (law,), SMOKE) if p.stream == "networks"]
    lines = [[case for part in parts for case in cases_of(ROOMY, part, SMOKE, seed)] for seed in (0, 1)]
    whole = network_layers(ROOMY.capabilities, Map.FORWARD, min(law.work, ROOMY.capabilities.work_limit))
    for cases in lines:
        given = [case.problem for case in cases if case.map is Map.FORWARD]
        assert list(map(geometry, given)) == list(map(geometry, whole))
        assert {p.bias for p in given} == {False, True}
        more = [sum(p.size) - sum(q.size) for p, q in zip(given, whole, strict=True)]
        assert (min(more), max(more) <= 9) == (0, True)
    assert [case.problem for case in lines[0]] != [case.problem for case in lines[1]]


def test_every_third_free_choice_of_the_definition_has_the_geometry_of_a_layer():
    (part, *_) = [p for p in slices(FULL, laws("definition"), GATE) if p.stream == "random"]
    known = {(p.kernel, p.stride, p.padding, p.dilation) for p in geometries(FULL.capabilities)}
    problems = [case.problem for case in cases_of(FULL, part, GATE, 0)][2::3]
    assert all((p.kernel, p.stride, p.padding, p.dilation) in known for p in problems)


def test_geometries_of_layers_come_with_their_axes_in_reverse():
    kernels = {p.kernel for p in geometries(FULL.capabilities)}
    assert {(1, 7), (7, 1), (3, 3), (7, 7)} <= kernels


def test_a_scope_lists_every_small_problem_once():
    whole = [str(case.problem) for case in all_cases(BARE, laws("small-scope"), GATE)]
    assert (len(set(whole)), len(whole)) == (26, 26)  # sizes up to 8, kernels up to 4 and up to the size


def test_a_scope_is_thinned_in_smoke():
    whole, part = (all_cases(FULL, laws("small-scope"), profile) for profile in (GATE, SMOKE))
    assert (len(part), {case.problem for case in part} <= {case.problem for case in whole}) == (
        -(-len(whole) // SMOKE.scope),
        True,
    )


def test_a_scope_holds_stride_dilation_and_padding_of_both_ends():
    line = FULL.replace(capabilities=Capabilities((1,), ("f32",), frozenset(FEATURES)))
    problems = [case.problem for case in all_cases(line, laws("small-scope"), GATE)]
    found = {(p.stride, p.dilation, p.padding) for p in problems}
    assert len(found) == 3 * 3 * 16


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_every_case_of_a_law_is_spoken_of_by_it_and_taken_by_the_engine(law):
    profile = Profile("few", pairs=True, triples=False, random=10, certifying=10, search=0)
    for case in all_cases(FULL, (law,), profile)[:150]:
        assert (FULL.capabilities.admits(case.problem), case.law) == ("", law.name)
        assert law.holds(case.problem), case
