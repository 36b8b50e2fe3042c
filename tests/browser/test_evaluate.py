"""The Evaluate tab in a real Chromium: reports of a small run, images, two beside each other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import Running, pages, studio
from tests.ppap.studio.evaluate.test_server import Place

REPORT = "#evaluate .report[data-ready=true]"
BROWSER = "document.querySelector('#evaluate .images')"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("evaluate"))
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


def test_a_run_s_report_is_open_at_once(open_tab: Callable[[], Page], place: Place) -> None:
    page = open_tab()
    report = json.loads((place.run.folder / "report.json").read_text())
    row = page.locator("#evaluate table.numbers tr.measured").first.inner_text().split("\t")
    assert row[1] == f"{report['cluster']['accuracy']:.1f}"
    assert page.locator("#evaluate .bar-row").count() == 3
    page.wait_for_selector("#evaluate .confusion[data-drawn=true]")
    z = page.evaluate("document.querySelector('#evaluate .confusion').data[0].z")
    counts = np.array(report["cluster"]["confusion"])[:, :3]
    assert np.allclose(np.array(z)[:, :3], 100 * counts / counts.sum(1, keepdims=True))


def test_the_worst_image_comes_first_with_where_it_is_wrong(
    open_tab: Callable[[], Page], place: Place
) -> None:
    page = open_tab()
    report = json.loads((place.run.folder / "report.json").read_text())
    worst = min(report["images"], key=lambda one: one["cluster"]["accuracy"])
    assert image_ready(page) == worst["index"]
    titles = page.locator("#evaluate .image-panels figcaption").all_inner_texts()
    assert titles == ["Photo", "Truth", "Prediction", "Wrong"]
    page.get_by_role("button", name="Next image").click()
    page.wait_for_selector(
        f"#evaluate .images[data-ready=true]:not([data-index='{worst['index']}'])"
    )
    page.locator("#evaluate .images").get_by_label("CRF").fill("0.5")
    page.wait_for_selector("#evaluate .image-panels[data-kind=cluster_crf]")


def test_an_evaluation_is_begun_here_and_shown_beside_another(
    open_tab: Callable[[], Page],
) -> None:
    page = open_tab()
    page.locator("#evaluate").get_by_label("Split").fill("all")
    page.get_by_role("button", name="Evaluate", exact=True).click()
    page.wait_for_selector(f"{REPORT}[data-report^='.evaluations/']", timeout=180_000)
    page.locator("#evaluate li[data-report=first] .compare").click()
    page.wait_for_selector(f"{REPORT}[data-beside=first]")
    image_ready(page)
    assert page.locator("#evaluate .image-panels figure").count() == 6
    assert page.locator("#evaluate .bar-row").first.locator(".bar").count() == 2
    assert page.locator("#evaluate .confusion").count() == 2
    # Deleted after a question; what it was beside is open then.
    page.on("dialog", lambda dialog: dialog.accept())
    own = page.locator("#evaluate li[data-report^='.evaluations/']")
    assert own.count() == 1
    assert page.locator("#evaluate li[data-report=first]").get_by_role("button").count() == 2
    own.get_by_role("button", name="Delete").click()
    page.wait_for_selector(f"{REPORT}[data-report=first][data-beside='']")
    assert own.count() == 0


def test_what_cannot_be_evaluated_is_told_at_its_field(
    open_tab: Callable[[], Page], place: Place
) -> None:
    page = open_tab()
    data = page.locator("#evaluate").get_by_label("Data set on this server")
    said = page.locator("#evaluate [data-error=data]")
    assert page.locator("#evaluate .field-error:visible").count() == 0
    data.fill("/no/such/folder")
    expect(said).to_have_text("There is no folder /no/such/folder on this server.")
    data.fill("")
    expect(said).to_be_hidden()
    # A path that nobody has typed yet is no mistake, until it is sent.
    page.locator("#evaluate").get_by_label("Checkpoint", exact=True).select_option("file")
    page.locator("#evaluate").get_by_label("Split").fill("vall")
    data.fill("/no/such/folder")
    expect(said).to_have_text("There is no folder /no/such/folder on this server.")
    expect(page.locator("#evaluate [data-error=checkpoint]")).to_be_hidden()
    page.get_by_role("button", name="Evaluate", exact=True).click()
    expect(page.locator("#evaluate [data-error=checkpoint]")).to_contain_text("checkpoint file")
    assert page.locator("#evaluate .messages.error:visible").count() == 0
    page.locator("#evaluate").get_by_label("Path of the checkpoint").fill(
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
    assert page.locator("#evaluate").get_by_label("Split").input_value() == "val"
