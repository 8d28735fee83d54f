"""Every planted fault is one: somewhere it differs from the right convolution, in a way that a caller can see."""

from __future__ import annotations

import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest

from convcheck.laws.invalid import invalid_calls
from convcheck.operands import Fill, Operands, make
from convcheck.problem import Map, Problem
from convcheck.selftest import FAULTS, KINDS
from convcheck.selftest.base import BASE
from convcheck.selftest.correct import layers
from convcheck.selftest.fault import EVERYTHING
from convcheck.space import Space, seeded
from convcheck.traces import touched

#: faults whose conditions random problems rarely meet
RARE = {
    "bare-elements-numbered-in-16-bits": "f32 n1 g1 c1 o1 i257x257 k1x1",
    "lowest-integer-clipped": "i8 i3x3 k1x1",
    "columns-from-512-on-zero": "f32 n1 g1 c1 o1 i600 k3",
    "last-column-wrong-for-width-above-1100": "f32 n1 g1 c1 o1 i1200 k2",
    "last-column-wrong-for-planes-above-5000": "f32 n1 g1 c1 o1 i80x80 k2x2",
    "last-column-wrong-for-groups-above-100": "f32 n1 g101 c101 o101 i3 k2",
    "last-column-wrong-for-channels-above-100": "f32 n1 g1 c101 o1 i3 k2",
    "last-column-wrong-for-sums-above-1000-terms": "f32 n1 g1 c64 o1 i9x9 k4x4",
    "last-column-wrong-for-64-channels-by-3-by-3": "f32 n1 g1 c64 o1 i5x5 k3x3",
    "last-column-wrong-for-kernel-7-by-7-stride-2-padding-3": "f32 n1 g1 c3 o1 i9x9 k7x7 s2x2 p3x3",
    "last-column-wrong-for-tiles-of-16-by-16-filled": "f32 n1 g1 c1 o1 i20x20 k2x2",
    "last-column-wrong-for-planes-of-three-axes-above-8": "f32 n1 g1 c1 o1 i10x10x10 k2x2x2",
    "last-column-wrong-for-strides-1-and-5": "f32 n1 g1 c1 o1 i5x9 k2x2 s1x5",
    "last-column-wrong-for-dilations-1-and-7": "f32 n1 g1 c1 o1 i5x9 k2x2 d1x7",
    "last-column-wrong-for-padding-above-4-on-one-axis": "f32 n1 g1 c1 o1 i5x5 k2x2 p0x5",
    "last-column-wrong-for-kernel-above-7-along-two-axes": "f32 n1 g1 c1 o1 i9x9 k8x8",
    "last-column-wrong-for-kernel-31": "f32 n1 g1 c1 o1 i33 k31",
    "last-column-wrong-for-fourteen-channels": "f32 n1 g1 c14 o1 i5 k2",
    "last-column-wrong-for-eleven-images": "f32 n11 g1 c1 o1 i5 k2",
    "last-column-wrong-for-strided-one-tap-on-a-plane": "f32 n1 g1 c1 o1 i24x24 k1x1 s2x2",
    "last-column-wrong-for-batch-above-8": "f32 n9 g1 c1 o1 i3 k2",
    "last-column-wrong-for-kernel-above-16": "f32 n1 g1 c1 o1 i20 k17",
    "last-column-wrong-for-dilation-above-3": "f32 n1 g1 c1 o1 i20 k2 d4",
    "last-column-wrong-for-width-17-stride-2": "f32 n1 g1 c1 o1 i17 k2 s2",
    "last-column-wrong-for-depthwise-3-by-3-stride-2": "f32 n1 g2 c2 o2 i7x7 k3x3 s2x2",
    "last-column-wrong-for-kernel-4-stride-4": "f32 n1 g1 c1 o1 i9x9 k4x4 s4x4",
    "last-column-wrong-for-whole-kernel-above-4": "f32 n1 g1 c1 o1 i5x6 k5x6",
    "last-column-wrong-for-twelve-channels": "f32 n1 g1 c12 o1 i5 k2",
    "last-column-wrong-for-whole-kernel-of-two-axes": "f32 n1 g1 c1 o1 i3x3 k3x3",
    "last-column-wrong-for-seven-channels-grouped": "f32 n1 g2 c14 o2 i5 k2",
    "channels-from-64-on-dropped": "f32 n1 g1 c65 o1 i5 k2",
    "result-is-the-input-for-identity": "f32 n1 g1 c1 o1 i4 k1",
    "sums-beyond-512-terms-dropped": "f32 n1 g1 c64 o1 i9x9 k4x4",
    "kernel-whose-first-tap-is-zero-skipped": "f32 n1 g1 c1 o1 i9 k5",
    "bias-whose-first-entry-is-zero-skipped": "f32 n1 g1 c1 o5 i9 k5 bias",
}


def modes_of_layer(engine):
    return tuple(mode for claim in ("padding", "state", "calls") for mode in engine.modes.get(claim, ()))


#: other ways to call a layer, as they should be
LAYER = {mode.name: mode for mode in modes_of_layer(layers.ENGINES[-1])}
#: values that some operand is given in one place
SPECIALS = (("a", np.nan), ("a", np.inf), ("a", -np.inf), ("b", np.nan), ("b", np.inf), ("bias", np.nan))
LAYOUTS = ("contiguous", "strided", "reversed", "transposed", "swapped", "fortran", "channels_last", "offset",
           "cropped", "broadcast", "readonly")  # fmt: skip


def test_there_are_enough():
    backward = sum(fault.kind == "gradient" for fault in FAULTS)
    assert len(FAULTS) - backward >= 150
    assert backward >= 50


def test_names_are_unique_and_those_of_the_engines():
    names = [fault.name for fault in FAULTS]
    assert [name for name, count in Counter(names).items() if count > 1] == []
    assert names == [fault.engine.name for fault in FAULTS]
    assert [name for name in names if not re.fullmatch(r"[a-z0-9.^]+(-[a-z0-9.^]+)*", name)] == []


def test_every_kind_is_planted():
    assert {fault.kind for fault in FAULTS} == set(KINDS)


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.kind == "gradient"], ids=lambda fault: fault.name)
def test_a_gradient_fault_is_right_forwards(fault):
    for seed in range(3):
        problem, operands = drawn(Map.FORWARD, seed, fault.engine.capabilities)
        got = fault.engine.apply(Map.FORWARD, problem, operands)
        assert got.tobytes() == BASE(Map.FORWARD, problem, operands).tobytes()


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_it_differs_from_the_right_convolution_or_leaves_a_trace(fault):
    which = which_is_wrong(fault)
    assert any(
        differs(fault.engine, which, *case) or leaves(fault.engine, which, *case) for case in cases(fault, which)
    )


def leaves(engine, which, problem, operands):
    return any(touched(lambda: suppressed(engine.apply, which, problem, operands)))


def suppressed(function, *arguments):
    with suppress(Exception):
        function(*arguments)


@pytest.mark.parametrize("fault", [f for f in FAULTS if f.index], ids=lambda fault: fault.name)
def test_an_index_fault_is_homogeneous_in_its_first_operand(fault):
    which = which_is_wrong(fault)
    for seed in range(5):
        problem, operands = drawn(which, seed, fault.engine.capabilities, dtypes=("f64",))
        try:
            results = [fault.engine.apply(which, problem, operands._replace(a=operands.a * f)) for f in (1.0, 2.0)]
        except (ValueError, RuntimeError):
            continue
        assert (results[0] * 2).tolist() == results[1].tolist()


def which_is_wrong(fault):
    if fault.kind != "gradient":
        return fault.engine.capabilities.primary
    return Map.GRAD_INPUT if fault.name.startswith("grad-x") else Map.GRAD_WEIGHT


def cases(fault, which):
    if fault.name in RARE:
        problem = Problem.parse(RARE[fault.name])
        for sign in (0, 1):
            kind = "sparse" if fault.name.endswith("zero-skipped") else "dense"
            kind = "extreme" if problem.dtype.endswith("8") else kind
            roles = (*which.roles, *((which.bias,) if problem.bias else ()))
            a, b, *bias = (make(problem, role, Fill(kind, 1, seed=sign)) for role in roles)
            yield problem, Operands(a, np.abs(b) if fault.kind == "memory" else b, *bias)
    for seed in range(1_500):
        yield drawn(which, seed, fault.engine.capabilities)


@cache
def _space(capabilities, which):
    law = SimpleNamespace(needs={}, work=3_000)
    return Space.of(capabilities, law, which)


def drawn(which, seed, capabilities=EVERYTHING, dtypes=()):
    """A problem and operands: dense integers, floats, special values and layouts in turn."""
    choose = seeded(seed)
    problem = _space(capabilities, which).build(choose)
    if dtypes:
        problem = problem.replace(dtype=dtypes[0], bias=False)
    kind = ("dense", "normal", "wide", "dense")[seed % 4]
    kind = "dense" if problem.dtype.startswith(("i", "u")) or dtypes else kind
    limit = {"i8": 11, "u8": 11, "i16": 100, "f16": 40, "bf16": 100, "i64": 2**33}.get(problem.dtype, 40_000)
    layouts = [choose.pick(LAYOUTS) if seed % 3 == 2 and not dtypes else "contiguous" for _ in range(3)]
    roles = (*which.roles, *((which.bias,) if problem.bias else ()))
    arrays = [make(problem, r, Fill(kind, limit, seed, layout=lay)) for r, lay in zip(roles, layouts, strict=False)]
    operands = Operands(*arrays)
    if seed % 3 == 1 and not dtypes:
        poison(operands, *SPECIALS[seed // 3 % len(SPECIALS)], first=seed % 2)
    return problem, operands


def poison(operands, role, value, *, first):
    array = getattr(operands, role)
    if array is not None and array.size and array.dtype.kind not in "iu":
        array[tuple(0 if first else s // 2 for s in array.shape)] = value


def right(engine, which, problem, operands):
    if engine.convention == "convolution":
        operands = operands._replace(b=np.flip(operands.b, tuple(range(2, operands.b.ndim))))
    return BASE(which, problem, operands)


def differs(engine, which, problem, operands):
    """Whether an engine shows that it is not right, on this problem, in any way that a caller can see."""
    try:
        return (
            wrong_value(engine, which, problem, operands)
            or wrong_in_a_mode(engine, which, problem, operands)
            or wrong_when_registered(engine, problem, operands)
            or wrong_layer(engine, problem, operands)
            or wrong_afterwards(engine, which, problem, operands)
            or (which is Map.FORWARD and accepts_invalid(engine, problem, operands))
            or wrong_for_no_image(engine, which, problem, operands)
            or wrong_in_threads(engine, which, problem, operands)
        )
    except Exception:  # noqa: BLE001 - a right engine takes a valid problem
        return True


def wrong_in_a_mode(engine, which, problem, operands):
    expected = right(engine, which, problem, operands)
    for mode in (mode for claim in ("values", "threads", "autocast") for mode in engine.modes.get(claim, ())):
        try:
            got = mode.call(which, problem, operands)
        except NotImplementedError:
            continue
        if not np.allclose(got.astype(float), expected.astype(float), rtol=0.02, atol=0.5):
            return True
    return False


def wrong_when_registered(engine, problem, operands):
    """What an operator says of its result, without values; the modes of real ones need torch's operators."""
    plain = BASE(Map.FORWARD, problem, operands)
    for claim in ("meta", "fake", "opcheck") if "opcheck" in engine.modes else ():
        got = engine.modes[claim][0].call(Map.FORWARD, problem, operands)
        if claim != "opcheck" and (got.shape, got.dtype) != (plain.shape, plain.dtype):
            return True
        if claim == "fake" and got.strides != plain.strides and max(plain.shape[2:]) > 1 < plain.shape[1]:
            return True
    return False


def same(left, right):
    return (left.shape, left.dtype) == (right.shape, right.dtype) and np.array_equal(
        left.astype(np.float64), right.astype(np.float64), equal_nan=True
    )


def wrong_value(engine, which, problem, operands):
    """The result, or what became of the operands and of the memory around them."""
    expected = right(engine, which, problem, operands)
    before = [None if a is None else (a.copy(), surroundings(a)) for a in operands]
    result = engine.apply(which, problem, operands)
    kept = [
        a is None or (same(a, was[0]) and surroundings(a) == was[1]) for a, was in zip(operands, before, strict=True)
    ]
    shared = any(np.shares_memory(result, array) for array in operands if array is not None)
    restore(operands, before)
    return shared or not all(kept) or not same(result, expected)


def wrong_layer(engine, problem, operands):
    """The result of one of the other ways to call a layer."""
    roomy = max(map(max, problem.padding)) < min(problem.size)
    modes = [mode for mode in modes_of_layer(engine) if roomy or mode.name in ("replicate", "reloaded", "called again")]
    given = Map.FORWARD, problem, operands
    return not all(same(mode.call(*given), LAYER[mode.name].call(*given)) for mode in modes)


def surroundings(array):
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array.tobytes()


def restore(operands, before):
    for array, was in zip(operands, before, strict=True):
        if array is not None and array.flags.writeable:
            array[...] = was[0]


def wrong_afterwards(engine, which, problem, operands):
    """Calls in between: of other operands, dtypes, parameters; the same memory with other contents; one that raises."""
    operands = finite(operands)
    first = engine.apply(which, problem, operands)
    kept = first.copy()
    for others, given in in_between(problem, operands, which):
        if engine.capabilities.admits(others):
            continue
        if not same(engine.apply(which, others, given), right(engine, which, others, given)) or not same(first, kept):
            return True
    for array in operands[:2]:
        array[...] = other(array)
    moved = engine.apply(which, problem, operands)
    raises(engine, which, problem, operands)
    last = engine.apply(which, problem, operands)
    expected = right(engine, which, problem, operands)
    if not (same(moved, expected) and same(last, expected)):
        return True
    if last.flags.writeable:
        last[...] = 1 - last
    return not same(engine.apply(which, problem, operands), expected)


def finite(operands):
    """Copies without special values."""
    return Operands(
        *(
            None if a is None else np.nan_to_num(a.astype(float), nan=1, posinf=1, neginf=1).astype(a.dtype)
            for a in operands
        )
    )


def in_between(problem, operands, which):
    for name in ("a", "b", "bias"):
        if getattr(operands, name) is not None:
            yield problem, operands._replace(**{name: other(getattr(operands, name))})
    yield from [(problem, operands)] * 4
    if problem.dtype in ("f32", "f64"):
        for dtype, name in ((np.float32, "f32"), (np.float64, "f64")):
            converted = Operands(*(None if a is None else a.astype(dtype) for a in operands))
            yield problem.replace(dtype=name), converted
    if which is Map.FORWARD:
        for name, more in (("stride", 1), ("dilation", 1), ("padding", (1, 1))):
            changed = problem.replace(**{name: plus(getattr(problem, name), more)}, same=False)
            if changed.is_valid:
                yield changed, operands


def plus(values, more):
    return tuple(tuple(map(sum, zip(v, more, strict=True))) if isinstance(v, tuple) else v + more for v in values)


def other(array):
    """Other values of the same magnitude."""
    return np.ascontiguousarray(np.roll(array.ravel()[::-1], 1).reshape(array.shape))


def raises(engine, which, problem, operands):
    try:
        engine.apply(which, problem, operands._replace(a=operands.a[:, :0]))
    except Exception:  # noqa: BLE001 - whatever it raises
        return True
    return False


def accepts_invalid(engine, problem, operands):
    for _, wrong, given in invalid_calls(Map.FORWARD, problem, operands, engine.capabilities.features):
        try:
            engine.apply(Map.FORWARD, wrong, given)
        except Exception:  # noqa: BLE001, S112 - whatever it raises, it refuses
            continue
        return True
    return False


def wrong_for_no_image(engine, which, problem, operands):
    if "batch" not in engine.capabilities.features:
        return False
    none = operands._replace(a=operands.a[:0], b=operands.b[:0] if which is Map.GRAD_WEIGHT else operands.b)
    return engine.apply(which, problem.replace(batch=0), none).shape != problem.replace(batch=0).shapes[which.result]


def wrong_in_threads(engine, which, problem, operands):
    if "threads" not in engine.name:
        return False
    both = [operands, operands._replace(b=other(operands.b))] * 3
    expected = [right(engine, which, problem, each) for each in both]
    with ThreadPoolExecutor(2) as pool:
        got = list(pool.map(lambda each: engine.apply(which, problem, each), both))
    return not all(map(same, got, expected))


@pytest.mark.parametrize("fault", [f for f in FAULTS if "refused" not in f.name], ids=lambda fault: fault.name)
def test_it_is_silently_wrong(fault):
    which = which_is_wrong(fault)
    for seed in range(0, 60, 3):
        problem, operands = drawn(which, seed, fault.engine.capabilities)
        result = fault.engine.apply(which, problem, operands)
        assert isinstance(result, np.ndarray)
