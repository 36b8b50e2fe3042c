"""The Segment tab in a real Chromium, on the sample photos and on an own picture."""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

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
    expect(tab.locator("#segment figure[data-ready=true]")).to_have_count(6)
    expect(tab.locator("#segment ul.segments li")).to_have_count(8)
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
    expect(editor).to_be_hidden()
    expect(tab.locator("#segment figure canvas").nth(view)).to_be_focused()
    row = tab.locator("#segment li[data-segment='1'] input[type=text]")
    expect(row).to_have_value("<b>grass</b>")
    x, y = tab.evaluate(f"{SEGMENT}.views[{view}].pointOf(1)")
    tab.locator("#segment figure canvas").nth(view).hover(position={"x": x, "y": y})
    expect(tab.locator("#segment .readout")).to_contain_text("<b>grass</b>: ", use_inner_text=True)


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
    tab.get_by_role("button", name="Contents of the ZIP").click()
    photos = tab.get_by_label("Include the images")
    expect(photos.locator("xpath=..")).to_have_text(
        "Include the images, 0.2 MB", use_inner_text=True
    )
    photos.check()
    tab.get_by_label("Polygons in the JSON").check()
    tab.get_by_label("Include overlays").uncheck()
    with tab.expect_download() as waiting:
        tab.get_by_role("button", name="Download ZIP").click()
    assert waiting.value.suggested_filename == "segments-two parts.zip"
    with zipfile.ZipFile(waiting.value.path()) as archive:
        assert archive.read("images/two parts.png") == (tmp_path / "two parts.png").read_bytes()
        assert "overlays/two parts.png" not in archive.namelist()
        document = json.loads(archive.read("annotations.json"))
        assert isinstance(document["annotations"][0]["segmentation"], list)
        with archive.open("labels/two parts.png") as file:
            label = np.array(Image.open(file))
    assert [one["name"] for one in document["categories"]] == ["one", "cluster 2"]
    assert label.shape == (300, 500)
    assert len({int(label[150, 40]), int(label[150, 460])}) == 2
    ids = tab.evaluate(f"[...{SEGMENT}.views[0].ids]")
    assert np.array_equal(np.array(ids).reshape(300, 500), label)


def test_switches_are_said_and_linked_and_what_cannot_be_is_told_at_its_field(tab: Page) -> None:
    number = tab.locator("#segment [data-part=clusters]")
    number.fill("1")
    number.press("Enter")
    expect(tab.locator("#segment .field-error:visible")).to_contain_text(
        "from 2 to 64", use_inner_text=True
    )
    tab.locator("#segment summary", has_text="Inference").click()
    window = tab.get_by_label("Sliding window, px")
    window.fill("100")
    window.press("Enter")
    error = tab.locator("#segment [data-error=window]")
    until(tab, "document.querySelector('#segment [data-error=window]').innerText.includes('patch')")
    expect(error).to_contain_text("multiple of the patch size", use_inner_text=True)
    # What can be is asked for, said, and in the link.
    window.fill("")
    old = result_of(tab)
    tab.locator("#segment").get_by_role("radio", name="224 px").click()
    wait_for_new(tab, old)
    old = result_of(tab)
    tab.locator("#segment").get_by_role("radio", name="PAMR").click()
    wait_for_new(tab, old)
    old = result_of(tab)
    tab.get_by_label("Average with the mirror image").check()
    wait_for_new(tab, old)
    summary = tab.locator("#segment .stage > .summary")
    assert re.fullmatch(
        r"6 images · .+ s each · PAMR · mean of image and mirror", summary.inner_text()
    )
    expect(tab.locator("#segment summary .on")).to_have_text("time × 2", use_inner_text=True)
    until(tab, "location.search.includes('refine=pamr') && location.search.includes('mirror=1')")
    tab.reload()
    tab.wait_for_selector(f"{READY}[data-refine=pamr]", timeout=120_000)
    expect(tab.get_by_label("Average with the mirror image")).to_be_checked()


ROWS = """
() => {
  const grid = document.querySelector('#segment .segment-grid');
  const box = grid.getBoundingClientRect();
  const rows = new Map();
  for (const figure of grid.children) {
    const { top, left, right } = figure.getBoundingClientRect();
    rows.set(top, [...(rows.get(top) ?? []), { left, right, height: figure.querySelector('canvas').clientHeight }]);
  }
  return [...rows.values()].map((row) => ({
    unused: box.width - row.reduce((sum, { left, right }) => sum + right - left, 0) - 10 * (row.length - 1),
    heights: row.map(({ height }) => height),
  }));
}
"""


def test_rows_are_full_and_one_picture_is_looked_at_closely(tab: Page, tmp_path: Path) -> None:
    shapes = [(300, 200), (150, 300), (400, 130), (200, 200), (2600, 1500)]
    for n, (width, height) in enumerate(shapes):
        y, x = np.mgrid[:height, :width]
        rgb = np.stack([x * 255 // width, y * 255 // height, (x // 9 + y // 9) % 2 * 255], 2)
        Image.fromarray(rgb.astype(np.uint8)).save(tmp_path / f"{n}.png")
    old = result_of(tab)
    tab.get_by_role("radio", name="Your images").last.click()
    files = [str(tmp_path / f"{n}.png") for n in range(5)]
    tab.locator("#segment input[type=file]").set_input_files(files)
    wait_for_new(tab, old)
    for width in (1440, 420):
        tab.set_viewport_size({"width": width, "height": 900})
        until(tab, f"({ROWS})().every(({{ unused }}) => unused > -1 && unused < 4)")
        rows = tab.evaluate(ROWS)
        assert all(max(row["heights"]) - min(row["heights"]) <= 1 for row in rows)
        highest = [row["heights"][0] for row in rows]
        assert max(highest) < 3.5 * min(highest)
    tab.set_viewport_size({"width": 1440, "height": 900})
    # A double click makes it large, with all its pixels.
    x, y = tab.evaluate(f"{SEGMENT}.views[4].pointOf(0) ?? [9, 9]")
    tab.locator("#segment figure canvas").nth(4).dblclick(position={"x": x, "y": y})
    until(tab, f"{SEGMENT}.views[4].width === 2048")
    expect(tab.locator("#segment figure:visible")).to_have_count(1)
    expect(tab.locator(".segment-editor")).to_be_hidden()
    # Photo and segments stay in step: what is under the pointer is what the map says there.
    large = tab.locator("#segment figure.large canvas")
    tab.keyboard.press("+")
    large.hover(position={"x": 200, "y": 100})
    tab.mouse.wheel(0, -300)
    until(tab, f"{SEGMENT}.gallery.large.camera.scale > 1.7")
    drawn(tab)
    told = tab.evaluate(
        """() => {
          const { gallery, edits } = document.querySelector('#segment').studio;
          const view = gallery.large, box = view.canvas.getBoundingClientRect();
          const { left, top, side } = view.camera.window;
          const at = [Math.floor((left + 200 / box.width * side) * view.width), Math.floor((top + 100 / box.height * side) * view.height)];
          return edits.nameOf(view.ids[at[1] * view.width + at[0]]);
        }"""
    )
    large.hover(position={"x": 201, "y": 100})
    large.hover(position={"x": 200, "y": 100})
    assert tab.locator("#segment .readout").inner_text().startswith(f"{told}: ")
    before = tab.evaluate(f"{SEGMENT}.gallery.large.camera.x")
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate(f"{SEGMENT}.gallery.large.camera.x") > before
    tab.keyboard.press("0")
    tab.keyboard.press("ArrowLeft")
    expect(tab.locator("#segment .closer .name")).to_have_text("3.png", use_inner_text=True)
    tab.keyboard.press("Escape")
    expect(tab.locator("#segment figure:visible")).to_have_count(5)
    assert tab.evaluate("document.activeElement.ariaLabel") == "3.png, segmented"


def test_a_checkpoint_is_made_as_a_run_like_any_other(browser: Browser, tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    with studio(["--runs", str(runs)]) as running, pages(browser, running.url) as open_it:
        page = open_it()
        page.get_by_role("tab", name="Segment").click()
        page.wait_for_selector(READY, timeout=120_000)
        make = page.get_by_role("button", name="Train a checkpoint on the sample photos")
        said = page.locator("#segment .maker [role=status]")
        make.click()
        until(
            page,
            "document.querySelector('#segment .maker [role=status]').innerText.match(/: [1-9]\\d* %/)",
            timeout=240_000,
        )
        expect(make).to_be_disabled()
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
        expect(make).to_be_enabled()
        # What it has learnt so far is a checkpoint already.
        page.reload()
        page.get_by_role("tab", name="Segment").click()
        page.wait_for_selector(READY, timeout=120_000)
        old = result_of(page)
        page.locator("#segment").get_by_label("Segment with").select_option(
            json.dumps(["samples", "last"], separators=(",", ":"))
        )
        wait_for_new(page, old)
        expect(said).to_be_visible()
