"""One image of a report, as the page gets it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from ppap.data import Example
from ppap.data.squares import Window, nearest, window
from ppap.studio import sample
from ppap.studio.answers import jpeg, packed

# A longer picture than that many squares is shown as its square alone.
LONGEST = 4
# The longer side of the photo that is sent, in pixels.
MOST_SIDE = 1280


def image_reply(
    example: Example, truth: np.ndarray, maps: Mapping[str, np.ndarray], *, whole: bool
) -> dict[str, Any]:
    """A photo and label maps as text for JSON.

    Args:
        example: the item as its data set has it.
        truth: class ids of the square that was scored, ``(S, S)``, −1 where there is none.
        maps: predictions of the same square, by name.
        whole: whether the photo is sent whole, with the truth of all of it.

    Returns:
        ``width`` and ``height`` of the truth in pixels of the square's kind; ``square``: where in
        it the predictions belong, ``{left, top, size}``; ``photo`` as a data address, ``maps``.
    """
    size = truth.shape[0]
    rgb = example.photo.rgb
    cut = window(rgb.shape[0], rgb.shape[1], size)
    image = Image.fromarray(rgb)
    if whole and max(cut.height, cut.width) <= LONGEST * size:
        around = truth_around(example, truth, cut)
    else:
        image, around, cut = cropped(image, cut, size), truth, Window(size, size, 0, 0)
    image.thumbnail((MOST_SIDE, MOST_SIDE), Image.Resampling.BICUBIC)
    photo = base64.b64encode(jpeg(image)).decode()
    return {
        "width": cut.width,
        "height": cut.height,
        "square": {"left": cut.left, "top": cut.top, "size": size},
        "photo": f"data:image/jpeg;base64,{photo}",
        "maps": {
            name: base64.b64encode(packed(ids).data).decode()
            for name, ids in {"truth": around, **maps}.items()
        },
    }


def truth_around(example: Example, truth: np.ndarray, cut: Window) -> np.ndarray:
    """The label map of a whole photo in the pixels of its square, ``(cut.height, cut.width)``."""
    size = truth.shape[0]
    if example.labels is None:
        around = np.full((cut.height, cut.width), -1)
    else:
        height, width = example.labels.shape
        rows = nearest(0, cut.height, cut.height, height)
        around = example.labels[rows[:, None], nearest(0, cut.width, cut.width, width)]
    around[cut.top : cut.top + size, cut.left : cut.left + size] = truth
    return around


def cropped(image: Image.Image, cut: Window, size: int) -> Image.Image:
    """The part of a photo that the square shows, in the photo's own pixels."""
    across, down = image.width / cut.width, image.height / cut.height
    left, top = round(cut.left * across), round(cut.top * down)
    right, bottom = round((cut.left + size) * across), round((cut.top + size) * down)
    return image.crop((left, top, max(right, left + 1), max(bottom, top + 1)))


def sample_image(index: int, whole: bool) -> dict[str, Any]:
    """A photo of the sample report; RequestError where the photos are not at hand."""
    truth = sample.square(index).labels
    predictions = {kind: sample.prediction(index, kind) for kind in sample.KINDS}
    return image_reply(sample.photos().load(index), truth, predictions, whole=whole)
