"""Start the studio as a user does, and drive it with the system's Chromium."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError

from playwright.sync_api import Browser, BrowserContext, Page, Playwright

ROOT = Path(__file__).parent.parent.parent
# The shell is Chromium without its window: the same pages in half the time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser")
CHROMIUM = next((found for name in NAMES if (found := shutil.which(name))), None)


@dataclass(frozen=True)
class Running:
    """A studio that answers."""

    url: str
    process: subprocess.Popen[bytes]
    log: Path
    seconds: float


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def studio(
    arguments: Sequence[str] = (), environment: dict[str, str] | None = None
) -> Iterator[Running]:
    """``python app.py`` on a free port, stopped at the end."""
    command = [sys.executable, str(ROOT / "app.py"), *arguments]
    with served(command, cwd=ROOT, environment=environment) as running:
        yield running


@contextmanager
def served(
    command: Sequence[str], *, cwd: Path, environment: dict[str, str] | None = None
) -> Iterator[Running]:
    """A command that starts the studio, on a free port, stopped at the end."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, "--port", str(port)],
            cwd=cwd,
            env={**os.environ, "GRADIO_TEMP_DIR": f"{folder}/gradio", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            wait_for(url, process, Path(log.name))
            yield Running(url, process, Path(log.name), time.perf_counter() - begin)
        finally:
            process.send_signal(signal.SIGINT)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when the page answers; RuntimeError with the log when it ends instead."""
    for _ in range(600):
        if process.poll() is not None:
            raise RuntimeError(f"app.py ended: {log.read_text()}")
        try:
            urllib.request.urlopen(url, timeout=5).close()
            return
        except (URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"app.py does not answer: {log.read_text()}")


def chromium(playwright: Playwright) -> Browser:
    """The system's Chromium, headless, with WebGL in software and no look-ups of its own."""
    flags = ["--no-sandbox", "--enable-unsafe-swiftshader", "--disable-background-networking"]
    return playwright.chromium.launch(executable_path=CHROMIUM, args=flags)


def open_page(
    browser: Browser | BrowserContext,
    url: str,
    *,
    width: int = 1440,
    height: int = 900,
    watch: list[str] | None = None,
) -> Page:
    """Open the studio and wait until the mosaic can be clicked; script errors go to ``watch``."""
    page = browser.new_page()
    page.set_viewport_size({"width": width, "height": height})
    if watch is not None:
        page.on("pageerror", lambda error: watch.append(str(error)))
    page.goto(url)
    ready(page)
    return page


# For all tests of a file, by touch and plots: scripts are fetched and compiled once.
_CONTEXTS: dict[tuple[bool, bool], BrowserContext] = {}
UNDRAWN = Path(__file__).parent / "undrawn.js"


class Plots:
    """Whether pages that are opened now draw their maps and matrices: Plotly with WebGL in software
    takes as long as all the rest of a page, and most tests do not look at it."""

    drawn = True


def context_of_the_file(browser: Browser, *, touch: bool = False) -> BrowserContext:
    """The context in which the tests of this file open their pages."""
    kind = (touch, Plots.drawn)
    if kind not in _CONTEXTS:
        _CONTEXTS[kind] = browser.new_context(has_touch=touch)
        if not Plots.drawn:
            _CONTEXTS[kind].add_init_script(path=UNDRAWN)
    return _CONTEXTS[kind]


def close_contexts() -> None:
    """The file is done."""
    for context in _CONTEXTS.values():
        context.close()
    _CONTEXTS.clear()


@contextmanager
def pages(browser: Browser, url: str) -> Iterator[Callable[..., Page]]:
    """A function that opens pages of a studio, all closed at the end; none may have had an error
    in a script. What a page has stored does not reach the next test."""
    errors: list[str] = []
    opened: list[Page] = []

    def open_it(query: str = "", touch: bool = False, **options: Any) -> Page:
        context = context_of_the_file(browser, touch=touch)
        page = open_page(context, url + query, watch=errors, **options)
        opened.append(page)
        return page

    yield open_it
    for page in opened:
        page.evaluate("localStorage.clear()")
        page.context.clear_cookies()
        page.close()
    assert errors == []


def until(page: Page, condition: str, *, arg: Any = None, timeout: float | None = None) -> None:
    """Wait until a condition holds: an expression, or a function of ``arg``. What it reads may not
    be there yet; a page under load shows such moments."""
    page.wait_for_function(
        f"(arg) => {{ try {{ const held = ({condition});"
        " return typeof held === 'function' ? held(arg) : held; }"
        " catch (error) { if (error instanceof TypeError) return false; throw error; } }",
        arg=arg,
        timeout=timeout,
    )


def soon(page: Page, expression: str, wanted: Any, *, seconds: float = 30) -> None:
    """Assert that an expression comes to have a value: what a page does, it does in its own time."""
    end = time.monotonic() + seconds
    while (found := page.evaluate(expression)) != wanted and time.monotonic() < end:
        page.wait_for_timeout(50)
    assert found == wanted, expression


def painted(page: Page) -> None:
    """Wait until what was asked of the page is on its canvases: two frames."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def ready(page: Page) -> None:
    """Wait until the mosaic shows sets and all is said about its batch."""
    page.wait_for_selector("#mosaic[data-ready=true]", timeout=60_000)
    page.wait_for_selector(".batch .busy", state="hidden", timeout=60_000)


STUDIO = "document.querySelector('#explore').studio"


def shown(page: Page, id: str = "mosaic") -> dict[str, str]:
    """The data-* attributes of a mosaic."""
    found: dict[str, str] = page.evaluate(f"({{...document.getElementById('{id}').dataset}})")
    return found


def counts(page: Page, id: str = "mosaic") -> tuple[int, int, int]:
    """|P|, |A|, |N| as the mosaic says."""
    data = shown(page, id)
    return int(data["positive"]), int(data["ambiguous"]), int(data["negative"])


def has_counts(page: Page, wanted: tuple[int, ...], id: str = "mosaic") -> None:
    """Assert that |P|, |A|, |N| come to be these."""
    names = ("positive", "ambiguous", "negative")
    data = ", ".join(f"Number(data.{name})" for name in names)
    read = f"(() => {{ const data = document.getElementById('{id}').dataset; return [{data}]; }})()"
    soon(page, read, [int(number) for number in wanted])


def wait_for_data(page: Page, name: str, value: str, id: str = "mosaic") -> None:
    """Wait until a mosaic's data attribute has a value."""
    page.wait_for_selector(f'#{id}[data-{name}="{value}"]')


def click_patch(page: Page, patch: int, id: str = "mosaic") -> None:
    """Click the middle of a patch and wait until it is the anchor."""
    x, y = page.evaluate(f"document.getElementById('{id}').mosaic.centreOf({patch})")
    page.locator(f"#{id}").click(position={"x": x, "y": y})
    position = page.evaluate(f"document.getElementById('mosaic').mosaic.position({patch})")
    wait_for_data(page, "anchor", position)


def pixel(
    page: Page, patch: int, id: str = "mosaic", dx: float = 0.3, dy: float = 0.3
) -> list[int]:
    """Red, green and blue that the canvas shows inside a patch (``dx``, ``dy`` from its corner)."""
    painted(page)
    found: list[int] = page.evaluate(
        """([id, patch, dx, dy]) => {
          const mosaic = document.getElementById(id).mosaic;
          const [x, y] = mosaic.tiles.corner(patch);
          const p = mosaic.tiles.side(patch);
          const at = [(x + dx * p) * mosaic.ratio, (y + dy * p) * mosaic.ratio].map(Math.floor);
          return [...mosaic.canvas.getContext('2d').getImageData(...at, 1, 1).data].slice(0, 3);
        }""",
        [id, patch, dx, dy],
    )
    return found
