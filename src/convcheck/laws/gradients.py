"""Chapter Gradients: what holds between a map and its derivatives, whoever computes them.

Each gradient against its own sum, and in every layout, is judged by the laws of the other chapters, which speak of
all three maps; these laws judge what the maps taken one by one do not show.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from convcheck.bounds import expect, is_exact
from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Conv
from convcheck.engines.derivatives import filled
from convcheck.engines.differentiated import Differentiated
from convcheck.errors import TargetRaisedError, UnsupportedError
from convcheck.laws.arrangement import bits, flat, spatial, wide
from convcheck.laws.law import ALL_MAPS, Law
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]
CHAPTER = "Gradients"


def adjoint(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """<gy, corr(x, w)> = <gx, x> = <gw, w>: the result as it is computed to be differentiated, and its gradients.

    It needs no oracle, and it alone sees a result that comes out otherwise where it is to be differentiated.
    """
    primary, role = conv.engine.capabilities.primary, conv.map.result
    values = filled(conv.map, problem, operands)
    got = Differentiated(conv).gradients(problem, _copied(values), (primary.result, role))
    left, right = (np.sum(wide(got[r]) * wide(values[r])) for r in (primary.result, role))
    return Claim(
        np.array([left]),
        np.array([right]),
        _slack_against(Conv(conv.engine, primary), problem, values) + _slack_against(conv, problem, values),
    )


def _slack_against(conv: Conv, problem: Problem, values: dict[str, Array]) -> float:
    """Error that the inner product of a map's result with the values in its role may carry."""
    slack = _stored_slack(conv, problem, Operands(*(values[role] for role in conv.map.roles)))
    return float(np.sum(slack * np.abs(values[conv.map.result].astype(np.float64))))


def _stored_slack(conv: Conv, problem: Problem, operands: Operands) -> Array | float:
    """Error that a result may carry, the rounding to its own type included."""
    if is_exact(conv.map, problem, operands, conv.numerics, stored=True):
        return 0.0
    value, bound = expect(conv.map, problem, operands, conv.numerics)
    dtype = DTYPES[problem.dtype]
    size = np.abs(value.astype(np.float64))
    return np.asarray(bound + dtype.unit_roundoff * (size + bound) + dtype.smallest_subnormal)


def bias_gradient(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """gb[o] = sum over images and positions of gy[n, o, p], and so the gradient by a weight whose input is 1."""
    primary = conv.engine.capabilities.primary
    biased, values = _with_bias(conv, problem, operands)
    upstream = values[primary.result]
    got = Differentiated(conv).gradients(biased, values, (primary.bias,))[primary.bias]
    batch, filters, *size = upstream.shape
    summed = Problem(dtype=problem.dtype, batch=batch, filters=filters, size=tuple(size), kernel=(1,) * problem.ndim)
    ones = np.ones(summed.shapes["x"], upstream.dtype)
    value, bound = expect(Map.GRAD_WEIGHT, summed, Operands(upstream, ones), conv.numerics)
    return Claim(got, value.ravel(), np.broadcast_to(bound, value.shape).ravel())


def _with_bias(conv: Conv, problem: Problem, operands: Operands) -> tuple[Problem, dict[str, Array]]:
    biased, role = problem.replace(bias=True), conv.engine.capabilities.primary.bias
    return biased, filled(conv.map, problem, operands) | {role: make(biased, role, Fill("dense", 3))}


def _copied(values: dict[str, Array]) -> dict[str, Array]:
    """Values that a target may spoil, which `gradients_touch_nothing` alone is to find."""
    return {role: array.copy() for role, array in values.items()}


def gradients_together(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A gradient is the same, whichever others are asked for with it, and if a call is gone back through twice."""
    offered, role = conv.engine.capabilities, conv.map.result
    known = Differentiated(conv)
    values = filled(conv.map, problem, operands)
    others = tuple(r for r in offered.primary.roles if r != role and r in known.derivatives.roles)
    asked = [(problem, values, (role, *others))] if others else []
    if "bias" in offered.features and offered.primary.bias in known.derivatives.roles:
        biased, more = _with_bias(conv, problem, operands)
        asked += [(biased, more, (role, offered.primary.bias)), (biased, more, (*others, offered.primary.bias, role))]
    if not asked:
        raise UnsupportedError(f"{conv.engine.name} offers one gradient only")
    alone = conv(problem, *operands).copy()
    together = [known.gradients(p, _copied(given), wanted)[role] for p, given, wanted in asked]
    if known.derivatives.retained:
        with suppress(TargetRaisedError):  # nobody promised that what the call kept is still there
            together.append(known.retained(problem, _copied(values), (role, *others))[role])
    return Claim(np.stack(together), np.stack([alone] * len(together)), 2 * conv.slack(problem, operands))


def gradients_touch_nothing(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """x, w and gy have the same bits after going back as before, also those that a gradient does not depend on."""
    known = Differentiated(conv)
    values = _copied(filled(conv.map, problem, operands))
    before = flat(*(bits(array) for array in values.values())).copy()
    known.gradients(
        problem, values, [r for r in conv.engine.capabilities.primary.roles if r in known.derivatives.roles]
    )
    return Claim(flat(*(bits(array) for array in values.values())), before, note="bit patterns")


def batch_gradients(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """The gradient by w is the sum over images of gw(gy[n], x[n]); that by x stacks gx(gy[n], w).

    It follows from the definition, needs no oracle, and says what is wrong where a batch is averaged or cut.
    """
    one = problem.replace(batch=1)
    slack = conv.slack(problem, operands)
    if conv.map is not Map.GRAD_WEIGHT:
        parts = [conv(one, operands.a[n : n + 1], operands.b) for n in range(problem.batch)]
        return Claim(conv(problem, *operands), np.concatenate(parts), 2 * slack)
    each = [Operands(operands.a[n : n + 1], operands.b[n : n + 1]) for n in range(problem.batch)]
    total = np.sum([wide(conv(one, *given)) for given in each], axis=0)
    slack = _stored_slack(conv, problem, operands) + sum(_stored_slack(conv, one, given) for given in each)
    return Claim(conv(problem, *operands), conv.stored(total, problem, slack), slack)


def zero_upstream(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """An upstream gradient of zeros gives gradients of zeros, and no exception."""
    got = conv(problem, *_with_upstream(conv, operands, np.zeros_like))
    return Claim(got == 0, np.ones(got.shape, bool), note="which elements are zero")


def expanded_upstream(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """One number as the upstream gradient of every element (stride 0, as ``y.sum()`` sends it back) is read as such."""
    given = _with_upstream(conv, operands, _expanded)
    expected = expect(conv.map, problem, given, conv.numerics)
    return Claim(conv(problem, *given), expected.value, expected.bound)


def _with_upstream(conv: Conv, operands: Operands, change: Callable[[Array], Array]) -> Operands:
    """Change that operand of a gradient which is the upstream gradient."""
    a, b, _ = operands
    first = conv.map.roles[0] == conv.engine.capabilities.primary.result
    return Operands(change(a), b) if first else Operands(a, change(b))


def _expanded(array: Array) -> Array:
    """First element of an array, for all of it; nothing is repeated in memory."""
    return np.broadcast_to(array.ravel()[:1].copy().reshape((1,) * array.ndim), array.shape)


def double_backward(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """<gx(gy, w), v> has the gradient corr(v, w) by gy and gw(gy, v) by w; likewise <gw(gy, x), v>; and none else.

    All are the inner product of gy with corr(x, w), in which v stands in the place of x, or of w. And where there is a
    bias, <gb(gy), v> has the gradient v by gy, the same at every position.
    """
    by = conv.map.result
    values = filled(conv.map, problem, operands)
    direction = make(problem, by, Fill("dense", 3, seed=1))
    got = Differentiated(conv).second(problem, values, by, direction, (*conv.map.roles, by))
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
    biased, values = _with_bias(conv, problem, operands)
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
    got = Differentiated(conv).accumulated(calls, by, start)
    given = [(p, Operands(*(each[role] for role in conv.map.roles))) for p, each in calls]
    total = wide(start) + sum(wide(expect(conv.map, p, each, conv.numerics).value) for p, each in given)
    slack = sum(_stored_slack(conv, p, each) for p, each in given)
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


#: enough to tell a mistake of this chapter; what hangs on single parameters is for the laws of the maps
_FEW: dict[str, tuple[str, ...]] = {
    "dtype": ("f32", "f64", "f16", "bf16"),
    "channels": ("one", "few", "odd"),
    "filters": ("one", "few", "odd"),
    "kernel": ("small", "unit", "even", "odd"),
    "stride": ("one", "two", "unequal"),
    "dilation": ("one", "two"),
    "padding": ("none", "symmetric", "two-sided"),
    "size": ("tiny", "narrow", "uneven"),
}
_WORK = 20_000


def _law(check: Callable[[Conv, Problem, Operands], Claim], offers: str = "", **more: Any) -> Law:
    """Return a law of derivatives, on few classes of problems."""
    usual: dict[str, Any] = {"maps": ALL_MAPS, "needs": _FEW, "work": _WORK}
    return Law(check, CHAPTER, derived=True, offers=offers, **(usual | more))


LAWS = (
    _law(adjoint, "gradients", fills="tiny"),
    _law(
        bias_gradient,
        "gradient by a bias",
        maps=(Map.GRAD_WEIGHT,),
        fills="layouts",
        needs=_FEW | {"size": ("tiny", "narrow", "uneven", "vector", "plane", "large")},
        work=5 * _WORK,  # so that large planes leave room for several images
    ),
    _law(gradients_together, "gradients"),
    _law(gradients_touch_nothing, "gradients"),
    _law(batch_gradients, fills="strict", needs=_FEW | {"batch": ("several",)}),
    _law(zero_upstream, fills="tiny"),
    _law(expanded_upstream),
    _law(double_backward, "second derivatives", fills="tiny", needs=_FEW | {"dtype": ("f32", "f64")}),
    _law(gradients_accumulate, "accumulation of gradients", fills="tiny"),
    _law(
        learns_kernel,
        maps=(Map.GRAD_WEIGHT,),
        fills="none",
        holds=lambda problem: max(problem.stride) == 1,
        needs=_FEW | {"stride": ("one",), "batch": ("one",)},
        work=2_000,
    ),
)
