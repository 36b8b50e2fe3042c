"""Checkpoints of this project and of the published implementation, opened by one function."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from ppap.backbones import BackboneError, load_backbone
from ppap.checkpoints.opening import load_segmenter
from ppap.checkpoints.own import Checkpoint, CheckpointError, save_checkpoint, weights_digest
from ppap.data import POTSDAM3, ClassList, palette
from ppap.segmenter import Segmenter
from tests.ppap.checkpoints.test_published import CLASSES, CLUSTERS, Source, source
from tests.support.small_segmenters import NAMES

__all__ = ["source"]  # the fixture


def make_vit_file(file: Path, seed: int = 0) -> Path:
    """A DINO-like ViT checkpoint."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(seed)
    vit = VisionTransformer(img_size=32, embed_dim=64, depth=2, num_heads=1, num_classes=0)
    file.parent.mkdir(parents=True, exist_ok=True)
    torch.save(vit.state_dict(), file)
    return file


def on_backbone(name: str | Path, file: Path) -> Segmenter:
    """An untrained segmenter, kept in ``file``."""
    torch.manual_seed(3)
    segmenter = Segmenter(load_backbone(name), len(NAMES), extra_clusters=2).eval()
    checkpoint = Checkpoint(
        trained=segmenter.trained(),
        backbone_digest=weights_digest(segmenter.backbone),
        classes=NAMES,
        colours=((1, 2, 3), (4, 5, 6), (7, 8, 9)),
        size=96,
        step=12,
        config={"rule": "ppap"},
    )
    save_checkpoint(checkpoint, file)
    return segmenter


def same_predictions(one: Segmenter, other: Segmenter) -> bool:
    torch.manual_seed(4)
    images = torch.rand(1, 3, 64, 32)
    first, second = one.predict(images), other.predict(images)
    return torch.equal(first.clusters, second.clusters) and torch.equal(
        first.classes, second.classes
    )


def test_our_own(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    segmenter = on_backbone("embedded", file)
    found = load_segmenter(str(file))
    assert found.source == "studio"
    assert found.classes == NAMES
    assert found.named
    assert found.class_list.colours == ((1, 2, 3), (4, 5, 6), (7, 8, 9))
    assert (found.size, found.step, found.config) == (96, 12, {"rule": "ppap"})
    assert found.digest == torch.load(file, weights_only=True)["sha256"]
    assert found.file == file
    assert not found.segmenter.training
    assert same_predictions(found.segmenter, segmenter)


def test_its_backbone_may_move_and_be_called_otherwise(tmp_path: Path) -> None:
    vit = make_vit_file(tmp_path / "here/dino.pth")
    file = tmp_path / "last.pt"
    segmenter = on_backbone(vit, file)
    assert same_predictions(load_segmenter(file).segmenter, segmenter)
    moved = vit.rename(tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"here/dino\.pth, which is not there.*--backbone"):
        load_segmenter(file)
    again = load_segmenter(file, backbone=moved)
    assert same_predictions(again.segmenter, segmenter)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    vit = make_vit_file(tmp_path / "dino.pth")
    file = tmp_path / "last.pt"
    on_backbone(vit, file)
    other = make_vit_file(tmp_path / "other/dino.pth", seed=1)
    with pytest.raises(CheckpointError, match=r"last\.pt was trained on other weights.*other/dino"):
        load_segmenter(file, backbone=other)
    make_vit_file(vit, seed=1)
    with pytest.raises(CheckpointError, match="other weights than those of the backbone"):
        load_segmenter(file)
    with pytest.raises(CheckpointError, match="embedded as the backbone"):
        load_segmenter(file, backbone="embedded")


def test_published(source: Source, tmp_path: Path) -> None:
    file = tmp_path / "best.pth"
    torch.save(source.content(), file)
    found = load_segmenter(file)
    assert found.source == "published"
    assert (found.segmenter.n_classes, found.segmenter.extra_clusters) == (
        CLASSES,
        CLUSTERS - CLASSES,
    )
    assert found.classes == ("class 0", "class 1", "class 2", "class 3")
    assert not found.named
    assert (found.size, found.step, found.config) == (320, None, {})
    assert found.digest == hashlib.sha256(file.read_bytes()).hexdigest()
    names = ClassList(("a", "b", "c", "d"), palette(4))
    told = load_segmenter(file, classes=names)
    assert told.named
    assert told.class_list is names
    with pytest.raises(ValueError, match=r"best\.pth has 4 classes, not the 3 given"):
        load_segmenter(file, classes=POTSDAM3)
    with pytest.raises(BackboneError, match="holds its own backbone"):
        load_segmenter(file, backbone="embedded")


def test_our_own_keeps_its_names(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    on_backbone("embedded", file)
    assert load_segmenter(file, classes=POTSDAM3).classes == NAMES


def test_anything_else(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="cannot be opened"):
        load_segmenter(tmp_path / "none.pt")
    with pytest.raises(BackboneError, match="is a folder: name a file in it"):
        load_segmenter(tmp_path)
    vit = make_vit_file(tmp_path / "dino.pth")
    with pytest.raises(BackboneError, match="no published PPAP checkpoint"):
        load_segmenter(vit)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(tmp_path: Path) -> None:
    on_backbone("embedded", tmp_path / "last.pt")
    found = load_segmenter(tmp_path / "last.pt", device="cuda")
    assert found.segmenter.predict(torch.rand(1, 3, 64, 64)).clusters.is_cuda
