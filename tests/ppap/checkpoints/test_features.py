"""The features in checkpoints of training: the numbers of the segmenter's own forward pass."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import ppap
from ppap.backbones import BackboneError, Grid, load_backbone
from ppap.backbones.attention import attends, last_attention
from ppap.checkpoints.features import OUTPUTS, features_of, load_features
from ppap.checkpoints.opening import load_segmenter
from ppap.data import Example, Photo
from ppap.segmenter import Segmenter
from tests.ppap.checkpoints.test_published import PATCH, Source, source
from tests.support.small_runs import save_vit
from tests.support.small_segmenters import save_small
from tests.support.small_studio import picture

__all__ = ["source"]  # the fixture


@pytest.fixture(scope="module")
def images() -> Tensor:
    torch.manual_seed(1)
    return torch.rand(3, 3, 8 * PATCH, 5 * PATCH)


def trained(file: Path, head: str = "block") -> Segmenter:
    """A segmenter whose head differs from its backbone, as after training; kept in ``file``."""
    vit = save_vit(file.parent / "vit.pth")
    segmenter = Segmenter(load_backbone(vit), 3, head=head)
    torch.manual_seed(5)
    for parameter in segmenter.head.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    save_small(segmenter, file, phi0=0.7)
    return segmenter.eval()


def test_our_own_equal_the_segmenters_forward_pass(tmp_path: Path, images: Tensor) -> None:
    file = tmp_path / "camvid" / "checkpoints" / "step-00000007.pt"
    file.parent.mkdir(parents=True)
    segmenter = trained(file)
    found = {output: load_features(file, output) for output in OUTPUTS}
    torch.manual_seed(2)  # dropout is off in evaluation mode, whatever is drawn
    both = segmenter.forward_training(segmenter.trunk(images))
    wanted = {
        "backbone": both.tuned,
        "projection": both.projected.unflatten(0, (3, 8, 5)),
        "frozen": both.guidance,
    }
    for output, features in found.items():
        given = features(images)
        assert given.shape == (3, 8, 5, 64)
        assert given.dtype == torch.float32
        assert not given.requires_grad
        assert (given - wanted[output]).abs().max() <= 1e-6, output
        assert features.grid(32, 48) == Grid(2, 3)
        assert (features.dim, features.patch_size) == (64, 16)
    # They are three different things.
    assert not torch.allclose(wanted["backbone"], wanted["frozen"], atol=0.1)
    assert not torch.allclose(
        F.normalize(wanted["backbone"], dim=3), wanted["projection"], atol=0.1
    )


def test_attention_is_that_of_the_block_that_was_trained(tmp_path: Path, images: Tensor) -> None:
    segmenter = trained(tmp_path / "mine.pt")
    head: Any = segmenter.head
    vit = segmenter.backbone
    trunk = vit.trunk(images)
    of_frozen = last_attention(vit, trunk, 3).patches
    of_trained = last_attention(vit, trunk, 3, last_block=head.trained_block).patches
    assert not torch.allclose(of_frozen, of_trained, atol=1e-4)
    for output, wanted in (
        ("backbone", of_trained),
        ("projection", of_trained),
        ("frozen", of_frozen),
    ):
        features = load_features(tmp_path / "mine.pt", output)
        assert attends(features) == attends(vit)
        of, block = features.attending()
        found = last_attention(of, of.trunk(images), 3, last_block=block)
        assert torch.allclose(found.patches, wanted, atol=1e-6), output


def test_what_they_are_called(tmp_path: Path) -> None:
    file = tmp_path / "camvid" / "checkpoints" / "step-00000007.pt"
    file.parent.mkdir(parents=True)
    trained(file)
    z = load_features(file, "projection").info
    assert (z.name, z.title) == (str(file), "camvid, step 7: projection z")
    assert "The feature that the loss compares" in z.note
    assert not z.needs_download
    alone = file.rename(tmp_path / "mine.pt")
    assert load_features(alone).info.title == "mine.pt, step 7: trained feature"


def test_published_ones_too(source: Source, tmp_path: Path, images: Tensor) -> None:
    file = tmp_path / "best.pth"
    torch.save(source.content(), file)
    loaded = load_segmenter(file)
    tuned = loaded.segmenter.features(images)
    assert (features_of(loaded)(images) - tuned).abs().max() <= 1e-6
    assert torch.allclose(tuned, source.features(images, source.decoder), atol=1e-4)
    z = features_of(loaded, "projection")(images)
    wanted = F.normalize(source.project_head(tuned), dim=3)
    assert (z - wanted).abs().max() <= 1e-6
    frozen = source.features(images, source.vit.blocks[-1])
    assert torch.allclose(features_of(loaded, "frozen")(images), frozen, atol=1e-4)
    assert features_of(loaded).info.title == "best.pth: trained feature"


def test_stegos_code(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    segmenter = trained(file, head="code")
    torch.manual_seed(3)
    pixels = torch.rand(2, 3, 64, 48)
    code = load_features(file)(pixels)
    assert code.shape == (2, 4, 3, 70)
    assert torch.equal(code, segmenter.features(pixels))
    z = load_features(file, "projection")(pixels)
    assert (z - F.normalize(code, dim=3)).abs().max() <= 1e-6


def test_a_batch_is_made_of_them_as_of_any_backbone(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    segmenter = trained(file)
    example = Example(Photo("one", picture(1, 64)), None)
    batch = ppap.make_batch([example], load_features(file), size=64)
    pixels = torch.from_numpy(picture(1, 64)).permute(2, 0, 1)[None].float() / 255
    wanted = F.normalize(segmenter.features(pixels).flatten(0, 2), dim=1)
    assert (batch.features - wanted).abs().max() <= 1e-6
    assert batch.backbone.title == "last.pt, step 7: trained feature"


def test_nonsense_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "last.pt"
    trained(file)
    with pytest.raises(ValueError, match="output must be one of backbone, projection, frozen"):
        load_features(file, "logits")
    features = load_features(file)
    with pytest.raises(ValueError, match="its own trained block"):
        features.finish(features.trunk(torch.rand(1, 3, 32, 32)), features.last_block)
    with pytest.raises(BackboneError, match="cannot be opened"):
        load_features(tmp_path / "missing.pt")
