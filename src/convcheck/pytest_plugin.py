"""The pytest plugin: three options and `conformance_test`. It does nothing to a project that does not use it.

It is imported by every pytest run where convcheck is installed, and so imports nothing heavy itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from convcheck.engines.base import Engine
    from convcheck.plan import Profile
    from convcheck.report.report import Report

__all__ = ["ExpectedFailure", "conformance_test"]


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options; a project that does not use them sees no change."""
    group = parser.getgroup("convcheck", "convcheck (property-based verification of convolutions)")
    group.addoption(
        "--convcheck-profile",
        choices=("smoke", "gate", "nightly"),
        help="how much conformance tests do, whatever profile they name themselves",
    )
    group.addoption("--convcheck-seed", type=int, default=0, help="chooses the cases of conformance tests")
    group.addoption(
        "--convcheck-isolate",
        action="store_true",
        help="call targets in worker processes, which they may kill",
    )


@dataclass(frozen=True)
class ExpectedFailure:
    """A law that is known not to hold: its item is an expected failure, and fails once the law holds.

    ``case``, a line from a report, is judged first, so that the expectation does not depend on what is drawn;
    ``link`` leads to the issue.
    """

    law: str
    reason: str
    case: str | None = None
    link: str | None = None

    def __str__(self) -> str:
        """Reason and link."""
        return self.reason + (f" ({self.link})" if self.link else "")


def conformance_test(
    target: Any,
    *,
    laws: Sequence[str] = (),
    exclude_laws: Sequence[str] = (),
    profile: str | Profile | None = None,
    expected_failures: Iterable[ExpectedFailure] = (),
    **options: Any,
) -> Callable[..., None]:
    """Return a test function with one item a law: ``test_conv2d = conformance_test("mypkg.ops:conv2d")``.

    Parameters
    ----------
    target
        ``package.module:attribute``, an adapter's name, a function, or an `Engine`. It is imported, and
        made an engine, once a process, when the first item runs.
    laws, exclude_laws
        Names of the laws to judge (all), and of those to leave out.
    profile
        ``smoke``, ``gate`` (the default) or ``nightly``, or a `Profile`; ``--convcheck-profile`` overrides
        it.
    expected_failures
        Laws that are known not to hold.
    options
        What `convcheck.engines.wrap.wrap` takes: ndim, array, style, dtypes, device, convention, accuracy, accumulator,
        input_rounding, splits, vjp.

    Raises
    ------
    UsageError
        If a law does not exist, or an expected failure belongs to no law that is judged.
    """
    from convcheck.plan import select

    chosen = [law.name for law in select(tuple(laws), tuple(exclude_laws))]
    expected = _by_law(expected_failures, chosen)
    subject = _Subject(target, profile, options)

    @pytest.mark.parametrize("law", chosen)
    def test_conformance(law: str, request: pytest.FixtureRequest) -> None:
        from convcheck.errors import UsageError

        try:
            _judge(subject, law, expected.get(law), request.config)
        except UsageError as error:
            pytest.fail(str(error), pytrace=False)

    return test_conformance


def _by_law(entries: Iterable[ExpectedFailure], chosen: Sequence[str]) -> dict[str, ExpectedFailure]:
    """Return the expected failures by law, and refuse those that could never be met."""
    from convcheck.errors import UsageError
    from convcheck.repeat import read_case

    found: dict[str, ExpectedFailure] = {}
    for entry in entries:
        if entry.law not in chosen:
            raise UsageError(
                f"an expected failure names {entry.law!r}, which is not among the laws: {', '.join(chosen)}"
            )
        if entry.law in found:
            raise UsageError(f"two expected failures name {entry.law!r}: {found[entry.law]} and {entry}")
        if entry.case is not None and read_case(entry.case).law != entry.law:
            raise UsageError(f"the case of the expected failure of {entry.law!r} is of another law: {entry.case!r}")
        found[entry.law] = entry
    return found


@dataclass
class _Subject:
    """A target, and what is to be done with it."""

    target: Any
    profile: str | Profile | None
    options: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def engine(self) -> Engine:
        """The engine, made when it is first needed."""
        from convcheck.engines import engine_of

        return engine_of(self.target, **self.options)

    def verify(self, law: str, config: pytest.Config) -> Report:
        """Judge one law."""
        from convcheck.run import verify

        profile = config.getoption("--convcheck-profile", default=None) or self.profile or "gate"
        seed = config.getoption("--convcheck-seed", default=0)
        if _isolates(config):
            return verify(self.target, laws=(law,), profile=profile, seed=seed, isolate=True, **self.options)
        return verify(self.engine, laws=(law,), profile=profile, seed=seed)

    def still_fails(self, case: str, config: pytest.Config) -> bool:
        """Whether the case of an expected failure fails."""
        from convcheck.replay import replay

        if _isolates(config):
            return replay(self.target, case, isolate=True, **self.options).violation is not None
        return replay(self.engine, case).violation is not None

    def violation_text(self, report: Report) -> str:
        """Return what the terminal report says of a violation."""
        from convcheck.report.replay import option_words, replay_with
        from convcheck.report.terminal import violations_text

        first = report.violations[0]
        shown = violations_text(report, replay_with(report.target, option_words(self.options)))
        return f"{report.target} violates {first.law}: {first.reason}\n\n{shown}"


def _isolates(config: pytest.Config) -> bool:
    return bool(config.getoption("--convcheck-isolate", default=False))


def _judge(subject: _Subject, law: str, expected: ExpectedFailure | None, config: pytest.Config) -> None:
    """Judge one law, and end as its verdict and the expectation say."""
    if expected is not None and expected.case and subject.still_fails(expected.case, config):
        pytest.xfail(str(expected))
    report = subject.verify(law, config)
    if report.interrupted:
        raise KeyboardInterrupt
    if not report.violations:
        _end_without_violation(report, law, expected)
    elif expected is None or any(violation.law != law for violation in report.violations):
        pytest.fail(subject.violation_text(report), pytrace=False)
    elif expected.case:
        another = f"the expected case of {law} no longer fails ({expected}), but another does: "
        pytest.fail(another + subject.violation_text(report), pytrace=False)
    else:
        pytest.xfail(str(expected))


def _end_without_violation(report: Report, law: str, expected: ExpectedFailure | None) -> None:
    """Skip what was not judged, and fail where a failure was expected."""
    from convcheck.report.summary import why_not

    result = next(result for result in report.results if result.law == law)
    if not result.judged:
        pytest.skip(why_not(result, report.target))
    if expected is not None:
        pytest.fail(f"{law} no longer fails, but a failure is expected: {expected}", pytrace=False)
