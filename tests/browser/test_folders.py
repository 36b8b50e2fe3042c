"""Folders are chosen: by clicks, by keys, and completed while one types; also on a telephone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from ppap.data import samples_dataset
from tests.browser.driver import STUDIO, until
from tests.support import layouts
from tests.support.small_studio import draw

SEGMENT = "document.querySelector('#segment').studio"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two data sets in a folder, and one whose name would be markup."""
    root = tmp_path_factory.mktemp("data")
    for n in range(5):
        draw(root / f"few <b>photos/p{n}.png", n, 96)
    layouts.camvid(root / "streets")
    (root / "weights").mkdir()
    (root / "weights/last.pt").write_bytes(b"nothing")
    return root


def browser_of(page: Page, button: Locator) -> Locator:
    button.click()
    dialog = page.locator("dialog.folder-browser[open]")
    expect(dialog).to_be_visible()
    return dialog


def marked(dialog: Locator) -> Locator:
    return dialog.locator('li[aria-selected="true"] .name')


def test_by_clicks_on_explore(page: Page, data: Path) -> None:
    page.get_by_role("radio", name="Folder").click()
    field = page.get_by_label("Folder or data set on this server")
    field.fill(str(data))
    field.press("Escape")
    dialog = browser_of(page, page.locator("#explore .source-panel .browse"))
    rows = dialog.locator("li[data-index]")
    expect(rows).to_have_count(3)
    rows.filter(has_text="few <b>photos").click()
    expect(dialog.locator('[data-part="folder-look"]')).to_have_text("5 images without labels")
    expect(dialog.locator(".thumbnails img")).to_have_count(5)
    # Into a folder and back by the path above.
    dialog.get_by_role("button", name="Open streets").click()
    expect(dialog.locator('[data-part="folder-look"]')).to_contain_text("CamVid: train 2, val 1")
    dialog.locator(f'.crumbs button[data-path="{data}"]').click()
    expect(marked(dialog)).to_have_text("streets")
    rows.filter(has_text="few <b>photos").dblclick()
    expect(dialog.locator('[data-part="folder-status"]')).to_contain_text("5 images directly")
    dialog.get_by_role("button", name="Choose few <b>photos").click()
    expect(field).to_have_value(str(data / "few <b>photos"))
    expect(page.locator("#explore .source-panel .about")).to_contain_text("5 images without labels")
    page.get_by_role("button", name="Load", exact=True).click()
    until(page, f"{STUDIO}.state.batch.names.length === 5")
    # It is the first of the recent ones.
    page.locator("#explore .source-panel .browse").click()
    dialog.get_by_role("button", name="Start").click()
    expect(dialog.locator("li.group").first).to_have_text("Recent")
    expect(rows.first).to_contain_text("few <b>photos")
    page.keyboard.press("Escape")
    expect(dialog).not_to_be_visible()


def test_by_keys_on_train(open_studio: Callable[..., Page], data: Path) -> None:
    page = open_studio()
    page.get_by_role("tab", name="Train").click()
    page.locator("#train [data-part=recipe]").select_option("camvid")
    field = page.locator("#train").get_by_label("Data set folder on this server")
    field.fill(f"{data}/none")
    field.press("Escape")
    field.press("Tab")
    page.keyboard.press("Enter")  # Browse…
    dialog = page.locator("dialog.folder-browser[open]")
    expect(dialog.locator('[data-part="folder-status"]')).to_contain_text("There is no")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    expect(marked(dialog)).to_have_text("streets")
    page.keyboard.press("Enter")
    expect(dialog.locator("li[data-index]").first).to_contain_text("train")
    page.keyboard.press("Backspace")
    expect(marked(dialog)).to_have_text("streets")
    page.keyboard.type("WEI")
    expect(dialog.locator("li[data-index]")).to_have_count(1)
    expect(marked(dialog)).to_have_text("weights")
    for _ in "WEI":
        page.keyboard.press("Backspace")
    expect(dialog.locator("li[data-index]")).to_have_count(3)
    page.keyboard.press("End")
    page.keyboard.type("str")
    expect(marked(dialog)).to_have_text("streets")
    page.keyboard.press("Control+Enter")
    expect(dialog).not_to_be_visible()
    expect(field).to_have_value(str(data / "streets"))
    expect(page.locator('#train [data-error="data"]')).to_be_hidden()


def test_typed_paths_are_completed(page: Page, data: Path) -> None:
    page.get_by_role("radio", name="Folder").click()
    field = page.get_by_label("Folder or data set on this server")
    field.fill(f"{data}/st")
    offers = page.locator("#explore .source-panel ul.completions li")
    expect(offers).to_have_count(1)
    field.press("ArrowDown")
    expect(offers.first).to_have_attribute("aria-selected", "true")
    field.press("Enter")
    expect(field).to_have_value(str(data / "streets"))
    expect(offers).to_have_count(0)
    expect(page.locator("#explore .source-panel .about")).to_contain_text("CamVid")
    # The splits are offered, too.
    expect(page.locator("#explore .source-panel datalist option")).to_have_count(2)


def test_checkpoints_are_chosen_on_a_telephone(
    open_studio: Callable[..., Page], data: Path
) -> None:
    page = open_studio(width=420, height=900, touch=True)
    page.get_by_role("tab", name="Segment").click()
    page.get_by_label("Segment with").select_option("file")
    field = page.locator("#segment").get_by_label("Checkpoint file on this server")
    field.fill(str(data))
    dialog = browser_of(page, field.locator("xpath=..").get_by_role("button", name="Browse…"))
    box = dialog.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 420
    expect(dialog.get_by_role("button", name="Choose")).to_be_disabled()
    dialog.get_by_role("button", name="Open weights").tap()
    dialog.locator("li[data-kind=file]").tap()
    choose = dialog.get_by_role("button", name="Choose last.pt")
    inside = choose.bounding_box()
    assert inside is not None
    assert inside["y"] + inside["height"] <= 900
    assert page.evaluate("document.documentElement.scrollWidth") <= 420
    choose.tap()
    expect(field).to_have_value(str(data / "weights/last.pt"))
    expect(page.locator('#segment [data-error="checkpoint"]')).to_contain_text("last.pt")


def test_a_folder_is_segmented(open_studio: Callable[..., Page], tmp_path: Path) -> None:
    photos = samples_dataset()
    for i in range(3):
        (tmp_path / f"{i}.jpg").write_bytes(photos.items[i].image.read_bytes())
    page = open_studio()
    page.get_by_role("tab", name="Segment").click()
    page.locator("#segment").get_by_role("radio", name="Folder").click()
    page.get_by_label("Folder on this server").fill(str(tmp_path / "none"))
    expect(page.locator('#segment [data-error="folder"]')).to_contain_text("There is no folder")
    page.get_by_label("Folder on this server").fill(str(tmp_path))
    page.locator("#segment").get_by_role("button", name="Segment", exact=True).click()
    expect(page.locator("#segment .busy")).to_be_hidden(timeout=120_000)
    expect(page.locator("#segment figure")).to_have_count(3)
    assert page.evaluate(f"{SEGMENT}.result.pictures.map((one) => one.name)") == [
        "0.jpg",
        "1.jpg",
        "2.jpg",
    ]
