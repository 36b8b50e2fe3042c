"""All that an evaluation can do, asked for in the form and shown as cards."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from ppap.data import open_dataset
from ppap.evaluation.source import read_square
from ppap.evaluation.starts_text import over_starts
from tests.browser.driver import Running, pages, studio, until
from tests.ppap.studio.evaluate.test_server import Place

REPORT = "#evaluate .report[data-ready=true]"
PATIENCE = 300_000


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    made = Place(tmp_path_factory.mktemp("form"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def running(place: Place) -> Iterator[Running]:
    with studio(["--runs", str(place.runs)]) as started:
        yield started


def test_everything_is_asked_for_kept_and_shown(
    browser: Browser, running: Running, place: Place
) -> None:
    with pages(browser, running.url) as open_it:
        page = open_it()
        page.get_by_role("tab", name="Evaluate").click()
        page.wait_for_selector(REPORT, timeout=60_000)
        fill(page)
        # A reload brings the form back, with what is on inside the folds in sight.
        until(page, "location.search.includes('form.retrieval=yes')")
        page.reload()
        page.wait_for_selector(REPORT, timeout=60_000)
        form = page.locator("#evaluate form")
        expect(form.get_by_label("Scales")).to_be_visible()
        expect(form.get_by_label("Scales")).to_have_value("0.5 1")
        assert form.locator("summary").all_inner_texts() == [
            "Inference\ntime × 2.5",
            "More metrics\nK = 3, 5; 2 starts; retrieval",
        ]
        form.get_by_role("button", name="Evaluate", exact=True).click()
        page.wait_for_selector(f"{REPORT}[data-report^='.evaluations/']", timeout=PATIENCE)
        (file,) = (place.runs / ".evaluations").glob("*/report.json")
        report = json.loads(file.read_text())
        assert report["inference"] == {"mirror": True, "scales": [0.5, 1.0]}
        assert "pamr" in report
        assert "crf" not in report
        subject = page.locator("#evaluate .subject").inner_text()
        assert "mean of image and mirror; scales 0.5, 1; also refined with PAMR." in subject
        clusters(page, report)
        retrieval(page, report)
        starts(page, report)
        predictions(page, place)


def fill(page: Page) -> None:
    """Everything, with slips that are said at their fields."""
    form = page.locator("#evaluate form")
    form.get_by_label("Split", exact=True).fill("all")
    form.get_by_label("Refinement").select_option("pamr")
    page.locator("#evaluate summary", has_text="Inference").press("Enter")
    form.get_by_label("Average with the mirror image").check()
    form.get_by_label("Scales").fill("0.5 half")
    expect(page.locator("#evaluate [data-error=scales]")).to_have_text("half is not a number.")
    form.get_by_label("Scales").fill("0.5 1")
    expect(page.locator("#evaluate [data-error=scales]")).to_be_hidden()
    page.locator("#evaluate summary", has_text="More metrics").click()
    form.get_by_label("Numbers of clusters").fill("2 5")
    said = page.locator("#evaluate [data-error=clusters]")
    expect(said).to_have_text("2 clusters are fewer than the data set's 3 classes.")
    form.get_by_label("Numbers of clusters").fill("3 5")
    expect(said).to_be_hidden()
    form.get_by_role("checkbox", name="Probe").uncheck()
    form.get_by_label("Many starts").fill("2")
    form.get_by_label("Dense retrieval").check()


def clusters(page: Page, report: dict[str, object]) -> None:
    """The table holds the report's numbers; the curve has a line for each method."""
    made: dict[str, list[dict[str, dict[str, float]]]] = report["clusterings"]  # type: ignore[assignment]
    card = page.locator("#evaluate .card.clusterings")
    cells = [row.split("\t") for row in card.locator("tbody tr").all_inner_texts()]
    assert [row[1] for row in cells] == ["merged", "k-means"] * 2
    assert [row[0] for row in cells] == ["3", "", "5", ""]
    for row, one in zip(cells, made["rows"], strict=True):
        maps = [one[name] for name in ("learnt", "hungarian", "optimistic")]
        numbers = [f"{scores[key]:.1f}" for scores in maps for key in ("accuracy", "miou")]
        assert row[2:8] == numbers
        assert row[10:] == [
            f"{one['ari']:.3f}".replace("-", "−"),
            *(str(one[key]) for key in ("unused", "missed")),
        ]
    expect(card.locator("polyline")).to_have_count(2)
    card.get_by_role("radio", name="ARI").click()
    expect(card.get_by_role("img")).to_have_attribute(
        "aria-label", "ARI against the number of clusters"
    )


def retrieval(page: Page, report: dict[str, object]) -> None:
    """Trained features beside frozen ones."""
    made: dict[str, dict[str, float]] = report["retrieval"]  # type: ignore[assignment]
    rows = page.locator("#evaluate .card.retrieval tbody tr").all_inner_texts()
    assert rows == [
        f"{kind.capitalize()} features\t{made[kind]['accuracy']:.1f}\t{made[kind]['miou']:.1f}"
        for kind in ("trained", "frozen")
    ]


def starts(page: Page, report: dict[str, Any]) -> None:
    """The chosen of each kind, the spread over all, and what training gains."""
    card = page.locator("#evaluate .card.starts")
    expect(card).to_contain_text("2 clusterings of each kind", use_inner_text=True)
    made = report["starts"]
    scores, gains = card.locator("table").all()
    rows = [row.split("\t") for row in scores.locator("tbody tr").all_inner_texts()]
    assert [row[1:] for row in rows] == [
        [
            one["features"],
            f"{one['losses'][one['chosen']]:.3f}".replace("-", "−"),
            f"{one['accuracy']:.1f}",
            f"{one['miou']:.1f}",
            over_starts(one["mious"]),
        ]
        for one in made["rows"]
    ]
    assert [row[0] for row in rows] == ["Noise", "Spread", "Merged", "Linkage"] * 2
    row = gains.locator("tbody tr").first.inner_text()
    difference = made["gains"]["noise"]["miou"]["difference"]
    assert row.split("\t")[0] == "Noise"
    assert f"{abs(difference):.1f}" in row.split("\t")[2]


def predictions(page: Page, place: Place) -> None:
    """Another method's files in place of a checkpoint: scored as they are."""
    form = page.locator("#evaluate form")
    form.get_by_label("Checkpoint", exact=True).select_option("predictions")
    expect(form.locator("details.fold:visible")).to_have_count(0)
    expect(form.get_by_label("Refinement")).to_be_hidden()
    folder = form.get_by_label("Folder of predictions")
    said = page.locator("#evaluate [data-error=checkpoint]")
    expect(said).to_be_hidden()  # nobody has typed yet
    folder.fill(f"{place.data}x")
    expect(said).to_contain_text("There is no folder")
    said.get_by_role("button", name=str(place.data), exact=True).click()
    expect(said).to_be_hidden()
    expect(folder).to_have_value(str(place.data))
    form.get_by_label("Files contain").select_option("classes")
    expect(form.get_by_label("Matched")).to_be_hidden()
    expect(page.locator("#evaluate [data-error=data]")).to_contain_text("Enter the data set folder")
    theirs = changed(place)
    folder.fill(str(theirs))
    form.get_by_label("Size, px").fill("32")
    form.get_by_label("Data set folder on this server", exact=True).fill(str(place.data))
    form.get_by_label("Split", exact=True).fill("all")
    form.get_by_role("button", name="Evaluate", exact=True).click()
    page.wait_for_selector(f"{REPORT}[data-report*='theirs']", timeout=PATIENCE)
    subject = page.locator("#evaluate .subject").inner_text()
    assert "3 classes, predicted by another method" in subject
    expect(page.locator("#evaluate .card.scores h2")).to_have_text("Scores of theirs")
    right, pixels = compared(place, theirs)
    row = page.locator("#evaluate .card.scores tr.measured td").all_inner_texts()
    assert row[0] == f"{100 * right / pixels:.1f}"
    expect(page.get_by_role("button", name="Open in Explore")).to_have_count(0)
    page.wait_for_selector("#evaluate .images[data-ready=true]", timeout=PATIENCE)


def changed(place: Place) -> Path:
    """The run's own classes, one file turned upside down."""
    theirs = place.root / "theirs"
    shutil.copytree(place.root / "written/classes", theirs)
    file = sorted(theirs.rglob("*.png"))[0]
    Image.open(file).transpose(Image.Transpose.FLIP_TOP_BOTTOM).save(file)
    return theirs


def compared(place: Place, theirs: Path) -> tuple[int, int]:
    """Pixels that are right, and those that count."""
    data = open_dataset(place.data, split="all")
    right = pixels = 0
    for file in theirs.rglob("*.png"):
        (index,) = (i for i, item in enumerate(data.items) if item.name == file.stem)
        truth = read_square(data, index, 32).labels
        right += int((np.array(Image.open(file)) == truth).sum())
        pixels += int((truth >= 0).sum())
    return right, pixels
