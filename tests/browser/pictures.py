"""The pictures of the README and the documentation: ``python -m tests.browser.pictures``.

They show the sample photos and two short runs on them, which are trained first (two minutes on two
cores). ``--only train segment`` takes some of them again; ``--runs DIR`` keeps the runs there.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.driver import ROOT, chromium, click_patch, open_page, studio
from tests.browser.screenshots import LION, MOUSE_AWAY, compare, trust

FIGURES = ROOT / "assets" / "figures"
RUNS = {"ppap": (), "baseline": ("rule=baseline",)}
WIDTH, HEIGHT = 1440, 900
TALL = 1250  # of a run, so that its curves are in sight
QUALITY = 82  # of 100: letters stay clean, and seven pages are below a megabyte
STILL_MS = 2500
SHORTENED = """
(path) => document.querySelectorAll('pre, textarea').forEach((element) => {
  const text = 'value' in element ? 'value' : 'textContent';
  element[text] = element[text].replaceAll(path, 'runs');
})
"""
MAPPED = "#map[data-state=umap]"


def explore(page: Page) -> None:
    """The first view."""


def beside(page: Page) -> None:
    """PPAP beside k nearest neighbours."""
    compare(page)
    click_patch(page, LION)


def studied(page: Page) -> None:
    """The study of the sample photos."""
    page.get_by_role("tab", name="Study").click()
    page.wait_for_selector("#study .study[data-ready=true]")
    page.locator("#study .study").scroll_into_view_if_needed()


def trained(page: Page) -> None:
    """A finished run, and the curves of both."""
    page.get_by_role("tab", name="Train").click()
    page.locator("#train").get_by_text("ppap", exact=True).first.click()
    for name in RUNS:
        page.locator(f"#train tr[data-run='{name}'] input[type=checkbox]").check()


def evaluated(page: Page) -> None:
    """A report."""
    page.get_by_role("tab", name="Evaluate").click()
    page.wait_for_selector("#evaluate .report[data-ready=true]")
    page.locator("#evaluate").get_by_text("ppap", exact=True).first.click()
    page.wait_for_selector("#evaluate .report[data-ready=true]")


def segmented(page: Page) -> None:
    """The sample photos, segmented with the frozen backbone."""
    page.get_by_role("tab", name="Segment").click()
    page.wait_for_selector("#segment .stage[data-ready=true]", timeout=120_000)


# By file name: the theme, and how the page comes to show it.
PICTURES: dict[str, tuple[str, Callable[[Page], None]]] = {
    "explore": ("light", explore),
    "compare": ("dark", beside),
    "trust": ("light", trust),
    "study": ("light", studied),
    "train": ("light", trained),
    "evaluate": ("light", evaluated),
    "segment": ("light", segmented),
}


def train(runs: Path) -> None:
    """The two runs that the Train page shows, where they are not there yet."""
    for name, settings in RUNS.items():
        if not (runs / name / "report.json").exists():
            words = ["-m", "trainers.train", "samples", "--out", str(runs / name), "--set"]
            words += ["log_every=2", "validate_every=10", *settings]
            subprocess.run([sys.executable, *words], cwd=ROOT, check=True)


def take(browser: Browser, url: str, name: str, runs: Path) -> None:
    """One picture, once nothing moves; commands name the folder of runs as in a checkout."""
    theme, show = PICTURES[name]
    page = open_page(
        browser, f"{url}?__theme={theme}", width=WIDTH, height=TALL if name == "train" else HEIGHT
    )
    page.wait_for_selector(MAPPED, timeout=120_000)
    page.get_by_role("button", name="No, thanks").click()  # to the tour
    show(page)
    page.mouse.move(*MOUSE_AWAY)
    page.wait_for_timeout(STILL_MS)
    page.evaluate(SHORTENED, str(runs.resolve()))
    image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    file = FIGURES / f"{name}.webp"
    image.save(file, quality=QUALITY, method=6)
    print(f"{file}: {file.stat().st_size / 1000:.0f} kB")
    page.close()


def main() -> None:
    """All pictures, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=PICTURES, default=list(PICTURES))
    parser.add_argument("--runs", type=Path, metavar="DIR")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        runs = given.runs or Path(name)
        if "train" in given.only:
            train(runs)
        with studio(["--runs", str(runs)]) as running, sync_playwright() as playwright:
            browser = chromium(playwright)
            for one in given.only:
                take(browser, running.url, one, runs)


if __name__ == "__main__":
    main()
