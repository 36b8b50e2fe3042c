"""The data sets of ``layouts`` with pictures large enough to learn from, and labels to match.

Every file stays where the real one is and in its format; only what is in it is another.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.support import layouts

HEIGHT, WIDTH = 48, 64
# Numbers that stand in the label files of each data set, void among them.
STORED = {
    "cocostuff27": (0, 24, 91, 181, 255),
    "cityscapes27": (7, 11, 33, 0),
    "potsdam3": (0, 1, 2, 3, 255),
    "imagenet_s": (0, 8, 50, 1000),
    "camvid": (0, 3, 10, 11),
    "folder": (0, 1, 255),
}


class Painter:
    """Draws patches of flat colour with noise, and the label map that goes with them."""

    def __init__(self, kind: str) -> None:
        self.chance = np.random.default_rng(0)
        self.stored = np.array(STORED[kind])
        self.colours = self.chance.integers(40, 215, (len(self.stored), 3))
        self.places = self.areas()

    def areas(self) -> np.ndarray:
        """Which of the numbers is where: patches of 16 × 16."""
        coarse = self.chance.integers(0, len(self.stored), (HEIGHT // 16, WIDTH // 16))
        grown: np.ndarray = coarse.repeat(16, 0).repeat(16, 1)
        return grown

    def photo(self) -> np.ndarray:
        """uint8 ``(H, W, 3)``."""
        noise = self.chance.integers(-40, 40, (HEIGHT, WIDTH, 3))
        return (self.colours[self.places] + noise).clip(0, 255).astype(np.uint8)

    def labels(self) -> np.ndarray:
        """The numbers, int64 ``(H, W)``."""
        found: np.ndarray = self.stored[self.places]
        return found


def grown(kind: str, root: Path) -> Path:
    """Build a data set of that kind in ``root``."""
    layouts.LAYOUTS[kind](root)
    draw: Callable[[Painter, Path], None] = draw_mat if kind == "potsdam3" else draw_picture
    painter = Painter(kind)
    for file in sorted(root.rglob("*")):
        if file.is_file() and file.suffix.lower() in (".jpg", ".jpeg", ".png", ".mat"):
            draw(painter, file)
    return root


def draw_picture(painter: Painter, file: Path) -> None:
    """A photo, a label map or a mask again, in the mode that it was in."""
    with Image.open(file) as image:
        mode = image.mode
    if "-segmentation" in file.as_posix():
        ids = painter.labels()
        values = np.stack([ids % 256, ids // 256, ids * 0], axis=-1)
    else:
        values = painter.photo() if mode == "RGB" else painter.labels()
    Image.fromarray(values.astype(np.uint8)).save(file)


def draw_mat(painter: Painter, file: Path) -> None:
    """Potsdam's photos with a fourth channel, and its label maps."""
    from scipy.io import savemat

    if file.parent.name == "imgs":
        near_infrared = painter.chance.integers(0, 255, (HEIGHT, WIDTH, 1), dtype=np.uint8)
        savemat(file, {"img": np.concatenate([painter.photo(), near_infrared], axis=2)})
    else:
        savemat(file, {"gt": painter.labels().astype(np.uint8)})
