"""What torch gets wrong is not laid at the door of those who call it."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

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


def test_who_calls_torch_s_convolution_is_seen():
    x, w = torch.zeros(1, 1, 3, 3), torch.zeros(1, 1, 2, 2)
    assert [torch_flaws.calls_convolution(lambda f=f: f(x, w)) for f in (calling, unfolding)] == [True, False]


@pytest.mark.parametrize(("line", "alone"), [("i2x1 k1x1 s1x2 p0x1 d1x2", True), ("i2x1 k1x1 s1x1 p0x1", False)])
def test_who_calls_torch_is_spared_what_it_dies_of(line, alone):
    problem = Problem.parse(line)
    assert torch_flaws.meets_padding_alone(problem) == alone
    operands = [make(problem, role, Fill("ones", layout="strided")) for role in "xw"]
    spared = torch_flaws.sparing(lambda *_: np.ones(1))
    if alone:
        with pytest.raises(NotImplementedError, match="padding alone"):
            spared(Map.FORWARD, problem, Operands(*operands))
    else:
        assert spared(Map.FORWARD, problem, Operands(*operands)) == 1


@pytest.mark.parametrize(
    ("function", "leaks", "natively"),
    [
        (calling, True, True),
        (calling, False, False),
        (unfolding, True, False),
        (functional.conv2d, True, False),
    ],
)
def test_bfloat16_is_judged_without_onednn_where_the_flaw_is_torch_s(monkeypatch, function, leaks, natively):
    monkeypatch.setattr(torch_flaws, "leaks_nan_in_bf16", lambda: leaks)
    engine = wrap(function, ndim=2, array="torch")
    assert "bf16" in engine.capabilities.dtypes
    assert any("bf16: without oneDNN" in note for note in engine.notes) == natively


@pytest.mark.parametrize(("dtype", "enabled"), [("bf16", False), ("f32", True)])
def test_onednn_is_left_out_of_calls_of_bfloat16_alone(dtype, enabled):
    problem = Problem.parse("f32 i3 k2").replace(dtype=dtype)
    natively = torch_flaws.Native()

    def call(*_):
        return torch.backends.mkldnn.enabled

    assert natively(call)(Map.FORWARD, problem, None) == natively(call)([(problem, {})], "w", None) == enabled
    assert torch.backends.mkldnn.enabled


def test_onednn_stays_left_out_until_the_last_of_several_calls_is_over():
    natively, seen = torch_flaws.Native(), []
    with natively:
        with natively:
            pass
        seen.append(torch.backends.mkldnn.enabled)
    assert (seen, torch.backends.mkldnn.enabled) == ([False], True)
