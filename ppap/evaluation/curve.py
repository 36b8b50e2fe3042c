"""mIoU against the number of clusters, as a drawing that stands in a page by itself."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

WIDTH, HEIGHT = 560, 240
LEFT, RIGHT, TOP, BOTTOM = 44, 120, 14, 34
# Colours that differ without colour vision, and dashes that differ without colours.
STROKES = (("#3d7bff", ""), ("#d95f02", "6 3"), ("#1b9e77", "2 3"))


def curve(rows: Sequence[dict[str, Any]]) -> str:
    """SVG: a line for each method, mIoU of the map learnt on training images; K on a log scale.

    Empty where there are fewer than two numbers of clusters.
    """
    lines: dict[str, list[tuple[int, float]]] = {}
    for one in rows:
        value = one["learnt"]["miou"]
        if value is not None:
            lines.setdefault(one["method"], []).append((one["clusters"], value))
    counts = sorted({count for points in lines.values() for count, _ in points})
    if len(counts) < 2:
        return ""
    most = max(value for points in lines.values() for _, value in points)
    top = max(10, math.ceil(most / 10) * 10)

    def x(count: int) -> float:
        low, high = math.log(counts[0]), math.log(counts[-1])
        return LEFT + (math.log(count) - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(value: float) -> float:
        return HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM)

    parts = [*_axes(counts, top, x, y)]
    for (method, points), (stroke, dash) in zip(lines.items(), STROKES, strict=False):
        path = " ".join(f"{x(count):.1f},{y(value):.1f}" for count, value in sorted(points))
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{stroke}" stroke-width="2" '
            f'stroke-dasharray="{dash}"/>'
        )
        count, value = max(points)
        parts.append(
            f'<text x="{x(count) + 8:.1f}" y="{y(value) + 4:.1f}" fill="currentColor">'
            f"{escape(method)} {value:.1f}</text>"
        )
    said = "mIoU against the number of clusters"
    return (
        f'<svg class="curve" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{said}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-size="12">{"".join(parts)}</svg>'
    )


def _axes(counts: Sequence[int], top: float, x: Any, y: Any) -> Iterable[str]:
    for value in (0, top / 2, top):
        yield (
            f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(value):.1f}" y2="{y(value):.1f}" '
            'stroke="currentColor" stroke-opacity="0.2"/>'
            f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end" fill="currentColor">'
            f"{value:g}</text>"
        )
    for count in counts:
        yield (
            f'<text x="{x(count):.1f}" y="{HEIGHT - BOTTOM + 18}" text-anchor="middle" '
            f'fill="currentColor">{count}</text>'
        )
    middle = (LEFT + WIDTH - RIGHT) / 2
    yield (
        f'<text x="{middle}" y="{HEIGHT - 2}" text-anchor="middle" fill="currentColor">'
        "clusters</text>"
    )
    yield f'<text x="4" y="{TOP - 2}" fill="currentColor">mIoU, %</text>'
