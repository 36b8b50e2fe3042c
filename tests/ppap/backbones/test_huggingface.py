"""Plain ViTs under the names of transformers, training files of timm and Lightning, odd files."""

from __future__ import annotations

import collections
import io
import json
import sys
import types
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from ppap.backbones import BackboneError, Grid, load_backbone
from ppap.backbones.plain import heads_of, sines_and_cosines
from ppap.backbones.vit import resized_as_dino
from tests.support.foreign_weights import (
    DIM,
    SIDE,
    as_meta_v3,
    as_timm,
    as_transformers,
    dinov3,
    plain,
)

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


@pytest.fixture
def images() -> Tensor:
    """Not of the training's size."""
    torch.manual_seed(1)
    return torch.rand(2, 3, 6 * 16, 3 * 16)


def expected(vit: Any, images: Tensor, *, as_dino: bool) -> Tensor:
    """Features of timm's model; positions as DINO resizes them, or as timm does."""
    x = (images - MEAN) / STD
    if not as_dino:
        return vit.forward_features(x)[:, 1:]
    patches = vit.patch_embed(x).flatten(1, 2)
    tokens = torch.cat([vit.cls_token.expand(len(x), -1, -1), patches], dim=1)
    tokens = tokens + resized_as_dino(vit.pos_embed, Grid(6, 3), 1)
    return vit.norm(vit.blocks(tokens))[:, 1:]


@pytest.mark.parametrize("newest", [False, True], ids=["as in files", "newest"])
@pytest.mark.parametrize("kind", ["DINO", "MAE", "MAE by its config", "pooled", "classified"])
def test_a_plain_vit_of_transformers(
    tmp_path: Path, images: Tensor, newest: bool, kind: str
) -> None:
    vit = plain()
    if kind == "MAE":
        vit.pos_embed.zero_()
        vit.pos_embed[0, 1:] = sines_and_cosines(SIDE, DIM).float()
    state = as_transformers(as_timm(vit), newest=newest, plain=True)
    if kind == "pooled":
        state |= {"pooler.dense.weight": torch.ones(DIM, DIM), "pooler.dense.bias": torch.ones(DIM)}
    if kind == "classified":
        state = {f"vit.{name}": tensor for name, tensor in state.items()}
        state |= {"classifier.weight": torch.ones(3, DIM), "classifier.bias": torch.ones(3)}
    save_file({n: t.contiguous() for n, t in state.items()}, tmp_path / "model.safetensors")
    model_type = "vit_mae" if kind == "MAE by its config" else "vit"
    (tmp_path / "config.json").write_text(json.dumps({"model_type": model_type}))
    backbone = load_backbone(tmp_path)
    title = "DINO" if kind == "DINO" else "MAE" if "MAE" in kind else "Plain"
    assert backbone.info.title == f"{title} ViT-128×2/16 (model.safetensors)"
    if title == "Plain":
        assert "does not say how it was trained" in backbone.info.note
    wanted = expected(vit, images, as_dino=kind == "DINO")
    torch.testing.assert_close(backbone(images).flatten(1, 2), wanted, atol=1e-5, rtol=1e-5)


def test_a_named_dino_from_a_folder_of_hugging_face(tmp_path: Path) -> None:
    import timm

    vit: Any = timm.create_model("vit_small_patch16_224.dino", num_classes=0, depth=12).eval()
    state = as_transformers(dict(vit.state_dict()), plain=True)
    torch.save(state, tmp_path / "pytorch_model.bin")
    backbone = load_backbone(f"dino_vits16@{tmp_path}")
    assert backbone.info.name == f"dino_vits16@{tmp_path}"
    pictures = torch.rand(1, 3, 224, 224)
    with torch.no_grad():
        wanted = vit.forward_features((pictures - MEAN) / STD)[:, 1:]
    assert torch.equal(backbone(pictures).flatten(1, 2), wanted)


@pytest.mark.parametrize("missing", ["query", "key", "value"])
def test_a_missing_third_of_qkv_is_named(tmp_path: Path, missing: str) -> None:
    state = as_transformers(as_timm(plain()), plain=True)
    del state[f"encoder.layer.1.attention.attention.{missing}.weight"]
    torch.save(state, tmp_path / "x.bin")
    with pytest.raises(BackboneError, match=rf"x\.bin is incomplete.*attn\.{missing}\.weight"):
        load_backbone(tmp_path / "x.bin")


@pytest.mark.parametrize("family", ["plain", "v3"])
def test_another_activation_is_refused(tmp_path: Path, family: str) -> None:
    state = as_timm(plain()) if family == "plain" else as_meta_v3(dinov3(plus=True))
    torch.save(as_transformers(state, plain=family == "plain"), tmp_path / "pytorch_model.bin")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"hidden_act": "silu" if family == "v3" else "gelu"}))
    load_backbone(tmp_path)
    config.write_text(json.dumps({"hidden_act": "quick_gelu"}))
    with pytest.raises(BackboneError, match=r"config\.json, .* with the activation quick_gelu"):
        load_backbone(tmp_path)


def test_huge_vits_have_wider_heads() -> None:
    """MAE's ViT-H/14 has 16, not 1280 / 64; the paper's models have channels / 64."""
    assert heads_of(1280, Path("x"), None) == 16
    assert [heads_of(dim, Path("x"), None) for dim in (192, 384, 768, 1024)] == [3, 6, 12, 16]


# --- training files


def timm_training(state: dict[str, Tensor]) -> dict[str, Any]:
    """What timm's train script writes: the average of the weights is what it validates."""
    other = {name: tensor + 1 for name, tensor in state.items()}
    return {
        "epoch": 3,
        "arch": "test_vit",
        "version": 2,
        "state_dict": other,
        "state_dict_ema": state,
        "optimizer": {"state": {}, "param_groups": []},
        "metric": 71.0,
    }


@pytest.mark.parametrize("average", [True, False])
def test_a_training_file_of_timm_says_which_model_it_is(tmp_path: Path, average: bool) -> None:
    import timm

    torch.manual_seed(0)
    vit: Any = timm.create_model("test_vit", num_classes=10).eval()
    content = timm_training(dict(vit.state_dict()))
    if not average:
        content["state_dict"] = content.pop("state_dict_ema")
    torch.save(content, tmp_path / "last.pth.tar")
    backbone = load_backbone(tmp_path / "last.pth.tar")
    assert backbone.info.title == "test_vit (last.pth.tar)"
    assert backbone.info.name == str(tmp_path / "last.pth.tar")
    pictures = torch.rand(1, 3, 160, 160)
    with torch.no_grad():
        wanted = vit.forward_features((pictures - backbone.mean) / backbone.std)[:, 1:]
    torch.testing.assert_close(backbone(pictures).flatten(1, 2), wanted)


def test_an_arch_that_timm_does_not_know_is_no_name(tmp_path: Path, images: Tensor) -> None:
    vit = plain()
    torch.save({"arch": "vit_small", "state_dict": as_timm(vit)}, tmp_path / "x.pth")
    backbone = load_backbone(tmp_path / "x.pth")
    assert backbone.info.title == "DINO ViT-128×2/16 (x.pth)"
    wanted = expected(vit, images, as_dino=True)
    torch.testing.assert_close(backbone(images).flatten(1, 2), wanted, atol=1e-5, rtol=1e-5)


@pytest.fixture
def settings_of_lightning() -> Iterator[type]:
    """The class that Lightning keeps hyperparameters in, as if Lightning were there."""
    home = "lightning_fabric.utilities.data"
    names = ["lightning_fabric", "lightning_fabric.utilities", home]
    modules: dict[str, Any] = {name: types.ModuleType(name) for name in names}
    made = type("AttributeDict", (dict,), {"__module__": home})
    modules[home].AttributeDict = made
    sys.modules.update(modules)
    yield made
    for name in names:
        del sys.modules[name]


def test_settings_of_lightning_are_passed_by(
    tmp_path: Path, images: Tensor, settings_of_lightning: type
) -> None:
    vit = plain()
    state = {f"model.{name}": tensor for name, tensor in as_timm(vit).items()}
    hyper = settings_of_lightning(lr=0.1, layers=[1, 2], weights=torch.ones(2))
    counted = collections.defaultdict(list, {"lr": [0.1]})
    content = {"state_dict": state, "hyper_parameters": hyper, "logged": counted}
    content["options"] = types.SimpleNamespace(lr=0.1)
    torch.save(content, tmp_path / "x.ckpt")
    backbone = load_backbone(tmp_path / "x.ckpt")
    assert "Assumed to be DINO's: the file does not say how it was trained" in backbone.info.note
    wanted = expected(vit, images, as_dino=True)
    torch.testing.assert_close(backbone(images).flatten(1, 2), wanted, atol=1e-5, rtol=1e-5)


# --- files of other kinds


def torchscript(file: Path) -> None:
    with warnings.catch_warnings(action="ignore"):  # deprecated, but people have such files
        torch.jit.trace(torch.nn.Linear(2, 2), torch.zeros(1, 2)).save(file)


def numpy_archive(file: Path) -> None:
    stream = io.BytesIO()
    np.savez(stream, a=np.zeros(3))
    file.write_bytes(stream.getvalue())


def zip_of_weights(file: Path) -> None:
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("dino.pth", b"weights")


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (torchscript, r"a TorchScript program, .*torch\.save\(model\.state_dict"),
        (numpy_archive, "it is a NumPy archive"),
        (zip_of_weights, "it is a zip archive; unpack it"),
        (lambda file: file.write_bytes(b"\x1f\x8b\x08 compressed"), "a compressed archive; unpack"),
        (lambda file: file.write_bytes(b"\x89HDF\r\n\x1a\n keras"), "an HDF5 file"),
        (lambda file: file.write_bytes(b"GGUF\x03\x00"), "a GGUF file"),
        (lambda file: file.write_bytes(bytes(5000)), "nothing but zeros"),
    ],
    ids=["torchscript", "npz", "zip", "gz", "hdf5", "gguf", "zeros"],
)
def test_files_of_other_kinds_are_told_apart(tmp_path: Path, write: Any, message: str) -> None:
    file = tmp_path / "weights.pth"
    write(file)
    with pytest.raises(BackboneError, match=rf"{file} cannot be read as a checkpoint: .*{message}"):
        load_backbone(file)


def test_a_checkpoint_of_a_run_is_no_backbone(tmp_path: Path) -> None:
    torch.save({"format": "ppap-studio checkpoint", "trained": {}}, tmp_path / "last.pt")
    with pytest.raises(BackboneError, match=r"last\.pt is a whole trained PPAP model"):
        load_backbone(tmp_path / "last.pt")
