"""Modes of torch functions: each is entered, told by what it changes, and left as it was found."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.claim import judge
from convcheck.engines.base import Conv
from convcheck.engines.wrap import wrap
from convcheck.errors import TargetRaisedError
from convcheck.laws.modes import fake_agrees, meta_agrees, modes_agree, opcheck, thread_count_free
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

torch = pytest.importorskip("torch")

#: torch's own, when its compiler is imported
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

PROBLEM = Problem(size=(5, 6), kernel=(2, 3), batch=2, channels=2, filters=2)
F = torch.nn.functional


def operands_of(problem=PROBLEM):
    roles = (*Map.FORWARD.roles, *(("bias",) if problem.bias else ()))
    return Operands(*(make(problem, role, Fill("dense", 3)) for role in roles))


def conv_of(function, **options):
    return Conv(wrap(function, **({"array": "torch", "ndim": 2, "name": "it"} | options)))


def reason(law, conv, problem=PROBLEM):
    return judge(law(conv, problem, operands_of(problem))).reason


def wrong_where(condition):
    def conv2d(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
        y = F.conv2d(x, w, bias, stride, padding, dilation, groups)
        return y + 1 if condition(x, w, bias) else y

    return conv_of(conv2d)


CONDITIONS = {
    "under inference_mode": lambda *_: torch.is_inference_mode_enabled(),
    "under no_grad": lambda *_: not torch.is_grad_enabled() and not torch.is_inference_mode_enabled(),
    "where the first operand requires a gradient": lambda x, *_: x.requires_grad,
    "where the second operand requires a gradient": lambda _, w, __: w.requires_grad,
    "where the bias requires a gradient": lambda _, __, b: b is not None and b.requires_grad,
    "where the second operand is a parameter": lambda _, w, __: isinstance(w, torch.nn.Parameter),
    "with float64 as the default dtype": lambda *_: torch.get_default_dtype() == torch.float64,
    "under vmap over kernels": lambda _, w, __: torch._C._functorch.is_batchedtensor(w),
    "with deterministic algorithms": lambda *_: torch.are_deterministic_algorithms_enabled(),
    "of channels_last tensors": lambda x, *_: not x.is_contiguous(),
    "of tensors that start inside their storage": lambda _, w, __: w.storage_offset() > 0,
    "under vmap over the batch": lambda x, *_: torch._C._functorch.is_batchedtensor(x),
}


@pytest.mark.parametrize("name", CONDITIONS)
def test_a_mode_in_which_the_value_differs_is_found_and_named(name):
    assert reason(modes_agree, wrong_where(CONDITIONS[name]), PROBLEM.replace(bias=True)).endswith(f"({name})")


def test_a_difference_without_mkldnn_is_found_where_torch_s_convolution_is_not_called():
    def unfolding(x, w):
        columns = F.unfold(x, w.shape[2:])
        sizes = [n - k + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
        y = (w.flatten(1) @ columns).reshape(len(x), len(w), *sizes)
        return y if torch._C._get_mkldnn_enabled() else y + 1

    assert reason(modes_agree, conv_of(unfolding)).endswith("(without mkldnn)")


def test_who_is_called_without_mkldnn_is_not_compared_with_itself():
    def own(x, w):
        return F.conv2d(x, w)

    named = [{mode.name for mode in wrap(f, ndim=2, array="torch").modes["values"]} for f in (F.conv2d, own)]
    assert ["without mkldnn" in names for names in named] == [True, False]


@pytest.mark.parametrize("count", [1, 2])
def test_a_number_of_threads_that_makes_a_difference_is_found(count):
    before = torch.get_num_threads()
    torch.set_num_threads(3 - count)
    try:
        conv = wrong_where(lambda *_: torch.get_num_threads() == count)
        assert reason(thread_count_free, conv).endswith(f"(with {count} threads)")
    finally:
        torch.set_num_threads(before)


def test_a_right_function_agrees_in_every_mode():
    assert reason(modes_agree, wrong_where(lambda *_: False), PROBLEM.replace(bias=True)) == ""


def state():
    return (
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.is_autocast_enabled("cpu"),
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.are_deterministic_algorithms_enabled(),
        torch._C._get_mkldnn_enabled(),
    )


def test_what_a_mode_sets_is_put_back_though_the_target_raises():
    conv = wrong_where(lambda *_: False)
    broken = wrap(raising, array="torch", ndim=2, facts=conv.engine.facts)
    before = state()
    for mode in (mode for found in broken.modes.values() for mode in found if mode.name != "compiled"):
        with pytest.raises((RuntimeError, NotImplementedError)):
            mode.call(Map.FORWARD, PROBLEM, operands_of())
        assert (mode.name, state()) == (mode.name, before)


def raising(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
    raise RuntimeError("no")


def by_numpy(x, w):
    return torch.from_numpy(F.conv2d(torch.from_numpy(x.numpy()), torch.from_numpy(w.numpy())).numpy())


def test_a_function_that_leaves_torch_is_not_accused_where_it_cannot_run():
    assert reason(modes_agree, conv_of(by_numpy)) == ""


def needing_gradients(x, w):
    if not torch.is_grad_enabled():
        raise RuntimeError("element 0 of tensors does not require grad")
    return F.conv2d(x, w)


def test_a_differentiable_function_must_run_without_gradients():
    with pytest.raises(TargetRaisedError, match=r"does not require grad \(under no_grad\)"):
        modes_agree(conv_of(needing_gradients), PROBLEM, operands_of())


def test_a_function_of_numpy_has_no_modes():
    assert wrap(lambda X, K: np.correlate(X, K, "valid"), ndim=1).modes == {}


def test_only_operators_are_asked_for_shapes_without_values():
    own, others = set(conv_of(F.conv2d).engine.modes), set(conv_of(needing_gradients).engine.modes)
    assert (own - others, others - own) == ({"meta", "fake"}, set())


def test_torch_s_own_operator_agrees_with_itself_without_values():
    conv = conv_of(F.conv2d)
    assert [reason(law, conv) for law in (meta_agrees, fake_agrees)] == ["", ""]


@pytest.fixture(scope="module")
def operators():
    """Operators registered with torch.library: a right one, and two with a wrong kernel for fake tensors."""
    library = torch.library.Library("convcheck_tests", "DEF")
    shapes = {"right": F.conv2d, "short": lambda x, w: F.conv2d(x, w)[..., 1:]}
    for name, fake in shapes.items():
        library.define(f"{name}(Tensor x, Tensor w) -> Tensor")
        library.impl(name, F.conv2d, "CPU")
        torch.library.register_fake(f"convcheck_tests::{name}", fake, lib=library)
    yield torch.ops.convcheck_tests
    library._destroy()


def test_a_custom_operator_is_checked_by_torch_too(operators):
    assert reason(opcheck, conv_of(operators.right)) == ""


def test_what_torch_finds_in_a_custom_operator_is_told(operators):
    conv = conv_of(operators.short)
    with pytest.raises(TargetRaisedError, match=r"^OpCheckError: .* \(under torch.library.opcheck\)"):
        opcheck(conv, PROBLEM, operands_of())
    assert reason(fake_agrees, conv) == "the shape is (2, 2, 4, 3), not (2, 2, 4, 4) (of fake tensors)"
