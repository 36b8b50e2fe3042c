"""The map of a batch's patches, and one that starts from another batch's places."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import numpy as np

from ppap.embedding.service import MapService, MapStatus, pca_map
from ppap.studio.answers import answering
from ppap.studio.explore.beside import paired
from ppap.studio.requests import mapping
from ppap.studio.store import BatchStore, Held

MAP_STATES = {
    "warming": "Preparing UMAP",
    "queued": "UMAP is waiting",
    "fitting": "Fitting UMAP",
}
FOLLOWED = "UMAP of the second features, started from the first map so that patches move little."


class Maps:
    """What the Explore page asks about maps.

    Args:
        store: has the batches.
        service: lays maps out, one after another.
    """

    def __init__(self, store: BatchStore, service: MapService) -> None:
        self.store, self.service = store, service

    def calls(self) -> list[Callable[[Any], Any]]:
        """What the page may call, by its name."""
        return [self.map, self.map_beside]

    @answering
    def map(self, request: Any) -> dict[str, Any]:
        """The map as far as it is: the stand-in at once, UMAP when it is ready."""
        request = mapping(request)
        return self.first(self.store.get(request.get("batch")), request.get("have"))

    @answering
    def map_beside(self, request: Any) -> dict[str, Any]:
        """The map of the second features, ``beside``, which starts from the first's places.

        Until the first map is ready, the second's is its stand-in, turned towards the first's.
        """
        request = mapping(request)
        first = self.store.get(request.get("batch"))
        second = self.store.get(request.get("beside"))
        have = request.get("have")
        if second is first:
            return self.first(first, have)
        partners = paired(first, second).first
        status = self.asked(first.key, first.batch.features.numpy(), None, have)
        places = self.service.result(first.key)
        if places is not None:
            key = f"{second.key} beside {first.key}"
            status = self.asked(key, second.batch.features.numpy(), places[partners], have)
            fitted = self.service.result(key)
            text = FOLLOWED if fitted is not None and not status.note else map_text(status)
        else:
            fitted, text = None, map_text(status)

        def stand_in() -> np.ndarray:
            turned = stand_in_of(first)[partners]
            return pca_map(second.batch.features.numpy(), turned)

        return answer(
            status, text, fitted, lambda: second.derive(("pca", first.key), stand_in), have
        )

    def first(self, held: Held, have: Any) -> dict[str, Any]:
        """The map of a batch by itself."""
        status = self.asked(held.key, held.batch.features.numpy(), None, have)
        fitted = self.service.result(held.key)
        return answer(status, map_text(status), fitted, lambda: stand_in_of(held), have)

    def asked(
        self, key: str, features: np.ndarray, start: np.ndarray | None, have: Any
    ) -> MapStatus:
        """Where a map stands, once it was asked for."""
        status = self.service.status(key)
        # Asked for once: to submit again would move it before the others that wait. One that failed
        # is tried again where a page asks anew, not each time it looks again.
        if status.state == "unknown" or (status.state == "failed" and have is None):
            self.service.submit(key, features, start)
            status = self.service.status(key)
        return status


def stand_in_of(held: Held) -> np.ndarray:
    """The principal components of a batch, float32 ``(N, 2)``."""
    points: np.ndarray = held.derive("pca", lambda: pca_map(held.batch.features.numpy()))
    return points


def answer(
    status: MapStatus,
    text: str,
    fitted: np.ndarray | None,
    stand_in: Callable[[], np.ndarray],
    have: Any,
) -> dict[str, Any]:
    """What a page that has the version ``have`` is told; the points only where they are new."""
    settled = status.state == "failed" or fitted is not None
    version = "pca" if fitted is None else "umap"
    reply: dict[str, Any] = {
        "version": version,
        "finished": settled,
        "share": None if settled else status.progress or 0.0,
        "text": text,
        "xy": None,
    }
    if have != version:
        points = stand_in() if fitted is None else fitted
        reply["xy"] = base64.b64encode(points.astype("<f4").tobytes()).decode()
    return reply


def map_text(status: MapStatus) -> str:
    """What the page says about the map."""
    if status.state == "ready":
        return status.note or "UMAP of all patches. Proxies are placed among their nearest patches."
    if status.state == "failed":
        return f"UMAP failed, so this is a PCA map. {status.error or ''}".strip()
    doing = MAP_STATES.get(status.state, "Preparing UMAP")
    return f"{doing} ({status.seconds:.0f} s). A PCA map is shown until then."
