"""Chapter Locality: the two principles by which a fully connected layer becomes a convolution, and IEEE specials."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from convcheck.claim import Claim
from convcheck.engines.base import Conv
from convcheck.errors import UnsupportedError
from convcheck.laws.arrangement import spatial
from convcheck.laws.law import ALL_MAPS, Law, floating
from convcheck.operands import Operands
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Locality"

#: one-hot images in one call, and elements that a dense weight may have
_IMAGES, _DENSE = 256, 1 << 22


def weights_shared(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """The dense weight w[i, j, k, l] that the engine realises depends on (k - s i, l - s j) only."""
    dense, slack = _dense_weight(conv, problem, operands.b)
    shared = np.zeros_like(dense)
    for tap in np.ndindex(*problem.kernel):
        outputs, positions = zip(*(_seen_through(problem, axis, k) for axis, k in enumerate(tap)), strict=True)
        shared[(*np.ix_(*outputs), *np.ix_(*positions))] = operands.b[(0, 0, *tap)]
    # where the offset is a tap, every pair of positions with that offset carries that tap's weight
    realised = np.where(shared != 0, dense, np.zeros((), dense.dtype))
    return Claim(realised, shared, slack)


def local(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """Whatever lies outside an output's receptive field, NaN too, leaves the bits of that output alone."""
    clean = conv(problem, *operands)
    at = tuple(out // 2 for out in problem.output)
    seen = np.zeros(problem.size, bool)
    seen[np.ix_(*_receptive_field(problem, at))] = True
    poisoned = np.where(seen, operands.a, np.array(np.nan, operands.a.dtype))
    got = conv(problem, poisoned, *operands[1:])
    return Claim(spatial(got, at), spatial(clean, at))


def nan_propagates(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A NaN in an operand reaches every result that it is a term of, and no other.

    A term by a factor of zero may be left out, as sparse kernels do.
    """
    return _specials_reach(conv, problem, operands, np.nan)


def inf_propagates(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """An infinity makes every result that it is a term of infinite, of the right sign, or NaN, and no other.

    Two opposite ones as terms of one result make a NaN of it, in whichever order they are added. A term by a factor of
    zero may be left out.
    """
    return _specials_reach(conv, problem, operands, np.inf if sum(problem.size) % 2 else -np.inf)


def _specials_reach(conv: Conv, problem: Problem, operands: Operands, special: float) -> Claim:
    """Put the special into either factor, one after the other, and into the bias."""
    pairs = [_special_in(conv, problem, operands, number, special) for number in (0, 1)]
    if operands.bias is not None:
        bias = operands.bias.copy()
        bias[-1] = special
        got = conv(problem, operands.a, operands.b, bias)
        expected = contract(conv.map, problem, operands.a, operands.b, bias).astype(got.dtype)
        pairs.append((got, expected, conv.slack(problem, operands)))
    places = [f"{special} in {r} at {_place(problem, problem.shapes[r])}" for r in conv.map.roles]
    places += [f"{special} as the last bias"] * (operands.bias is not None)
    if np.isinf(special) and conv.map is conv.engine.capabilities.primary and operands.a.size > 1:
        first, second = _neighbours(problem, operands.a.shape)
        pairs.append(_opposed(conv, problem, operands, special))
        places.append(f"{special} and {-special} in {conv.map.roles[0]} at {first} and {second}")
    left = np.concatenate([got.ravel() for got, _, _ in pairs])
    right = np.concatenate([expected.ravel() for _, expected, _ in pairs])
    bound = np.concatenate([np.broadcast_to(slack, got.shape).ravel() for got, _, slack in pairs])
    # a compensated sum (Kahan 1965) subtracts an infinity from itself: the NaN tells of it, too
    told = np.isinf(right.astype(np.float64)) & np.isnan(left.astype(np.float64))
    left = np.where(told, right, left)
    return Claim(left, right, bound, note=", then ".join(places))


def _special_in(
    conv: Conv, problem: Problem, operands: Operands, number: int, special: float
) -> tuple[Array, Array, Array | float]:
    """What comes back with a special in one factor, what should, and the error that the rest may carry."""
    factors = operands.a, operands.b
    array, other = factors[number], factors[1 - number]
    at = _place(problem, array.shape)
    poisoned, finite, mark = array.copy(), array.copy(), np.zeros(array.shape)
    poisoned[at], finite[at], mark[at] = special, 0, 1
    bare = problem.replace(bias=False)

    def apply(factor: Array, partner: Array) -> Array:
        return contract(conv.map, bare, *((factor, partner) if number == 0 else (partner, factor)))

    sees = apply(mark, np.ones(other.shape)) != 0
    partner = apply(mark, other)  # a result meets the marked element in one product at most
    clean = operands._replace(**{"ab"[number]: finite})
    expected = np.where(sees, partner * special, contract(conv.map, problem, *clean)).astype(array.dtype)
    got = conv(problem, *operands._replace(**{"ab"[number]: poisoned}))
    # an engine may leave out a product by zero, and may make one of the zeros that pad, or stand in for strides
    open_ = (sees & (partner == 0)) | (_same_line(conv.map, problem, number, at) & ~sees)
    return np.where(open_, expected, got), expected, conv.slack(problem, clean)


def _opposed(conv: Conv, problem: Problem, operands: Operands, special: float) -> tuple[Array, Array, Array | float]:
    """What comes back with opposite infinities beside each other, and NaN where their products are opposite, too."""
    poisoned, partners = operands.a.copy(), []
    for at, value in zip(_neighbours(problem, poisoned.shape), (special, -special), strict=True):
        mark = np.zeros(poisoned.shape)
        poisoned[at], mark[at] = value, 1
        partners.append(np.sign(contract(conv.map, problem.replace(bias=False), mark, operands.b)))
    got = conv(problem, poisoned, *operands[1:])
    return got, np.where(partners[0] * partners[1] > 0, np.array(np.nan, got.dtype), got), 0.0


def _neighbours(problem: Problem, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Place of a special, and of the element that lies next to it in memory."""
    at = _place(problem, shape)
    number = int(np.ravel_multi_index(at, shape))
    beside = np.unravel_index(number + 1 if number + 1 < prod(shape) else number - 1, shape)
    return at, tuple(map(int, beside))


def _place(problem: Problem, shape: tuple[int, ...]) -> tuple[int, ...]:
    """Middle, first or last element, as the problem has it."""
    which = (sum(problem.size) + problem.batch) % 3
    return tuple((s // 2, 0, s - 1)[which] for s in shape)


def _same_line(which: Map, problem: Problem, number: int, at: tuple[int, ...]) -> Array:
    """Results that share their channel, filter or image with the marked element, by which padding may bring it in."""
    c, o = problem.channels_per_group, problem.filters_per_group
    line = np.zeros(problem.shapes[which.result], bool)
    if which is Map.FORWARD and number == 0:
        return line
    if which is Map.FORWARD:
        line[:, at[0]] = True
    elif which is Map.GRAD_INPUT and number == 0:
        line[at[0], at[1] // o * c : at[1] // o * c + c] = True
    elif which is Map.GRAD_INPUT:
        line[:, at[0] // o * c + at[1]] = True
    elif number == 0:
        line[at[1]] = True
    else:
        line[at[1] // c * o : at[1] // c * o + o, at[1] % c] = True
    return line


def _dense_weight(conv: Conv, problem: Problem, w: Array) -> tuple[Array, Array]:
    """Response of every output position to a one-hot image at every input position, and the error that each may carry.

    Both of shape (*output, *size).
    """
    offered, positions = conv.engine.capabilities, prod(problem.size)
    # so few in one call that an engine which unrolls its input into columns has the memory
    together = (
        max(1, min(_IMAGES, 8 * offered.work_limit // max(1, problem.work))) if "batch" in offered.features else 1
    )
    if positions * prod(problem.output) > _DENSE:
        raise UnsupportedError(f"too large for a dense weight: {positions * prod(problem.output):.1e} elements")
    responses, slacks = [], []
    for start in range(0, positions, together):
        images = np.zeros((min(together, positions - start), positions), w.dtype)
        images[np.arange(len(images)), start + np.arange(len(images))] = 1
        several = problem.replace(batch=len(images))
        x = images.reshape(several.shapes["x"])
        responses.append(conv(several, x, w)[:, 0])
        slack = conv.slack(several, Operands(x, w), copies=True)
        slacks.append(np.broadcast_to(slack, several.shapes["y"])[:, 0])
    return _by_outputs(problem, responses), _by_outputs(problem, slacks)


def _by_outputs(problem: Problem, by_inputs: list[Array]) -> Array:
    """Arrange parts of shape (positions, *output) as (*output, *size)."""
    stacked = np.concatenate(by_inputs).reshape(*problem.size, *problem.output)
    return stacked.transpose(*range(problem.ndim, 2 * problem.ndim), *range(problem.ndim))


def _seen_through(problem: Problem, axis: int, tap: int) -> tuple[Array, Array]:
    """Outputs along an axis whose tap lies inside the input, and the input positions that they see through it."""
    outputs = np.arange(problem.output[axis])
    positions = problem.stride[axis] * outputs + problem.dilation[axis] * tap - problem.padding[axis][0]
    inside = (positions >= 0) & (positions < problem.size[axis])
    return outputs[inside], positions[inside]


def _receptive_field(problem: Problem, at: tuple[int, ...]) -> list[list[int]]:
    """Input positions along each axis that an output position sees."""
    fields = []
    for axis, p in enumerate(at):
        start = problem.stride[axis] * p - problem.padding[axis][0]
        positions = (start + problem.dilation[axis] * k for k in range(problem.kernel[axis]))
        fields.append([q for q in positions if 0 <= q < problem.size[axis]])
    return fields


def _single(p: Problem) -> bool:
    return p.batch == p.channels == p.filters == 1 and not p.bias


_SINGLE = {"batch": ("one",), "channels": ("one",), "filters": ("one",), "groups": ("one",), "bias": ("no",)}
_FLOATS = {"dtype": ("f32", "f64", "f16", "bf16")}
LAWS = (
    Law(weights_shared, CHAPTER, holds=_single, needs=_SINGLE | {"size": ("tiny", "unit-axis", "narrow")}, work=300),
    Law(local, CHAPTER, needs=_FLOATS, holds=floating, direct=True),
    Law(nan_propagates, CHAPTER, maps=ALL_MAPS, needs=_FLOATS, holds=floating, direct=True),
    Law(inf_propagates, CHAPTER, maps=ALL_MAPS, needs=_FLOATS, holds=floating, direct=True),
)
