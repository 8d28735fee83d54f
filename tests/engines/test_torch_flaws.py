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
    ("function", "leaks", "judged"),
    [
        (calling, True, False),
        (calling, False, True),
        (unfolding, True, True),
        (functional.conv2d, True, True),
    ],
)
def test_bfloat16_is_judged_unless_the_flaw_is_torch_s(monkeypatch, function, leaks, judged):
    monkeypatch.setattr(torch_flaws, "leaks_nan_in_bf16", lambda: leaks)
    engine = wrap(function, ndim=2, array="torch")
    assert ("bf16" in engine.capabilities.dtypes) == judged
    assert any("bf16 (it calls torch" in note for note in engine.notes) != judged
