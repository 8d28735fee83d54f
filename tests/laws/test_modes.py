"""The laws of modes: which mode disagrees is told, and what cannot be called in a mode is not judged in it."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.claim import judge
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv, Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.engines.modes import Mode
from convcheck.errors import TargetRaisedError, UnsupportedError
from convcheck.laws import BY_NAME, modes
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract
from convcheck.run import verify

OFFERED = Capabilities((1, 2, 3), tuple(DTYPES), frozenset(FEATURES), tuple(Map))
PROBLEM = Problem(size=(4, 5), kernel=(2, 3))


def right(which, problem, operands):
    return contract(which, problem, *operands).astype(DTYPES[problem.dtype].numpy)


def wrong(which, problem, operands):
    return right(which, problem, operands) + 1


def refusing(*_):
    raise NotImplementedError("not so")


def raising(*_):
    raise RuntimeError("a dead kernel")


def verdict(law, *found, claim="values"):
    engine = Engine("it", OFFERED, right, modes={claim: found})
    operands = Operands(*(make(PROBLEM, role, Fill("dense", 3)) for role in Map.FORWARD.roles))
    return judge(law(Conv(engine), PROBLEM, operands))


def test_the_mode_that_disagrees_is_named():
    reason = verdict(modes.modes_agree, Mode("under no_grad", right), Mode("compiled", wrong)).reason
    assert reason == "9 of 18 elements differ (compiled)"


def test_a_mode_of_another_dtype_is_named():
    wider = Mode("under vmap", lambda *given: right(*given).astype(np.float64))
    assert verdict(modes.modes_agree, wider).reason == "the dtype is f64, not f32 (under vmap)"


def test_a_mode_of_another_shape_is_named():
    shorter = Mode("under vmap", lambda *given: right(*given)[..., 1:])
    assert verdict(modes.modes_agree, shorter).reason == "the shape is (1, 1, 3, 2), not (1, 1, 3, 3) (under vmap)"


def test_a_mode_that_does_not_exist_is_left_out():
    assert verdict(modes.modes_agree, Mode("of channels_last", refusing), Mode("under no_grad", right)).ok


def test_a_target_that_raises_where_it_must_run_is_told_with_the_mode():
    with pytest.raises(TargetRaisedError, match=r"RuntimeError: a dead kernel \(under no_grad\)"):
        verdict(modes.modes_agree, Mode("under no_grad", raising))


def test_a_target_that_need_not_run_in_a_mode_and_raises_is_not_judged_in_it():
    assert verdict(modes.modes_agree, Mode("under vmap", raising, must=False), Mode("under no_grad", right)).ok
    with pytest.raises(UnsupportedError, match=r"a dead kernel \(under vmap\)"):
        verdict(modes.modes_agree, Mode("under vmap", raising, must=False))


def test_a_mode_of_other_maps_is_left_out():
    with pytest.raises(UnsupportedError, match="no mode for forward"):
        verdict(modes.modes_agree, Mode("of upstream gradients", wrong, maps=(Map.GRAD_INPUT,)))


def test_rounding_to_bfloat16_is_allowed_under_autocast():
    rounded = Mode("under autocast", lambda *given: right(*given).astype(DTYPES["bf16"].numpy))
    assert verdict(modes.autocast_agrees, rounded, claim="autocast").ok


def test_strides_are_claimed_of_fake_tensors_and_not_of_the_meta_device():
    turned = Mode("of fake tensors", lambda *given: np.asfortranarray(right(*given)))
    assert verdict(modes.fake_agrees, turned, claim="fake").reason == "2 of 4 elements differ (strides)"
    assert verdict(modes.meta_agrees, turned, claim="meta").ok


@pytest.mark.parametrize(
    ("law", "found", "why"),
    [
        ("modes-agree", {}, "the target takes no torch tensors"),
        ("opcheck", {}, "the target is no operator of torch.library"),
        ("fake-agrees", {"values": ()}, "the target is no operator of torch"),
    ],
)
def test_a_law_without_its_modes_says_why_it_is_not_judged(law, found, why):
    (result,) = verify(Engine("it", OFFERED, right, modes=found), laws=[law]).results
    assert (result.judged, result.reason) == (0, why)


def test_what_takes_minutes_is_judged_where_it_is_named():
    engine = Engine("it", OFFERED, right, modes={"compiled": (Mode("compiled", right),)})
    others = [law for law in BY_NAME if law != "compiled-agrees"]
    (unasked,) = verify(engine, exclude_laws=others, profile="smoke").results
    (asked,) = verify(engine, laws=["compiled-agrees"], profile="smoke").results
    assert (unasked.judged, unasked.reason.partition(":")[0], asked.judged) == (0, "takes minutes", 8)
