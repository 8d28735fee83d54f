"""Devices: operands are moved there and results back; a device that is full, or has no values, accuses nobody."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.engines import arrays, torch_state
from convcheck.engines.base import Conv
from convcheck.engines.wrap import wrap
from convcheck.errors import UnsupportedError
from convcheck.operands import Fill, Operands, make
from convcheck.plan import Profile
from convcheck.problem import Map, Problem
from convcheck.run import verify

torch = pytest.importorskip("torch")

conv2d = torch.nn.functional.conv2d
#: so many cases of a law
FEW = Profile("few", pairs=False, triples=False, random=6, certifying=6, search=0, shrink_seconds=0.5)
LAWS = ("definition", "batch-stacks", "modes-agree")
PROBLEM = Problem(size=(4, 5), kernel=(2, 3))

on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device here")


def statuses(report):
    return {result.law: (bool(result.judged), result.failed, result.reason) for result in report.results}


def test_on_the_meta_device_shapes_are_judged_and_values_are_not():
    laws = ("output-size", "definition", "shape-dtype-kept", "empty-batch", "modes-agree")
    report = verify("torch.nn.functional:conv2d", laws=laws, profile=FEW, device="meta")
    assert statuses(report) == {
        "output-size": (True, 0, ""),
        "definition": (False, 0, "the device has no values"),
        "shape-dtype-kept": (True, 0, ""),
        "empty-batch": (True, 0, ""),
        "modes-agree": (False, 0, "the device has no values"),
    }


def test_a_wrong_shape_is_found_on_the_meta_device():
    def one_short(x, w):
        return conv2d(x, w)[..., 1:]

    report = verify(one_short, laws=["output-size"], profile=FEW, device="meta", ndim=2)
    assert [v.law for v in report.violations] == ["output-size"]


class Elsewhere(torch.Tensor):
    """A tensor of a second device that does not exist: operands that were not moved there are refused."""


@pytest.fixture
def elsewhere(monkeypatch):
    """A device by which torch's arrays are moved and brought back, and how often that was."""
    counts = {"there": 0, "back": 0}
    cpu = arrays.kind_named("torch")

    def kind(device):
        if device == "cpu":
            return cpu

        def to_native(array):
            counts["there"] += 1
            return cpu.to_native(array).as_subclass(Elsewhere)

        def to_numpy(tensor):
            counts["back"] += 1
            return cpu.to_numpy(tensor.as_subclass(torch.Tensor))

        owns = lambda value: isinstance(value, Elsewhere)  # noqa: E731
        return arrays.ArrayKind("torch", owns, to_native, to_numpy, cpu.version, device)

    monkeypatch.setitem(arrays.KINDS, "torch", kind)
    return counts


def only_there(x, w):
    if not (isinstance(x, Elsewhere) and isinstance(w, Elsewhere)):
        raise TypeError("expected all tensors to be on the same device")
    return conv2d(x, w)


def test_operands_are_moved_to_a_device_and_results_are_brought_back(elsewhere):
    report = verify(only_there, laws=LAWS, profile=FEW, device="privateuseone", ndim=2, dtypes=("f32", "f64"))
    assert [statuses(report)[law] for law in LAWS] == [(True, 0, "")] * 3
    assert elsewhere["there"] > elsewhere["back"] > 0


def test_a_result_that_stays_behind_is_no_array_of_the_device(elsewhere):
    def back_again(x, w):
        return only_there(x, w).as_subclass(torch.Tensor)

    report = verify(back_again, laws=["definition"], profile=FEW, device="privateuseone", style="functional")
    assert "instead of a torch array" in report.violations[0].reason


def test_a_device_that_differs_from_the_cpu_is_found(elsewhere):
    def wrong_there(x, w):
        return conv2d(x, w) + isinstance(x, Elsewhere)

    report = verify(wrong_there, laws=["modes-agree"], profile=FEW, device="privateuseone", ndim=2, dtypes=("f32",))
    assert "(on the CPU)" in report.violations[0].reason


def test_a_device_without_room_is_not_judged():
    def full(x, w):
        raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB")

    conv = Conv(wrap(full, name="it", array="torch", ndim=2))
    operands = Operands(*(make(PROBLEM, role, Fill("dense", 3)) for role in Map.FORWARD.roles))
    with pytest.raises(UnsupportedError, match="CUDA out of memory"):
        conv(PROBLEM, *operands)


def test_cudnn_s_flags_are_put_back():
    flags = torch.backends.cudnn
    before = flags.benchmark, flags.deterministic
    with torch_state.cudnn(benchmark=not before[0], deterministic=not before[1]):
        assert (flags.benchmark, flags.deterministic) == (not before[0], not before[1])
    assert (flags.benchmark, flags.deterministic) == before


@on_cuda
@pytest.mark.parametrize("dtype", ["f16", "bf16", "f32", "f64"])
def test_torch_conforms_on_cuda(dtype):
    report = verify("torch.nn.functional:conv2d", profile=FEW, device="cuda", dtypes=(dtype,))
    assert [v.law for v in report.violations] == []


@on_cuda
def test_float32_is_multiplied_as_float32_on_cuda():
    arrays.kind_named("torch", "cuda")
    x = torch.full((1, 1, 1, 1), 1 + 2.0**-20, device="cuda")
    assert np.array_equal(conv2d(x, torch.ones_like(x)).cpu(), x.cpu())
