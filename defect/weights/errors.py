"""What can be wrong with weights."""

from __future__ import annotations


class WeightsError(RuntimeError):
    """A weights file that must not be used; the text says which and what to do."""


class NotAvailable(WeightsError):
    """There are no weights for that model and category here."""
