"""Gradients of functions of jax arrays, by jax.vjp."""

from __future__ import annotations

import pytest

from convcheck.engines.base import Conv
from convcheck.engines.wrap import wrap
from convcheck.operands import Fill, make
from convcheck.plan import Profile
from convcheck.problem import Map, Problem
from convcheck.reference.maps import contract
from convcheck.run import verify

jax = pytest.importorskip("jax")

PROBLEM = Problem(size=(7, 6), kernel=(2, 3), stride=(2, 1), padding=((1, 0), (0, 2)), groups=2, channels=2, filters=4)


def conv2d(x, w, stride=(1, 1), padding=((0, 0), (0, 0)), groups=1):
    return jax.lax.conv_general_dilated(
        x, w, stride, padding, feature_group_count=groups, precision=jax.lax.Precision.HIGHEST
    )


def operands_of(which):
    return [make(PROBLEM, role, Fill("dense", 5, seed=1)) for role in which.roles]


@pytest.fixture(scope="module")
def engine():
    return wrap(conv2d, array="jax", ndim=2, dtypes=("f32", "f64"))


def test_a_function_of_jax_arrays_offers_all_maps(engine):
    assert (engine.capabilities.maps, engine.notes[-1]) == (tuple(Map), "gradients: by jax.vjp, twice")


@pytest.mark.parametrize("which", Map)
def test_every_map_is_what_jax_computes(engine, which):
    a, b = operands_of(which)
    assert Conv(engine, which)(PROBLEM, a, b).tolist() == contract(which, PROBLEM, a, b).tolist()


def test_second_derivatives_are_the_other_maps(engine):
    upstream, w = operands_of(Map.GRAD_INPUT)
    x, direction = (make(PROBLEM, "x", Fill("dense", 3, seed=seed)) for seed in (1, 2))
    values = {"x": x, "w": w, "y": upstream}
    found = engine.derivatives.second(PROBLEM, values, "x", direction, ("y", "w"))
    expected = [contract(Map.FORWARD, PROBLEM, direction, w), contract(Map.GRAD_WEIGHT, PROBLEM, upstream, direction)]
    assert [array.tolist() for array in found] == [array.tolist() for array in expected]


def test_a_jax_convolution_obeys_the_laws_of_gradients(engine):
    laws = ["definition", "adjoint", "gradients-together", "expanded-upstream", "double-backward"]
    few = Profile("few", pairs=False, triples=False, random=3, certifying=3, search=0)
    report = verify(engine, laws=laws, profile=few)
    assert (report.ok, [r.judged for r in report.results]) == (True, [9, 6, 6, 6, 6])
