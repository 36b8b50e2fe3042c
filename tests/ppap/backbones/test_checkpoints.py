"""Local checkpoints, made here from one small ViT in every format that is understood."""

from __future__ import annotations

import argparse
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from ppap.backbones import BackboneError, load_backbone
from ppap.backbones.plain import sines_and_cosines
from ppap.backbones.vit import resized_as_dino

DIM, DEPTH, HEADS, PATCH, SIDE = 128, 3, 2, 16, 6
State = dict[str, Tensor]


def small_vit(**changes: Any) -> nn.Module:
    """A ViT whose parameters are all random, norms and class token included."""
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(0)
    settings = {
        "img_size": SIDE * PATCH,
        "patch_size": PATCH,
        "embed_dim": DIM,
        "depth": DEPTH,
        "num_heads": HEADS,
        "num_classes": 0,
        "global_pool": "",
        "dynamic_img_size": True,
    }
    vit = VisionTransformer(**{**settings, **changes}).eval().requires_grad_(False)
    for name, parameter in vit.named_parameters():
        nn.init.normal_(parameter, std=0.1)
        if name.endswith(("norm1.weight", "norm2.weight", "norm.weight")):
            parameter.add_(1)
    return vit


@pytest.fixture(scope="module")
def vit() -> nn.Module:
    return small_vit()


@pytest.fixture(scope="module")
def images() -> Tensor:
    """Not of the training size: the position embeddings must be resized."""
    torch.manual_seed(1)
    return torch.rand(2, 3, 8 * PATCH, 5 * PATCH)


MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def expected(vit: Any, images: Tensor, *, as_dino: bool = True) -> Tensor:
    """Features of the source model, positions resized by hand: ``(B, h, w, D)``."""
    from timm.layers import resample_abs_pos_embed

    grid = (images.shape[2] // PATCH, images.shape[3] // PATCH)
    prefix = vit.num_prefix_tokens
    patches = vit.patch_embed((images - MEAN) / STD).flatten(1, 2)
    if prefix:
        patches = torch.cat([vit.cls_token.expand(len(images), -1, -1), patches], dim=1)
    if as_dino:
        from ppap.backbones import Grid

        positions = resized_as_dino(vit.pos_embed, Grid(*grid), prefix)
    else:
        positions = resample_abs_pos_embed(vit.pos_embed, list(grid), num_prefix_tokens=prefix)
    tokens: Tensor = vit.norm(vit.blocks(patches + positions))
    return tokens[:, prefix:].unflatten(1, grid)


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


def dino_head() -> State:
    return {
        "head.mlp.0.weight": torch.zeros(8, DIM),
        "head.mlp.0.bias": torch.zeros(8),
        "head.last_layer.weight_g": torch.ones(4, 1),
        "head.last_layer.weight_v": torch.ones(4, 8),
    }


def training_file(student: State, teacher: State, loss: str) -> dict[str, Any]:
    """What DINO's family saves while training: everything, with settings and counters."""
    return {
        "student": prefixed(student, "module."),
        "teacher": teacher,
        "optimizer": {"state": {0: {"step": 3, "exp_avg": torch.zeros(2)}}, "param_groups": []},
        "epoch": 3,
        "args": argparse.Namespace(arch="vit_small", lr=np.float64(0.1), path=Path("data")),
        loss: {"center": torch.zeros(1, 4)},
        "best": np.float32(1.5),
        "history": np.arange(3),
    }


def dino_plain(state: State) -> dict[str, Any]:
    return dict(state)


def dino_training(state: State) -> dict[str, Any]:
    other = {name: tensor + 1 for name, tensor in state.items()}
    student = prefixed(other, "backbone.") | dino_head()
    return training_file(student, prefixed(state, "backbone.") | dino_head(), "dino_loss")


def dino_teacher_of_several_devices(state: State) -> dict[str, Any]:
    teacher = prefixed(prefixed(state, "backbone.") | dino_head(), "module.")
    return training_file({}, teacher, "dino_loss")


def ibot_backbone(state: State) -> dict[str, Any]:
    return {"state_dict": dict(state)}


def ibot_training(state: State) -> dict[str, Any]:
    heads = dino_head() | {"head.last_layer2.weight_v": torch.ones(4, 8)}
    student = prefixed({**state, "masked_embed": torch.zeros(1, DIM)}, "backbone.") | heads
    return training_file(student, prefixed(state, "backbone.") | heads, "ibot_loss")


def ibot_student(state: State) -> dict[str, Any]:
    whole = {**state, "masked_embed": torch.zeros(1, DIM)}
    return {"student": prefixed(whole, "module.backbone.") | prefixed(dino_head(), "module.")}


FORMATS: list[tuple[Callable[[State], dict[str, Any]], str]] = [
    (dino_plain, "DINO"),
    (dino_training, "DINO"),
    (dino_teacher_of_several_devices, "DINO"),
    (ibot_backbone, "iBOT"),
    (ibot_training, "iBOT"),
    (ibot_student, "iBOT"),
]


@pytest.mark.parametrize(("written", "kind"), FORMATS, ids=lambda x: getattr(x, "__name__", x))
def test_dino_and_ibot_files_give_their_models_features(
    tmp_path: Path,
    vit: nn.Module,
    images: Tensor,
    written: Callable[[State], dict[str, Any]],
    kind: str,
) -> None:
    file = tmp_path / "weights.pth"
    torch.save(written(vit.state_dict()), file)
    backbone = load_backbone(str(file))
    assert backbone.info.title == f"{kind} ViT-128×3/16 (weights.pth)"
    assert backbone.info.name == str(file)
    assert not backbone.info.needs_download
    assert not any(p.requires_grad for p in backbone.parameters())
    assert (backbone.dim, backbone.patch_size) == (DIM, PATCH)
    features = backbone(images)
    torch.testing.assert_close(features, expected(vit, images), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(features, expected(vit, images, as_dino=False), atol=1e-3)


@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "before torch 1.6"])
def test_old_and_new_files_are_read(
    tmp_path: Path, vit: nn.Module, images: Tensor, legacy: bool
) -> None:
    file = tmp_path / "weights.pth"
    torch.save(dino_training(vit.state_dict()), file, _use_new_zipfile_serialization=not legacy)
    torch.testing.assert_close(load_backbone(file)(images), expected(vit, images))


def test_safetensors_are_read(tmp_path: Path, vit: nn.Module, images: Tensor) -> None:
    file = tmp_path / "weights.safetensors"
    save_file(vit.state_dict(), file)
    torch.testing.assert_close(load_backbone(file)(images), expected(vit, images))


def test_half_precision_files_run_in_float32(tmp_path: Path, vit: nn.Module) -> None:
    torch.save({k: v.half() for k, v in vit.state_dict().items()}, tmp_path / "half.pth")
    backbone = load_backbone(tmp_path / "half.pth")
    assert {p.dtype for p in backbone.parameters()} == {torch.float32}


def selfpatch_state() -> tuple[nn.Module, State]:
    vit = small_vit(class_token=False, final_norm=False)
    return vit, vit.state_dict()


def selfpatch_training(state: State) -> dict[str, Any]:
    heads = {
        "ca_head.cls_token": torch.zeros(1, 1, DIM),
        "ca_head.norm.weight": torch.ones(DIM),
        "c_head.last_layer.weight_v": torch.ones(4, 8),
        "p_head.last_layer.weight_v": torch.ones(4, 8),
    }
    teacher = prefixed(state, "backbone.") | heads
    return training_file(teacher, teacher, "dino_loss")


@pytest.mark.parametrize("written", [dino_plain, selfpatch_training])
def test_selfpatch_files_have_neither_class_token_nor_norm(
    tmp_path: Path, images: Tensor, written: Callable[[State], dict[str, Any]]
) -> None:
    vit, state = selfpatch_state()
    torch.save(written(state), tmp_path / "weights.pth")
    backbone = load_backbone(tmp_path / "weights.pth")
    assert backbone.info.title.startswith("SelfPatch ViT")
    assert "no final norm" in backbone.info.note
    torch.testing.assert_close(backbone(images), expected(vit, images), atol=1e-5, rtol=1e-5)


def mae_vit() -> nn.Module:
    vit: Any = small_vit()
    vit.pos_embed.zero_()
    vit.pos_embed[0, 1:] = sines_and_cosines(SIDE, DIM).float()
    return vit


def mae_plain(state: State) -> dict[str, Any]:
    return {"model": dict(state)}


def mae_pretraining(state: State) -> dict[str, Any]:
    decoder = {
        "mask_token": torch.zeros(1, 1, 64),
        "decoder_embed.weight": torch.zeros(64, DIM),
        "decoder_pos_embed": torch.zeros(1, 1 + SIDE**2, 64),
        "decoder_blocks.0.attn.qkv.weight": torch.zeros(192, 64),
        "decoder_pred.weight": torch.zeros(768, 64),
    }
    return {
        "model": {**state, **decoder},
        "optimizer": {},
        "epoch": 800,
        "scaler": {"scale": 65536.0},
        "args": argparse.Namespace(model="mae_vit_base_patch16"),
    }


@pytest.mark.parametrize("written", [dino_plain, mae_plain, mae_pretraining])
def test_mae_files_are_recognised_and_resize_positions_as_timm(
    tmp_path: Path, images: Tensor, written: Callable[[State], dict[str, Any]]
) -> None:
    vit = mae_vit()
    torch.save(written(vit.state_dict()), tmp_path / "weights.pth")
    backbone = load_backbone(tmp_path / "weights.pth")
    assert backbone.info.title.startswith("MAE ViT")
    assert "Self-supervised" in backbone.info.note
    wanted = expected(vit, images, as_dino=False)
    torch.testing.assert_close(backbone(images), wanted, atol=1e-5, rtol=1e-5)


def test_mae_without_its_norm_says_so(tmp_path: Path, images: Tensor) -> None:
    vit = mae_vit()
    state = {k: v for k, v in vit.state_dict().items() if not k.startswith("norm.")}
    torch.save(mae_plain(state), tmp_path / "weights.pth")
    backbone = load_backbone(tmp_path / "weights.pth")
    assert "no final norm" in backbone.info.note
    vit.norm = nn.Identity()
    torch.testing.assert_close(
        backbone(images), expected(vit, images, as_dino=False), atol=1e-5, rtol=1e-5
    )


def test_a_fine_tuned_mae_norms_with_the_norm_of_its_pooling(
    tmp_path: Path, images: Tensor
) -> None:
    vit = mae_vit()
    state = {
        k.replace("norm.", "fc_norm.") if k.startswith("norm.") else k: v
        for k, v in vit.state_dict().items()
    }
    state |= {"head.weight": torch.zeros(10, DIM), "head.bias": torch.zeros(10)}
    torch.save(mae_plain(state), tmp_path / "weights.pth")
    backbone = load_backbone(tmp_path / "weights.pth")
    assert "with ImageNet labels" in backbone.info.note
    wanted = expected(vit, images, as_dino=False)
    torch.testing.assert_close(backbone(images), wanted, atol=1e-5, rtol=1e-5)


def test_fixed_positions_are_those_of_the_formula() -> None:
    positions = sines_and_cosines(14, 384)
    row, column, k = 3, 11, 5
    speed = 10000 ** (-k / 96)
    patch = positions[row * 14 + column]
    wanted = [np.sin(column * speed), np.cos(column * speed), np.sin(row * speed)]
    np.testing.assert_allclose(patch[[k, 96 + k, 192 + k]], wanted, atol=1e-12)
    assert positions.shape == (196, 384)


def test_the_official_features_come_out_of_a_file(golden: Path, tmp_path: Path) -> None:
    """The golden ViT through the whole way: saved, recognised, measured, run at 320 pixels."""
    import timm

    from tests.ppap.backbones.test_vit import fill_by_formula, golden_image

    network = timm.create_model("vit_tiny_patch16_224", num_classes=0)
    fill_by_formula(network)
    torch.save({"teacher": prefixed(network.state_dict(), "backbone.")}, tmp_path / "tiny.pth")
    backbone: Any = load_backbone(tmp_path / "tiny.pth")
    assert backbone.info.title == "DINO ViT-Ti/16 (tiny.pth)"
    values = np.load(golden / "dino_vit_tiny.npz")
    picked = values["p16_320_tokens"]
    features = backbone(golden_image(320, backbone))[0].flatten(0, 1)
    np.testing.assert_allclose(
        features[picked[picked > 0] - 1], values["p16_320_frozen"][picked > 0], atol=1e-4
    )


def test_heads_can_be_given_where_the_file_cannot_tell(tmp_path: Path, images: Tensor) -> None:
    vit = small_vit(num_heads=4)
    torch.save(vit.state_dict(), tmp_path / "weights.pth")
    right = load_backbone(tmp_path / "weights.pth", heads=4)
    torch.testing.assert_close(right(images), expected(vit, images), atol=1e-5, rtol=1e-5)
    usual = load_backbone(tmp_path / "weights.pth")
    assert not torch.allclose(usual(images), right(images), atol=1e-3)
    with pytest.raises(BackboneError, match="128 channels do not divide into 3 heads"):
        load_backbone(tmp_path / "weights.pth", heads=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.1.attn.proj.bias": None}, r"missing: blocks\.1\.attn\.proj\.bias"),
        ({"norm.weight": None, "norm.bias": None}, r"missing: norm\.weight, norm\.bias"),
        ({"pos_embed": None}, "incomplete; missing: pos_embed"),
        ({"head.weight": torch.zeros(10, DIM)}, r"unexpected: head\.weight"),
        ({"blocks.0.gamma_3": torch.zeros(DIM)}, r"unexpected: blocks\.0\.gamma_3"),
        ({"blocks.0.gamma_1": torch.zeros(DIM)}, "not clearly DINOv2 or DINOv3"),
        (
            {"norm.weight": torch.zeros(7)},
            r"different shape: norm\.weight \(7,\) instead of \(128,\)",
        ),
        ({"pos_embed": torch.zeros(1, 36, DIM)}, "35 patches .*; only square images"),
        ({"blocks.0.ls1.gamma": torch.zeros(DIM)}, "not clearly DINOv2 or DINOv3"),
        ({"pos_embed": torch.zeros(1, 4, 4, DIM)}, "is not from a plain image ViT: pos_embed"),
        (
            {"patch_embed.proj.weight": torch.zeros(DIM, 3, 2, 16, 16)},
            r"is not from a plain image ViT: patch_embed\.proj\.weight",
        ),
        ({"pos_embed": torch.zeros(1, 1, DIM)}, "0 patches .*; only square images"),
        ({"norm.weight": torch.full((DIM,), torch.nan)}, r"NaN or infinity in norm\.weight"),
        ({"head.weight": torch.full((DIM,), torch.nan)}, r"unexpected: head\.weight"),
    ],
    ids=lambda x: "" if isinstance(x, str) else "+".join(x),
)
def test_what_does_not_fit_is_named(
    tmp_path: Path, vit: nn.Module, change: dict[str, Tensor | None], message: str
) -> None:
    state = {**vit.state_dict(), **change}
    torch.save({k: v for k, v in state.items() if v is not None}, tmp_path / "weights.pth")
    with pytest.raises(BackboneError, match=rf"weights\.pth .*{message}"):
        load_backbone(tmp_path / "weights.pth")


def test_parameters_beside_the_network_are_left_out_and_named(
    tmp_path: Path, vit: nn.Module, images: Tensor
) -> None:
    state = prefixed(vit.state_dict(), "backbone.") | {"predictor.weight": torch.zeros(2)}
    torch.save({"teacher": state | dino_head()}, tmp_path / "weights.pth")
    backbone = load_backbone(tmp_path / "weights.pth")
    torch.testing.assert_close(backbone(images), expected(vit, images))
    assert backbone.info.note.endswith("Left out of the file: predictor.weight.")


def test_other_networks_are_no_vit(tmp_path: Path) -> None:
    torch.save({"state_dict": nn.Conv2d(3, 4, 1).state_dict()}, tmp_path / "conv.pth")
    with pytest.raises(BackboneError, match=r"conv\.pth is not a ViT .*: it contains weight, bias"):
        load_backbone(tmp_path / "conv.pth")
    torch.save({"epoch": 3}, tmp_path / "empty.pth")
    with pytest.raises(BackboneError, match="it contains no parameters"):
        load_backbone(tmp_path / "empty.pth")
    torch.save({"net_model_state_dict": {}}, tmp_path / "ppap.pth")
    with pytest.raises(BackboneError, match="a whole trained PPAP model"):
        load_backbone(tmp_path / "ppap.pth")
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(BackboneError, match="contains a list"):
        load_backbone(tmp_path / "list.pth")


def test_a_dino_file_for_a_dino_name(tmp_path: Path) -> None:
    import timm

    torch.manual_seed(0)
    network = timm.create_model("vit_small_patch16_224.dino", num_classes=0)
    torch.save(dino_training(network.state_dict()), tmp_path / "small.pth")
    backbone = load_backbone("dino_vits16", checkpoint=tmp_path / "small.pth")
    alone = load_backbone(tmp_path / "small.pth")
    images = torch.rand(1, 3, 32, 64)
    assert torch.equal(backbone(images), alone(images))
    assert backbone.info.name == "dino_vits16"
    assert "small.pth" in backbone.info.note
    assert alone.info.title == "DINO ViT-S/16 (small.pth)"
    with pytest.raises(BackboneError, match=r"does not fit dino_vits8; .*patch_embed"):
        load_backbone("dino_vits8", checkpoint=tmp_path / "small.pth")
    torch.save(ibot_backbone(network.state_dict()), tmp_path / "ibot.pth")
    with pytest.raises(BackboneError, match="a checkpoint of iBOT, not of DINO"):
        load_backbone("dino_vits16", checkpoint=tmp_path / "ibot.pth")


class Attack:
    """Runs a command when it is unpickled the usual way."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch '{self.target}'",)


def poisoned(path: Path, state: State, *, legacy: bool) -> None:
    content = {"model": state, "args": Attack(path.parent / "ran")}
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_file_is_refused_named_and_never_run(
    tmp_path: Path, vit: nn.Module, legacy: bool
) -> None:
    file = tmp_path / "weights.pth"
    poisoned(file, vit.state_dict(), legacy=legacy)
    with pytest.raises(
        BackboneError, match=r"weights\.pth would run \w+\.system when opened, so it was refused"
    ):
        load_backbone(file)
    assert not (tmp_path / "ran").exists()
    # The file is a real attack: reading it the usual way runs the command.
    torch.load(file, weights_only=False)
    assert (tmp_path / "ran").exists()


def test_a_bare_pickle_is_refused_and_never_run(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(pickle.dumps(Attack(tmp_path / "ran")))
    with pytest.raises(BackboneError, match=r"weights\.pth"):
        load_backbone(file)
    assert not (tmp_path / "ran").exists()


def test_settings_that_run_code_are_refused(tmp_path: Path, vit: nn.Module) -> None:
    content = dino_training(vit.state_dict())
    content["args"].hook = Attack(tmp_path / "ran")
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(BackboneError, match=r"would run \w+\.system"):
        load_backbone(tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


def test_nothing_stays_allowed_afterwards(tmp_path: Path, vit: nn.Module) -> None:
    torch.save(dino_training(vit.state_dict()), tmp_path / "weights.pth")
    before = torch.serialization.get_safe_globals()
    load_backbone(tmp_path / "weights.pth")
    assert set(torch.serialization.get_safe_globals()) == set(before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"\n<!DOCTYPE html><html>", "it is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "a Git LFS pointer"),
        (b"\x00\x01\x02 nothing of the kind", "it is not a checkpoint file, or it is damaged"),
        (b"PK\x03\x04 cut off", "its end is missing"),
    ],
    ids=["empty", "web page", "lfs", "noise", "cut zip"],
)
@pytest.mark.parametrize("name", ["weights.pth", "weights.safetensors"])
def test_damaged_files_are_explained(
    tmp_path: Path, content: bytes, message: str, name: str
) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(BackboneError, match=rf"{name} cannot be read as a checkpoint: .*{message}"):
        load_backbone(tmp_path / name)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_files_cut_off_anywhere_are_explained(tmp_path: Path, vit: nn.Module, share: float) -> None:
    torch.save(vit.state_dict(), tmp_path / "whole.pth")
    save_file(vit.state_dict(), tmp_path / "whole.safetensors")
    for suffix in ("pth", "safetensors"):
        whole = (tmp_path / f"whole.{suffix}").read_bytes()
        (tmp_path / f"cut.{suffix}").write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(BackboneError, match=rf"cut\.{suffix} cannot be read"):
            load_backbone(tmp_path / f"cut.{suffix}")
