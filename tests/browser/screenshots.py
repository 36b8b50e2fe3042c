"""Pictures of every state of Explore: ``python -m tests.browser.screenshots FOLDER``.

Those of the README and the documentation: ``python -m tests.browser.pictures``.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.driver import STUDIO, chromium, click_patch, open_page, studio, until

LION = 784 + 7 * 28 + 14
TOWER = 4 * 784 + 16 * 28 + 14
MUZZLE = 15 * 28 + 12
SKY = 3 * 784 + 4 * 28 + 22
MOUSE_AWAY = (5, 5)


def compare(page: Page) -> None:
    """PPAP beside k nearest neighbours."""
    page.get_by_label("Compare with").select_option("knn")
    page.wait_for_selector("#rival-mosaic[data-ready=true]")


def boxes(page: Page) -> None:
    """The look of the paper's Fig. 5."""
    compare(page)
    page.get_by_role("radio", name="Boxes").click()


def first_step(page: Page) -> None:
    """t = 0 with the grid."""
    page.get_by_role("button", name="Step 0", exact=True).click()
    page.get_by_role("button", name="Grid").click()


def zoomed(page: Page) -> None:
    """Zoomed in, hovering."""
    for _ in range(3):
        page.get_by_role("button", name="Zoom in (+)").click()
    page.locator("#mosaic").hover(position={"x": 150, "y": 150})


def similarity(page: Page) -> None:
    """Similarity overlay and map."""
    for name in ("Similarity",):
        page.locator(".toolbar").get_by_role("radio", name=name).click()
        page.locator(".map").get_by_role("radio", name=name).click()


def labels(page: Page) -> None:
    """Label overlay and map."""
    page.locator(".toolbar").get_by_role("radio", name="Labels").click()
    page.locator(".map").get_by_role("radio", name="Label").click()


def take(page: Page) -> None:
    """The sheet of exports."""
    page.get_by_role("button", name="Export").click()
    until(page, "document.querySelector('[data-part=python]').value.length > 100")


def keys(page: Page) -> None:
    """The list of keys."""
    page.get_by_role("button", name="Keyboard shortcuts (?)").click()


def problem(page: Page) -> None:
    """A folder that is not there, and a setting that cannot be."""
    page.get_by_role("radio", name="Folder").click()
    page.get_by_label("Folder or data set on this server").fill("/no/such/folder")
    page.get_by_role("button", name="Load").click()
    page.locator(".batch .field-error:visible").wait_for()
    field = page.locator("input[data-exact=phi0]")
    field.fill("1.5")
    field.press("Enter")


def kept(page: Page) -> None:
    """Several anchors in their colours, and what they have in common."""
    for patch in (LION, MUZZLE, TOWER, SKY):
        page.evaluate(f"{STUDIO}.anchors.kept.toggle({patch})")
    page.get_by_role("tab", name="Kept").click()
    page.locator(".overlap").wait_for()


def trust(page: Page) -> None:
    """Every patch as the anchor, and those worth a look."""
    page.get_by_role("button", name="More overlays").click()
    page.get_by_role("menuitemradio", name="Trust").click()
    page.get_by_role("tab", name="Worth a look").click()
    page.wait_for_selector("#mosaic[data-trust='precision whole']")


def lasso(page: Page) -> None:
    """What a lasso holds."""
    page.evaluate(f"{STUDIO}.map.select(new Set({[*range(200, 420), *range(900, 1000)]}))")
    page.locator(".lasso tbody").first.wait_for()


def failure(page: Page) -> None:
    """A false positive: an anchor on the tower's lattice also takes other things."""
    click_patch(page, TOWER)


STATES: dict[str, Callable[[Page], None]] = {
    "start": lambda page: None,
    "compare": compare,
    "boxes": boxes,
    "first-step": first_step,
    "zoomed": zoomed,
    "similarity": similarity,
    "labels": labels,
    "take": take,
    "keys": keys,
    "problem": problem,
    "tower": failure,
    "kept": kept,
    "trust": trust,
    "lasso": lasso,
}


def shoot(page: Page, path: Path, *, full: bool = False) -> None:
    """Wait until nothing moves, and save what is seen."""
    page.wait_for_selector("#map[data-state=umap]", timeout=120_000)
    page.wait_for_timeout(900)
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=full)
    print(path)


def main() -> None:
    """All states into the folder."""
    with studio() as running, sync_playwright() as playwright:
        browser = chromium(playwright)
        for name, show in STATES.items():
            for theme in ("light", "dark"):
                for width, height in ((1440, 900), (420, 900)):
                    page = open_page(
                        browser, f"{running.url}?__theme={theme}", width=width, height=height
                    )
                    show(page)
                    path = Path(sys.argv[1]) / f"{name}-{theme}-{width}.png"
                    shoot(page, path, full=width < 1000 and name not in ("take", "keys"))
                    page.close()


if __name__ == "__main__":
    main()
