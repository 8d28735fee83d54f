"""Layers as well-known networks have them: engines are tuned for these, and have kernels of their own for some."""

from __future__ import annotations

from functools import cache

from convcheck.dtypes import DTYPES
from convcheck.engines.base import Capabilities
from convcheck.problem import Map, Problem

__all__ = ["network_layers"]

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
    # 3 axes
    "f32 n1 g1 c16 o2 i3x4x4 k3x3x3 p1x1x1",  # C3D
    "f32 n1 g1 c3 o1 i5x7x8 k7x7x7 s2x2x2 p3x3x3",  # I3D: stem
    "f32 n1 g1 c32 o2 i3x4x5 k1x3x3 p0x1x1",  # R(2+1)D: space
    "f32 n1 g1 c32 o8 i5x4x3 k3x1x1 p1x0x0",  # R(2+1)D: time
)


@cache
def network_layers(offered: Capabilities, which: Map, work_limit: int) -> tuple[Problem, ...]:
    """Layers that an engine takes, in each floating-point dtype; on the primary map in one integer dtype too."""
    dtypes = [d for d in offered.dtypes if DTYPES[d].kind == "f"]
    if which is offered.primary:
        dtypes += [d for d in offered.dtypes if DTYPES[d].kind == "i"][:1]
    layers = [Problem.parse(line).replace(dtype=dtype) for dtype in dtypes for line in _LAYERS]
    return tuple(p for p in layers if not offered.admits(p) and p.work <= work_limit)
