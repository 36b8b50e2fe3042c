"""COCO's JSON as pycocotools, the format's own reader, takes it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as oracle
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from ppap.output.coco_json import LabelMap, as_coco, box_of, decode_mask, encode_mask
from ppap.output.polygons import polygons_of

# pycocotools 2.0.11 under numpy 2: its own arrays do not know the keyword yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

quick = settings(max_examples=80, deadline=None, derandomize=True)
masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=12))
NAMES = ("sky", "road", "tree", "água", "never there")


def some_maps() -> list[LabelMap]:
    """Noise, blocks, one class alone, lines, nothing but void, and ids that are no class's."""
    chance = np.random.default_rng(5)
    blocks = np.kron(chance.integers(-1, 4, (5, 3)), np.ones((6, 11), np.int64))
    return [
        LabelMap("noise.jpg", chance.integers(-1, 4, (23, 17))),
        LabelMap("ünicode 猫/blocks.png", blocks),
        LabelMap("alone.png", np.zeros((4, 9), np.uint8)),
        LabelMap("across.png", np.array([[255, 0, 0, 2, 1, 1, 255]], np.uint8)),
        LabelMap("down.png", np.array([[3], [3], [0], [-1], [3]], np.int16)),
        LabelMap("void.png", np.full((3, 5), 255, np.uint8)),
        LabelMap("beyond.tif", chance.choice((2, 3, 5, 299), (9, 9)).astype(np.uint16)),
    ]


Opened = Callable[..., COCO]


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    def read(maps: list[LabelMap], names: tuple[str, ...], polygons: bool = False) -> COCO:
        file = tmp_path / "annotations.json"
        document = as_coco(maps, names, polygons=polygons)
        file.write_text(json.dumps(document, allow_nan=False), encoding="utf-8")
        return COCO(str(file))

    return read


@pytest.mark.parametrize("polygons", [False, True])
def test_every_annotation_is_read_as_it_is_meant(opened: Opened, polygons: bool) -> None:
    maps = some_maps()
    coco = opened(maps, NAMES, polygons)
    assert coco.getImgIds() == [1, 2, 3, 4, 5, 6, 7]
    assert [len(coco.getAnnIds(imgIds=[n])) for n in range(1, 8)] == [4, 4, 1, 3, 2, 0, 2]
    for number, (name, ids) in enumerate(maps, 1):
        (image,) = coco.loadImgs(number)
        assert (image["file_name"], image["height"], image["width"]) == (name, *ids.shape)
        whole = np.full(ids.shape, -1)
        for annotation in coco.loadAnns(coco.getAnnIds(imgIds=[number])):
            mask = coco.annToMask(annotation).astype(bool)
            assert np.array_equal(mask, ids == annotation["category_id"] - 1)
            encoded = coco.annToRLE(annotation)
            assert oracle.area(encoded) == annotation["area"] == mask.sum()
            assert oracle.toBbox(encoded).tolist() == annotation["bbox"]
            whole[mask] = annotation["category_id"] - 1
        known = (ids >= 0) & (ids < len(NAMES))
        assert np.array_equal(whole, np.where(known, ids.astype(int), -1))


def test_classes_are_found_by_id_and_by_name(opened: Opened) -> None:
    maps = some_maps()
    coco = opened(maps, NAMES)
    assert [one["name"] for one in coco.loadCats(coco.getCatIds())] == list(NAMES)
    for label, name in enumerate(NAMES, 1):
        assert coco.getCatIds(catNms=[name]) == [label]
        holding = {n for n, one in enumerate(maps, 1) if (one.ids == label - 1).any()}
        assert set(coco.getImgIds(catIds=[label])) == holding
        found = coco.loadAnns(coco.getAnnIds(catIds=[label]))
        assert sorted(one["image_id"] for one in found) == sorted(holding)
    assert coco.getAnnIds(imgIds=[6]) == [], "nothing but void"


def test_more_than_255_classes(opened: Opened) -> None:
    ids = np.random.default_rng(6).permutation(919).astype(np.uint16)[:900].reshape(30, 30)
    names = tuple(f"class {label}" for label in range(919))
    coco = opened([LabelMap("many.png", ids)], names)
    assert len(coco.getCatIds()) == 919
    assert len(coco.anns) == 900
    for annotation in coco.anns.values():
        assert np.array_equal(coco.annToMask(annotation) == 1, ids == annotation["category_id"] - 1)


@pytest.mark.parametrize(("kind", "polygons"), [("segm", False), ("segm", True), ("bbox", False)])
def test_what_is_held_against_itself_is_perfect(opened: Opened, kind: str, polygons: bool) -> None:
    """COCO's own evaluation; it takes an annotation numbered 0 for one without a match."""
    coco = opened(some_maps(), NAMES, polygons)
    results = [
        {
            "image_id": one["image_id"],
            "category_id": one["category_id"],
            "score": 1.0,
            **({"bbox": one["bbox"]} if kind == "bbox" else {"segmentation": coco.annToRLE(one)}),
        }
        for one in coco.anns.values()
    ]
    evaluation = COCOeval(coco, coco.loadRes(results), kind)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert evaluation.stats[[0, 1, 2, 8]].tolist() == [1, 1, 1, 1]
    matched = [n for one in evaluation.evalImgs if one for n in one["dtMatches"][0]]
    assert set(matched) == set(coco.anns)


@quick
@given(masks)
def test_run_lengths_of_any_mask_are_theirs(mask: np.ndarray) -> None:
    encoded = encode_mask(mask)
    compressed = oracle.frPyObjects(encoded, *mask.shape)
    assert compressed == oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert np.array_equal(oracle.decode(compressed) == 1, mask)
    assert np.array_equal(decode_mask(encoded), mask)
    assert oracle.area(compressed) == mask.sum()
    if mask.any():
        assert oracle.toBbox(compressed).tolist() == box_of(mask)


@quick
@given(masks)
def test_polygons_filled_again_are_the_mask(mask: np.ndarray) -> None:
    rings = [[float(at) for at in ring] for ring in polygons_of(mask)]
    if not rings:
        assert not mask.any()
        return
    filled = [oracle.decode(one) == 1 for one in oracle.frPyObjects(rings, *mask.shape)]
    assert np.array_equal(sum(filled, np.zeros(mask.shape, int)), mask), "none overlaps another"


@quick
@given(masks, st.data())
def test_overlaps_are_theirs(mask: np.ndarray, data: st.DataObject) -> None:
    """Intersection over union worked out from our run lengths is that of the masks."""
    other = data.draw(arrays(np.bool_, mask.shape))
    runs = [oracle.frPyObjects(encode_mask(one), *mask.shape) for one in (mask, other)]
    either = (mask | other).sum()
    wanted = (mask & other).sum() / either if either else 0
    assert oracle.iou(runs[:1], runs[1:], [0])[0, 0] == pytest.approx(wanted)
