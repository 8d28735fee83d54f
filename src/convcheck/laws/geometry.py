"""Chapter Geometry: every parameter reduces to a simpler call."""

from __future__ import annotations

from typing import Any

import numpy as np

from convcheck.claim import Claim
from convcheck.engines.base import Conv
from convcheck.engines.layers import PADDING_MODES
from convcheck.errors import UnsupportedError
from convcheck.laws.arrangement import pad, stuff, subsample, wide
from convcheck.laws.law import OWN_MAPS, Law
from convcheck.operands import Operands
from convcheck.problem import Problem

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Geometry"


def stride_subsamples(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w, stride=s) = corr(x, w)[::s]."""
    dense = conv(problem.replace(stride=(1,) * problem.ndim), *operands)
    return Claim(conv(problem, *operands), subsample(dense, problem.stride), 2 * conv.slack(problem, operands))


def dilation_zero_stuffs(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w, dilation=d) = corr(x, w with d - 1 zeros between taps)."""
    stuffed = problem.replace(kernel=problem.reach, dilation=(1,) * problem.ndim)
    reference = conv(stuffed, operands.a, stuff(operands.b, problem.dilation), operands.bias)
    return Claim(conv(problem, *operands), reference, 2 * conv.slack(problem, operands))


def padding_is_explicit(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w, padding=p) = corr(pad(x, p), w); "same" leaves ceil(S / s) positions, the odd zero at the end."""
    padded = pad(operands.a, problem)
    bare = problem.replace(size=padded.shape[2:], padding=((0, 0),) * problem.ndim, same=False)
    return Claim(conv(problem, *operands), conv(bare, padded, *operands[1:]), 2 * conv.slack(problem, operands))


def padding_modes(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """layer(x, padding=p, padding_mode=m) = layer(pad(x, p, m)), for m circular, reflect and replicate."""
    bare = problem.replace(padding=((0, 0),) * problem.ndim, same=False)
    got, expected, slack = [], [], []
    for mode in conv.modes("padding"):
        if not _can_pad(mode.name, problem):
            continue
        x = pad(operands.a, problem, PADDING_MODES[mode.name])
        padded, given = bare.replace(size=x.shape[2:]), operands._replace(a=x)
        got.append(conv.shaped(conv.within(mode, problem, operands), problem))
        expected.append(conv(padded, *given))
        slack.append(np.broadcast_to(2 * conv.slack(padded, given), got[-1].shape))
    if not got:
        raise UnsupportedError(f"{conv.engine.name} has no mode that can pad {problem}")
    return Claim(np.stack(got), np.stack(expected), np.stack(slack))


def _can_pad(mode: str, problem: Problem) -> bool:
    """Whether a problem is large enough for a mode of padding: a reflection needs more than p elements, a circle p."""
    spare = min(size - max(ends) for size, ends in zip(problem.size, problem.padding, strict=True))
    return spare >= {"circular": 0, "reflect": 1}.get(mode, spare)


def groups_split(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w, groups=g) = g separate correlations of C/g channels with O/g filters, concatenated."""
    inside, outside = problem.channels_per_group, problem.filters_per_group
    one = problem.replace(groups=1, channels=inside, filters=outside)
    parts = [
        conv(
            one,
            operands.a[:, g * inside : (g + 1) * inside],
            operands.b[g * outside : (g + 1) * outside],
            None if operands.bias is None else operands.bias[g * outside : (g + 1) * outside],
        )
        for g in range(problem.groups)
    ]
    return Claim(conv(problem, *operands), np.concatenate(parts, axis=1), 2 * conv.slack(problem, operands))


def channels_sum(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w) = sum over channels c of corr(x[c], w[c]), one channel at a time."""
    one = problem.replace(channels=1, bias=False)
    x, w = operands.a, operands.b
    parts = [wide(conv(one, x[:, c : c + 1], w[:, c : c + 1])) for c in range(problem.channels)]
    whole = conv(problem.replace(bias=False), x, w)
    slack = conv.slack(problem, operands, summed=True)
    return Claim(whole, conv.stored(np.sum(parts, axis=0), problem, slack), 2 * slack)


def filters_stack(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w)[o] = corr(x, w[o]), one filter at a time."""
    one = problem.replace(filters=1)
    b = operands.bias
    parts = [
        conv(one, operands.a, operands.b[o : o + 1], None if b is None else b[o : o + 1])
        for o in range(problem.filters)
    ]
    return Claim(conv(problem, *operands), np.concatenate(parts, axis=1), 2 * conv.slack(problem, operands))


def batch_stacks(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w)[n] = corr(x[n], w), one image at a time."""
    one = problem.replace(batch=1)
    parts = [conv(one, operands.a[n : n + 1], *operands[1:]) for n in range(problem.batch)]
    return Claim(conv(problem, *operands), np.concatenate(parts), 2 * conv.slack(problem, operands))


def bias_adds(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """corr(x, w, b) = corr(x, w) + b along its channels, also when their number equals one of the sizes."""
    assert operands.bias is not None  # noqa: S101 - the law's needs say so
    plain = conv(problem.replace(bias=False), operands.a, operands.b)
    slack = conv.slack(problem, operands, summed=True)
    expected = wide(plain) + wide(operands.bias).reshape(-1, *(1,) * problem.ndim)
    return Claim(conv(problem, *operands), conv.stored(expected, problem, slack), 2 * slack)


def pointwise_is_matmul(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A 1x..x1 kernel is a matrix product over the channels of every group."""
    g = problem.groups
    x = wide(subsample(pad(operands.a, problem), problem.stride))
    columns = x.reshape(problem.batch, g, problem.channels_per_group, -1)
    weight = wide(operands.b).reshape(g, problem.filters_per_group, -1)
    y = np.matmul(weight, columns).reshape(problem.shapes["y"])
    if operands.bias is not None:
        y = y + wide(operands.bias).reshape(-1, *(1,) * problem.ndim)
    got = conv(problem, *operands)
    slack = conv.slack(problem, operands)
    return Claim(got, conv.stored(y, problem, slack), slack)


def full_kernel_is_dense(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A kernel as large as the input is a fully connected layer: one dot product a filter."""
    x = wide(operands.a).reshape(problem.batch, problem.groups, -1, 1)
    weight = wide(operands.b).reshape(problem.groups, problem.filters_per_group, -1)
    y = np.matmul(weight, x).reshape(problem.shapes["y"])
    if operands.bias is not None:
        y = y + wide(operands.bias).reshape(-1, *(1,) * problem.ndim)
    got = conv(problem, *operands)
    slack = conv.slack(problem, operands)
    return Claim(got, conv.stored(y, problem, slack), slack)


def rank_embeds(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A problem is the problem of one axis more, of size 1 and kernel 1, wherever that axis stands."""
    axis = (problem.batch + problem.size[0]) % (problem.ndim + 1)

    def embed(values: tuple[Any, ...], unit: Any) -> tuple[Any, ...]:
        return (*values[:axis], unit, *values[axis:])

    wider = problem.replace(
        size=embed(problem.size, 1),
        kernel=embed(problem.kernel, 1),
        stride=embed(problem.stride, 1),
        padding=embed(problem.padding, (0, 0)),
        dilation=embed(problem.dilation, 1),
    )
    a, b = (np.expand_dims(array, axis + 2) for array in operands[:2] if array is not None)
    y = np.squeeze(conv(wider, a, b, operands.bias), axis + 2)
    return Claim(y, conv(problem, *operands), 2 * conv.slack(problem, operands))


def _ungrouped(problem: Problem) -> bool:
    return problem.groups == 1


_MANY = ("few", "odd", "vector", "around", "wide")
_SAME = ("same", "same-lower", "same-strided")
_GIVEN = ("none", "symmetric", "unequal", "two-sided", "below-dilation", "at-least-kernel")
_ROOMY = ("narrow", "vector", "uneven")
LAWS = (
    Law(
        stride_subsamples,
        CHAPTER,
        needs={"stride": ("two", "more", "above-kernel", "unequal"), "padding": _GIVEN},
        holds=lambda p: not p.same,  # by a name, padding depends on the stride
    ),
    Law(dilation_zero_stuffs, CHAPTER, needs={"dilation": ("two", "more", "unequal")}),
    Law(
        padding_is_explicit,
        CHAPTER,
        needs={"padding": ("symmetric", "unequal", "two-sided", "below-dilation", "at-least-kernel", *_SAME)},
    ),
    Law(
        padding_modes,
        CHAPTER,
        needs={"padding": ("symmetric", "unequal", "two-sided", "at-least-kernel", "same"), "size": _ROOMY},
        holds=lambda p: any(map(any, p.padding)),
        modes="padding",
    ),
    Law(groups_split, CHAPTER, needs={"groups": ("several", "depthwise", "multiplier")}),
    Law(channels_sum, CHAPTER, needs={"channels": _MANY, "groups": ("one",)}, holds=_ungrouped, fills="strict"),
    Law(filters_stack, CHAPTER, needs={"filters": _MANY, "groups": ("one",)}, holds=_ungrouped),
    Law(batch_stacks, CHAPTER, needs={"batch": ("several",)}),
    Law(bias_adds, CHAPTER, maps=OWN_MAPS, own=True, needs={"bias": ("yes",)}, holds=lambda p: p.bias, fills="strict"),
    Law(pointwise_is_matmul, CHAPTER, needs={"kernel": ("unit",)}, holds=lambda p: set(p.kernel) == {1}),
    Law(
        full_kernel_is_dense,
        CHAPTER,
        needs={"kernel": ("full",), "padding": ("none",), "dilation": ("one",)},
        holds=lambda p: p.kernel == p.size and max(p.dilation) == 1 and not any(map(any, p.padding)),
    ),
    Law(rank_embeds, CHAPTER, needs={"ndim": ("1", "2")}, holds=lambda p: p.ndim < 3),
)
