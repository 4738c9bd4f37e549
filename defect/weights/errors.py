"""What can be wrong with weights."""

from __future__ import annotations

from defect.inspection import Message


class WeightsError(RuntimeError):
    """A weights file that must not be used; the text says which and what to do."""


class NotAvailable(WeightsError):
    """There are no weights for that model and category here."""


def unusable(file: str, reason: ValueError) -> WeightsError:
    """The error of a weights file whose content does not fit its model."""
    text = "weights/{file} cannot be used: {reason}. Train or fetch it again."
    return WeightsError(Message("weights_unusable", text, file=file, reason=str(reason)))
