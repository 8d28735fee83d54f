"""The report that a program reads."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import numpy as np
import pytest

from convcheck.report.document import SCHEMA, document, write
from convcheck.report.model import LawResult
from convcheck.report.replay import replay_with

from .examples import holds, report, violated

PAGE = Path(__file__).parents[2] / "docs" / "report-schema.md"


def made(*results, **changes):
    return document(report(*results, **changes), {"seed": 0}, replay_with("ops:conv2d"))


def parsed(*results):
    return json.loads(json.dumps(made(*results), allow_nan=False))


def names(value):
    if isinstance(value, dict):
        return set(value).union(*map(names, value.values()))
    return set().union(*map(names, value)) if isinstance(value, list) else set()


def test_every_field_is_on_the_page_that_documents_them():
    page = PAGE.read_text()
    assert SCHEMA in page
    fields = names(made(violated(), LawResult("mass", reason="none"), reached={}))
    assert {name for name in fields - {"seed"} if f"`{name}`" not in page} == set()


def test_a_report_without_violations():
    found = parsed(holds(worst=0.5))
    assert (found["schema"], found["verdict"], found["exit_code"]) == ("convcheck-report/1", "conforms", 0)
    law = found["laws"][0]
    assert (law["law"], law["chapter"], law["status"]) == ("definition", "Definition", "holds")
    assert (law["judged"], law["worst"], law["violation"]) == (10, 0.5, None)
    assert found["reached"] == {"2": {"reached": 10, "possible": 20}, "3": {"reached": 30, "possible": 40}}


def test_a_violation_has_its_case_numbers_and_replay_command():
    found = parsed(violated(words="kernel flipped"))["laws"][0]["violation"]
    assert found["case"].startswith("definition f32 n1")
    assert (found["ratio"], found["index"], found["words"]) == ("Infinity", [0, 0, 0, 0], "kernel flipped")
    assert found["expected"] == {"shape": [1, 1, 1, 1], "dtype": "f32", "at_index": 1.0, "values": [[[[1.0]]]]}
    assert found["replay"].startswith("convcheck replay ops:conv2d 'definition f32 ")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.float64("nan"), "NaN"),
        (np.float64("inf"), "Infinity"),
        (np.float32("-inf"), "-Infinity"),
        (np.complex128(1 + 2j), "(1+2j)"),
        (np.int64(2**60 + 1), 2**60 + 1),
        (np.bool_(True), True),
    ],
)
def test_what_json_has_no_number_for_is_a_string(value, text):
    found = parsed(violated(got=np.array([value]), index=(0,)))["laws"][0]["violation"]["got"]
    assert (found["at_index"], found["values"]) == (text, [text])


def test_large_arrays_are_given_by_their_worst_element():
    large = np.arange(5000.0).reshape(1, 1, 50, 100)
    found = parsed(violated(got=large, index=(0, 0, 1, 1)))["laws"][0]["violation"]["got"]
    assert (found["shape"], found["at_index"], found["values"]) == ([1, 1, 50, 100], 101.0, None)


def test_an_index_that_is_not_in_the_array_gives_no_element():
    found = parsed(violated(got=np.zeros(3), index=(0, 0)))["laws"][0]["violation"]["got"]
    assert found["at_index"] is None


def test_where_the_target_gave_no_array_there_is_none():
    assert parsed(violated(got=None))["laws"][0]["violation"]["got"] is None


def test_a_document_is_written_as_any_new_file_is(tmp_path):
    write(tmp_path / "report.json", made(holds()))
    (tmp_path / "other").touch()
    assert json.loads((tmp_path / "report.json").read_text())["schema"] == SCHEMA
    modes = {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert len(modes) == 1


def test_a_document_that_cannot_be_written_leaves_the_old_one_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "report.json").write_text("old")

    def full(*_):
        raise OSError("no space left")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(OSError, match="no space left"):
        write(tmp_path / "report.json", made(holds()))
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("report.json", "old")]
