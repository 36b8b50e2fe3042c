"""One image of a report, as the page gets it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from ppap.studio import sample
from ppap.studio.answers import jpeg, packed


def image_reply(rgb: np.ndarray, maps: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """A photo and label maps as text for JSON.

    Args:
        rgb: uint8 ``(S, S, 3)``.
        maps: by name, class ids ``(S, S)``, −1 where there is none.
    """
    photo = base64.b64encode(jpeg(Image.fromarray(rgb))).decode()
    return {
        "size": rgb.shape[0],
        "photo": f"data:image/jpeg;base64,{photo}",
        "maps": {name: base64.b64encode(packed(ids).data).decode() for name, ids in maps.items()},
    }


def sample_image(index: int) -> dict[str, Any]:
    """A photo of the sample report; RequestError where the photos are not at hand."""
    one = sample.square(index)
    predictions = {kind: sample.prediction(index, kind) for kind in sample.KINDS}
    return image_reply(one.rgb, {"truth": one.labels, **predictions})
