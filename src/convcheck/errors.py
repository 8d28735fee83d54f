"""The exceptions that a user meets."""

from __future__ import annotations

import signal

__all__ = [
    "ConvcheckError",
    "DtypeError",
    "MisshapenError",
    "ParseError",
    "ShapeError",
    "TargetRaisedError",
    "UnsupportedError",
    "UsageError",
    "is_interrupt",
]


def is_interrupt(error: BaseException) -> bool:
    """Whether an exception is the user's Ctrl-C; in a worker, which ignores the signal, it is the target's own."""
    return isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is not signal.SIG_IGN


class ConvcheckError(Exception):
    """Base of every error that convcheck raises on purpose."""


class ShapeError(ConvcheckError, ValueError):
    """Ranks or sizes that no convolution can take; the message shows them."""


class DtypeError(ConvcheckError, TypeError):
    """Data types that do not go together; the message shows them."""


class ParseError(ConvcheckError, ValueError):
    """A case, a problem or a fill that cannot be read; the message shows it."""


class UsageError(ConvcheckError):
    """A target, an option or a configuration that cannot be used (exit code 2)."""


class UnsupportedError(ConvcheckError):
    """The target says that it does not take this problem: counted, not judged."""


class MisshapenError(ConvcheckError):
    """The target returned an array of another shape than the sizes give; the message shows both."""


class TargetRaisedError(ConvcheckError):
    """The target raised on a valid problem; the original exception is ``__cause__``."""
