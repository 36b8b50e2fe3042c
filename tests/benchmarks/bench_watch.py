"""What it costs to watch runs: 20 of 100,000 points each, all of them drawn, in a real browser.

Run from the project's folder: ``python -m tests.benchmarks.bench_watch``. First how long it takes
until all curves are drawn in a studio that has just been started; with ``--before``, also in one that
reads the numbers as it did before, line by line. Then processor time of the studio and of the browser,
and bytes on the network, while the page is only looked at: with nothing under way, and with one run
that logs twice a second. Processor time is told beside the clock's, since other programs may run.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import CDPSession, Page, sync_playwright

from tests.browser.driver import ROOT, chromium, open_page, served, studio, until
from trainers.recipes import find
from trainers.runs.folder import Run, process_identity

RUNS, POINTS = 20, 100_000
SECONDS = 20.0
EVERY = 0.5
NAMES = ("loss", "precision", "positives", "ambiguous", "negatives", "cluster_loss", "linear_loss")
TICK = os.sysconf("SC_CLK_TCK")


def line(step: int) -> str:
    """A line of metrics as a run writes it."""
    numbers = {name: math.sin(step / (50 + i)) + 2 for i, name in enumerate(NAMES)}
    return json.dumps({"kind": "step", "step": step, **numbers}) + "\n"


def make_runs(root: Path) -> list[Run]:
    """The runs' folders; the metrics are one file under many names, but for the first run's."""
    file = root / "metrics"
    file.write_text("".join(line(step) for step in range(1, POINTS + 1)), encoding="utf-8")
    made = []
    for index in range(RUNS):
        run = Run(root / f"run-{index:02}")
        run.folder.mkdir(parents=True)
        run.write_config(find("samples").config)
        (os.link if index else shutil.copyfile)(file, run.metrics_file)
        run.write_state("finished", step=POINTS, steps=POINTS)
        made.append(run)
    file.unlink()
    return made


class Logging(threading.Thread):
    """Lets one run go on, as far as its folder tells: this process is the run's."""

    def __init__(self, run: Run) -> None:
        super().__init__(daemon=True)
        self.run_, self.step, self.ended = run, POINTS, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(EVERY):
            self.step += 1
            with self.run_.metrics_file.open("a", encoding="utf-8") as file:
                file.write(line(self.step))
            self.run_.write_state(
                "running", step=self.step, steps=2 * POINTS, time_left=1e5, **process_identity()
            )


def descendants(pid: int) -> list[int]:
    """A process and all below it."""
    found = subprocess.run(["ps", "-eo", "pid,ppid"], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, row.split())) for row in found.stdout.splitlines()[1:]]
    family = [pid]
    for one in family:
        family += [child for child, parent in pairs if parent == one]
    return family


def processor_seconds(pids: list[int]) -> float:
    """Processor time that the processes have used so far."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICK


def families(server: int) -> tuple[list[int], list[int]]:
    """The processes of a studio, and those of the browser."""
    servers = descendants(server)
    others = [pid for pid in descendants(os.getpid()) if pid not in servers and pid != os.getpid()]
    return servers, others


def at_work(session: CDPSession) -> float:
    """Seconds that a page's scripts, styles and layout have taken so far."""
    found = {one["name"]: one["value"] for one in session.send("Performance.getMetrics")["metrics"]}
    return float(sum(found[f"{part}Duration"] for part in ("Script", "Layout", "RecalcStyle")))


def watch(page: Page, server: int, what: str) -> None:
    """Print what the page costs while it is looked at."""
    received = 0

    def count(event: dict[str, int]) -> None:
        nonlocal received
        received += event["encodedDataLength"]

    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Performance.enable")
    session.on("Network.dataReceived", count)
    servers, browsers = families(server)
    before = processor_seconds(servers), processor_seconds(browsers), at_work(session)
    began = time.perf_counter()
    page.wait_for_timeout(1000 * SECONDS)
    wall = time.perf_counter() - began
    after = processor_seconds(servers), processor_seconds(browsers), at_work(session)
    session.detach()
    shares = [100 * (b - a) / wall for a, b in zip(before, after, strict=True)]
    print(
        f"{what:28} studio {shares[0]:4.1f} % of a core   browser {shares[1]:4.1f} %, "
        f"of which the page's scripts and layout {shares[2]:4.1f} %   "
        f"{received / wall / 1e3:5.1f} KB/s   (limits: 5 %, 50 KB/s)",
        flush=True,
    )


# Whether every run's curve of the loss is on the page's canvas, to its end.
ALL_DRAWN = """
(n) => {
  const { curves } = document.querySelector('#train').train.charts.charts[0];
  return curves?.length === RUNS && curves.every(({ x }) => x.at(-1) > 0.99 * n);
}
""".replace("RUNS", str(RUNS))


def draw_all(page: Page, server: int, what: str) -> None:
    """Tick all runs, and print how long it takes until their curves are drawn."""
    page.get_by_role("tab", name="Train").click()
    page.wait_for_selector("#train .runs [data-run] input")
    page.wait_for_timeout(3_000)  # until the form has its estimate
    servers, browsers = families(server)
    before = processor_seconds(servers), processor_seconds(browsers)
    began = time.perf_counter()
    page.evaluate(
        "() => document.querySelectorAll('#train .runs [data-run] input:enabled:not(:checked)')"
        ".forEach((tick) => tick.click())"
    )
    page.locator("#train [data-chart=loss]").scroll_into_view_if_needed()  # or it is not drawn
    until(page, ALL_DRAWN, arg=POINTS, timeout=180_000)
    wall = time.perf_counter() - began
    after = processor_seconds(servers), processor_seconds(browsers)
    studio_time, browser_time = (b - a for a, b in zip(before, after, strict=True))
    print(
        f"{what:28} all {RUNS} runs drawn after {wall:.1f} s: processor time {studio_time:.1f} s in "
        f"the studio, {browser_time:.1f} s in the browser (load {os.getloadavg()[0]:.1f})",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--before", action="store_true", help="also as it was read before")
    before = parser.parse_args().before
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        runs = make_runs(Path(folder))
        if before:
            command = [sys.executable, "-m", "tests.benchmarks.watch_before", "--runs", folder]
            with served(command, cwd=ROOT) as running, chromium(playwright) as browser:
                draw_all(open_page(browser, running.url), running.process.pid, "line by line")
        with studio(["--runs", folder]) as running, chromium(playwright) as browser:
            page = open_page(browser, running.url)
            draw_all(page, running.process.pid, "by columns")
            page.wait_for_timeout(15_000)  # until nothing of the start goes on
            watch(page, running.process.pid, "nothing under way")
            logging = Logging(runs[0])
            logging.start()
            page.wait_for_timeout(5_000)
            watch(page, running.process.pid, "one run logs twice a second")
            logging.ended.set()


if __name__ == "__main__":
    main()
