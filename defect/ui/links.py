"""Links that open a state of the app: `?tab=inspect&model=dae&category=rendered_cap&example=chip`.

`threshold` belongs to them too; the page reads it itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from defect.detectors import catalogue
from defect.detectors.catalogue import Category, Example


@dataclass(frozen=True)
class Link:
    """What a link asks for, as far as there is such a thing here."""

    tab: str | None
    category: Category | None
    model: str | None
    """One of the category's models; only with a category."""
    example: Example | None
    """One of the category's examples; only with a category."""


def read_link(query: Mapping[str, str], tabs: Collection[str | None]) -> Link:
    """A page's query parameters; what is unknown is left out.

    A model or example without a category belongs to the category the app opens with.

    Raises:
        WeightsError: there are no weights at all.
    """
    tab = query.get("tab")
    category = catalogue.categories().get(query.get("category", ""))
    if category is None and ("model" in query or "example" in query) and "category" not in query:
        category = catalogue.default_category()
    model = example = None
    if category is not None:
        model = next((m for m in category.models if m == query.get("model")), None)
        example = next((e for e in category.examples if e.path.stem == query.get("example")), None)
    return Link(tab if tab in tabs else None, category, model, example)
