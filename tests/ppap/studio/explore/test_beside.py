"""Two sets of features side by side: what the page and its files get."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
import pytest
import torch
from PIL import Image

from ppap.batches import Batch
from ppap.embedding.layout import turn_towards
from ppap.embedding.service import MapStatus, pca_map
from ppap.places import ASSETS
from ppap.propagation import propagate
from ppap.studio import costs, networks
from ppap.studio.access.visitor import Visitor, asking
from ppap.studio.explore import beside, exports, views
from ppap.studio.explore.beside_endpoints import BesideEndpoints
from ppap.studio.explore.looks import difference
from ppap.studio.explore.looks.base import blank
from ppap.studio.explore.looks.registry import STYLES
from ppap.studio.explore.maps import Maps
from ppap.studio.requests import RequestError
from tests.support.small_studio import SmallStudio, draw, load_tiny, small_batch

SETTINGS: dict[str, Any] = {"phi0": 0.6, "psi0": 0.3, "sigma_pos": 3, "sigma_amb": 4, "steps": 2}
OTHERS: dict[str, Any] = {"phi0": 0.9, "psi0": 0.2, "sigma_pos": 2, "sigma_amb": 2, "steps": 3}


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SmallStudio:
    monkeypatch.setattr(networks, "load_backbone", load_tiny)
    return SmallStudio(tmp_path)


@pytest.fixture
def two(studio: SmallStudio) -> dict[str, Any]:
    """A request for two sets of features with 7 × 7 and 16 × 16 patches of the same photos."""
    first = studio.load()["batch"]
    second = studio.load(backbone="tiny14")["batch"]
    return {
        "batch": first,
        "anchor": 24,
        "settings": SETTINGS,
        "beside": {"batch": second, "settings": OTHERS},
    }


def codes_of(reply: dict[str, Any], patches: int) -> np.ndarray:
    packed = np.frombuffer(base64.b64decode(reply["codes"]), np.uint8)
    codes = np.stack([packed >> shift & 3 for shift in (0, 2, 4, 6)], 1).reshape(-1)
    return codes[: patches * len(reply["steps"])].reshape(-1, patches)


def library(batch: Batch, anchor: int, settings: dict[str, Any]) -> np.ndarray:
    """uint8 ``(T+1, N)``: 0 negative, 1 ambiguous, 2 positive, 3 the anchor."""
    sets = propagate(batch.features, torch.tensor([anchor]), **settings)
    steps = []
    for t in range(sets.steps + 1):
        parts = sets.at(t)
        steps.append(parts.ambiguous[0].numpy() * 1 + parts.positive[0].numpy() * 2)
        steps[-1][anchor] = 3
    return np.stack(steps)


def share(batch: Batch, patch: int) -> tuple[int, float, float]:
    """The image and the middle of a patch as shares of its height and width."""
    image, row, column = batch.position(patch)
    rows, columns = batch.grids[image]
    return image, (row + 0.5) / rows, (column + 0.5) / columns


# --- which patch holds which middle


def test_a_middle_lies_in_the_patch_it_is_paired_with(
    studio: SmallStudio, two: dict[str, Any]
) -> None:
    first = studio.store.get(two["batch"])
    second = studio.store.get(two["beside"]["batch"])
    pairing = beside.paired(first, second)
    assert pairing.second.shape == (6 * 49,)
    assert pairing.first.shape == (6 * 256,)
    for here, there, partners in (
        (first.batch, second.batch, pairing.second),
        (second.batch, first.batch, pairing.first),
    ):
        for patch, partner in enumerate(partners.tolist()):
            image, down, across = share(here, patch)
            other, row, column = there.position(partner)
            rows, columns = there.grids[other]
            assert other == image
            assert row <= down * rows + 1e-9 < row + 1
            assert column <= across * columns + 1e-9 < column + 1


def test_equal_grids_are_paired_patch_by_patch() -> None:
    batch = small_batch()
    assert beside.holding(batch, batch).tolist() == list(range(48))


def test_other_images_are_refused_and_the_first_view_stays(
    studio: SmallStudio, two: dict[str, Any]
) -> None:
    other = studio.load(source="files", files=[studio.upload("one.png")])["batch"]
    reply = studio.ask("gather", {**two, "beside": {"batch": other, "settings": OTHERS}})
    assert reply["view"]["steps"]
    assert reply["beside"] is None
    assert "same images" in reply["beside_refused"]["error"]
    taken = studio.ask("take", {**two, "beside": {"batch": other, "settings": OTHERS}})
    assert "error" in taken


def test_images_of_the_same_names_but_other_pixels_are_refused(studio: SmallStudio) -> None:
    batches = []
    for seed in (1, 2):
        draw(studio.offered / "set" / "a.png", seed)
        folder = str(studio.offered / "set")
        batches.append(studio.load(source="folder", folder=folder, count=1)["batch"])
    request = {"batch": batches[0], "anchor": 0, "settings": SETTINGS}
    request["beside"] = {"batch": batches[1], "settings": SETTINGS}
    assert "same images" in studio.ask("gather", request)["beside_refused"]["error"]


def test_patches_that_resize_the_images_are_taken_for_the_same(studio: SmallStudio) -> None:
    first = studio.store.get(studio.load(size=320)["batch"])
    second = studio.store.get(studio.load(size=320, backbone="tiny14")["batch"])
    assert first.batch.images[0].shape != second.batch.images[0].shape
    assert beside.same_images(first, second)
    assert not beside.alike(np.zeros((100, 200, 3)), np.zeros((100, 100, 3)), 30)


@pytest.mark.parametrize("images", [6, 5])
def test_features_of_one_s_own_stand_beside_as_many_images(
    studio: SmallStudio, images: int
) -> None:
    first = studio.load()["batch"]
    features = np.random.default_rng(0).normal(size=(images, 14, 14, 8)).astype(np.float32)
    np.savez(studio.offered / "own.npz", features=features)
    second = studio.load(source="npz", npz=str(studio.offered / "own.npz"), backbone="npz")
    request = {"batch": first, "anchor": 24, "settings": SETTINGS}
    request["beside"] = {"batch": second["batch"], "settings": OTHERS}
    reply = studio.ask("gather", request)
    if images == 5:
        assert "same images" in reply["beside_refused"]["error"]
        return
    assert reply["beside"]["anchor"] == 7 * 14 + 7
    own = torch.nn.functional.normalize(torch.from_numpy(features.reshape(-1, 8)), dim=1)
    sets = propagate(own, torch.tensor([105]), **OTHERS)
    found = codes_of(reply["beside"]["view"], 6 * 196)[-1]
    assert (found == 2).tolist() == sets.at(3).positive[0].tolist()


# --- one click, two sets


def test_both_sets_are_those_of_the_library(studio: SmallStudio, two: dict[str, Any]) -> None:
    reply = studio.ask("gather", two)
    first = studio.store.get(two["batch"]).batch
    second = studio.store.get(two["beside"]["batch"]).batch
    # Row 3 of 7 and column 3 of 7: the middle of the image, which opens row 8 of 16.
    assert reply["beside"]["anchor"] == second.index(0, 8, 8)
    expected = library(second, second.index(0, 8, 8), OTHERS)
    assert codes_of(reply["beside"]["view"], 6 * 256).tolist() == expected.tolist()
    assert codes_of(reply["view"], 6 * 49).tolist() == library(first, 24, SETTINGS).tolist()
    assert len(reply["beside"]["view"]["steps"]) == 4
    assert (reply["rival"], reply["beside_refused"]) == (None, None)


def test_the_same_features_under_other_settings(studio: SmallStudio, two: dict[str, Any]) -> None:
    reply = studio.ask("gather", {**two, "beside": {"batch": two["batch"], "settings": OTHERS}})
    first = studio.store.get(two["batch"]).batch
    assert reply["beside"]["anchor"] == 24
    found = codes_of(reply["beside"]["view"], 6 * 49)
    assert found.tolist() == library(first, 24, OTHERS).tolist()


def test_a_batch_of_somebody_else_is_not_shown(studio: SmallStudio, two: dict[str, Any]) -> None:
    with asking(Visitor(user="anna")):
        private = studio.store.add(
            studio.store.get(two["beside"]["batch"]).batch, {"source": "files"}
        )
    request = {**two, "beside": {"batch": private.key, "settings": OTHERS}}
    with asking(Visitor(user="anna")):
        assert studio.ask("gather", request)["beside"]
    for who in (Visitor(user="bert"), Visitor()):
        with asking(who):
            reply = studio.ask("gather", request)
            assert reply["beside"] is None
            assert reply["beside_refused"]["gone"] is True
            assert reply["view"]["steps"]
            assert studio.ask("map_beside", {**request, "beside": private.key})["gone"] is True
            assert (
                "no longer in memory" in studio.ask("take", {**request, "format": "json"})["error"]
            )


@pytest.mark.parametrize(
    "wrong",
    [
        True,
        1,
        "x",
        [1],
        {"batch": None},
        {"batch": ["a"]},
        {"settings": None},
        {"settings": {"phi0": float("nan")}},
        {"settings": {**OTHERS, "steps": 10**9}},
        {"settings": {**OTHERS, "phi0": "high"}},
    ],
)
def test_nonsense_beside_is_answered_with_a_sentence(
    studio: SmallStudio, two: dict[str, Any], wrong: Any
) -> None:
    raw = {**two["beside"], **wrong} if isinstance(wrong, dict) else wrong
    reply = studio.ask("gather", {**two, "beside": raw})
    sentence = reply["beside_refused"]["error"]
    assert sentence.endswith(".")
    assert "The studio failed" not in sentence
    json.dumps(reply, allow_nan=False)


def test_a_rule_and_other_features_at_once_are_refused(
    studio: SmallStudio, two: dict[str, Any]
) -> None:
    reply = studio.ask("gather", {**two, "rival": {"rule": "baseline", "parameters": {}}})
    assert "not both" in reply["error"]


# --- what changes


def test_the_difference_of_codes() -> None:
    # negative, ambiguous, positive, anchor against each of them
    first = np.repeat(np.arange(4, dtype=np.uint8), 4)
    second = np.tile(np.arange(4, dtype=np.uint8), 4)
    found = beside.change(first, second).reshape(4, 4).tolist()
    same, gained, lost, kept = beside.SAME, beside.GAINED, beside.LOST, beside.KEPT
    assert found == [
        [same, same, gained, same],
        [same, same, gained, same],
        [lost, lost, kept, same],
        [same, same, same, same],
    ]


def test_the_last_step_stands_beside_the_last() -> None:
    batch = small_batch()
    short = views.gather(batch, 0, beside.read_settings({**SETTINGS, "steps": 1}))
    long = views.gather(batch, 0, beside.read_settings({**SETTINGS, "steps": 3}))
    assert [beside.step_beside(t, short, long) for t in range(2)] == [0, 3]
    assert [beside.step_beside(t, long, short) for t in range(4)] == [0, 1, 1, 1]


def expected_change(studio: SmallStudio, two: dict[str, Any]) -> np.ndarray:
    """Codes of the difference at the last step on the first grid, by the library alone."""
    first = studio.store.get(two["batch"]).batch
    second = studio.store.get(two["beside"]["batch"]).batch
    before = library(first, 24, SETTINGS)[-1]
    after = library(second, second.index(0, 8, 8), OTHERS)[-1]
    out = np.zeros(len(before), int)
    for patch in range(len(before)):
        image, down, across = share(first, patch)
        partner = second.index(image, int(down * 16 + 1e-9), int(across * 16 + 1e-9))
        was, now = before[patch], after[partner]
        if 3 in (was, now):
            continue
        out[patch] = {(False, True): 1, (True, False): 2, (True, True): 3}.get(
            (was == 2, now == 2), 0
        )
    return out


def test_json_has_both_and_their_difference(studio: SmallStudio, two: dict[str, Any]) -> None:
    found = json.loads(studio.server.file({**two, "format": "json", "step": -1}).data)
    second = studio.store.get(two["beside"]["batch"]).batch
    assert found["batch"]["backbone"] == "embedded"
    assert found["beside"]["batch"]["backbone"] == "tiny14"
    assert found["beside"]["anchor"]["index"] == second.index(0, 8, 8)
    assert found["beside"]["rules"][0]["settings"] == OTHERS
    assert [(one["step"], one["step_beside"]) for one in found["differences"]] == [
        (0, 0),
        (1, 1),
        (2, 3),
    ]
    expected = expected_change(studio, two)
    last = found["differences"][-1]
    for code, name in ((1, "gained"), (2, "lost"), (3, "kept")):
        assert last[f"{name}_patches"] == np.flatnonzero(expected == code).tolist()
        assert last[name] == int((expected == code).sum())
        labels = studio.store.get(two["batch"]).batch.labels
        assert labels is not None
        classes = labels[torch.from_numpy(expected == code)]
        assert last[f"{name}_right"] == int((classes == labels[24]).sum())
        assert last[f"{name}_labelled"] == int((classes >= 0).sum())
    assert {1, 2} & set(expected.tolist()), "nothing changes: this test shows nothing"


def test_with_labels_it_says_how_many_are_right() -> None:
    labels = torch.tensor([1, 1, 0, -1, 1])
    members = np.array([False, True, True, True, True])
    assert beside.right_of(members, labels, 0) == (2, 3)
    assert beside.right_of(members, labels, 3) is None
    assert beside.right_of(members, None, 0) is None


def test_npz_has_both_and_their_difference(studio: SmallStudio, two: dict[str, Any]) -> None:
    data = studio.server.file({**two, "format": "npz", "step": 0}).data
    second = studio.store.get(two["beside"]["batch"]).batch
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        assert arrays["difference"].shape == (3, 6 * 49)
        assert arrays["difference"][-1].tolist() == expected_change(studio, two).tolist()
        assert arrays["beside_grid"].tolist() == [[16, 16]] * 6
        assert arrays["beside_patch"][24] == second.index(0, 8, 8)
        after = library(second, second.index(0, 8, 8), OTHERS)
        assert arrays["beside_ppap_positive"].tolist() == (after == 2).tolist()


def words_of(svg: str) -> str:
    """All captions of a picture, without their line breaks."""
    return " ".join(re.findall(r"<text [^>]*>([^<]*)</text>", svg))


@pytest.mark.parametrize("style", ["sets", "difference"])
def test_pictures_show_both(studio: SmallStudio, two: dict[str, Any], style: str) -> None:
    look = {"style": style, "opacity": 1}
    request = {**two, "step": -1, "look": look, "across": 3}
    alone = studio.server.file({**request, "beside": None, "format": "png"}).data
    pair = studio.server.file({**request, "format": "png"}).data
    with Image.open(io.BytesIO(alone)) as one, Image.open(io.BytesIO(pair)) as both:
        assert both.width > 1.9 * one.width
    svg = studio.server.file({**request, "format": "svg"}).data.decode()
    assert svg.count("<svg") == svg.count("</svg>") == 3
    assert svg.count("pink frame") == 2
    if style == "difference":
        expected = expected_change(studio, two)
        for code, words in ((1, "turquoise: gained"), (2, "red: lost")):
            assert f"{words} ({(expected == code).sum()}, " in words_of(svg)
        for code, colour in ((1, "#40e0c4"), (2, "#c43412")):
            assert (f'fill="{colour}"' in svg) == (code in expected)


def test_the_difference_to_a_rule_is_drawn_too(studio: SmallStudio, two: dict[str, Any]) -> None:
    request = {**two, "beside": None, "rival": {"rule": "knn", "parameters": {"k": 20}}}
    look = {"style": "difference"}
    svg = studio.server.file({**request, "step": -1, "look": look, "format": "svg"}).data.decode()
    assert "turquoise: gained (" in words_of(svg)


def test_the_page_draws_the_difference_in_the_same_colours() -> None:
    scripts = ASSETS / "studio" / "explore"
    rows = re.findall(
        r"\[(GAINED|LOST|KEPT), \"[^\"]+\", \[(\d+), (\d+), (\d+)\], ([\d.]+)\]",
        (scripts / "styles" / "difference.js").read_text(),
    )
    found = {getattr(difference, name): (*map(int, rgb), float(fill)) for name, *rgb, fill in rows}
    assert found == {
        code: (*colour, difference.FILL[code]) for code, colour in difference.COLOURS.items()
    }
    codes = re.findall(
        r"export const (GAINED|LOST|KEPT) = (\d);", (scripts / "difference.js").read_text()
    )
    assert {name: int(code) for name, code in codes} == {"GAINED": 1, "LOST": 2, "KEPT": 3}
    assert (beside.GAINED, beside.LOST, beside.KEPT) == (1, 2, 3)


def test_nothing_to_compare_with_draws_nothing(studio: SmallStudio, two: dict[str, Any]) -> None:
    request = {**two, "beside": None, "step": -1, "look": {"style": "difference"}}
    svg = studio.server.file({**request, "format": "svg"}).data.decode()
    assert "turquoise" not in svg
    assert 'fill="#40e0c4"' not in svg


@pytest.mark.parametrize("same", [True, False])
def test_the_lines_of_python_compute_both(
    studio: SmallStudio,
    two: dict[str, Any],
    same: bool,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("ppap.backbones.load_backbone", load_tiny)
    if same:
        two["beside"]["batch"] = two["batch"]
    request = {**two, "step": -1}
    code = studio.server.file({**request, "format": "py"}).data.decode()
    exec(compile(code, "beside.py", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    found = json.loads(studio.server.file({**request, "format": "json"}).data)
    for line, one in zip(printed, (found, found["beside"]), strict=False):
        last = one["rules"][0]["steps"][-1]
        assert line == f"{last['positive']} {last['ambiguous']} {last['negative']}"
    last = found["differences"][-1]
    assert printed[2:] == ([f"{last['gained']} gained, {last['lost']} lost"] if same else [])
    assert code.count("import torch") == 1
    assert code.count("load_backbone(") == (1 if same else 2)


# --- maps


class KeyedMaps:
    """Maps that are ready when the test says so, with where each was told to start."""

    def __init__(self) -> None:
        self.started: dict[str, np.ndarray | None] = {}
        self.points: dict[str, np.ndarray] = {}

    def submit(self, key: str, features: np.ndarray, start: np.ndarray | None = None) -> None:
        self.started[key] = start

    def status(self, key: str) -> MapStatus:
        if key in self.points:
            return MapStatus("ready", 1.0)
        return MapStatus("fitting", 0.25) if key in self.started else MapStatus("unknown")

    def result(self, key: str) -> np.ndarray | None:
        return self.points.get(key)


def points_of(reply: dict[str, Any]) -> np.ndarray:
    return np.frombuffer(base64.b64decode(reply["xy"]), "<f4").reshape(-1, 2)


def test_the_second_map_waits_for_the_first_and_starts_from_it(
    studio: SmallStudio, two: dict[str, Any]
) -> None:
    service = KeyedMaps()
    maps = Maps(studio.store, service)  # type: ignore[arg-type]
    first, second = studio.store.get(two["batch"]), studio.store.get(two["beside"]["batch"])
    request = {"batch": first.key, "beside": second.key}
    reply = maps.map_beside({**request, "have": None})
    partners = beside.paired(first, second).first
    stand_in = pca_map(first.batch.features.numpy())[partners]
    expected = turn_towards(pca_map(second.batch.features.numpy()), stand_in - stand_in.mean(0))
    np.testing.assert_allclose(points_of(reply), expected, atol=1e-4)
    assert (reply["version"], reply["finished"]) == ("pca", False)
    assert list(service.started) == [first.key]
    places = np.random.default_rng(0).normal(size=(6 * 49, 2)).astype(np.float32)
    service.points[first.key] = places
    reply = maps.map_beside({**request, "have": "pca"})
    assert (reply["xy"], reply["share"]) == (None, 0.25)
    key = f"{second.key} beside {first.key}"
    assert list(service.started) == [first.key, key]
    np.testing.assert_array_equal(service.started[key], places[partners])
    service.points[key] = np.ones((6 * 256, 2), np.float32)
    reply = maps.map_beside({**request, "have": "pca"})
    assert (reply["version"], reply["finished"]) == ("umap", True)
    assert points_of(reply).tolist() == service.points[key].tolist()
    assert "started from the first map" in reply["text"]


def test_the_same_features_share_one_map(studio: SmallStudio, two: dict[str, Any]) -> None:
    request = {"batch": two["batch"], "beside": two["batch"], "have": None}
    same = studio.ask("map_beside", request)
    assert same["xy"] == studio.ask("map", request)["xy"]
    assert set(studio.maps.submitted) == {two["batch"]}


def test_maps_of_other_images_are_refused(studio: SmallStudio, two: dict[str, Any]) -> None:
    other = studio.load(source="files", files=[studio.upload("one.png")])["batch"]
    reply = studio.ask("map_beside", {"batch": two["batch"], "beside": other, "have": None})
    assert "same images" in reply["error"]


# --- scripts


def test_the_endpoint_gives_both_and_their_difference(
    studio: SmallStudio, two: dict[str, Any]
) -> None:
    endpoints = BesideEndpoints(studio.server)
    other = two["beside"]["batch"]
    found = endpoints.compare_features(
        two["batch"], other, 0, 3, 3, **SETTINGS, other_settings=OTHERS
    )
    assert found == json.loads(studio.server.file({**two, "format": "json", "step": 0}).data)
    linked = endpoints.compare_features(two["batch"], other, 0, 3, 3, **SETTINGS)
    assert linked["beside"]["rules"][0]["settings"] == SETTINGS


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"other": ""}, "no longer in memory"),
        ({"other": None}, "no longer in memory"),
        ({"other_settings": [1]}, "must be an object"),
        ({"other_settings": {"phi0": 2}}, "Φ⁰ must be"),
        ({"other_settings": {"unknown": 2}}, "unknown"),
        ({"row": 7}, "row"),
    ],
)
def test_the_endpoint_refuses_in_a_sentence(
    studio: SmallStudio, two: dict[str, Any], wrong: dict[str, Any], said: str
) -> None:
    where = {"batch": two["batch"], "other": two["beside"]["batch"], "image": 0, "row": 3}
    with pytest.raises(gr.Error, match=said):
        BesideEndpoints(studio.server).compare_features(**{**where, "column": 3, **wrong})


def test_panoramas_of_one_row_stand_beside_each_other(studio: SmallStudio) -> None:
    for i, (width, height) in enumerate(((900, 12), (12, 900), (1, 1), (300, 300))):
        path = studio.offered / "thin" / f"{i}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((height, width, 3), 40 * i, np.uint8)).save(path)
    images = {"source": "folder", "folder": str(studio.offered / "thin"), "count": 4}
    first = studio.load(**images, picture="whole", size=64, backbone="tiny14")
    second = studio.load(like=first["batch"], backbone="embedded")
    assert min(map(min, first["grids"])) == min(map(min, second["grids"])) == 1
    request = {"batch": first["batch"], "anchor": 0, "settings": SETTINGS}
    request["beside"] = {"batch": second["batch"], "settings": SETTINGS}
    assert studio.ask("gather", request)["beside_refused"] is None


# --- overlays that only one of the two has


@pytest.mark.parametrize("style", ["trust", "anchors", "union", "intersection", "attention"])
def test_a_file_shows_the_second_s_sets_where_the_overlay_has_nothing_of_it(
    studio: SmallStudio, two: dict[str, Any], monkeypatch: pytest.MonkeyPatch, style: str
) -> None:
    request = {**two, "step": 1, "kept": [3, None, 100], "format": "png"}
    second = studio.store.get(two["beside"]["batch"])
    drawn: list[tuple[str, str]] = []
    as_png = exports.as_png

    def watched(batch: Batch, panels: Any, look: Any, lines: Any) -> bytes:
        drawn.append(("second" if batch is second.batch else "first", look.style))
        return as_png(batch, panels, look, lines)

    def of_the_first(wanted: Any) -> None:
        if wanted.held is second:
            raise RequestError("it has no attention")

    monkeypatch.setattr(exports, "as_png", watched)
    if style == "attention":
        attention = STYLES["attention"]._replace(
            data=of_the_first, rgba=lambda batch, panel, look: blank(panel), legend=lambda *_: ""
        )
        monkeypatch.setitem(STYLES, "attention", attention)
    taken = studio.ask("take", {**request, "look": {"style": style}})
    assert "error" not in taken
    assert drawn == [("first", style), ("second", "sets")]


def test_files_without_pictures_wait_for_no_overlay(
    studio: SmallStudio, two: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(wanted: Any) -> None:
        raise AssertionError("nobody sees it")

    monkeypatch.setitem(STYLES, "trust", STYLES["trust"]._replace(data=never))
    for format in ("json", "npz", "py"):
        request = {**two, "step": 1, "format": format, "look": {"style": "trust"}}
        assert "error" not in studio.ask("take", request)


def test_smaller_patches_of_the_same_images_are_refused_where_they_are_too_many(
    studio: SmallStudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = studio.load()["batch"]
    monkeypatch.setattr(costs, "MOST_PATCHES", 1000)
    refused = studio.load(like=first, backbone="tiny14")
    assert "6 images at 224 px would make about 1,536 patches" in refused["error"]
    monkeypatch.setattr(costs, "MOST_PATCHES", 1536)
    assert "error" not in studio.load(like=first, backbone="tiny14")
