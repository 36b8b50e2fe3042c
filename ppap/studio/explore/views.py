"""Explore without the browser: a batch, an anchor and settings → everything the page draws."""

from __future__ import annotations

import base64
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ppap.batches import Batch, check_index
from ppap.embedding.service import NearestPatches, nearest_by_cosine
from ppap.evaluation.trust import trust
from ppap.propagation import Partition, PatchSets, propagate_unit
from ppap.settings import Settings
from ppap.studio.store import Held

# Patches that place a proxy on the map.
NEIGHBOURS = 5
NEGATIVE, AMBIGUOUS, POSITIVE, ANCHOR = 0, 1, 2, 3


class Step(NamedTuple):
    """The numbers of one step; None where there is nothing to measure."""

    phi: float
    psi: float
    moved: float | None
    positive: int
    ambiguous: int
    negative: int
    precision: float | None
    recall: float | None
    false_negative: float | None
    purity: float | None
    nearest: list[int]
    weights: list[float]


@dataclass(frozen=True, eq=False)
class View:
    """One rule's sets for one anchor, step by step."""

    sets: PatchSets
    steps: list[Step]
    codes: np.ndarray
    """uint8 ``(T+1, N)``: 0 negative, 1 ambiguous, 2 positive, 3 the anchor."""
    similarity: np.ndarray
    """float32 ``(T+1, N)``: v^t · f_j."""


def gather(batch: Batch, anchor: int, settings: Settings) -> View:
    """PPAP for one anchor of a batch."""
    check_anchor(batch, anchor)
    anchors = torch.tensor([anchor])
    return look(batch, propagate_unit(batch.features, anchors, **settings.as_dict()))  # type: ignore[arg-type]


def check_anchor(batch: Batch, anchor: object) -> int:
    """``anchor`` as a patch index of the batch, or PatchError with its range."""
    return check_index("anchor", anchor, len(batch.features))


def look(batch: Batch, sets: PatchSets) -> View:
    """Sets of a single anchor → their numbers, codes and similarities at every step."""
    steps, codes = [], []
    cosines = torch.cat([sets.similarity(t) for t in range(sets.steps + 1)])
    near = nearest_by_cosine(cosines, NEIGHBOURS)
    for t in range(sets.steps + 1):
        parts = sets.at(t)
        steps.append(describe(batch, sets, parts, t, near))
        codes.append(encode(parts, int(sets.anchors[0])))
    return View(sets, steps, np.stack(codes), cosines.float().numpy())


def describe(batch: Batch, sets: PatchSets, parts: Partition, t: int, near: NearestPatches) -> Step:
    """The numbers of step ``t``; ``near`` has a row for every step."""
    found = None if batch.labels is None else trust(parts, sets.anchors, batch.labels)
    return Step(
        phi=float(sets.phi[t, 0]),
        psi=float(sets.psi[t, 0]),
        moved=float(sets.moved[t - 1, 0]) if t else None,
        positive=int(parts.positive.sum()),
        ambiguous=int(parts.ambiguous.sum()),
        negative=int(parts.negative.sum()),
        precision=share(found.precision) if found else None,
        recall=share(found.recall) if found else None,
        false_negative=share(found.false_negatives) if found else None,
        purity=share(found.purity) if found else None,
        nearest=near.indices[t].tolist(),
        weights=near.weights[t].tolist(),
    )


def share(value: Tensor) -> float | None:
    """A measure of the only anchor; None where there was nothing to measure (NaN)."""
    number = float(value[0])
    return None if math.isnan(number) else number


def encode(parts: Partition, anchor: int) -> np.ndarray:
    """Sets of a single anchor → uint8 codes ``(N,)``."""
    codes = np.full(parts.positive.shape[1], NEGATIVE, np.uint8)
    codes[parts.ambiguous[0].numpy()] = AMBIGUOUS
    codes[parts.positive[0].numpy()] = POSITIVE
    codes[anchor] = ANCHOR
    return codes


def pack(codes: np.ndarray) -> str:
    """Two bits a patch, four patches a byte (the first in the lowest bits), as base64."""
    padded = np.zeros(-(-codes.size // 4) * 4, np.uint8)
    padded[: codes.size] = codes.reshape(-1)
    four = padded.reshape(-1, 4)
    packed = four[:, 0] | four[:, 1] << 2 | four[:, 2] << 4 | four[:, 3] << 6
    return base64.b64encode(packed.tobytes()).decode()


def quantise(similarity: np.ndarray) -> str:
    """Cosines → bytes (−1 is 0, 1 is 255), as base64: for colours and histograms only."""
    levels = np.clip(np.rint((similarity + 1) * 127.5), 0, 255).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode()


def view_reply(view: View) -> dict[str, Any]:
    """A view as the page reads it."""
    return {
        "steps": [step._asdict() for step in view.steps],
        "codes": pack(view.codes),
        "similarity": quantise(view.similarity),
    }


def batch_reply(held: Held) -> dict[str, Any]:
    """What the page must know of a batch; the pictures come by URL."""
    batch = held.batch
    reply: dict[str, Any] = {
        "batch": held.key,
        "recipe": {k: v for k, v in held.recipe.items() if k != "indices"},
        "names": batch.names,
        "notes": batch.notes,
        "grids": [list(grid) for grid in batch.grids],
        "starts": list(batch.starts),
        "shapes": [list(image.shape[:2]) for image in batch.images],
        "patch": batch.patch,
        "dimensions": batch.features.shape[1],
        "backbone": batch.backbone.name,
        "backbone_title": batch.backbone.title,
        "backbone_note": batch.backbone.note,
        "labels": None,
        # What the styles must know to say whether they can be shown.
        "lengths": batch.norms is not None,
        "attends": None if batch.attends is None else batch.attends._asdict(),
    }
    if batch.labels is not None:
        reply["labels"] = base64.b64encode(batch.labels.numpy().astype("<i2").tobytes()).decode()
        reply["classes"] = batch.classes
        reply["colours"] = batch.colours
    return reply
