"""Engines with one planted mistake, made of the oracle: with another problem, other operands, or another result."""

from __future__ import annotations

import pytest

from convcheck.dtypes import DTYPES
from convcheck.engines.base import Engine
from convcheck.engines.capabilities import FEATURES, Capabilities
from convcheck.problem import Map


@pytest.fixture
def engine():
    """Return a function that makes an engine of an apply, taking everything but what is left out."""

    def make(apply, *, without=(), ndims=(1, 2, 3), dtypes=tuple(DTYPES), maps=tuple(Map), **options):
        offered = Capabilities(ndims, dtypes, frozenset(FEATURES) - set(without), maps)
        return Engine("planted", offered, apply, **options)

    return make
