"""The paper's figures, held against each other and against what its text works out from them."""

from __future__ import annotations

import pytest

from ppap.data import KINDS
from ppap.evaluation.paper import (
    DISTANCE,
    FREQUENCY,
    METHODS,
    ROWS,
    TRUST,
    PaperRow,
    backbone_in_paper,
    distance_for,
    frequency_for,
    rows_for,
)
from ppap.rivals import RULES

COCO, S16, S8 = "cocostuff27", "DINO ViT-S/16", "DINO ViT-S/8"


def the(rows: list[PaperRow]) -> PaperRow:
    (row,) = rows
    return row


def row(table: int, backbone: str, method: str, crf: bool = True) -> PaperRow:
    return the(
        [
            r
            for r in ROWS
            if (r.table, r.backbone, r.method, r.crf) == (table, backbone, method, crf)
        ]
    )


def gain(new: float | None, old: float | None) -> float:
    assert new is not None
    assert old is not None
    return 100 * (new - old) / old


def test_tables_5_and_10_repeat_table_1() -> None:
    for backbone in (S8, S16):
        for method in ("HP", "PPAP"):
            assert row(10, backbone, method)[5:] == row(1, backbone, method)[5:]
    assert row(5, S16, "PPAP")[5:7] == row(1, S16, "PPAP")[5:7]


def test_gains_that_the_text_names() -> None:
    ours, hp = row(1, S16, "PPAP"), row(1, S16, "HP")
    assert gain(ours.cluster_accuracy, hp.cluster_accuracy) == pytest.approx(15.41, abs=0.01)
    assert gain(ours.cluster_miou, hp.cluster_miou) == pytest.approx(9.05, abs=0.01)
    baseline = row(5, S16, "baseline")
    for method, accuracy, miou in (
        ("TPS only", 9.36, 9.17),
        ("ANS only", 13.03, 9.6),
        ("PPAP", 28.11, 15.72),
    ):
        found = row(5, S16, method)
        assert gain(found.cluster_accuracy, baseline.cluster_accuracy) == pytest.approx(
            accuracy, abs=0.01
        )
        assert gain(found.cluster_miou, baseline.cluster_miou) == pytest.approx(miou, abs=0.01)


def test_claims_of_the_text() -> None:
    for backbone in (S8, S16):  # "outperforms HP with CRF even without CRF"
        without, hp = row(10, backbone, "PPAP", crf=False), row(10, backbone, "HP")
        assert without.cluster_miou is not None
        assert hp.cluster_miou is not None
        assert without.cluster_miou > hp.cluster_miou
    hp_trust, ours = TRUST[:2]
    assert round(ours.positives / hp_trust.positives) in (23, 24)  # "23×"
    assert all(one.true_positives > 75 for one in TRUST)
    assert [one.method for one in FREQUENCY] == ["HP", "PPAP"]


def test_numbers_are_per_cent_and_accuracy_is_above_miou() -> None:
    for one in ROWS:
        assert one.dataset in KINDS
        for accuracy, miou in (one[5:7], one[7:9]):
            assert accuracy is None or 0 < accuracy < 100
            assert miou is None or (accuracy is not None and 0 < miou < accuracy)
    assert {one.table for one in ROWS} == {1, 2, 3, 5, 9, 10}
    assert len(ROWS) == 14 + 11 + 11 + 4 + 10 + 8


def test_every_rule_of_the_paper_is_one_of_ours() -> None:
    assert set(METHODS) - {"frozen", "stego"} <= set(RULES)
    ours = [one for one in ROWS if one.backbone.split()[0] in ("DINO", "iBOT", "SelfPatch")]
    assert {one.method for one in ours} - {"TransFGU"} == set(METHODS.values())


def test_rows_for() -> None:
    without, crf = rows_for(COCO, "DINO ViT-S/8", "ppap")
    assert (without.table, without.crf, without.cluster_miou) == (10, False, 26.6)
    assert (crf.table, crf.crf, crf.cluster_miou) == (1, True, 27.2)
    assert the(rows_for(COCO, "DINO ViT-S/16 (dino.pth)", "tps")).cluster_accuracy == 53.7
    assert the(rows_for("cityscapes27", "DINO ViT-B/8", "stego")).linear_miou == 26.8
    assert the(rows_for(COCO, "iBOT ViT-B/16 (ibot.pth)", "frozen")).cluster_miou == 15.0
    assert rows_for("camvid", "DINO ViT-S/8", "ppap") == []
    assert rows_for(COCO, "EfficientNet-Lite0 (ImageNet-supervised)", "ppap") == []
    assert rows_for(COCO, None, "ppap") == []
    assert rows_for(COCO, "DINO ViT-S/8", "knn") == []


def test_random_weights_are_no_backbone_of_the_paper() -> None:
    assert backbone_in_paper("DINO ViT-S/16 (random weights)") is None
    assert backbone_in_paper("DINO ViT-S/16") == S16
    assert backbone_in_paper("DINOv2 ViT-S/14") is None


def test_distance_and_frequency() -> None:
    assert distance_for(50, "DINO ViT-S/16", "ppap") == 59.3
    assert distance_for(919, "DINO ViT-S/16", "frozen") == 7.3
    assert distance_for(919, "DINO ViT-B/8", "ppap") is None
    assert distance_for(17, "DINO ViT-S/16", "ppap") is None
    assert all(set(one.miou) == {919, 300, 50} for one in DISTANCE)
    found = frequency_for(COCO, "ppap")
    assert found is not None
    assert (found.few, found.all) == (32.9, 45.6)
    assert frequency_for("camvid", "ppap") is None
    assert frequency_for(COCO, "knn") is None
