from __future__ import annotations

import base64
import io
import itertools
import json
import xml.etree.ElementTree as ET
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.backbones import Grid
from ppap.batches import Batch
from ppap.settings import Settings
from ppap.studio.explore import views as explorer
from ppap.studio.explore.exports import Shown, as_json, as_npz
from ppap.studio.explore.layout import (
    GAP,
    LONGEST_SHEET,
    MARGIN,
    SHEET_PIXELS,
    Place,
    edges,
    lay_out,
    packed,
    sheet_of,
)
from ppap.studio.explore.looks.base import FILL, PALETTE, Look, Panel
from ppap.studio.explore.pictures import arrange, as_png
from ppap.studio.explore.svg import as_svg
from ppap.studio.explore.views import AMBIGUOUS, ANCHOR, NEGATIVE, POSITIVE
from ppap.studio.store import Held
from tests.support.small_studio import mixed_batch, small_batch

SVG = "{http://www.w3.org/2000/svg}"
LINES = ([5], [2, 3], [1, 2, 2], [1] * 5)


@pytest.fixture(scope="module")
def batch() -> Batch:
    made = mixed_batch()
    return replace(made, images=tuple(np.full_like(image, 100) for image in made.images))


def of_grids(*grids: tuple[int, int], patch: int = 16) -> Batch:
    """A batch of nothing but images, black, of so many rows and columns of patches."""
    images = tuple(np.zeros((r * patch, c * patch, 3), np.uint8) for r, c in grids)
    total = sum(r * c for r, c in grids)
    return replace(
        small_batch(1),
        names=tuple(str(i) for i in range(len(grids))),
        images=images,
        grids=tuple(Grid(r, c) for r, c in grids),
        features=torch.zeros(total, 1),
        labels=None,
    )


def panel_of(batch: Batch, codes: np.ndarray, anchor: int, nearest: int | None = None) -> Panel:
    return Panel(["a"], codes, np.linspace(-0.2, 1, len(codes)), anchor, nearest)


def opened(data: bytes) -> np.ndarray:
    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert("RGB")).astype(int)


def blend(colour: Sequence[int], alpha: float) -> list[int]:
    return [round(100 * (1 - alpha) + channel * alpha) for channel in colour]


def test_edges_are_within_half_a_pixel_of_equal_parts() -> None:
    for length, parts in ((128, 4), (99, 7), (7, 3), (500, 499)):
        found = edges(length, parts)
        assert (found[0], found[-1], len(found)) == (0, length, parts + 1)
        assert np.abs(found - np.arange(parts + 1) * length / parts).max() <= 0.5
    assert edges(96, 3).tolist() == [0, 32, 64, 96]


def test_a_patch_is_the_square_between_its_edges() -> None:
    place = Place(10, 20, 96, 64, rows=2, columns=3)
    assert place.square(0, 0) == (10, 20, 42, 52)
    assert place.square(1, 2) == (74, 52, 106, 84)


@pytest.mark.parametrize("across", [1, 2, 5])
def test_equal_images_stand_in_a_grid(across: int) -> None:
    batch = of_grids(*[(4, 4)] * 5, patch=32)
    lines = [min(across, 5 - done) for done in range(0, 5, across)]
    layout = lay_out(batch, lines, 1)
    assert {(p.width, p.height) for p in layout.places} == {(128, 128)}
    for i, place in enumerate(layout.places):
        assert place.x == MARGIN + i % across * (128 + GAP)
        assert place.y == MARGIN + i // across * (128 + GAP)
    assert max(p.x for p in layout.places) + 128 + MARGIN == layout.width
    assert max(p.y for p in layout.places) + 128 + MARGIN == layout.height


def test_64_images_make_no_giant() -> None:
    layout = lay_out(of_grids(*[(56, 56)] * 64, patch=8), [8] * 8, 2)
    assert 2 * layout.width <= 3000 + 2 * 8 * 56
    assert {p.width % 56 for p in layout.places} == {0}


@pytest.mark.parametrize("lines", LINES)
def test_images_of_any_shape_fill_their_lines(batch: Batch, lines: list[int]) -> None:
    layout = lay_out(batch, lines, 1, caption=50)
    for place, grid, image in zip(layout.places, batch.grids, batch.images, strict=True):
        assert (place.rows, place.columns) == grid
        # In proportion, to the pixel; no line higher than its highest image.
        assert abs(place.width - place.height * grid.columns / grid.rows) <= 0.5
        assert place.height <= max(one.shape[0] for one in batch.images)
        assert place.y >= MARGIN + 50
        assert place.y + place.height + MARGIN <= layout.height
        assert place.x + place.width + MARGIN <= layout.width
        assert image.shape[0] >= place.rows * 2
    start = 0
    for count in lines:
        line = layout.places[start : start + count]
        assert len({(place.y, place.height) for place in line}) == 1
        for a, b in itertools.pairwise(line):
            assert b.x == a.x + a.width + GAP
        start += count


@pytest.mark.parametrize("grids", [[(56, 56)] * 3 + [(32, 98)] * 61, [(1, 224)] * 20 + [(224, 1)]])
def test_mixed_pictures_are_bounded_too(grids: list[tuple[int, int]]) -> None:
    batch = of_grids(*grids)
    lines = [8] * (len(grids) // 8) + ([len(grids) % 8] if len(grids) % 8 else [])
    layout = lay_out(batch, lines, 2)
    assert layout.width <= 1500 + sum(2 * batch.grids[i].columns for i in range(8))
    for place in layout.places:
        assert place.height >= 2 * place.rows
        assert place.width >= 2 * place.columns


@pytest.mark.parametrize("lines", LINES)
def test_sets_and_marks_lie_on_their_patches(batch: Batch, lines: list[int]) -> None:
    chance = np.random.default_rng(len(lines))
    codes = chance.integers(0, 3, 75).astype(np.uint8)
    anchors = [
        batch.index(0, 1, 6),
        batch.index(1, 6, 1),
        batch.index(3, 0, 14),
        batch.index(4, 3, 3),
    ]
    for anchor in anchors:
        own = codes.copy()
        own[anchor] = ANCHOR
        panel = panel_of(batch, own, anchor)
        layout = arrange(batch, [panel], lines)
        pixels = opened(as_png(batch, [panel], Look(opacity=1), lines))
        assert pixels.shape[:2] == (layout.height, layout.width)
        for index in range(75):
            image, row, column = batch.position(index)
            x1, y1, x2, y2 = layout.places[image].square(row, column)
            seen = pixels[y1 + (y2 - y1) // 4, x1 + (x2 - x1) // 4].tolist()
            code = int(own[index])
            expected = [100] * 3 if code == ANCHOR else blend(PALETTE[code], FILL[code])
            assert seen == expected, (index, code)
        x1, y1, x2, _ = layout.places[batch.position(anchor).image].square(
            *batch.position(anchor)[1:]
        )
        assert pixels[y1, (x1 + x2) // 2].tolist() == list(PALETTE[ANCHOR])


def test_labels_lie_on_their_patches(batch: Batch) -> None:
    colours = ((10, 20, 30), (200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0))
    coloured = replace(batch, colours=colours)
    panel = panel_of(batch, np.zeros(75, np.uint8), 0)
    pixels = opened(as_png(coloured, [panel], Look(style="labels", opacity=1), [2, 3]))
    layout = arrange(batch, [panel], [2, 3])
    assert batch.labels is not None
    for index, label in enumerate(batch.labels.tolist()):
        image, row, column = batch.position(index)
        x1, y1, x2, y2 = layout.places[image].square(row, column)
        seen = pixels[y1 + (y2 - y1) // 4, x1 + (x2 - x1) // 4].tolist()
        assert seen == ([100] * 3 if label < 0 else list(colours[label]))
        assert label in (image, -1)


def test_the_svg_s_patches_are_the_png_s(batch: Batch) -> None:
    codes = np.random.default_rng(2).integers(0, 3, 75).astype(np.uint8)
    codes[40] = ANCHOR
    panel = panel_of(batch, codes, 40, nearest=58)
    layout = arrange(batch, [panel], [2, 3])
    root = ET.fromstring(as_svg(batch, [panel], Look(), [2, 3]))
    names = {f"#{r:02x}{g:02x}{b:02x}": code for code, (r, g, b) in PALETTE.items()}
    drawn = np.full((layout.height, layout.width), -1)
    for group in root.iter(f"{SVG}g"):
        shift = (group.get("transform") or "").removeprefix("translate(").rstrip(")").split()
        for rect in group.findall(f"{SVG}rect"):
            if rect.get("fill-opacity"):
                x, y, w, h = (int(rect.get(name, "")) for name in ("x", "y", "width", "height"))
                x, y = x + int(shift[0]), y + int(shift[1])
                assert (drawn[y : y + h, x : x + w] == -1).all()
                drawn[y : y + h, x : x + w] = names[rect.get("fill", "")]
    for index, code in enumerate(codes.tolist()):
        image, row, column = batch.position(index)
        x1, y1, x2, y2 = layout.places[image].square(row, column)
        assert (drawn[y1:y2, x1:x2] == (-1 if code == ANCHOR else code)).all()
    ring = next(root.iter(f"{SVG}circle"))
    x1, y1, x2, y2 = layout.places[3].square(0, 14)
    assert (float(ring.get("cx", "")), float(ring.get("cy", ""))) == ((x1 + x2) / 2, (y1 + y2) / 2)
    for photo, place in zip(root.iter(f"{SVG}image"), layout.places, strict=True):
        data = base64.b64decode(photo.get("href", "").split(",", 1)[1])
        with Image.open(io.BytesIO(data)) as image_:
            assert image_.size == (place.width, place.height)


def test_outlines_grid_and_hatching_stay_on_edges(batch: Batch) -> None:
    codes = np.zeros(75, np.uint8)
    codes[[batch.index(0, 0, 6), batch.index(0, 1, 6), batch.index(1, 0, 0)]] = POSITIVE
    codes[batch.index(3, 0, 0)] = AMBIGUOUS
    anchor = batch.index(2, 2, 2)
    codes[anchor] = ANCHOR

    def lines(look: Look, stroke: str) -> int:
        found = ET.fromstring(as_svg(batch, [panel_of(batch, codes, anchor)], look, [5]))
        return sum(line.get("stroke") == stroke for line in found.iter(f"{SVG}line"))

    # Two patches above each other, one alone in another image that begins where the first ends, and
    # the anchor: 6 + 4 + 4 edges. None of them are neighbours across images.
    assert lines(Look(), "#ffffff") == 14
    assert lines(Look(), "#3c1e00") == 1
    grid = sum(rows + 1 + columns + 1 for rows, columns in batch.grids)
    assert lines(Look(positive=False, grid=True), "#ffffff") == grid


def test_sets_of_whole_pictures_are_saved_with_their_grids(batch: Batch) -> None:
    settings = Settings(0.5, 0.2, 3, 4, 1)
    anchor = batch.index(3, 0, 9)
    from ppap.rivals import Choice

    shown = Shown(Choice("ppap", settings), explorer.gather(batch, anchor, settings))
    held = Held("k", batch, {"source": "samples", "size": 128, "picture": "whole"})
    found = json.loads(json.dumps(as_json(held, [shown])))
    assert found["anchor"] == {"index": anchor, "image": 3, "row": 0, "column": 9}
    assert found["batch"]["grids"] == [[2, 7], [7, 2], [4, 4], [1, 15], [4, 4]]
    assert found["batch"]["shapes"] == [[64, 224], [224, 64], [128, 128], [32, 480], [128, 128]]
    assert found["batch"]["patch"] == 32
    with np.load(io.BytesIO(as_npz(batch, [shown]))) as arrays:
        assert arrays["grid"].tolist() == [list(grid) for grid in batch.grids]
        assert arrays["ppap_positive"].shape == (2, 75)
    reply = explorer.batch_reply(held)
    assert reply["grids"] == found["batch"]["grids"]
    assert reply["starts"] == [0, 14, 28, 44, 59, 75]


def held_by(sheet: np.ndarray, batch: Batch, corners: Sequence[tuple[int, int]]) -> None:
    for image, (x, y) in zip(batch.images, corners, strict=True):
        height, width = image.shape[:2]
        np.testing.assert_array_equal(sheet[y : y + height, x : x + width], image)


def test_the_sheet_holds_every_image_once() -> None:
    batch = mixed_batch()
    found = sheet_of(batch)
    assert found.patch == batch.patch
    held_by(np.asarray(found.image), batch, found.corners)
    assert len(set(found.corners)) == 5


def test_equal_images_stand_in_their_order_in_the_sheet() -> None:
    assert packed(of_grids(*[(2, 2)] * 5)) == [(0, 0), (2, 0), (4, 0), (0, 2), (2, 2)]


@pytest.mark.parametrize(
    "grids",
    [
        [(56, 56)] * 16,  # 50,176 patches at 896 px
        [(56, 56)] * 64,
        [(32, 98), (98, 32)] * 8,
        [(15, 204)] * 8 + [(204, 15)] * 8,
        [(1, 512), (512, 1), (56, 56)] * 3,
        [(1, 1)],
    ],
)
def test_no_two_images_overlap_and_no_sheet_is_too_large(grids: list[tuple[int, int]]) -> None:
    batch = of_grids(*grids)
    taken = np.zeros((3000, 3000), bool)
    corners = packed(batch)
    for (x, y), (rows, columns) in zip(corners, grids, strict=True):
        assert not taken[y : y + rows, x : x + columns].any()
        taken[y : y + rows, x : x + columns] = True
    rows, columns = (int(taken.any(axis=axis).sum()) for axis in (1, 0))
    # Not much larger than what it holds, unless one image is that long.
    most = max(max(pair) for pair in grids)
    assert rows * columns <= max(2.2 * taken.sum(), 1.2 * most**2)
    found = sheet_of(batch)
    assert max(found.image.size) <= LONGEST_SHEET
    assert found.image.width * found.image.height <= SHEET_PIXELS
    assert found.image.size == (columns * found.patch, rows * found.patch)
    assert 1 <= found.patch <= 16
    if len(grids) == 16:
        assert found.patch == 16  # at full resolution


def test_a_sheet_that_would_be_too_large_is_made_smaller_by_whole_pixels_a_patch() -> None:
    batch = of_grids(*[(56, 56)] * 64)
    images = tuple(np.full_like(image, 3 * i) for i, image in enumerate(batch.images))
    found = sheet_of(replace(batch, images=images))
    assert found.patch == 12  # 5793 pixels a side would fit: 448 · 12.9
    pixels = np.asarray(found.image)
    for i, (x, y) in enumerate(found.corners):
        assert (pixels[y : y + 672, x : x + 672] == 3 * i).all()


def test_negatives_are_dark_everywhere(batch: Batch) -> None:
    panel = panel_of(batch, np.full(75, NEGATIVE, np.uint8), 0)
    pixels = opened(as_png(batch, [panel], Look(opacity=1), [5]))
    for place in arrange(batch, [panel], [5]).places[1:]:
        part = pixels[place.y : place.y + place.height, place.x : place.x + place.width]
        assert (part == blend(PALETTE[NEGATIVE], FILL[NEGATIVE])).all()
