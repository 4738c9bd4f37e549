"""Tables as HTML, in the app's own quiet style."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from defect.ui.i18n import translate


def table(
    heads: Sequence[str],
    lines: Sequence[Sequence[str]],
    groups: Sequence[tuple[str, int]] = (),
    strong_last: bool = False,
) -> str:
    """An HTML table, its first column the rows' names. Cells are HTML and escaped by the caller.

    Args:
        groups: (name, columns) over the heads, from the second column on.
        strong_last: the last line sums up.
    """
    above = ""
    if groups:
        cells = "".join(f'<th colspan="{count}">{escape(name)}</th>' for name, count in groups)
        above = f'<tr class="groups"><td></td>{cells}</tr>'
    head = "".join(f'<th scope="col">{escape(text)}</th>' for text in heads)
    body = ""
    for i, line in enumerate(lines):
        last = ' class="sum"' if strong_last and i == len(lines) - 1 else ""
        rest = "".join(f"<td>{cell}</td>" for cell in line[1:])
        body += f'<tr{last}><th scope="row">{line[0]}</th>{rest}</tr>'
    return (
        f'<div class="numbers" tabindex="0"><table><thead>{above}<tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def number(value: float | None) -> str:
    """Three digits; marked where an AUROC is below chance, `n/a` where there is none."""
    if value is None:
        return f'<span class="absent">{translate("absent")}</span>'
    return f'<span class="low">{value:.3f}</span>' if value < 0.5 else f"{value:.3f}"


def hint(text: str) -> str:
    """A subdued line in a table's place."""
    return f'<p class="absent">{escape(text)}</p>'
