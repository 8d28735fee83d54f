"""Chapter Gradients, what they are for: differentiated once more, added up over calls, and followed downhill."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import numpy as np

from convcheck.bounds import expect
from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.engines.derivatives import filled
from convcheck.engines.differentiated import Differentiated
from convcheck.errors import UnsupportedError
from convcheck.laws.arrangement import flat, spatial, wide
from convcheck.laws.derived import FEW, copied, derived, stored_slack, with_bias
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]


def double_backward(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """<gx(gy, w), v> has the gradient corr(v, w) by gy and gw(gy, v) by w; likewise <gw(gy, x), v>; and none else.

    All are the inner product of gy with corr(x, w), in which v stands in the place of x, or of w. And where there is a
    bias, <gb(gy), v> has the gradient v by gy, the same at every position.
    """
    by = conv.map.result
    values = filled(conv.map, problem, operands)
    direction = make(problem, by, Fill("dense", 3, seed=1))
    got = Differentiated(conv).second(problem, copied(values), by, direction, (*conv.map.roles, by))
    moved, left, right, bound = values | {by: direction}, [], [], []
    for which in (m for m in Map if m.result != by):
        value, error = expect(which, problem, Operands(*(moved[r] for r in which.roles)), conv.numerics)
        left.append(got[which.result])
        right.append(value)
        bound.append(np.broadcast_to(error, value.shape))
    left.append(got[by])
    right.append(np.zeros(problem.shapes[by], value.dtype))
    if by == "w":
        with suppress(UnsupportedError):
            found, expected = _second_by_bias(conv, problem, operands)
            left.append(found)
            right.append(expected)
    bound += [np.zeros(array.shape) for array in right[len(bound) :]]
    return Claim(flat(*left), flat(*right), flat(*bound))


def _second_by_bias(conv: Conv, problem: Problem, operands: Operands) -> tuple[Array, Array]:
    """Gradient by gy of the inner product of the bias's gradient with a direction, and the direction everywhere."""
    primary, known = conv.engine.capabilities.primary, Differentiated(conv)
    if primary.bias not in known.derivatives.roles:
        raise UnsupportedError(f"{conv.engine.name} offers no gradient by a bias")
    biased, values = with_bias(conv, problem, operands)
    values[primary.roles[0]] = np.zeros_like(values[primary.roles[0]])
    direction = make(biased, primary.bias, Fill("dense", 3, seed=1))
    got = known.second(biased, values, primary.bias, direction, (primary.result,))[primary.result]
    return got, np.broadcast_to(direction.reshape(-1, *(1,) * problem.ndim), got.shape)


def gradients_accumulate(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """An operand of two calls gets the gradients of both, added to the gradient that it had.

    Both calls are made before either is gone back through, as where a layer is used twice; the second has other
    parameters where it can.
    """
    by, other = conv.map.result, _beside(conv, problem)
    values = filled(conv.map, problem, operands)
    fresh = {role: make(other, role, Fill("dense", 3, seed=1)) for role in values}
    calls = [(problem, values), (other, fresh | {by: values[by]})]
    start = np.ascontiguousarray(np.flip(values[by]))
    got = Differentiated(conv).accumulated([(p, copied(each)) for p, each in calls], by, start.copy())
    given = [(p, Operands(*(each[role] for role in conv.map.roles))) for p, each in calls]
    total = wide(start) + sum(wide(expect(conv.map, p, each, conv.numerics).value) for p, each in given)
    slack = sum(stored_slack(conv, p, each) for p, each in given)
    # added up in the operands' own type
    slack = slack + 3 * DTYPES[problem.dtype].unit_roundoff * np.abs(total) * (np.max(slack) > 0)
    return Claim(got, conv.stored(total, problem, slack), slack)


def _beside(conv: Conv, problem: Problem) -> Problem:
    """Return a problem with operands of the same shapes and other parameters, where the engine takes one."""
    changes: tuple[dict[str, Any], ...] = (
        {"stride": tuple(1 if s > 1 else 2 for s in problem.stride)},
        {"padding": tuple((low + 1, high + 1) for low, high in problem.padding), "same": False},
        {"dilation": tuple(1 if d > 1 else 2 for d in problem.dilation)},
    )
    several = (problem.replace(**change) for change in changes)
    taken = (p for p in several if p.is_valid and not conv.engine.capabilities.admits(p))
    forward = conv.engine.capabilities.primary is Map.FORWARD  # of a transposed one, other parameters make another x
    return next(taken, problem) if forward else problem


def learns_kernel(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """One step of gradient descent, of rate 1 on the sum of squared errors / 2, reaches the kernel that made the data.

    The images are one-hot, one for each channel, and every tap meets the 1 once: the Gram matrix is the identity.
    It follows from the definition, and is what a gradient is for.
    """
    del operands
    primary = conv.engine.capabilities.primary
    lesson, images = _lesson(problem, primary)
    kernel = make(lesson, "w", Fill("dense", 3, seed=1))
    guess = make(lesson, "w", Fill("dense", 3, seed=2))
    values = {"w": guess, primary.roles[0]: images}
    forward = Conv(conv.engine, primary)
    error = forward(lesson, images, guess) - forward(lesson, images, kernel)
    values[primary.result] = error
    given = Operands(*(values[role] for role in conv.map.roles))
    step = conv(lesson, *given)
    slack = 2 * np.max(forward.slack(lesson, Operands(images, kernel))) + np.max(conv.slack(lesson, given))
    return Claim(guess - step, kernel, 4 * float(slack))


def _lesson(problem: Problem, primary: Map) -> tuple[Problem, Array]:
    """Return a problem in which one position meets every tap, and one-hot images there, one a channel of a group."""
    size = tuple(2 * reach - 1 for reach in problem.reach)
    channels = problem.channels_per_group if primary is Map.FORWARD else problem.filters_per_group
    lesson = problem.replace(size=size, batch=channels, same=False)
    images = np.zeros(lesson.shapes[primary.roles[0]], DTYPES[problem.dtype].numpy)
    middle = [r - 1 for r in problem.reach] if primary is Map.FORWARD else [low for low, _ in problem.padding]
    for image in range(channels):
        spatial(images[image, image::channels], middle)[...] = 1
    return lesson, images


LAWS = (
    derived(double_backward, "second derivatives", fills="tiny", needs=FEW | {"dtype": ("f32", "f64")}),
    derived(gradients_accumulate, "accumulation of gradients", fills="tiny"),
    derived(
        learns_kernel,
        maps=(Map.GRAD_WEIGHT,),
        fills="none",
        holds=lambda problem: max(problem.stride) == 1,
        needs=FEW | {"stride": ("one",), "batch": ("one",)},
        work=2_000,
    ),
)
