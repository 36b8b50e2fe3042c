"""What a list of many runs costs the studio: 200 runs with reports, one of which goes on.

Run from the project's folder: ``python -m tests.benchmarks.bench_list``. Each report is of 2,175
images with a CRF, as of COCO-Stuff's validation images; one look at the list is what a page asks
for every second while something runs. Then what a page costs that is looked at, in a real browser.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

from ppap.evaluation.report import FORMAT
from ppap.studio.sources import Sources
from ppap.studio.train.server import Training
from tests.benchmarks.bench_watch import Logging, watch
from tests.browser.driver import chromium, open_page, studio
from trainers.launching.runner import Runner
from trainers.recipes import find
from trainers.runs.folder import Run, process_identity

RUNS, IMAGES, CLASSES, LOOKS = 200, 2175, 27, 20


def report() -> str:
    """A report as large as those of COCO-Stuff."""
    pair = {"accuracy": 51.23456789, "miou": 21.98765432}
    kinds = {"cluster": pair, "linear": pair}
    scores = {**pair, "iou": {f"class {i}": 20.123456 for i in range(CLASSES)},
              "confusion": [[123456] * CLASSES] * CLASSES}  # fmt: skip
    images = [{"index": i, "name": f"{i:012}", **kinds, "crf": kinds} for i in range(IMAGES)]
    probes = {"cluster": scores, "linear": scores}
    raw = {"format": FORMAT, "step": 100, "dataset": {"split": "val"}, **probes, "images": images,
           "crf": probes}  # fmt: skip
    return json.dumps(raw, indent=1)


def make_runs(root: Path) -> list[Run]:
    """The runs' folders; they finished long ago but for the last."""
    text, made = report(), []
    for index in range(RUNS):
        run = Run(root / f"run-{index:03}")
        run.write_config(find("coco_vits16").config.with_({"seed": index % 4, "phi0": index / 400}))
        (run.folder / "report.json").write_text(text, encoding="utf-8")
        run.write_state("finished", step=100, steps=100, seconds=50.0)
        made.append(run)
    return made


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        runs = make_runs(root)
        going = runs[-1]
        size = (going.folder / "report.json").stat().st_size
        print(f"{RUNS} runs, each with a report of {size / 1e6:.1f} MB")
        training = Training(Runner(root), Sources([], uploads=root / "none", any_folder=True))
        began, looks, reply = time.perf_counter(), 0, {"whole": False}
        while not reply["whole"]:
            one = time.perf_counter()
            reply, looks = training.watch({"known": None}), looks + 1
            if looks == 1:
                print(f"first look {time.perf_counter() - one:.2f} s")
        print(f"all scores after {looks} looks, {time.perf_counter() - began:.2f} s")
        time.sleep(6)  # until files count as settled
        took, sent = [], []
        for step in range(LOOKS):
            going.write_state("running", step=step, steps=LOOKS, **process_identity())
            began = time.process_time()
            reply = training.watch({"known": reply["version"], "partly": True})
            took.append(time.process_time() - began)
            sent.append(len(json.dumps(reply)))
        took.sort()
        middle, size = took[LOOKS // 2], sorted(sent)[LOOKS // 2]
        print(f"one look later {1000 * middle:.1f} ms of a core, {size / 1e3:.1f} KB", flush=True)
        with studio(["--runs", folder]) as running, sync_playwright() as playwright:
            page = open_page(chromium(playwright), running.url)
            page.get_by_role("tab", name="Train").click()
            page.wait_for_selector("#train .runs [data-run] input")
            logging = Logging(going)
            logging.start()
            page.wait_for_timeout(15_000)  # until all scores are there
            watch(page, running.process.pid, f"{RUNS} runs, one logs")
            logging.ended.set()


if __name__ == "__main__":
    main()
