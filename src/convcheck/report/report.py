"""The report that `convcheck.verify` returns: results that print as the terminal shows them."""

from __future__ import annotations

from dataclasses import dataclass

from convcheck.report.model import Results
from convcheck.report.terminal import report_text

__all__ = ["Report"]


@dataclass(frozen=True)
class Report(Results):
    """Verdict on one target, as `Results` hold it; ``str`` and ``print`` give it in words."""

    def __str__(self) -> str:
        """Return the report as the terminal shows it, in plain text."""
        return report_text(self)
