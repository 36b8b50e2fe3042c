"""Anchors worth a look: the worst, those with an empty P, with Ψ above Φ, that moved farthest."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ppap.batches import Batch
from ppap.studio.explore.lattice import Grids
from ppap.studio.explore.surveys import Shot
from ppap.studio.requests import RequestError, mapping

MOST = 24
# Patches beside each other fail alike: of them only the first is listed.
APART = 2


class Kind(NamedTuple):
    """A reason to look at an anchor."""

    title: str
    column: str
    """What orders the list."""
    highest: bool
    """Whether the highest comes first."""
    flag: str = ""
    """A column that must be true."""


KINDS: dict[str, Kind] = {
    "worst": Kind("Worst precision", "precision", False),
    "doubtful": Kind("Lowest cohesion", "cohesion", False),
    "emptied": Kind("P became empty", "moved", True, "emptied"),
    "crossed": Kind("Ψ above Φ", "moved", True, "crossed"),
    "moved": Kind("Moved farthest", "moved", True),
}


class Filter(NamedTuple):
    """Which anchors a list is of."""

    kind: str
    label: int | None = None
    image: int | None = None


def read_filter(raw: Any, batch: Batch) -> Filter:
    """A filter from untrusted values; what is left out stands for the usual.

    Raises:
        RequestError: no such kind, class or image.
    """
    raw = mapping(raw or {})
    usual = "doubtful" if batch.labels is None else "worst"
    kind = raw.get("kind") or usual
    if not isinstance(kind, str) or kind not in KINDS or (kind == "worst" and batch.labels is None):
        raise RequestError(f"The kind of anchors must be one of {', '.join(kinds_of(batch))}.")
    label = _number(raw, "label", len(batch.classes), "class")
    return Filter(kind, label, _number(raw, "image", len(batch), "image"))


def _number(raw: Mapping[str, Any], name: str, count: int, what: str) -> int | None:
    value = raw.get(name)
    if value is None:
        return None
    if type(value) is not int or not 0 <= value < count:
        raise RequestError(f"There is no {what} with that number.")
    return value


def kinds_of(batch: Batch) -> list[str]:
    """The reasons that a batch can have."""
    return [key for key in KINDS if key != "worst" or batch.labels is not None]


def eligible(batch: Batch, shot: Shot, images: np.ndarray, wanted: Filter) -> np.ndarray:
    """Which patches belong on a list, bool ``(N,)``."""
    kind = KINDS[wanted.kind]
    fine = shot.seen & np.isfinite(shot.values[kind.column])
    if kind.flag:
        fine &= shot.values[kind.flag] > 0
    if wanted.label is not None and batch.labels is not None:
        fine &= batch.labels.numpy() == wanted.label
    if wanted.image is not None:
        fine &= images == wanted.image
    return fine


def ordered(shot: Shot, fine: np.ndarray, kind: Kind) -> np.ndarray:
    """The eligible patches, first those most worth a look, int64."""
    chosen = np.flatnonzero(fine)
    values = shot.values[kind.column][chosen]
    # Among equals, those that more patches would learn from.
    size = shot.values["positives"][chosen]
    return chosen[np.lexsort((-size, -values if kind.highest else values))]


def spread_out(order: np.ndarray, places: np.ndarray, most: int = MOST) -> list[int]:
    """The first of ``order`` that are not beside one another.

    Args:
        order: patches, int64.
        places: image, row and column of each patch, int64 ``(N, 3)``.
        most: how many.
    """
    found: list[int] = []
    free = np.ones(len(places), bool)
    for patch in order.tolist():
        if not free[patch]:
            continue
        found.append(patch)
        if len(found) == most:
            break
        apart = np.abs(places - places[patch])
        free &= (apart[:, 0] > 0) | (apart[:, 1:].max(axis=1) > APART)
    return found


def places_of(grids: Grids) -> np.ndarray:
    """Image, row and column of every patch, int64 ``(N, 3)``."""
    return np.concatenate(
        [
            np.column_stack(
                [np.full(rows * columns, i), *divmod(np.arange(rows * columns), columns)]
            )
            for i, (rows, columns) in enumerate(grids)
        ]
    )


def listed(batch: Batch, grids: Grids, shot: Shot, wanted: Filter) -> dict[str, Any]:
    """A list for the page: the kinds, and the first anchors of the chosen one."""
    places = places_of(grids)
    counts = {
        kind: int(eligible(batch, shot, places[:, 0], wanted._replace(kind=kind)).sum())
        for kind in kinds_of(batch)
    }
    kind = KINDS[wanted.kind]
    order = ordered(shot, eligible(batch, shot, places[:, 0], wanted), kind)
    columns = ("positives", "moved", "cohesion", "precision", "recall")
    return {
        "kind": wanted.kind,
        "kinds": [
            # How many are emptied or crossed tells something; of the others all are.
            {"key": key, "title": KINDS[key].title, "count": n if KINDS[key].flag else None}
            for key, n in counts.items()
        ],
        "of": counts[wanted.kind],
        "anchors": [
            {"patch": patch, **{name: told(shot.values[name][patch]) for name in columns}}
            for patch in spread_out(order, places)
        ],
    }


def told(value: np.floating[Any]) -> float | None:
    """A number for JSON; None for NaN."""
    return None if np.isnan(value) else float(value)
