"""Strategies: whatever is drawn is a valid problem that the engine takes, with operands as promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

from convcheck.bounds import is_exact
from convcheck.cases import RECIPES, Case, choose_fills
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.laws import LAWS
from convcheck.operands import Fill
from convcheck.problem import Map, Problem
from convcheck.space import CLASSES, Space, classify, seeded
from convcheck.strategies import cases, operands, problems

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
steady = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=True,
    database=None,
    phases=[Phase.generate, Phase.shrink],
)
small = {"size": ("tiny",)}
capabilities = st.builds(
    Capabilities,
    ndims=st.sets(st.integers(1, 3), min_size=1).map(lambda found: tuple(sorted(found))),
    dtypes=st.sets(st.sampled_from(tuple(DTYPES)), min_size=1).map(tuple),
    features=st.frozensets(st.sampled_from(FEATURES)),
    maps=st.just(tuple(Map)),
    work_limit=st.sampled_from((10, 1_000, 50_000)),
)


def engine_with(offered):
    return Engine("none", offered, lambda *_: None, modes={"padding": (), "state": ()})


@unhurried
@given(problems(dtypes=tuple(DTYPES)))
def test_every_problem_drawn_is_valid(problem):
    assert problem.is_valid


@unhurried
@given(capabilities, st.data())
def test_every_problem_drawn_is_admitted_by_the_capabilities_asked_for(offered, data):
    strategy = problems(
        ndim=offered.ndims, dtypes=offered.dtypes, features=offered.features, work_limit=offered.work_limit
    )
    assert offered.admits(data.draw(strategy)) == ""


@unhurried
@given(capabilities, st.sampled_from(LAWS), st.sampled_from(Map), st.data())
def test_every_case_drawn_is_admitted_by_its_engine_and_spoken_of_by_its_law(offered, law, which, data):
    engine = engine_with(offered)
    if which in law.maps_of(offered) and not _lacking(offered, law, which):
        case = data.draw(cases(engine, law, which))
        assert (case.law, case.map, offered.admits(case.problem)) == (law.name, which, "")


def _lacking(offered, law, which):
    return Space.of(offered, law, which).lacking


@unhurried
@given(problems(ndim=2, features=()))
def test_without_features_a_problem_is_a_bare_correlation(problem):
    assert str(problem) == str(Problem(size=problem.size, kernel=problem.kernel))


@unhurried
@given(problems(needs={"stride": ("two",), "padding": ("two-sided",)}))
def test_needs_restrict_the_classes(problem):
    found = classify(problem)
    assert (found["stride"] in ("two", "above-kernel"), found["padding"]) == (True, "two-sided")


@pytest.mark.parametrize("ndim", [1, 2, 3])
@unhurried
@given(data=st.data())
def test_ndim_may_be_one_number(ndim, data):
    assert data.draw(problems(ndim=ndim)).ndim == ndim


def test_problems_shrink_to_a_kernel_of_two_elements_in_an_input_that_it_fits():
    found = find(problems(ndim=1), lambda _: True, settings=steady)
    assert str(found) == "f32 n1 g1 c1 o1 i2 k2 s1 p0 d1"


@pytest.mark.parametrize(
    ("parameter", "value", "expected"),
    [
        ("stride", (2,), "f32 n1 g1 c1 o1 i2 k2 s2 p0 d1"),
        ("dilation", (2,), "f32 n1 g1 c1 o1 i3 k2 s1 p0 d2"),
        ("batch", 2, "f32 n2 g1 c1 o1 i2 k2 s1 p0 d1"),
        ("bias", True, "f32 n1 g1 c1 o1 i2 k2 s1 p0 d1 bias"),
    ],
)
def test_problems_shrink_to_the_one_thing_that_is_asked_for(parameter, value, expected):
    found = find(problems(ndim=1), lambda problem: getattr(problem, parameter) == value, settings=steady)
    assert expected == str(found)


@unhurried
@given(problems(dtypes=tuple(DTYPES), needs=small), st.sampled_from(Map), st.data())
def test_exact_operands_are_certified_exact(problem, which, data):
    problem = problem if which is Map.FORWARD else problem.replace(bias=False)
    drawn = data.draw(operands(problem, which=which))
    numerics = engine_with(Capabilities((1,), ("f32",))).numerics
    assert DTYPES[problem.dtype].kind == "i" or is_exact(which, problem, drawn, numerics)


@unhurried
@given(problems(dtypes=("f64", "f32", "f16", "bf16"), needs=small), st.sampled_from(Map), st.data())
@pytest.mark.parametrize("recipe", ["strict", "tiny"])
def test_strict_operands_have_sums_that_the_output_s_type_holds(recipe, problem, which, data):
    problem = problem if which is Map.FORWARD else problem.replace(bias=False)
    drawn = data.draw(operands(problem, which=which, recipe=recipe))
    numerics = engine_with(Capabilities((1,), ("f32",))).numerics
    too_many = problem.terms(which) + problem.bias > 2 ** DTYPES[problem.dtype].precision  # for ones, even
    assert too_many or is_exact(which, problem, drawn, numerics, stored=True)


@unhurried
@given(problems(needs=small), st.sampled_from(Map), st.sampled_from(tuple(RECIPES)), st.data())
def test_operands_have_the_shapes_of_the_map_s_roles(problem, which, recipe, data):
    drawn = data.draw(operands(problem, which=which, recipe=recipe))
    expected = [problem.shapes[role] for role in (*which.roles, *([which.bias] if problem.bias else []))]
    assert expected == [array.shape for array in drawn if array is not None]


def test_operands_shrink_to_small_integers():
    problem = Problem(size=(3,), kernel=(2,))
    found = find(operands(problem), lambda drawn: bool(np.all(drawn.a != 0)), settings=steady)
    assert np.abs(found.a).max() <= 3


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)
def test_case_lines_of_a_law_parse_back(law):
    offered = Capabilities((1, 2, 3), tuple(DTYPES), frozenset(FEATURES), tuple(Map), work_limit=1_000)
    engine = engine_with(offered)

    @settings(deadline=None, max_examples=10)
    @given(cases(engine, law, law.maps_of(offered)[-1]))
    def each(case):
        assert Case.parse(str(case)) == case

    each()


@pytest.mark.parametrize("parameter", CLASSES)
def test_every_class_of_every_parameter_can_be_drawn(parameter):
    space = Space(Capabilities((1, 2, 3), tuple(DTYPES), frozenset(FEATURES), work_limit=10**9))
    for wanted in CLASSES[parameter]:
        found = {classify(space.build(seeded(seed), {parameter: wanted}))[parameter] for seed in range(60)}
        assert wanted in found


def test_fills_chosen_by_a_seeded_chooser_are_the_same_again():
    problem = Problem(size=(3,), kernel=(2,))
    numerics = engine_with(Capabilities((1,), ("f32",))).numerics
    one, two = (choose_fills("exact", seeded(3), Map.FORWARD, problem, numerics) for _ in range(2))
    assert (one, all(isinstance(fill, Fill) for fill in one)) == (two, True)
