"""Exports and links: what is saved is what is shown, and a link brings it back."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.conftest import Reference
from tests.browser.driver import (
    STUDIO,
    click_patch,
    counts,
    has_counts,
    shown,
    soon,
    until,
    wait_for_data,
)

LION = 784 + 7 * 28 + 14


def save(page: Page, format: str) -> bytes:
    with page.expect_download() as waiting:
        page.locator(f"[data-format={format}]").click()
    download = waiting.value
    assert download.suggested_filename == f"ppap-1-7-14-step3.{format}"
    return Path(download.path()).read_bytes()


@pytest.fixture
def opened(page: Page) -> Page:
    click_patch(page, LION)
    page.get_by_role("button", name="Export").click()
    page.get_by_role("dialog", name="Export").wait_for()
    return page


def test_json_and_npz_hold_the_sets(opened: Page, reference: Reference) -> None:
    found = json.loads(save(opened, "json"))
    assert found["anchor"] == {"index": LION, "image": 1, "row": 7, "column": 14}
    (rule,) = found["rules"]
    assert rule["rule"] == "ppap"
    arrays = np.load(io.BytesIO(save(opened, "npz")))
    for t, step in enumerate(rule["steps"]):
        codes = reference.codes(LION, t)
        assert step["positive_patches"] == np.flatnonzero(codes == 2).tolist()
        assert step["ambiguous_patches"] == np.flatnonzero(codes == 1).tolist()
        assert (arrays["ppap_positive"][t] == (codes == 2)).all()
        assert (arrays["ppap_negative"][t] == (codes == 0)).all()


def test_png_shows_the_mosaic_with_its_sets(opened: Page, reference: Reference) -> None:
    opened.evaluate(f"{STUDIO}.setLook({{opacity: 1}})")
    picture = np.asarray(Image.open(io.BytesIO(save(opened, "png"))).convert("RGB")).astype(int)
    height, width, _ = picture.shape
    assert width > 900
    blue = picture[..., 2] - picture[..., 0]
    # As many blue pixels as positive patches, give or take what is blue in the photos.
    across = opened.evaluate(f"{STUDIO}.mosaic.tiles.lines[0]")
    patch = (width - 24 - 6 * (across - 1)) / across / 28
    expected = (reference.codes(LION) == 2).sum() * patch**2
    assert 0.8 * expected < (blue > 90).sum() < 1.3 * expected
    assert height > 500


def test_svg_is_whole_and_made_of_shapes(opened: Page, reference: Reference) -> None:
    root = ET.fromstring(save(opened, "svg"))
    space = "{http://www.w3.org/2000/svg}"
    assert len(root.findall(f".//{space}image")) == 6
    area = sum(
        float(rect.get("width", 0)) * float(rect.get("height", 0))
        for rect in root.iter(f"{space}rect")
        if rect.get("fill") == "#3d7bff"
    )
    tile = float(root.findall(f".//{space}image")[0].get("width", 0))
    assert area == pytest.approx((reference.codes(LION) == 2).sum() * (tile / 28) ** 2)


def test_python_lines_are_shown(opened: Page) -> None:
    until(opened, "document.querySelector('[data-part=python]').value.length > 100")
    lines = opened.locator("[data-part=python]").input_value()
    compile(lines, "lines", "exec")
    assert "anchor = batch.index(image=1, row=7, column=14)" in lines
    assert "phi0=0.6" in lines


def test_a_link_restores_the_state(page: Page, open_studio: Callable[..., Page]) -> None:
    page.get_by_role("radio", name="320 px").click()
    until(page, f"{STUDIO}.state.batch.grids[0][0] === 20")
    click_patch(page, 400 + 123)
    field = page.locator("input[data-exact=phi0]")
    field.fill("0.62")
    field.press("Enter")
    until(page, f"{STUDIO}.state.settings.phi0 === 0.62")
    page.get_by_label("Compare with").select_option("knn")
    page.locator("input[data-rival=k]").fill("23")
    wait_for_data(page, "positive", "23", id="rival-mosaic")
    page.get_by_role("button", name="Step 1", exact=True).click()
    page.get_by_role("radio", name="Boxes").click()
    page.get_by_role("button", name="Ambiguous").click()
    page.get_by_role("button", name="Export").click()
    link = page.locator("[data-part=link]").input_value()
    other = open_studio("?" + link.split("?", 1)[1])
    wait_for_data(other, "positive", "23", id="rival-mosaic")
    has_counts(other, counts(page))
    assert shown(other)["anchor"] == shown(page)["anchor"] == "1,6,3"
    wait_for_data(other, "step", "1")
    expect(other.locator("input[data-exact=phi0]")).to_have_value("0.62")
    soon(other, f"{STUDIO}.state.look", page.evaluate(f"{STUDIO}.state.look"))
    expect(other.get_by_role("radio", name="320 px")).to_have_attribute("aria-checked", "true")


def test_a_reload_comes_back_to_the_same_state(page: Page) -> None:
    click_patch(page, LION)
    page.get_by_role("button", name="Step 1", exact=True).click()
    page.get_by_role("button", name="Grid").click()
    until(
        page, "location.search.includes('anchor=1%2C7%2C14') && location.search.includes('grid=1')"
    )
    before = counts(page)
    page.reload()
    page.wait_for_selector("#mosaic[data-ready=true]")
    wait_for_data(page, "anchor", "1,7,14")
    wait_for_data(page, "step", "1")
    has_counts(page, before)


def test_a_batch_that_was_dropped_is_made_again(page: Page) -> None:
    click_patch(page, LION)
    page.evaluate(f"{STUDIO}.state.batch.batch = 'gone'")
    page.locator("#mosaic").focus()
    page.keyboard.press("ArrowRight")
    until(page, f"{STUDIO}.state.batch.batch !== 'gone'")
    wait_for_data(page, "anchor", "1,7,15")


def test_a_link_to_uploads_holds_while_they_are_kept(
    page: Page, open_studio: Callable[..., Page], tmp_path: Path
) -> None:
    Image.new("RGB", (300, 300), (10, 120, 40)).save(tmp_path / "green.png")
    page.get_by_role("radio", name="Your images").click()
    page.locator(".batch input[type=file][multiple]").set_input_files(str(tmp_path / "green.png"))
    until(page, f"{STUDIO}.state.batch.names[0] === 'green.png'")
    link = page.evaluate(f"{STUDIO}.link()")
    other = open_studio("?" + link.split("?", 1)[1])
    soon(other, f"{STUDIO}.state.batch.names", ["green.png"])
    other.get_by_role("radio", name="224 px").click()  # and can be looked at in other ways
    until(other, f"{STUDIO}.state.batch.grids[0][0] === 14")
    soon(other, f"{STUDIO}.state.batch.names", ["green.png"])


@pytest.mark.parametrize(
    "query",
    [
        "?source=files&batch=gone&anchor=0,1,1",
        "?source=folder&folder=/no/such/folder",
        "?anchor=99,99,99&step=44&phi0=7&style=none&opacity=-3&rule=none&rule.k=x",
        "?source=samples&size=abc&anchor=<b>1</b>",
    ],
)
def test_a_link_that_makes_no_sense_still_opens(
    open_studio: Callable[..., Page], query: str
) -> None:
    page = open_studio(query)
    if "phi0=7" in query:
        for name in ("phi0", "style", "opacity", "rule"):
            expect(page.locator(".batch .messages.notes")).to_contain_text(name)
    assert len(page.evaluate(f"{STUDIO}.state.batch.names")) == 6
    assert sum(counts(page)) == 4703
