"""The Evaluate tab in a real Chromium: reports of a small run, images, two beside each other."""

from __future__ import annotations

import base64
import json
import os
import shutil
import zlib
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Running, pages, painted, studio, until
from tests.ppap.studio.evaluate.test_server import Place

REPORT = "#evaluate .report[data-ready=true]"
BROWSER = "document.querySelector('#evaluate .images')"
STUDIO = "document.querySelector('#evaluate').studio"
# What lies over a picture, in the pixels of the label map.
LAYER = f"""(name) => {{
  const {{ layer }} = {STUDIO}.images.pictures.all.get(name);
  return [...layer.getContext('2d').getImageData(0, 0, layer.width, layer.height).data];
}}"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("evaluate"))
    other = made.runs / ".evaluations" / "one, two"
    other.mkdir(parents=True)
    for name in ("report.json", "images.npz"):
        shutil.copy(made.run.folder / name, other / name)
    os.utime(other / "report.json", (9, 9))  # the run's own is the newest
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(place: Place) -> Iterator[Running]:
    with studio(["--runs", str(place.runs)]) as started:
        yield started


@pytest.fixture
def open_tab(browser: Browser, running: Running) -> Iterator[Callable[[], Page]]:
    with pages(browser, running.url) as open_it:

        def on_report() -> Page:
            page = open_it()
            page.get_by_role("tab", name="Evaluate").click()
            page.wait_for_selector(REPORT, timeout=60_000)
            return page

        yield on_report


def image_ready(page: Page) -> int:
    page.wait_for_selector("#evaluate .images[data-ready=true]", timeout=60_000)
    return int(page.evaluate(f"{BROWSER}.dataset.index"))


def matrix(page: Page) -> np.ndarray:
    """The numbers behind the cells of three classes, row by row."""
    values = page.locator("#evaluate .matrix td[data-cell]").evaluate_all(
        "(cells) => cells.map((cell) => Number(cell.dataset.value))"
    )
    return np.array(values).reshape(3, 3)


def squares(place: Place, index: int) -> dict[str, np.ndarray]:
    """The label maps of an image of the report ``first``, 32 × 32 each, −1 where there is none."""
    reply = place.evaluating.image({"report": "first", "index": index})
    found = {}
    for name, data in reply["maps"].items():
        flat = np.frombuffer(zlib.decompress(base64.b64decode(data)), np.uint8).astype(int)
        found[name] = np.where(flat == 255, -1, flat).reshape(32, 32)
    return found


def test_a_run_s_report_is_open_at_once(open_tab: Callable[[], Page], place: Place) -> None:
    page = open_tab()
    report = json.loads((place.run.folder / "report.json").read_text())
    row = page.locator("#evaluate table.numbers tr.measured").first.inner_text().split("\t")
    assert row[1] == f"{report['cluster']['accuracy']:.1f}"
    expect(page.locator("#evaluate .bar-row")).to_have_count(3)
    counts = np.array(report["cluster"]["confusion"])[:, :3]
    assert np.allclose(matrix(page), 100 * counts / counts.sum(1, keepdims=True))
    card = page.locator("#evaluate .confusion-card")
    card.get_by_role("radio", name="By column").click()
    assert np.allclose(matrix(page), 100 * counts / np.maximum(counts.sum(0), 1))
    card.get_by_role("radio", name="Pixels").click()
    card.get_by_role("button", name="Diagonal").click()
    assert np.array_equal(matrix(page), counts)
    texts = card.locator("td[data-cell='1.1'], td[data-cell='0.1']").all_inner_texts()
    assert texts == [f"{counts[0, 1] / 1000:.1f}k", ""]


def test_the_worst_image_comes_first_with_where_it_is_wrong(
    open_tab: Callable[[], Page], place: Place
) -> None:
    page = open_tab()
    report = json.loads((place.run.folder / "report.json").read_text())
    worst = min(report["images"], key=lambda one: one["cluster"]["accuracy"])
    assert image_ready(page) == worst["index"]
    titles = page.locator("#evaluate .image-panels figcaption .title").all_inner_texts()
    assert titles == ["Image", "Truth", "Prediction", "Wrong"]
    page.get_by_role("button", name="Next image").click()
    page.wait_for_selector(
        f"#evaluate .images[data-ready=true]:not([data-index='{worst['index']}'])"
    )
    page.locator("#evaluate .images").get_by_role("radio", name="CRF").click()
    page.wait_for_selector("#evaluate .images[data-ready=true][data-shows=cluster_crf]")
    page.locator("#evaluate .images").get_by_label("Refined").fill("0.5")
    edge, height = page.evaluate(
        f"(({{ pictures, found }}) => [found[0].width / 2, found[0].height])({STUDIO}.images)"
    )
    shown, plain, refined = (
        np.array(page.evaluate(f"[...{STUDIO}.images.{where}]")).reshape(height, -1)
        for where in (
            "pictures.maps[0]",
            "found[0].maps.cluster",
            "found[0].maps.cluster_crf",
        )
    )
    assert np.array_equal(shown[:, : int(edge)], refined[:, : int(edge)])
    assert np.array_equal(shown[:, int(edge) :], plain[:, int(edge) :])


def test_from_a_cell_to_its_images_and_pixels(open_tab: Callable[[], Page], place: Place) -> None:
    """By keyboard alone, against label maps that the page has no part in."""
    page = open_tab()
    image_ready(page)
    images = place.evaluating.reports.read("first")["images"]
    maps = {one["index"]: squares(place, one["index"]) for one in images}
    card = page.locator("#evaluate .confusion-card")
    card.get_by_role("radio", name="Linear probe").click()
    cell = page.locator("#evaluate .matrix td[data-cell='0.0']")
    cell.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "Enter"):
        page.keyboard.press(key)
    page.wait_for_selector("#evaluate .images[data-counted='cell.1.0'][data-only='cell.1.0']")
    wanted = {
        index: int(((one["truth"] == 1) & (one["linear"] == 0)).sum())
        for index, one in maps.items()
    }
    ranked = sorted(filter(wanted.get, wanted), key=lambda index: (-wanted[index], index))
    rows = page.locator("#evaluate .image-row")
    assert [int(row.get_attribute("data-index") or -1) for row in rows.all()] == ranked
    assert rows.locator("b").all_inner_texts() == [f"{wanted[index]:,}" for index in ranked]
    total, holding = sum(wanted.values()), len(ranked)
    chip = page.locator("#evaluate .singled")
    expect(chip).to_contain_text(f"{total:,} pixels in {holding} images")
    assert image_ready(page) == ranked[0]
    # Just those pixels have colours: whole photos are 40 pixels wide, their squares 32.
    chosen = np.zeros((32, 40), bool)
    chosen[:, 4:36] = (maps[ranked[0]]["truth"] == 1) & (maps[ranked[0]]["linear"] == 0)
    colours = place.evaluating.reports.read("first")["colours"]
    for picture, colour in (
        ("truth", colours[1]),
        ("predicted-0", colours[0]),
        ("wrong-0", [214, 30, 60]),
    ):
        layer = np.array(page.evaluate(LAYER, picture)).reshape(32, 40, 4)
        coloured = (layer[..., :3] == colour).all(-1) & (layer[..., 3] == 255)
        assert np.array_equal(coloured, chosen), picture
    page.get_by_role("button", name="Next image").click()
    page.wait_for_selector(f"#evaluate .images[data-ready=true][data-index='{ranked[1]}']")
    until(
        page,
        f"location.search.includes('image={ranked[1]}&kind=linear&order=pixels&only=cell.1.0')",
    )
    # A reload comes back to it; the chip takes it away.
    page.reload()
    page.wait_for_selector("#evaluate .images[data-counted='cell.1.0'][data-ready=true]")
    assert image_ready(page) == ranked[1]
    expect(page.locator("#evaluate .matrix .chosen")).to_have_attribute("data-cell", "1.0")
    chip.get_by_role("button", name="Show all pixels again").click()
    page.wait_for_selector("#evaluate .images[data-ready=true][data-only='']")
    expect(chip).to_be_hidden()
    expect(rows).to_have_count(len(images))
    layer = np.array(page.evaluate(LAYER, "predicted-0")).reshape(32, 40, 4)
    assert (layer[:, 4:36, 3] == 255).all()
    # A bar: the images by the pixels that its IoU is made of; then those with another class alone.
    page.locator("#evaluate .bar-row").nth(1).locator(".bar").click()
    page.wait_for_selector("#evaluate .images[data-counted='any.1'][data-only='any.1']")
    union = [
        int(((m["truth"] == 1) | ((m["linear"] == 1) & (m["truth"] >= 0))).sum())
        for m in maps.values()
    ]
    assert sorted(rows.locator("b").all_inner_texts()) == sorted(f"{one:,}" for one in union if one)
    page.locator("#evaluate .images").get_by_label("Part of the image's name").fill("P3")
    expect(page.locator("#evaluate .image-side")).to_contain_text("1 of 5 images")
    page.wait_for_selector("#evaluate .images[data-ready=true][data-index='3']")


def test_an_evaluation_is_begun_here_and_shown_beside_another(
    open_tab: Callable[[], Page],
) -> None:
    page = open_tab()
    page.locator("#evaluate").get_by_label("Split", exact=True).fill("all")
    page.get_by_role("button", name="Evaluate", exact=True).click()
    page.wait_for_selector(f"{REPORT}[data-report^='.evaluations/']", timeout=180_000)
    page.locator("#evaluate li[data-report=first] .compare").click()
    page.wait_for_selector(f"{REPORT}[data-beside=first]")
    image_ready(page)
    expect(page.locator("#evaluate .image-panels figure")).to_have_count(6)
    expect(page.locator("#evaluate .bar-row").first.locator(".bar")).to_have_count(2)
    expect(page.locator("#evaluate .matrix")).to_have_count(2)
    # The same checkpoint, but for the CRF: no difference. Pictures without it do not claim it.
    expect(page.locator("#evaluate .comparability")).to_contain_text("refined in the same way")
    captions = page.locator("#evaluate [data-picture^=predicted] figcaption").all_inner_texts()
    assert len(set(captions)) == 2
    assert not any("CRF" in one or "refined" in one for one in captions)
    expect(page.locator("#evaluate .differences td.sure")).to_have_count(0)
    page.get_by_role("button", name="Who is right").click()
    painted(page)
    layers = [np.array(page.evaluate(LAYER, f"wrong-{i}")).reshape(-1, 4) for i in range(2)]
    both = {190, 220, 0}  # the opacities of both right, both wrong, and no truth
    assert set(np.concatenate(layers)[:, 3].tolist()) <= both
    page.locator("#evaluate .images").get_by_label("Order").select_option("difference")
    assert set(page.locator("#evaluate .image-row b").all_inner_texts()) == {"±0.0"}
    # A third, of a name that a link must keep apart from others.
    page.locator("#evaluate li[data-report='.evaluations/one, two'] .compare").click()
    page.wait_for_selector(f"{REPORT}[data-beside='first,.evaluations/one%2C two']")
    image_ready(page)
    expect(page.locator("#evaluate .image-panels figure")).to_have_count(8)
    page.reload()
    page.wait_for_selector(f"{REPORT}[data-beside='first,.evaluations/one%2C two']")
    page.locator("#evaluate li[data-report='.evaluations/one, two'] .compare").click()
    page.wait_for_selector(f"{REPORT}[data-beside=first]")
    # Deleted after a question; what it was beside is open then.
    page.on("dialog", lambda dialog: dialog.accept())
    own = page.locator("#evaluate li.current")
    expect(page.locator("#evaluate li[data-report=first]").get_by_role("button")).to_have_count(2)
    own.get_by_role("button", name="Delete").click()
    page.wait_for_selector(f"{REPORT}[data-report=first][data-beside='']")
    expect(page.locator("#evaluate li[data-report^='.evaluations/']")).to_have_count(1)


def test_what_cannot_be_evaluated_is_told_at_its_field(
    open_tab: Callable[[], Page], place: Place
) -> None:
    page = open_tab()
    data = page.locator("#evaluate").get_by_label("Data set folder on this server")
    said = page.locator("#evaluate [data-error=data]")
    expect(page.locator("#evaluate .field-error:visible")).to_have_count(0)
    data.fill("/no/such/folder")
    expect(said).to_have_text("There is no folder /no/such/folder on this server.")
    data.fill("")
    expect(said).to_be_hidden()
    # A path that nobody has typed yet is no mistake, until it is sent.
    page.locator("#evaluate").get_by_label("Checkpoint", exact=True).select_option("file")
    page.locator("#evaluate").get_by_label("Split", exact=True).fill("vall")
    data.fill("/no/such/folder")
    expect(said).to_have_text("There is no folder /no/such/folder on this server.")
    expect(page.locator("#evaluate [data-error=checkpoint]")).to_be_hidden()
    page.get_by_role("button", name="Evaluate", exact=True).click()
    expect(page.locator("#evaluate [data-error=checkpoint]")).to_contain_text("checkpoint file")
    expect(page.locator("#evaluate .messages.error:visible")).to_have_count(0)
    page.locator("#evaluate").get_by_label("Checkpoint file on this server").fill(
        str(place.run.checkpoints / "lst.pt")
    )
    offer = page.locator("#evaluate [data-error=checkpoint] button")
    expect(offer).to_have_text(str(place.run.checkpoints / "last.pt"))
    offer.click()
    data.fill(str(place.data))
    expect(page.locator("#evaluate [data-error=checkpoint]")).to_be_hidden()
    split = page.locator("#evaluate [data-error=split]")
    expect(split).to_contain_text("has no split vall.")
    split.get_by_role("button", name="val", exact=True).click()
    expect(split).to_be_hidden()
    expect(page.locator("#evaluate").get_by_label("Split", exact=True)).to_have_value("val")
