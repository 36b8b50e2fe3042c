"""What the Segment page learns of results and of the making of a checkpoint."""

from __future__ import annotations

from typing import Any

from ppap.segmenter.inference import in_words
from ppap.studio.requests import MAX_IMAGES
from ppap.studio.segment.packing import photo_bytes, why_no_photos
from ppap.studio.segment.store import Result

# Pictures of a page, where there are more than MAX_IMAGES.
PER_PAGE = 48


def result_reply(result: Result, start: int = 0) -> dict[str, Any]:
    """What the page must know of a result, or of a page of it; pictures and maps come by
    address."""
    pictures = list(result.done)
    total = len(pictures)
    per_page = MAX_IMAGES if result.pictures.total <= MAX_IMAGES else PER_PAGE
    start -= start % per_page
    page = range(start, min(start + per_page, total))
    return {
        "set": result.pictures.key,
        "result": result.key,
        "title": result.title,
        "refine": result.switches.refine,
        "looks": in_words(result.switches.inference.record()),
        "seconds": result.seconds,
        "photos": {"bytes": photo_bytes(result), "refused": why_no_photos(result)},
        "problems": result.pictures.said(),
        "notes": result.notes,
        "total": total,
        "expected": result.pictures.total,
        "start": start,
        "per_page": per_page,
        "pictures": [
            {
                "name": one.name,
                "width": one.width,
                "height": one.height,
                "shown": [one.shown.width, one.shown.height],
                "large": [one.large.width, one.large.height],
                "photo": f"studio/segment/{result.key}/{i}/photo",
            }
            for i, one in ((i, pictures[i]) for i in page)
        ],
        "layers": [
            {
                "kind": layer.kind,
                "title": layer.title,
                "names": layer.names,
                "colours": layer.colours,
                "shares": layer.maps.shares(),
                "maps": [f"studio/segment/{result.key}/{i}/{layer.kind}" for i in page],
            }
            for layer in result.layers.values()
        ],
    }


def making_reply(standing: Any) -> dict[str, Any]:
    """Where the training of the sample checkpoint stands."""
    return {
        "name": standing.name,
        "state": standing.state,
        "text": standing.text,
        "share": standing.step / standing.steps if standing.steps else 0.0,
        "time_left": standing.time_left,
    }
