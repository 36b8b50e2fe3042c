"""Whole pictures of any shape and resolution: where anchors, sets and labels lie, on the page."""

from __future__ import annotations

import base64
import io
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
import pytest
import torch
from PIL import Image
from playwright.sync_api import Page, expect

import ppap
from ppap.backbones import load_backbone
from ppap.batches import Batch
from ppap.data import open_dataset, samples_dataset
from ppap.settings import EMBEDDED_PRESET
from ppap.studio.explore.layout import lay_out
from tests.browser.driver import (
    STUDIO,
    click_patch,
    counts,
    painted,
    ready,
    soon,
    until,
    wait_for_data,
)

# Width and height: 3:1, 1:3, a square, a panorama.
SHAPES = {"wide": (900, 300), "tall": (300, 900), "square": (500, 500), "panorama": (4000, 300)}
# The colour that the canvas shows in every patch, in whichever arrangement; null where the patch is
# too small to have an inside, or one of the marks reaches into it.
SEEN = """
(marked) => {
  const { batch, tiles, canvas, ratio, camera } = document.getElementById('mosaic').mosaic;
  const { width, height } = canvas;
  const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
  return Array.from({ length: batch.starts.at(-1) }, (_, j) => {
    const side = tiles.side(j);
    if (side < 7 || marked.includes(j)) return [-1, -1, -1];
    const [x, y] = tiles.corner(j).map((at) => at + 0.3 * side);
    const place = [x * camera.scale + camera.x, y * camera.scale + camera.y].map((at) => Math.floor(at * ratio));
    const at = 4 * (place[1] * width + place[0]);
    return [...data.slice(at, at + 3)];
  });
}
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo in each shape."""
    place = tmp_path_factory.mktemp("shapes")
    photos = samples_dataset()
    for i, (name, size) in enumerate(SHAPES.items()):
        photo = Image.fromarray(photos.load(i).photo.rgb)
        photo.resize(size).save(place / f"{i}-{name}.png")
    return place


@pytest.fixture(scope="module")
def batch(folder: Path) -> Batch:
    """The same by the library, image by image in the order of their names."""
    data = open_dataset(folder, split="all")
    examples = [data.load(i) for i in range(4)]
    return ppap.make_batch(examples, load_backbone("embedded"), size=320, picture="whole")


def link(folder: Path, **changes: Any) -> str:
    wanted = {
        "source": "folder",
        "folder": folder,
        "split": "all",
        "images": "0,1,2,3",
        "size": 320,
        "picture": "whole",
        "backbone": "embedded",
    }
    return "?" + urlencode({**wanted, **changes})


@pytest.fixture
def mixed(open_studio: Callable[..., Page], folder: Path) -> Page:
    return open_studio(link(folder))


def codes_of(batch: Batch, anchor: int) -> np.ndarray:
    settings: dict[str, Any] = EMBEDDED_PRESET.settings.as_dict()
    sets = ppap.propagate(batch.features, torch.tensor([anchor]), **settings)
    codes = sets.ambiguous[0].numpy() * 1 + sets.positive[0].numpy() * 2
    codes[anchor] = 3
    return codes


def are_drawn(pixels: np.ndarray, codes: np.ndarray) -> None:
    """Every patch in the colour of its set."""
    told = pixels[:, 0] >= 0
    assert told.mean() > 0.1
    pixels, codes = pixels[told].astype(int), codes[told]
    red, blue = pixels[:, 0], pixels[:, 2]
    assert (blue[codes == 2] > red[codes == 2] + 40).all()
    assert (red[codes == 1] > blue[codes == 1] + 40).all()
    assert (pixels[codes == 0].max(axis=1) < 70).all()


def come_to_be_drawn(page: Page, batch: Batch, codes: np.ndarray, *, seconds: float = 30) -> None:
    """The same of a page, which draws in its own time."""
    end = time.monotonic() + seconds
    while True:
        try:
            return are_drawn(seen(page, batch), codes)
        except AssertionError:
            if time.monotonic() > end:
                raise
        page.wait_for_timeout(50)


def seen(page: Page, batch: Batch) -> np.ndarray:
    """Colours of all patches, int ``(N, 3)``; −1 where none can be told."""
    painted(page)
    marks = page.evaluate(f"[{STUDIO}.state.anchor, {STUDIO}.state.view.steps.at(-1).nearest[0]]")
    near = []
    for mark in marks:
        image, row, column = batch.position(mark)
        rows, columns = batch.grids[image]
        for r in range(max(0, row - 1), min(rows, row + 2)):
            near += [batch.index(image, r, c) for c in range(columns) if abs(c - column) < 2]
    return np.array(page.evaluate(SEEN, near))


def test_anchors_and_sets_lie_on_their_patches(mixed: Page, batch: Batch) -> None:
    names = mixed.evaluate(f"{STUDIO}.state.batch.names")
    assert [Path(name).stem for name in names] == [Path(name).stem for name in batch.names]
    soon(mixed, f"{STUDIO}.state.batch.grids", [list(g) for g in batch.grids])
    assert len(set(batch.grids)) == 4
    mixed.evaluate(f"{STUDIO}.setLook({{opacity: 1}})")
    for image, (rows, columns) in enumerate(batch.grids):
        anchor = batch.index(image, rows // 2, columns - 2)
        click_patch(mixed, anchor)
        codes = codes_of(batch, anchor)
        assert counts(mixed) == tuple(int((codes == code).sum()) for code in (2, 1, 0))
        come_to_be_drawn(mixed, batch, codes)
    # No place of the canvas belongs to two patches, and every patch is found under its own middle.
    found = mixed.evaluate(
        "() => { const m = document.getElementById('mosaic').mosaic; return "
        "Array.from({length: m.batch.starts.at(-1)}, (_, j) => m.patchAt(...m.centreOf(j))); }"
    )
    assert found == list(range(len(batch.features)))


def test_the_exported_picture_shows_the_same_in_the_same_lines(mixed: Page, batch: Batch) -> None:
    anchor = batch.index(3, 2, 40)
    mixed.evaluate(f"{STUDIO}.setLook({{opacity: 1}}); {STUDIO}.pick({anchor})")
    wait_for_data(mixed, "anchor", "3,2,40")
    reply = mixed.evaluate(f"{STUDIO}.server.take({{...{STUDIO}.exportState(), format: 'png'}})")
    with Image.open(io.BytesIO(base64.b64decode(reply["data"]))) as image:
        pixels = np.asarray(image.convert("RGB"))
    lines = mixed.evaluate(f"{STUDIO}.mosaic.tiles.lines")
    layout = lay_out(batch, lines, 1)
    assert pixels.shape[1] == layout.width
    down = pixels.shape[0] - layout.height
    places = []
    for index in range(len(batch.features)):
        where = batch.position(index)
        x1, y1, x2, y2 = layout.places[where.image].square(where.row, where.column)
        places.append((down + y1 + (y2 - y1) // 3, x1 + (x2 - x1) // 3))
    y, x = np.array(places).T
    are_drawn(pixels[y, x], codes_of(batch, anchor))


def test_one_image_fills_the_stage_and_the_rest_is_a_strip(mixed: Page, batch: Batch) -> None:
    def side(image: int) -> float:
        found: float = mixed.evaluate(f"{STUDIO}.mosaic.tiles.places[{image}].patch")
        return found

    mixed.evaluate(f"{STUDIO}.setLook({{opacity: 1}})")
    before, anchor = side(1), int(mixed.evaluate(f"{STUDIO}.state.anchor"))
    x, y = mixed.evaluate(f"{STUDIO}.mosaic.centreOf({batch.index(1, 4, 4)})")
    mixed.locator("#mosaic").dblclick(position={"x": x, "y": y})
    wait_for_data(mixed, "filling", "1")
    until(mixed, f"{STUDIO}.state.view?.anchor === {anchor}")  # not moved by that
    assert side(1) > before
    assert max(side(i) for i in (0, 2, 3)) < side(1)
    come_to_be_drawn(mixed, batch, codes_of(batch, anchor))
    until(mixed, f"!{STUDIO}.camera.settling")
    # A click in it chooses an anchor, one in the strip another image.
    chosen = batch.index(1, 2, 2)
    click_patch(mixed, chosen)
    x, y = mixed.evaluate(f"{STUDIO}.mosaic.centreOf({batch.index(3, 1, 30)})")
    mixed.locator("#mosaic").click(position={"x": x, "y": y})
    wait_for_data(mixed, "filling", "3")
    soon(mixed, f"{STUDIO}.state.anchor", chosen)
    come_to_be_drawn(mixed, batch, codes_of(batch, chosen))
    until(mixed, "new URLSearchParams(location.search).get('fill') === '3'")
    mixed.keyboard.press("]")
    wait_for_data(mixed, "filling", "0")
    mixed.keyboard.press("[")
    wait_for_data(mixed, "filling", "3")
    mixed.keyboard.press("Escape")
    wait_for_data(mixed, "filling", "")
    mixed.keyboard.press("f")
    wait_for_data(mixed, "filling", "1")
    mixed.get_by_role("button", name="Fit (0)").click()
    wait_for_data(mixed, "filling", "")


def test_arrows_cross_images_of_any_shape(mixed: Page, batch: Batch) -> None:
    places = mixed.evaluate(f"{STUDIO}.mosaic.tiles.places")
    beside = next(
        (a, b)
        for a in range(4)
        for b in range(4)
        if places[b]["x"] > places[a]["x"] and abs(places[a]["y"] - places[b]["y"]) < 1
    )
    left, right = beside
    row = batch.grids[left].rows - 1
    mixed.evaluate(f"{STUDIO}.pick({batch.index(left, row, batch.grids[left].columns - 1)})")
    mixed.locator("#mosaic").focus()
    mixed.keyboard.press("ArrowRight")
    wait_for_data(mixed, "anchor", f"{right},{batch.grids[right].rows - 1},0")
    mixed.keyboard.press("ArrowLeft")
    # Where the other image's last row begins, not at the same number.
    until(mixed, f"document.getElementById('mosaic').dataset.anchor.startsWith('{left},')")
    assert mixed.evaluate("document.getElementById('mosaic').dataset.anchor").endswith(
        f",{batch.grids[left].columns - 1}"
    )


def test_zoom_goes_to_the_pointer_or_the_anchor(mixed: Page, batch: Batch) -> None:
    anchor, other = batch.index(0, 3, 3), batch.index(3, 4, 60)

    def centre(patch: int) -> list[float]:
        found: list[float] = mixed.evaluate(f"{STUDIO}.mosaic.centreOf({patch})")
        return found

    click_patch(mixed, anchor)
    x, y = centre(other)
    mixed.locator("#mosaic").hover(position={"x": x, "y": y})
    mixed.locator("#mosaic").focus()
    mixed.keyboard.press("+")
    mixed.keyboard.press("+")
    soon(mixed, f"{STUDIO}.mosaic.patchAt({x}, {y})", other)
    mixed.get_by_role("button", name="Fit (0)").click()
    x, y = centre(anchor)
    mixed.get_by_role("button", name="Zoom in (+)").click()
    mixed.get_by_role("button", name="Zoom in (+)").click()
    soon(mixed, f"{STUDIO}.mosaic.patchAt({x}, {y})", anchor)
    assert mixed.evaluate(f"{STUDIO}.camera.scale") > 1.9


def test_the_map_s_thumbnail_is_cut_from_the_right_place(mixed: Page, batch: Batch) -> None:
    until(mixed, f"{STUDIO}.map.batch")
    for image, (rows, columns) in enumerate(batch.grids):
        for row, column in ((0, 0), (rows - 1, columns - 1), (rows // 2, columns // 2)):
            patch = batch.index(image, row, column)
            thumb = mixed.evaluate(
                f"""() => {{
                  const {{ map }} = {STUDIO};
                  map.showTip({patch}, {{ clientX: 0, clientY: 0 }});
                  const {{ data }} = map.thumb.getContext('2d').getImageData(0, 0, 96, 96);
                  map.tip.hidden = true;
                  return [...data];
                }}"""
            )
            pixels = np.array(thumb).reshape(96, 96, 4)[..., :3]
            top, left = (max(0, min(n - 5, at - 2)) for at, n in ((row, rows), (column, columns)))
            own = batch.images[image][16 * top : 16 * top + 80, 16 * left : 16 * left + 80]
            wanted = np.asarray(Image.fromarray(own).resize((96, 96)))
            off = np.abs(pixels - wanted.astype(int))
            assert np.median(off) <= 6, (image, row, column)


def test_labels_of_whole_pictures_lie_on_their_patches(open_studio: Callable[..., Page]) -> None:
    page = open_studio(
        "?source=samples&size=224&picture=whole&backbone=embedded&style=labels&opacity=1"
    )
    photos = samples_dataset()
    batch = ppap.make_batch(
        [photos.load(i) for i in range(6)], load_backbone("embedded"), size=224, picture="whole"
    )
    assert batch.labels is not None
    labels = batch.labels.numpy()
    soon(page, f"[...{STUDIO}.state.batch.labels]", labels.tolist())
    pixels = seen(page, batch)
    known = (labels >= 0) & (pixels[:, 0] >= 0)
    assert known.mean() > 0.5
    assert (pixels[known] == np.array(photos.colours)[labels[known]]).all()


def test_896_pixels(open_studio: Callable[..., Page], folder: Path) -> None:
    page = open_studio(link(folder, size=896, images="2"))
    data = open_dataset(folder, split="all")
    batch = ppap.make_batch([data.load(2)], load_backbone("embedded"), size=896, picture="whole")
    soon(page, f"{STUDIO}.state.batch.grids", [list(batch.grids[0])])
    assert batch.grids == ((56, 56),)
    page.evaluate(f"{STUDIO}.setLook({{opacity: 1}})")
    anchor = batch.index(0, batch.grids[0].rows - 3, 5)
    click_patch(page, anchor)
    codes = codes_of(batch, anchor)
    assert counts(page) == tuple(int((codes == code).sum()) for code in (2, 1, 0))
    come_to_be_drawn(page, batch, codes)


def test_costs_are_told_and_too_much_is_refused(page: Page) -> None:
    told = page.locator("[data-part=cost]")
    expect(told).to_contain_text(re.compile(r"448 px: about 4,704 patches"))
    page.get_by_role("radio", name="896 px").hover()
    expect(told).to_contain_text(re.compile(r"^896 px: about 18,816 patches, .*B\.$"))
    page.get_by_role("radio", name="Other").click()
    number = page.get_by_label("Pixels, 64 to 2048")
    number.fill("330")
    expect(told).to_contain_text(
        "330 px (rounded to 336 px, so that patches fit): about 2,646 patches"
    )
    number.fill("5000")
    page.get_by_role("button", name="Use", exact=True).click()
    error = page.locator(".batch [data-error=size]")
    expect(error).to_contain_text("The resolution must be a whole number from 64 to 2048")
    expect(number).to_have_value("5000")
    number.fill("144")
    number.press("Enter")
    until(page, f"{STUDIO}.state.batch.grids[0][0] === 9")
    until(page, "new URLSearchParams(location.search).get('size') === '144'")
    page.get_by_role("radio", name="Whole").click()
    until(page, f"{STUDIO}.state.batch.recipe.picture === 'whole'")
    until(page, "new URLSearchParams(location.search).get('picture') === 'whole'")
    page.reload()
    ready(page)
    expect(page.get_by_role("radio", name="Whole")).to_have_attribute("aria-checked", "true")
    expect(number).to_have_value("144")
    soon(page, f"{STUDIO}.state.batch.grids.length", 6)


def test_loading_is_cancelled(page: Page) -> None:
    page.get_by_role("radio", name="896 px").click()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".batch .messages.notes")).to_contain_text("Loading was cancelled.")
    expect(page.locator(".batch .busy")).to_be_hidden()
    expect(page.get_by_role("radio", name="448 px")).to_have_attribute("aria-checked", "true")
    # The job ends, and what is asked for next comes.
    page.get_by_role("radio", name="224 px").click()
    until(page, f"{STUDIO}.state.batch.grids[0][0] === 14")
    soon(page, f"{STUDIO}.state.batch.names.length", 6)


def test_nonsense_in_a_link_is_named(open_studio: Callable[..., Page]) -> None:
    page = open_studio("?source=samples&size=9999&picture=half&fill=-1&anchor=0,15,12")
    expect(page.locator(".batch .messages.notes")).to_contain_text(
        "are not valid and were ignored: size, picture, fill"
    )
    assert page.evaluate(f"{STUDIO}.state.batch.grids") == [[28, 28]] * 6
    page = open_studio("?source=samples&size=448&picture=square&fill=2&anchor=0,15,12")
    wait_for_data(page, "filling", "2")
