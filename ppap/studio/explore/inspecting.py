"""What there is to see in a batch's features: worked out when it is first asked for, and kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import torch

from ppap.backbones import TrunkOutput
from ppap.backbones.attention import last_attention
from ppap.batches import Batch, check_index
from ppap.inspection.clusters import Clusters, clusters
from ppap.inspection.components import Components, Pause, components, likely_background
from ppap.inspection.lengths import Outliers, outliers
from ppap.settings import excerpt
from ppap.studio.explore.device import Device
from ppap.studio.requests import RequestError
from ppap.studio.store import Held

LEAST_CLUSTERS, MOST_CLUSTERS = 2, 64
# Outputs of trunks that are kept for the next anchor of the same image.
MOST_TRUNKS = 2


class Background(NamedTuple):
    """Components, and the patch whose side was taken away."""

    components: Components
    patch: int | None


class Weights(NamedTuple):
    """The last block's attention from one token of each image that it is of."""

    heads: np.ndarray
    """float32 ``(heads, N)``; 0 for the patches of other images."""
    shown: np.ndarray
    """bool ``(N,)``: the patches of the images that it is of."""
    even: np.ndarray
    """How many patches a patch's image has, float32 ``(N,)``: a weight times that is 1 where all of
    them share the attention evenly."""
    on_patches: np.ndarray
    """Share of the attention that goes to patches, not to class and register tokens, ``(heads,)``:
    the mean over the images."""


class Inspector:
    """Answers for held batches; clicks go first. Safe for many threads."""

    def __init__(self, loader: Any, device: Device) -> None:
        self.loader, self.device = loader, device
        self._trunks: OrderedDict[tuple[str, int], TrunkOutput] = OrderedDict()
        self._lock = threading.Lock()

    def components(self, held: Held, background: int | str | None = None) -> Background:
        """The first three components; without the side of the patch ``background``, or "auto"."""

        def made() -> Background:
            with self.turn() as pause:
                features, patch = held.batch.features, background
                if patch == "auto":
                    patch = likely_background(features, border(held.batch), pause)
                assert patch is None or isinstance(patch, int)
                return Background(components(features, background=patch, pause=pause), patch)

        found: Background = held.derive(("components", background), made)
        return found

    def lengths(self, held: Held) -> tuple[np.ndarray, Outliers]:
        """The lengths of all features, float32 ``(N,)``, and which stand out."""
        if held.batch.norms is None:
            raise RequestError("The lengths of these features are not known.")
        lengths = held.batch.norms.numpy()
        return lengths, held.derive("outliers", lambda: outliers(lengths))

    def clusters(self, held: Held, count: int) -> Clusters:
        """Clusters of all patches; RequestError where there are fewer patches than that."""
        patches = len(held.batch.features)
        if not LEAST_CLUSTERS <= count <= min(MOST_CLUSTERS, patches):
            most = min(MOST_CLUSTERS, patches)
            said = f"There can be {LEAST_CLUSTERS} to {most} clusters, not {excerpt(count)}."
            raise RequestError(said, field="count")

        def made() -> Clusters:
            with self.turn() as pause:
                return clusters(held.batch.features, count, pause=pause)

        found: Clusters = held.derive(("clusters", count), made)
        return found

    def attention(self, held: Held, anchor: int | None = None) -> Weights:
        """Attention from the class tokens of all images, or from one patch within its image.

        Raises:
            RequestError: the features come from no ViT, or from one without a class token.
        """
        attends = held.batch.attends
        if attends is None:
            raise RequestError("These features came without their network: no attention is known.")
        if attends.reason:
            raise RequestError(attends.reason)
        if anchor is None and not attends.class_token:
            raise RequestError("This ViT has no class token: choose the anchor.", field="from")
        return held.derive(("attention", anchor), lambda: self._attention(held, anchor))

    def _attention(self, held: Held, anchor: int | None) -> Weights:
        batch, attends = held.batch, held.batch.attends
        assert attends is not None
        found = np.zeros((attends.heads, len(batch.features)), np.float32)
        shown = np.zeros(len(batch.features), bool)
        where = None if anchor is None else batch.position(anchor)
        images = range(len(batch)) if where is None else [where.image]
        vit, block = self.loader.backbone_of(held).attending()
        prefix = []
        for image in images:
            part = slice(batch.starts[image], batch.starts[image + 1])
            query = None if anchor is None else anchor - part.start
            trunk = self._trunk(held, vit, image, keep=anchor is not None)
            with self.device.behind():
                weights = last_attention(vit, trunk, query, last_block=block)
            found[:, part] = weights.patches[0].flatten(1).numpy()
            prefix.append(weights.prefix[0].sum(1).numpy())
            shown[part] = True
        even = np.repeat(batch.counts, batch.counts).astype(np.float32)
        return Weights(found, shown, even, 1 - np.mean(prefix, axis=0))

    def _trunk(self, held: Held, vit: Any, image: int, *, keep: bool) -> TrunkOutput:
        """What the last block is given for an image."""
        key = (held.key, image)
        with self._lock:
            if key in self._trunks:
                self._trunks.move_to_end(key)
                return self._trunks[key]
        like = vit.mean
        pixels = torch.from_numpy(held.batch.images[image]).to(like.device)
        with torch.no_grad():
            output: TrunkOutput = vit.trunk(pixels.permute(2, 0, 1).unsqueeze(0).to(like) / 255)
        if keep:
            with self._lock:
                self._trunks[key] = output
                while len(self._trunks) > MOST_TRUNKS:
                    self._trunks.popitem(last=False)
        return output

    @contextmanager
    def turn(self) -> Iterator[Pause]:
        """The device for a piece of work; what it gives is called where clicks may go first."""
        held = self.device.behind()
        held.__enter__()

        def pause() -> None:
            nonlocal held
            held.__exit__(None, None, None)
            held = self.device.behind()
            held.__enter__()

        try:
            yield pause
        finally:
            held.__exit__(None, None, None)


def border(batch: Batch) -> np.ndarray:
    """Which patches lie at the edge of their image, bool ``(N,)``."""
    parts = []
    for rows, columns in batch.grids:
        edge = np.ones((rows, columns), bool)
        edge[1:-1, 1:-1] = False
        parts.append(edge.reshape(-1))
    return np.concatenate(parts)


def read_background(batch: Batch, value: Any) -> int | str | None:
    """None, "auto", or a patch of the background: its image and where it lies there, from 0 at the
    top and the left to 1, so that it means the same at every resolution."""
    if value is None or value == "auto":
        return None if value is None else "auto"
    said = "The background must be left out, auto, or an image and a place in it, from 0 to 1."
    if not isinstance(value, list | tuple) or len(value) != 3:
        raise RequestError(said)
    image, *place = value
    grid = batch.grids[check_index("image", image, len(batch))]
    if not all(isinstance(part, int | float) and 0 <= part < 1 for part in place):
        raise RequestError(said)
    return batch.index(image, *(int(part * n) for part, n in zip(place, grid, strict=True)))


def read_count(value: Any) -> int:
    """How many clusters; the upper limit also depends on the batch."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise RequestError(
            f"The number of clusters must be a whole number from {LEAST_CLUSTERS} to "
            f"{MOST_CLUSTERS}, not {excerpt(value)}.",
            field="count",
        )
    return value


def read_from(batch: Batch, request: Mapping[str, Any]) -> int | None:
    """The patch that attention goes out from; None for the class token."""
    start = request.get("from")
    if start == "class":
        return None
    if start != "anchor":
        raise RequestError("Attention goes out from the class token (class) or the anchor.")
    return check_index("anchor", request.get("anchor"), len(batch.features))


def read_head(value: Any, heads: int) -> int | None:
    """A head, or None for the mean of all."""
    return None if value is None else check_index("head", value, heads)
