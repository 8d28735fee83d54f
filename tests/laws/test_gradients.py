"""Laws of gradients against torch layers, whose backward is wrong in a way that its maps alone do not show."""

from __future__ import annotations

import pytest

from convcheck.engines.wrap import wrap
from convcheck.examine import examine
from convcheck.laws import BY_NAME, gradients, training
from convcheck.plan import Profile, cases_of, slices
from convcheck.replay import replay
from convcheck.run import verify

torch = pytest.importorskip("torch")

from convcheck.selftest.correct.backwards import ENGINES  # noqa: E402 - there are none without torch
from convcheck.selftest.faults.autograd import FAULTS  # noqa: E402

CHAPTER = (*gradients.LAWS, *training.LAWS)
FEW = Profile("few", pairs=False, triples=False, random=30, certifying=30, search=0)
BY_FAULT = {fault.name.removeprefix("torch-"): fault.engine for fault in FAULTS}
#: the law that a fault of a layer must not pass
KILLERS = {
    "saved-operands-detached": "double-backward",
    "upstream-detached": "double-backward",
    "second-derivative-doubled-by-x": "double-backward",
    "second-derivative-doubled-by-w": "double-backward",
    "weight-averaged-over-batch": "batch-gradients",
    "weight-flipped-for-depthwise": "learns-kernel",
    "input-cleared-for-its-gradient": "gradients-touch-nothing",
    "weight-cleared-for-its-gradient": "gradients-touch-nothing",
    "upstream-scaled-in-place": "gradients-touch-nothing",
    "upstream-cleared-for-a-bias": "gradients-touch-nothing",
    "doubled-if-asked-for-alone": "gradients-together",
    "doubled-if-both-are-asked-for": "gradients-together",
    "negated-if-with-a-bias": "gradients-together",
    "expanded-upstream-taken-for-ones": "expanded-upstream",
    "upstream-read-in-memory-order": "layout-free",
    "none-for-a-zero-upstream": "zero-upstream",
    "bias-of-the-first-image": "bias-gradient",
    "bias-summed-over-the-wrong-axis": "bias-gradient",
    "bias-averaged": "bias-gradient",
    "bias-without-the-last-position": "bias-gradient",
    "one-more-where-it-is-differentiated": "adjoint",
    "gradient-cleared-by-the-next-call": "gradients-accumulate",
    "operands-saved-in-the-layer": "gradients-accumulate",
}


def outcomes(engine, law):
    for part in slices(engine, (BY_NAME[law],), FEW):
        for case in cases_of(engine, part, FEW, seed=0):
            yield examine(engine, case)


def failures(engine, law):
    return [o for o in outcomes(engine, law) if o.verdict is not None and not o.verdict.ok]


def test_every_planted_layer_is_named_with_its_killer():
    assert set(KILLERS) == set(BY_FAULT)


@pytest.mark.parametrize(("fault", "law"), KILLERS.items())
def test_a_wrong_layer_is_found_by_the_law_that_speaks_of_its_mistake(fault, law):
    assert failures(BY_FAULT[fault], law)


@pytest.mark.parametrize("law", CHAPTER, ids=lambda law: law.name)
@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_a_correct_layer_is_not_accused(engine, law):
    assert failures(engine, law.name) == []


@pytest.mark.parametrize("law", ["bias-gradient", "double-backward", "gradients-accumulate"])
def test_what_a_layer_spoils_once_it_is_done_changes_nothing_that_is_expected(law):
    assert failures(BY_FAULT["upstream-cleared-for-a-bias"], law) == []


def test_a_layer_differentiable_once_is_not_judged_on_second_derivatives():
    once = next(engine for engine in ENGINES if engine.name == "layer-differentiable-once")
    assert {o.verdict for o in outcomes(once, "double-backward")} == {None}


def test_a_law_says_what_the_target_does_not_offer():
    report = verify(
        lambda x, w: x * w, array="numpy", ndim=1, dtypes=("f32",), laws=["double-backward", "bias-gradient"]
    )
    assert {r.reason for r in report.results} == {
        "the target offers no second derivatives",
        "the target offers no gradient by a bias",
    }


def test_a_case_replays_as_skipped_where_nothing_is_differentiated():
    line = "double-backward@grad_input f32 n1 g1 c1 o1 i3 k2 s1 p0 d1 gy=ramp w=ramp"
    assert replay(lambda x, w: x * w, line, array="numpy", ndim=1).skipped == "the target offers no second derivatives"


@pytest.mark.parametrize("law", CHAPTER, ids=lambda law: law.name)
def test_a_transposed_convolution_and_its_derivatives_conform(law, transposed):
    found = list(outcomes(transposed, law.name))
    wrong = [str(o.case) for o in found if o.verdict is not None and not o.verdict.ok]
    assert (wrong, any(o.verdict is not None for o in found)) == ([], True)


@pytest.fixture(scope="module")
def transposed():
    return wrap(torch.nn.functional.conv_transpose2d, name="torch.nn.functional:conv_transpose2d")


@pytest.mark.parametrize("law", CHAPTER, ids=lambda law: law.name)
def test_a_convolution_that_flips_the_kernel_conforms_where_it_says_so(law, flipping):
    assert failures(flipping, law.name) == []


@pytest.fixture(scope="module")
def flipping():
    def conv1d(x, w, bias=None, stride=1, padding=0):
        return torch.nn.functional.conv1d(x, w.flip(2), bias, stride, padding)

    return wrap(conv1d, array="torch", ndim=1, convention="convolution")
