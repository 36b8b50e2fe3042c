"""The patches chosen with the lasso: which classes and images they are of, and as files."""

from __future__ import annotations

import base64
import csv
import io
import json
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ppap.batches import Batch
from ppap.studio.answers import answering
from ppap.studio.requests import RequestError, mapping
from ppap.studio.store import BatchStore

TYPES = {"csv": "text/csv", "json": "application/json"}
VOID = "void"


def read_lasso(raw: Any, batch: Batch) -> np.ndarray:
    """Patch indices from untrusted values, int64, ascending; empty where there is no lasso.

    Raises:
        RequestError: no list of whole numbers, or a number that is no patch of the batch.
    """
    patches = len(batch.features)
    if raw is None:
        return np.empty(0, np.int64)
    whole = (
        isinstance(raw, list | tuple) and len(raw) <= patches and all(type(j) is int for j in raw)
    )
    if not whole or not all(0 <= j < patches for j in raw):
        raise RequestError(
            f"The lasso must be a list of patches, whole numbers from 0 to {patches - 1}."
        )
    return np.unique(np.array(raw, np.int64))


def counts(batch: Batch, chosen: np.ndarray) -> dict[str, list[dict[str, Any]]]:
    """How many of the chosen patches are of each class and each image, most first.

    ``share`` is of the chosen patches; ``of``: how many the batch has of it in all.
    """
    images = np.repeat(np.arange(len(batch)), batch.counts)
    found = {"images": tally(images, chosen, list(batch.names))}
    if batch.labels is not None:
        labels = batch.labels.numpy()
        names = [*batch.classes, VOID]
        found["classes"] = tally(np.where(labels < 0, len(names) - 1, labels), chosen, names)
    return found


def tally(values: np.ndarray, chosen: np.ndarray, names: Sequence[str]) -> list[dict[str, Any]]:
    """Count the chosen by value; values that none of them has are left out."""
    mine = np.bincount(values[chosen], minlength=len(names))
    whole = np.bincount(values, minlength=len(names))
    return [
        {
            "index": int(i),
            "name": names[i],
            "patches": int(mine[i]),
            "share": float(mine[i] / max(1, len(chosen))),
            "of": int(whole[i]),
        }
        for i in np.argsort(-mine, kind="stable")
        if mine[i]
    ]


def table(batch: Batch, chosen: np.ndarray) -> Iterator[dict[str, Any]]:
    """A row for each chosen patch; ``label`` is −1 and ``class`` empty where it has none."""
    for patch in chosen.tolist():
        image, row, column = batch.position(patch)
        found = {"patch": patch, "image": image, "name": batch.names[image]}
        found |= {"row": row, "column": column}
        if batch.labels is not None:
            label = int(batch.labels[patch])
            found |= {"label": label, "class": batch.classes[label] if label >= 0 else ""}
        yield found


def as_json(batch: Batch, chosen: np.ndarray) -> dict[str, Any]:
    """The chosen patches, with their counts."""
    return {"patches": chosen.tolist(), **counts(batch, chosen)}


def file(batch: Batch, chosen: np.ndarray, format: str) -> bytes:
    """The chosen patches as one of TYPES."""
    rows = list(table(batch, chosen))
    if format == "json":
        found = {"format": "ppap-studio lasso 1", "images": list(batch.names)}
        whole = {**found, **as_json(batch, chosen), "rows": rows}
        return json.dumps(whole, ensure_ascii=False, indent=1).encode()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


class Lasso:
    """What the Explore page asks about chosen patches.

    Args:
        store: has the batches.
    """

    def __init__(self, store: BatchStore) -> None:
        self.store = store

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.lasso]

    @answering
    def lasso(self, request: Any) -> dict[str, Any]:
        """Classes and images of the chosen patches; with ``format``, the patches as a file."""
        request = mapping(request)
        batch = self.store.get(request.get("batch")).batch
        chosen = read_lasso(request.get("lasso"), batch)
        format = request.get("format")
        if format is None:
            return {"patches": len(chosen), **counts(batch, chosen)}
        if not isinstance(format, str) or format not in TYPES:
            raise RequestError(f"The patches can be saved as {' or '.join(TYPES)}.")
        if not len(chosen):
            raise RequestError("Draw a lasso on the map first.")
        data = base64.b64encode(file(batch, chosen, format)).decode()
        return {"name": f"ppap-lasso.{format}", "type": TYPES[format], "data": data}
