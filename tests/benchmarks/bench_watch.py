"""What it costs to watch runs: 20 of 100,000 points each, all of them drawn, in a real browser.

Run from the project's folder: ``python -m tests.benchmarks.bench_watch``. Processor time of the
studio and of the browser, and bytes on the network, while the page is only looked at: first with
nothing under way, then with one run that logs twice a second.
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.browser.driver import chromium, open_page, studio, until
from trainers.recipes import find
from trainers.runs.folder import Run, process_identity

RUNS, POINTS = 20, 100_000
SECONDS = 30.0
EVERY = 0.5
NAMES = ("loss", "precision", "positives", "ambiguous", "negatives", "cluster_loss", "linear_loss")
TICK = os.sysconf("SC_CLK_TCK")


def line(step: int) -> str:
    """A line of metrics as a run writes it."""
    numbers = {name: math.sin(step / (50 + i)) + 2 for i, name in enumerate(NAMES)}
    return json.dumps({"kind": "step", "step": step, **numbers}) + "\n"


def make_runs(root: Path) -> list[Run]:
    """The runs' folders; the metrics are one file, copied."""
    text = "".join(line(step) for step in range(1, POINTS + 1))
    made = []
    for index in range(RUNS):
        run = Run(root / f"run-{index:02}")
        run.folder.mkdir(parents=True)
        run.write_config(find("samples").config)
        run.metrics_file.write_text(text, encoding="utf-8")
        run.write_state("finished", step=POINTS, steps=POINTS)
        made.append(run)
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


def watch(page: Page, server: int, what: str) -> None:
    """Print what the page costs while it is looked at."""
    received = 0

    def count(event: dict[str, int]) -> None:
        nonlocal received
        received += event["encodedDataLength"]

    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.on("Network.dataReceived", count)
    servers = descendants(server)
    browsers = [
        pid for pid in descendants(os.getpid()) if pid not in servers and pid != os.getpid()
    ]
    before = processor_seconds(servers), processor_seconds(browsers)
    began = time.perf_counter()
    page.wait_for_timeout(1000 * SECONDS)
    wall = time.perf_counter() - began
    after = processor_seconds(servers), processor_seconds(browsers)
    session.detach()
    studio_share, browser_share = (100 * (b - a) / wall for a, b in zip(before, after, strict=True))
    print(
        f"{what:28} studio {studio_share:4.1f} % of a core   browser {browser_share:4.1f} %   "
        f"{received / wall / 1e3:5.1f} KB/s   (limits: 5 %, 50 KB/s)",
        flush=True,
    )


def main() -> None:
    """Measure and print."""
    with (
        tempfile.TemporaryDirectory() as folder,
        sync_playwright() as playwright,
        studio(["--runs", folder]) as running,
    ):
        runs = make_runs(Path(folder))
        page = open_page(chromium(playwright), running.url)
        page.get_by_role("tab", name="Train").click()
        page.wait_for_selector("#train .runs li")
        began = time.perf_counter()
        for tick in page.locator("#train .runs li input").all():
            tick.check()
        until(
            page,
            "(n) => [...document.querySelector('#train').train.followed.values()]"
            ".filter((run) => run.series.step?.loss?.x.at(-1) > 0.99 * n).length === 20",
            arg=POINTS,
            timeout=120_000,
        )
        print(f"all {RUNS} runs drawn after {time.perf_counter() - began:.1f} s", flush=True)
        page.wait_for_timeout(15_000)  # until nothing of the start goes on
        watch(page, running.process.pid, "nothing under way")
        logging = Logging(runs[0])
        logging.start()
        page.wait_for_timeout(5_000)
        watch(page, running.process.pid, "one run logs twice a second")
        logging.ended.set()


if __name__ == "__main__":
    main()
