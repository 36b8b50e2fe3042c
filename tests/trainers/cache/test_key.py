"""Whatever changes a stored number changes the name of the cache, and nothing else does."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from ppap.backbones import Backbone, build_vit
from ppap.data import DataError, Dataset, five_crops, open_dataset
from tests.support.small_cache import COUNT, SIZE, opened, planned
from trainers.cache import plan_cache
from trainers.cache.key import facts_of_backbone
from trainers.cache.rows import MANIFEST


@pytest.fixture
def folder_of(vit: Backbone, root: Path) -> Callable[..., str]:
    def named(dataset: Dataset, backbone: Backbone | None = None, **options: Any) -> str:
        options = {"size": SIZE, "root": root, **options}
        return plan_cache(dataset, backbone or vit, **options).folder.name

    return named


def test_the_same_data_elsewhere_has_the_same_cache(
    source: Path, tmp_path: Path, folder_of: Callable[..., str]
) -> None:
    shutil.copytree(source, tmp_path / "moved")  # with its times
    assert folder_of(open_dataset(tmp_path / "moved", kind="folder")) == folder_of(
        open_dataset(source, kind="folder")
    )


def test_whatever_changes_a_number_changes_the_key(
    own: Dataset, embedded: Backbone, vit: Backbone, folder_of: Callable[..., str]
) -> None:
    table = own.table.copy()
    table[[0, 1]] = table[[1, 0]]
    torch.manual_seed(1)
    found = {
        "itself": folder_of(own),
        "size": folder_of(own, size=96),
        "backbone": folder_of(own, embedded),
        "weights": folder_of(own, build_vit("test_vit", depth=2)),
        "frozen": folder_of(own, frozen=False),
        "rgb": folder_of(own, rgb=True),
        "split": folder_of(dataclasses.replace(own, split="val")),
        "kind": folder_of(dataclasses.replace(own, name="camvid")),
        "fewer": folder_of(dataclasses.replace(own, items=own.items[:-1])),
        "order": folder_of(dataclasses.replace(own, items=own.items[::-1])),
        "labels": folder_of(dataclasses.replace(own, table=table)),
        "crops": folder_of(five_crops(own, 0.5)),
        "smaller crops": folder_of(five_crops(own, 0.4)),
    }
    item = own.items[2]
    assert item.labels is not None
    for name, file in (("image", item.image), ("label map", item.labels)):
        os.utime(file, ns=(1, file.stat().st_mtime_ns + 1))
        found[f"time of an {name}"] = folder_of(own)
    with item.image.open("ab") as stream:
        stream.write(b"\0")
    os.utime(item.image, ns=(1, item.labels.stat().st_mtime_ns))
    found["length"] = folder_of(own)
    assert len(set(found.values())) == len(found), found
    assert folder_of(own, frozen=True) == found["length"]  # a ViT's are kept anyway


def test_settings_that_are_no_weights_change_the_key(vit: Backbone) -> None:
    before = facts_of_backbone(vit)
    heads: Any = next(m for m in vit.modules() if hasattr(m, "num_heads"))
    number = heads.num_heads
    heads.num_heads = number + 1
    try:
        assert facts_of_backbone(vit) != before
    finally:
        heads.num_heads = number
    assert facts_of_backbone(vit) == before


# The second has rotary positions, which it works out anew for every grid.
@pytest.mark.parametrize("name", ["test_vit", "vit_small_patch16_dinov3"])
def test_running_a_backbone_leaves_its_key_alone(name: str) -> None:
    network = build_vit(name, depth=2)
    before = facts_of_backbone(network)
    for side in (32, 64):
        network(torch.rand(1, 3, side, 2 * side))
    assert facts_of_backbone(network) == before


def test_the_name_a_backbone_was_asked_for_is_not_in_the_key(
    own: Dataset, vit: Backbone, monkeypatch: pytest.MonkeyPatch, folder_of: Callable[..., str]
) -> None:
    before = folder_of(own)
    monkeypatch.setattr(vit, "info", vit.info._replace(name="/home/me/dino.pth"))
    after = folder_of(own)
    assert before.rpartition("-")[2] == after.rpartition("-")[2]
    assert "/" not in after


def test_a_missing_file_is_named(own: Dataset, vit: Backbone, root: Path) -> None:
    own.items[1].image.unlink()
    with pytest.raises(DataError, match=r"1\.png"):
        planned(own, vit, root)


def test_the_manifest_says_what_it_is(dataset: Dataset, vit: Backbone, root: Path) -> None:
    with opened(dataset, vit, root, batch=4) as cache:
        folder = cache.plan.folder
    manifest = json.loads((folder / MANIFEST).read_text())
    assert folder.name == f"folder-train-test_vit-64-{manifest['key']}"
    assert manifest["data"]["images"] == COUNT
    assert manifest["backbone"]["name"] == "test_vit"
    assert manifest["size"] == SIZE
    assert manifest["batch"] == 4
    assert manifest["row"]["fields"]["tokens"] == ["float16", [17, 64]]
    assert str(dataset.root) not in (folder / MANIFEST).read_text()
