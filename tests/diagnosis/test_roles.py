"""Mistakes in which element is taken for which, and loops that end too early, as engines that rearrange arrays."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.diagnosis import diagnose
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

PLAIN = Problem.parse("f32 n1 g1 c1 o1 i5x6 k2x3 s1x1 p0x0 d1x1")
WIDE = Problem.parse("f32 n2 g2 c4 o4 i4x5 k2x2 s1x1 p0x0 d1x1")


def reading(**changes):
    """Rearrange operands, by role, before a right convolution."""

    def apply(which, problem, operands):
        arrays = [changes.get(role, _same)(array) for role, array in zip(which.roles, operands, strict=False)]
        return contract(which, problem, *arrays, operands.bias).astype(operands.a.dtype)

    return apply


def giving(change):
    """Rearrange the result of a right convolution."""

    def apply(which, problem, operands):
        return np.ascontiguousarray(change(contract(which, problem, *operands)).astype(operands.a.dtype))

    return apply


def by_group(dimension, change):
    """Rearrange the groups of an array; the number of groups comes with the problem."""

    def apply(which, problem, operands):
        def rearrange(array):
            lines = np.moveaxis(array, dimension, 0)
            split = lines.reshape(problem.groups, -1, *lines.shape[1:])
            return np.moveaxis(change(split).reshape(lines.shape), 0, dimension)

        role = "w" if dimension == 0 else "x"
        return reading(**{role: rearrange})(which, problem, operands)

    return apply


def _same(array):
    return array


def without(dimension, which):
    """Count a part of an array as zero."""

    def change(array):
        array = array.copy()
        np.moveaxis(array, dimension, 0)[which(array.shape[dimension])] = 0
        return array

    return change


def swapped_if_square(array):
    return np.swapaxes(array, 2, 3) if array.ndim > 3 and array.shape[2] == array.shape[3] else array


def weighing(place, factor):
    """Multiply one tap of the whole kernel."""

    def change(array):
        array = array.copy()
        array.reshape(*array.shape[:2], -1)[..., place] *= factor
        return array

    return change


def first_for_second(array):
    array = array.copy()
    array[1:2] = array[:1]
    return array


def tail_repeated(dimension, width):
    """Copy what lies before the rest after whole vectors over it."""

    def change(array):
        array = array.copy()
        lines = np.moveaxis(array, dimension, 0)
        rest = len(lines) % width if len(lines) > width else 0
        if rest:
            lines[-rest:] = lines[-2 * rest : -rest]
        return array

    return change


FORWARD = {
    "computes convolution, not cross-correlation: kernel flipped (right with convention convolution)": reading(
        w=lambda w: w[:, :, ::-1, ::-1]
    ),
    "kernel flipped along axis 0": reading(w=lambda w: w[:, :, ::-1]),
    "kernel flipped along axis 1": reading(w=lambda w: w[:, :, :, ::-1]),
    "kernel transposed: axes 0 and 1 swapped": reading(w=lambda w: w.swapaxes(2, 3).reshape(w.shape)),
    "input transposed: axes 0 and 1 swapped": reading(x=lambda x: x.swapaxes(2, 3).reshape(x.shape)),
    "output transposed: axes 0 and 1 swapped": giving(lambda y: y.swapaxes(2, 3)),
    "filters and channels of the weight swapped": reading(w=lambda w: w.swapaxes(0, 1).reshape(w.shape)),
    "kernel rolled by one tap along axis 1": reading(w=lambda w: np.roll(w, 1, 3)),
    "output flipped along axis 0": giving(lambda y: y[:, :, ::-1]),
    "output rolled by +1 along axis 1": giving(lambda y: np.roll(y, 1, 3)),
    "images in reverse order": reading(x=lambda x: x[::-1]),
    "channels rotated by one": reading(x=lambda x: np.roll(x, 1, 1)),
    "filters in reverse order": giving(lambda y: y[:, ::-1]),
    "channels in reverse order": reading(w=lambda w: w[:, ::-1]),
    "first image used for the second, too": reading(x=first_for_second),
    "first image used for all images": reading(x=lambda x: x[[0] * len(x)]),
    "first channel used for all channels": reading(x=lambda x: x[:, [0] * x.shape[1]]),
    "first filter's weights used for all filters": reading(w=lambda w: w[[0] * len(w)]),
    "last output is missing along axis 1": giving(lambda y: y[..., :-1]),
    "last output zero along axis 0": giving(without(2, lambda n: n - 1)),
    "outputs from 3 on zero along axis 1": giving(without(3, lambda _: slice(3, None))),
    "outputs beyond the last multiple of 4 zero along axis 1": giving(without(3, lambda n: slice(n // 4 * 4, n))),
    "outputs beyond the last multiple of 4 repeat those before along axis 1": giving(tail_repeated(3, 4)),
    "filters beyond the last multiple of 16 repeat those before": giving(tail_repeated(1, 16)),
    "last channel dropped": reading(w=without(1, lambda n: n - 1)),
    "channel 1 dropped": reading(w=without(1, lambda n: slice(1, 2) if n > 2 else slice(0))),
    "channels from 2 on dropped": reading(w=without(1, lambda _: slice(2, None))),
    "channels beyond the last multiple of 8 dropped": reading(w=without(1, lambda n: slice(n // 8 * 8 or n, n))),
    "all channels but the first dropped": reading(w=without(1, lambda _: slice(1, None))),
    "filters from 3 on dropped": giving(without(1, lambda _: slice(3, None))),
    "all images but the first dropped": giving(without(0, lambda _: slice(1, None))),
    "last tap dropped along axis 1": reading(w=without(3, lambda n: n - 1)),
    "last tap of the kernel dropped": reading(w=weighing(-1, 0)),
    "first tap of the kernel counted twice": reading(w=weighing(0, 2)),
    "last image repeats the one before": giving(lambda y: y[[*range(len(y) - 1), max(0, len(y) - 2)]]),
    "summed products from 16 on dropped": reading(
        w=lambda w: np.where(np.arange(w[0].size).reshape(w.shape[1:]) < 16, w, 0)
    ),
    "result with the filters last": giving(lambda y: np.moveaxis(y, 1, -1)),
}


@pytest.mark.parametrize("words", FORWARD)
def test_names_rearrangement(engine, words):
    """An array is rearranged on its way, or part of it is dropped."""
    found = diagnose(engine(FORWARD[words], ndims=(2,)), PLAIN)
    assert (found.words, found.known) == (words, True)


def test_names_the_round_number_at_which_a_loop_ends(engine):
    """Columns from 128 on are zero, on a problem that has some."""
    apply = giving(without(3, lambda _: slice(128, None)))
    found = diagnose(engine(apply, ndims=(2,)), PLAIN.replace(size=(2, 135), kernel=(1, 2)))
    assert (found.words, found.known) == ("outputs from 128 on zero along axis 1", True)


GROUPS = {
    "channels of the groups in reverse order": by_group(1, lambda a: a[::-1]),
    "weights of the groups rotated by one": by_group(0, lambda a: np.roll(a, 1, 0)),
    "channels of the groups interleaved": by_group(1, lambda a: a.swapaxes(0, 1)),
    "last group computed with the first group's weights": by_group(0, lambda a: a[[*range(len(a) - 1), 0]]),
    "all groups computed with the first group's weights": by_group(0, lambda a: a[[0] * len(a)]),
    "groups ignored: every filter reads the first channels": by_group(1, lambda a: a[[0] * len(a)]),
}


@pytest.mark.parametrize("words", GROUPS)
def test_names_how_groups_are_mixed_up(engine, words):
    """Channels or weights go to another group."""
    found = diagnose(engine(GROUPS[words]), WIDE)
    assert (found.words, found.known) == (words, True)


def with_source(source):
    """Let each filter read other channels: ``source`` is given problem, group and channel within the group."""

    def apply(which, problem, operands):
        p = problem
        c, o = p.channels_per_group, p.filters_per_group
        planes = [operands.a[:, [source(p, f // o, k) for k in range(c)]] for f in range(p.filters)]
        one = p.replace(groups=1, channels=c, filters=1, bias=False)
        parts = [contract(which, one, x, operands.b[f : f + 1]) for f, x in enumerate(planes)]
        y = np.concatenate(parts, axis=1)
        bias = 0 if operands.bias is None else operands.bias.astype(float).reshape(-1, *(1,) * p.ndim)
        return (y + bias).astype(operands.a.dtype)

    return apply


SOURCES = {
    "offset of the groups' channels counts filters": lambda p, g, k: (
        min(g * p.filters_per_group, p.channels - p.channels_per_group) + k
    ),
    "channels beyond the last multiple of 2 read from the group before": lambda p, g, k: (
        (g - (k >= (p.channels_per_group // 2 * 2 or p.channels_per_group))) % p.groups * p.channels_per_group + k
    ),
}


@pytest.mark.parametrize("words", SOURCES)
def test_names_which_channels_a_group_reads(engine, words):
    """The channels that a group's filters read begin, or go on, in another group."""
    problem = WIDE.replace(channels=6, filters=8)
    found = diagnose(engine(with_source(SOURCES[words]), maps=(Map.FORWARD,)), problem)
    assert (found.words, found.known) == (words, True)


def test_names_dense_convolution_in_place_of_groups(engine):
    """Every filter sums over all channels, and its weights repeat."""

    def apply(which, problem, operands):
        w = np.concatenate([operands.b] * problem.groups, axis=1)
        y = contract(which, problem.replace(groups=1), operands.a, w, operands.bias)
        return y.astype(operands.a.dtype)

    found = diagnose(engine(apply, maps=(Map.FORWARD,)), WIDE)
    assert found.words == "groups ignored: every filter reads all channels, weights repeated"


GRADIENTS = {
    "grad_input: kernel not flipped": (Map.GRAD_INPUT, reading(w=lambda w: w[:, :, ::-1, ::-1])),
    "grad_input: kernel not flipped along axis 1": (Map.GRAD_INPUT, reading(w=lambda w: w[..., ::-1])),
    "grad_input: last input dropped along axis 0": (Map.GRAD_INPUT, giving(without(2, lambda n: n - 1))),
    "grad_input: last filter dropped": (Map.GRAD_INPUT, reading(y=without(1, lambda n: n - 1))),
    "grad_weight: result flipped": (Map.GRAD_WEIGHT, giving(lambda w: w[:, :, ::-1, ::-1])),
    "grad_weight: result flipped along axis 0": (Map.GRAD_WEIGHT, giving(lambda w: w[:, :, ::-1])),
    "grad_weight: last tap of the kernel dropped": (Map.GRAD_WEIGHT, giving(weighing(-1, 0))),
    "grad_weight: all images but the first dropped": (Map.GRAD_WEIGHT, reading(y=without(0, lambda _: slice(1, None)))),
    "grad_weight: last output zero along axis 1": (Map.GRAD_WEIGHT, reading(y=without(3, lambda n: n - 1))),
}


@pytest.mark.parametrize("words", GRADIENTS)
def test_names_rearrangement_of_a_gradient(engine, words):
    """The same mistakes in the two other maps; the map is named first."""
    which, apply = GRADIENTS[words]
    found = diagnose(engine(apply, ndims=(2,)), PLAIN, which)
    assert (found.words, found.known) == (words, True)


def test_speaks_in_the_terms_of_the_convention(engine):
    """Who declares a convolution, and correlates, is told so."""

    def apply(which, problem, operands):
        return contract(which, problem, *operands).astype(operands.a.dtype)

    found = diagnose(engine(apply, convention="convolution", ndims=(2,)), PLAIN)
    assert found.words == (
        "computes cross-correlation, not convolution: kernel flipped (right with convention correlation)"
    )


@pytest.mark.parametrize(("role", "name"), [("w", "kernel"), ("x", "input")])
def test_knows_an_array_whose_index_is_computed_column_by_column(engine, role, name):
    def by_column(array):
        rows, columns = array.shape[2:]
        return array.reshape(*array.shape[:2], columns, rows).swapaxes(2, 3)

    found = diagnose(engine(reading(**{role: by_column}), ndims=(2,)), PLAIN)
    assert found.words == f"{name} transposed: axes 0 and 1 swapped"


def test_says_when_an_array_is_transposed(engine):
    """The condition is read off the problems tried."""
    found = diagnose(engine(reading(w=swapped_if_square), ndims=(2,)), PLAIN)
    assert found.words == "kernel transposed: axes 0 and 1 swapped"
    (detail,) = found.details
    assert detail.startswith("on the problems tried, it fails whenever kernel > 1 and the kernel is square")
