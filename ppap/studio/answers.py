"""What server functions answer with: sentences for exceptions, pictures, packed label maps."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from functools import wraps
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from ppap.settings import SettingError
from ppap.studio.requests import refusal, sendable
from ppap.studio.store import BatchGone


def answering(function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
    """Turn every exception into ``{"error": sentence}``."""

    @wraps(function)
    def reply(self: Any, argument: Any = None) -> dict[str, Any]:
        try:
            return function(self, argument)
        except Exception as error:  # a page must never wait for an answer that does not come
            field = error.field if isinstance(error, SettingError) else None
            return {
                "error": refusal(error),
                "field": None if field is None else sendable(field),
                "gone": isinstance(error, BatchGone),
            }

    return reply


def jpeg(image: Image.Image) -> bytes:
    """An image as JPEG bytes."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


class Packed(NamedTuple):
    """A label map of at most 256 ids, compressed."""

    height: int
    width: int
    data: bytes
    """zlib; one byte a pixel, row by row."""

    def ids(self) -> np.ndarray:
        """The map again, uint8 ``(height, width)``."""
        flat = np.frombuffer(zlib.decompress(self.data), np.uint8)
        return flat.reshape(self.height, self.width)


def packed(ids: np.ndarray) -> Packed:
    """A label map of ids from 0 to 255, −1 becoming 255, compressed."""
    height, width = ids.shape
    return Packed(height, width, zlib.compress(ids.astype(np.uint8).tobytes(), 3))
