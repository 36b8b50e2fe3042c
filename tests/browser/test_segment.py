"""The Segment tab in a real Chromium, on the sample photos and on an own picture."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page

from tests.browser.driver import pages, studio, until

SEGMENT = "document.querySelector('#segment').studio"
READY = "#segment .stage[data-ready=true]"


def result_of(page: Page) -> str:
    found = page.locator("#segment .stage").get_attribute("data-result")
    assert found
    return found


def wait_for_new(page: Page, old: str) -> None:
    page.wait_for_selector(f'{READY}:not([data-result="{old}"])', timeout=120_000)


def drawn(page: Page) -> None:
    """Wait until what was changed last is on the canvases."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def shown(page: Page, view: int, id: int) -> list[int]:
    """Red, green and blue in the middle of a segment of a picture, away from lines."""
    found: list[int] = page.evaluate(
        """([view, id]) => {
          const one = document.querySelector('#segment').studio.views[view];
          const [x, y] = one.pointOf(id).map((at) => (at * one.width) / one.canvas.getBoundingClientRect().width);
          return [...one.canvas.getContext('2d').getImageData(Math.floor(x), Math.floor(y), 1, 1).data].slice(0, 3);
        }""",
        [view, id],
    )
    return found


def click_segment(page: Page, view: int, id: int) -> None:
    x, y = page.evaluate(f"{SEGMENT}.views[{view}].pointOf({id})")
    page.locator("#segment figure canvas").nth(view).click(position={"x": x, "y": y})


@pytest.fixture
def tab(open_studio: Callable[..., Page]) -> Page:
    page = open_studio()
    page.get_by_role("tab", name="Segment").click()
    page.wait_for_selector(READY, timeout=120_000)
    return page


def test_the_samples_are_segmented_at_once(tab: Page) -> None:
    assert tab.locator("#segment figure[data-ready=true]").count() == 6
    assert tab.locator("#segment ul.segments li").count() == 8
    ids = tab.evaluate(f"{SEGMENT}.views.map((view) => view.ids.reduce((a, b) => Math.max(a, b)))")
    assert max(ids) == 7
    shares = tab.evaluate(f"{SEGMENT}.shown.shares")
    assert sum(shares) == pytest.approx(1)


def test_colour_opacity_and_outline_never_ask_the_server(tab: Page) -> None:
    asked: list[str] = []
    tab.on("request", lambda request: asked.append(f"{request.url} {request.post_data}"))
    opacity = tab.locator("#segment .opacity input")
    tab.get_by_role("button", name="Outline").click()
    opacity.fill("1")
    row = tab.locator("#segment li[data-segment='0']")
    row.locator("input[type=color]").fill("#0a1420")
    row.locator("input[type=text]").fill("big cat")
    drawn(tab)
    view = tab.evaluate(f"{SEGMENT}.views.findIndex((view) => view.ids.includes(0))")
    tab.evaluate(f"{SEGMENT}.focus(null)")
    drawn(tab)
    assert shown(tab, view, 0) == [10, 20, 32]
    opacity.fill("0")
    drawn(tab)
    assert shown(tab, view, 0) != [10, 20, 32]
    # Explore may still wait for its map.
    others = ("heartbeat", '"fn_name":"map"')
    assert [one for one in asked if not any(other in one for other in others)] == []


def test_a_click_names_a_segment_in_all_pictures(tab: Page) -> None:
    view = tab.evaluate(f"{SEGMENT}.views.findIndex((view) => view.ids.includes(1))")
    click_segment(tab, view, 1)
    editor = tab.locator(".segment-editor")
    editor.get_by_label("Name", exact=True).fill("<b>grass</b>")
    tab.keyboard.press("Enter")
    assert editor.is_hidden()
    row = tab.locator("#segment li[data-segment='1'] input[type=text]")
    assert row.input_value() == "<b>grass</b>"
    x, y = tab.evaluate(f"{SEGMENT}.views[{view}].pointOf(1)")
    tab.locator("#segment figure canvas").nth(view).hover(position={"x": x, "y": y})
    assert "<b>grass</b>: " in tab.locator("#segment .readout").inner_text()


def test_an_own_picture_with_fewer_clusters_and_a_zip(tab: Page, tmp_path: Path) -> None:
    rgb = np.zeros((300, 500, 3), np.uint8)
    rgb[:, :250] = (220, 40, 30)
    rgb[:, 250:] = np.random.default_rng(0).integers(0, 256, (300, 250, 3))
    Image.fromarray(rgb).save(tmp_path / "two parts.png")
    old = result_of(tab)
    tab.get_by_role("radio", name="Your images").last.click()
    tab.locator("#segment input[type=file]").set_input_files(str(tmp_path / "two parts.png"))
    wait_for_new(tab, old)
    old = result_of(tab)
    number = tab.locator("#segment [data-part=clusters]")
    number.fill("2")
    number.press("Enter")
    wait_for_new(tab, old)
    tab.locator("#segment li[data-segment='0'] input[type=text]").fill("one")
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download ZIP").click()
    assert waiting.value.suggested_filename == "segments-two parts.zip"
    with zipfile.ZipFile(waiting.value.path()) as archive:
        document = json.loads(archive.read("annotations.json"))
        with archive.open("labels/two parts.png") as file:
            label = np.array(Image.open(file))
    assert [one["name"] for one in document["categories"]] == ["one", "cluster 2"]
    assert label.shape == (300, 500)
    assert len({int(label[150, 40]), int(label[150, 460])}) == 2
    ids = tab.evaluate(f"[...{SEGMENT}.views[0].ids]")
    assert np.array_equal(np.array(ids).reshape(300, 500), label)


def test_a_number_that_cannot_be_is_told_at_its_field(tab: Page) -> None:
    number = tab.locator("#segment [data-part=clusters]")
    number.fill("1")
    number.press("Enter")
    assert "from 2 to 64" in tab.locator("#segment .field-error:visible").inner_text()


def test_a_checkpoint_is_made_as_a_run_like_any_other(browser: Browser, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with studio(["--runs", str(runs)]) as running, pages(browser, running.url) as open_it:
        page = open_it()
        page.get_by_role("tab", name="Segment").click()
        page.wait_for_selector(READY, timeout=120_000)
        make = page.get_by_role("button", name="Make a checkpoint from the sample photos")
        said = page.locator("#segment .maker [role=status]")
        make.click()
        until(
            page,
            "document.querySelector('#segment .maker [role=status]').innerText.match(/: [1-9]\\d* %/)",
            timeout=240_000,
        )
        assert make.is_disabled()
        (state,) = runs.glob("samples*/config.json")
        assert json.loads(state.read_text())["recipe"] == "samples"
        page.get_by_role("tab", name="Train").click()
        page.locator("#train").get_by_role("button", name="Stop", exact=True).click()
        page.get_by_role("tab", name="Segment").click()
        until(
            page,
            "document.querySelector('#segment .maker [role=status]').innerText.includes('stopped')",
            timeout=120_000,
        )
        assert make.is_enabled()
        # What it has learnt so far is a checkpoint already.
        page.reload()
        page.get_by_role("tab", name="Segment").click()
        page.wait_for_selector(READY, timeout=120_000)
        old = result_of(page)
        page.locator("#segment").get_by_label("Segment with").select_option(
            json.dumps(["samples", "last"], separators=(",", ":"))
        )
        wait_for_new(page, old)
        assert said.is_visible()
