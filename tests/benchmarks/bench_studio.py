"""Times the studio in a real browser: start, click, drag, step; UMAP beside it.

Prints medians and 95th percentiles in milliseconds, each beside its limit.
"""

from __future__ import annotations

import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from PIL import Image
from playwright.sync_api import Page, sync_playwright
from timm.models.vision_transformer import VisionTransformer

from ppap.data.samples import samples
from tests.browser.driver import chromium, open_page, studio, until

CLICKS = 40

# From the event that the browser delivers to the frame after the drawing that answers it.
WATCH = """
([kind, id]) => {
  const mosaic = document.getElementById(id).mosaic;
  const times = window.__times = [];
  let since = null;
  const drawn = mosaic.draw.bind(mosaic);
  mosaic.draw = () => {
    drawn();
    if (since === null) return;
    const from = since;
    since = null;
    requestAnimationFrame(() => times.push(performance.now() - from));
  };
  window.__begin = () => { since = performance.now(); };
  if (kind) document.addEventListener(kind, window.__begin, { capture: true });
}
"""


def spread(times: list[float]) -> tuple[float, float]:
    """Median and 95th percentile."""
    return statistics.median(times), statistics.quantiles(times, n=20)[-1]


def report(what: str, times: list[float], limits: str) -> None:
    """One line of the table."""
    median, worst = spread(times)
    print(
        f"{what:44} median {median:6.1f} ms   95 % {worst:6.1f} ms   n {len(times)}   {limits}",
        flush=True,
    )


@contextmanager
def photos(count: int, *, square: bool = True) -> Iterator[Path]:
    """A folder with different squares, or rectangles of any shape, cut out of the sample photos."""
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as folder:
        for i in range(count):
            sample = samples()[i % len(samples())]
            with Image.open(sample.photo) as photo:
                side = int(min(photo.size) * chance.uniform(0.6, 0.95))
                wide, high = (side if square else int(side * chance.uniform(0.3, 1)) for _ in "xy")
                x, y = (
                    chance.randrange(n - m + 1)
                    for n, m in zip(photo.size, (wide, high), strict=True)
                )
                photo.convert("RGB").crop((x, y, x + wide, y + high)).save(
                    Path(folder) / f"{i:02}.jpg"
                )
        yield Path(folder)


def load_folder(page: Page, folder: Path, size: int, count: int, picture: str = "square") -> None:
    """Load a folder from the Batch panel."""
    page.evaluate(
        """([folder, size, count, picture]) => document.querySelector('#explore').studio.bar.load(
             {source: 'folder', folder, split: 'train', count, seed: 0, size, picture, backbone: 'embedded', checkpoint: ''})""",
        [str(folder), size, count, picture],
    )
    until(
        page,
        """([count, size, picture]) => {
          const { batch, view } = document.querySelector('#explore').studio.state;
          const { recipe } = batch ?? {};
          return view && batch.names.length === count && recipe.size === size && recipe.picture === picture;
        }""",
        arg=[count, size, picture],
        timeout=300_000,
    )


def time_clicks(page: Page) -> list[float]:
    """Milliseconds from pointerup to the drawn answer, for random patches."""
    chance = random.Random(2)
    box = page.locator("#mosaic canvas").first.bounding_box()
    assert box
    page.evaluate("window.__times.length = 0")
    patches = page.evaluate("document.querySelector('#explore').studio.patches")
    for k in range(CLICKS):
        x, y = page.evaluate(
            f"document.querySelector('#mosaic').mosaic.centreOf({chance.randrange(patches)})"
        )
        page.mouse.click(box["x"] + x, box["y"] + y)
        until(page, f"window.__times.length > {k}")
        page.wait_for_timeout(chance.uniform(100, 500))  # as a person clicks
    return page.evaluate("window.__times.slice()")


def time_drag(page: Page) -> list[float]:
    """Milliseconds from a slider's movement to the drawn answer, while Φ⁰ is dragged."""
    slider = page.locator("input[data-setting=phi0]")
    box = slider.bounding_box()
    assert box
    page.evaluate(
        """() => {
          const slider = document.querySelector('input[data-setting=phi0]');
          slider.addEventListener('input', window.__begin, { capture: true });
          window.__times.length = 0;
        }"""
    )
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.5, y)
    page.mouse.down()
    for k in range(CLICKS):
        page.mouse.move(box["x"] + box["width"] * (0.5 + 0.3 * ((k % 20) / 20 - 0.5)), y)
        page.wait_for_timeout(120)
    page.mouse.up()
    page.wait_for_timeout(500)
    return page.evaluate("window.__times.slice()")


def time_steps(page: Page) -> list[float]:
    """Milliseconds that one step takes in the page, drawing included."""
    return page.evaluate(
        """async () => {
          const studio = document.querySelector('#explore').studio;
          const last = studio.state.view.steps.length - 1;
          const times = [];
          for (let k = 0; k < 60; k++) {
            const from = performance.now();
            studio.setStep(k % (last + 1));
            times.push(performance.now() - from);
            await new Promise((resolve) => setTimeout(resolve, 40));
          }
          return times;
        }"""
    )


def open_beside(page: Page, folder: Path) -> None:
    """Put a ViT with random weights beside the first features, on an equal grid."""
    file = folder / "vit.pth"
    vit = VisionTransformer(img_size=64, embed_dim=384, depth=2, num_heads=6, num_classes=0)
    torch.save(vit.state_dict(), file)
    page.evaluate(
        """(checkpoint) => document.querySelector('#explore').studio.beside.open(
             {backbone: 'checkpoint', checkpoint})""",
        str(file),
    )
    page.wait_for_selector("#beside-mosaic[data-ready=true]", timeout=120_000)
    until(page, "document.querySelector('#beside-map').dataset.state === 'umap'", timeout=180_000)


def measure(page: Page, what: str) -> None:
    """Clicks, drag and steps on the batch that is shown."""
    report(f"click → drawn, {what}", time_clicks(page), "limits 100 / 250")
    report(f"dragging Φ⁰ → drawn, {what}", time_drag(page), "limits 100 / 250")
    report(f"stepping t, {what}", time_steps(page), "limit 16")


def until_map(page: Page, since: float) -> float:
    """Seconds until the UMAP of the batch is on the page."""
    until(page, "document.querySelector('#map').dataset.state === 'umap'", timeout=180_000)
    return time.perf_counter() - since


def main() -> None:
    """Measure everything and print it."""
    with (
        photos(8) as eight,
        photos(64) as many,
        photos(16, square=False) as shapes,
        sync_playwright() as playwright,
    ):
        with studio() as warm_up:  # files warm, as the limit says
            print(f"first start of app.py until it answers: {warm_up.seconds:.1f} s")
        begin = time.perf_counter()
        with studio() as running:
            browser = chromium(playwright)
            page = open_page(browser, running.url)
            print(f"start → clickable mosaic: {time.perf_counter() - begin:.1f} s   limit 20")
            page.evaluate(WATCH, ["pointerup", "mosaic"])
            load_folder(page, many, 224, 64)
            print("while UMAP is warmed and fitted beside it:")
            measure(page, "64 × 196")
            first = until_map(page, begin)
            print(f"first map of 12,544 patches after the start: {first:.1f} s   limit 90")
            measure(page, "64 × 196, map ready")
            loaded = time.perf_counter()
            load_folder(page, eight, 448, 8)
            measure(page, "8 × 784")
            until_map(page, loaded)
            report("click → drawn, 8 × 784, map ready", time_clicks(page), "limits 100 / 200")
            reload = time.perf_counter()
            load_folder(page, many, 224, 64)
            # Before the larger batches below: a map waits for the one that is being fitted.
            print(f"later map of 12,544 patches: {until_map(page, reload):.1f} s   limit 20")
            load_folder(page, eight, 448, 8)
            with tempfile.TemporaryDirectory() as place:
                open_beside(page, Path(place))
                page.evaluate(WATCH, ["pointerup", "beside-mosaic"])
                two = "two feature sets, 8 × 784 each"
                report(f"click → both drawn, {two}", time_clicks(page), "limits 100 / 200")
                page.get_by_label("Compare with").select_option("none")
                page.evaluate(WATCH, ["pointerup", "mosaic"])
            load_folder(page, shapes, 448, 8, "whole")
            report(
                "click → drawn, 8 whole pictures of about 784",
                time_clicks(page),
                "limits 100 / 200",
            )
            # 16 · 56² = 50,176 patches, give or take what rounding does.
            load_folder(page, shapes, 896, 16, "whole")
            report("click → drawn, 16 whole of about 3,136", time_clicks(page), "limits 200 / 350")
            browser.close()


if __name__ == "__main__":
    main()
