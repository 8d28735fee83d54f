"""Every law kills a planted faulty engine, passes a correct one, and states its equation."""

from __future__ import annotations

import inspect
import re
import threading
from itertools import count, islice
from math import prod

import numpy as np
import pytest
import scipy.fft

from convcheck.bounds import Numerics
from convcheck.claim import Claim
from convcheck.dtypes import DTYPES
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.engines.modes import Mode
from convcheck.engines.wrap import wrap
from convcheck.examine import examine
from convcheck.laws import (
    BY_NAME,
    LAWS,
    algebra,
    contract,
    definition,
    geometry,
    gradients,
    history,
    locality,
    modes,
    symmetry,
    training,
)
from convcheck.laws.arrangement import small_limit, stuff
from convcheck.laws.law import Law
from convcheck.operands import Operands
from convcheck.plan import Profile, cases_of, slices
from convcheck.problem import Map, Problem
from convcheck.reference import maps
from convcheck.run import verify
from convcheck.selftest.derivatives import by_maps
from convcheck.space.table import INTEGERS

CHAPTERS = (definition, geometry, symmetry, algebra, locality, gradients, training, contract, history, modes)
DTYPES_HERE = ("f32", "f64", "f16", "bf16", "i32")
OFFERED = Capabilities((1, 2, 3), DTYPES_HERE, frozenset(FEATURES), tuple(Map), work_limit=2_000)
FEW = Profile("few", pairs=False, triples=False, random=40, certifying=40, search=0)


def checked(which, problem, operands):
    """The problem, unless it is none, or the operands are not its own."""
    problem = Problem(**{name: getattr(problem, name) for name in Problem.__dataclass_fields__})
    roles = (*which.roles, "bias")
    shapes = {role: o.shape for role, o in zip(roles, operands, strict=True) if o is not None}
    if not problem.is_valid or any(shape != problem.shapes[role] for role, shape in shapes.items()):
        raise ValueError(f"{shapes} are no operands of {problem}")
    return problem


def right(which, problem, operands):
    """The convolution as it should be: sums in float64, or integers, rounded once; refuses what is none."""
    problem = checked(which, problem, operands)
    dtype = DTYPES[problem.dtype]
    number = np.int64 if dtype.kind == "i" else np.float64
    with np.errstate(all="ignore"):
        return maps.contract(which, problem, *operands, number=number).astype(dtype.numpy)


def circular(apply):
    """How a layer pads whose convolution is this function."""

    def call(which, problem, operands):
        x = np.pad(operands.a, ((0, 0), (0, 0), *problem.padding), "wrap")
        bare = problem.replace(size=x.shape[2:], padding=((0, 0),) * problem.ndim, same=False)
        return apply(which, bare, operands._replace(a=x))

    return call


def modes_of(law, apply):
    """The mode that a law speaks of, in which a function is called; the plain call is right."""
    if law.modes == "opcheck":
        return {"opcheck": (Mode("planted", lambda *given: np.array([apply(*given) is not None])),)}
    return {law.modes: (Mode("circular", circular(apply) if law.modes == "padding" else apply),)}


# -- ways of being wrong ---------------------------------------------------------------------------------------


def result(change):
    """A mistake in the result: ``change(problem, operands, y)``."""
    return lambda which, problem, operands: change(problem, operands, right(which, problem, operands))


def weight(change):
    """A mistake in how the weight is read, where there is one: ``change(problem, w)``."""

    def apply(which, problem, operands):
        b = operands.b if which is Map.GRAD_WEIGHT else change(problem, operands.b.copy())
        return right(which, problem, operands._replace(b=b))

    return apply


def first(change):
    """A mistake in how the first operand is read: ``change(problem, a)``."""
    return lambda which, problem, operands: right(
        which, problem, operands._replace(a=change(problem, operands.a.copy()))
    )


def reversed_axes(array):
    return np.flip(array, tuple(range(2, array.ndim)))


def last_tap_dropped(_, w):
    w[(..., *(-1,) * (w.ndim - 2))] = 0
    return w


def first_tap_dropped(_, w):
    w[(..., *(0,) * (w.ndim - 2))] = 0
    return w


def last_column_zero(_, __, y):
    y[..., -1] = 0
    return y


def odd_columns_negated(_, __, y):
    y[..., 1::2] = -y[..., 1::2]
    return y


def rounded_to_bfloat16(array):
    number = DTYPES["bf16"].numpy
    return array if array.dtype.kind in "iu" else array.astype(number).astype(array.dtype)


def narrow_sums(which, problem, operands):
    """Positive and negative terms are added up apart, and stored as bfloat16 before they meet."""
    with np.errstate(all="ignore"):
        total = maps.contract(which, problem, *operands[:2])
        size = maps.contract(which, problem, *(np.abs(o.astype(np.float64)) for o in operands[:2]))
        parts = [rounded_to_bfloat16(part) for part in ((size + total) / 2, (size - total) / 2)]
        bias = 0 if operands.bias is None else operands.bias.astype(np.float64).reshape(-1, *(1,) * problem.ndim)
        return (parts[0] - parts[1] + bias).astype(DTYPES[problem.dtype].numpy)


def padded_by_the_edge(which, problem, operands):
    if which is not Map.FORWARD or not any(map(any, problem.padding)):
        return right(which, problem, operands)
    x = np.pad(operands.a, ((0, 0), (0, 0), *problem.padding), mode="edge")
    bare = problem.replace(size=x.shape[2:], padding=((0, 0),) * problem.ndim, same=False)
    return right(which, bare, operands._replace(a=x))


def strided_from_the_last(which, problem, operands):
    """Every s-th position, counted so that the last is one of them."""
    if which is not Map.FORWARD or max(problem.stride) == 1:
        return right(which, problem, operands)
    dense = right(which, problem.replace(stride=(1,) * problem.ndim), operands)
    return reversed_axes(reversed_axes(dense)[(..., *(slice(None, None, s) for s in problem.stride))])


def channels_interleaved(problem, x):
    shuffled = x.reshape(x.shape[0], problem.groups, -1, *x.shape[2:]).swapaxes(1, 2)
    return shuffled.reshape(x.shape)


def last_channel_dropped(problem, w):
    if w.shape[1] > 1:
        w[:, -1] = 0
    return w


def first_filter_for_all(_, w):
    w[1:] = w[:1]
    return w


def first_image_for_all(_, __, y):
    y[1:] = y[:1]
    return y


def first_image_lost(_, a):
    a[:1] = 0
    return a


def bias_twice(problem, operands, y):
    return y if operands.bias is None else y + operands.bias.reshape(-1, *(1,) * problem.ndim)


def bias_lost(which, problem, operands):
    return right(which, problem, operands._replace(bias=None))


def pointwise_in_reverse(problem, w):
    return w[:, ::-1] * np.array(1 + (w.shape[1] == 1), w.dtype) if set(problem.kernel) == {1} else w


def full_kernel_one_short(problem, w):
    return last_tap_dropped(problem, w) if problem.kernel == problem.size else w


def flipped_on_one_axis(problem, w):
    return reversed_axes(w) if problem.ndim == 1 else w


def dilated_kernel_flipped(problem, w):
    return reversed_axes(w) if max(problem.dilation) > 1 else w


def last_axis_one_short(_, w):
    w[..., 1:] = 0
    return w


def only_one_size_wrong(problem, operands, y):
    return y + 1 if max(problem.size) == 8 and max(problem.kernel) == 4 else y


def rolled(_, __, y):
    return np.roll(y, 1, axis=-1) if y.shape[-1] > 1 else y + 1


def rectified(_, __, y):
    return np.maximum(y, 0)


def magnitudes(_, w):
    return np.abs(w)


def one_more(_, __, y):
    return y + 1


def quantised(_, a):
    return a if a.dtype.kind in "iu" else np.rint(a)


def rounded_down(_, __, y):
    return np.floor(y) - 1


def seeing_everything(problem, operands, y):
    with np.errstate(all="ignore"):
        return y + (operands.a.astype(np.float64).sum() * 0).astype(y.dtype)


def nan_as_zero(_, a):
    return np.nan_to_num(a, nan=0.0, posinf=np.inf, neginf=-np.inf)


def infinity_as_largest(_, a):
    if a.dtype.kind in "iu":
        return a
    largest = DTYPES["bf16"].largest if a.dtype.kind == "V" else np.finfo(a.dtype).max
    return np.clip(a.astype(np.float64), -largest, largest).astype(a.dtype)


def float64_always(_, __, y):
    return y.astype(np.float64) if y.dtype != np.float64 else y.astype(np.float32)


def input_scratched(problem, operands, y):
    operands.a[...] = 0
    return y


def one_buffer_a_shape():
    buffers = {}

    def apply(which, problem, operands):
        y = right(which, problem, operands)
        buffer = buffers.setdefault((y.shape, y.dtype), np.empty_like(y))
        buffer[...] = y
        return buffer

    return apply


def memo_that_hands_itself_out():
    found = {}

    def apply(which, problem, operands):
        key = (which, str(problem), *(None if o is None else o.tobytes() for o in operands))
        if key not in found:
            found[key] = right(which, problem, operands)
        return found[key]

    return apply


def every_third_call_wrong():
    calls = count()
    return result(lambda _, __, y: y + (next(calls) % 3 == 0) * np.ones(1, y.dtype))


def weight_cached_by_address():
    cache = {}

    def apply(which, problem, operands):
        key = (operands.b.ctypes.data, operands.b.shape, operands.b.dtype)
        return right(which, problem, operands._replace(b=cache.setdefault(key, operands.b.copy())))

    return apply


def only_on_the_main_thread(_, __, y):
    return y if threading.current_thread() is threading.main_thread() else y + 1


def strides_ignored(which, problem, operands):
    """Memory is read as if it were contiguous."""
    return right(which, problem, Operands(*(o if o is None else o.ravel("K").reshape(o.shape) for o in operands)))


def never_refusing(which, problem, operands):
    try:
        return right(which, problem, operands)
    except (ValueError, TypeError):
        return np.ones((1, 1, 1), np.float32)


def flat_when_empty(problem, _, y):
    return y if problem.batch else y.ravel()


def expanded_taken_for_ones(which, problem, operands):
    number = not any(operands.a.strides) and operands.a.size > 1
    return right(which, problem, operands._replace(a=np.ones_like(operands.a)) if number else operands)


def seeding(_, __, y):
    np.random.seed(0)  # noqa: NPY002
    return y


def exiting(*_):
    raise SystemExit(1)


#: a fault that each law kills; those with a memory are made anew for every test
FAULTS = {
    "padding-modes": result(one_more),
    "state-dict-round-trips": result(lambda _, __, y: -y),
    "output-size": result(lambda _, __, y: y[..., :-1]),
    "definition": weight(last_tap_dropped),
    "accuracy": first(lambda _, a: rounded_to_bfloat16(a)),
    "accumulator": narrow_sums,
    "agrees-with-scipy": weight(lambda _, w: reversed_axes(w)),
    "agrees-with-torch": bias_lost,
    "impulse-response": result(rolled),
    "small-scope": result(only_one_size_wrong),
    "stride-subsamples": strided_from_the_last,
    "dilation-zero-stuffs": weight(dilated_kernel_flipped),
    "padding-is-explicit": padded_by_the_edge,
    "groups-split": first(channels_interleaved),
    "channels-sum": weight(last_channel_dropped),
    "filters-stack": weight(first_filter_for_all),
    "batch-stacks": result(first_image_for_all),
    "bias-adds": result(bias_twice),
    "pointwise-is-matmul": weight(pointwise_in_reverse),
    "full-kernel-is-dense": weight(full_kernel_one_short),
    "rank-embeds": weight(flipped_on_one_axis),
    "flip-relates": weight(lambda _, w: reversed_axes(w)),
    "mirrors": result(last_column_zero),
    "axes-permute": weight(last_axis_one_short),
    "translation-equivariant": result(odd_columns_negated),
    "channels-permute": weight(last_channel_dropped),
    "filters-permute": weight(first_filter_for_all),
    "batch-permutes": first(first_image_lost),
    "additive-in-input": result(rectified),
    "additive-in-weight": weight(magnitudes),
    "homogeneous": result(one_more),
    "power-of-two-scales": first(quantised),
    "negates": result(rounded_down),
    "shift-kernel": weight(first_tap_dropped),
    "commutes": weight(last_tap_dropped),
    "associates": weight(last_tap_dropped),
    "mass": result(last_column_zero),
    "convolution-theorem": weight(last_tap_dropped),
    "weights-shared": result(odd_columns_negated),
    "local": result(seeing_everything),
    "nan-propagates": first(nan_as_zero),
    "inf-propagates": first(infinity_as_largest),
    "adjoint": result(one_more),
    "bias-gradient": result(last_column_zero),
    "gradients-together": every_third_call_wrong,
    "gradients-touch-nothing": result(input_scratched),
    "batch-gradients": first(first_image_lost),
    "zero-upstream": result(one_more),
    "expanded-upstream": expanded_taken_for_ones,
    "double-backward": result(rolled),
    "gradients-accumulate": result(one_more),
    "learns-kernel": result(rolled),
    "shape-dtype-kept": result(float64_always),
    "inputs-untouched": result(input_scratched),
    "output-owned": one_buffer_a_shape,
    "leaves-no-trace": result(seeding),
    "deterministic": every_third_call_wrong,
    "stateless": weight_cached_by_address,
    "revisits": memo_that_hands_itself_out,
    "threads-agree": result(only_on_the_main_thread),
    "layout-free": strides_ignored,
    "rejects-invalid": never_refusing,
    "survives": exiting,
    "empty-batch": result(flat_when_empty),
    "modes-agree": result(one_more),
    "layer-calls-agree": bias_lost,
    "thread-count-free": result(last_column_zero),
    "autocast-agrees": result(lambda _, __, y: -y),
    "meta-agrees": result(lambda _, __, y: y[..., :-1]),
    "fake-agrees": result(lambda _, __, y: np.asfortranarray(y)),
    "compiled-agrees": bias_lost,
    "opcheck": exiting,
}
WITH_MEMORY = (
    one_buffer_a_shape,
    every_third_call_wrong,
    memo_that_hands_itself_out,
    weight_cached_by_address,
)


def fault_of(name):
    fault = FAULTS[name]
    return fault() if fault in WITH_MEMORY else fault


def outcomes(apply, law, which, offered=OFFERED, numerics=None):
    derivatives = by_maps(apply) if offered.maps == tuple(Map) else None
    engine = Engine("planted", offered, apply, derivatives)
    if law.modes:
        engine = engine.replace(apply=right, modes=modes_of(law, apply))
    engine = engine if numerics is None else engine.replace(numerics=numerics)
    parts = [part for part in slices(engine, (law,), FEW) if part.map is which]
    for part in parts:
        for case in cases_of(engine, part, FEW, seed=0):
            yield examine(engine, case)


def skip_without(law):
    if law.requires:
        pytest.importorskip(law.requires)


def _maps(law):
    return law.maps_of(OFFERED)


PAIRS = [pytest.param(law, which, id=f"{law.name}-{which}") for law in LAWS for which in _maps(law)]
laws = pytest.mark.parametrize("law", LAWS, ids=lambda law: law.name)


@laws
def test_every_law_kills_its_planted_fault(law):
    skip_without(law)
    found = (o for which in _maps(law) for o in outcomes(fault_of(law.name), law, which))
    assert any(outcome.verdict is not None and not outcome.verdict.ok for outcome in found)


@pytest.mark.parametrize(("law", "which"), PAIRS)
def test_every_law_holds_for_a_correct_engine_and_judges_it(law, which):
    skip_without(law)
    found = list(islice(outcomes(right, law, which), 25))
    failures = [str(o.case) for o in found if o.verdict is not None and not o.verdict.ok]
    nontrivial = [o for o in found if o.verdict is not None and o.verdict.weight]
    assert (failures, len(nontrivial) >= len(found) / 3 > 0) == ([], True)


@pytest.mark.parametrize("ndim", [1, 2])
@laws
def test_every_law_holds_for_a_bare_correct_engine_or_has_nothing_to_say(law, ndim):
    skip_without(law)
    bare = Capabilities((ndim,), ("f32",), work_limit=500)
    found = list(islice(outcomes(right, law, Map.FORWARD, bare), 20))
    failed = [str(o.case) for o in found if o.verdict is not None and not o.verdict.ok]
    skipped = {o.skipped.partition(":")[0] for o in found if o.verdict is None}
    allowed = {
        f"planted does not take {ndim + 1} spatial axes",
        "too large to certify",
        "too large for SciPy, which knows neither stride nor dilation",
    }
    assert (failed, skipped - allowed) == ([], set())


def by_fft(which, problem, operands):
    """Forward by products of spectra in the operands' precision: the error is small against norms only."""
    problem = checked(which, problem, operands)
    groups, inside = problem.groups, problem.channels_per_group
    number = np.float64 if problem.dtype == "f64" else np.float32
    x = np.pad(operands.a.astype(number), ((0, 0), (0, 0), *problem.padding))
    w = stuff(operands.b, problem.dilation).astype(number)
    sizes, axes = x.shape[2:], tuple(range(2, x.ndim))
    fx, fw = (scipy.fft.rfftn(array, sizes, axes) for array in (x, w))
    spectrum = fx.shape[2:]
    fx = fx.reshape(problem.batch, groups, inside, prod(spectrum)).transpose(1, 3, 0, 2)
    fw = fw.reshape(groups, problem.filters_per_group, inside, -1).conj().transpose(0, 3, 2, 1)
    fy = np.matmul(fx, fw).transpose(2, 0, 3, 1).reshape(problem.batch, problem.filters, *spectrum)
    y = scipy.fft.irfftn(fy, sizes, axes)
    lengths = [s - r + 1 for s, r in zip(sizes, problem.reach, strict=True)]
    y = y[(..., *(slice(0, length, s) for length, s in zip(lengths, problem.stride, strict=True)))]
    if operands.bias is not None:
        y = y + operands.bias.astype(number).reshape(-1, *(1,) * problem.ndim)
    return np.ascontiguousarray(y.astype(DTYPES[problem.dtype].numpy))


@pytest.mark.parametrize("law", [law for law in LAWS if not (law.direct or law.derived)], ids=lambda law: law.name)
def test_every_law_that_is_not_about_direct_sums_holds_for_an_fft_that_says_so(law):
    skip_without(law)
    floats = Capabilities((1, 2, 3), ("f32", "f64"), frozenset(FEATURES), work_limit=2_000)
    found = list(islice(outcomes(by_fft, law, Map.FORWARD, floats, Numerics(normwise=True)), 20))
    failures = [(str(o.case), o.verdict.reason) for o in found if o.verdict is not None and not o.verdict.ok]
    assert (failures, len(found) > 0) == ([], True)


def test_an_fft_that_does_not_say_so_is_found_out():
    found = outcomes(by_fft, BY_NAME["definition"], Map.FORWARD)
    assert any(o.verdict is not None and not o.verdict.ok for o in found)


def test_every_public_law_is_in_the_book_and_in_the_table_of_faults():
    public = {
        name.replace("_", "-")
        for chapter in CHAPTERS
        for name, found in vars(chapter).items()
        if inspect.isfunction(found) and found.__module__ == chapter.__name__ and not name.startswith("_")
    }
    assert public == set(BY_NAME) == set(FAULTS)


def test_no_law_is_in_the_book_twice():
    assert len({law.name for law in LAWS}) == len(LAWS)


def test_the_book_lists_the_laws_chapter_by_chapter():
    assert [law for chapter in CHAPTERS for law in chapter.LAWS] == list(LAWS)


@laws
def test_every_law_states_its_equation_in_one_line(law):
    assert (len(law.equation) > 20, law.equation[-1], law.text.startswith(law.equation)) == (True, ".", True)


@laws
def test_every_law_belongs_to_the_chapter_of_its_module(law):
    module = law.check.__module__.rpartition(".")[2]
    assert {"history": "contract", "training": "gradients"}.get(module, module) == law.chapter.lower()


@laws
def test_every_law_is_named_as_a_person_would_say_it(law):
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", law.name)


def test_a_law_is_called_by_its_function_and_told_by_its_docstring():
    def two_is_two(*_):
        """2 = 2.

        As everybody knows.
        """

    law = Law(two_is_two, "Arithmetic")
    assert (law.name, law.equation, law.text) == ("two-is-two", "2 = 2.", "2 = 2.\n\nAs everybody knows.")


def test_a_law_without_a_docstring_has_no_equation():
    law = Law(lambda *_: Claim(np.ones(1), np.ones(1)), "Arithmetic")
    assert (law.equation, law.text) == ("", "")


def test_a_target_that_takes_no_empty_batch_at_all_is_not_judged_on_it():
    def refusing(which, problem, operands):
        if not problem.batch:
            raise ValueError("no image")
        return right(which, problem, operands)

    found = list(outcomes(refusing, BY_NAME["empty-batch"], Map.FORWARD))
    assert found
    assert all("no image" in outcome.skipped for outcome in found)


def test_a_compensated_sum_may_make_a_nan_of_an_infinity():
    def compensated(which, problem, operands):
        y = right(which, problem, operands)
        return np.where(np.isinf(y.astype(np.float64)), np.array(np.nan, y.dtype), y)

    found = list(outcomes(compensated, BY_NAME["inf-propagates"], Map.FORWARD))
    assert found
    assert all(outcome.verdict.ok for outcome in found)


@pytest.mark.parametrize(
    ("line", "limit"), [("i8 i14 k14", 3), ("i8 i15 k15", 1), ("i8 i128 k128", 0), ("f32 i9 k9", 3)]
)
def test_small_operands_are_so_small_that_no_sum_overflows(line, limit):
    assert small_limit(Problem.parse(line)) == limit


def test_a_target_that_raises_where_integers_overflow_is_never_asked_for_what_does():
    def checked(X, K):
        sums = [sum(int(a) * int(b) for a, b in zip(X[i:], K, strict=False)) for i in range(len(X) - len(K) + 1)]
        return np.array(sums, X.dtype)  # which raises where one does not fit

    report = verify(wrap(checked, ndim=1, dtypes=INTEGERS), exclude_laws=("rejects-invalid",), profile="gate")
    assert [(v.law, v.reason) for v in report.violations] == []
