"""The Segment page's server functions, on a backbone of one convolution and small checkpoints."""

from __future__ import annotations

import io
import json
import math
import re
import threading
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.clustering import clusters_of, find_clusters, see
from ppap.data import palette
from ppap.output.coco_json import decode_mask
from ppap.predictor import Predictor
from ppap.segmenter import Segmenter
from ppap.segmenter.inference import Inference
from ppap.studio.answers import packed
from ppap.studio.checkpoints import Checkpoints, CrfProcesses
from ppap.studio.loading import Loader
from ppap.studio.segment import pictures as shown_pictures
from ppap.studio.segment import store as segments
from ppap.studio.segment.pictures import Size, reduced, shown_size
from ppap.studio.segment.server import Segmenting
from ppap.studio.sources import Sources
from ppap.studio.store import BatchStore
from tests.support.small_segmenters import NAMES, save_small, small_segmenter
from tests.support.small_studio import TinyBackbone, draw, load_tiny, picture, wait_until


class Place:
    """A Segmenting with everything behind it, in a folder of its own."""

    def __init__(self, root: Path, *, local: bool = True) -> None:
        self.root, self.uploads, self.runs = root, root / "uploads", root / "runs"
        self.uploads.mkdir()
        sources = Sources([], uploads=self.uploads, any_folder=local)
        loader = Loader(BatchStore(), sources, backbone="embedded")
        self.checkpoints = Checkpoints(self.runs, sources)
        self.crf = CrfProcesses()
        self.segmenting = Segmenting(loader, self.checkpoints, self.crf, backbone="embedded")

    def close(self) -> None:
        self.segmenting.close()
        self.crf.close()

    def upload(self, name: str, seed: int = 0, side: int = 128) -> dict[str, str]:
        return {"path": str(draw(self.uploads / f"{seed}.png", seed, side)), "name": name}

    def request(self, **changes: Any) -> dict[str, Any]:
        files = [self.upload("one.jpg", 1), self.upload("two <b>.png", 2, 96)]
        return {"source": "files", "files": files, "clusters": 3, "size": 224, **changes}

    def load(self, request: dict[str, Any]) -> dict[str, Any]:
        """Segment to the end, as the page does; its last reply."""
        started = self.segmenting.load(request)
        if "error" in started:
            return started

        def reply() -> dict[str, Any]:
            said: dict[str, Any] = self.segmenting.progress(started["job"])
            return said

        wait_until(lambda: reply().get("state") not in ("waiting", "running"), 300)
        last = reply()
        found: dict[str, Any] = last.get("result", last)
        return found

    def run_with_checkpoint(self, segmenter: Segmenter, name: str = "first") -> Path:
        file = self.runs / name / "checkpoints/last.pt"
        save_small(segmenter, file)
        return file


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    monkeypatch.setattr("ppap.studio.networks.load_backbone", load_tiny)
    made = Place(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return small_segmenter(extra_clusters=1)


@pytest.fixture
def trained(place: Place, segmenter: Segmenter, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        "ppap.checkpoints.opening.load_backbone", lambda *a, **k: segmenter.backbone
    )
    return place.run_with_checkpoint(segmenter)


def maps_of(place: Place, reply: dict[str, Any], kind: str = "clusters") -> list[np.ndarray]:
    result = place.segmenting.store.result(reply["result"])
    return [one.ids() for one in result.layer(kind).maps]


def test_the_frozen_backbone_s_clusters_are_the_library_s(place: Place) -> None:
    reply = place.load(place.request())
    backbone = TinyBackbone()
    seen = [see(backbone, picture(1, 128), size=224), see(backbone, picture(2, 96), size=224)]
    clusters = find_clusters(seen, 3)
    for found, one in zip(maps_of(place, reply), seen, strict=True):
        assert np.array_equal(found, clusters_of(one, clusters))
    (layer,) = reply["layers"]
    assert layer["names"] == ("cluster 1", "cluster 2", "cluster 3")
    assert layer["colours"] == palette(3)
    assert sum(layer["shares"]) == pytest.approx(1)
    pixels = np.concatenate([one.ravel() for one in maps_of(place, reply)])
    assert layer["shares"][0] == pytest.approx((pixels == 0).mean())
    assert [one["name"] for one in reply["pictures"]] == ["one.jpg", "two <b>.png"]
    assert json.loads(json.dumps(reply))
    assert str(place.root) not in json.dumps(reply)


def test_what_is_drawn_is_what_was_found(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shown_pictures, "SHOWN", 60)
    reply = place.load(place.request())
    result = place.segmenting.store.result(reply["result"])
    for i, one in enumerate(reply["pictures"]):
        assert one["shown"] == [60, 60]
        with Image.open(io.BytesIO(result.photo(i))) as photo:
            assert photo.size == (60, 60)
        drawn, whole = result.drawing(i, "clusters").ids(), maps_of(place, reply)[i]
        step = whole.shape[0] / 60
        for row, column in ((0, 0), (13, 40), (59, 59)):
            at = int((row + 0.5) * step), int((column + 0.5) * step)
            assert drawn[row, column] == whole[at]
    for image, kind in ((2, "clusters"), (-1, "clusters"), (0, "classes"), (0, "photo")):
        with pytest.raises(ValueError, match=r"no such image|kind must be"):
            result.drawing(image, kind)


def test_another_number_of_clusters_does_not_look_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = place.load(place.request())
    monkeypatch.setattr("ppap.studio.segment.work.see", None)
    again = place.load({**place.request(clusters=5), "of": first["set"]})
    assert len(again["layers"][0]["names"]) == 5
    assert again["set"] == first["set"]
    assert again["result"] != first["result"]


def test_a_checkpoint_says_what_its_predictor_says(
    place: Place, trained: Path, segmenter: Segmenter
) -> None:
    reply = place.load(place.request(checkpoint={"run": "first"}))
    wanted = Predictor(trained)
    for i, rgb in enumerate((picture(1, 128), picture(2, 96))):
        said = wanted.segment(rgb)
        assert np.array_equal(maps_of(place, reply)[i], said.clusters)
        assert np.array_equal(maps_of(place, reply, "classes")[i], said.classes)
    clusters, classes = reply["layers"]
    assert clusters["names"] == tuple(f"cluster {i}" for i in range(1, 5))
    assert classes["names"] == NAMES
    assert len(set(clusters["colours"])) == 4
    assert "has not been evaluated" in reply["notes"][0]
    assert reply["title"] == "first (last)"
    by_file = place.load(place.request(checkpoint={"file": str(trained)}))
    assert np.array_equal(maps_of(place, by_file)[0], maps_of(place, reply)[0])


def test_matched_clusters_are_called_by_their_class(
    place: Place, trained: Path, segmenter: Segmenter
) -> None:
    digest = Predictor(trained).loaded.digest
    report = {"digest": digest, "cluster": {"assignment": [2, -1, 0, 1]}}
    (trained.parent.parent / "report.json").write_text(json.dumps(report))
    clusters, classes = place.load(place.request(checkpoint={"run": "first"}))["layers"]
    assert clusters["names"] == ("tree", "cluster 2", "sky", "road")
    assert clusters["colours"][0] == classes["colours"][2]
    assert clusters["colours"][1] not in classes["colours"]


def test_with_a_crf(place: Place, trained: Path) -> None:
    plain = place.load(place.request(checkpoint={"run": "first"}))
    reply = place.load(place.request(checkpoint={"run": "first"}, crf=True))
    said = Predictor(trained).segment(picture(1, 128), crf=True)
    assert np.array_equal(maps_of(place, reply)[0], said.clusters)
    assert not np.array_equal(maps_of(place, plain)[0], said.clusters)
    assert reply["refine"] == "crf"


def test_where_there_is_no_crf_pamr_stands_in(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    pamr = place.load(place.request(refine="pamr"))
    monkeypatch.setattr("ppap.studio.checkpoints.why_unavailable", lambda: "No CRF, because.")
    assert place.segmenting.hello(None)["crf"] == "No CRF, because."
    for asked in ({"crf": True}, {"refine": "crf"}):
        reply = place.load(place.request(**asked))
        assert reply["refine"] == "pamr"
        assert reply["notes"][0] == "No CRF, because. PAMR refines the borders instead."
        assert np.array_equal(maps_of(place, reply)[0], maps_of(place, pamr)[0])
    plain = place.load(place.request())
    assert plain["refine"] == "none"
    assert not np.array_equal(maps_of(place, plain)[0], maps_of(place, pamr)[0])


LOOKS = {"mirror": True, "scales": [0.5, 1], "shifts": 2, "window": 128}


def test_the_frozen_backbone_looks_as_often_as_it_is_told(place: Place) -> None:
    reply = place.load(place.request(**LOOKS, refine="pamr"))
    assert reply["looks"] == (
        "mean of image and mirror; scales 0.5, 1; sliding windows of 128 px; 2 × 2 shifts"
    )
    backbone = TinyBackbone()
    inference = Inference(mirror=True, scales=(0.5, 1), shifts=2, window=128)
    pictures = (picture(1, 128), picture(2, 96))
    # Clusters are found on the backbone's own grid.
    coarse = [see(backbone, p, size=224, inference=replace(inference, shifts=1)) for p in pictures]
    clusters = find_clusters(coarse, 3)
    for found, rgb in zip(maps_of(place, reply), pictures, strict=True):
        seen = see(backbone, rgb, size=224, inference=inference)
        assert seen.features.shape[1] == 2 * coarse[0].features.shape[1]
        assert np.array_equal(found, clusters_of(seen, clusters, refine="pamr"))
    again = place.load({**place.request(), "of": reply["set"]})
    plain = place.load(place.request())
    assert np.array_equal(maps_of(place, again)[0], maps_of(place, plain)[0]), "seen anew"
    with taken(place, result=reply["result"]) as archive:
        readme = archive.read("README.txt").decode()
    assert "Segmented with frozen backbone, 3 clusters (PAMR; mean of image and mirror" in readme


def test_a_checkpoint_looks_as_often_as_it_is_told(place: Place, trained: Path) -> None:
    given = {"mirror": True, "scales": [1, 2]}
    reply = place.load(place.request(checkpoint={"run": "first"}, refine="pamr", **given))
    wanted = Predictor(trained, refine="pamr", inference=Inference(mirror=True, scales=(1, 2)))
    said = wanted.segment(picture(1, 128))
    assert np.array_equal(maps_of(place, reply)[0], said.clusters)
    assert np.array_equal(maps_of(place, reply, "classes")[0], said.classes)
    plain = place.load(place.request(checkpoint={"run": "first"}))
    assert not np.array_equal(maps_of(place, plain, "classes")[0], said.classes)


@pytest.mark.parametrize(
    ("changes", "field", "part"),
    [
        ({"refine": "both"}, "refine", "none, pamr, crf"),
        ({"refine": ["crf"]}, "refine", "none, pamr, crf"),
        ({"mirror": 1}, "mirror", "true or false"),
        ({"scales": 2}, "scales", "list of numbers"),
        ({"scales": [math.nan]}, "scales", "numbers from"),
        ({"scales": [1, 10**400]}, "scales", "numbers from"),
        ({"scales": [1] * 9}, "scales", "1 to 8 numbers"),
        ({"window": -1}, "window", "whole number"),
        ({"window": 100}, "window", "multiple of the patch size"),
        ({"shifts": 3}, "shifts", "must be one of"),
        ({"shifts": 8}, "shifts", "64 passes"),
        ({"shifts": True}, "shifts", "whole number"),
    ],
)
def test_looks_that_cannot_be(place: Place, changes: dict[str, Any], field: str, part: str) -> None:
    reply = place.load(place.request(**changes))
    assert reply["field"] == field
    assert re.search(part, reply["error"])


def taken(place: Place, **request: Any) -> zipfile.ZipFile:
    reply = place.segmenting.take(request)
    key = reply["url"].removeprefix("studio/segment/").removesuffix(".zip")
    found = place.segmenting.packing.taken(key)
    assert found.name == reply["name"]
    return zipfile.ZipFile(found.file)


def test_a_zip_has_the_page_s_names_and_colours(place: Place) -> None:
    reply = place.load(place.request())
    colours = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    names = ["grass", "", "grass"]
    with taken(place, result=reply["result"], names=names, colours=colours) as archive:
        document = json.loads(archive.read("annotations.json"))
        label = Image.open(io.BytesIO(archive.read("labels/one.png")))
        assert "overlays/two _b_.png" in archive.namelist()
    assert [c["name"] for c in document["categories"]] == ["grass", "cluster 2"]
    whole = maps_of(place, reply)[0]
    merged = np.where(whole == 2, 0, whole)  # equal names are one class
    assert np.array_equal(np.array(label), merged)
    assert label.getpalette()[:6] == [1, 2, 3, 4, 5, 6]  # type: ignore[index]
    for annotation in document["annotations"]:
        if annotation["image_id"] == 1:
            mask = decode_mask(annotation["segmentation"])
            assert np.array_equal(mask, merged == annotation["category_id"] - 1)


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"names": ["a"]}, "There must be 3 names"),
        ({"names": [1, 2, 3]}, "A name must be text"),
        ({"names": ["a" * 81, "", ""]}, "at most 80"),
        ({"colours": [[0, 0, 0]]}, "There must be 3 colours"),
        ({"colours": [[0, 0, 256]] * 3}, "from 0 to 255"),
        ({"colours": [[0, 0, True]] * 3}, "from 0 to 255"),
        ({"opacity": math.nan}, "opacity must be"),
        ({"opacity": "1"}, "opacity must be"),
        ({"photos": "yes"}, "Photos must be true or false"),
        ({"polygons": 1}, "Polygons must be true or false"),
        ({"kind": "classes"}, "kind must be clusters"),
        ({"result": "gone"}, "no longer in memory"),
    ],
)
def test_what_cannot_be_taken(place: Place, changes: dict[str, Any], part: str) -> None:
    reply = place.load(place.request())
    said = place.segmenting.take({"result": reply["result"], **changes})
    assert part in said["error"]


def test_refusals_are_sentences(place: Place, trained: Path, tmp_path: Path) -> None:
    outside = {"path": str(draw(tmp_path / "secret.png", 1)), "name": "secret.png"}
    cases: list[tuple[dict[str, Any], str]] = [
        ({"source": "web"}, "samples, files or folder"),
        ({"source": "folder"}, "Enter a folder"),
        ({"source": "folder", "folder": 5}, "path must be text"),
        ({"source": "folder", "folder": str(tmp_path / "none")}, "There is no folder"),
        ({"files": []}, "Choose at least one image"),
        ({"files": [outside]}, "was not uploaded"),
        ({"of": "gone"}, "no longer in memory"),
        ({"clusters": 1}, "from 2 to 64, not 1"),
        ({"clusters": 10**400}, "from 2 to 64"),
        ({"clusters": math.nan}, "from 2 to 64"),
        ({"clusters": "8"}, "from 2 to 64"),
        ({"size": 225}, "resolution must be one of"),
        ({"crf": "yes"}, "CRF must be"),
        ({"backbone": 5}, "backbone must be a name"),
        ({"backbone": str(trained)}, "by its name"),
        ({"backbone": "none"}, "there is no backbone none"),
        ({"checkpoint": "x"}, "Choose a checkpoint"),
        ({"checkpoint": {"run": "../first"}}, "There is no run called ../first"),
        ({"checkpoint": {"run": "none"}}, "There is no run called none"),
        ({"checkpoint": {"run": "first", "which": "../../last"}}, "reported or last"),
        ({"checkpoint": {"file": str(tmp_path / "no.pt")}}, "There is no file"),
        ({"checkpoint": {"file": outside["path"]}}, "secret.png"),
    ]
    for changes, part in cases:
        assert part in place.load(place.request(**changes))["error"], changes
    assert "named fields" in place.segmenting.load(None)["error"]
    assert "has expired" in place.segmenting.progress("none")["error"]
    assert place.segmenting.load(place.request(clusters=0))["field"] == "clusters"


def test_files_of_the_server_are_hidden_from_others(tmp_path: Path) -> None:
    place = Place(tmp_path, local=False)
    file = tmp_path / "x.pt"
    file.write_bytes(b"x")
    for path in (file, tmp_path / "none.pt"):
        assert "--images" in place.load(place.request(checkpoint={"file": str(path)}))["error"]
    assert place.segmenting.hello(None)["files"] is False
    place.close()


def test_unreadable_pictures_are_named(place: Place) -> None:
    broken = place.uploads / "broken.png"
    broken.write_bytes(b"no picture")
    bad = {"path": str(broken), "name": "holiday.png"}
    reply = place.load(place.request(files=[bad, place.upload("fine.png", 3)]))
    assert [one["name"] for one in reply["pictures"]] == ["fine.png"]
    assert "holiday.png" in reply["problems"][0]
    assert "holiday.png" in place.load(place.request(files=[bad]))["error"]


def test_the_newest_request_of_a_page_counts(place: Place) -> None:
    # All three are asked for before the first is worked on, however quick that is.
    asked = threading.Event()
    place.segmenting._turns.submit("another", asked.wait)
    jobs = [place.segmenting.load({**place.request(clusters=c), "page": "p"}) for c in (2, 3, 4)]
    asked.set()
    states = []
    for job in jobs:
        wait_until(
            lambda job=job: (  # type: ignore[misc]
                place.segmenting.progress(job["job"])["state"] in ("done", "cancelled")
            ),
            300,
        )
        states.append(place.segmenting.progress(job["job"])["state"])
    assert states[-1] == "done"
    assert states[1] == "cancelled"


def test_runs_are_listed_newest_first_and_links_are_not(
    place: Place, trained: Path, segmenter: Segmenter
) -> None:
    import os

    second = place.run_with_checkpoint(segmenter, "second")
    os.utime(trained, (1, 1))
    (second.parent.parent / "state.json").write_text('{"step": 7, "state": "finished"}')
    (place.runs / "elsewhere").symlink_to(second.parent.parent)
    (place.runs / "empty").mkdir()
    (place.runs / ".hidden/checkpoints").mkdir(parents=True)
    (place.runs / ".hidden/checkpoints/last.pt").write_bytes(b"")
    listed = place.segmenting.hello(None)["checkpoints"]
    assert [one["run"] for one in listed] == ["second", "first"]
    assert listed[0]["step"] == 7
    assert listed[0]["which"] == ["last"]


def test_sets_and_results_are_let_go_of(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segments, "MAX_SETS", 1)
    monkeypatch.setattr(segments, "MAX_RESULTS", 2)
    store = segments.SegmentStore()
    place.segmenting.store = place.segmenting.work.store = place.segmenting.packing.store = store
    first = place.load(place.request())
    kept = place.segmenting.store.result(first["result"])
    assert kept.pictures.pictures[0].kept is not None
    place.load(place.request())
    # The first set can no longer be asked for, but its result can be taken: files are read again.
    assert kept.pictures.pictures[0].kept is None
    assert "no longer" in place.load({**place.request(), "of": first["set"]})["error"]
    with taken(place, result=first["result"]) as archive:
        assert len(archive.namelist()) == 8
    for _ in range(2):
        place.load(place.request())
    assert "no longer" in place.segmenting.take({"result": first["result"]})["error"]


def test_the_samples_need_nothing(place: Place) -> None:
    reply = place.load({"clusters": 4})
    names = [one["name"] for one in reply["pictures"]]
    assert names[:2] == ["cheetah1.jpg", "lion.jpg"]
    for one in reply["pictures"]:
        assert max(one["shown"]) <= 1024


@pytest.mark.parametrize(
    ("size", "count", "wanted"),
    [((500, 400), 1, (500, 400)), ((4000, 2000), 1, (1024, 512)), ((1, 9000), 13, (1, 640))],
)
def test_sizes_shown(size: tuple[int, int], count: int, wanted: tuple[int, int]) -> None:
    assert shown_size(*size, count) == wanted


def test_void_survives_packing() -> None:
    one = packed(np.array([[0, 1], [-1, 2]]))
    assert one.ids().tolist() == [[0, 1], [-1, 2]]
    assert reduced(one, Size(1, 1)).ids().tolist() == [[2]]


@pytest.mark.parametrize(("highest", "depth"), [(0, 1), (254, 1), (255, 2), (299, 2), (65534, 2)])
def test_as_many_bytes_as_the_ids_need(highest: int, depth: int) -> None:
    ids = np.array([[highest, -1, 0]])
    one = packed(ids)
    assert one.depth == depth
    raw = zlib.decompress(one.data)
    assert len(raw) == 3 * depth
    kind = "<u2" if depth == 2 else "u1"  # what the page reads: the largest number is none
    assert np.frombuffer(raw, kind).tolist() == [highest, 256**depth - 1, 0]
    assert np.array_equal(one.ids(), ids)


def test_more_ids_than_a_page_can_tell_apart() -> None:
    with pytest.raises(ValueError, match="65535"):
        packed(np.array([[65535]]))


def test_a_checkpoint_of_many_classes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    names = tuple(f"thing {i}" for i in range(300))
    segmenter = small_segmenter(300)
    with torch.no_grad():
        for parameter in segmenter.linear_probe.parameters():
            parameter.zero_()
        assert segmenter.linear_probe.bias is not None
        segmenter.linear_probe.bias[290] = 1  # wins everywhere
    monkeypatch.setattr(
        "ppap.checkpoints.opening.load_backbone", lambda *a, **k: segmenter.backbone
    )
    save_small(segmenter, place.runs / "many/checkpoints/last.pt")
    reply = place.load(place.request(checkpoint={"run": "many"}))
    assert {int(id) for one in maps_of(place, reply, "classes") for id in one.ravel()} == {290}
    classes = reply["layers"][1]
    assert classes["names"] == names
    assert len(set(classes["colours"])) == 300
    assert classes["shares"][290] == pytest.approx(1)
    assert sum(classes["shares"]) == pytest.approx(1)
    result = place.segmenting.store.result(reply["result"])
    assert (result.drawing(0, "classes").ids() == 290).all()
    with taken(place, result=reply["result"], kind="classes") as archive:
        label = np.array(Image.open(io.BytesIO(archive.read("labels/one.png"))))
        document = json.loads(archive.read("annotations.json"))
    assert (label == 290).all()
    assert {one["category_id"] for one in document["annotations"]} == {291}
    # All of them called the same are one class, whatever their number was.
    with taken(place, result=reply["result"], kind="classes", names=["one"] * 300) as archive:
        assert archive.read("classes.txt") == b"one\n"
        label = np.array(Image.open(io.BytesIO(archive.read("labels/one.png"))))
    assert (label == 0).all()


def test_photos_in_the_zip_where_they_fit(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    request = place.request()
    reply = place.load(request)
    files = [Path(file["path"]).read_bytes() for file in request["files"]]
    assert reply["photos"] == {"bytes": sum(map(len, files)), "refused": ""}
    with taken(place, result=reply["result"], photos=True, overlays=False) as archive:
        photos = [n for n in archive.namelist() if n.startswith("images/")]
        assert [archive.read(name) for name in photos] == files, "byte for byte"
        assert not [n for n in archive.namelist() if n.startswith("overlays/")]
    assert photos == ["images/one.jpg", "images/two _b_.png"]
    monkeypatch.setattr("ppap.studio.segment.packing.MAX_PHOTOS", len(files[0]))
    refused = place.segmenting.pictures({"result": reply["result"]})["photos"]["refused"]
    assert "Copy them into images/" in refused
    request = {"result": reply["result"], "photos": True}
    assert place.segmenting.take(request)["error"] == refused
    Path(place.uploads / "1.png").unlink()
    monkeypatch.undo()
    assert "been moved or deleted" in place.segmenting.take(request)["error"]


def test_long_names_of_a_checkpoint_can_be_taken(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ("a" * 200, "b")
    segmenter = small_segmenter(2)
    monkeypatch.setattr(
        "ppap.checkpoints.opening.load_backbone", lambda *a, **k: segmenter.backbone
    )
    monkeypatch.setattr("tests.support.small_segmenters.NAMES", names)
    save_small(segmenter, place.runs / "long/checkpoints/last.pt")
    reply = place.load(place.request(checkpoint={"run": "long"}))
    with taken(place, result=reply["result"], kind="classes", names=["a" * 200, "a  b"]) as archive:
        assert archive.read("classes.txt").decode().splitlines() == ["a" * 200, "a b"]


def test_files_are_called_as_their_owner_calls_them(place: Place) -> None:
    name = "Screenshot at 10.00\u202fAM, 50%.png"
    reply = place.load(place.request(files=[place.upload(name, 1), place.upload(name, 2)]))
    assert [one["name"] for one in reply["pictures"]] == [name, name]
    with taken(place, result=reply["result"]) as archive:
        assert f"labels/{name}" in archive.namelist()
        assert f"labels/{name[:-4]} (2).png" in archive.namelist()
        images = json.loads(archive.read("annotations.json"))["images"]
    assert [one["file_name"] for one in images] == [name, f"{name[:-4]} (2).png"]
