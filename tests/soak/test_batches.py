"""A thousand batches in a row through one studio: neither memory nor the disk grows."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import psutil

from tests.browser.driver import studio
from tests.soak.conftest import Tell
from tests.support.fuzzing import Caller
from tests.support.small_studio import draw

BATCHES = int(os.environ.get("SOAK_BATCHES", "1000"))
# By then as many are kept as may be.
SETTLED = BATCHES // 2
# Allocators keep some of what they had; a batch that stayed would take 1 MB.
MOST_GROWTH = 20 * 2**20
SETTINGS = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}


def memory(process: psutil.Process) -> int:
    """Of the studio and all its processes, in bytes."""
    return sum(one.memory_info().rss for one in [process, *process.children(recursive=True)])


def stored(folder: Path) -> int:
    """Files below a folder."""
    return sum(1 for path in folder.rglob("*") if path.is_file())


def test_a_thousand_batches(tmp_path: Path, tell: Tell) -> None:
    photos = tmp_path / "photos"
    for number in range(12):
        draw(photos / f"{number:02}.png", number, 256)
    kept = tmp_path / "gradio"
    environment = {"GRADIO_TEMP_DIR": str(kept)}
    arguments = ["--runs", str(tmp_path / "runs"), "--images", str(photos)]
    with studio(arguments, environment) as running, Caller(running.url) as caller:
        functions = caller.functions()

        def ask(name: str, argument: Any) -> dict[str, Any]:
            reply: dict[str, Any] = caller.call(name, functions[name], argument).json()
            assert "error" not in reply, reply
            return reply

        process = psutil.Process(running.process.pid)
        settled = files = 0
        for number in range(BATCHES):
            request = {"source": "folder", "folder": str(photos), "split": "all", "size": 224}
            job = ask("explore.load", {**request, "count": 2, "seed": number})["job"]
            while (told := ask("explore.progress", job))["state"] != "done":
                time.sleep(0.01)
            key = told["result"]["batch"]
            ask("explore.gather", {"batch": key, "anchor": number % 392, "settings": SETTINGS})
            assert caller.client.get(f"/studio/batch/{key}.jpg").status_code == 200
            if number == SETTLED:
                settled, files = memory(process), stored(kept)
        growth = memory(process) - settled
        tell(f"{BATCHES:,} batches in a row", f"{growth / 2**20:+.0f} MB since batch {SETTLED}")
        assert growth < MOST_GROWTH
        assert stored(kept) == files
