"""What cannot be meant is refused before anything is called."""

from __future__ import annotations

import pytest

from convcheck import verify
from convcheck.called import check_call
from convcheck.errors import UsageError
from convcheck.replay import replay


def test_what_is_said_usually_can_be_meant():
    check_call({"ndim": 2, "dtypes": ("f32",), "vjp": None}, workers=2, call_timeout=0.5, memory_limit=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"laws": "definition"}, r"as in \['definition'\], not by 'definition'"),
        ({"exclude_laws": "mass"}, r"as in \['mass'\], not by 'mass'"),
        ({"dtypes": "f32"}, r"dtypes are given by several names, as in \['f32'\], not by 'f32'"),
        ({"dtype": ("f32",)}, "no option is called 'dtype'; did you mean 'dtypes'?"),
        ({"zzzzzzz": 1}, "no option is called 'zzzzzzz'$"),
        ({"workers": 0}, "workers is 0; it is a number of processes, 1 or more"),
        ({"workers": -1}, "workers is -1"),
        ({"workers": "2"}, "workers is '2'"),
        ({"workers": True}, "workers is True"),
        ({"call_timeout": 0}, "the time for a call is 0 s"),
        ({"call_timeout": float("nan")}, "the time for a call is nan s"),
        ({"memory_limit": 1}, "the limit of memory is 1 MiB; no call can do with less than 64"),
        ({"memory_limit": -1}, "the limit of memory is -1 MiB"),
    ],
)
def test_what_cannot_be_meant_is_refused(options, message):
    with pytest.raises(UsageError, match=message):
        verify("math:sin", **options)


def test_what_cannot_be_meant_is_not_replayed():
    with pytest.raises(UsageError, match="no option is called 'dtype'"):
        replay("math:sin", "definition i3 k2 x=ramp w=ramp", dtype="f32")
