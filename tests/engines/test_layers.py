"""Classes of layers are called as functions are, and a layer that goes wrong is found out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from convcheck import Conv2D  # noqa: E402
from convcheck.engines.base import Conv  # noqa: E402
from convcheck.engines.layers import layers_of  # noqa: E402
from convcheck.engines.wrap import wrap  # noqa: E402
from convcheck.errors import UsageError  # noqa: E402
from convcheck.examine import examine  # noqa: E402
from convcheck.laws import BY_NAME  # noqa: E402
from convcheck.operands import Fill, Operands, make  # noqa: E402
from convcheck.plan import PROFILES, cases_of, slices  # noqa: E402
from convcheck.problem import Map, Problem  # noqa: E402
from convcheck.reference.maps import contract  # noqa: E402

nn = torch.nn
PROBLEM = Problem(
    size=(8, 9), kernel=(2, 3), stride=(2, 3), padding=((1, 1), (0, 0)), batch=2, groups=2, channels=4, filters=6
)
FEW = PROFILES["smoke"]
LAWS = ("stride-subsamples", "padding-modes", "layer-calls-agree", "state-dict-round-trips", "bias-adds")


def operands_of(which, problem=PROBLEM):
    roles = (*which.roles, *((which.bias,) if problem.bias else ()))
    return Operands(*(make(problem, role, Fill("dense", 5, seed=1)) for role in roles))


def failing(layer):
    """Laws of which a few cases fail."""
    engine = wrap(layer, ndim=2)
    # whatever its speed, which decides what it is asked
    engine = engine.replace(capabilities=replace(engine.capabilities, work_limit=1_000_000))
    parts = slices(engine, tuple(BY_NAME[name] for name in LAWS), FEW)
    cases = [case for part in parts for case in cases_of(engine, part, FEW, seed=0)]
    verdicts = [(case.law, examine(engine, case).verdict) for case in cases]
    assert any(verdict is not None for _, verdict in verdicts)
    return [law for law in LAWS if any(name == law and v is not None and not v.ok for name, v in verdicts)]


class Own(nn.Module):
    """A user's layer: few parameters, a weight by another name, one size for all axes or one an axis."""

    def __init__(self, c_in, c_out, kernel_size, stride=1):
        super().__init__()
        self.taps = nn.Parameter(torch.randn(c_out, c_in, *kernel_size))
        self.shift = nn.Parameter(torch.ones(c_out))
        self.stride = stride

    def forward(self, x):
        return nn.functional.conv2d(x, self.taps, self.shift, self.stride)


class PassingOn(nn.Conv2d):
    """A subclass that names no parameter."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.LazyConv2d, PassingOn], ids=lambda layer: layer.__name__)
@pytest.mark.parametrize("which", Map)
def test_all_three_maps_come_from_a_layer(layer, which):
    engine = wrap(layer, ndim=2)
    got = Conv(engine, which)(PROBLEM, *operands_of(which))
    assert got.tolist() == contract(which, PROBLEM, *operands_of(which)).tolist()


@pytest.mark.parametrize("which", Map)
def test_all_three_maps_come_from_a_transposed_layer(which):
    engine = wrap(nn.ConvTranspose2d, ndim=2)
    problem = PROBLEM.replace(size=(9, 11), bias=which is Map.GRAD_INPUT)
    operands = operands_of(which, problem)
    assert engine.capabilities.primary is Map.GRAD_INPUT
    assert Conv(engine, which)(problem, *operands).tolist() == contract(which, problem, *operands).tolist()


def test_a_layer_takes_what_its_constructor_takes():
    engine = wrap(Own)
    assert engine.capabilities.features == {"batch", "channels", "bias", "stride", "unequal-stride"}
    assert (engine.notes[0], "padding" in engine.modes) == ("layer: constructed anew for every call", False)


def test_a_bias_that_a_layer_always_has_is_zero_where_none_is_given():
    plain = Problem(size=(4, 5), kernel=(2, 3), channels=2, filters=3)
    operands = operands_of(Map.FORWARD, plain)
    assert Conv(wrap(Own))(plain, *operands).tolist() == contract(Map.FORWARD, plain, *operands).tolist()


def test_the_layer_of_one_image_and_one_kernel_is_judged_with_its_bias():
    engine = wrap(Conv2D)
    biased = Problem(size=(4, 5), kernel=(2, 3), bias=True)
    operands = operands_of(Map.FORWARD, biased)
    assert ("bias" in engine.capabilities.features, engine.facts.style) == (True, "bare")
    assert Conv(engine)(biased, *operands).tolist() == contract(Map.FORWARD, biased, *operands).tolist()


def test_a_layer_pads_by_the_modes_that_its_constructor_takes():
    engine = wrap(nn.Conv1d, ndim=1)
    problem = Problem(size=(4,), kernel=(1,), padding=((2, 2),))
    operands = Operands(np.arange(1, 5, dtype=np.float32).reshape(1, 1, 4), np.ones((1, 1, 1), np.float32))
    modes = (*engine.modes["padding"], *engine.modes["state"])
    assert {mode.name: Conv(engine).within(mode, problem, operands).ravel().tolist() for mode in modes} == {
        "circular": [3, 4, 1, 2, 3, 4, 1, 2],
        "reflect": [3, 2, 1, 2, 3, 4, 3, 2],
        "reloaded": [0, 0, 1, 2, 3, 4, 0, 0],
        "reloaded after a call": [0, 0, 1, 2, 3, 4, 0, 0],
        "replicate": [1, 1, 1, 2, 3, 4, 4, 4],
    }


class TestRefused:
    def test_one_layer_is_asked_for_its_class(self):
        with pytest.raises(UsageError, match="give its class, Conv2d"):
            wrap(nn.Conv2d(1, 1, 3))

    def test_a_class_that_is_no_convolution(self):
        with pytest.raises(UsageError, match="needs an argument 'in_features'"):
            wrap(nn.Linear)

    def test_a_class_without_a_kernel_size(self):
        with pytest.raises(UsageError, match="takes no kernel_size"):
            wrap(nn.Identity)

    def test_a_class_without_a_weight_says_what_was_tried(self):
        class Weightless(nn.Module):
            def __init__(self, in_channels, out_channels, kernel_size):  # noqa: ARG002
                super().__init__()

        with pytest.raises(UsageError, match=r"tried it with a weight of 6x4x2x3: TypeError: the layer has no weight"):
            layers_of(Weightless, "Weightless", (2,), None)

    def test_a_weight_of_two_candidates(self):
        class Twins(nn.Module):
            def __init__(self, in_channels, out_channels, kernel_size):
                super().__init__()
                shape = (out_channels, in_channels, *kernel_size)
                self.one, self.two = nn.Parameter(torch.zeros(shape)), nn.Parameter(torch.zeros(shape))

        with pytest.raises(UsageError, match=r"it has one \(6, 4, 2, 3\), two \(6, 4, 2, 3\)"):
            layers_of(Twins, "Twins", (2,), None)


class ZerosOnly(nn.Conv2d):
    """Every mode of padding pads with zeros."""

    def __init__(self, *args, padding_mode="zeros", **kwargs):  # noqa: ARG002
        super().__init__(*args, **kwargs)


class OneAxisPadded(nn.Conv2d):
    """Modes of padding hold along the last axis alone."""

    def forward(self, x):
        if self.padding_mode == "zeros":
            return super().forward(x)
        high, wide = self.padding
        x = nn.functional.pad(nn.functional.pad(x, (wide, wide, 0, 0), mode=self.padding_mode), (0, 0, high, high))
        return nn.functional.conv2d(x, self.weight, self.bias, self.stride, 0, self.dilation, self.groups)


class BiasNotSaved(nn.Conv2d):
    """The bias is no part of the state."""

    def __init__(self, *args, bias=True, **kwargs):
        super().__init__(*args, bias=False, **kwargs)
        if bias:
            del self.bias
            self.register_buffer("bias", torch.zeros(self.out_channels, dtype=self.weight.dtype), persistent=False)


class InTrainingAlone(nn.Conv2d):
    """The bias is added in training alone."""

    def forward(self, x):
        return self._conv_forward(x, self.weight, self.bias if self.training else None)


class FirstWeightKept(nn.Conv2d):
    """What the first call in eval mode made of the weight is kept for the later ones."""

    kept = None

    def forward(self, x):
        if not self.training and self.kept is None:
            self.kept = self.weight.detach().clone()
        return self._conv_forward(x, self.weight if self.training else self.kept, self.bias)


class ThirdCallWrong(nn.Conv2d):
    """The third call of a layer gives something else."""

    calls = 0

    def forward(self, x):
        self.calls += 1
        return super().forward(x + (self.calls > 2))


class BiasLostAlone(nn.Conv2d):
    """Of an image without a batch, the bias is forgotten."""

    def forward(self, x):
        return self._conv_forward(x, self.weight, None if x.ndim == 3 else self.bias)


class PackedForGood(nn.Conv2d):
    """In eval mode a copy made of the weight is kept until the mode changes; loading a state does not."""

    kept = None

    def train(self, mode=True):  # noqa: FBT002 - torch's own signature
        self.kept = None
        return super().train(mode)

    def forward(self, x):
        if self.training:
            return super().forward(x)
        if self.kept is None:
            self.kept = self.weight.detach().clone()
        return self._conv_forward(x, self.kept, self.bias)


class Shared(dict):
    """A cache that is not copied."""

    def __deepcopy__(self, memo):
        return self


class PackedForCopiesToo(nn.Conv2d):
    """In eval mode a copy made of the weight is found by copies of the layer, unless theirs has changed oftener."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.packed = Shared()

    def forward(self, x):
        if self.training:
            return super().forward(x)
        key = self.weight._version, self.weight.dtype
        if self.packed.get("key") != key:
            self.packed.update(key=key, weight=self.weight.detach().clone())
        return self._conv_forward(x, self.packed["weight"], self.bias)


class FirstSizeKept(nn.Conv2d):
    """The first result's number of columns is taken for that of all."""

    columns = None

    def forward(self, x):
        y = super().forward(x)
        self.columns = self.columns or y.shape[-1]
        return y if y.shape[-1] <= self.columns else torch.cat([y[..., : self.columns], 0 * y[..., self.columns :]], -1)


class StrideLost(nn.Conv2d):
    """The stride has no effect."""

    def __init__(self, *args, stride=1, **kwargs):  # noqa: ARG002
        super().__init__(*args, **kwargs)


class ExchangedWhenLoaded(nn.Conv2d):
    """A square weight is loaded with its channels exchanged."""

    def _load_from_state_dict(self, state, prefix, *args):
        weight = state[prefix + "weight"]
        if weight.shape[0] == weight.shape[1]:
            state = {**state, prefix + "weight": weight.swapaxes(0, 1)}
        super()._load_from_state_dict(state, prefix, *args)


@pytest.mark.parametrize(
    ("layer", "law"),
    [
        (ZerosOnly, "padding-modes"),
        (OneAxisPadded, "padding-modes"),
        (BiasNotSaved, "state-dict-round-trips"),
        (ExchangedWhenLoaded, "state-dict-round-trips"),
        (PackedForGood, "state-dict-round-trips"),
        (InTrainingAlone, "layer-calls-agree"),
        (FirstWeightKept, "layer-calls-agree"),
        (ThirdCallWrong, "layer-calls-agree"),
        (BiasLostAlone, "layer-calls-agree"),
        (FirstSizeKept, "layer-calls-agree"),
        (PackedForCopiesToo, "layer-calls-agree"),
        (StrideLost, "stride-subsamples"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_wrong_layer_is_found_out_by_the_law_that_speaks_of_it(layer, law):
    assert failing(layer)[0] == law


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d, Own, Conv2D], ids=lambda layer: layer.__name__)
def test_a_right_layer_conforms(layer):
    assert failing(layer) == []


def test_a_layer_that_computes_its_weight_from_others_cannot_be_given_one():
    class Normed(nn.Conv2d):
        def __init__(self, in_channels, out_channels, kernel_size):
            super().__init__(in_channels, out_channels, kernel_size)
            nn.utils.parametrizations.weight_norm(self)

    with pytest.raises(UsageError, match="it computes its weight from other parameters"):
        wrap(Normed, ndim=2)
