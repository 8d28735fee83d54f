"""Transposed convolutions: targets whose call computes what the gradient of a convolution by its input does."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.engines.base import Conv
from convcheck.engines.wrap import wrap
from convcheck.operands import Fill, make
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract
from convcheck.run import verify
from convcheck.space import Space, seeded

PROBLEM = Problem(
    size=(8, 9), kernel=(2, 3), stride=(2, 3), padding=((1, 1), (0, 0)), batch=2, groups=2, channels=4, filters=6
)


def scattered(x, w, stride=1, padding=0):
    """One image, one group, any axes; no output padding, so that only some sizes can come out."""
    ndim = x.ndim - 2
    stride, padding = (np.broadcast_to(value, ndim) for value in (stride, padding))
    size = [(i - 1) * s + k for i, s, k in zip(x.shape[2:], stride, w.shape[2:], strict=True)]
    y = np.zeros((x.shape[0], w.shape[1], *size), x.dtype)
    for n, o, c in np.ndindex(x.shape[0], w.shape[0], w.shape[1]):
        for p in np.ndindex(*x.shape[2:]):
            window = tuple(slice(i * s, i * s + k) for i, s, k in zip(p, stride, w.shape[2:], strict=True))
            y[(n, c, *window)] += x[(n, o, *p)] * w[o, c]
    inside = tuple(slice(p, length - p) for p, length in zip(padding, size, strict=True))
    return y[(slice(None), slice(None), *inside)]


def operands_of(which):
    return [make(PROBLEM, role, Fill("dense", 5, seed=1)) for role in which.roles]


def test_leftover_elements_are_those_behind_the_last_window():
    assert PROBLEM.leftover == (0, 0)
    assert PROBLEM.replace(size=(9, 11)).leftover == (1, 2)


@pytest.mark.parametrize("which", Map)
def test_all_three_maps_come_from_a_transposed_convolution_and_its_derivatives(which):
    torch = pytest.importorskip("torch")
    engine = wrap(torch.nn.functional.conv_transpose2d, name="torch.nn.functional:conv_transpose2d")
    got = Conv(engine, which)(PROBLEM, *operands_of(which))
    assert (engine.capabilities.primary, got.tolist()) == (
        Map.GRAD_INPUT,
        contract(which, PROBLEM, *operands_of(which)).tolist(),
    )


def test_a_bias_belongs_to_the_channels_of_the_result():
    torch = pytest.importorskip("torch")
    engine = wrap(torch.nn.functional.conv_transpose2d, name="torch.nn.functional:conv_transpose2d")
    biased = PROBLEM.replace(bias=True)
    bias = make(biased, Map.GRAD_INPUT.bias, Fill("dense", 5))
    got = Conv(engine)(biased, *operands_of(Map.GRAD_INPUT), bias)
    assert (bias.shape, got.tolist()) == (
        (4,),
        contract(Map.GRAD_INPUT, PROBLEM, *operands_of(Map.GRAD_INPUT), bias).tolist(),
    )


def test_without_output_padding_only_sizes_without_leftover_are_asked_for():
    engine = wrap(scattered, style="transposed", ndim=2)
    space = Space(engine.capabilities, {"stride": ("more", "unequal", "above-kernel")})
    problems = [space.build(seeded(n)) for n in range(200)]
    assert not [problem for problem in problems if any(problem.leftover)]


def test_a_transposed_convolution_conforms():
    report = verify(scattered, style="transposed", ndim=2, profile="smoke", laws=["definition", "output-size"])
    assert (report.ok, [r.judged > 0 for r in report.results]) == (True, [True, True])


def test_a_kernel_flipped_is_found_and_told_as_such():
    report = verify(
        lambda x, w, stride=1, padding=0: scattered(x, w[:, :, ::-1, ::-1], stride, padding),
        style="transposed",
        ndim=2,
        profile="smoke",
        laws=["definition"],
    )
    assert [violation.words for violation in report.violations] == ["kernel flipped"]
