"""Chapter Gradients: what holds between a map and its derivatives, whoever computes them.

Each gradient against its own sum, and in every layout, is judged by the laws of the other chapters, which speak of
all three maps; these laws judge what the maps taken one by one do not show. What gradients are for is in `training`.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from convcheck.bounds import expect
from convcheck.claim import Claim
from convcheck.engines.base import Conv
from convcheck.engines.derivatives import filled
from convcheck.engines.differentiated import Differentiated
from convcheck.errors import TargetRaisedError, UnsupportedError
from convcheck.laws.arrangement import bits, flat, wide
from convcheck.laws.derived import FEW, WORK, copied, derived, stored_slack, with_bias
from convcheck.operands import Operands
from convcheck.problem import Map, Problem

__all__ = ["LAWS"]

Array = np.ndarray[Any, Any]


def adjoint(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """<gy, corr(x, w)> = <gx, x> = <gw, w>: the result as it is computed to be differentiated, and its gradients.

    It needs no oracle, and it alone sees a result that comes out otherwise where it is to be differentiated.
    """
    primary, role = conv.engine.capabilities.primary, conv.map.result
    values = filled(conv.map, problem, operands)
    got = Differentiated(conv).gradients(problem, copied(values), (primary.result, role))
    left, right = (np.sum(wide(got[r]) * wide(values[r])) for r in (primary.result, role))
    return Claim(
        np.array([left]),
        np.array([right]),
        _slack_against(Conv(conv.engine, primary), problem, values) + _slack_against(conv, problem, values),
    )


def _slack_against(conv: Conv, problem: Problem, values: dict[str, Array]) -> float:
    """Error that the inner product of a map's result with the values in its role may carry."""
    slack = stored_slack(conv, problem, Operands(*(values[role] for role in conv.map.roles)))
    return float(np.sum(slack * np.abs(values[conv.map.result].astype(np.float64))))


def bias_gradient(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """gb[o] = sum over images and positions of gy[n, o, p], and so the gradient by a weight whose input is 1."""
    primary = conv.engine.capabilities.primary
    biased, values = with_bias(conv, problem, operands)
    upstream = values[primary.result]
    got = Differentiated(conv).gradients(biased, copied(values), (primary.bias,))[primary.bias]
    batch, filters, *size = upstream.shape
    summed = Problem(dtype=problem.dtype, batch=batch, filters=filters, size=tuple(size), kernel=(1,) * problem.ndim)
    ones = np.ones(summed.shapes["x"], upstream.dtype)
    value, bound = expect(Map.GRAD_WEIGHT, summed, Operands(upstream, ones), conv.numerics)
    return Claim(got, value.ravel(), np.broadcast_to(bound, value.shape).ravel())


def gradients_together(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """A gradient is the same, whichever others are asked for with it, and if a call is gone back through twice."""
    offered, role = conv.engine.capabilities, conv.map.result
    known = Differentiated(conv)
    values = filled(conv.map, problem, operands)
    others = tuple(r for r in offered.primary.roles if r != role and r in known.derivatives.roles)
    asked = [(problem, values, (role, *others))] if others else []
    if "bias" in offered.features and offered.primary.bias in known.derivatives.roles:
        biased, more = with_bias(conv, problem, operands)
        asked += [(biased, more, (role, offered.primary.bias)), (biased, more, (*others, offered.primary.bias, role))]
    if not asked:
        raise UnsupportedError(f"{conv.engine.name} offers one gradient only")
    alone = conv(problem, *operands).copy()
    together = [known.gradients(p, copied(given), wanted)[role] for p, given, wanted in asked]
    if known.derivatives.retained:
        with suppress(TargetRaisedError):  # nobody promised that what the call kept is still there
            together.append(known.retained(problem, copied(values), (role, *others))[role])
    return Claim(np.stack(together), np.stack([alone] * len(together)), 2 * conv.slack(problem, operands))


def gradients_touch_nothing(conv: Conv, problem: Problem, operands: Operands) -> Claim:
    """x, w and gy have the same bits after going back as before, also those that a gradient does not depend on."""
    known, offered = Differentiated(conv), conv.engine.capabilities
    calls = [(problem, copied(filled(conv.map, problem, operands)))]
    if "bias" in offered.features and offered.primary.bias in known.derivatives.roles:
        biased, more = with_bias(conv, problem, operands)
        calls.append((biased, copied(more)))
    before = [bits(array).copy() for _, values in calls for array in values.values()]
    for asked, values in calls:
        known.gradients(asked, values, [role for role in known.derivatives.roles if role in values])
    after = [bits(array) for _, values in calls for array in values.values()]
    return Claim(flat(*after), flat(*before), note="bit patterns")


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
    slack = stored_slack(conv, problem, operands) + sum(stored_slack(conv, one, given) for given in each)
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


LAWS = (
    derived(adjoint, "gradients", fills="tiny"),
    derived(
        bias_gradient,
        "gradient by a bias",
        maps=(Map.GRAD_WEIGHT,),
        fills="layouts",
        needs=FEW | {"size": ("tiny", "narrow", "uneven", "vector", "plane", "large")},
        work=5 * WORK,  # so that large planes leave room for several images
    ),
    derived(gradients_together, "gradients"),
    derived(gradients_touch_nothing, "gradients"),
    derived(batch_gradients, fills="strict", needs=FEW | {"batch": ("several",)}),
    derived(zero_upstream, fills="tiny"),
    derived(expanded_upstream),
)
