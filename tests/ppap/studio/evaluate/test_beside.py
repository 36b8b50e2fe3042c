"""Several reports beside each other: headings that tell them apart, and what is not alike."""

from __future__ import annotations

from typing import Any

from ppap.studio.evaluate.beside import headings, notes, same_images


def report(**changes: Any) -> dict[str, Any]:
    usual: dict[str, Any] = {
        "checkpoint": "runs/a/checkpoints/last.pt",
        "step": 100,
        "rule": "ppap",
        "recipe": "",
        "seed": 0,
        "backbone": {"title": "DINO"},
        "size": 320,
        "dataset": {"title": "CamVid", "split": "val"},
        "classes": ["sky", "road"],
        "cluster": {},
        "images": [{"index": 0, "name": "x"}, {"index": 4, "name": "y"}],
    }
    return {**usual, **changes}


def test_headings_name_what_differs_and_nothing_else() -> None:
    told = headings([report(), report(rule="knn", seed=1)], ["a", "b"])
    assert told == [
        {"title": "a", "differs": "rule ppap · seed 0"},
        {"title": "b", "differs": "rule knn · seed 1"},
    ]
    told = headings([report(), report(crf={}, step=1200), report(step=None)], ["a", "a", "a"])
    # A refinement stands beside its own numbers: the same report has some without.
    assert [one["title"] for one in told] == ["a", "a", "a"]
    assert [one["differs"] for one in told] == ["step 100", "step 1,200", ""]


def test_what_a_report_does_not_tell_is_left_out() -> None:
    silent = report()
    for name in ("rule", "recipe", "seed", "size", "classes"):
        del silent[name]
    told = headings([report(), silent], ["a", "b"])
    assert told[0]["differs"] == "rule ppap · seed 0 · 320 pixels"
    assert told[1]["differs"] == ""
    assert not same_images(report(), silent)


def test_twins_are_numbered() -> None:
    told = headings([report(), report(), report(size=448)], ["a", "a", "a"])
    assert [one["title"] for one in told] == ["a (1)", "a (2)", "a"]
    assert told[2]["differs"] == "448 pixels"


def test_a_note_says_what_was_not_measured_alike() -> None:
    assert notes([report(), report(rule="knn")], ["a", "b"]) == []
    looks = {"mirror": True}
    other = report(crf={}, pamr={}, size=448, inference=looks, protocol=["half"])
    found = notes([report(), other], ["a", "b"])
    said = "They were not all refined in the same way. a: not refined; b: with CRF and PAMR."
    assert found[0] == said
    assert [
        next(word for word in ("size", "inference", "protocol") if word in one) for one in found[1:]
    ] == [
        "size",
        "inference",
        "protocol",
    ]
    assert "b: mean of image and mirror." in found[2]
    split = report(dataset={"title": "CamVid", "split": "test"})
    assert "a: CamVid, val; b: CamVid, test." in notes([report(), split], ["a", "b"])[0]


def test_images_and_classes_must_be_the_same() -> None:
    assert same_images(report(), report(step=3))
    fewer = report(images=[{"index": 0, "name": "x"}])
    renamed = report(images=[{"index": 0, "name": "x"}, {"index": 4, "name": "z"}])
    for other in (fewer, renamed, report(classes=["sky", "street"]), report(cluster=None)):
        assert not same_images(report(), other)
