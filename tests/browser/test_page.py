"""The page as a whole: widths, themes, accessibility, and no connection to the outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.driver import painted, ready, shown, soon, studio, until
from tests.browser.looks import check_both_themes


@pytest.mark.plots
@pytest.mark.parametrize("width", [1440, 1000, 420])
def test_layout_contrast_and_names(open_studio: Callable[..., Page], width: int) -> None:
    page = open_studio("?__theme=light", width=width)
    page.get_by_label("Compare with").select_option("hp")
    page.wait_for_selector("#rival-mosaic[data-ready=true]")
    check_both_themes(page, width)


def test_a_link_says_the_theme(open_studio: Callable[..., Page]) -> None:
    page = open_studio("?__theme=dark")
    soon(page, "document.body.classList.contains('dark')", True)


def test_a_tap_chooses_the_anchor(open_studio: Callable[..., Page]) -> None:
    page = open_studio(width=420, height=900, touch=True)
    box = page.locator("#mosaic").bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + 300, box["y"] + 60)
    page.wait_for_selector('#mosaic[data-anchor^="1,"]')


@pytest.mark.plots
def test_the_layout_does_not_jump_on_a_click(page: Page) -> None:
    places = (
        "[...document.querySelectorAll('.ppap .card')].map((e) => e.getBoundingClientRect().top)"
    )
    # Only a map that is there already is coloured anew by a click.
    page.wait_for_selector("#map[data-drawn]")
    painted(page)
    before = page.evaluate(places)
    page.locator("#mosaic").click(position={"x": 350, "y": 120})
    page.wait_for_selector('#mosaic[data-ready=true][data-anchor^="1,"]')
    until(page, "document.querySelector('#map').dataset.coloured === 'set:3'")
    painted(page)
    assert page.evaluate(places) == before


def test_all_controls_are_reached_by_keyboard(page: Page) -> None:
    page.locator("body").focus()
    reached = set()
    for _ in range(80):
        page.keyboard.press("Tab")
        reached.add(
            page.evaluate(
                "(({id, dataset, textContent, tagName}) => id === 'mosaic' ? id"
                " : dataset?.setting || dataset?.exact || (tagName === 'BUTTON' ? textContent : tagName))"
                "(document.activeElement)"
            )
        )
    assert {"mosaic", "phi0", "steps", "Export", "SELECT"} <= reached


def test_a_screen_reader_hears_what_a_click_did(page: Page) -> None:
    page.locator("#mosaic").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector('#mosaic[data-anchor="0,15,13"]')
    until(
        page,
        "document.querySelector('.stage [aria-live=polite]').textContent.includes('row 15, column 13')",
    )
    text = page.locator(".stage [aria-live=polite]").text_content() or ""
    assert f"{shown(page)['positive']} positive" in text


def test_no_connection_leaves_the_machine(browser: Browser, tmp_path: Path) -> None:
    """Neither the page nor the server's processes ask for anything but this machine."""
    log = tmp_path / "outside"
    watch = {"PYTHONPATH": str(Path(__file__).parent / "watch"), "PPAP_WATCH": str(log)}
    asked: list[str] = []
    with studio(environment=watch) as running:
        context = browser.new_context()
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        # Small images, so that their map is soon there.
        page.goto(f"{running.url}?source=samples&size=224&backbone=embedded")
        ready(page)
        until(page, "document.querySelector('#map').dataset.state === 'umap'", timeout=120_000)
        page.get_by_role("radio", name="320 px").click()
        until(page, "document.querySelector('#explore').studio.state.batch.grids[0][0] === 20")
        context.close()
    hosts = {urlparse(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    watched = log.with_suffix(".started").read_text().split()
    assert len(watched) >= 2  # the studio and its worker for maps
    assert not log.exists(), log.read_text()
