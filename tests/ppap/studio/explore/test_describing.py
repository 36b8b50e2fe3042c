"""Components, lengths, clusters and attention: the page's answers are the library's numbers."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.backbones.attention import last_attention
from ppap.inspection.clusters import clusters
from ppap.inspection.components import components, likely_background
from ppap.inspection.lengths import outliers
from ppap.studio import networks
from ppap.studio.explore import describing
from ppap.studio.explore.inspecting import border
from ppap.studio.explore.looks.scales import cividis
from ppap.studio.store import Held
from tests.ppap.studio.explore.test_server import HOSTILE, is_fine
from tests.support.foreign_weights import as_timm, plain
from tests.support.small_studio import SmallStudio, load_tiny

KINDS = ("components", "lengths", "clusters", "attention")


@pytest.fixture(autouse=True)
def _tiny_backbone(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    if "vit" not in request.fixturenames:
        monkeypatch.setattr(networks, "load_backbone", load_tiny)


@pytest.fixture
def studio(tmp_path: Path) -> SmallStudio:
    return SmallStudio(tmp_path)


@pytest.fixture
def held(studio: SmallStudio) -> Held:
    """The sample photos, seen by the tiny backbone: 49 patches each."""
    return studio.store.get(studio.load(source="samples")["batch"])


@pytest.fixture
def vit(studio: SmallStudio) -> Held:
    """The sample photos, seen by a random ViT of a file: 14 × 14 patches each."""
    file = studio.offered / "vit.pth"
    torch.save(as_timm(plain()), file)
    loaded = studio.load(source="samples", backbone="checkpoint", checkpoint=str(file))
    assert loaded["attends"] == {"heads": 2, "class_token": True, "reason": ""}
    return studio.store.get(loaded["batch"])


def describe(studio: SmallStudio, held: Held, what: Any, **more: Any) -> dict[str, Any]:
    return studio.ask("describe", {"batch": held.key, "what": what, **more})


def unpacked(text: str, kind: str = "u1") -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), kind)


def place(held: Held, patch: int) -> list[float]:
    """Where a patch's middle is, as the page says it."""
    image, row, column = held.batch.position(patch)
    rows, columns = held.batch.grids[image]
    return [image, (row + 0.5) / rows, (column + 0.5) / columns]


@pytest.mark.parametrize("background", [None, 0, 33, "auto"])
def test_components_are_the_library_s(
    studio: SmallStudio, held: Held, background: int | str | None
) -> None:
    f = held.batch.features
    given: Any = place(held, background) if isinstance(background, int) else background
    reply = describe(studio, held, "components", background=given)
    patch = likely_background(f, border(held.batch)) if background == "auto" else background
    assert patch is None or isinstance(patch, int)
    expected = components(f, background=patch)
    assert (unpacked(reply["rgb"]).reshape(-1, 3) == expected.rgb).all()
    assert (unpacked(reply["foreground"]) == expected.foreground).all()
    assert reply["explained"] == pytest.approx(expected.projection.explained)
    where = None if patch is None else list(held.batch.position(patch))
    assert reply["background"] == where


def test_patches_at_the_edge_of_their_image_are_known(held: Held) -> None:
    edge = held.batch.by_image(border(held.batch))
    assert [int(one.sum()) for one in edge] == [24] * len(held.batch)
    assert not edge[1][1:-1, 1:-1].any()


def test_lengths_are_those_before_the_features_were_normalised(
    studio: SmallStudio, held: Held
) -> None:
    assert held.batch.norms is not None
    lengths = held.batch.norms.numpy()
    reply = describe(studio, held, "lengths")
    assert (unpacked(reply["lengths"], "<f4") == lengths).all()
    expected = outliers(lengths)
    assert reply["outliers"] == expected.patches.tolist()
    assert reply["threshold"] == pytest.approx(expected.threshold)
    assert [reply["low"], reply["high"]] == pytest.approx(np.percentile(lengths, (1, 99)))


def test_features_of_unknown_length_are_refused(studio: SmallStudio, held: Held) -> None:
    bare = studio.store.add(replace(held.batch, norms=None), held.recipe)
    assert "lengths of these features are not known" in describe(studio, bare, "lengths")["error"]


def test_clusters_are_the_library_s(studio: SmallStudio, held: Held) -> None:
    reply = describe(studio, held, "clusters", count=5)
    expected = clusters(held.batch.features, 5)
    assert (unpacked(reply["labels"]) == expected.labels).all()
    assert reply["sizes"] == expected.sizes.tolist()
    assert len({tuple(colour) for colour in reply["colours"]}) == 5


@pytest.mark.parametrize("count", [1, 65, 0, -3, 10**9, 10**400])
def test_so_many_clusters_are_refused_by_their_field(
    studio: SmallStudio, held: Held, count: int
) -> None:
    reply = describe(studio, held, "clusters", count=count)
    assert reply["field"] == "count"
    assert reply["error"].startswith("There can be 2 to 64 clusters, not ")


@pytest.mark.parametrize("head", [None, 1])
def test_attention_of_the_class_token_is_of_all_images(
    studio: SmallStudio, vit: Held, head: int | None
) -> None:
    reply = describe(studio, vit, "attention", **{"from": "class", "head": head})
    network = studio.loader.backbone_of(vit)
    pixels = torch.from_numpy(np.stack(vit.batch.images)).permute(0, 3, 1, 2).float() / 255
    found = last_attention(network, network.trunk(pixels))
    chosen = found.patches.mean(1) if head is None else found.patches[:, head]
    values = chosen.reshape(-1).numpy() * 196  # 1 where all patches share it evenly
    assert reply["most"] == pytest.approx(np.percentile(values, 99.5), rel=1e-4)
    levels = np.clip(values / reply["most"], 0, 1) * 255
    assert np.abs(unpacked(reply["levels"]) - levels).max() <= 0.51
    assert unpacked(reply["shown"]).all()
    rest = found.prefix.sum(2).mean(0)
    share = 1 - float(rest.mean() if head is None else rest[head])
    assert reply["on_patches"] == pytest.approx(share, abs=1e-5)


def test_attention_of_many_images_comes_bit_by_bit(
    studio: SmallStudio, vit: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(describing, "SECONDS", -1.0)  # one image for each answer
    left = []
    for image in range(6):
        reply = describe(studio, vit, "attention", **{"from": "class"})
        left.append(reply["left"])
        shown = unpacked(reply["shown"])
        assert (shown == (np.arange(6 * 196) < 196 * (image + 1))).all()
        assert unpacked(reply["levels"])[shown == 0].max(initial=0) == 0
    assert left == [5, 4, 3, 2, 1, 0]
    whole = studio.store.add(vit.batch, vit.recipe)
    monkeypatch.setattr(describing, "SECONDS", 60.0)
    at_once = describe(studio, whole, "attention", **{"from": "class"})
    assert at_once == describe(studio, vit, "attention", **{"from": "class"})


def test_attention_of_the_anchor_stays_within_its_image(studio: SmallStudio, vit: Held) -> None:
    anchor = vit.batch.index(2, 3, 5)
    network = studio.loader.backbone_of(vit)
    image = torch.from_numpy(vit.batch.images[2]).permute(2, 0, 1)[None].float() / 255
    expected = last_attention(network, network.trunk(image), 3 * 14 + 5).patches[0, 0].reshape(-1)
    for again in range(2):  # the second time from what was kept
        found = studio.server.inspector.attention(vit, anchor + again)
        assert (found.shown == (np.arange(6 * 196) // 196 == 2)).all()
        assert found.heads.shape == (2, 196)
        if not again:
            assert found.heads[0] == pytest.approx(expected.numpy(), abs=1e-6)
    reply = describe(studio, vit, "attention", **{"from": "anchor", "anchor": anchor, "head": 0})
    assert unpacked(reply["shown"]).sum() == 196


def test_without_a_vit_there_is_no_attention_and_it_says_why(
    studio: SmallStudio, held: Held
) -> None:
    reply = describe(studio, held, "attention", **{"from": "class"})
    assert reply["error"] == "Tiny is not a ViT, so it has no attention."
    bare = studio.store.add(replace(held.batch, attends=None), held.recipe)
    said = describe(studio, bare, "attention", **{"from": "class"})["error"]
    assert said.startswith("These features came without their network")


def test_a_vit_without_a_class_token_looks_from_the_anchor_only(
    studio: SmallStudio, vit: Held
) -> None:
    assert vit.batch.attends is not None
    attends = vit.batch.attends._replace(class_token=False)
    bare = studio.store.add(replace(vit.batch, attends=attends), vit.recipe)
    reply = describe(studio, bare, "attention", **{"from": "class"})
    assert (reply["field"], reply["error"][:28]) == ("from", "This ViT has no class token.")
    assert "levels" in describe(studio, bare, "attention", **{"from": "anchor", "anchor": 7})


@pytest.mark.parametrize(
    ("what", "field"),
    [
        ("components", "background"),
        ("clusters", "count"),
        ("attention", "from"),
        ("attention", "anchor"),
        ("attention", "head"),
        ("lengths", "what"),
        ("lengths", "batch"),
    ],
)
def test_a_hostile_field_is_answered_with_a_sentence(
    studio: SmallStudio, vit: Held, what: str, field: str
) -> None:
    usual = {"batch": vit.key, "what": what, "from": "anchor", "anchor": 3, "count": 2}
    assert "error" not in studio.ask("describe", usual)
    for value in [*HOSTILE, [0, 2, 0.5], [99, 0.5, 0.5], [0, -0.1, 0.5], [0, "1", 0]]:
        is_fine(studio.ask("describe", {**usual, field: value}))
    for argument in HOSTILE:
        is_fine(studio.ask("describe", argument))


def test_answers_are_kept(studio: SmallStudio, held: Held, monkeypatch: pytest.MonkeyPatch) -> None:
    first = [describe(studio, held, what, count=3) for what in KINDS[:3]]
    for name in ("components", "clusters", "outliers"):
        monkeypatch.delattr(f"ppap.studio.explore.inspecting.{name}")
    assert [describe(studio, held, what, count=3) for what in KINDS[:3]] == first


@pytest.mark.parametrize(
    ("style", "options"),
    [
        ("components", {"background": None}),
        ("components", {"background": "auto"}),
        ("clusters", {"count": 3}),
        ("lengths", {}),
        ("attention", {"head": None, "from": "class"}),
        ("attention", {"head": 1, "from": "anchor"}),
    ],
)
def test_a_file_has_the_colours_that_the_page_draws(
    studio: SmallStudio, vit: Held, style: str, options: dict[str, Any]
) -> None:
    """At full opacity every patch has the very colour that the page works out of its answer."""
    anchor = vit.batch.index(0, 5, 5)
    settings = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 0}
    look = {"style": style, "opacity": 1, "options": options}
    request = {"batch": vit.key, "anchor": anchor, "settings": settings, "look": look, "step": 0}
    taken = studio.ask("take", {**request, "format": "png", "across": 3})
    assert "error" not in taken, taken
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(taken["data"]))).convert("RGB"))
    height, width, _ = picture.shape
    tile = (width - 2 * 12 - 2 * 6) // 3
    reply = describe(studio, vit, style, anchor=anchor, **options)
    wanted = page_colours(style, reply)
    grey = np.stack(vit.batch.images) @ [0.3, 0.59, 0.11]
    for patch in range(0, len(wanted), 13):
        image, row, column = vit.batch.position(patch)
        if patch == anchor or patch in reply.get("outliers", []):
            continue
        x = 12 + image % 3 * (tile + 6) + int((column + 0.5) * tile / 14)
        y = height - 12 - (2 - image // 3) * tile - (1 - image // 3) * 6
        got = picture[y + int((row + 0.5) * tile / 14), x]
        if wanted[patch] is not None:
            assert (got == wanted[patch]).all(), (patch, got, wanted[patch])
        else:  # an image that attention is not of: grey, and nothing upon it
            assert got.min() == got.max()
            near = grey[image][row * 16 : row * 16 + 16, column * 16 : column * 16 + 16]
            assert near.min() - 25 <= got[0] <= near.max() + 25


def test_options_chosen_for_another_vit_fall_back_as_on_the_page(
    studio: SmallStudio, vit: Held
) -> None:
    assert vit.batch.attends is not None
    attends = vit.batch.attends._replace(class_token=False)
    bare = studio.store.add(replace(vit.batch, attends=attends), vit.recipe)
    settings = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 0}

    def taken(held: Held, **options: Any) -> dict[str, Any]:
        look = {"style": "attention", "options": options}
        request = {"batch": held.key, "anchor": 3, "settings": settings, "look": look, "step": 0}
        return studio.ask("take", {**request, "format": "png"})

    assert taken(vit, head=99) == taken(vit, head=-1) == taken(vit)
    assert taken(vit, head=1)["data"] != taken(vit)["data"]
    assert taken(bare, **{"from": "class"})["data"] == taken(bare, **{"from": "anchor"})["data"]


def page_colours(style: str, reply: dict[str, Any]) -> list[Any]:
    """What assets/studio/explore/styles makes of an answer: a colour for every patch, or None."""
    if style == "components":
        return list(unpacked(reply["rgb"]).reshape(-1, 3))
    if style == "clusters":
        return [reply["colours"][one] for one in unpacked(reply["labels"])]
    if style == "lengths":
        lengths = unpacked(reply["lengths"], "<f4").astype(float)
        return list(cividis((lengths - reply["low"]) / (reply["high"] - reply["low"])))
    colours = cividis(unpacked(reply["levels"]) / 255)
    shown = unpacked(reply["shown"])
    return [colour if one else None for colour, one in zip(colours, shown, strict=True)]
