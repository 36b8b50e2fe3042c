"""Features of any stage on the page: a run at its steps, from Train and Evaluate, and one's own."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, expect

import ppap
from ppap.batches import Batch
from ppap.checkpoints.features import load_features
from ppap.data import open_dataset
from tests.browser.driver import (
    ROOT,
    STUDIO,
    Running,
    click_patch,
    counts,
    has_counts,
    pages,
    ready,
    soon,
    studio,
    until,
)
from tests.support.small_runs import SIZE, Place
from trainers.evaluate import main as evaluate
from trainers.runs.folder import Run

SETTINGS = {"phi0": 0.65, "psi0": 0.4, "sigma_pos": 3, "sigma_amb": 5, "steps": 2}
SCRIPT = """
import numpy as np, ppap
given = np.load({file!r})
shown = ppap.explore(given["features"], given["images"], given["labels"], classes=("a", "b"))
print(shown.url, flush=True)
input()
"""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A run of 6 steps with a report, of which 2, 4, 5 and 6 are kept."""
    place = Place(tmp_path_factory.mktemp("features"))
    place.train("runs/run", place.config(max_steps=6, checkpoint_every=2, keep=4, **thresholds()))
    run = Run(place.root / "runs/run")
    run.write_state("finished", data=str(place.data), step=6, steps=6)
    assert evaluate([str(run.folder), f"--json={run.folder}/report.json", "--workers=0"]) == 0
    return place


def thresholds() -> dict[str, float]:
    return {name: SETTINGS[name] for name in ("phi0", "psi0", "sigma_pos", "sigma_amb")}


@pytest.fixture(scope="module")
def running(place: Place) -> Iterator[Running]:
    with studio(["--runs", str(place.root / "runs")]) as started:
        yield started


@pytest.fixture
def open_it(browser: Browser, running: Running) -> Iterator[Callable[..., Page]]:
    with pages(browser, running.url) as opened:
        yield opened


def library(place: Place, step: int, output: str = "backbone") -> Batch:
    """The validation images with the features of a step, by the library."""
    data = open_dataset(place.data, split="val")
    file = place.root / "runs/run/checkpoints" / f"step-{step:08d}.pt"
    examples = [data.load(i) for i in range(len(data))]
    return ppap.make_batch(examples, load_features(file, output), size=SIZE)


def counted(batch: Batch, anchor: int, **changes: Any) -> tuple[int, ...]:
    """|P|, |A|, |N| as the library has them."""
    settings: dict[str, Any] = {**SETTINGS, **changes}
    sets = ppap.propagate(batch.features, torch.tensor([anchor]), **settings)
    sizes = [int(one.sum()) for one in (sets.positive, sets.ambiguous, sets.negative)]
    return tuple(sizes)


def shows(page: Page, at: int, output: str) -> None:
    """Wait until the sets of these features are drawn."""
    until(
        page,
        f"([at, output]) => {{ const {{ recipe }} = {STUDIO}.state.batch;"
        " return recipe.at === at && recipe.output === output; }",
        arg=[at, output],
    )
    ready(page)


def test_a_run_through_its_training(open_it: Callable[..., Page], place: Place) -> None:
    page = open_it()
    page.get_by_role("tab", name="Train").click()
    page.get_by_role("button", name="Open in Explore").click()
    shows(page, 6, "backbone")
    # Its validation images, at its picture size, with its own thresholds.
    soon(page, f"{STUDIO}.state.batch.names", ["p3", "p7"])
    expect(page.locator(".settings select:visible").first).to_have_value("training")
    report = json.loads((place.root / "runs/run/report.json").read_text())
    listed = page.locator(".batch").get_by_label("Run", exact=True).locator("option:checked")
    expect(listed).to_contain_text(f"U-mIoU {report['cluster']['miou']:.1f} %")
    anchor = 5
    click_patch(page, anchor)
    has_counts(page, counted(library(place, 6), anchor))
    slider = page.locator(".batch").get_by_label("Step", exact=True)
    told = page.locator(".batch [data-part=stage-step]")
    expect(told).to_contain_text("step 6 of 6")
    slider.focus()
    for at in (5, 4, 2):
        page.keyboard.press("ArrowLeft")
        shows(page, at, "backbone")
        has_counts(page, counted(library(place, at), anchor))  # the same anchor
        expect(told).to_contain_text(f"step {at} of 6")
    page.keyboard.press("ArrowLeft")
    shows(page, 0, "frozen")
    expect(told).to_have_text("0: frozen, before training")
    has_counts(page, counted(library(place, 6, "frozen"), anchor))
    page.keyboard.press("ArrowRight")
    shows(page, 2, "backbone")
    page.locator(".batch").get_by_role("radio", name="z", exact=True).first.click()
    shows(page, 2, "projection")
    has_counts(page, counted(library(place, 2, "projection"), anchor))
    # What the address says leads back here.
    until(page, "location.search.includes('output=projection')")
    again = open_it(page.evaluate("location.search"))
    shows(again, 2, "projection")
    has_counts(again, counted(library(place, 2, "projection"), anchor))
    expect(again.locator(".batch [data-part=stage-step]")).to_have_text("step 2 of 6")


def test_a_report_s_checkpoint_and_ones_own_features(
    open_it: Callable[..., Page], place: Place, tmp_path: Path
) -> None:
    page = open_it()
    page.get_by_role("tab", name="Evaluate").click()
    page.get_by_role("button", name="Open in Explore").click()
    shows(page, 6, "backbone")
    chance = np.random.default_rng(0)
    features = chance.standard_normal((2, 3, 4, 5)).astype(np.float32)
    np.savez(tmp_path / "mine.npz", features=features)
    page.locator(".batch").get_by_role("radio", name="NPZ", exact=True).click()
    expect(page.locator(".batch .pending")).to_contain_text("On screen: run, step 6")
    path = page.locator(".batch").get_by_label("Or enter its path on this server")
    path.fill("/no/such.npz")
    page.keyboard.press("Enter")
    said = page.locator(".batch [data-error=npz]:visible")
    expect(said).to_have_text("There is no file /no/such.npz on this server.")
    page.locator(".batch input[accept='.npz']").set_input_files(tmp_path / "mine.npz")
    until(page, f"{STUDIO}.state.batch.recipe.source === 'npz'")
    ready(page)
    own = torch.nn.functional.normalize(torch.from_numpy(features).flatten(0, 2), dim=1)
    settings = page.evaluate(f"{STUDIO}.state.settings")
    sets = ppap.propagate(own, torch.tensor([page.evaluate(f"{STUDIO}.state.anchor")]), **settings)
    assert counts(page)[0] == int(sets.positive.sum())
    # Other images again, with a network that can see them.
    page.get_by_role("radio", name="Sample photos").click()
    until(page, f"{STUDIO}.state.batch.recipe.source === 'samples'")
    soon(page, f"{STUDIO}.state.batch.backbone", "embedded")


def test_what_a_script_explores(browser: Browser, tmp_path: Path) -> None:
    chance = np.random.default_rng(1)
    given: dict[str, Any] = {
        "features": chance.standard_normal((2, 4, 4, 6)).astype(np.float32),
        "images": chance.integers(0, 256, (2, 64, 64, 3)).astype(np.uint8),
        "labels": chance.integers(0, 2, (2, 4, 4)),
    }
    np.savez(tmp_path / "given.npz", **given)
    script = SCRIPT.format(file=str(tmp_path / "given.npz"))
    command = [sys.executable, "-W", "ignore", "-c", script]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            with pages(browser, url) as open_url:
                page = open_url()
                click_patch(page, 20)
                features = torch.from_numpy(given["features"]).flatten(0, 2)
                settings = page.evaluate(f"{STUDIO}.state.settings")
                sets = ppap.propagate(features, torch.tensor([20]), **settings)
                sizes = (sets.positive, sets.ambiguous, sets.negative)
                has_counts(page, tuple(int(one.sum()) for one in sizes))
                soon(page, f"{STUDIO}.state.batch.classes", ["a", "b"])
                labels = page.evaluate(f"[...{STUDIO}.state.batch.labels]")
                assert labels == given["labels"].reshape(-1).tolist()
                # Nothing is cut or resized any more, and nothing says so.
                expect(page.get_by_role("radiogroup", name="Resolution")).to_have_count(0)
                expect(page.locator(".batch [data-part=summary]")).to_have_text(
                    "2 images, 32 patches (4 × 4 each), 6 dimensions."
                )
                page.reload()
                ready(page)
        finally:
            process.communicate("\n")
    assert process.returncode == 0
