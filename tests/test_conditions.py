"""The smallest condition under which problems fail: outcomes are made by a rule, which must be found again."""

from __future__ import annotations

import time
from itertools import product
from random import Random

import pytest

from convcheck.conditions import smallest_condition
from convcheck.dtypes import DTYPES
from convcheck.problem import Problem


def drawn(number):
    """Draw problems in which every parameter takes several values, always the same."""
    dice = Random(7)  # noqa: S311 - no secret hangs on it

    def each(ndim, *values):
        return tuple(dice.choice(values) for _ in range(ndim))

    def problem():
        ndim, groups = dice.choice((1, 2, 3)), dice.choice((1, 1, 2, 3))
        kernel = each(ndim, 1, 2, 3, 5, 9)
        same = dice.random() < 0.15
        dilation = each(ndim, 1, 1, 1, 2, 3) if dice.random() < 0.5 else (1,) * ndim
        beyond = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        ends = [each(2, 0, 0, 1, 2)] * ndim if dice.random() < 0.6 else [(0, 0)] * ndim
        return Problem(
            size=tuple(max(1, b - sum(e) + 1) + dice.randrange(20) for b, e in zip(beyond, ends, strict=True)),
            kernel=kernel,
            stride=(1,) * ndim if same or dice.random() < 0.5 else each(ndim, 1, 2, 3),
            padding=tuple((b // 2, b - b // 2) for b in beyond) if same else tuple(ends),
            dilation=dilation,
            dtype=dice.choice(("f32", *DTYPES)),
            batch=dice.choice((1, 1, 2, 5)),
            groups=groups,
            channels=groups * dice.choice((1, 1, 2, 3, 4, 8, 9)),
            filters=groups * dice.choice((1, 1, 2, 3, 4, 8, 9)),
            bias=dice.random() < 0.3,
            same=same,
        )

    return [problem() for _ in range(number)]


PROBLEMS = drawn(400)


def condition(fails, problems=PROBLEMS):
    return smallest_condition([(problem, fails(problem)) for problem in problems])


RULES = {
    "stride > 1": lambda p: max(p.stride) > 1,
    "dilation > 1": lambda p: max(p.dilation) > 1,
    "padding > 0": lambda p: any(map(any, p.padding)),
    "groups > 1": lambda p: p.groups > 1,
    "batch > 1": lambda p: p.batch > 1,
    "the groups are depthwise": lambda p: p.groups > 1 and p.channels_per_group == 1,
    "there is a bias": lambda p: p.bias,
    "padding is 'same'": lambda p: p.same,
    "the two ends' paddings differ": lambda p: any(low != high for low, high in p.padding),
    "dilations are unequal": lambda p: len(set(p.dilation)) > 1,
    "kernel > 7": lambda p: max(p.kernel) > 7,
    "the kernel is even along the last axis": lambda p: p.kernel[-1] % 2 == 0,
    "the kernel is larger than the input": lambda p: any(r > i for r, i in zip(p.reach, p.size, strict=True)),
    "the stride leaves input over": lambda p: any(
        (i + sum(pad) - r) % s for i, pad, r, s in zip(p.size, p.padding, p.reach, p.stride, strict=True)
    ),
    "channels per group is no multiple of 4": lambda p: p.channels_per_group % 4 > 0,
    "filters is a multiple of 8": lambda p: p.filters % 8 == 0,
    "output size along the last axis is no multiple of 8": lambda p: p.output[-1] % 8 > 0,
    "dtype is bf16": lambda p: p.dtype == "bf16",
    "dtype is a 16-bit float": lambda p: p.dtype in ("f16", "bf16"),
    "dtype is an integer": lambda p: p.dtype[0] in "iu",
    "spatial axes > 2": lambda p: p.ndim == 3,
    "stride > 1 and dilation > 1": lambda p: max(p.stride) > 1 and max(p.dilation) > 1,
    "groups > 1 and dtype is bf16": lambda p: p.groups > 1 and p.dtype == "bf16",
    "stride > 1 and padding > 0 and spatial axes = 1": lambda p: (
        p.ndim == 1 < max(p.stride) and max(p.padding) > (0, 0)
    ),
}


@pytest.mark.parametrize("words", RULES)
def test_finds_the_rule_that_made_the_outcomes(words):
    """One predicate, or two, or three; counts of both sides come with them."""
    failures = sum(map(RULES[words], PROBLEMS))
    assert 0 < failures < len(PROBLEMS)
    counts = f"({failures} of {failures}), never otherwise (0 of {len(PROBLEMS) - failures})"
    assert condition(RULES[words]) == f"fails whenever {words} {counts}"


def test_says_that_it_fails_always_or_never():
    """There is no condition to be found."""
    assert condition(lambda _: True) == "fails always (400 of 400)"
    assert condition(lambda _: False) == "never fails (0 of 400)"
    assert smallest_condition([]) == "never fails (0 of 0)"


def test_counts_exceptions():
    """Where some problems under the condition pass, it says how many."""
    strided = [p for p in PROBLEMS if max(p.stride) > 1]
    bad = set(strided[::2])
    expected = f"fails in {len(bad)} of {len(strided)} cases where stride > 1, in 0 of {400 - len(strided)} others"
    assert condition(lambda p: p in bad) == expected


def test_makes_nothing_of_chance():
    """Failures without a pattern get no condition."""
    bad = set(PROBLEMS[::9])
    assert condition(lambda p: p in bad) == f"fails in {len(bad)} of 400 cases, under no condition that was looked for"


def test_names_a_threshold_in_the_gap():
    """A number that lies between what passes and what fails, the plainest there is."""
    problems = [Problem(size=(size,), kernel=(2,)) for size in (3, 4, 6, 9, 12, 20, 21, 30)]
    found = condition(lambda p: p.size[0] > 10, problems)
    assert found == "fails whenever input size >= 12 (4 of 4), never otherwise (0 of 4)"
    found = condition(lambda p: p.size[0] > 6, problems)
    assert found == "fails whenever input size > 7 (5 of 5), never otherwise (0 of 3)"


def test_separates_the_smallest_table():
    """Two parameters of two values each."""
    problems = [
        Problem(size=(9,), kernel=(2,), stride=(stride,), dilation=(dilation,))
        for stride, dilation in product((1, 2), repeat=2)
        for _ in range(8)
    ]
    found = condition(lambda p: p.stride == p.dilation == (2,), problems)
    assert found == "fails whenever stride > 1 and dilation > 1 (8 of 8), never otherwise (0 of 24)"


def test_is_fast():
    """Thousands of outcomes in a fraction of a second, on a slow and busy machine, too."""
    outcomes = [(p, max(p.stride) > 1 and max(p.dilation) > 1) for p in PROBLEMS * 5]
    start = time.perf_counter()
    smallest_condition(outcomes)
    assert time.perf_counter() - start < 3


def test_of_too_few_failures_no_condition_is_told():
    outcomes = [(Problem.parse(f"i5 k{k} s{s}"), k == s == 2) for k in (1, 2, 3) for s in (1, 2, 3)]
    assert "too few" not in smallest_condition(outcomes)
    assert smallest_condition(outcomes, fewest=2) == "fails in 1 of 9 cases, too few to tell a condition"
