"""A checkpoint of 301 classes and its report in a real Chromium: two bytes a pixel."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from ppap.data import open_dataset, palette
from ppap.evaluation.source import read_square
from tests.browser.driver import pages, painted, studio
from tests.support.many_classes import IDS, SIZE, run_of_many_classes

READY = "#segment .stage[data-ready=true]"
TRUTH = "document.querySelector('#evaluate').studio.images.pictures.all.get('truth')"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("many")
    run_of_many_classes(root)
    return root


@pytest.fixture(scope="module")
def opened(browser: Browser, place: Path) -> Iterator[Callable[..., Page]]:
    arguments = ["--runs", str(place / "runs"), "--images", str(place / "ImageNetS300")]
    with studio(arguments) as running, pages(browser, running.url) as open_it:
        yield open_it


def test_segments_keep_their_numbers_and_colours(opened: Callable[..., Page]) -> None:
    page = opened()
    page.get_by_role("tab", name="Segment").click()
    page.wait_for_selector(READY, timeout=120_000)
    page.locator("#segment").get_by_label("Segment with").select_option(
        json.dumps(["many", "last"], separators=(",", ":"))
    )
    page.wait_for_selector(f"{READY}[data-title='many (last)']", timeout=120_000)
    page.locator("#segment").get_by_role("radio", name="Linear classes").click()
    page.wait_for_selector(f"{READY}[data-kind=classes]")
    found = page.evaluate(
        """() => {
          const { views, shown } = document.querySelector('#segment').studio;
          return { ids: [...new Set(views.flatMap((view) => [...view.ids]))], names: shown.names.length, shares: shown.shares };
        }"""
    )
    assert found["names"] == 301
    assert min(found["ids"]) > 249
    assert max(found["ids"]) > 255
    assert sum(found["shares"]) == pytest.approx(1)
    assert {i for i, share in enumerate(found["shares"]) if share} >= set(found["ids"])
    top = max(found["ids"])
    row = page.locator(f"#segment li[data-segment='{top}'] input[type=text]")
    expect(row).to_have_value(f"thing {top}")
    # On the canvas, too, it has its own colour.
    page.locator("#segment .opacity input").fill("1")
    page.get_by_role("button", name="Outline").click()
    painted(page)
    colour = page.evaluate(
        """(id) => {
          const view = document.querySelector('#segment').studio.views.find((one) => one.ids.includes(id));
          const at = view.ids.indexOf(id);
          const data = view.canvas.getContext('2d').getImageData(at % view.width, Math.floor(at / view.width), 1, 1).data;
          return [...data].slice(0, 3);
        }""",
        top,
    )
    assert colour == list(palette(301)[top])


def test_a_report_s_images_are_in_the_colours_of_their_classes(
    opened: Callable[..., Page], place: Path
) -> None:
    page = opened()
    page.get_by_role("tab", name="Evaluate").click()
    page.wait_for_selector("#evaluate .report[data-report=many]", timeout=60_000)
    page.wait_for_selector("#evaluate .images[data-ready=true]", timeout=60_000)
    index = int(page.locator("#evaluate .images").get_attribute("data-index") or -1)
    expect(page.locator("#evaluate .images canvas")).to_have_count(4)
    page.locator("#evaluate .images .opacity input").last.fill("1")
    painted(page)
    wanted = read_square(
        open_dataset(place / "ImageNetS300", split="validation"), index, SIZE
    ).labels
    colours = np.array([*palette(301), (0, 0, 0)])
    point = f"(at) => {TRUTH}.pointOf(...at)"
    for y, x in ((8, 8), (8, 24), (24, 8), (40, 8), (40, 40)):
        shown = page.evaluate(
            """([x, y]) => {
              const { canvas } = PICTURE;
              const share = canvas.width / canvas.clientWidth;
              const at = PICTURE.pointOf(x, y).map((one) => Math.floor(one * share));
              return [...canvas.getContext('2d').getImageData(...at, 1, 1).data].slice(0, 3);
            }""".replace("PICTURE", TRUTH),
            [x, y],
        )
        if wanted[y, x] >= 0:
            assert shown == colours[wanted[y, x]].tolist(), (x, y)
    # A pixel's class by its name; the pointer is over the truth.
    canvas = page.locator("#evaluate .image-panels canvas").nth(1)
    down, across = np.argwhere(wanted == 300)[0].tolist()
    x, y = page.evaluate(point, [across, down])
    canvas.hover(position={"x": x, "y": y})
    classes = json.loads((place / "runs/many/report.json").read_text())["classes"]
    said = page.locator("#evaluate .images .readout").inner_text()
    assert said.startswith(f"truth: {classes[300]}")
    assert set(np.unique(wanted)) <= {*IDS, -1}
