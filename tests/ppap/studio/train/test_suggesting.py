"""Thresholds for the images that a run is to train on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import pytest

from ppap.batches import fitted, make_batch
from ppap.data import open_dataset
from ppap.studio import networks
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.costs import SPARE, model_of, needed
from ppap.studio.networks import Networks
from ppap.studio.sources import Sources
from ppap.studio.train import suggesting
from ppap.studio.train.endpoints import TrainingEndpoints
from ppap.studio.train.server import Training
from ppap.studio.train.suggesting import MOST, TOO_LITTLE
from ppap.study.advice import advise
from ppap.study.expectation import UNPROVEN
from tests.support.small_segmenters import write_folder
from tests.support.small_studio import TinyBackbone, draw, load_tiny, wait_until
from trainers.launching.runner import Runner

SMALL = {"backbone": "embedded", "size": "128", "eval_size": "128", "crops": "none"}


@pytest.fixture
def tab(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Training]:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)
    sources = Sources([], uploads=tmp_path / "uploads", any_folder=True)
    made = Training(Runner(tmp_path / "runs"), sources, networks=Networks(sources, None))
    yield made
    made.suggesting.close()


def order(data: Path, **settings: str) -> dict[str, Any]:
    return {"recipe": "own", "data": str(data), "settings": {**SMALL, **settings}}


def finished(tab: Training, begun: dict[str, Any]) -> dict[str, Any]:
    assert begun["state"] in ("waiting", "running", "done"), begun
    ask = {"key": begun["key"]}
    wait_until(lambda: tab.suggesting.suggested(ask).get("state") not in ("waiting", "running"))
    return tab.suggesting.suggested(ask)


def test_it_is_what_the_library_advises_for_a_sample(tab: Training, tmp_path: Path) -> None:
    for i in range(5):
        draw(tmp_path / f"photos/{i}.png", i, 160)
    found = finished(tab, tab.suggesting.suggest(order(tmp_path / "photos")))
    assert found["state"] == "done"
    assert found["text"] == "From 5 of 5 training images, as the run sees them."
    dataset = open_dataset(tmp_path / "photos")
    examples = [fitted(dataset.load(i), 128, 32) for i in range(5)]
    batch = make_batch(examples, TinyBackbone("embedded"), size=128)
    for aim in ("pure", "complete"):
        wanted = advise(
            batch.features,
            images=batch.counts,
            grids=batch.grids,
            aim=aim,
            embedded=True,
        )
        advice = found["advice"][aim]
        assert advice["settings"] == wanted.settings.as_dict()
        assert wanted.expected is not None
        assert advice["expected"] == pytest.approx(wanted.expected._asdict())
        assert advice["reasons"] == list(wanted.reasons)
        assert "of the positives should be correct" in advice["reasons"][0]


def test_only_what_the_rule_reads_is_suggested(tab: Training, tmp_path: Path) -> None:
    write_folder(tmp_path / "data", 4)
    wanted = order(tmp_path / "data", rule="baseline", backbone="tiny14", size="112")
    found = finished(tab, tab.suggesting.suggest(wanted))
    advice = found["advice"]["complete"]
    assert list(advice["settings"]) == ["phi0"]
    assert [reason[:2] for reason in advice["reasons"]] == ["Φ⁰", UNPROVEN[:2]]
    assert advice["expected"] is None  # known for the embedded backbone only
    refused = tab.suggesting.suggest(order(tmp_path / "data", rule="knn"))
    assert refused["field"] == "rule"


def test_a_sample_of_many_is_no_larger_than_it_may_be(tab: Training, tmp_path: Path) -> None:
    for i in range(MOST + 3):
        draw(tmp_path / f"photos/{i}.png", i, 64)
    wanted = order(tmp_path / "photos", size="64", batch=str(MOST + 2))
    found = finished(tab, tab.suggesting.suggest(wanted))
    assert found["text"].startswith(f"From {MOST} of {MOST + 3} ")


def test_no_more_is_looked_at_than_fits_in_memory(
    tab: Training, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for i in range(6):
        draw(tmp_path / f"photos/{i}.png", i, 64)
    model = model_of(TinyBackbone("embedded"))
    room = (needed(2, 128, model) + needed(3, 128, model)) // 2
    monkeypatch.setattr(tab.suggesting, "_available", lambda: room / (1 - SPARE))
    found = finished(tab, tab.suggesting.suggest(order(tmp_path / "photos")))
    assert found["text"].startswith("From 2 of 6 ")
    monkeypatch.setattr(tab.suggesting, "_available", lambda: 1000)
    found = finished(tab, tab.suggesting.suggest(order(tmp_path / "photos")))
    assert found["field"] == "size"
    assert "1 image at 128 px would need about" in found["error"]
    monkeypatch.setattr(tab.suggesting, "_available", lambda: 2**50)

    def fail(*_: Any, **__: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(suggesting, "make_batch", fail)
    found = finished(tab, tab.suggesting.suggest(order(tmp_path / "photos")))
    assert (found["field"], found["error"]) == ("size", TOO_LITTLE)


def test_what_is_wrong_is_said_at_its_field(tab: Training, tmp_path: Path) -> None:
    suggest = tab.suggesting.suggest
    assert suggest(order(tmp_path / "none"))["field"] == "data"
    assert suggest({**order(tmp_path), "data": ""})["field"] == "data"
    assert suggest(order(tmp_path, size="0"))["field"] == "size"
    assert suggest(None)["error"]
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/broken.png").write_bytes(b"\x89PNG no more")
    for settings, field in (({}, "data"), ({"backbone": "unheard_of"}, "backbone")):
        begun = suggest(order(tmp_path / "photos", **settings))
        assert finished(tab, begun)["field"] == field
    unknown: list[Any] = [{}, {"key": 1}, {"key": "no"}, {"key": []}, {"key": {}, "cancel": True}]
    for odd in unknown:
        assert "no longer known" in tab.suggesting.suggested(odd)["error"]
    assert tab.suggesting.suggested(None)["error"]


def test_it_is_given_up_and_nobody_elses(tab: Training, tmp_path: Path) -> None:
    for i in range(3):
        draw(tmp_path / f"photos/{i}.png", i)
    hold = threading.Event()
    tab.suggesting._turns.submit("other", hold.wait, 60)  # somebody is before us
    with asking(Visitor(user="ann")):
        begun = tab.suggesting.suggest(order(tmp_path / "photos"))
        assert begun["state"] == "waiting"
    with asking(Visitor(user="bob")):
        assert "error" in tab.suggesting.suggested({"key": begun["key"], "cancel": True})
    with asking(Visitor(user="ann")):
        tab.suggesting.suggested({"key": begun["key"], "cancel": True})
        hold.set()
        wait_until(lambda: tab.suggesting.suggested({"key": begun["key"]})["state"] == "cancelled")


def test_scripts_wait_for_it(tab: Training, tmp_path: Path) -> None:
    for i in range(3):
        draw(tmp_path / f"photos/{i}.png", i)
    scripts = TrainingEndpoints(tab)
    asked = order(tmp_path / "photos")
    found = scripts.suggest_thresholds("own", asked["data"], asked["settings"])
    assert found == finished(tab, tab.suggesting.suggest(asked))["advice"]
    with pytest.raises(gr.Error, match="There is no folder"):
        scripts.suggest_thresholds("own", str(tmp_path / "none"))
    (tmp_path / "photos/0.png").write_bytes(b"broken")
    with pytest.raises(gr.Error, match=r"0\.png"):
        scripts.suggest_thresholds("own", asked["data"], asked["settings"])
