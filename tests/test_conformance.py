"""PyTorch's transposed convolutions conform, but for what `examples/found` tells of: expected failures by name."""

from __future__ import annotations

import pytest

from convcheck.pytest_plugin import ExpectedFailure, conformance_test

torch = pytest.importorskip("torch")
if not torch.backends.mkldnn.is_available() or torch.__version__ < "2.13":
    pytest.skip("what is expected was found in torch 2.13 with oneDNN", allow_module_level=True)

LAWS = ("output-size", "definition", "adjoint", "rejects-invalid")
FOUND = "accepts a dilation of 0 for two images: examples/found/torch_conv_transpose_dilation_zero.py"


def judged(target, ndim):
    ones = "x".join("1" * ndim)
    case = f"rejects-invalid@grad_input f32 n2 g1 c1 o1 i{ones} k{ones} gy=ones w=ones"
    known = ExpectedFailure("rejects-invalid", FOUND, case)
    return conformance_test(target, laws=LAWS, profile="smoke", expected_failures=[known])


test_conv_transpose1d = judged("torch.nn.functional:conv_transpose1d", 1)
test_conv_transpose2d = judged("torch.nn.functional:conv_transpose2d", 2)
test_a_layer = judged("torch.nn:ConvTranspose2d", 2)
