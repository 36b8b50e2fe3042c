"""From a number to its images: counts of cells and classes, against the label maps themselves."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ppap.evaluation import per_image
from ppap.evaluation.paired import Side, paired
from ppap.studio import sample
from ppap.studio.evaluate.endpoints import EvaluateEndpoints
from ppap.studio.evaluate.pixels import MOST_KEPT, sample_counts
from ppap.studio.requests import RequestError
from tests.ppap.studio.evaluate.test_server import Place
from trainers.evaluate import main as evaluate

KINDS = ("cluster", "linear", "cluster_crf", "linear_crf")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    place = Place(tmp_path_factory.mktemp("pixels"))
    yield place
    place.close()


@pytest.fixture(scope="module")
def maps(place: Place) -> list[dict[str, np.ndarray]]:
    """Every image's label maps of the square alone, in the report's order."""
    found = []
    for one in place.evaluating.reports.read("first")["images"]:
        request = {"report": "first", "index": one["index"], "refine": "crf"}
        reply = place.evaluating.image(request)
        assert reply["square"]["size"] == reply["width"] == reply["height"]
        found.append({name: unpacked(data, reply["width"]) for name, data in reply["maps"].items()})
    return found


def unpacked(data: str, width: int) -> np.ndarray:
    flat = np.frombuffer(zlib.decompress(base64.b64decode(data)), np.uint8).astype(int)
    return np.where(flat == 255, -1, flat).reshape(-1, width)


@pytest.mark.parametrize("kind", KINDS)
def test_cells_and_classes_count_the_pixels_of_the_pictures(
    place: Place, maps: list[dict[str, np.ndarray]], kind: str
) -> None:
    def asked(**what: Any) -> dict[str, Any]:
        return place.evaluating.pixels({"report": "first", "kind": kind, **what})

    pairs = [(one["truth"], one[kind]) for one in maps]
    report = place.evaluating.reports.read("first")
    probe, _, refined = kind.partition("_")
    confusion = (report[refined] if refined else report)[probe]["confusion"]
    for truth in range(3):
        for predicted in range(3):
            reply = asked(truth=truth, predicted=predicted)
            assert reply["pixels"] == [((t == truth) & (p == predicted)).sum() for t, p in pairs]
            assert reply["total"] == confusion[truth][predicted]
            assert reply["iou"] is None
    for c in range(3):
        true = [(t == c) & (p != c) for t, p in pairs]
        called = [(t != c) & (t >= 0) & (p == c) for t, p in pairs]
        right = [((t == c) & (p == c)).sum() for t, p in pairs]
        union = [m.sum() + w.sum() + r for m, w, r in zip(true, called, right, strict=True)]
        assert asked(**{"class": c, "part": "missed"})["pixels"] == [m.sum() for m in true]
        assert asked(**{"class": c, "part": "called"})["pixels"] == [w.sum() for w in called]
        reply = asked(**{"class": c})
        assert reply["pixels"] == union
        wanted = [
            None if not u else pytest.approx(100 * r / u, abs=0.006)
            for r, u in zip(right, union, strict=True)
        ]
        assert reply["iou"] == wanted
    assert json.loads(json.dumps(asked(truth=0, predicted=-1)))["total"] == 0


def test_a_script_asks_the_same(place: Place) -> None:
    endpoints = EvaluateEndpoints(place.evaluating)
    reply = endpoints.pixels_by_image("first", "cluster", 0, 1)
    page = place.evaluating.pixels(
        {"report": "first", "kind": "cluster", "truth": 0, "predicted": 1}
    )
    images = place.evaluating.reports.read("first")["images"]
    assert [one["pixels"] for one in reply["images"]] == page["pixels"]
    assert [one["name"] for one in reply["images"]] == [one["name"] for one in images]
    of_class = endpoints.pixels_by_image("first", "linear", class_id=2, part="missed")
    assert "iou" in of_class["images"][0]
    with pytest.raises(Exception, match="no class number 3"):
        endpoints.pixels_by_image("first", "cluster", 3, 0)


def test_refusals_are_sentences(place: Place) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({}, "no class number None"),
        ({"truth": 0}, "no class number None"),
        ({"truth": 3, "predicted": 0}, "no class number 3"),
        ({"truth": -1, "predicted": 0}, "no class number -1"),
        ({"truth": True, "predicted": 0}, "no class number True"),
        ({"truth": 0, "predicted": 1.0}, "no class number 1.0"),
        ({"truth": 0, "predicted": -2}, "no class number -2"),
        ({"class": -1}, "no class number -1"),
        ({"class": [0]}, "no class number"),
        ({"class": 10**40}, "no class number"),
        ({"class": 0, "part": "best"}, "must be one of any, missed, called"),
        ({"class": 0, "part": ["any"]}, "part of a class must be"),
        ({"class": 0, "kind": "cluster_pamr"}, "no prediction cluster_pamr"),
        ({"class": 0, "kind": ["cluster"]}, "no prediction"),
        ({"class": 0, "report": "../first"}, "no report"),
    ]
    for changes, part in cases:
        said = place.evaluating.pixels({"report": "first", **changes})["error"]
        assert part in said, changes


def test_a_report_without_counts_says_what_to_do(place: Place) -> None:
    old = place.runs / ".evaluations" / "old"
    old.mkdir(parents=True, exist_ok=True)
    report = json.loads((place.run.folder / "report.json").read_text())
    del report[per_image.KEY]
    (old / "report.json").write_text(json.dumps(report))
    said = place.evaluating.pixels({"report": ".evaluations/old", "class": 0})
    assert said["error"] == "Evaluate again to see which images a number comes from."
    # Another's counts are not taken for its own, and only a few are kept in memory.
    assert place.evaluating.pixels({"report": "first", "class": 0})["total"] > 0
    assert len(place.evaluating._counts._kept) <= MOST_KEPT


def test_the_sample_s_counts_are_its_report_s() -> None:
    report = json.loads((sample.RUN / "report.json").read_text(encoding="utf-8"))
    counts = sample_counts()
    for kind in ("cluster", "linear"):
        assert counts.kinds[kind].confusion().tolist() == report[kind]["confusion"]
        measured = [one[kind]["accuracy"] for one in report["images"]]
        assert counts.kinds[kind].accuracy().tolist() == pytest.approx(measured)


def test_the_whole_photo_holds_the_square_that_was_scored(
    place: Place, maps: list[dict[str, np.ndarray]]
) -> None:
    """Photos of the made-up set are 40 × 50, squares 32 × 32."""
    reply = place.evaluating.image({"report": "first", "index": 3, "whole": True})
    assert (reply["height"], reply["width"]) == (32, 40)
    assert reply["square"] == {"left": 4, "top": 0, "size": 32}
    around = unpacked(reply["maps"]["truth"], 40)
    assert np.array_equal(around[:, 4:36], maps[3]["truth"])
    assert np.array_equal(unpacked(reply["maps"]["cluster"], 32), maps[3]["cluster"])
    stored = (
        place.evaluating._drawing.dataset(place.evaluating.reports.read("first")).load(3).labels
    )
    assert stored is not None
    # The middles of pixels, by the geometry of the squares: 32 of 40 rows, 40 of 50 columns.
    rows, columns = (np.arange(32) + 0.5) * 40 // 32, (np.arange(40) + 0.5) * 50 // 40
    assert np.array_equal(around, stored[rows.astype(int)[:, None], columns.astype(int)])


def test_thumbnails_are_small_and_only_of_the_report_s_images(place: Place, tmp_path: Path) -> None:
    made = place.evaluating.thumbnail("first", 2)
    assert made.startswith(b"\xff\xd8")
    assert len(made) < 8000
    assert place.evaluating.thumbnail("first", 2) is made  # kept
    assert place.evaluating.thumbnail(".sample", 0).startswith(b"\xff\xd8")
    for key, index in (("first", 99), ("first", -1), ("../first", 0), ("second", 0)):
        with pytest.raises(RequestError):
            place.evaluating.thumbnail(key, index)


def test_differences_have_the_library_s_intervals(place: Place, tmp_path: Path) -> None:
    """Between a report and the same with one image turned wrong."""
    folder = place.runs / ".evaluations" / "other"
    folder.mkdir(parents=True, exist_ok=True)
    report = json.loads((place.run.folder / "report.json").read_text())
    counts = per_image.read(report, place.run.folder / "report.json")
    assert counts is not None
    kind = counts.kinds["cluster"]
    shifted = replace(kind, assignment=np.roll(kind.assignment, 1))
    other = replace(counts, kinds={**counts.kinds, "cluster": shifted})
    report[per_image.KEY] = {"stamp": other.stamp}
    (folder / "report.json").write_text(json.dumps(report))
    per_image.write(other, folder / "images.npz")
    said = place.evaluating.beside(["first", ".evaluations/other"])
    found = paired([Side(report, counts)], [Side(report, other)])
    assert said["same"] == [True, True]
    plain, refined = said["differences"]["rows"]
    assert [one["difference"] for one in plain["values"]] == [
        found["cluster"].accuracy.difference,
        found["cluster"].miou.difference,
        0,
        0,
    ]
    assert plain["values"][0]["low"] == found["cluster"].accuracy.low
    assert plain["values"][0]["apart"] is found["cluster"].accuracy.apart
    assert refined["title"].endswith(", with CRF")
    first, second = said["differences"]["classes"]
    assert first == {}
    assert [one["low"] for one in second["cluster"]] == [one.low for one in found["cluster"].iou]
    assert "resamplings of the images" in said["differences"]["about"]
    assert json.loads(json.dumps(said)) == said
    # Once more from memory, for scripts too; without counts a sentence takes their place.
    assert (
        EvaluateEndpoints(place.evaluating).reports_beside(["first", ".evaluations/other"]) == said
    )
    (folder / "images.npz").unlink()
    place.evaluating._counts._kept.clear()
    told = place.evaluating.beside(["first", ".evaluations/other"])["differences"]
    assert (told["rows"], "Evaluate again" in told["about"]) == ([], True)
    for keys in (["first"], ["first"] * 5, "first", [], None, ["first", "none"], ["first", None]):
        assert "error" in place.evaluating.beside(keys), keys


def test_predictions_from_files_are_drawn_and_compared_as_our_own(
    place: Place, maps: list[dict[str, np.ndarray]], tmp_path: Path
) -> None:
    """A run's own, written out and read back."""
    words = [f"--data={place.data}", "--split=all", "--workers=0"]
    assert evaluate([str(place.run.folder), *words, f"--write-predictions={tmp_path}"]) == 0
    made = place.runs / ".evaluations" / "files"
    given = [f"--predictions={tmp_path}/clusters", "--size=32", *words[:2], f"--pictures={made}"]
    assert evaluate(given) == 0
    place.sources.folders.append(tmp_path.resolve())
    key = ".evaluations/files"
    images = place.evaluating.reports.read(key)["images"]
    for one, own in zip(images, maps, strict=True):
        reply = place.evaluating.image({"report": key, "index": one["index"]})
        assert set(reply["maps"]) == {"truth", "cluster"}
        for name, ids in reply["maps"].items():
            assert np.array_equal(unpacked(ids, 32), own[name])
    differences = place.evaluating.beside(["first", key])["differences"]["rows"]
    assert [one and one["difference"] for one in differences[0]["values"]] == [0, 0, None, None]
    assert "from files" in place.evaluating.explore(key)["error"]
    # Pages see only what lies in folders that they may look into.
    place.sources.folders.pop()
    place.sources.any_folder = False
    try:
        assert (
            "shows only the folders" in place.evaluating.image({"report": key, "index": 0})["error"]
        )
    finally:
        place.sources.any_folder = True
