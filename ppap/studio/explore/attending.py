"""Attention of held batches: image by image where it is of all of them, so that nobody waits."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Any, NamedTuple

import numpy as np
import torch

from ppap.backbones import TrunkOutput
from ppap.backbones.attention import Attends, last_attention
from ppap.studio.explore.device import Device
from ppap.studio.requests import RequestError
from ppap.studio.store import Held

# Outputs of a trunk are kept for the next anchor of the same image, if they are not larger.
MOST_TRUNKS, LARGEST_TRUNK = 2, 64 * 2**20
# Anchors whose attention is kept.
MOST_ANCHORS = 8


class Weights(NamedTuple):
    """The last block's attention from one token of each image that it is of."""

    heads: np.ndarray
    """Of the n patches that are shown, float32 ``(heads, n)``."""
    shown: np.ndarray
    """bool ``(N,)``: the patches of the images that it is of, n of them."""
    even: np.ndarray
    """How many patches a patch's image has, float32 ``(n,)``: a weight times that is 1 where all of
    them share the attention evenly."""
    on_patches: np.ndarray
    """Share of the attention that goes to patches, not to class and register tokens, ``(heads,)``:
    the mean over the images."""
    left: int = 0
    """Images that are still to be looked at."""


class Sofar:
    """What is known of the class tokens of a batch."""

    def __init__(self, heads: int, patches: int) -> None:
        self.lock = threading.Lock()
        self.heads = np.zeros((heads, patches), np.float32)
        self.prefix: list[np.ndarray] = []  # of each image that was looked at, in order


class Attending:
    """Answers for held batches; clicks go first. Safe for many threads."""

    def __init__(self, loader: Any, device: Device) -> None:
        self.loader, self.device = loader, device
        self._trunks: OrderedDict[tuple[str, int], TrunkOutput] = OrderedDict()
        self._anchors: OrderedDict[tuple[str, int], Weights] = OrderedDict()
        self._lock = threading.Lock()

    def of_classes(self, held: Held, seconds: float | None = None) -> Weights:
        """Attention from the class token of every image.

        Args:
            held: a batch.
            seconds: no image is begun after them, but for the first; None: all are looked at.

        Raises:
            RequestError: the features come from no ViT, or from one without a class token.
        """
        attends = allowed(held)
        if not attends.class_token:
            raise RequestError(
                "This ViT has no class token. Choose the anchor instead.", field="from"
            )
        batch = held.batch
        sofar: Sofar = held.derive("attention", lambda: Sofar(attends.heads, batch.starts[-1]))
        with sofar.lock:
            end = None if seconds is None else time.monotonic() + seconds
            while (done := len(sofar.prefix)) < len(batch):
                weights, prefix = self._look(held, done, None)
                sofar.heads[:, batch.starts[done] : batch.starts[done + 1]] = weights
                sofar.prefix.append(prefix)
                if end is not None and time.monotonic() > end:
                    break
            done = len(sofar.prefix)
            known = batch.starts[done]
            even = np.repeat(batch.counts[:done], batch.counts[:done]).astype(np.float32)
            return Weights(
                sofar.heads[:, :known].copy(),
                np.arange(batch.starts[-1]) < known,
                even,
                1 - np.mean(sofar.prefix, axis=0),
                len(batch) - done,
            )

    def of_anchor(self, held: Held, anchor: int) -> Weights:
        """Attention from one patch within its image.

        Raises:
            RequestError: the features come from no ViT.
        """
        allowed(held)
        key = (held.key, anchor)
        with self._lock:
            if key in self._anchors:
                self._anchors.move_to_end(key)
                return self._anchors[key]
        batch = held.batch
        image = batch.position(anchor).image
        first, after = batch.starts[image : image + 2]
        heads, prefix = self._look(held, image, anchor - first)
        patches = np.arange(batch.starts[-1])
        even = np.full(after - first, after - first, np.float32)
        found = Weights(heads, (patches >= first) & (patches < after), even, 1 - prefix)
        with self._lock:
            self._anchors[key] = found
            while len(self._anchors) > MOST_ANCHORS:
                self._anchors.popitem(last=False)
        return found

    def _look(self, held: Held, image: int, query: int | None) -> tuple[np.ndarray, np.ndarray]:
        """Weights to the patches of an image ``(heads, h·w)``, and to all other tokens."""
        vit, block = self.loader.backbone_of(held).attending()
        trunk = self._trunk(held, vit, image, keep=query is not None)
        with self.device.behind():
            found = last_attention(vit, trunk, query, last_block=block)
        return found.patches[0].flatten(1).numpy(), found.prefix[0].sum(1).numpy()

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
        if keep and output.tokens.nbytes <= LARGEST_TRUNK:
            with self._lock:
                self._trunks[key] = output
                while len(self._trunks) > MOST_TRUNKS:
                    self._trunks.popitem(last=False)
        return output


def allowed(held: Held) -> Attends:
    """What there is to look at in a batch; RequestError where there is nothing."""
    attends = held.batch.attends
    if attends is None:
        raise RequestError(
            "These features came without their network, so there is no attention to show."
        )
    if attends.reason:
        raise RequestError(attends.reason)
    return attends
