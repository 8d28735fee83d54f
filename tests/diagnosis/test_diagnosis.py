"""Engines that are right, that are wrong in no known way, and that do their worst to the one who asks."""

from __future__ import annotations

import numpy as np
import pytest

from convcheck.diagnosis import Diagnosis, diagnose
from convcheck.dtypes import DTYPES
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract

PLAIN = Problem.parse("f32 n1 g1 c1 o1 i3 k2 s1 p0 d1")


def right(which, problem, operands):
    return contract(which, problem, *operands).astype(DTYPES[problem.dtype].numpy)


@pytest.mark.parametrize("which", Map)
@pytest.mark.parametrize(
    "line",
    [
        "f32 n1 g1 c1 o1 i3 k2 s1 p0 d1",
        "bf16 n2 g2 c4 o2 i5x6 k2x3 s2x1 p1:0x2 d1x2 bias",
        "f64 n1 g1 c1 o1 i3x3 k2x2 s1x1 psame:0:1x0:1 d1x1",
        "i8 n1 g1 c1 o1 i3x2x2 k2x2x1 s1x1x1 p0x0x0 d1x1x1",
        "u8 n1 g1 c1 o1 i4 k2 s1 p0 d1",
        "f16 n0 g1 c1 o1 i4 k2 s1 p0 d1",
        "f32 n1 g1 c1 o1 i0x3 k1x1 s1x1 p0x0 d1x1",
        "f32 n1 g1 c1 o1 i2 k3 s1 p0 d1",
    ],
)
def test_finds_no_difference_in_what_is_right(engine, line, which):
    """Empty batches, empty axes, and kernels that do not fit are among the problems."""
    prefix = "" if which is Map.FORWARD else f"{which}: "
    found = diagnose(engine(right), Problem.parse(line), which)
    assert found == Diagnosis(f"{prefix}no difference found", known=True)


def test_is_content_with_little(engine):
    """An engine that takes single-channel images and nothing else."""
    bare = engine(right, ndims=(2,), dtypes=("f32",), maps=(Map.FORWARD,)).replace(name="bare")
    poor = bare.replace(capabilities=type(bare.capabilities)((2,), ("f32",)))
    found = diagnose(poor, Problem.parse("f32 n1 g1 c1 o1 i3x3 k2x2 s1x1 p0x0 d1x1"))
    assert found.words == "no difference found"


def raising(which, problem, operands):
    raise ValueError("out of luck")


def sometimes_raising(which, problem, operands):
    if problem.groups > 1:
        raise ValueError("out of luck")
    return right(which, problem, operands)


def raising_and_wrong(which, problem, operands):
    if problem.size == (3,):
        raise ValueError("out of luck")
    return right(which, problem, operands._replace(b=operands.b[..., ::-1]))


def misshapen(which, problem, operands):
    return np.zeros((problem.batch, 7, 7), np.float32)


def not_a_number(which, problem, operands):
    y = right(which, problem, operands)
    y[..., -1] = np.nan
    return y


def nothing(which, problem, operands):
    return None


def text(which, problem, operands):
    return np.array(["no", "number"])


def quadratic(which, problem, operands):
    y = right(which, problem, operands)
    return y + 3 * y * y * (np.abs(y) > 1)


def refusing(which, problem, operands):
    raise NotImplementedError


@pytest.mark.parametrize(
    ("apply", "words", "known"),
    [
        (raising, "raises ValueError: out of luck on f32 n1 g1 c1 o1 i3 k2 s1 p0 d1", True),
        (sometimes_raising, "raises ValueError: out of luck on f32 n1 g3 c3 o3 i6 k2 s2 p0 d1", True),
        (raising_and_wrong, "raises ValueError: out of luck on f32 n1 g1 c1 o1 i3 k2 s1 p0 d1", True),
        (misshapen, "no known mistake explains it", False),
        (not_a_number, "no known mistake explains it", False),
        (quadratic, "no known mistake explains it", False),
        (refusing, "does not take f32 n1 g1 c1 o1 i3 k2 s1 p0 d1", False),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_answers_in_a_sentence_whatever_happens(engine, apply, words, known):
    """Nothing that a target does makes the diagnosis raise."""
    found = diagnose(engine(apply), PLAIN)
    assert (found.words, found.known) == (words, known)


def complex_numbers(which, problem, operands):
    return right(which, problem, operands) * 1j


@pytest.mark.parametrize(("apply", "kind"), [(nothing, "NoneType"), (text, "one of <U6")])
def test_says_that_what_comes_back_is_no_array(engine, apply, kind):
    """None and strings are no result."""
    found = diagnose(engine(apply), PLAIN)
    assert found.words == f"returns no array of real numbers, but {kind}, on {PLAIN}"


def test_says_that_complex_numbers_come_back_of_real_ones(engine):
    words = diagnose(engine(complex_numbers), PLAIN).words
    assert words == f"raises TypeError: returned complex numbers (complex64) of f32 operands on {PLAIN}"


def test_goes_on_where_a_target_does_not_raise(engine):
    """What is wrong elsewhere is said in the details."""
    found = diagnose(engine(raising_and_wrong), PLAIN)
    assert found.details[0] == (
        "where it does not raise: computes convolution, not cross-correlation: kernel flipped"
        " (right with convention convolution)"
    )


def test_says_what_is_not_offered(engine):
    """Maps, dtypes and numbers of axes that the engine does not declare."""
    little = engine(right, ndims=(2,), maps=(Map.FORWARD,))
    assert diagnose(little, PLAIN).words == "does not take 1 spatial axes"
    assert diagnose(little, PLAIN, Map.GRAD_INPUT).words == "does not offer grad_input"


def test_lists_wrong_products(engine):
    """Where no mistake is known, single products are named by their indices."""

    def apply(which, problem, operands):
        y = right(which, problem, operands)
        if problem.size == (3,) and problem.kernel == (2,):
            y[0, 0, 1] += (operands.a[0, 0, 0] - 3 * operands.a[0, 0, 2]) * operands.b[0, 0, 1]
        return y

    found = diagnose(engine(apply, maps=(Map.FORWARD,)), PLAIN)
    assert (found.words, found.known) == ("no known mistake explains it", False)
    assert found.details[-2:] == (
        "y[0,0,1] takes x[0,0,0] w[0,0,1], which it should not",
        "y[0,0,1] takes x[0,0,2] w[0,0,1] times -2, not once",
    )
    assert "wrong only where the position along axis 0 is 1 (of 2)" in found.details


def test_lists_wrong_products_of_gradients(engine):
    """The gradients' arrays are called gy, gx and gw."""

    def apply(which, problem, operands):
        result = right(which, problem, operands)
        if problem.size == (3,) and problem.kernel == (2,) and which is Map.GRAD_INPUT:
            result[0, 0, 2] += 4 * operands.a[0, 0, 0] * operands.b[0, 0, 0]
        return result

    found = diagnose(engine(apply), PLAIN, Map.GRAD_INPUT)
    assert found.words == "grad_input: no known mistake explains it"
    assert found.details[-1] == "gx[0,0,2] takes gy[0,0,0] w[0,0,0] times 4, which it should not"


def test_says_that_an_operator_is_not_bilinear(engine):
    """One-hot operands give what they should; sums of them do not."""
    found = diagnose(engine(quadratic), PLAIN)
    assert found.details[-1] == "right for every pair of one-hot operands, so that it is not bilinear"


def test_says_what_is_odd_at_first_sight(engine):
    """Shapes, and elements that are no numbers."""
    shape = diagnose(engine(misshapen), PLAIN)
    assert "returns shape (1, 7, 7), not (1, 1, 2), on f32 n1 g1 c1 o1 i3 k2 s1 p0 d1" in shape.details
    elements = diagnose(engine(not_a_number), PLAIN)
    assert "1 of 2 elements are NaN or infinite on f32 n1 g1 c1 o1 i3 k2 s1 p0 d1" in elements.details


def test_speaks_of_other_causes_elsewhere(engine):
    """The problem that was asked about comes first."""

    def apply(which, problem, operands):
        y = right(which, problem, operands)
        if problem.groups > 1:
            y[..., 0] += np.arange(y[..., 0].size).reshape(y.shape[:-1]) ** 3 + 11
        return y if problem.groups > 1 else -y

    found = diagnose(engine(apply, ndims=(1,)), PLAIN)
    assert found.words == "result negated"
    assert found.details[0].endswith("wrong results on other problems have another cause")


def test_is_not_content_with_a_cause_on_one_problem(engine):
    """What explains one problem, and nothing else of many, is only a hint."""

    def apply(which, problem, operands):
        y = right(which, problem, operands)
        if problem == PLAIN:
            return -y
        return y + (np.arange(y.size).reshape(y.shape) ** 3 + 11).astype(y.dtype)

    found = diagnose(engine(apply, ndims=(1,), maps=(Map.FORWARD,), without=("batch",)), PLAIN)
    assert (found.words, found.known) == ("no known mistake explains it", False)


def test_says_that_a_target_changes_its_mind(engine):
    """It takes a problem once, and refuses it from then on."""
    calls = []

    def apply(which, problem, operands):
        calls.append(problem)
        if len(calls) > 100:
            raise NotImplementedError("no more")
        return right(which, problem, operands)

    found = diagnose(engine(apply), PLAIN)
    assert found.words == "takes a problem once, and not the next time: planted: no more"
    assert not found.known


def test_reads_a_large_problem_for_common_mistakes(engine):
    """Only images too large for every known mistake to be tried are wrong."""

    def apply(which, problem, operands):
        y = right(which, problem, operands)
        return -y if problem.size[-1] > 150 else y

    large = Problem.parse("f32 n1 g1 c1 o1 i100x200 k3x3 s1x1 p1x1 d1x1")
    found = diagnose(engine(apply, ndims=(2,)), large)
    assert found.words == "result negated"
    assert found.details[0].startswith("on the problems tried, it fails whenever ")


def test_describes_where_errors_lie(engine):
    """Every third filter is off by something."""

    def apply(which, problem, operands):
        y = right(which, problem, operands)
        y[:, ::3] += np.arange(y[:, ::3].size).reshape(y[:, ::3].shape) ** 2 + 5
        return y

    found = diagnose(engine(apply, ndims=(1,)), PLAIN.replace(filters=7))
    assert "wrong only where the filter is 0, 3, ... (of 7)" in found.details


def test_prints_a_sentence_a_line():
    """The words stand first."""
    assert str(Diagnosis("result negated", True, ("a detail",))) == "result negated\n  a detail"


# -- complex numbers -------------------------------------------------------------------------------------------

COMPLEX = Problem.parse("complex64 n1 g1 c1 o1 i5x6 k2x3 s1x1 p0x0 d1x1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda x, w: (x, w.conj()), "kernel conjugated"),
        (lambda x, w: (x.conj(), w), "input conjugated"),
        (lambda x, w: (x, w.real), "imaginary part of kernel ignored"),
        (lambda x, w: (x.conj(), w.conj()), "result conjugated"),
        (lambda x, w: (x, w[:, :, ::-1]), "kernel flipped along axis 0"),
    ],
)
def test_names_what_is_made_of_complex_numbers(engine, change, words):
    def apply(which, problem, operands):
        number = DTYPES[problem.dtype].numpy
        return contract(which, problem, *change(operands.a, operands.b), number=number)

    assert diagnose(engine(apply, maps=(Map.FORWARD,)), COMPLEX).words == words
