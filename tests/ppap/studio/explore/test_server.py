from __future__ import annotations

import base64
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.embedding.service import MapStatus, pca_map
from ppap.propagation import propagate
from ppap.rivals import RULES
from ppap.studio import networks
from ppap.studio.explore import server as server_module
from ppap.studio.explore import views as explorer
from tests.support.small_studio import SmallStudio, load_tiny

SETTINGS = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}
HOSTILE: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    5,
    10**30,
    10**400,
    10**5000,
    1.5,
    1e300,
    math.nan,
    math.inf,
    -math.inf,
    "",
    "nothing",
    "../../etc/passwd",
    "<script>alert(1)</script>",
    "\0",
    "\ud800",
    "x" * 10**5,
    [],
    [1],
    [[]],
    {},
    {"a": 1},
    {"rule": "ppap", "parameters": []},
    b"\xff",
]


@pytest.fixture(autouse=True)
def _tiny_backbone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)


@pytest.fixture
def studio(tmp_path: Path) -> SmallStudio:
    return SmallStudio(tmp_path)


@pytest.fixture
def shown(studio: SmallStudio) -> dict[str, Any]:
    """A request for a batch that is loaded."""
    return {
        "batch": studio.load()["batch"],
        "anchor": 24,
        "settings": SETTINGS,
        "phi0": 0.6,
        "rival": {"rule": "kmeans", "parameters": {"clusters": 4}},
        "step": 1,
        "format": "json",
        "look": {"style": "sets"},
        "across": 2,
    }


def is_fine(reply: dict[str, Any]) -> None:
    """Whatever the reply: the page can read it, and an error in it is a plain sentence."""
    json.dumps(reply, allow_nan=False, ensure_ascii=False).encode()  # as gradio sends it
    if "error" not in reply:
        return
    sentence = reply["error"]
    assert isinstance(sentence, str)
    assert sentence.count(" ") >= 2
    assert sentence.endswith((".", "…."))
    assert len(sentence) < 400
    assert "The studio failed" not in sentence
    for trace in ("Traceback", 'File "', "Error(", "object at 0x", "/home", "site-packages"):
        assert trace not in sentence


@pytest.mark.parametrize("call", ["load", "progress", "recall", "gather", "preview", "map", "take"])
def test_a_hostile_argument_is_answered_with_a_sentence(studio: SmallStudio, call: str) -> None:
    before = sorted(studio.root.rglob("*"))
    for argument in HOSTILE:
        reply = studio.ask(call, argument)
        is_fine(reply)
        if call == "load" and argument in ({}, {"a": 1}):
            continue  # everything left out: the samples
        if isinstance(argument, dict) and call == "load":
            continue
        assert "error" in reply, argument
    assert sorted(studio.root.rglob("*")) == before
    studio.loader.close()


@pytest.mark.parametrize("call", ["gather", "preview", "map", "take"])
def test_a_hostile_field_is_answered_with_a_sentence(
    studio: SmallStudio, shown: dict[str, Any], call: str
) -> None:
    is_fine(studio.ask(call, shown))
    assert "error" not in studio.ask(call, shown)
    for field in shown:
        for value in HOSTILE:
            reply = studio.ask(call, {**shown, field: value})
            is_fine(reply)
            if field == "batch":
                assert reply["gone"] is True
        without = {name: value for name, value in shown.items() if name != field}
        is_fine(studio.ask(call, without))


@pytest.mark.parametrize("name", SETTINGS)
def test_a_hostile_setting_is_refused_by_its_field(
    studio: SmallStudio, shown: dict[str, Any], name: str
) -> None:
    for value in [*HOSTILE, "nan", 10**5]:
        reply = studio.ask("gather", {**shown, "settings": {**SETTINGS, name: value}})
        is_fine(reply)
        if "error" in reply:
            assert reply["field"] == name
        else:
            assert value in (0, 1.5, 5, -1)
    reply = studio.ask("gather", {**shown, "settings": {**SETTINGS, "\ud800": 1}})
    is_fine(reply)
    assert "error" in reply


@pytest.mark.parametrize("rule", [key for key in RULES if key != "ppap"])
def test_a_hostile_rival_leaves_ppap_s_sets_and_says_why(
    studio: SmallStudio, shown: dict[str, Any], rule: str
) -> None:
    parameters = {p.name for p in RULES[rule].parameters} | {"unknown", "rule", "settings"}
    for name in parameters:
        for value in HOSTILE:
            rival = {"rule": rule, "parameters": {name: value}}
            reply = studio.ask("gather", {**shown, "rival": rival})
            is_fine(reply)
            assert reply["view"]["steps"]
            if reply["rival"] is None:
                is_fine({"error": reply["rival_error"]})
    wrong = studio.ask("take", {**shown, "rival": {"rule": rule, "parameters": {"unknown": 1}}})
    assert "has no setting 'unknown'" in wrong["error"]


def test_more_of_anything_than_there_are_patches_is_refused_for_this_batch(
    studio: SmallStudio, shown: dict[str, Any]
) -> None:
    for rule, name in (("kmeans", "clusters"), ("knn", "k"), ("hp", "pool_size")):
        rival = {"rule": rule, "parameters": {name: 9999}}
        reply = studio.ask("gather", {**shown, "rival": rival})
        assert "for this batch" in reply["rival_error"]
        assert reply["rival"] is None


def test_a_fault_of_the_studio_is_told_without_its_details(
    studio: SmallStudio,
    shown: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail(*_: Any) -> None:
        raise ValueError("secret /srv/path")

    monkeypatch.setattr(explorer, "gather", fail)
    reply = studio.ask("gather", shown)
    assert reply["error"].startswith("The studio failed (ValueError).")
    assert "secret" not in reply["error"]
    assert "secret" in caplog.text


def test_hello_is_json_and_names_the_rules_and_ranges(studio: SmallStudio) -> None:
    hello = json.loads(json.dumps(studio.ask("hello", None), allow_nan=False))
    assert hello["sizes"] == [224, 320, 448, 640, 896]
    assert hello["max_images"] == 64
    assert [rule["key"] for rule in hello["rules"]] == [key for key in RULES if key != "ppap"]
    assert [r["name"] for r in hello["ranges"]] == list(SETTINGS)
    assert [preset["paper"] for preset in hello["presets"]] == [True] * 5 + [False]
    assert hello["default_preset"] == "embedded"
    assert hello["backbones"][0]["name"] == "embedded"
    assert hello["page"] != studio.ask("hello", None)["page"]


def test_the_backbone_of_the_command_line_is_in_the_list(tmp_path: Path) -> None:
    file = str(tmp_path / "private" / "mine.pth")
    for name, title in ((file, "mine.pth"), ("vit_tiny_patch16_224", "vit_tiny_patch16_224")):
        studio = SmallStudio(tmp_path / title, backbone=name)
        hello = studio.ask("hello", None)
        assert hello["backbones"][-1] == {"name": name, "title": title, "note": ""}
        assert hello["backbone"] == name


def test_the_first_thresholds_suit_the_backbone() -> None:
    assert server_module.preset_for("embedded", 16) == "embedded"
    assert server_module.preset_for("dino_vits8") == "coco_vits8"
    assert server_module.preset_for("dino_vits16") == "coco_vits16"
    assert server_module.preset_for("vit_small_patch8_224.dino", 8) == "coco_vits8"
    assert server_module.preset_for("dinov2_vits14", 14) == "coco_vits16"


def test_a_batch_is_described_once_it_is_loaded(studio: SmallStudio) -> None:
    reply = studio.load()
    is_fine(reply)
    assert reply["names"] == ("cheetah1", "lion", "cheetah", "china", "tower", "flower")
    assert reply["picture"] == f"studio/batch/{reply['batch']}.jpg"
    assert reply["atlas"] == [[224 * x, 224 * y] for y in (0, 1) for x in (0, 1, 2)]
    assert reply["atlas_patch"] == 32
    # The cheetah's muzzle, 0.55 down and 0.45 across 7 × 7 patches.
    assert reply["anchor"] == 3 * 7 + 3
    recalled = studio.ask("recall", reply["batch"])
    assert recalled == {**reply, "problems": []}
    uploads = studio.load(source="files", files=[studio.upload("a.png")])
    assert uploads["anchor"] == 24


def test_gather_answers_with_propagate_s_counts(studio: SmallStudio, shown: dict[str, Any]) -> None:
    reply = studio.ask("gather", shown)
    batch = studio.store.get(shown["batch"]).batch
    sets = propagate(batch.features, torch.tensor([24]), **SETTINGS)  # type: ignore[arg-type]
    for t, step in enumerate(reply["view"]["steps"]):
        parts = sets.at(t)
        assert step["positive"] == int(parts.positive.sum())
        assert step["ambiguous"] == int(parts.ambiguous.sum())
        assert step["negative"] == int(parts.negative.sum())
    assert reply["rival_error"] is None
    assert len(reply["rival"]["steps"]) == 1


@pytest.mark.parametrize("rule", [key for key in RULES if key != "ppap"])
def test_every_rival_answers_with_all_patches_in_one_set(
    studio: SmallStudio, shown: dict[str, Any], rule: str
) -> None:
    few = {"kmeans": {"clusters": 4}, "hp": {"pool_size": 9}}
    rival = {"rule": rule, "parameters": few.get(rule, {})}
    reply = studio.ask("gather", {**shown, "rival": rival})
    for step in reply["rival"]["steps"]:
        total = step["positive"] + step["ambiguous"] + step["negative"]
        assert total == 6 * 49 - 1


def test_no_rival_is_no_view(studio: SmallStudio, shown: dict[str, Any]) -> None:
    reply = studio.ask("gather", {**shown, "rival": None})
    assert (reply["rival"], reply["rival_error"]) == (None, None)


def test_what_a_rule_prepares_is_made_once_for_a_batch(
    studio: SmallStudio, shown: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[str] = []
    prepare = server_module.prepare

    def count(choice: Any, *rest: Any, **more: Any) -> Any:
        made.append(choice.rule)
        return prepare(choice, *rest, **more)

    monkeypatch.setattr(server_module, "prepare", count)

    def gather(rule: str, anchor: int, **parameters: float) -> None:
        rival = {"rule": rule, "parameters": parameters}
        reply = studio.ask("gather", {**shown, "anchor": anchor, "rival": rival})
        assert reply["rival_error"] is None

    for anchor in (1, 2):
        gather("kmeans", anchor, clusters=4)
        gather("hp", anchor, pool_size=9)
        gather("hp", anchor, pool_size=9, rho=0.5)  # the pool does not depend on it
    assert made == ["kmeans", "hp"]
    for k in range(1, 30):
        gather("knn", 1, k=k)
    assert made == ["kmeans", "hp"]
    gather("kmeans", 1, clusters=5)
    assert made == ["kmeans", "hp", "kmeans"]


def test_the_preview_is_the_first_positives(studio: SmallStudio, shown: dict[str, Any]) -> None:
    reply = studio.ask("preview", shown)
    batch = studio.store.get(shown["batch"]).batch
    first = propagate(batch.features, torch.tensor([24]), phi0=0.6, steps=0).positive[0]
    packed = base64.b64decode(reply["codes"])
    codes = [byte >> shift & 3 for byte in packed for shift in (0, 2, 4, 6)][: len(first)]
    assert [code == explorer.POSITIVE for code in codes] == first.tolist()
    assert codes[24] == explorer.ANCHOR
    assert reply["count"] == int(first.sum())


def points_of(reply: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(reply["xy"]), "<f4").reshape(-1, 2)


def test_the_map_is_pca_first_and_umap_when_it_is_ready(
    studio: SmallStudio, shown: dict[str, Any]
) -> None:
    batch = studio.store.get(shown["batch"]).batch
    first = studio.ask("map", {**shown, "have": None})
    assert (first["version"], first["finished"], first["share"]) == ("pca", False, 0.0)
    np.testing.assert_allclose(points_of(first), pca_map(batch.features.numpy()), atol=1e-6)
    assert "A PCA map is shown until then" in first["text"]
    studio.maps.said = MapStatus("fitting", 0.4, 3.0)
    second = studio.ask("map", {**shown, "have": "pca"})
    assert (second["share"], second["xy"]) == (0.4, None)
    studio.maps.said = MapStatus("ready", 1.0, 5.0)
    studio.maps.points = np.arange(2 * len(batch.features), dtype=np.float32).reshape(-1, 2)
    third = studio.ask("map", {**shown, "have": "pca"})
    assert (third["version"], third["finished"], third["share"]) == ("umap", True, None)
    np.testing.assert_array_equal(points_of(third), studio.maps.points)
    assert studio.ask("map", {**shown, "have": "umap"})["xy"] is None


def test_the_map_says_what_umap_could_not_do(studio: SmallStudio, shown: dict[str, Any]) -> None:
    note = "UMAP needs more than 15 patches with different features."
    studio.maps.said = MapStatus("ready", 1.0, note=note)
    studio.maps.points = np.zeros((294, 2), np.float32)
    assert studio.ask("map", {**shown, "have": None})["text"] == note


def test_a_map_that_failed_is_tried_again_only_when_a_page_asks_anew(
    studio: SmallStudio, shown: dict[str, Any]
) -> None:
    studio.maps.said = MapStatus("failed", error="It ran out of memory.")
    reply = studio.ask("map", {**shown, "have": "pca"})
    assert reply["finished"] is True
    assert "It ran out of memory." in reply["text"]
    assert studio.maps.submitted == []
    assert studio.ask("map", {**shown, "have": None})["finished"] is False
    assert studio.maps.submitted == [shown["batch"]]


def test_what_is_taken_away_is_the_file_as_base64(
    studio: SmallStudio, shown: dict[str, Any]
) -> None:
    reply = studio.ask("take", {**shown, "format": "png", "across": 3})
    assert reply["name"] == "ppap-0-3-3-step1.png"
    with Image.open(io.BytesIO(base64.b64decode(reply["data"]))) as image:
        wide = image.size
    taken = studio.ask("take", {**shown, "format": "png", "across": 1})
    with Image.open(io.BytesIO(base64.b64decode(taken["data"]))) as image:
        assert image.height / image.width > wide[1] / wide[0]


def test_hidden_positives_of_a_single_image_are_refused(
    studio: SmallStudio, shown: dict[str, Any]
) -> None:
    batch = studio.load(source="files", files=[studio.upload("one.png")])["batch"]
    rival = {"rule": "hp", "parameters": {"pool_size": 9}}
    reply = studio.ask("gather", {**shown, "batch": batch, "rival": rival})
    assert "at least two images" in reply["rival_error"]
    assert reply["view"]["steps"]


def test_step_minus_one_is_the_last(studio: SmallStudio, shown: dict[str, Any]) -> None:
    assert studio.ask("take", {**shown, "step": -1})["name"] == "ppap-0-3-3-step2.json"


@pytest.mark.parametrize("step", [-2, 3, 1.0, True, None, "1", math.nan, 10**400])
def test_a_step_that_is_not_there_is_refused(
    studio: SmallStudio, shown: dict[str, Any], step: Any
) -> None:
    reply = studio.ask("take", {**shown, "step": step})
    assert reply["error"] == (
        "The step must be a whole number from 0 to 2, or −1 for the last one."
    )


def test_the_picture_of_a_batch_is_a_jpeg_made_once(studio: SmallStudio) -> None:
    held = studio.store.get(studio.load()["batch"])
    data = studio.server.picture(held).data
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size) == ("JPEG", (3 * 224, 2 * 224))
    assert studio.server.picture(held).data is data
