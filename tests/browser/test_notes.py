"""Notes and animations in a real Chromium."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import (
    Running,
    click_patch,
    pages,
    shown,
    soon,
    studio,
    until,
    wait_for_data,
)
from tests.browser.looks import check_looks
from tests.support.small_studio import draw

NOTES = "#explore .notes-list li"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with studio(["--runs", str(tmp_path_factory.mktemp("notes") / "runs")]) as started:
        yield started


@pytest.fixture
def open_page(browser: Browser, running: Running) -> Iterator[Callable[..., Page]]:
    with pages(browser, running.url) as open_it:
        yield open_it


def open_notes(page: Page) -> None:
    page.get_by_role("button", name="Notes: views").click()
    page.locator(".notes-sheet[open]").wait_for()


def keep(page: Page, name: str, text: str = "") -> None:
    before = page.locator(NOTES).count()
    page.locator(".notes-sheet > form").get_by_label("Name").fill(name)
    page.locator(".notes-sheet > form").get_by_label("Description").fill(text)
    page.get_by_role("button", name="Save this view").click()
    expect(page.locator(NOTES)).to_have_count(before + 1)


def test_a_note_opens_as_it_was(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page()
    click_patch(page, 300)
    page.locator("#explore .tools [data-value=boxes]").click()
    page.locator("[data-exact=phi0]").fill("0.5")
    page.locator("[data-exact=phi0]").press("Enter")
    until(page, "document.querySelector('#explore').studio.state.view.settings.phi0 === 0.5")
    before = shown(page)
    open_notes(page)
    keep(page, "<b>Fur</b>", "What the fur gathers.")
    row = page.locator(NOTES).first
    expect(row.locator("strong")).to_have_text("<b>Fur</b>")
    until(page, "document.querySelector('.notes-list img')?.naturalWidth > 0")
    page.keyboard.press("Escape")

    # Something else is looked at, in another window, too.
    click_patch(page, 1500)
    page.locator("#explore .tools [data-value=sets]").click()
    other = open_page()
    for one in (page, other):
        open_notes(one)
        one.locator(NOTES).first.get_by_role("button", name="Open <b>Fur</b>").click()
        wait_for_data(one, "anchor", before["anchor"])
        wait_for_data(one, "positive", before["positive"])
        expect(one.locator(".notes-sheet")).to_be_hidden()
        soon(one, "document.querySelector('#explore').studio.state.look.style", "boxes")
        expect(one.locator("[data-exact=phi0]")).to_have_value("0.5")
    page.go_back()
    position = page.evaluate("document.getElementById('mosaic').mosaic.position(1500)")
    wait_for_data(page, "anchor", position)

    # As a page, under another name, and gone.
    open_notes(page)
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download as HTML").click()
    waiting.value.save_as(tmp_path / "note.html")
    assert "&lt;b&gt;Fur&lt;/b&gt;" in (tmp_path / "note.html").read_text()
    page.get_by_role("button", name="Rename <b>Fur</b>").click()
    row.locator("form input").fill("Fur")
    row.get_by_role("button", name="Save", exact=True).click()
    expect(row.locator("strong")).to_have_text("Fur")
    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Delete Fur").click()
    expect(page.locator(NOTES)).to_have_count(1)
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Delete Fur").click()
    expect(page.locator(NOTES)).to_have_count(0)


def test_uploads_that_are_gone_are_told(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page()
    page.locator("#explore .batch [data-value=files]").click()
    page.locator("#explore .batch input[type=file][multiple]").first.set_input_files(
        str(draw(tmp_path / "mine.png", 1))
    )
    until(
        page,
        "document.querySelector('#explore').studio.state.batch.recipe.source === 'files'"
        " && document.querySelector('#mosaic').dataset.ready === 'true'",
    )
    open_notes(page)
    keep(page, "Mine")
    # As after a restart of the studio.
    page.evaluate(
        "() => { document.querySelector('#explore').studio.bar.restore = () => Promise.reject(new Error()); }"
    )
    page.keyboard.press("Escape")
    page.locator("#explore .batch [data-value=samples]").click()
    until(page, "document.querySelector('#explore').studio.state.batch.recipe.source === 'samples'")
    open_notes(page)
    page.locator(NOTES).first.get_by_role("button", name="Open Mine").click()
    expect(page.locator(NOTES).first).to_contain_text(
        "no longer on the server. The note's picture is still available"
    )
    for width in (1440, 420):
        page.set_viewport_size({"width": width, "height": 900})
        check_looks(page, width)


def test_an_animation_is_made_and_saved(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page()
    page.get_by_role("button", name="Export").click()
    page.get_by_label("Include the map").check()
    with page.expect_download(timeout=120_000) as waiting:
        page.get_by_role("button", name="Make animation").click()
    waiting.value.save_as(tmp_path / "moving.webp")
    expect(page.locator("[data-part=animation]")).to_contain_text("Saved ppap-0-15-12.webp")
    with Image.open(tmp_path / "moving.webp") as moving:
        assert moving.n_frames == 13  # type: ignore[attr-defined]
