"""The report that a person reads: what was inferred, one line a law, each violation, the verdict."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from rich.text import Text

from convcheck.laws import BY_NAME
from convcheck.report.grouping import grouped
from convcheck.report.lines import labelled
from convcheck.report.model import LawResult, Results
from convcheck.report.replay import Replay, replay_with
from convcheck.report.summary import main_reason, plural, summary_lines, without_name
from convcheck.report.violation import group_lines

__all__ = ["report_lines", "report_text", "violations_text"]

MARKS = {"holds": ("holds", "green"), "violated": ("VIOLATED", "bold red")}


def report_lines(report: Results, width: int, replay: Replay, options: Sequence[str] = ()) -> Iterator[Text]:
    """Lines of a whole report, no wider than ``width`` but for what is to be copied."""
    yield from _head(report, width, options)
    yield Text()
    yield from _laws(report, width)
    for group in grouped(report.violations):
        yield Text()
        yield from group_lines(group, width, replay)
    yield Text()
    yield from summary_lines(report, width)


def report_text(report: Results, width: int = 100) -> str:
    """Return the report as plain text."""
    return "\n".join(line.plain.rstrip() for line in report_lines(report, width, replay_with(report.target)))


def violations_text(report: Results, replay: Replay, width: int = 100) -> str:
    """Return the violations alone as plain text."""
    told = (group_lines(group, width, replay) for group in grouped(report.violations))
    return "\n\n".join("\n".join(line.plain.rstrip() for line in lines) for lines in told)


def _head(report: Results, width: int, options: Sequence[str]) -> Iterator[Text]:
    """Target, profile, versions, and what was inferred of the target."""
    yield Text(report.target, "bold")
    yield from labelled("versions", ", ".join(report.versions), width)
    what = [f"profile {report.profile}", f"seed {report.seed}", *([shlex.join(options)] if options else [])]
    yield from labelled("run", ", ".join(what), width)
    for i, note in enumerate(report.notes):
        yield from labelled("inferred" if i == 0 else "", note, width)


# -- one line a law ------------------------------------------------------------------------------------------


def _laws(report: Results, width: int) -> Iterator[Text]:
    """One line a law that was judged, chapter by chapter; the summary tells why others were not."""
    told = [result for result in report.results if result.status != "not judged"]
    room = max((len(result.law) for result in told), default=0) + 2
    chapter = ""
    for result in told:
        here = BY_NAME[result.law].chapter if result.law in BY_NAME else ""
        if here != chapter:
            yield Text(here, "bold")
            chapter = here
        mark, style = MARKS[result.status]
        name = result.law.ljust(room)
        before = f"  {mark:<8}  {name}"
        remark = _remark(result, report.target)
        yield Text().append(f"  {mark:<8}", style).append(f"  {name}").append(_cut(remark, width - len(before)))


def _remark(result: LawResult, target: str) -> str:
    """Return what is worth saying of a law on one line."""
    if result.violation and not result.judged:
        return result.violation.reason
    parts = [f"{result.failed:,} of {plural(result.judged, 'case')} fail" + "s" * (result.failed == 1)]
    if not result.violation:
        parts = [plural(result.judged, "case")]
        if result.worst:
            parts.append(f"worst error {result.worst:.2g} of its bound")
        if not result.nontrivial:
            parts.append("nothing but zeros, shapes or exceptions is compared")
    if result.skipped:
        count = sum(result.skipped.values())
        parts.append(f"{count:,} skipped: {without_name(main_reason(result), target)}")
    return "; ".join(parts)


def _cut(text: str, room: int) -> str:
    """Shorten a remark to its line; the summary says it all."""
    return text if len(text) <= room else text[: max(0, room - 3)].rstrip() + "..."
