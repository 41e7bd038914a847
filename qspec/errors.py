"""Every error that qspec raises on purpose.

A message has up to four parts: what is wrong, what was given, what was expected, and what to do about it.
"""

from __future__ import annotations


class QspecError(Exception):
    """Base of all errors raised by qspec; `str(error)` is a complete message for the user."""

    def __init__(self, what: str, *, given: object = None, expected: str = "", advice: str = "") -> None:
        self.what = what
        self.given = given
        self.expected = expected
        self.advice = advice
        lines = [what]
        if given is not None:
            lines.append(f"  given:    {_shorten(given)}")
        if expected:
            lines.append(f"  expected: {expected}")
        if advice:
            lines.append(f"  try:      {advice}")
        super().__init__("\n".join(lines))


def _shorten(value: object, limit: int = 300) -> str:
    text = value if isinstance(value, str) else repr(value)
    text = " ".join(text.split())
    return text if len(text) <= limit else f"{text[: limit - 1]}…"


class FormatError(QspecError, ValueError):
    """A number format is malformed, or a value does not fit it."""


class ShapeError(QspecError, ValueError):
    """Array shapes do not fit together."""


class NetworkError(QspecError, ValueError):
    """A network is malformed (cycle, missing layer, bad attribute)."""


class ModelFileError(QspecError, ValueError):
    """A file is not a valid qspec network."""


class CertificateError(QspecError, ValueError):
    """A certificate is damaged, is about something else, or does not prove what it claims."""


class SpecError(QspecError, ValueError):
    """A specification is malformed (unbound parameter, empty domain, misplaced quantifier)."""


class UnsupportedError(QspecError, ValueError):
    """A solver or theory cannot express what was asked; the message names the operation."""


class SolverMissingError(QspecError, LookupError):
    """No solver of that name, or one that is not installed."""


class PackageMissingError(QspecError, ImportError):
    """A package that comes with an extra of qspec is not installed; the message says which extra."""


class CancelledError(QspecError, RuntimeError):
    """A `qs.Watch` was cancelled while a call ran that has no verdict to return."""


class InternalError(QspecError, AssertionError):
    """An invariant of qspec does not hold; this is a defect in qspec."""


class SoundnessError(QspecError, RuntimeError):
    """Two answers contradict each other, or a model of an exact problem does not replay; never a verdict."""


class QspecWarning(UserWarning):
    """Base of all warnings of qspec: what was asked for was done, and is perhaps not what was meant."""


class CalibrationWarning(QspecWarning):
    """A quantised network decides otherwise than its real one on more than one of a hundred calibration samples."""
