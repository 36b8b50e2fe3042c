"""Two sets of features side by side: the same images, one anchor, and what changes between them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from ppap.batches import Batch
from ppap.rivals import Choice
from ppap.settings import SettingError, read_settings
from ppap.studio.explore import views
from ppap.studio.explore.exports import Shown
from ppap.studio.requests import RequestError, mapping, refused
from ppap.studio.store import BatchGone, BatchStore, Held

# Sources of features of one's own.
OWN = {"npz", "memory"}
# What becomes of a patch from the first set of positives to the second; assets/studio/explore/
# difference.js has the same.
SAME, GAINED, LOST, KEPT = 0, 1, 2, 3


class Pairing(NamedTuple):
    """Which patch of one grid holds the middle of which patch of the other."""

    second: np.ndarray
    """The patch of the second features for each of the first, int64 ``(N,)``."""
    first: np.ndarray
    """The patch of the first features for each of the second, int64 ``(M,)``."""


class Second(NamedTuple):
    """What stands beside the first features."""

    held: Held
    shown: Shown
    pairing: Pairing

    @property
    def anchor(self) -> int:
        """Its patch that holds the middle of the anchor."""
        return int(self.shown.view.sets.anchors[0])

    def request(self) -> dict[str, Any]:
        """What would be asked for to see them alone."""
        settings = self.shown.choice.settings.as_dict()
        return {"batch": self.held.key, "anchor": self.anchor, "settings": settings, "beside": None}


class Right(NamedTuple):
    """How many patches have the anchor's class."""

    right: int
    labelled: int
    """Of how many: void patches do not count."""


def holding(first: Batch, second: Batch) -> np.ndarray:
    """For each patch of ``first`` the patch of ``second`` that holds its middle, int64 ``(N,)``.

    Both have the same images; a place is a share of its image's height and width. In whole numbers,
    so that a middle on a border always goes to the patch right of it or below it.
    """
    parts = []
    for image, (here, there) in enumerate(zip(first.grids, second.grids, strict=True)):
        rows = (2 * np.arange(here.rows) + 1) * there.rows // (2 * here.rows)
        columns = (2 * np.arange(here.columns) + 1) * there.columns // (2 * here.columns)
        parts.append(second.starts[image] + rows[:, None] * there.columns + columns[None])
    return np.concatenate([part.reshape(-1) for part in parts])


def paired(first: Held, second: Held) -> Pairing:
    """The patches of two batches of the same images; RequestError where the images differ."""

    def make() -> Pairing:
        if not same_images(first, second):
            raise RequestError("The features to compare must come from the same images.")
        return Pairing(holding(first.batch, second.batch), holding(second.batch, first.batch))

    # Not by the key alone: what is derived from a batch ends with the batch.
    pairing: Pairing = first.derive(("beside", second.key), make)
    return pairing


def same_images(held: Held, beside: Held) -> bool:
    """Whether two batches show the same images, which patches of other sides may have resized.

    Features of one's own come with other names or without any, and with other pictures or without:
    of them only the number of the images and their proportions are held against the others'.
    """
    if held is beside:
        return True
    first, second = held.batch, beside.batch
    if len(first) != len(second):
        return False
    slack = first.patch + second.patch
    pairs = list(zip(first.images, second.images, strict=True))
    if OWN & {held.recipe["source"], beside.recipe["source"]}:
        return all(proportional(a, b, slack) for a, b in pairs)
    return first.names == second.names and all(alike(a, b, slack) for a, b in pairs)


def alike(first: np.ndarray, second: np.ndarray, slack: int) -> bool:
    """Equal pixels, or other sides of the same proportions up to ``slack`` pixels."""
    if first.shape == second.shape:
        return first is second or np.array_equal(first, second)
    return proportional(first, second, slack)


def proportional(first: np.ndarray, second: np.ndarray, slack: int) -> bool:
    """Whether two images have the same proportions, up to ``slack`` pixels of either.

    The scale is that of the heights or that of the widths: the short side of a panorama, a patch
    high, may have become twice as long.
    """
    (height, width), (high, wide) = first.shape[:2], second.shape[:2]
    by_height = abs(height * wide / high - width), abs(high * width / height - wide)
    by_width = abs(width * high / wide - height), abs(wide * height / width - high)
    return max(by_height) <= slack or max(by_width) <= slack


def gather_beside(
    store: BatchStore, device: AbstractContextManager[Any], first: Held, anchor: int, raw: Any
) -> Second:
    """The second features' sets for the anchor of the first ones.

    Args:
        store: has the batches; it looks whose they are.
        device: whose turn it is to compute.
        first: the first features.
        anchor: a patch of theirs.
        raw: ``{batch, settings}`` of the second features, untrusted.
    """
    raw = mapping(raw)
    held = store.get(raw.get("batch"))
    settings = read_settings(mapping(raw.get("settings")))
    pairing = paired(first, held)
    with device:
        view = views.gather(held.batch, int(pairing.second[anchor]), settings)
    return Second(held, Shown(Choice("ppap", settings), view), pairing)


def attempt(make: Callable[[], Second]) -> tuple[Second | None, dict[str, Any] | None]:
    """The second features' sets, or why there are none, as pages get it; the first ones stay."""
    try:
        return make(), None
    except (SettingError, RequestError, BatchGone) as error:
        return None, {**refused(error), "gone": isinstance(error, BatchGone)}


def beside_reply(second: Second) -> dict[str, Any]:
    """The second features' sets as the page reads them."""
    return {"view": views.view_reply(second.shown.view), "anchor": second.anchor}


def step_beside(step: int, first: views.View, second: views.View) -> int:
    """The step of the second features that stands beside a step of the first: the same, and its
    last beside the last."""
    last = len(second.steps) - 1
    return last if step == len(first.steps) - 1 else min(step, last)


def change(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """From codes of sets to codes of their difference, patch by patch; both uint8 ``(N,)``.

    An anchor is in none of its own sets: neither gained nor lost.
    """
    before, after = first == views.POSITIVE, second == views.POSITIVE
    anchors = (first == views.ANCHOR) | (second == views.ANCHOR)
    out = np.full(first.shape, SAME, np.uint8)
    out[after & ~before & ~anchors] = GAINED
    out[before & ~after & ~anchors] = LOST
    out[before & after] = KEPT
    return out


def changes(own: Shown, second: Second, step: int) -> tuple[np.ndarray, np.ndarray]:
    """The difference at a step of the first features: on their grid, and on the second's."""
    before = own.view.codes[step]
    after = second.shown.view.codes[step_beside(step, own.view, second.shown.view)]
    here = change(before, after[second.pairing.second])
    there = change(before[second.pairing.first], after)
    return here, there


def right_of(members: np.ndarray, labels: Tensor | None, anchor: int) -> Right | None:
    """How many of some patches, bool ``(N,)``, have the anchor's class; None where it has none."""
    if labels is None or int(labels[anchor]) < 0:
        return None
    classes = labels.numpy()[members]
    return Right(int((classes == int(labels[anchor])).sum()), int((classes >= 0).sum()))
