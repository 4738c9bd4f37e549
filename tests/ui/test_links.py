"""Links: what is known is opened, what is not is passed over. And the interface's texts."""

from __future__ import annotations

import re

import pytest

from defect.ui.i18n import TEXTS, label
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
def test_what_is_unknown_is_passed_over(query: dict[str, str]) -> None:
    link = read_link(query, TABS)
    assert (link.tab, link.category, link.model, link.example) == (None,) * 4


def test_unknown_parts_do_not_spoil_the_known() -> None:
    link = read_link({"category": "rendered_cap", "model": "vae", "example": "../x"}, TABS)
    assert link.category is not None
    assert (link.category.name, link.model, link.example) == ("rendered_cap", None, None)
    link = read_link({"example": "chip"}, TABS)  # the category the app opens with
    assert link.category is not None
    assert link.example is not None


def test_both_languages_have_every_text_with_the_same_parts() -> None:
    english, chinese = TEXTS["en"], TEXTS["zh-CN"]
    assert english.keys() == chinese.keys()
    for key, text in english.items():
        parts = sorted(re.findall(r"\{\w+\}", text))
        assert sorted(re.findall(r"\{\w+\}", chinese[key])) == parts, key
        assert chinese[key].strip()
    with pytest.raises(KeyError):
        label("no such text")
