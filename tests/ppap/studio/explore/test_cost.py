from __future__ import annotations

import json
import math
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ppap.studio import sources
from ppap.studio.costs import Costs
from ppap.studio.explore.cost import brief, count_of
from tests.support.small_studio import SmallStudio, load_tiny, wait_until


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallStudio:
    monkeypatch.setattr("ppap.studio.networks.load_backbone", load_tiny)
    return SmallStudio(tmp_path)


def asked(studio: SmallStudio, **request: Any) -> list[dict[str, Any]]:
    reply = studio.ask("cost", {"images": 4, "sizes": [224], **request})
    json.dumps(reply, allow_nan=False)
    costs: list[dict[str, Any]] = reply["costs"]
    return costs


def test_costs_are_of_every_size_that_is_asked_for(studio: SmallStudio) -> None:
    first, second = asked(studio, sizes=[224, 456])
    assert (first["size"], first["patches"], first["seconds"]) == (224, 4 * 14 * 14, None)
    assert (second["size"], second["patches"]) == (448, 4 * 28 * 28)  # 456 is no whole patches
    assert first["short"] == "784"
    assert first["text"].startswith("about 784 patches, ")
    assert first["refused"] == ""


def test_after_a_batch_its_backbone_s_seconds_and_patches_are_known(studio: SmallStudio) -> None:
    batch = studio.load(backbone="embedded")
    assert batch["grids"][0] == [7, 7]  # the tiny one's patches are 32 pixels
    (cost,) = asked(studio, **{k: v for k, v in batch["recipe"].items() if k != "size"})
    assert cost["patches"] == 4 * 7 * 7
    assert cost["seconds"] > 0
    assert cost["short"] == "<1 s"


def test_what_would_be_refused_is_said_and_refused(studio: SmallStudio) -> None:
    (cost,) = asked(studio, images=64, sizes=[2048])
    assert "What would fit: 64 images at" in cost["refused"]
    studio.loader.costs = Costs(lambda: 10**6)
    reply = studio.load(source="files", files=[studio.upload("a.png")])
    assert "of memory" in reply["error"]
    assert reply["field"] == "size"
    (cost,) = asked(studio, images=1)
    assert "of memory" in cost["refused"]


def test_a_folder_is_judged_by_the_images_it_has(studio: SmallStudio) -> None:
    from tests.support.small_studio import draw

    for i in range(3):
        draw(studio.offered / f"{i}.png", i)
    request = {"source": "folder", "folder": str(studio.offered), "split": "all", "count": 64}
    # 64 of them would be 262,144 patches of 32 pixels.
    assert len(studio.load(**request, size=2048)["names"]) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"images": 0},
        {"images": 65},
        {"images": True},
        {"images": math.nan},
        {"images": None},
        {"sizes": None},
        {"sizes": []},
        {"sizes": [224] * 13},
        {"sizes": ["224"]},
        {"sizes": [10**9]},
        {"picture": 5},
        {"backbone": 5},
        {"checkpoint": "\0"},
    ],
    ids=str,
)
def test_hostile_questions_are_refused_with_a_sentence(
    studio: SmallStudio, changes: dict[str, Any]
) -> None:
    reply = studio.ask("cost", {"images": 4, "sizes": [224], **changes})
    assert reply["error"].endswith(".")
    assert "The studio failed" not in reply["error"]
    nonsense: tuple[Any, ...] = (None, [], 5, "x")
    for nothing in nonsense:
        assert "The studio failed" not in studio.ask("cost", nothing)["error"]


class Gate:
    """Holds back the reading of images until the test lets it go on."""

    def __init__(self, read: Callable[..., Any]) -> None:
        self.read, self.entered, self.open = read, threading.Event(), threading.Event()

    def __call__(self, *arguments: Any, **rest: Any) -> Any:
        self.entered.set()
        assert self.open.wait(20)
        return self.read(*arguments, **rest)


def test_loading_can_be_cancelled(studio: SmallStudio, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(sources.read_image)
    monkeypatch.setattr(sources, "read_image", gate)
    request = {"size": 224, "source": "files", "files": [studio.upload("a.png")] * 2}
    running, waiting = (studio.ask("load", request)["job"] for _ in range(2))
    assert gate.entered.wait(20)
    for job in (running, waiting):
        assert studio.ask("cancel", job) == {}
    gate.open.set()
    for key in (running, waiting):
        job = studio.loader.job(key)
        wait_until(lambda job=job: job.state == "cancelled")  # type: ignore[misc]
        assert studio.ask("progress", key)["state"] == "cancelled"
    assert not list(studio.store._held.values())
    assert studio.load()["names"]  # the next is served


def test_what_is_unknown_or_done_cannot_be_cancelled(studio: SmallStudio) -> None:
    unknown: tuple[Any, ...] = (None, 5, "x", {}, ["x"])
    for job in unknown:
        assert "has expired" in studio.ask("cancel", job)["error"]
    done = studio.ask("load", {"size": 224})["job"]
    wait_until(lambda: studio.loader.job(done).state == "done")
    assert studio.ask("cancel", done) == {}
    assert studio.ask("progress", done)["state"] == "done"


def test_numbers_fit_on_a_button() -> None:
    assert [count_of(n) for n in (784, 6272, 9949, 50_176)] == ["784", "6.3k", "9.9k", "50k"]
    assert [brief(s) for s in (0.4, 3, 200)] == ["<1 s", "3 s", "4 min"]
