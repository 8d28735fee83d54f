"""What torch gets wrong is not laid at the door of those who call it."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from convcheck.operands import Operands
from convcheck.problem import Map

torch = pytest.importorskip("torch")
from torch.nn import functional  # noqa: E402

from convcheck.engines import torch_flaws  # noqa: E402
from convcheck.engines.wrap import wrap  # noqa: E402


def calling(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x, w)


def unfolding(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    if x.ndim != 4 or x.shape[1] != w.shape[1]:
        raise ValueError(x.shape)
    columns = functional.unfold(x.float(), w.shape[2:])
    sizes = [n - k + 1 for n, k in zip(x.shape[2:], w.shape[2:], strict=True)]
    return (w.float().flatten(1) @ columns).reshape(len(x), len(w), *sizes).to(x.dtype)


@torch.inference_mode()
def inferring(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x, w)


@torch.library.custom_op("convcheck_tests::hidden", mutates_args=())
def operator(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return functional.conv2d(x, w)


def calling_for_halves(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    return calling(x, w) if x.dtype in (torch.bfloat16, torch.float16) else unfolding(x, w)


@pytest.mark.parametrize(
    ("function", "seen"), [(calling, True), (inferring, True), (operator, True), (unfolding, False)]
)
def test_who_calls_torch_s_convolution_is_seen(function, seen):
    x, w = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 2, 2)
    assert torch_flaws.calls_convolution(lambda: function(x, w)) == seen


@pytest.mark.parametrize(
    ("function", "spared"),
    [(calling, True), (calling_for_halves, True), (unfolding, False), (functional.conv2d, False)],
)
def test_who_calls_torch_s_convolution_is_judged_without_onednn(function, spared):
    engine = wrap(function, ndim=2, array="torch")
    assert any("without oneDNN" in note for note in engine.notes) == spared


def test_what_torch_makes_of_a_function_is_not_torch_s_own():
    class Own(torch.autograd.Function):
        pass

    scripted = torch.jit.CompilationUnit("def f(x):\n    return x\n").f
    functions = (Own.apply, scripted, functional.conv2d, torch.conv2d)
    assert [torch_flaws.is_torchs_own(f) for f in functions] == [False, False, True, True]


def test_onednn_is_left_out_of_calls_alone():
    call = torch_flaws.WithoutOneDNN()(lambda: torch.backends.mkldnn.enabled)
    assert (call(), torch.backends.mkldnn.enabled) == (False, True)


def test_onednn_stays_left_out_until_the_last_of_several_calls_is_over():
    without, seen = torch_flaws.WithoutOneDNN(), []
    with without:
        with without:
            pass
        seen.append(torch.backends.mkldnn.enabled)
    assert (seen, torch.backends.mkldnn.enabled) == ([False], True)


def test_who_calls_torch_is_not_asked_whether_it_takes_a_dilation_of_zero():
    problem, given = SimpleNamespace(dilation=(0, 1)), Operands(np.ones(1), np.ones(1))
    spared = torch_flaws.sparing(lambda *_: np.ones(1))
    with pytest.raises(NotImplementedError, match="dilation of 0"):
        spared(Map.GRAD_INPUT, problem, given)
    assert spared(Map.FORWARD, problem, given) == 1
