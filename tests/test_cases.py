"""Cases: one line there and back, and the recipes by which operands are chosen."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck.bounds import Numerics, is_exact
from convcheck.cases import RECIPES, Case, check_law_name, choose_fills
from convcheck.errors import ParseError
from convcheck.layouts import LAYOUTS
from convcheck.operands import Fill, make
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract
from convcheck.space import seeded
from convcheck.strategies import problems

LINE = "flip-relates f32 n1 g1 c1 o1 i3x3 k2x2 s1x1 p0x0 d1x1 x=ramp w=impulse@0,0,0,1"
PROBLEM = Problem(size=(3, 3), kernel=(2, 2))


def fills_of(recipe, problem=PROBLEM, which=Map.FORWARD, numerics=None, headroom=0, seeds=range(60)):
    """What a recipe chooses, seed by seed."""
    numerics = numerics or Numerics()
    return [choose_fills(recipe, seeded(seed), which, problem, numerics, headroom) for seed in seeds]


# -- the line ------------------------------------------------------------------------------------------------


def test_a_line_names_law_problem_and_fills():
    case = Case("flip-relates", PROBLEM, (Fill("ramp"), Fill.parse("impulse@0,0,0,1")))
    assert str(case) == LINE


def test_a_line_parses_back():
    assert str(Case.parse(LINE)) == LINE


@pytest.mark.parametrize(
    ("which", "expected"),
    [
        (Map.FORWARD, "definition f32 n1 g1 c1 o1 i3x3 k2x2 s1x1 p0x0 d1x1 x=ones w=ramp"),
        (Map.GRAD_INPUT, "definition@grad_input f32 n1 g1 c1 o1 i3x3 k2x2 s1x1 p0x0 d1x1 gy=ones w=ramp"),
        (Map.GRAD_WEIGHT, "definition@grad_weight f32 n1 g1 c1 o1 i3x3 k2x2 s1x1 p0x0 d1x1 gy=ones x=ramp"),
    ],
)
def test_a_line_of_a_gradient_names_its_map_and_its_operands(which, expected):
    case = Case("definition", PROBLEM, (Fill("ones"), Fill("ramp")), which)
    assert (str(case), Case.parse(expected)) == (expected, case)


def test_a_bias_is_on_the_line_by_its_fill():
    case = Case("bias-adds", PROBLEM.replace(bias=True), (Fill("ones"), Fill("ramp"), Fill("dense", 7, 3)))
    expected = "bias-adds f32 n1 g1 c1 o1 i3x3 k2x2 s1x1 p0x0 d1x1 x=ones w=ramp b=dense:7#3"
    assert (str(case), Case.parse(expected)) == (expected, case)


def test_operands_may_come_in_any_order():
    assert Case.parse("definition w=ones i3 k2 x=ramp") == Case.parse("definition i3 k2 x=ramp w=ones")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("", "an empty line is no case"),
        ("definition@backward i3 k2 x=ones w=ones", "'backward' is no map; there are forward, grad_input"),
        ("definition i3 k2 x=ones v=ones w=ones", "v in 'definition .*': operands are x, w, b"),
        ("definition i3 k2 x=ones", "does not say how w is filled"),
        ("definition i3 k2", "does not say how x and w is filled"),
        ("definition@grad_input i3 k2 x=ones w=ones", "operands are gy, w, b"),
        ("definition i3 k2 x=ones w=waves", "no fill is called 'waves'"),
        ("definition i3 q2 x=ones w=ones", "'q2' is not a word of a problem"),
    ],
)
def test_what_cannot_be_read_is_shown(line, message):
    with pytest.raises(ParseError, match=message):
        Case.parse(line)


@pytest.mark.parametrize(
    ("name", "message"),
    [("flip-relate", "'flip-relate'; did you mean 'flip-relates'?"), ("zzz", "no law is called 'zzz'$")],
)
def test_a_law_that_does_not_exist_is_shown_with_the_nearest(name, message):
    with pytest.raises(ParseError, match=message.replace("?", r"\?")):
        check_law_name(name, ["definition", "flip-relates"])


def test_a_law_that_exists_is_no_error():
    check_law_name("definition", ["definition", "flip-relates"])


def test_operands_are_made_for_the_map_s_roles():
    case = Case.parse("definition@grad_weight n2 c3 o4 i5x5 k2x2 gy=ones x=ramp")
    assert [o.shape for o in case.operands() if o is not None] == [(2, 4, 4, 4), (2, 3, 5, 5)]


def test_operands_of_a_bias_are_made_too():
    case = Case.parse("definition o4 i5 k2 x=ones w=ones b=ramp")
    assert case.operands().bias.tolist() == [0, 1, 2, 3]


# -- the recipes -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("bias", [False, True])
def test_every_recipe_fills_every_operand(recipe, bias):
    problem = PROBLEM.replace(bias=bias)
    assert {len(fills) for fills in fills_of(recipe, problem)} == {2 + bias}


@pytest.mark.parametrize("recipe", sorted(set(RECIPES) - {"none"}))
def test_every_recipe_chooses_differently_by_the_seed(recipe):
    assert len(set(fills_of(recipe))) > 20


def test_no_recipe_at_all_gives_zeros():
    assert set(fills_of("none")) == {(Fill("zeros"), Fill("zeros"))}


@pytest.mark.parametrize(("recipe", "most"), [("strict", 2**24), ("tiny", 4 * 2**4)])
def test_two_operands_and_their_terms_stay_below_the_precision(recipe, most):
    assert max(4 * a.limit * b.limit for a, b in fills_of(recipe)) <= most


@pytest.mark.parametrize("recipe", ["exact", "strict"])
def test_the_budget_is_split_unevenly_now_and_then(recipe):
    longest = max(max(fill.limit for fill in fills[:2]) for fills in fills_of(recipe))
    assert longest > 2**16


def test_headroom_takes_bits_away():
    problem = PROBLEM.replace(dtype="f64")
    most = [max(a.limit * b.limit for a, b in fills_of("strict", problem, headroom=bits)) for bits in (0, 2)]
    assert 2**50 <= most[0] <= 2**51
    assert 2**48 <= most[1] <= 2**49


@pytest.mark.parametrize(("dtype", "longest"), [("u8", 255), ("i8", 127), ("i16", 2**15 - 1), ("bf16", 255)])
def test_no_integer_is_longer_than_the_dtype_holds(dtype, longest):
    limits = [fill.limit for fills in fills_of("exact", PROBLEM.replace(dtype=dtype)) for fill in fills]
    assert max(limits) <= longest


@pytest.mark.parametrize("dtype", ["f32", "f16"])
def test_a_narrow_accumulator_leaves_fewer_bits(dtype):
    problem = PROBLEM.replace(dtype=dtype)
    narrow = Numerics(accumulators={dtype: "bf16"})
    assert max(a.limit * b.limit for a, b in fills_of("strict", problem, numerics=narrow)) <= 2**6


def test_many_terms_leave_fewer_bits():
    problem = PROBLEM.replace(channels=256)
    assert max(a.limit * b.limit for a, b in fills_of("strict", problem)) <= 2**14


def test_ramps_are_used_where_their_length_leaves_sums_exact():
    kinds = {c: {a.kind for a, _ in fills_of("exact", PROBLEM.replace(channels=c))} for c in (1, 16)}
    assert kinds == {1: {"dense", "sparse", "ramp"}, 16: {"dense", "sparse"}}


def test_the_definition_is_asked_for_the_extreme_integer_where_nothing_is_added():
    found = [
        {tuple(f.kind for f in fills) for fills in fills_of("defining", PROBLEM.replace(**changes), seeds=range(200))}
        for changes in ({"dtype": "i8"}, {"dtype": "u8"}, {"dtype": "i8", "bias": True}, {})
    ]
    extremes = {("extreme", "taps"), ("taps", "extreme")}
    assert [kinds & extremes for kinds in found] == [extremes, extremes, set(), set()]


@pytest.mark.parametrize("which", Map)
def test_exact_operands_are_sparse_or_structured_now_and_then(which):
    found = fills_of("exact", PROBLEM, which, seeds=range(600))
    sparse, structured = (
        sum(any(f.kind == kind for f in fills) for fills in found) for kind in ("sparse", "structured")
    )
    assert (70 < sparse < 140, 50 < structured < 105) == (True, True)


def test_a_bias_is_sparse_where_an_operand_is():
    found = fills_of("exact", PROBLEM.replace(bias=True), seeds=range(200))
    assert {any(f.kind == "sparse" for f in fills[:2]) for fills in found if fills[2].kind == "sparse"} == {True}
    assert {fills[2].kind for fills in found} == {"dense", "sparse"}


def test_operands_of_one_element_are_neither_sparse_nor_structured():
    found = fills_of("exact", Problem(size=(1,), kernel=(1,)), seeds=range(200))
    assert {fill.kind for fills in found for fill in fills} <= {"dense", "ramp"}


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(dtypes=("f64", "f32", "i32", "complex64")), st.integers(0, 999))
def test_exact_operands_are_exact_in_any_order(problem, seed):
    fills = choose_fills("exact", seeded(seed), Map.FORWARD, problem, Numerics())
    assert is_exact(Map.FORWARD, problem, Case("definition", problem, fills).operands(), Numerics())


def test_floats_are_of_several_kinds():
    assert {fill.kind for fills in fills_of("float") for fill in fills} == {"normal", "positive", "wide", "constant"}


@pytest.mark.parametrize(("dtype", "kinds"), [("f32", {"normal", "positive", "wide", "constant"}), ("f16", {"dense"})])
def test_operands_that_are_scaled_stay_clear_of_subnormals(dtype, kinds):
    found = fills_of("scalable", PROBLEM.replace(dtype=dtype))
    assert kinds == {fill.kind for fills in found for fill in fills}


@pytest.mark.parametrize("recipe", ["exact", "defining", "strict", "layouts"])
@pytest.mark.parametrize("line", ["u8 i20x20 k17x17", "i8 n2 c130 o2 i3x3 k1x1", "i8 c130 o2 i3x3 k1x1 bias"])
def test_no_sum_overflows_a_short_integer_type(recipe, line):
    problem = Problem.parse(line)
    for fills in fills_of(recipe, problem, seeds=range(40)):
        roles = (*Map.FORWARD.roles, *(["bias"] if problem.bias else []))
        a, b, *bias = (make(problem, role, fill) for role, fill in zip(roles, fills, strict=True))
        sums = contract(Map.FORWARD, problem, a, b, *bias, number=np.int64)
        assert np.array_equal(sums, sums.astype(a.dtype))


@pytest.mark.parametrize(("dtype", "often"), [("u8", True), ("i64", True), ("f32", False)])
def test_layers_are_often_judged_on_the_most_extreme_integers(dtype, often):
    found = [{fill.kind for fill in fills} for fills in fills_of("layers", PROBLEM.replace(dtype=dtype))]
    assert (10 < sum("extreme" in kinds for kinds in found) < 50) is often


def test_layouts_are_taken_in_turn_until_every_pair_has_occurred():
    problem, numerics = PROBLEM.replace(bias=True), Numerics()
    found = [
        choose_fills("layouts", seeded(turn), Map.FORWARD, problem, numerics, turn=turn)
        for turn in range(len(LAYOUTS) * (len(LAYOUTS) + 2))
    ]
    names = list(LAYOUTS)
    first, second = found[: len(names)], found[len(names) : 2 * len(names)]
    turns = list(zip(names, names[1:] + names[:1], strict=True))
    assert [tuple(f.layout for f in fills) for fills in first] == [(n, "contiguous", after) for n, after in turns]
    assert [tuple(f.layout for f in fills) for fills in second] == [("contiguous", n, after) for n, after in turns]
    pairs = {(a.layout, b.layout) for a, b, _ in found[2 * len(names) :]}
    assert (len(pairs), {bias.layout for *_, bias in found}) == (len(names) ** 2, set(names))


def test_layouts_are_of_every_kind():
    found = {fill.layout for fills in fills_of("layouts", seeds=range(300)) for fill in fills}
    assert found == set(LAYOUTS)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(("f64", "f32", "f16", "bf16")), st.integers(0, 99))
@pytest.mark.parametrize(("which", "summed"), [(Map.FORWARD, (1, 1)), (Map.GRAD_INPUT, (1, 0))])
def test_cancelling_operands_repeat_and_oppose_each_other_along_the_axis_that_is_summed(which, summed, dtype, seed):
    problem = Problem(size=(3,), kernel=(1,), dtype=dtype, batch=4, channels=4, filters=4)
    fills = choose_fills("cancelling", seeded(seed), which, problem, Numerics())
    operands = Case("accumulator", problem, fills, which).operands()
    repeated, opposed = (np.moveaxis(o.astype(float), axis, 0) for o, axis in zip(operands, summed, strict=False))
    assert np.array_equal(opposed[0::2], -opposed[1::2])
    assert np.abs(repeated[0::2] - repeated[1::2]).max() <= 1


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(problems(dtypes=("f64", "f32", "f16", "bf16")), st.integers(0, 99))
@pytest.mark.parametrize("which", Map)
def test_cancelling_operands_are_exact_in_any_order(which, problem, seed):
    problem = problem.replace(bias=False)
    fills = choose_fills("cancelling", seeded(seed), which, problem, Numerics())
    assert is_exact(which, problem, Case("accumulator", problem, fills, which).operands(), Numerics())


@pytest.mark.parametrize("batch", [1, 2])
@pytest.mark.parametrize(("kernel", "stride"), [(2, 1), (4, 2), (3, 3)])
def test_the_terms_of_a_weight_s_gradient_cancel_in_pairs(batch, kernel, stride):
    problem = Problem(size=(7 * stride + kernel,), kernel=(kernel,), stride=(stride,), batch=batch)
    for seed in range(20):
        fills = choose_fills("cancelling", seeded(seed), Map.GRAD_WEIGHT, problem, Numerics())
        y, x, _ = Case("accumulator", problem, fills, Map.GRAD_WEIGHT).operands()
        pairs = batch * problem.output[0] // 2
        assert np.abs(contract(Map.GRAD_WEIGHT, problem, y, x)).max() <= pairs * np.abs(x).max()
