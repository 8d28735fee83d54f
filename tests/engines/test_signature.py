"""Signatures: which argument is which, by the names that libraries use."""

from __future__ import annotations

import functools

import numpy as np
import pytest

from convcheck.engines.signature import ALIASES, read_signature
from convcheck.errors import UsageError


def read(function):
    return read_signature(function, "f")


def function_of(parameters):
    """Return a function with these parameters, as they are written between the parentheses."""
    namespace = {"np": np}
    exec(f"def f({parameters}): pass", namespace)  # noqa: S102 - a signature is what is under test
    return namespace["f"]


def test_two_arrays_are_a_signature():
    signature = read(function_of("X, K"))
    assert (signature.arrays, signature.names, signature.positional) == (("X", "K"), {}, ())


def test_every_parameter_is_found_by_its_usual_name():
    def conv(x, w, bias=None, stride=1, padding=0, dilation=1, groups=1):
        pass

    names = ("bias", "stride", "padding", "dilation", "groups")
    assert read(conv).names == dict(zip(names, names, strict=True))


@pytest.mark.parametrize(("role", "alias"), [(role, alias) for role, names in ALIASES.items() for alias in names])
def test_a_parameter_is_found_by_any_of_its_names(role, alias):
    assert read(function_of(f"x, w, {alias}=None")).names == {role: alias}


def test_upper_case_is_taken_too():
    assert read(function_of("x, w, Stride=1")).names == {"stride": "Stride"}


def test_parameters_that_no_convolution_has_are_left_at_their_defaults():
    assert read(function_of("x, w, boundary='fill', stride=1")).names == {"stride": "stride"}


@pytest.mark.parametrize(
    ("default", "known"), [("'full'", True), ("'same'", True), ("'constant'", False), ("1", False)]
)
def test_a_mode_is_known_by_its_default(default, known):
    assert ("mode" in read(function_of(f"x, w, mode={default}")).names) is known


def test_what_is_left_at_its_default_is_known():
    assert read(function_of("x, w, stride=1, boundary='fill', *rest, hop=1, **more")).unknown == ("boundary", "hop")


def test_a_default_may_be_an_array():
    assert not read(function_of("x, w, stride=np.int64(1), padding=np.array([0, 0])")).told


def test_keyword_only_parameters_are_given_by_name():
    def conv(x, w, *, strides=1, b=None):
        pass

    signature = read(conv)
    given = {"stride": 2, "bias": "B"}
    assert signature.arguments(given) == ([], {"strides": 2, "b": "B"})


def test_positional_only_parameters_are_given_by_position():
    def conv(x, w, b, s, /, dilation=1):
        pass

    signature = read(conv)
    assert [name for name, _ in signature.positional] == ["bias", "stride"]
    assert signature.arguments({"bias": "B", "stride": 2, "dilation": 3}) == (["B", 2], {"dilation": 3})


def test_what_comes_before_a_positional_argument_is_given_its_default():
    def conv(x, w, b=None, s=1, p=0, /):
        pass

    signature = read(conv)
    assert [signature.arguments(given)[0] for given in ({"stride": 2}, {"padding": 3}, {})] == [
        [None, 2],
        [None, 1, 3],
        [],
    ]


@pytest.mark.parametrize(
    ("arrays", "expected"), [("K, X", True), ("weight, input_", True), ("x, w", False), ("a, b", False)]
)
def test_a_kernel_that_comes_first_is_known_by_its_name(arrays, expected):
    assert read(function_of(arrays)).kernel_first == expected


def test_any_positional_arguments_are_two_arrays():
    assert read(function_of("*args")).arrays == ("x", "w")


def test_any_keyword_arguments_are_no_parameter():
    assert read(function_of("x, w, **options")).names == {}


def test_a_partial_has_what_is_left():
    def conv(x, w, stride=1, padding=0):
        pass

    assert set(read(functools.partial(conv, padding=1)).names) == {"stride", "padding"}


def test_a_method_is_read_without_its_self():
    class Layer:
        def __call__(self, x, w, stride=1):
            pass

    assert read(Layer()).arrays == ("x", "w")


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (function_of(""), "f takes no argument: a convolution takes an input and a kernel"),
        (function_of("x"), "f takes x: a convolution takes an input and a kernel"),
        (function_of("x, *, w"), "f takes x, w: a convolution takes an input and a kernel by position"),
        (function_of("x, w, mode"), "f needs an argument 'mode', which is none of bias, stride"),
        (function_of("x, w, *, mode"), "f needs an argument 'mode', which is none of bias, stride"),
        (3, "f is not a function: 3 is not a callable object"),
    ],
)
def test_what_cannot_be_a_convolution_is_an_error_that_shows_why(function, message):
    with pytest.raises(UsageError, match=message):
        read(function)


def without_signature(doc):
    """Return a callable whose signature cannot be found, as those of some extension modules cannot."""

    class Function:
        __doc__ = doc

        @property
        def __signature__(self):
            raise ValueError("no signature found")

        def __call__(self, *args):
            return args

    return Function()


@pytest.mark.parametrize(
    ("doc", "names"),
    [
        ("conv(x, w)", {}),
        ("conv(x, w, bias=None, *, stride=1) -> Tensor\n\nMore.", {"bias": "bias", "stride": "stride"}),
        ("conv(input, weight, /, padding=0)", {"padding": "padding"}),
    ],
)
def test_the_first_line_of_a_docstring_serves_where_there_is_no_signature(doc, names):
    assert read(without_signature(doc)).names == names


@pytest.mark.parametrize("doc", [None, "", "Convolve two arrays."])
def test_without_a_signature_or_docstring_nothing_can_be_read(doc):
    with pytest.raises(UsageError, match="f has no signature that can be read; wrap it in a function that has one"):
        read(without_signature(doc))


def test_a_builtin_of_numpy_is_read():
    assert read(np.convolve).arrays == ("a", "v")


def test_builtins_of_torch_are_read_by_their_docstrings():
    torch = pytest.importorskip("torch")
    signature = read(torch.conv2d)
    assert (signature.arrays, set(signature.names)) == (("input", "weight"), set(ALIASES) - {"output_padding"})


def test_a_partial_of_a_builtin_keeps_what_it_was_given_as_a_default():
    torch = pytest.importorskip("torch")
    signature = read(functools.partial(torch.conv2d, padding=1))
    assert (signature.arrays, signature.told) == (("input", "weight"), True)


def test_a_module_that_is_given_its_weight_is_read_by_what_it_makes_of_it():
    torch = pytest.importorskip("torch")

    class Module(torch.nn.Module):
        def forward(self, x, w, stride=1):  # noqa: ARG002
            return x

    assert (read(Module()).arrays, read(Module()).names) == (("x", "w"), {"stride": "stride"})


def test_a_scripted_function_is_read_by_its_schema():
    torch = pytest.importorskip("torch")
    source = "def f(x, w, stride: int = 1):\n    return x\n"
    assert read(torch.jit.CompilationUnit(source).f).names == {"stride": "stride"}


def test_an_operator_of_torch_is_read_by_its_schema():
    aten = pytest.importorskip("torch").ops.aten
    packet, overload = read(aten.conv2d), read(aten.conv2d.default)
    assert packet == overload
    assert (packet.arrays, set(packet.names)) == (("input", "weight"), set(ALIASES) - {"output_padding"})


def test_a_custom_operator_is_read_by_its_schema():
    library = pytest.importorskip("torch.library")

    @library.custom_op(
        "convcheck_tests_signature::conv2d",
        mutates_args=(),
        schema="(Tensor a, Tensor k, *, int[2] strides=1) -> Tensor",
    )
    def conv2d(a, k, *, strides=(1, 1)):
        return a

    assert (read(conv2d).arrays, read(conv2d).names) == (("a", "k"), {"stride": "strides"})


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of torch's own, when its compiler is imported
def test_a_compiled_function_is_read_as_what_it_compiles():
    torch = pytest.importorskip("torch")
    compiled = torch.compile(torch.nn.functional.conv2d, dynamic=True)
    assert read(compiled) == read(torch.nn.functional.conv2d)
