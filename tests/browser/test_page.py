"""The page as a whole: widths, themes, accessibility, and no connection to the outside."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlparse

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.driver import ready, shown, studio

# Every text with less contrast to what lies behind it than WCAG AA asks for.
FAINT = """
() => {
  const channel = (v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const c = parse(getComputedStyle(e).backgroundColor);
      if (c.length === 3 || c[3] === 1) return c;
    }
    return [255, 255, 255];
  };
  const faint = [];
  for (const element of document.querySelectorAll('.ppap *, .masthead *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim());
    if (!own || !element.checkVisibility() || element.closest('svg, :disabled, [aria-pressed=false], #map, dialog:not([open])')) continue;
    const [a, b] = [light(parse(getComputedStyle(element).color)), light(behind(element))];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.push(`${element.textContent.trim().slice(0, 30)}: ${ratio.toFixed(2)}`);
  }
  return faint;
}
"""

# Controls that a screen reader could not name.
NAMELESS = """
() => [...document.querySelectorAll('.ppap :is(button, input, select, textarea, [role=application])')]
  .filter((e) => e.checkVisibility())
  .filter((e) => !(e.getAttribute('aria-label') || e.labels?.length || e.textContent.trim() || e.title))
  .map((e) => e.outerHTML.slice(0, 120))
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1440, 1000, 420])
def test_layout_contrast_and_names(
    open_studio: Callable[..., Page], width: int, theme: str
) -> None:
    page = open_studio(f"?__theme={theme}", width=width)
    page.get_by_label("Compare with").select_option("hp")
    page.wait_for_selector("#rival-mosaic[data-ready=true]")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    clipped = page.evaluate(
        """() => [...document.querySelectorAll('.ppap button')].filter((e) => e.checkVisibility()
             && (e.scrollWidth > e.clientWidth + 1 || e.getBoundingClientRect().right > innerWidth))
             .map((e) => e.textContent)"""
    )
    assert clipped == []
    assert page.evaluate(FAINT) == []
    assert page.evaluate(NAMELESS) == []


def test_a_tap_chooses_the_anchor(open_studio: Callable[..., Page]) -> None:
    page = open_studio(width=420, height=900, touch=True)
    box = page.locator("#mosaic").bounding_box()
    assert box
    page.touchscreen.tap(box["x"] + 300, box["y"] + 60)
    page.wait_for_selector('#mosaic[data-anchor^="1,"]')


def test_the_layout_does_not_jump_on_a_click(page: Page) -> None:
    places = (
        "[...document.querySelectorAll('.ppap .card')].map((e) => e.getBoundingClientRect().top)"
    )
    page.wait_for_function("document.querySelector('#map').dataset.state !== 'loading'")
    page.wait_for_timeout(500)
    before = page.evaluate(places)
    page.locator("#mosaic").click(position={"x": 350, "y": 120})
    page.wait_for_timeout(600)
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
    assert {"mosaic", "phi0", "steps", "Take it with you", "SELECT"} <= reached


def test_a_screen_reader_hears_what_a_click_did(page: Page) -> None:
    page.locator("#mosaic").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector('#mosaic[data-anchor="0,15,13"]')
    page.wait_for_function(
        "document.querySelector('.stage [aria-live=polite]').textContent.includes('row 15, column 13')"
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
        page.goto(running.url)
        ready(page)
        page.wait_for_function(
            "document.querySelector('#map').dataset.state === 'umap'", timeout=120_000
        )
        page.get_by_role("radio", name="224 px").click()
        page.wait_for_function("document.querySelector('#explore').studio.state.batch.rows === 14")
        context.close()
    hosts = {urlparse(url).hostname for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {"127.0.0.1"}
    watched = log.with_suffix(".started").read_text().split()
    assert len(watched) >= 2  # the studio and its worker for maps
    assert not log.exists(), log.read_text()
