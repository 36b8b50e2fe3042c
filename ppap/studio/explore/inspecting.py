"""What there is to see in a batch's features: worked out when it is first asked for, and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ppap.batches import Batch, check_index
from ppap.inspection.clusters import Clusters, clusters
from ppap.inspection.components import Components, Pause, components, likely_background
from ppap.inspection.lengths import Outliers, outliers
from ppap.settings import excerpt
from ppap.studio.explore.attending import Attending, Weights
from ppap.studio.explore.device import Device
from ppap.studio.requests import RequestError
from ppap.studio.store import Held

LEAST_CLUSTERS, MOST_CLUSTERS = 2, 64


class Background(NamedTuple):
    """Components, and the patch whose side was taken away."""

    components: Components
    patch: int | None


class Inspector:
    """Answers for held batches; clicks go first. Safe for many threads."""

    def __init__(self, loader: Any, device: Device) -> None:
        self.device = device
        self._attending = Attending(loader, device)

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

    def attention(
        self, held: Held, anchor: int | None = None, seconds: float | None = None
    ) -> Weights:
        """Attention from the class tokens of all images, or from one patch within its image.

        ``seconds``: see ``Attending.of_classes``.

        Raises:
            RequestError: the features come from no ViT, or from one without a class token.
        """
        if anchor is None:
            return self._attending.of_classes(held, seconds)
        return self._attending.of_anchor(held, anchor)

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
    said = "The background must be left out, auto, or an image and a position in it, 0 to 1."
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
        raise RequestError("Attention must start from the class token (class) or the anchor.")
    return check_index("anchor", request.get("anchor"), len(batch.features))


def read_head(value: Any, heads: int) -> int | None:
    """A head, or None for the mean of all."""
    return None if value is None else check_index("head", value, heads)
