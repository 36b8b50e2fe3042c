"""Draws the README's moving picture: ``python -m tests.support.moving_picture``, half a minute.

A proxy gathers its patches: four of the sample photos, and all their patches on a map. It is what
Explore exports as an animation, in another layout.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

import ppap
from ppap.batches import Batch
from ppap.data import samples_dataset
from ppap.embedding.layout import fit_map
from ppap.places import ROOT
from ppap.settings import EMBEDDED_PRESET
from ppap.studio.explore.animation import draw_map, frames
from ppap.studio.explore.layout import lay_out
from ppap.studio.explore.looks.base import Look, Panel
from ppap.studio.explore.pictures import arrange, draw_panel
from ppap.studio.explore.views import View, gather

FILE = ROOT / "assets" / "figures" / "proxy.webp"
PHOTOS = ("cheetah1", "lion", "cheetah", "china")
LINES = (2, 2)
SIZE = 448
MUZZLE = {"image": 0, "row": 15, "column": 12}
HEIGHT, QUALITY = 560, 75


def main() -> None:
    """Draw and write it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=FILE, metavar="FILE")
    out: Path = parser.parse_args().out
    batch = sample_batch()
    view = gather(batch, batch.index(**MUZZLE), EMBEDDED_PRESET.settings)
    places = fit_map(batch.features.numpy(), lambda share: None).points
    stills = [still(batch, view, step, places) for step in range(len(view.steps))]
    shown = list(frames(stills, lambda text, share: None))
    first, *rest = [frame.image for frame in shown]
    times = [frame.milliseconds for frame in shown]
    first.save(out, save_all=True, append_images=rest, duration=times, quality=QUALITY, method=6)
    print(f"{out}: {out.stat().st_size / 1000:.0f} kB, {first.width} × {first.height}")


def sample_batch() -> Batch:
    """The photos of the picture, embedded."""
    photos = samples_dataset()
    chosen = [i for i in range(len(photos)) if photos.items[i].name in PHOTOS]
    backbone = ppap.load_backbone("embedded")
    return ppap.make_batch([photos.load(i) for i in chosen], backbone, size=SIZE)


def still(batch: Batch, view: View, step: int, places: np.ndarray) -> Image.Image:
    """A step: the photos under their sets, and the map to their right, equally high."""
    numbers = view.steps[step]
    said = (
        f"Step {step} of {len(view.steps) - 1}: {numbers.positive} positive (blue), "
        f"{numbers.ambiguous} ambiguous (amber), {numbers.negative} negative (dark)."
    )
    nearest = numbers.nearest[0] if step and numbers.nearest else None
    anchor = int(view.sets.anchors[0])
    panel = Panel([said], view.codes[step], view.similarity[step], anchor, nearest)
    photos = draw_panel(batch, panel, Look(), arrange(batch, [panel], LINES))
    side = photos.height - lay_out(batch, LINES, 1).places[0].y
    sheet = Image.new("RGB", (photos.width + side, photos.height), "white")
    sheet.paste(photos, (0, 0))
    sheet.paste(draw_map(view, step, places, side), (photos.width, photos.height - side))
    return ImageOps.contain(sheet, (sheet.width, HEIGHT))


if __name__ == "__main__":
    main()
