"""Links: what is known is opened, what is not is ignored."""

from __future__ import annotations

import pytest

from defect.ui.links import read_link

TABS = ["inspect", "batch"]


def test_a_whole_link() -> None:
    query = {
        "tab": "inspect",
        "category": "rendered_washer",
        "model": "cae",
        "example": "rust",
        "threshold": "1.2",
        "__theme": "dark",
    }
    link = read_link(query, TABS)
    assert link.tab == "inspect"
    assert link.category is not None
    assert (link.category.name, link.model) == ("rendered_washer", "cae")
    assert link.example is not None
    assert link.example.path.name == "rust.jpg"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"tab": "kitchen", "category": "teapot", "model": "dae", "example": "chip"},
        {"category": "../../etc"},
        {"tab": ""},
        {"threshold": "NaN"},
    ],
)
def test_what_is_unknown_is_ignored(query: dict[str, str]) -> None:
    link = read_link(query, TABS)
    assert (link.tab, link.category, link.model, link.example) == (None,) * 4


def test_unknown_parts_do_not_spoil_the_known() -> None:
    link = read_link({"category": "rendered_cap", "model": "vae", "example": "../x"}, TABS)
    assert link.category is not None
    assert (link.category.name, link.model, link.example) == ("rendered_cap", None, None)
    link = read_link({"example": "chip"}, TABS)  # the category the app opens with
    assert link.category is not None
    assert link.example is not None
