"""The drawing of mIoU against the number of clusters."""

from __future__ import annotations

from typing import Any
from xml.etree import ElementTree

import pytest

from ppap.evaluation.curve import HEIGHT, LEFT, RIGHT, TOP, WIDTH, curve


def row(method: str, count: int, miou: float | None) -> dict[str, Any]:
    return {"method": method, "clusters": count, "learnt": {"miou": miou}}


def test_a_line_for_each_method_from_the_fewest_clusters_to_the_most() -> None:
    rows = [row("kmeans", 100, 30.0), row("kmeans", 10, 0.0), row("<b>", 10, 15.0)]
    drawing = ElementTree.fromstring(curve(rows))
    lines = drawing.findall("polyline")
    assert len(lines) == 2
    (first, last) = (tuple(map(float, one.split(","))) for one in lines[0].attrib["points"].split())
    assert first[0] == pytest.approx(LEFT, abs=0.1)
    assert last == pytest.approx((WIDTH - RIGHT, TOP), abs=0.1)
    assert first[1] > HEIGHT / 2
    assert "<b>" not in curve(rows)


def test_one_number_of_clusters_and_nothing_measured_draw_nothing() -> None:
    assert curve([row("kmeans", 10, 30.0), row("merged", 10, 20.0)]) == ""
    assert curve([row("kmeans", 10, None), row("kmeans", 20, 4.0)]) == ""
