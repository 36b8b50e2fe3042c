from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ppap.studio.explore.surveys import COLUMNS, Shot
from ppap.studio.explore.worth import APART, Filter, listed, places_of, read_filter, spread_out
from ppap.studio.requests import RequestError
from tests.support.small_studio import small_batch

GRIDS = [(4, 4)] * 3


def shot(**columns: Any) -> Shot:
    values = {name: np.zeros(48, np.float32) for name in COLUMNS}
    values |= {name: np.asarray(found, np.float32) for name, found in columns.items()}
    return Shot(values, np.ones(48, bool), np.arange(48))


def patches(found: dict[str, Any]) -> list[int]:
    return [one["patch"] for one in found["anchors"]]


def test_the_worst_come_first_and_neighbours_are_left_out() -> None:
    precision = np.linspace(1, 0.1, 48)
    found = listed(small_batch(), GRIDS, shot(precision=precision), Filter("worst"))
    order = patches(found)
    assert order[0] == 47
    assert found["of"] == 48
    places = places_of(GRIDS)
    for i, a in enumerate(order):
        for b in order[:i]:
            near = abs(places[a] - places[b])
            assert near[0] > 0 or near[1:].max() > APART
    assert found["anchors"][0]["precision"] == pytest.approx(0.1)


def test_only_so_many_are_listed() -> None:
    places = np.array([(i, 0, 0) for i in range(100)])
    assert spread_out(np.arange(100), places) == list(range(24))


def test_flags_choose_and_are_counted() -> None:
    emptied, moved = np.zeros(48), np.zeros(48)
    emptied[[5, 40]] = 1
    moved[[5, 40]] = 0.1, 0.9
    found = listed(small_batch(), GRIDS, shot(emptied=emptied, moved=moved), Filter("emptied"))
    assert patches(found) == [40, 5]
    counts = {kind["key"]: kind["count"] for kind in found["kinds"]}
    assert counts == {"worst": None, "doubtful": None, "emptied": 2, "crossed": 0, "moved": None}


def test_what_cannot_be_measured_or_was_not_looked_at_is_not_listed() -> None:
    cohesion = np.full(48, np.nan)
    cohesion[[3, 30]] = 0.5, 0.2
    seen = np.ones(48, bool)
    seen[30] = False
    given = shot(cohesion=cohesion)._replace(seen=seen)
    assert patches(listed(small_batch(), GRIDS, given, Filter("doubtful"))) == [3]


def test_by_class_and_by_image() -> None:
    batch = small_batch()
    labels = batch.labels
    assert labels is not None
    of_class = patches(listed(batch, GRIDS, shot(), Filter("moved", label=1)))
    assert of_class
    assert all(labels[j] == 1 for j in of_class)
    of_image = patches(listed(batch, GRIDS, shot(), Filter("moved", image=2)))
    assert of_image
    assert all(32 <= j < 48 for j in of_image)


def test_without_labels_cohesion_stands_in() -> None:
    bare = small_batch(labelled=False)
    assert read_filter(None, bare).kind == "doubtful"
    assert read_filter({}, small_batch()).kind == "worst"
    with pytest.raises(RequestError, match="doubtful, emptied"):
        read_filter({"kind": "worst"}, bare)


@pytest.mark.parametrize(
    "raw",
    [5, "x", [1], {"kind": 3}, {"kind": "no"}, {"label": 2}, {"label": True}, {"image": -1},
     {"image": 3}, {"image": "0"}, {"label": [1]}],
)  # fmt: skip
def test_what_no_page_asks_is_refused(raw: Any) -> None:
    with pytest.raises(RequestError):
        read_filter(raw, small_batch())
