"""One studio for all browser tests, a fresh page for each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Page, Playwright, expect, sync_playwright

import ppap
from ppap.backbones import load_backbone
from ppap.batches import Batch
from ppap.data import samples_dataset
from ppap.settings import EMBEDDED_PRESET
from tests.browser.driver import (
    CHROMIUM,
    Plots,
    Running,
    chromium,
    close_contexts,
    pages,
    studio,
)

# Files whose tests look at what Plotly draws; single tests are marked "plots".
DRAWN = ("test_beside", "test_evaluate", "test_map")
REQUIRED = bool(os.environ.get("PPAP_REQUIRE_BROWSER"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests of this folder, and skip them where there is no Chromium."""
    here = Path(__file__).parent
    for item in items:
        if here not in item.path.parents:
            continue
        item.add_marker(pytest.mark.browser)
        if CHROMIUM is None and not REQUIRED:
            reason = "no Chromium on this machine (Debian: apt install chromium-headless-shell)"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    """Playwright, driving the system's Chromium."""
    assert CHROMIUM, "PPAP_REQUIRE_BROWSER is set, but there is no Chromium"
    # Two test processes share two cores with their studios and browsers: what is awaited may take
    # longer than Playwright's five seconds.
    expect.set_options(timeout=30_000)
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def browser(playwright: Playwright) -> Iterator[Browser]:
    """One headless Chromium."""
    running = chromium(playwright)
    yield running
    running.close()


@pytest.fixture(scope="module", autouse=True)
def _one_context_for_a_file(request: pytest.FixtureRequest) -> Iterator[None]:
    """Pages of one file share what the browser has fetched; files do not."""
    Plots.drawn = request.path.stem.startswith(DRAWN)
    yield
    close_contexts()


@pytest.fixture(autouse=True)
def _plots(request: pytest.FixtureRequest) -> None:
    """Draw maps and matrices only where a test looks at them."""
    marked = request.node.get_closest_marker("plots") is not None
    Plots.drawn = marked or request.path.stem.startswith(DRAWN)


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """``python app.py``, as a user starts it."""
    with studio() as running:
        yield running


@pytest.fixture
def open_studio(browser: Browser, server: Running) -> Iterator[Callable[..., Page]]:
    """A function that opens the studio; a script error in any page fails the test."""
    with pages(browser, server.url) as open_it:
        yield open_it


@pytest.fixture
def page(open_studio: Callable[..., Page]) -> Page:
    """The studio on a desktop, with the sample photos."""
    return open_studio()


@dataclass(frozen=True)
class Reference:
    """The batch of the sample photos, computed in this process."""

    batch: Batch

    def codes(self, anchor: int, step: int | None = None, **changes: Any) -> np.ndarray:
        """0 negative, 1 ambiguous, 2 positive, 3 anchor, by the library."""
        settings: dict[str, Any] = {**EMBEDDED_PRESET.settings.as_dict(), **changes}
        sets = ppap.propagate(self.batch.features, torch.tensor([anchor]), **settings)
        parts = sets.at(sets.steps if step is None else step)
        codes = parts.ambiguous[0].numpy() * 1 + parts.positive[0].numpy() * 2
        codes[anchor] = 3
        return codes


@pytest.fixture(scope="session")
def reference() -> Reference:
    """What the page must show."""
    photos = samples_dataset()
    examples = [photos.load(i) for i in range(len(photos))]
    return Reference(ppap.make_batch(examples, load_backbone("embedded"), size=448))
