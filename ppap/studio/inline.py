"""``ppap.explore``: the Explore page on what is in memory, from a script or a notebook."""

from __future__ import annotations

import atexit
import html
import secrets
import threading
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from ppap.backbones import BackboneInfo
from ppap.batches import Batch
from ppap.own_features.arrays import OwnFeatures
from ppap.own_features.batch import INFO, own_batch
from ppap.studio.own_source import Own

HOST = "127.0.0.1"
# Others may take a free port between the look and the use of it.
TRIES = 5


class Exploring:
    """The Explore page on a batch of one's own, until it is closed or this process ends.

    Shown as the last thing in a notebook's cell, it is the page itself.
    """

    def __init__(self, batch: Batch, key: str, address: str, frame: str, height: int) -> None:
        self.batch = batch
        """What is explored: its features are normalised."""
        query = {"source": "memory", "backbone": "memory", "memory": key}
        self.url = f"{address}?{urlencode(query)}"
        """Open it in a browser on this machine."""
        self._key, self._frame, self._height = key, frame, height

    def close(self) -> None:
        """Let go of the features; the studio ends with the last of them. Harmless when repeated."""
        _STUDIO.release(self._key)

    def wait(self) -> None:
        """Do not go on before Ctrl+C: for the end of a script, with which the page would end."""
        print(f"Open {self.url} in a browser. Press Ctrl+C to stop.", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            self.close()

    def __enter__(self) -> Exploring:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Explore: {self.url}>"

    def _repr_html_(self) -> str:
        """For Jupyter: the page in a frame, and its address for where no frame can reach it."""
        url = html.escape(self.url)
        framed = html.escape(f"{self.url}&{urlencode({'frame': self._frame})}")
        return (
            f'<p><a href="{url}" target="_blank">{url}</a></p>'
            f'<iframe src="{framed}" width="100%" height="{self._height}" '
            'style="border:1px solid #ccd" allow="clipboard-write"></iframe>'
        )


class _Shared:
    """One studio for all that is explored in this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._studio: Any = None
        self.frame = secrets.token_urlsafe(24)

    def show(self, key: str, own: Own) -> str:
        """Offer features under a key; the address of the studio."""
        with self._lock:
            if self._studio is None:
                self._studio = _started(self.frame)
            self._studio.loader.given[key] = own
            return str(self._studio.blocks.local_url)

    def release(self, key: str) -> None:
        """No longer offer a key's features."""
        with self._lock:
            if self._studio is None:
                return
            self._studio.loader.given.pop(key, None)
            if not self._studio.loader.given:
                self._studio.close()
                self._studio = None

    def close(self) -> None:
        """This process ends."""
        with self._lock:
            if self._studio is not None:
                self._studio.close()
                self._studio = None


_STUDIO = _Shared()
atexit.register(_STUDIO.close)


def _started(frame: str) -> Any:
    """A studio that only this machine can reach, serving in the background."""
    from ppap.surroundings import mend_proxies

    mend_proxies([HOST])
    from ppap.studio.access.listening import CannotListen, free_port
    from ppap.studio.access.options import Access
    from ppap.studio.page import Studio  # takes seconds

    studio = Studio(access=Access(frame=frame))
    for left in reversed(range(TRIES)):
        try:
            studio.serve(host=HOST, port=free_port(HOST))
            break
        except CannotListen:
            if not left:
                studio.close()
                raise
    return studio


def explore(
    features: Any,
    images: Any = None,
    labels: Any = None,
    classes: Sequence[str] = (),
    *,
    names: Sequence[str] = (),
    title: str = INFO.title,
    height: int = 900,
) -> Exploring:
    """Open the Explore page on features that are in memory, of any network; returns at once.

    A studio is started in the background that only this machine can reach; the next call uses the
    same one. It ends when everything is closed, or with this process.

    Example::

        import ppap

        shown = ppap.explore(features, images, labels, classes=("sky", "road"))
        print(shown.url)   # in a notebook, ``shown`` alone shows the page
        shown.wait()       # at the end of a script

    Args:
        features: numpy or torch, floating point ``(B, h, w, D)``, or a list of ``(h, w, D)`` where
            grids differ. They are L2-normalised here.
        images: ``(B, H, W, 3)``, or a list; uint8, or floating point in [0, 1]; torch's
            ``(3, H, W)`` and Pillow's images are fine, too. Left out, three principal components
            of the features stand in for them.
        labels: class ids ``(B, h, w)`` of patches or ``(B, H, W)`` of pixels; below 0: void.
        classes: names of the classes; numbers otherwise.
        names: what the images are called.
        title: what the features are called.
        height: of the page in a notebook, in pixels.

    Returns:
        The page, with its ``url``, ``close()`` and ``wait()``.

    Raises:
        BatchError: arrays of other shapes, types or sizes, or that do not fit each other.
        OSError: nothing can listen on this machine.
    """
    own = OwnFeatures(features, images, labels, tuple(classes), tuple(names))
    info = BackboneInfo("memory", str(title), INFO.note, needs_download=False)
    batch = own_batch(own, info)
    key = secrets.token_urlsafe(9)
    address = _STUDIO.show(key, Own(batch, pictures=images is not None))
    return Exploring(batch, key, address, _STUDIO.frame, height)
