"""What server functions answer with: sentences for exceptions, pictures, packed label maps."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppap.studio.requests import refused
from ppap.studio.store import BatchGone


def answering(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Turn every exception into ``{"error": sentence}``."""

    @wraps(function)
    def reply(self: Any, argument: Any = None) -> dict[str, Any]:
        try:
            return function(self, argument)
        except Exception as error:  # a page must never wait for an answer that does not come
            return {**refused(error), "gone": isinstance(error, BatchGone)}

    return reply


def jpeg(image: Image.Image) -> bytes:
    """An image as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


# More classes than two bytes tell apart, beside the one value that stands for none.
MOST_CLASSES = 65535


class Packed(NamedTuple):
    """A label map, compressed."""

    height: int
    width: int
    depth: int
    """Bytes a pixel, 1 or 2: twice as many bytes as pixels tell a page that it is 2."""
    data: bytes
    """zlib; row by row, little-endian; the largest number stands for no class."""

    def ids(self) -> np.ndarray:
        """The map again, int32 ``(height, width)``, −1 where there is no class."""
        kind = np.dtype("<u2" if self.depth == 2 else np.uint8)
        flat = np.frombuffer(zlib.decompress(self.data), kind).astype(np.int32)
        flat[flat == np.iinfo(kind).max] = -1
        return flat.reshape(self.height, self.width)


def packed(ids: np.ndarray) -> Packed:
    """A label map of ids from 0 to 65534, and −1 where there is none, compressed."""
    height, width = ids.shape
    highest = int(ids.max(initial=-1))
    if highest >= MOST_CLASSES:
        raise ValueError(f"a label map for a page holds ids up to {MOST_CLASSES - 1}: {highest}")
    # −1 becomes the largest number there is.
    depth, kind = (1, "u1") if highest < 255 else (2, "<u2")
    return Packed(height, width, depth, zlib.compress(ids.astype(kind).tobytes(), 3))
