"""DINOv2 and DINOv3 in every form people have them: the features are those of timm's model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from ppap.backbones import BackboneError, build_vit, load_backbone
from tests.support.foreign_weights import (
    DIM,
    SIDE,
    State,
    as_meta_v2,
    as_meta_v3,
    as_timm,
    as_transformers,
    dinov2,
    dinov3,
)

MEAN = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
STD = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)


def pictures(patch: int, rows: int, columns: int) -> Tensor:
    torch.manual_seed(1)
    return torch.rand(2, 3, rows * patch, columns * patch)


def features_of(vit: Any, images: Tensor, mean: Tensor = MEAN, std: Tensor = STD) -> Tensor:
    """What timm's own model gives for the patches: ``(B, n, D)``."""
    with torch.no_grad():
        tokens: Tensor = vit.forward_features((images - mean) / std)
    return tokens[:, vit.num_prefix_tokens :]


def hf_old(meta: State) -> State:
    return as_transformers(meta)


def hf_new(meta: State) -> State:
    return as_transformers(meta, newest=True)


def meta(state: State) -> State:
    return state


V2_FORMS: list[Callable[[nn.Module], State]] = [
    as_timm,
    as_meta_v2,
    lambda vit: hf_old(as_meta_v2(vit)),
    lambda vit: hf_new(as_meta_v2(vit)),
]
V3_FORMS: list[Callable[[nn.Module], State]] = [
    as_timm,
    as_meta_v3,
    lambda vit: hf_old(as_meta_v3(vit)),
    lambda vit: hf_new(as_meta_v3(vit)),
]
FORM_NAMES = ["timm", "authors", "transformers", "newest transformers"]


@pytest.mark.parametrize("form", V2_FORMS, ids=FORM_NAMES)
@pytest.mark.parametrize(
    ("settings", "title"),
    [
        ({}, "DINOv2 ViT-128×2/14"),
        ({"registers": 4}, "DINOv2 ViT-128×2/14 with 4 registers"),
        ({"giant": True}, "DINOv2 ViT-128×2/14"),
        ({"giant": True, "registers": 4}, "DINOv2 ViT-128×2/14 with 4 registers"),
    ],
    ids=["plain", "registers", "gated", "gated with registers"],
)
def test_dinov2_in_every_form(
    tmp_path: Path, form: Callable[[nn.Module], State], settings: dict[str, Any], title: str
) -> None:
    vit = dinov2(**settings)
    save_file({n: t.contiguous() for n, t in form(vit).items()}, tmp_path / "x.safetensors")
    torch.save(form(vit), tmp_path / "x.pth")
    images = pictures(14, SIDE, SIDE)
    wanted = features_of(vit, images)
    for name in ("x.safetensors", "x.pth"):
        backbone = load_backbone(str(tmp_path / name))
        assert backbone.info.title == f"{title} ({name})"
        assert backbone.info.name == str(tmp_path / name)
        assert backbone.patch_size == 14
        assert torch.equal(backbone(images).flatten(1, 2), wanted)


@pytest.mark.parametrize("form", V3_FORMS, ids=FORM_NAMES)
@pytest.mark.parametrize(
    ("settings", "title"),
    [
        ({}, "DINOv3 ViT-128×2/16"),
        ({"biased": False}, "DINOv3 ViT-128×2/16"),
        ({"plus": True}, "DINOv3 ViT-128×2/16"),
        ({"plus": True, "biased": False}, "DINOv3 ViT-128×2/16"),
        ({"registers": 0}, "DINOv3 ViT-128×2/16"),
    ],
    ids=["biased", "without biases", "gated", "gated without biases", "without registers"],
)
def test_dinov3_in_every_form(
    tmp_path: Path,
    form: Callable[[nn.Module], State],
    settings: dict[str, Any],
    title: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    vit = dinov3(**settings)
    torch.save(form(vit), tmp_path / "x.pth")
    backbone = load_backbone(str(tmp_path / "x.pth"))
    assert backbone.info.title == f"{title} (x.pth)"
    for rows, columns in ((14, 14), (3, 5)):  # rotary positions know every size
        images = pictures(16, rows, columns)
        assert torch.equal(backbone(images).flatten(1, 2), features_of(vit, images))
    assert capsys.readouterr().out == ""  # timm prints what it cannot place


def test_dinov2_resizes_positions_as_its_authors_do(tmp_path: Path) -> None:
    """Without registers as DINO did, with an offset; with registers antialiased, without one."""
    images = pictures(14, 6, 3)
    for registers in (0, 4):
        vit = dinov2(registers=registers)
        torch.save(as_meta_v2(vit), tmp_path / "x.pth")
        backbone = load_backbone(tmp_path / "x.pth")
        given = as_meta_v2(vit)["pos_embed"]
        squares = given[:, 1:].unflatten(1, (SIDE, SIDE)).permute(0, 3, 1, 2)
        if registers:
            resized = F.interpolate(squares, size=(6, 3), mode="bicubic", antialias=True)
        else:
            scale = ((6 + 0.1) / SIDE, (3 + 0.1) / SIDE)
            resized = F.interpolate(squares, scale_factor=scale, mode="bicubic")
        patches = vit.patch_embed((images - MEAN) / STD).flatten(1, 2)
        patches = patches + resized.flatten(2).transpose(1, 2)
        first = as_meta_v2(vit)["cls_token"] + given[:, :1]
        tokens = [first.expand(2, -1, -1)]
        if registers:
            tokens.append(vit.reg_token.expand(2, -1, -1))
        wanted = vit.norm(vit.blocks(torch.cat([*tokens, patches], dim=1)))[:, 1 + registers :]
        torch.testing.assert_close(backbone(images).flatten(1, 2), wanted, atol=1e-5, rtol=1e-5)


def test_positions_of_another_training_size_are_resized_once(tmp_path: Path) -> None:
    """A name says 518 pixels; the file was trained at less, and its own positions count."""
    import timm

    name = "vit_small_patch14_dinov2"
    small = timm.create_model(name, img_size=70, num_classes=0, depth=1)
    torch.save(small.state_dict(), tmp_path / "x.pth")
    named = build_vit(name, weights=tmp_path / "x.pth", depth=1)
    alone = load_backbone(tmp_path / "x.pth")
    assert named.vit.pos_embed.shape == (1, 26, 384)
    for rows, columns in ((5, 5), (7, 4)):
        images = pictures(14, rows, columns)
        assert torch.equal(named(images), alone(images))
    assert torch.equal(
        alone(pictures(14, 5, 5)).flatten(1, 2), features_of(small.eval(), pictures(14, 5, 5))
    )


# --- prefixes and branches


def prefixed(state: State, prefix: str) -> State:
    return {prefix + name: tensor for name, tensor in state.items()}


@pytest.mark.parametrize(
    "prefix",
    [
        "_orig_mod.",
        "model.",
        "student.",
        "module.",
        "backbone.",
        "teacher.",
        "net.",
        "module._orig_mod.",
        "_orig_mod.module.model.backbone.",
        "student.module.backbone._orig_mod.",
        "my_own_vit.",
    ],
)
@pytest.mark.parametrize("family", ["v2", "v3 of transformers"])
def test_prefixes_and_nests_of_them_come_off(tmp_path: Path, prefix: str, family: str) -> None:
    vit = dinov2(registers=4) if "v2" in family else dinov3()
    state = as_meta_v2(vit) if "v2" in family else as_meta_v3(vit)
    if "transformers" in family:
        state = hf_old(state)
    torch.save(prefixed(state, prefix), tmp_path / "x.pth")
    patch = 14 if "v2" in family else 16
    images = pictures(patch, SIDE, SIDE)
    found = load_backbone(tmp_path / "x.pth")(images)
    assert torch.equal(found.flatten(1, 2), features_of(vit, images))


def lightning(state: State) -> dict[str, Any]:
    return {
        "epoch": 3,
        "global_step": 10,
        "pytorch-lightning_version": "2.5.0",
        "state_dict": prefixed(state, "model.") | {"criterion.center": torch.zeros(3)},
        "optimizer_states": [{"state": {0: {"exp_avg": torch.ones(2)}}}],
        "hyper_parameters": {"lr": 0.1},
    }


def meta_training(state: State) -> dict[str, Any]:
    """DINOv2's own training: chunks of blocks, and its two heads."""
    chunked = {
        n.replace("blocks.0.", "blocks.0.0.").replace("blocks.1.", "blocks.1.1."): t
        for n, t in state.items()
    }
    heads = {
        "dino_head.last_layer.weight_v": torch.zeros(4, 8),
        "ibot_head.mlp.0.weight": torch.zeros(8, DIM),
    }
    return {"teacher": prefixed(chunked, "backbone.") | heads}


def both_networks(state: State) -> dict[str, Any]:
    other = {name: tensor + 1 for name, tensor in state.items()}
    return {
        "model": prefixed(other, "student.backbone.") | prefixed(state, "teacher.backbone."),
        "optimizer": {"state": {name: {"exp_avg": tensor} for name, tensor in other.items()}},
    }


def average(state: State) -> dict[str, Any]:
    other = {name: tensor + 1 for name, tensor in state.items()}
    return {"model": other, "model_ema": state, "iteration": 3}


def deep_nest(state: State) -> dict[str, Any]:
    return {"checkpoint": {"model": {"state_dict": prefixed(state, "module.")}}}


@pytest.mark.parametrize("written", [lightning, meta_training, both_networks, average, deep_nest])
def test_files_of_trainings(tmp_path: Path, written: Callable[[State], dict[str, Any]]) -> None:
    vit = dinov2()
    torch.save(written(as_meta_v2(vit)), tmp_path / "x.ckpt")
    images = pictures(14, SIDE, SIDE)
    backbone = load_backbone(tmp_path / "x.ckpt")
    assert torch.equal(backbone(images).flatten(1, 2), features_of(vit, images))
    assert "Left out" not in backbone.info.note


def test_what_is_left_out_is_said(tmp_path: Path) -> None:
    state = prefixed(as_meta_v2(dinov2()), "net.") | {"text.weight": torch.zeros(2)}
    torch.save({"state_dict": state}, tmp_path / "x.ckpt")
    assert load_backbone(tmp_path / "x.ckpt").info.note.endswith(
        "Left out of the file: text.weight."
    )


def test_two_networks_of_one_file_are_not_guessed_at(tmp_path: Path) -> None:
    state = as_meta_v2(dinov2())
    torch.save({"left": state, "right": dict(state)}, tmp_path / "x.pth")
    said = r"x\.pth contains 2 ViTs, under left\. and under right\."
    with pytest.raises(BackboneError, match=said):
        load_backbone(tmp_path / "x.pth")


def test_a_dictionary_is_looked_into_once(tmp_path: Path) -> None:
    """The same weights under two names, in a file that holds itself."""
    state = as_meta_v2(dinov2())
    content: dict[str, Any] = {"model": state, "weights": state}
    content["again"] = content
    torch.save(content, tmp_path / "x.pth")
    assert load_backbone(tmp_path / "x.pth").info.title == "DINOv2 ViT-128×2/14 (x.pth)"


# --- what the tensors do not tell


def test_satellite_models_are_told_by_their_files_name(tmp_path: Path) -> None:
    vit = dinov3()
    file = tmp_path / "dinov3_vitl16_pretrain_sat493m-eadcf0ff.pth"
    torch.save(as_meta_v3(vit) | {"local_cls_norm.weight": torch.ones(DIM)}, file)
    backbone = load_backbone(file)
    mean = torch.tensor([0.430, 0.411, 0.296]).view(3, 1, 1)
    std = torch.tensor([0.213, 0.156, 0.143]).view(3, 1, 1)
    images = pictures(16, 3, 3)
    assert torch.equal(backbone(images).flatten(1, 2), features_of(vit, images, mean, std))
    assert "satellite images, according to its file name" in backbone.info.note


def test_a_name_says_which_a_file_is(tmp_path: Path) -> None:
    import timm

    vit = timm.create_model("vit_small_patch16_dinov3", num_classes=0).eval()
    torch.save(as_timm(vit), tmp_path / "any.pth")
    with pytest.raises(BackboneError, match=r"any\.pth does not fit test_vit; different shape"):
        load_backbone(f"test_vit@{tmp_path / 'any.pth'}")
    backbone = load_backbone(f"dinov3_vits16@{tmp_path / 'any.pth'}")
    assert backbone.info.name == f"dinov3_vits16@{tmp_path / 'any.pth'}"
    assert backbone.info.title == "DINOv3 ViT-S/16 (any.pth)"
    images = pictures(16, 2, 3)
    assert torch.equal(backbone(images).flatten(1, 2), features_of(vit, images))


def test_biases_of_a_named_dinov3_are_the_files(tmp_path: Path) -> None:
    """timm's dinov3_vits16 has none; dropping those of a file would change its features."""
    import timm

    vit = timm.create_model("vit_small_patch16_dinov3_qkvb", num_classes=0, depth=1).eval()
    nn.init.normal_(vit.get_parameter("blocks.0.attn.q_bias"))
    vit.requires_grad_(False)
    torch.save(as_timm(vit), tmp_path / "any.pth")
    images = pictures(16, 2, 3)
    for name in ("vit_small_patch16_dinov3", "vit_small_patch16_dinov3_qkvb"):
        backbone = build_vit(name, weights=tmp_path / "any.pth", depth=1)
        assert torch.equal(backbone(images).flatten(1, 2), features_of(vit, images))


@pytest.mark.parametrize("family", ["authors", "transformers"])
def test_a_bias_on_keys_is_refused(tmp_path: Path, family: str) -> None:
    state = as_meta_v3(dinov3())
    state["blocks.1.attn.qkv.bias"] += 1
    if family == "authors":
        del state["blocks.1.attn.qkv.bias_mask"]
    else:
        state = hf_old(state)
        state["layer.1.attention.k_proj.bias"] = torch.ones(DIM)
    torch.save(state, tmp_path / "x.pth")
    with pytest.raises(BackboneError, match=r"x\.pth has a bias on its keys"):
        load_backbone(tmp_path / "x.pth")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"mask_token": None, "patch": 16}, id="patches of 16 without a mask token"),
        pytest.param({"register_tokens": torch.zeros(1, 1, DIM)}, id="one register"),
    ],
)
def test_other_scaled_vits_are_not_taken_for_dinov2(tmp_path: Path, change: dict[str, Any]) -> None:
    state = as_meta_v2(dinov2())
    if patch := change.pop("patch", None):
        state["patch_embed.proj.weight"] = torch.zeros(DIM, 3, patch, patch)
    state = {n: t for n, t in {**state, **change}.items() if t is not None}
    file = tmp_path / "x.pth"
    torch.save(state, file)
    with pytest.raises(BackboneError) as refused:
        load_backbone(file)
    # The advice can be followed wherever one types a backbone.
    assert f"deit3_base_patch16_224@{file}" in str(refused.value)


def test_the_advice_to_name_the_model_works(tmp_path: Path) -> None:
    import timm

    vit: Any = timm.create_model("test_vit2", num_classes=10).eval()
    torch.save({"model": vit.state_dict()}, tmp_path / "mine.pth")
    with pytest.raises(BackboneError, match="put timm's name for it before the file"):
        load_backbone(tmp_path / "mine.pth")
    backbone = load_backbone(f"test_vit2@{tmp_path / 'mine.pth'}")
    images = pictures(16, 10, 10)
    tokens = vit.fc_norm(vit.forward_features((images - backbone.mean) / backbone.std))
    wanted = tokens[:, vit.num_prefix_tokens :]
    torch.testing.assert_close(backbone(images).flatten(1, 2), wanted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.1.ls2.gamma": None}, r"missing: blocks\.1\.ls2\.gamma"),
        ({"blocks.0.attn.qkv.weight": None}, r"missing: blocks\.0\.attn\.qkv\.weight"),
        ({"blocks.0.mlp.fc1.weight": None}, r"missing: blocks\.0\.mlp\.fc1\.weight"),
        ({"head.weight": torch.zeros(2, DIM)}, r"unexpected: head\.weight"),
        ({"pos_embed": torch.zeros(1, 12, DIM)}, "was trained on 11 patches"),
        # Files of strangers: nothing in them may make a model of any size, or end in a traceback.
        ({"blocks.99999999.ls1.gamma": torch.zeros(DIM)}, r"missing: blocks\.2"),
        ({"blocks.0.attn.qkv.bias": torch.zeros(())}, r"qkv\.bias has the shape \(\)"),
        ({"blocks.0.mlp.fc1.weight": torch.zeros(())}, r"fc1\.weight has the shape \(\)"),
        ({"register_tokens": torch.zeros(4)}, r"register_tokens has the shape \(4,\)"),
        ({"cls_token": None}, "missing: cls_token"),
        ({"patch_embed.proj.weight": torch.zeros(0, 3, 14, 14)}, "0 channels do not divide"),
        (
            {"patch_embed.proj.weight": torch.zeros(1, 3, 14, 14).expand(2**20, -1, -1, -1)},
            "1048576 channels do not divide",
        ),
        ({"norm.weight": torch.zeros(DIM, device="meta")}, r"NaN or infinity in norm\.weight"),
        ({"norm.weight": torch.full((DIM,), torch.nan)}, r"NaN or infinity in norm\.weight"),
        ({"cls_token": torch.full((1, 1, DIM), torch.inf)}, r"NaN or infinity in cls_token"),
        ({"norm.bias": torch.zeros(DIM, dtype=torch.int8)}, r"unsupported type \(torch\.int8\)"),
    ],
    ids=lambda x: "" if isinstance(x, str) else "+".join(x),
)
def test_what_is_wrong_with_a_file_is_named(
    tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    state = {**as_meta_v2(dinov2()), **change}
    torch.save({n: t for n, t in state.items() if t is not None}, tmp_path / "x.pth")
    with pytest.raises(BackboneError, match=rf"x\.pth.*{message}"):
        load_backbone(tmp_path / "x.pth")


def test_the_same_parameter_twice_is_refused(tmp_path: Path) -> None:
    state = hf_old(as_meta_v2(dinov2()))
    state["layer.0.norm1.weight"] = torch.zeros(DIM)
    torch.save(state, tmp_path / "x.pth")
    said = r"contains blocks\.0\.norm1\.weight twice, once as layer"
    with pytest.raises(BackboneError, match=said):
        load_backbone(tmp_path / "x.pth")


@pytest.mark.parametrize(
    ("prefix", "family"),
    [
        ("visual.trunk.", "from an image–text model, judging by the name visual"),
        ("image_encoder.", "from another program's image encoder"),
        ("module.momentum_encoder.", "from MoCo"),
    ],
)
def test_other_families_are_told_by_their_prefix(tmp_path: Path, prefix: str, family: str) -> None:
    """Their colours or heads are others; with timm's name before it, such a file is used."""
    import timm

    vit = timm.create_model("test_vit", num_classes=0).eval()
    state = prefixed(dict(vit.state_dict()), prefix)
    torch.save(state | {"text.weight": torch.zeros(2)}, tmp_path / "x.pth")
    with pytest.raises(BackboneError, match=family):
        load_backbone(tmp_path / "x.pth")
    backbone = load_backbone(f"test_vit@{tmp_path / 'x.pth'}")
    assert torch.equal(
        backbone.last_block.get_parameter("attn.qkv.weight"),
        vit.get_parameter("blocks.5.attn.qkv.weight"),
    )


def test_half_precision_that_overflowed_is_found(tmp_path: Path) -> None:
    state = as_meta_v2(dinov2())
    state["blocks.1.mlp.fc2.weight"][3, 4] = 1e6
    torch.save({n: t.half() for n, t in state.items()}, tmp_path / "x.pth")
    with pytest.raises(
        BackboneError, match=r"x\.pth contains NaN or infinity in blocks\.1\.mlp\.fc2"
    ):
        load_backbone(tmp_path / "x.pth")


# --- folders


def hugging_face_folder(folder: Path, state: State, **config: Any) -> Path:
    folder.mkdir(parents=True)
    save_file({n: t.contiguous() for n, t in state.items()}, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_folder_of_hugging_face(tmp_path: Path) -> None:
    vit = dinov2()
    folder = hugging_face_folder(
        tmp_path / "dinov2-tiny", hf_old(as_meta_v2(vit)), model_type="dinov2"
    )
    backbone = load_backbone(str(folder))
    assert backbone.info.name == str(folder)
    images = pictures(14, SIDE, SIDE)
    wanted = features_of(vit, images)
    assert torch.equal(backbone(images).flatten(1, 2), wanted)
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"image_mean": [0.5, 0.5, 0.5], "image_std": [0.25, 0.25, 0.25]})
    )
    half, quarter = torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.25)
    told = load_backbone(folder / "model.safetensors")
    assert torch.equal(told(images).flatten(1, 2), features_of(vit, images, half, quarter))


def test_heads_of_a_folder_are_those_of_its_config(tmp_path: Path) -> None:
    vit = dinov2()
    folder = tmp_path / "four"
    hugging_face_folder(folder, hf_old(as_meta_v2(vit)), num_attention_heads=4)
    for block in vit.blocks:
        block.attn.num_heads, block.attn.head_dim = 4, DIM // 4
        block.attn.scale = (DIM // 4) ** -0.5
    images = pictures(14, SIDE, SIDE)
    found = load_backbone(folder)(images)
    torch.testing.assert_close(found.flatten(1, 2), features_of(vit, images), atol=1e-5, rtol=1e-5)


def test_a_folder_with_its_weights_in_parts(tmp_path: Path) -> None:
    vit = dinov3()
    state = hf_old(as_meta_v3(vit))
    names = sorted(state)
    parts = {"model-1.safetensors": names[::2], "model-2.safetensors": names[1::2]}
    for part, those in parts.items():
        save_file({name: state[name].contiguous() for name in those}, tmp_path / part)
    index = {"weight_map": {name: part for part, those in parts.items() for name in those}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    images = pictures(16, 3, 3)
    wanted = features_of(vit, images)
    assert torch.equal(load_backbone(tmp_path)(images).flatten(1, 2), wanted)
    (tmp_path / "model-2.safetensors").unlink()
    with pytest.raises(
        BackboneError, match=r"refers to model-2\.safetensors, which is not next to it"
    ):
        load_backbone(tmp_path)
    index["weight_map"]["norm.weight"] = "../outside.safetensors"
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(BackboneError, match="refers to a file outside its folder"):
        load_backbone(tmp_path)


def test_a_folder_of_timm_says_which_model_it_is(tmp_path: Path) -> None:
    import timm

    vit = timm.create_model("test_vit", num_classes=10).eval()
    told = {"architecture": "test_vit", "pretrained_cfg": {"tag": "r160_in1k", "mean": [0.5] * 3}}
    folder = hugging_face_folder(tmp_path / "test_vit", dict(vit.state_dict()), **told)
    backbone = load_backbone(folder)
    assert backbone.info.name == str(folder)
    images = pictures(16, 10, 10)
    half = torch.full((3, 1, 1), 0.5)
    found = backbone(images).flatten(1, 2)
    torch.testing.assert_close(found, features_of(vit, images, half, backbone.std))


def test_the_folder_of_a_model_in_the_hubs_cache(tmp_path: Path) -> None:
    vit = dinov2()
    cache = tmp_path / "models--facebook--dinov2-tiny"
    hugging_face_folder(cache / "snapshots" / "abc", hf_old(as_meta_v2(vit)))
    images = pictures(14, SIDE, SIDE)
    wanted = features_of(vit, images)
    assert torch.equal(load_backbone(cache)(images).flatten(1, 2), wanted)
    hugging_face_folder(cache / "snapshots" / "def", hf_old(as_meta_v2(dinov2(registers=4))))
    with pytest.raises(BackboneError, match="a folder with 2 versions of a model: choose one"):
        load_backbone(cache)
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("abc")
    assert torch.equal(load_backbone(cache)(images).flatten(1, 2), wanted)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "choose a file in it"),
        (["a.pth", "b.pth"], r"choose a file in it; it has a\.pth, b\.pth"),
        (["model.safetensors.part"], "is an unfinished download"),
        (["tf_model.h5"], "TensorFlow or Flax only"),
    ],
    ids=["empty", "two", "unfinished", "tensorflow"],
)
def test_folders_without_weights_say_what_they_have(
    tmp_path: Path, files: list[str], message: str
) -> None:
    for name in files:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(BackboneError, match=message):
        load_backbone(tmp_path)


def test_a_file_that_is_called_otherwise_is_read_by_its_content(tmp_path: Path) -> None:
    vit = dinov2()
    save_file({n: t.contiguous() for n, t in as_timm(vit).items()}, tmp_path / "x.pth")
    torch.save(as_timm(vit), tmp_path / "y.safetensors")
    images = pictures(14, SIDE, SIDE)
    wanted = features_of(vit, images)
    for name in ("x.pth", "y.safetensors"):
        assert torch.equal(load_backbone(tmp_path / name)(images).flatten(1, 2), wanted)
