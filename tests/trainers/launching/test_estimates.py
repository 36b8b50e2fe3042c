"""What a run will need is held against what this process may use, not against the whole machine."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ppap.machine import Memory
from ppap.settings import SettingError
from tests.support.small_runs import save_vit
from tests.support.small_segmenters import write_folder
from tests.support.small_studio import draw
from trainers.launching import estimates
from trainers.launching.estimates import Estimate, estimate, memory_free
from trainers.launching.orders import read_order
from trainers.launching.scaling import Step, loss_memory
from trainers.recipes import find


def test_memory_that_a_container_leaves_is_what_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = {"recipe": "samples", "name": "a", "settings": {"device": "cpu", "cache": "off"}}
    order, errors = read_order(raw)
    assert order is not None, errors
    monkeypatch.setattr(estimates, "free_bytes", lambda folder: 10**12)
    monkeypatch.setattr(estimates, "main_memory", lambda: Memory(2**40, 2**40))
    needs = estimate(order, cache=tmp_path, out=tmp_path)
    assert needs.refusal == ""
    assert memory_free(torch.device("cpu")) == 2**40
    monkeypatch.setattr(estimates, "main_memory", lambda: Memory(2**29, 2**28))
    needs = estimate(order, cache=tmp_path, out=tmp_path)
    assert "of memory, but only 0.3 GB is free on cpu" in needs.refusal, needs.refusal


def test_comparing_patches_takes_memory_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the loss, as ``scaling`` has it: less with fewer candidates, none where none are."""
    monkeypatch.setattr(estimates, "free_bytes", lambda folder: 10**12)

    def memory(**settings: str) -> int:
        usual = {"device": "cpu", "cache": "off"}
        order, errors = read_order({"recipe": "samples", "name": "a", "settings": usual | settings})
        assert order is not None, errors
        return estimate(order, cache=tmp_path, out=tmp_path).memory

    without = memory(rule="frozen")
    config = find("samples").config
    side = config.size // 16  # patches of the embedded backbone
    for candidates in (0, 500):
        step = Step(
            config.batch, 1, side**2, 624, config.steps, config.anchors, candidates=candidates
        )
        found = memory(candidates=str(candidates))
        assert found - without == pytest.approx(loss_memory(step), rel=1e-3)


def estimated(data: Path, root: Path, **settings: str) -> Estimate:
    """Of a run of the recipe ``own`` on a folder, with a tiny network."""
    small = {"backbone": str(save_vit(root / "vit.pth")), "size": "64", "eval_size": "64"}
    changes = {"device": "cpu", "batch": "2", **small, **settings}
    raw = {"recipe": "own", "name": "a", "data": str(data), "settings": changes}
    order, errors = read_order(raw)
    assert order is not None, errors
    return estimate(order, cache=root / "cache", out=root)


def test_what_a_run_without_labels_does_without_is_told(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / f"photos/{number}.png", number)
    told = " ".join(estimated(tmp_path / "photos", tmp_path, unnamed_classes="9").notes)
    assert "9 clusters are learnt (unnamed_classes)" in told
    assert "no label maps, so the linear probe cannot be trained" in told
    assert "ends without scores" in told
    write_folder(tmp_path / "labelled", 5)
    told = " ".join(estimated(tmp_path / "labelled", tmp_path).notes)
    for words in ("unnamed_classes", "label maps", "scores"):
        assert words not in told
    write_folder(tmp_path / "partly", 5, unlabelled=5)  # named classes, and no label map at all
    told = " ".join(estimated(tmp_path / "partly", tmp_path).notes)
    assert "unnamed_classes" not in told
    assert "label maps" in told


def test_too_few_patches_for_the_clusters_are_told_before_a_start(tmp_path: Path) -> None:
    for number in range(2):
        draw(tmp_path / f"photos/{number}.png", number)
    # Two images of 4 × 4 patches.
    with pytest.raises(SettingError, match="33 centroids cannot start from 32 patches") as refused:
        estimated(tmp_path / "photos", tmp_path, unnamed_classes="33")
    assert refused.value.field == "cluster_start"
    estimated(tmp_path / "photos", tmp_path, unnamed_classes="32")
    estimated(tmp_path / "photos", tmp_path, unnamed_classes="33", cluster_start="noise")


def test_readers_count_where_there_are_any(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_folder(tmp_path / "data", 60)
    monkeypatch.setattr(estimates, "main_memory", lambda: Memory(2**32, 2**32))

    def asked(**settings: str) -> Estimate:
        return estimated(tmp_path / "data", tmp_path, **settings)

    many = asked(workers="200", cache="off")
    assert "processes that read images take" in many.refusal
    assert "use workers=" in many.refusal
    assert "batch" not in many.refusal
    # No more than batches of an epoch; and none where cached features are read.
    assert many.memory == asked(workers="24", cache="off").memory
    assert asked(workers="200", cache="on").refusal == ""
    assert asked(workers="0", cache="off").refusal == ""


def test_which_steps_train_the_network_is_told(tmp_path: Path) -> None:
    write_folder(tmp_path / "data", 40)  # 4 steps an epoch

    def told(**settings: str) -> str:
        return " ".join(estimated(tmp_path / "data", tmp_path, batch="8", **settings).sentences())

    few = told(epochs="3", probe_epochs="10")
    assert "52 steps on cpu: 12 for the network, then 40 for the probes." in few
    assert "Only 12 steps train the network: with so few images, raise epochs." in few
    assert "Only" not in told(epochs="3", max_steps="2")  # as it was asked for
    enough = told(epochs="5", probe_epochs="0")
    assert "20 steps on cpu." in enough
    assert "Only" not in enough
    frozen = told(rule="frozen", probe_epochs="1")
    assert "4 steps on cpu, all of them for the probes." in frozen
    assert "Only" not in frozen


def test_the_headline_is_the_estimate_in_a_few_words(tmp_path: Path) -> None:
    found = Estimate(30, 1, "cpu", 1000, 0, 2 * 10**9, None)
    assert found.headline() == "1 step on cpu · 2.0 GB of memory"
    assert replace(found, steps=1500, seconds=95.0).headline() == (
        "1,500 steps on cpu · about 1 min 35 s · 2.0 GB of memory"
    )
