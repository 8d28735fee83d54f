"""The textbook's loops and the exact oracle agree with torch.nn.functional, on the CPU and on CUDA."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from convcheck import corr1d, corr2d, corr3d
from convcheck.bounds import Numerics, expect
from convcheck.claim import Claim, judge
from convcheck.problem import Map
from convcheck.strategies import operands, problems

torch = pytest.importorskip("torch")

unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=40)
LOOPS = {1: corr1d, 2: corr2d, 3: corr3d}
SMALL = {"size": ("tiny",), "kernel": ("small", "unit", "even", "odd", "mixed", "full")}
FEATURES = (
    "batch", "channels", "groups", "bias", "stride", "padding", "dilation", "unequal-stride", "unequal-padding",
    "unequal-dilation",
)  # fmt: skip

devices = pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
        ),
    ],
)


@pytest.fixture(autouse=True)
def in_full_precision():
    """Compute in the operands' own type: TF32, which CUDA would otherwise use, has 11 bits; on one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
    torch.set_num_threads(threads)


@st.composite
def bare(draw, recipe, dtypes):
    """Draw a plain problem and an input and a kernel of it, without batch and channels."""
    problem = draw(problems(dtypes=dtypes, features=(), needs=SMALL))
    drawn = draw(operands(problem, recipe=recipe))
    return problem, drawn


@st.composite
def layers(draw, recipe, dtypes):
    """Draw a problem with every parameter that torch takes, and operands of it."""
    problem = draw(problems(dtypes=dtypes, features=FEATURES, needs={"size": ("tiny",)}, work_limit=2_000))
    return problem, draw(operands(problem, recipe=recipe))


def by_torch(problem, operands, device):
    """Answer of torch.nn.functional.conv1d, conv2d or conv3d, as a NumPy array."""
    tensors = [None if o is None else torch.from_numpy(o).to(device) for o in operands]
    function = getattr(torch.nn.functional, f"conv{problem.ndim}d")
    result = function(
        *tensors,
        stride=problem.stride,
        padding=tuple(low for low, _ in problem.padding),
        dilation=problem.dilation,
        groups=problem.groups,
    )
    return result.cpu().numpy()


def by_loops(operands, device):
    x, k = (torch.from_numpy(o[0, 0]).to(device) for o in operands[:2])
    return LOOPS[x.ndim](x, k).cpu().numpy()[None, None]


def numerics_on(device):
    """On CUDA the library may choose Winograd or FFT, whose errors are small against norms only."""
    return Numerics(normwise=device == "cuda")


@devices
@unhurried
@given(drawn=bare("float", ("f64", "f32")))
def test_the_loops_agree_with_torch_within_the_rounding_errors_of_both(device, drawn):
    problem, both = drawn
    bound = np.asarray(expect(Map.FORWARD, problem, both, numerics_on(device)).bound)
    assert judge(Claim(by_torch(problem, both, device), by_loops(both, device), 2 * bound)).ok


@unhurried
@given(bare("exact", ("f64", "f32", "i64", "i32")))
def test_the_loops_equal_torch_on_exact_operands(drawn):
    problem, both = drawn
    assert by_torch(problem, both, "cpu").tolist() == by_loops(both, "cpu").tolist()


@devices
@unhurried
@given(drawn=bare("tiny", ("f64",)))
def test_the_loops_equal_torch_on_small_integers_once_these_are_rounded(device, drawn):
    problem, both = drawn
    assert np.rint(by_torch(problem, both, device)).tolist() == by_loops(both, device).tolist()


@devices
@unhurried
@given(drawn=layers("float", ("f64", "f32")))
def test_torch_stays_within_the_bound_of_the_oracle_with_every_parameter(device, drawn):
    problem, both = drawn
    expected = expect(Map.FORWARD, problem, both, numerics_on(device))
    assert judge(Claim(by_torch(problem, both, device), expected.value, expected.bound)).ok


@unhurried
@given(layers("exact", ("f64", "f32", "i64")))  # of the integers, torch dilates int64 only
def test_torch_equals_the_oracle_on_exact_operands_with_every_parameter(drawn):
    problem, both = drawn
    expected = expect(Map.FORWARD, problem, both, Numerics()).value
    assert expected.tolist() == by_torch(problem, both, "cpu").tolist()


@devices
def test_the_layer_agrees_with_torch_s(device):
    from convcheck import Conv2D

    ours, theirs = Conv2D((2, 3)).to(device, torch.float64), torch.nn.Conv2d(1, 1, (2, 3)).to(device, torch.float64)
    torch.nn.init.constant_(ours.bias, 7)
    with torch.no_grad():
        theirs.weight.copy_(ours.weight[None, None])
        theirs.bias.copy_(ours.bias)
    image = torch.rand(5, 6, dtype=torch.float64).to(device)
    torch.testing.assert_close(ours(image), theirs(image[None, None])[0, 0])
