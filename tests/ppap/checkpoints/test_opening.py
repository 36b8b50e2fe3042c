"""Checkpoints of this project and of the published implementation, opened by one function."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from ppap.backbones import BackboneError, load_backbone
from ppap.checkpoints.opening import load_segmenter
from ppap.checkpoints.own import (
    Checkpoint,
    CheckpointError,
    load_checkpoint,
    save_checkpoint,
    weights_digest,
)
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
    save_checkpoint(kept(segmenter), file)
    return segmenter


def kept(segmenter: Segmenter) -> Checkpoint:
    """What a file holds of it."""
    return Checkpoint(
        trained=segmenter.trained(),
        backbone_digest=weights_digest(segmenter.backbone),
        classes=NAMES,
        colours=((1, 2, 3), (4, 5, 6), (7, 8, 9)),
        size=96,
        step=12,
        config={"rule": "ppap"},
    )


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
    with pytest.raises(CheckpointError, match=r"here/dino\.pth, which cannot be found.*--backbone"):
        load_segmenter(file)
    again = load_segmenter(file, backbone=moved)
    assert same_predictions(again.segmenter, segmenter)


def test_other_weights_are_refused(tmp_path: Path) -> None:
    vit = make_vit_file(tmp_path / "dino.pth")
    file = tmp_path / "last.pt"
    on_backbone(vit, file)
    other = make_vit_file(tmp_path / "other/dino.pth", seed=1)
    with pytest.raises(
        CheckpointError, match=r"last\.pt was trained on different weights.*other/dino"
    ):
        load_segmenter(file, backbone=other)
    make_vit_file(vit, seed=1)
    with pytest.raises(CheckpointError, match="different weights from those of the backbone"):
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
    with pytest.raises(BackboneError, match="contains its own backbone"):
        load_segmenter(file, backbone="embedded")


def test_our_own_keeps_its_names(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    on_backbone("embedded", file)
    assert load_segmenter(file, classes=POTSDAM3).classes == NAMES


def test_anything_else(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="cannot be opened"):
        load_segmenter(tmp_path / "none.pt")
    with pytest.raises(BackboneError, match="is a folder: choose a file in it"):
        load_segmenter(tmp_path)
    vit = make_vit_file(tmp_path / "dino.pth")
    with pytest.raises(BackboneError, match="not a published PPAP checkpoint"):
        load_segmenter(vit)


# --- files of backbones, wherever they are


def test_a_relative_backbone_is_kept_in_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_vit_file(tmp_path / "dino.pth")
    monkeypatch.chdir(tmp_path)
    segmenter = on_backbone("dino.pth", tmp_path / "last.pt")
    assert segmenter.backbone.info.name == str(tmp_path / "dino.pth")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert same_predictions(load_segmenter(tmp_path / "last.pt").segmenter, segmenter)


@pytest.mark.parametrize("where", ["checkpoints", "run", "runs", "work"])
def test_a_relative_backbone_of_an_earlier_version_is_looked_for_around_its_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    run = tmp_path / "work/runs/run"
    file = run / "checkpoints/last.pt"
    folder = {"checkpoints": file.parent, "run": run, "runs": run.parent}.get(
        where, run.parent.parent
    )
    vit = make_vit_file(folder / "weights/dino.pth")
    segmenter = Segmenter(load_backbone(vit), len(NAMES), extra_clusters=2).eval()
    segmenter.backbone.info = segmenter.backbone.info._replace(name="weights/dino.pth")
    save_checkpoint(kept(segmenter), file)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert same_predictions(load_segmenter(file).segmenter, segmenter)
    # The file of that name in the current folder comes first, and is another.
    make_vit_file(tmp_path / "elsewhere/weights/dino.pth", seed=1)
    with pytest.raises(CheckpointError, match="different weights from those of the backbone"):
        load_segmenter(file)


def test_a_named_file_that_moved_keeps_its_name(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(0)
    vit = timm.create_model("test_vit", num_classes=0)
    file = tmp_path / "here.pth"
    torch.save(vit.state_dict(), file)
    segmenter = on_backbone(f"test_vit@{file}", tmp_path / "last.pt")
    assert same_predictions(load_segmenter(tmp_path / "last.pt").segmenter, segmenter)
    file.rename(tmp_path / "there.pth")
    with pytest.raises(CheckpointError, match=r"test_vit@.*here\.pth, which cannot be found"):
        load_segmenter(tmp_path / "last.pt")
    for given in (tmp_path / "there.pth", f"test_vit@{tmp_path / 'there.pth'}"):
        found = load_segmenter(tmp_path / "last.pt", backbone=given)
        assert same_predictions(found.segmenter, segmenter)


# --- damaged files


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1000])


def flip(file: Path) -> None:
    """One byte in the middle of a tensor."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def without_numbers(file: Path) -> None:
    checkpoint = load_checkpoint(file)
    name = next(name for name in checkpoint.trained.tensors if name.startswith("cluster_probe."))
    checkpoint.trained.tensors[name].view(-1)[0] = torch.nan
    save_checkpoint(checkpoint, file)


@pytest.mark.parametrize("damage", [cut, flip, without_numbers])
def test_an_intact_checkpoint_beside_a_damaged_one_is_offered(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    for step in (50, 100, 150, 200):
        on_backbone("embedded", tmp_path / f"step-{step:08d}.pt")
    newest = tmp_path / "step-00000200.pt"
    damage(newest)
    (tmp_path / "last.pt").hardlink_to(newest)
    damage(tmp_path / "step-00000150.pt")
    (tmp_path / "step-00000175.pt").write_bytes(b"")
    for name in ("last.pt", "step-00000200.pt"):
        with pytest.raises(CheckpointError) as refused:
            load_segmenter(tmp_path / name)
        assert str(refused.value).endswith("; step-00000100.pt next to it is intact")
        assert str(tmp_path / name) in str(refused.value)


def test_nothing_is_offered_where_nothing_is_intact(tmp_path: Path, source: Source) -> None:
    on_backbone("embedded", tmp_path / "a.pt")
    cut(tmp_path / "a.pt")
    torch.save({"weights": torch.zeros(3)}, tmp_path / "b.pt")
    with pytest.raises(CheckpointError) as refused:
        load_segmenter(tmp_path / "a.pt")
    assert "beside it" not in str(refused.value)
    torch.save(source.content(), tmp_path / "published.pt")
    with pytest.raises(CheckpointError, match=r"published\.pt next to it is intact"):
        load_segmenter(tmp_path / "a.pt")


def test_published_checkpoints_without_numbers(tmp_path: Path, source: Source) -> None:
    content = source.content()
    torch.save(content, tmp_path / "good.pth")
    content["linear_model_state_dict"]["bias"] += torch.inf
    torch.save(content, tmp_path / "bad.pth")
    with pytest.raises(
        CheckpointError, match=r"bad\.pth contains NaN or infinity in bias.*good\.pth"
    ):
        load_segmenter(tmp_path / "bad.pth")


def test_a_damaged_backbone_is_no_reason_for_another_checkpoint(tmp_path: Path) -> None:
    vit = make_vit_file(tmp_path / "dino.pth")
    for name in ("a.pth", "b.pth"):
        on_backbone(vit, tmp_path / name)
    cut(vit)
    with pytest.raises(BackboneError, match=r"dino\.pth cannot be read") as refused:
        load_segmenter(tmp_path / "a.pth")
    assert "beside it" not in str(refused.value)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu(tmp_path: Path) -> None:
    on_backbone("embedded", tmp_path / "last.pt")
    found = load_segmenter(tmp_path / "last.pt", device="cuda")
    assert found.segmenter.predict(torch.rand(1, 3, 64, 64)).clusters.is_cuda
