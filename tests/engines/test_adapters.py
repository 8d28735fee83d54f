"""Adapters and their registry: what each offers, that it conforms, and what happens where its library is missing."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from convcheck import verify
from convcheck.engines import engine_of
from convcheck.engines.registry import ADAPTERS
from convcheck.engines.scipy_adapter import _correlate
from convcheck.errors import UsageError
from convcheck.plan import Profile

FEW = Profile("few", pairs=False, triples=False, random=8, certifying=40, search=0, shrink_seconds=1.0)
BRIEF = ("output-size", "definition", "accuracy", "groups-split", "bias-adds", "rejects-invalid", "shape-dtype-kept")


def test_the_adapters_are_those_of_torch_and_scipy():
    assert list(ADAPTERS) == ["torch", "scipy"]


@pytest.fixture
def one_thread():
    """Small problems are slow on several threads where other work keeps them waiting for each other."""
    torch = sys.modules.get("torch")
    before = torch.get_num_threads() if torch else 1
    if torch:
        torch.set_num_threads(1)
    yield
    if torch:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_conforms(name, request):
    pytest.importorskip(name)
    request.getfixturevalue("one_thread")
    report = verify(name, laws=BRIEF, profile=FEW)
    assert (report.verdict, report.violations) == ("conforms", ())


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_takes_one_two_and_three_axes(name):
    pytest.importorskip(name)
    assert engine_of(name).capabilities.ndims == (1, 2, 3)


def test_torch_offers_everything_but_padding_that_differs_from_end_to_end():
    pytest.importorskip("torch")
    offered = engine_of("torch").capabilities
    assert offered.features == {
        "batch", "channels", "groups", "bias", "stride", "padding", "dilation", "same-padding",
        "unequal-stride", "unequal-padding", "unequal-dilation",
    }  # fmt: skip
    assert len(offered.maps) == 3


def test_scipy_offers_strides_groups_and_bias():
    features = {"batch", "channels", "groups", "bias", "stride", "unequal-stride"}
    assert engine_of("scipy").capabilities.features == features


def test_scipy_is_judged_in_the_dtypes_that_it_takes():
    assert engine_of("scipy").capabilities.dtypes == ("f32", "f64", "i64", "i32")


def test_an_adapter_takes_the_options_of_wrap():
    assert engine_of("scipy", ndim=2, dtypes=("f64",)).capabilities.dtypes == ("f64",)


def test_an_adapter_names_the_versions_of_its_libraries():
    assert [version.split()[0] for version in engine_of("scipy").versions] == ["numpy", "scipy"]


@pytest.mark.parametrize("name", ADAPTERS)
def test_an_adapter_without_its_library_is_an_error_that_says_so(name, monkeypatch):
    monkeypatch.setitem(sys.modules, f"convcheck.engines.{name}_adapter", None)
    with pytest.raises(UsageError, match=f"the adapter '{name}' needs a library that is not installed"):
        engine_of(name)


@pytest.mark.parametrize(
    ("shapes", "options", "message"),
    [
        (((1, 2, 5), (1, 3, 2)), {}, "do not go together"),
        (((1, 2, 5), (1, 2, 2, 2)), {}, "do not go together"),
        (((1, 2, 5), (3, 1, 2)), {"groups": 2}, "do not go together"),
        (((1, 2, 5), (2, 1, 2)), {"groups": 0}, "do not go together"),
        (((1, 1, 2), (1, 1, 3)), {}, r"the kernel \(3,\) is larger than the input \(2,\)"),
        (((1, 1, 5), (1, 1, 3)), {"bias": np.zeros(2)}, r"a bias of shape \(2,\) for 1 filters"),
        (((1, 1, 5), (1, 1, 3)), {"stride": 0}, "stride 0"),
    ],
)
def test_scipy_refuses_what_is_no_convolution(shapes, options, message):
    with pytest.raises(ValueError, match=message):
        _correlate(*map(np.ones, shapes), **options)


def test_torch_says_what_it_has_not_implemented_and_what_is_wrong():
    torch = pytest.importorskip("torch")
    from convcheck.engines.torch_adapter import _conv

    line = torch.ones((1, 1, 5), dtype=torch.int8)
    with pytest.raises(NotImplementedError, match="not implemented for 'Char'"):
        _conv(line, line[..., :2], dilation=2)
    with pytest.raises(RuntimeError, match=r"(?i)kernel size"):
        _conv(line[..., :2].float(), line.float())
