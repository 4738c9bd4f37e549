"""What the library says (its errors, notes, and the headers of weights), in Chinese.

The library, the CLI and the API speak English. `library.txt` has each sentence, its `{name}`s
standing for any text, and under it the Chinese, each line after `= `.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from defect.ui.i18n import results

KINDS = {
    "good": "良品",
    "crazing": "裂纹",
    "inclusion": "夹杂",
    "patches": "斑块",
    "pitted_surface": "麻点",
    "rolled-in_scale": "压入氧化铁皮",
    "scratches": "划痕",
    "scratch": "划痕",
    "corrosion": "腐蚀",
    "dent": "凹痕",
    "chip": "缺口",
    "contamination": "污染",
    "crack": "裂纹",
    "nick": "豁口",
    "rust": "锈蚀",
    "broken_thread": "断线",
    "pulled_thread": "抽丝",
    "stain": "污渍",
}
"""NEU's classes and the rendered kinds of defect, shown beside their own names."""


Patterns = list[tuple[re.Pattern[str], str]]


def _sentences() -> dict[str, str]:
    text = Path(__file__).with_name("library.txt").read_text(encoding="utf-8")
    found = {}
    for entry in text.strip().split("\n\n"):
        if not entry.startswith("# "):
            english, *chinese = entry.split("\n= ")
            found[english.replace("\n", " ")] = "".join(chinese)
    return found


def _patterns(table: dict[str, str]) -> Patterns:
    """The longest first: a sentence may begin as another one does."""
    ordered = sorted(table.items(), key=lambda entry: -len(entry[0]))
    return [(_pattern(english), chinese) for english, chinese in ordered]


def _pattern(english: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", english)
    body = "".join(f"(?P<{part}>.+?)" if i % 2 else re.escape(part) for i, part in enumerate(parts))
    # A name at the end reaches to the text's end.
    return re.compile(rf"{body}(?=\s|$)" if parts[-1] else rf"{body}$", re.DOTALL)


SENTENCES = _sentences()
"""What the library says → in Chinese."""
_SENTENCES = _patterns(SENTENCES)
_FIGURES = _patterns(results.FIGURES)


def translate_message(text: str) -> str:
    """The sentences of a text one after another; one that is not known stays as it is."""
    described, rest = "", text
    while rest:
        said = next(_readings(rest, _SENTENCES), None)
        if said is None:
            parts = rest.split("; ")
            return described + (
                "；".join(map(translate_message, parts)) if len(parts) > 1 else rest
            )
        described += said[0]
        rest = rest[said[1] :].lstrip()
    return described


def translate_figure(svg: str) -> str:
    """An SVG with what is written in it in Chinese; it must not be part of a path."""

    def written(found: re.Match[str]) -> str:
        for text, length in _readings(found[2], _FIGURES):
            if length == len(found[2]):
                return found[1] + text + found[3]
        return found[0]

    return re.sub(r"(<text[^>]*>)([^<]+)(</text>)", written, svg)


def _readings(text: str, patterns: Patterns) -> Iterator[tuple[str, int]]:
    """(in Chinese, characters read) of each entry the text begins with."""
    for pattern, chinese in patterns:
        if found := pattern.match(text):
            yield chinese.format(**found.groupdict()), found.end()
