"""The end of a report: the verdict in words, how much was judged, and what was not."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterator

from rich.text import Text

from convcheck.report.lines import labelled
from convcheck.report.model import LawResult, Results

__all__ = ["main_reason", "plural", "summary_lines", "why_not", "without_name"]

STYLES = {"conforms": "bold green", "violated": "bold red"}
STRENGTHS = {2: "pairs", 3: "triples"}


def summary_lines(report: Results, width: int) -> Iterator[Text]:
    """Verdict, numbers, and what was left out and why."""
    style = STYLES.get(report.verdict, "bold yellow")
    yield from (Text(line, style) for line in textwrap.wrap(_sentence(report), width, break_on_hyphens=False))
    yield from labelled("judged", _judged(report), width)
    if report.reached:
        yield from labelled("reached", _reached(report), width)
    for label, text in _left_out(report):
        yield from labelled(label, text, width)


def plural(count: int, what: str) -> str:
    """Write a number of things: ``1 case``, ``2 cases``."""
    return f"{count:,} {what}" + ("" if count == 1 else "s")


def _sentence(report: Results) -> str:
    judged = len({result.law for result in report.results if result.judged or result.violation})
    broken = len({violation.law for violation in report.violations})
    return {
        "conforms": f"{report.target} conforms: {_hold(judged)}.",
        "violated": f"{report.target} does not conform: {broken} of {plural(judged, 'law')} judged "
        + ("is violated." if broken == 1 else "are violated."),
        "too little judged": f"No verdict on {report.target}: nothing, or nothing but zeros, was judged.",
        "interrupted": f"Interrupted: what is known of {report.target} is that "
        + (
            f"{plural(broken, 'law')} of {judged} judged so far {'is' if broken == 1 else 'are'} violated."
            if broken
            else f"{plural(judged, 'law')} judged so far {'holds' if judged == 1 else 'hold'}."
        ),
    }[report.verdict]


def _hold(judged: int) -> str:
    return "the one law that was judged holds" if judged == 1 else f"all {judged} laws that were judged hold"


def _judged(report: Results) -> str:
    trivial = report.judged - sum(result.nontrivial for result in report.results)
    text = f"{plural(report.judged, 'case')} in {report.seconds:.1f} s"
    return text + (f"; in {trivial:,} of them nothing but zeros, shapes or exceptions is compared" if trivial else "")


def _reached(report: Results) -> str:
    parts = (
        f"{reached:,} of {possible:,} {STRENGTHS.get(strength, f'{strength}-fold combinations')}"
        for strength, (reached, possible) in report.reached.items()
    )
    return " and ".join(parts) + " of classes of problems"


def _left_out(report: Results) -> Iterator[tuple[str, str]]:
    """Yield what was not judged, with reasons: whole laws, then cases."""
    laws: dict[str, list[str]] = {}
    for result in report.results:
        if not (result.judged or result.violation):
            laws.setdefault(why_not(result, report.target), []).append(result.law)
    for i, (reason, names) in enumerate(laws.items()):
        told = f"{len(names)} laws" if reason.startswith("stopped") and len(names) > 1 else ", ".join(names)
        yield "not judged" if i == 0 else "", f"{told}: {reason}"
    skipped: Counter[str] = Counter()
    for result in report.results:
        skipped.update(result.skipped if result.judged else {})
    for i, (reason, count) in enumerate(skipped.most_common()):
        yield "skipped" if i == 0 else "", f"{plural(count, 'case')}: {without_name(reason, report.target)}"


def why_not(result: LawResult, target: str) -> str:
    """Why a law was not judged: the reason given, or the commonest among its cases."""
    return without_name(result.reason or main_reason(result), target)


def main_reason(result: LawResult) -> str:
    """Return the commonest reason for which cases of a law were skipped."""
    return max(result.skipped, key=lambda reason: result.skipped[reason], default="no case was drawn")


def without_name(reason: str, target: str) -> str:
    """Leave out the name of the target, which is at the head of the report: a line has little room."""
    short = reason.removeprefix(f"{target}: ")
    return short if short != reason else reason.replace(f"{target} does", "the target does", 1)
