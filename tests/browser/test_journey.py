"""From nothing to a segmented photo without a terminal: one journey through all the tabs."""

from __future__ import annotations

import io
import json
import os
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from tests.browser.driver import pages, studio, until
from tests.browser.test_train import SMALL, badge, runs_in, set_all, show_train, wait_for_step
from tests.conftest import SHARED_DATA
from tests.support.grown_layouts import Painter
from trainers.launching.runner import Runner
from trainers.runs.folder import Run

PATIENCE = 240


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runner]:
    with runs_in(tmp_path / "runs") as runner:
        yield runner


SPLITS = (("train", 12), ("val", 4))


def camvid_slice(whole: Path, folder: Path) -> None:
    """A few frames of CamVid in its own layout."""
    for split, count in SPLITS:
        for part in (split, f"{split}annot"):
            (folder / part).mkdir(parents=True)
            for file in sorted((whole / part).iterdir())[:count]:
                (folder / part / file.name).symlink_to(file)


def camvid_painted(folder: Path) -> None:
    """The same with painted frames, where there is no CamVid."""
    painter = Painter("camvid")
    for split, count in SPLITS:
        for part in (split, f"{split}annot"):
            (folder / part).mkdir(parents=True)
        for number in range(count):
            painter.places = painter.areas()
            Image.fromarray(painter.photo()).save(folder / split / f"{number:02}.png")
            labels = Image.fromarray(painter.labels().astype(np.uint8))
            labels.save(folder / f"{split}annot" / f"{number:02}.png")


def steps_of_curve(page: Page, run: str) -> int:
    found: int = page.evaluate(
        "(run) => document.querySelector('#train').train.followed.get(run)?.series.step?.loss?.x.length ?? 0",
        run,
    )
    return found


def wait_for_curve(page: Page, run: str, more_than: int) -> None:
    until(
        page,
        "([run, n]) => (document.querySelector('#train').train.followed.get(run)?.series.step?.loss?.x.length ?? 0) > n",
        arg=[run, more_than],
        timeout=1000 * PATIENCE,
    )


def evaluate(page: Page, runs: Runner) -> None:
    """What the run has reached so far, on its own data, with CRF."""
    page.get_by_role("tab", name="Evaluate").click()
    page.locator("#evaluate form").get_by_label("Refinement").select_option("crf")
    page.get_by_role("button", name="Evaluate", exact=True).click()
    page.wait_for_selector(
        "#evaluate .report[data-ready=true][data-report^='.evaluations/']",
        timeout=1000 * PATIENCE,
    )
    (file,) = (runs.root / ".evaluations").glob("*/report.json")
    report = json.loads(file.read_text())
    rows = page.locator("#evaluate table.numbers tr.measured")
    shown = [row.split("\t")[1] for row in rows.all_inner_texts()]
    assert shown == [f"{one['cluster']['accuracy']:.1f}" for one in (report, report["crf"])]
    assert page.locator("#evaluate .subject").inner_text().startswith("last.pt")
    page.wait_for_selector("#evaluate .images[data-ready=true]", timeout=1000 * PATIENCE)
    page.locator("#evaluate .images").get_by_role("radio", name="CRF").click()
    page.wait_for_selector("#evaluate .images[data-ready=true][data-shows=cluster_crf]")


def segment(page: Page, run: str, photo: Path) -> None:
    """An own photo with the run's checkpoint, and the result taken away."""
    page.get_by_role("tab", name="Segment").click()
    page.wait_for_selector("#segment .stage[data-ready=true]", timeout=1000 * PATIENCE)
    page.locator("#segment").get_by_label("Segment with").select_option(
        json.dumps([run, "last"], separators=(",", ":"))
    )
    page.wait_for_selector(f"#segment .stage[data-title*='{run}']", timeout=1000 * PATIENCE)
    page.get_by_role("radio", name="Your images").last.click()
    page.locator("#segment input[type=file]").set_input_files(str(photo))
    until(
        page,
        "document.querySelectorAll('#segment figure[data-ready=true]').length === 1",
        timeout=1000 * PATIENCE,
    )
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download ZIP").click()
    with zipfile.ZipFile(waiting.value.path()) as archive:
        label = np.array(Image.open(io.BytesIO(archive.read(f"labels/{photo.stem}.png"))))
    assert label.shape == (150, 220)


def test_journey(browser: Browser, runs: Runner, tmp_path: Path) -> None:
    run = "journey"
    photo, folder = tmp_path / "photo.png", tmp_path / "frames"
    noise = np.random.default_rng(0).integers(0, 256, (150, 220, 3), np.uint8)
    Image.fromarray(noise).save(photo)
    if SHARED_DATA.is_dir():
        camvid_slice(SHARED_DATA / "camvid", folder)
    else:
        camvid_painted(folder)
    arguments = ["--runs", str(runs.root)]

    with studio(arguments) as running, pages(browser, running.url) as open_it:
        page = open_it()
        show_train(page)
        page.locator("#train [data-part=recipe]").select_option("camvid")
        page.locator("#train [data-part=data]").fill(str(folder))
        page.locator("#train [data-part=name]").fill(run)
        set_all(page, SMALL)
        expect(page.locator("#train [data-part=needs]")).to_contain_text(
            "steps on", timeout=1000 * PATIENCE
        )
        page.get_by_role("button", name="Start", exact=True).click()
        badge(page, "running", PATIENCE)
        wait_for_curve(page, run, 2)
    # The page is closed, and the studio has ended.
    os.kill(Run(runs.root / run).state()["pid"], 0)  # it runs on
    with studio(arguments) as running, pages(browser, running.url) as open_it:
        page = open_it()
        show_train(page)
        badge(page, "running")
        wait_for_curve(page, run, 2)
        wait_for_curve(page, run, steps_of_curve(page, run))
        page.get_by_role("button", name="Stop", exact=True).click()
        badge(page, "stopped")
        stopped_at = runs.standing(run).step
        page.get_by_role("button", name="Resume", exact=True).click()
        wait_for_step(page, stopped_at)
        page.get_by_role("button", name="Stop", exact=True).click()
        badge(page, "stopped")
        assert f"step {stopped_at}" in (runs.root / run / "log.txt").read_text()
        evaluate(page, runs)
        segment(page, run, photo)
