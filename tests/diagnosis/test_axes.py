"""Mistakes in stride, dilation, padding and output size, as engines that convolve with another problem."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from convcheck.diagnosis import diagnose
from convcheck.dtypes import DTYPES
from convcheck.problem import Map, Problem, same_padding
from convcheck.reference.maps import contract

PLAIN = Problem.parse("f32 n1 g1 c1 o1 i5x6 k2x3 s1x1 p0x0 d1x1")


def misread(change):
    """Convolve with another problem, and return whatever size comes out."""

    def apply(which, problem, operands):
        return contract(which, change(problem), *operands).astype(DTYPES[problem.dtype].numpy)

    return apply


def lengthened(problem, outputs):
    """Pad the high ends so far that there are as many outputs."""
    reached = zip(outputs, problem.stride, problem.reach, problem.size, problem.padding, strict=True)
    ends = tuple((low, max(high, (o - 1) * s + r - i - low)) for o, s, r, i, (low, high) in reached)
    return problem.replace(padding=ends, same=False)


def windowed(longer, window, which, operands):
    """Apply a map of which the output is only a window."""
    if which is Map.FORWARD:
        return contract(which, longer, *operands)[window].astype(operands.a.dtype)
    upstream = np.zeros(longer.shapes["y"], operands.a.dtype)
    upstream[window] = operands.a
    return contract(which, longer, upstream, operands.b).astype(operands.a.dtype)


def as_asked(change):
    """Convolve with another problem; outputs beyond its end go on by the same rule, and the size is as asked."""

    def apply(which, problem, operands):
        window = (slice(None), slice(None), *map(slice, problem.output))
        return windowed(lengthened(change(problem), problem.output), window, which, operands)

    return apply


def per_axis(name, change):
    return lambda p: p.replace(**{name: tuple(map(change, getattr(p, name)))}, same=False)


def one_axis(name, axis, value):
    """Set a parameter of one axis."""

    def change(p):
        values = list(getattr(p, name))
        if axis < len(values):
            values[axis] = value
        return p.replace(**{name: tuple(values)}, same=False)

    return change


def reverse(name):
    return lambda p: p.replace(**{name: getattr(p, name)[::-1]}, same=False)


def first_for_all(name):
    return lambda p: p.replace(**{name: getattr(p, name)[:1] * p.ndim}, same=False)


def exchange(p):
    return p.replace(stride=p.dilation, dilation=p.stride, same=False)


SIZED = {
    "stride ignored": per_axis("stride", lambda _: 1),
    "stride ignored along axis 1": one_axis("stride", 1, 1),
    "stride one too large": per_axis("stride", lambda s: s + 1),
    "stride of axis 0 used along every axis": first_for_all("stride"),
    "stride of axes 0 and 1 swapped": reverse("stride"),
    "stride and dilation exchanged": exchange,
    "dilation ignored": per_axis("dilation", lambda _: 1),
    "dilation ignored along axis 0": one_axis("dilation", 0, 1),
    "dilation one too large": per_axis("dilation", lambda d: d + 1),
    "dilation of axis 0 used along every axis": first_for_all("dilation"),
    "dilation of axes 0 and 1 swapped": reverse("dilation"),
    "padding of the two ends exchanged": per_axis("padding", lambda p: p[::-1]),
    "padding doubled": per_axis("padding", lambda p: (2 * p[0], 2 * p[1])),
    "padding of axis 0 used along every axis": first_for_all("padding"),
    "padding of axes 0 and 1 swapped": reverse("padding"),
    "all padding at the low end": per_axis("padding", lambda p: (sum(p), 0)),
}


@pytest.mark.parametrize("words", SIZED)
def test_names_parameter_that_is_misread(engine, words):
    """A parameter is misread, and the size is the one asked for."""
    found = diagnose(engine(as_asked(SIZED[words])), PLAIN)
    assert (found.words, found.known) == (words, True)


@pytest.mark.parametrize("which", [Map.GRAD_INPUT, Map.GRAD_WEIGHT])
@pytest.mark.parametrize("words", list(SIZED)[::3])
def test_names_parameter_that_a_gradient_misreads(engine, words, which):
    """The same words are said of a gradient, after its name."""
    found = diagnose(engine(as_asked(SIZED[words])), PLAIN, which)
    assert (found.words, found.known) == (f"{which}: {words}", True)


UNSIZED = {
    "stride ignored": SIZED["stride ignored"],
    "dilation ignored along axis 0": SIZED["dilation ignored along axis 0"],
    "padding ignored": per_axis("padding", lambda _: (0, 0)),
    "padding only at the low end": per_axis("padding", lambda p: (p[0], 0)),
    "padding only at the high end": per_axis("padding", lambda p: (0, p[1])),
    "padding one too large": per_axis("padding", lambda p: (p[0] + 1, p[1] + 1)),
    "low padding used at both ends": per_axis("padding", lambda p: (p[0], p[0])),
    "padded as for mode 'full'": lambda p: p.replace(padding=tuple((r - 1, r - 1) for r in p.reach), same=False),
    "output size rounded up instead of down": lambda p: p.replace(
        padding=tuple((low, high + s - 1) for (low, high), s in zip(p.padding, p.stride, strict=True)), same=False
    ),
}


@pytest.mark.parametrize("words", UNSIZED)
def test_names_parameter_that_changes_the_size(engine, words):
    """A parameter is misread, and the size with it."""
    found = diagnose(engine(misread(UNSIZED[words])), PLAIN)
    assert (found.words, found.known) == (words, True)


def shifted(by):
    """Return what belongs ``by`` positions before, beyond both ends by the same rule."""

    def apply(which, problem, operands):
        ends = zip(problem.padding, problem.stride, strict=True)
        longer = problem.replace(padding=tuple((low + 2 * s, high) for (low, high), s in ends), same=False)
        window = (slice(None), slice(None), *(slice(2 - by, 2 - by + size) for size in problem.output))
        outputs = [size + 4 for size in problem.output]
        return windowed(lengthened(longer, outputs), window, which, operands)

    return apply


@pytest.mark.parametrize("by", [1, -1])
@pytest.mark.parametrize("which", Map)
def test_names_shift_of_the_output(engine, by, which):
    """Every output stands one position away from where it should."""
    prefix = "" if which is Map.FORWARD else f"{which}: "
    assert diagnose(engine(shifted(by)), PLAIN, which).words == f"{prefix}output shifted by {by:+d}"


def shifted_table(distance):
    """Read windows further on, by ``distance`` of the stride, of the low padding and of what the stride leaves over."""

    def apply(which, problem, operands):
        rows = list(zip(problem.size, problem.padding, problem.reach, problem.stride, strict=True))
        over = [(size + sum(pad) - reach) % step for size, pad, reach, step in rows]
        by = [distance(step, pad[0], rest) for (_, pad, _, step), rest in zip(rows, over, strict=True)]
        ends = ((0, 0), (0, 0), *((low, high + step) for (_, (low, high), _, step) in rows))
        x = np.pad(operands.a, ends)[(..., *(slice(v, None) for v in by))]
        bare = problem.replace(size=x.shape[2:], padding=((0, 0),) * problem.ndim, same=False)
        window = (slice(None), slice(None), *map(slice, problem.output))
        return contract(which, bare, x, *operands[1:])[window].astype(x.dtype)

    return apply


@pytest.mark.parametrize(
    ("words", "distance"),
    [
        ("stride counted from the far end", lambda _, __, rest: rest),
        ("stride counted from inside the input", lambda step, low, _: low % step),
    ],
)
def test_names_where_the_stride_is_counted_from(engine, words, distance):
    """Windows are a stride apart, and begin at another place."""
    found = diagnose(engine(shifted_table(distance), maps=(Map.FORWARD,)), PLAIN)
    assert (found.words, found.known) == (words, True)


BORDERS = {
    "the edge value": "edge",
    "a reflection": "reflect",
    "a reflection that repeats the edge": "symmetric",
    "the opposite end (circular)": "wrap",
}


@pytest.mark.parametrize("border", BORDERS)
def test_names_what_the_padding_holds(engine, border):
    """The input is padded with other values than zeros."""

    def apply(which, problem, operands):
        ends = ((0, 0), (0, 0), *problem.padding)
        x = np.pad(operands.a, ends, mode=BORDERS[border])
        padded = problem.replace(size=x.shape[2:], padding=((0, 0),) * problem.ndim, same=False)
        return contract(which, padded, x, *operands[1:]).astype(x.dtype)

    found = diagnose(engine(apply, maps=(Map.FORWARD,)), PLAIN)
    assert found.words == f"padding holds {border} instead of zeros"


def test_names_padding_that_holds_the_edge_value_at_one_end(engine):
    """Positions are kept from falling below the first, and may rise above the last."""

    def apply(which, problem, operands):
        low, high = (tuple(pad[end] for pad in problem.padding) for end in (0, 1))
        x = np.pad(operands.a, ((0, 0), (0, 0), *((end, 0) for end in low)), mode="edge")
        padded = problem.replace(size=x.shape[2:], padding=tuple((0, end) for end in high), same=False)
        return contract(which, padded, x, *operands[1:]).astype(x.dtype)

    found = diagnose(engine(apply, maps=(Map.FORWARD,)), PLAIN)
    assert found.words == "padding holds the edge value at the low end instead of zeros"


def test_names_same_that_pads_the_wrong_end(engine):
    """The odd element of 'same' stands at the low end."""

    def change(p):
        return p.replace(padding=tuple(pad[::-1] for pad in p.padding), same=False) if p.same else p

    found = diagnose(engine(misread(change)), PLAIN)
    assert found.words == "'same' padding puts the odd element at the wrong end"
    assert found.details == ()


def test_names_same_that_knows_only_the_high_end(engine):
    """The odd element of 'same' stands at the high end, also where the low one is asked for."""
    found = diagnose(engine(misread(lambda p: p.replace(lower=False))), PLAIN)
    assert found.words == "'same' padding always puts the odd element at the high end"


def test_names_same_that_forgets_the_stride(engine):
    """Padding as without a stride would have it."""

    def change(p):
        pads = tuple(map(same_padding, p.size, p.reach))
        return p.replace(padding=pads, same=False) if p.same and not p.lower else p

    found = diagnose(engine(misread(change), without=["same-lower"]), PLAIN)
    assert found.words == "'same' padding ignores the stride"


def test_names_same_that_forgets_the_dilation(engine):
    """Padding as an undilated kernel would have it."""

    def change(p):
        pads = tuple(((k - 1) // 2, k // 2) for k in p.kernel)
        return p.replace(padding=pads, same=False) if p.same else p

    assert diagnose(engine(misread(change)), PLAIN).words == "'same' padding ignores the dilation"


@pytest.mark.parametrize(
    "line", ["f32 n1 g1 c1 o1 i3 k2 s2 p0 d1", "f32 n1 g1 c1 o1 i2x3x2 k1x2x1 s1x1x2 p0x0x0 d1x1x1"]
)
def test_speaks_of_other_numbers_of_axes(engine, line):
    """One axis and three are diagnosed like two."""
    found = diagnose(engine(as_asked(SIZED["stride ignored"])), Problem.parse(line))
    assert found.words == "stride ignored"


def test_names_two_mistakes_at_once(engine):
    """Stride and dilation are both ignored."""

    def change(p):
        return SIZED["stride ignored"](SIZED["dilation ignored"](p))

    found = diagnose(engine(as_asked(change)), PLAIN)
    assert found.words == "stride ignored, and dilation ignored"


def test_says_when_a_mistake_shows(engine):
    """The condition is read off the problems that were tried."""

    def change(p):
        return SIZED["dilation ignored"](p) if max(p.stride) > 1 else p

    found = diagnose(engine(as_asked(change)), PLAIN)
    assert found.words == "dilation ignored"
    (detail,) = found.details
    assert detail.startswith("on the problems tried, it fails whenever stride > 1 and dilation > 1")


def test_takes_operands_without_bias_for_gradients(engine):
    """A problem with a bias is diagnosed for gradients, too."""
    found = diagnose(engine(as_asked(SIZED["stride ignored"])), PLAIN.replace(bias=True), Map.GRAD_INPUT)
    assert found.words == "grad_input: stride ignored"


def transposed(engine, apply):
    one = engine(apply, maps=(Map.GRAD_INPUT,))
    return one.replace(capabilities=replace(one.capabilities, primary=Map.GRAD_INPUT))


@pytest.mark.parametrize("words", ["stride ignored", "dilation ignored"])
def test_names_what_a_transposed_convolution_ignores_by_the_size_that_it_makes(engine, words):
    def made(which, problem, operands):
        wrong = SIZED[words](problem)
        axes = zip(problem.output, wrong.stride, wrong.padding, wrong.reach, problem.leftover, strict=True)
        size = tuple((o - 1) * s - sum(p) + r + rest for o, s, p, r, rest in axes)
        return contract(which, wrong.replace(size=size), *operands).astype(DTYPES[problem.dtype].numpy)

    assert diagnose(transposed(engine, made), PLAIN, Map.GRAD_INPUT).words == words


def test_names_output_padding_that_is_ignored(engine):
    def made(which, problem, operands):
        ends = tuple(s - rest for s, rest in zip(problem.size, problem.leftover, strict=True))
        return contract(which, problem.replace(size=ends), *operands).astype(DTYPES[problem.dtype].numpy)

    assert diagnose(transposed(engine, made), PLAIN, Map.GRAD_INPUT).words == "output padding ignored"
