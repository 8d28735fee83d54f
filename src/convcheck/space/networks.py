"""Layers as well-known networks have them: engines are tuned for these, and have kernels of their own for some."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import cycle
from typing import Any

from convcheck.dtypes import DTYPES
from convcheck.engines.capabilities import Capabilities
from convcheck.problem import Map, Problem
from convcheck.space.choose import Chooser

__all__ = ["geometries", "network_layers", "varied"]

#: kernel, stride, padding and dilation are a network's own; the rest is cut, to 50,000 multiply-adds
_LAYERS = (
    # 1 axis
    "f32 n1 g1 c1 o8 i53 k10 s5",  # wav2vec: raw audio
    "f32 n2 g1 c64 o8 i19 k3 s2",  # wav2vec: the layers above
    "f32 n1 g1 c32 o8 i23 k2 p8:0 d8",  # WaveNet: causal, dilated
    "f32 n2 g16 c16 o16 i40 k31 p15",  # Conformer: depthwise
    # 2 axes
    "f32 n1 g1 c3 o4 i15x17 k7x7 s2x2 p3x3",  # ResNet: stem
    "f32 n1 g1 c64 o4 i5x4 k3x3 p1x1",  # VGG, ResNet
    "f32 n2 g1 c64 o3 i5x6 k3x3",  # U-Net, which does not pad
    "f32 n2 g1 c64 o3 i6x7 k3x3 s2x2 p1x1",  # ResNet: between stages
    "f32 n1 g1 c256 o9 i5x4 k1x1",  # ResNet: bottleneck
    "f32 n2 g1 c64 o16 i7x8 k1x1 s2x2",  # ResNet: shortcut
    "f32 n1 g8 c32 o32 i7x6 k3x3 p1x1",  # ResNeXt
    "f32 n1 g32 c32 o32 i9x8 k3x3 p1x1",  # MobileNet: depthwise
    "f32 n2 g32 c32 o32 i9x10 k3x3 s2x2 p1x1",  # MobileNet: depthwise, between stages
    "f32 n1 g8 c8 o8 i11x10 k7x7 p3x3",  # ConvNeXt
    "f32 n1 g1 c3 o9 i32x48 k16x16 s16x16",  # ViT: patches
    "f32 n1 g1 c3 o4 i27x23 k11x11 s4x4 p2x2",  # AlexNet
    "f32 n1 g1 c64 o1 i7x8 k3x3 p6x6 d6x6",  # DeepLab
    "f32 n1 g1 c32 o5 i5x8 k1x7 p0x3",  # Inception
    "f32 n1 g1 c64 o4 i8x6 k4x4 s2x2 p1x1",  # DCGAN
    "f32 n8 g1 c1 o2 i12x12 k5x5",  # LeNet
    "f32 n1 g4 c4 o4 i12x13 k5x5 s2x2 p2x2",  # EfficientNet: depthwise, between stages
    "f32 n1 g4 c4 o4 i13x12 k7x7 p9x9 d3x3",  # VAN: large kernel attention
    "f32 n1 g1 c2 o2 i13x12 k3x3 p18x18 d18x18",  # DeepLab: pyramid
    "f32 n1 g1 c3 o8 i8x9 k5x5 p2x2",  # Inception, GoogLeNet
    "f32 n1 g1 c3 o24 i16x16 k4x4 s4x4",  # Swin: patches
    "f32 n1 g1 c32 o8 i8x8 k2x2 s2x2",  # ConvNeXt: between stages
    "f32 n1 g1 c1 o1 i56x56 k3x3 p1x1",  # ResNet: the planes of four stages
    "f32 n1 g1 c2 o3 i28x28 k3x3 p1x1",
    "f32 n1 g1 c3 o5 i14x14 k3x3 p1x1",
    "f32 n1 g1 c8 o8 i7x7 k3x3 p1x1",
    # 3 axes
    "f32 n1 g1 c16 o2 i3x4x4 k3x3x3 p1x1x1",  # C3D
    "f32 n1 g1 c3 o1 i5x7x8 k7x7x7 s2x2x2 p3x3x3",  # I3D: stem
    "f32 n1 g1 c32 o2 i3x4x5 k1x3x3 p0x1x1",  # R(2+1)D: space
    "f32 n1 g1 c32 o8 i5x4x3 k3x1x1 p1x0x0",  # R(2+1)D: time
)

#: many channels and filters at once: what tiles, blocks and fast algorithms ask for
_BLOCKED = (
    "f32 n1 g1 c24 o40 i66 k3 p1",  # wav2vec: the layers above
    "f32 n1 g1 c16 o16 i9x9 k3x3 p1x1",  # VGG, ResNet
    "f32 n1 g1 c64 o64 i2x4 k3x3 p1x1",  # ResNet
    "f32 n1 g1 c32 o32 i5x6 k3x3 s2x2 p1x1",  # ResNet: between stages
    "f32 n1 g32 c128 o128 i4x5 k3x3 p1x1",  # ResNeXt
    "f32 n1 g1 c17 o25 i10x10 k3x3",  # U-Net; one more than whole blocks
    "f32 n1 g1 c32 o64 i8x8 k1x1",  # ResNet: bottleneck
    "f32 n2 g1 c33 o65 i8x8 k1x1",  # the same, one more than whole blocks
    "f32 n2 g1 c16 o16 i16x15 k3x3 s2x2 p1x1",  # ResNet: between stages
    "f32 n1 g2 c32 o32 i8x8 k3x3 p2x2 d2x2",  # ResNeXt, dilated
    "f32 n1 g1 c16 o20 i9x8 k3x3 p2x2 d2x2",  # DeepLab
    "f32 n1 g1 c16 o16 i2x4x5 k3x3x3 p1x1x1",  # C3D
    "f32 n1 g1 c16 o16 i3x8x9 k3x1x1 p1x0x0",  # R(2+1)D: time
)

#: more positions than 16 bits can number
_MANY_POSITIONS = (
    "f32 n1 g1 c1 o1 i65543 k10 s5",  # wav2vec: raw audio
    "f32 n1 g1 c1 o1 i257x259 k3x3 s2x2 p1x1",  # ResNet: an image
    "f32 n1 g1 c1 o1 i257x259 k2x1",
    "f32 n1 g1 c1 o1 i41x40x41 k3x3x3 s2x2x2 p1x1x1",  # C3D: a volume
)

#: dtypes that large layers are taken in, of which an engine's first two are enough
_TUNED = ("f32", "bf16", "f16", "f64")


@cache
def network_layers(offered: Capabilities, which: Map, work_limit: int) -> tuple[Problem, ...]:
    """Layers that an engine takes, in each floating-point dtype; on the primary map in one integer dtype each, in turn.

    Those of many channels and filters, or of many positions, are taken in two floating-point dtypes.
    """
    floats = [d for d in offered.dtypes if DTYPES[d].kind == "f"]
    integers = [d for d in offered.dtypes if DTYPES[d].kind == "i" and which is offered.primary]
    wanted = [(dtype, line) for dtype in floats for line in _LAYERS]
    wanted += [(dtype, line) for dtype, line in zip(cycle(integers), _LAYERS, strict=False)]
    tuned = [d for d in _TUNED if d in floats][:2]
    wanted += [(dtype, line) for dtype in tuned for line in (*_BLOCKED, *_MANY_POSITIONS)]
    layers = [Problem.parse(line).replace(dtype=dtype) for dtype, line in wanted]
    return tuple(p for p in layers if not offered.admits(p) and p.work <= work_limit)


@cache
def geometries(offered: Capabilities) -> tuple[Problem, ...]:
    """Kernels, strides, paddings and dilations that layers have, on one channel: those that an engine takes."""
    alone, found = replace(offered, multiples=(1, 1)), dict[Any, Problem]()
    for line in (*_LAYERS, *_BLOCKED):
        layer = Problem.parse(line).replace(dtype=offered.dtypes[0], batch=1, groups=1, channels=1, filters=1)
        for way in (layer, _turned(layer)):
            if not alone.admits(way):
                found.setdefault((way.kernel, way.stride, way.padding, way.dilation), way)
    return tuple(found.values())


def _turned(layer: Problem) -> Problem:
    """Return a layer with its axes in reverse."""
    reversed_ = {name: getattr(layer, name)[::-1] for name in ("size", "kernel", "stride", "padding", "dilation")}
    return layer.replace(**reversed_)


def varied(choose: Chooser, layer: Problem, offered: Capabilities, which: Map, work_limit: int) -> Problem:
    """Return a layer as it is or on a larger input, with a bias, and its axes in reverse: what is taken of that."""

    def fits(other: Problem) -> bool:
        return not offered.admits(other) and other.work <= work_limit

    most = choose.pick((0, 3))
    larger = layer.replace(size=tuple(s + choose.integer(0, most) for s in layer.size))
    layer = larger if fits(larger) else layer
    biased = layer.replace(bias=choose.pick((False, True)) and which is offered.primary)
    layer = biased if fits(biased) else layer
    turned = _turned(layer) if choose.pick((False, True)) else layer
    return turned if fits(turned) else layer
