"""The scores of a batch as a small drawing in the page's own colours."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from defect.ui.i18n import translate

_STEPS = 6
"""Bars an octave."""
_WIDTH, _HEIGHT, _BASE = 380, 150, 112


def score_histogram(scores: Sequence[float], limit: float) -> str:
    """Photos by score (multiples of the normal limit, doubling to the right) as an `<svg>`.

    The limit is an edge between two bars, so none lies on both sides of it.
    """
    if not scores:
        return ""
    bars = Counter(_bar(score, limit) for score in scores)
    first, last = min(*bars, -_STEPS), max(*bars, _STEPS - 1)
    width = _WIDTH / (last - first + 1)
    highest = max(bars.values())

    def x(bar: float) -> float:
        return (bar - first) * width

    drawn = ""
    for bar, count in sorted(bars.items()):
        height = max(80 * count / highest, 2)
        kind = "over" if bar >= 0 else "under"
        edges = {"low": f"{_edge(bar, limit):.2f}", "high": f"{_edge(bar + 1, limit):.2f}"}
        drawn += (
            f'<rect class="{kind}" x="{x(bar) + 1:.1f}" y="{_BASE - height:.1f}" '
            f'width="{max(width - 2, 1):.1f}" height="{height:.1f}">'
            f"<title>{translate('scores_bar', **edges, count=count)}</title></rect>"
        )
    marks = ""
    for octave in range(math.ceil(first / _STEPS), last // _STEPS + 2):
        at = octave * _STEPS
        if octave and first <= at <= last + 1:
            side = "end" if at == last + 1 else "start" if at == first else "middle"
            marks += (
                f'<text x="{x(at):.1f}" y="{_BASE + 15}" text-anchor="{side}">'
                f"{_edge(at, limit):.2g}</text>"
            )
    over = sum(count for bar, count in bars.items() if bar >= 0)
    label = translate(
        "scores_label",
        count=len(scores),
        under=len(scores) - over,
        limit=f"{limit:.2f}",
        over=over,
    )
    at_limit = translate("scores_threshold", limit=f"{limit:.2f}")
    return (
        f'<svg class="scores" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">'
        f'<line class="ground" x1="0" x2="{_WIDTH}" y1="{_BASE}" y2="{_BASE}"/>{drawn}{marks}'
        f'<line class="limit" x1="{x(0):.1f}" x2="{x(0):.1f}" y1="18" y2="{_BASE + 4}"/>'
        f'<text class="limit" x="{x(0):.1f}" y="12" text-anchor="middle">{at_limit}'
        f'</text><text x="{_WIDTH}" y="{_HEIGHT - 4}" text-anchor="end">{translate("scores_axis")}'
        f'</text><text x="0" y="{_HEIGHT - 4}">{translate("scores_photos", count=len(scores))}</text>'
        "</svg>"
    )


def _bar(score: float, limit: float) -> int:
    # Rounding must not carry a score to the other side of the limit.
    bar = math.floor(_STEPS * math.log2(max(score, limit / 64) / limit))
    return min(max(bar, 0), 5 * _STEPS) if score >= limit else min(bar, -1)


def _edge(bar: float, limit: float) -> float:
    return float(limit * 2 ** (bar / _STEPS))
