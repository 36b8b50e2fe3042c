"""The paper's own figures (Tables 1–6 and 8–10), to stand beside what is measured here."""

from __future__ import annotations

import re
from typing import NamedTuple

# Names of the paper's methods, by the rule that trains them here.
METHODS = {
    "frozen": "frozen backbone",
    "stego": "STEGO",
    "hp": "HP",
    "ppap": "PPAP",
    "baseline": "baseline",
    "tps": "TPS only",
    "ans": "ANS only",
}
_SSL_VIT = re.compile(r"(DINO|iBOT|SelfPatch|MAE) (ViT-[SB]/\d+)\b(?! \(random)")


class PaperRow(NamedTuple):
    """One line of a table; per cent, None where the paper gives nothing."""

    table: int
    dataset: str
    """The kind, as ``open_dataset`` takes it."""
    backbone: str
    method: str
    """A value of METHODS where there is such a rule; otherwise the paper's name."""
    crf: bool
    cluster_accuracy: float | None
    cluster_miou: float | None
    linear_accuracy: float | None
    linear_miou: float | None


class DistanceRow(NamedTuple):
    """Table 4: mIoU of distance matching on ImageNet-S, by its number of classes."""

    backbone: str
    method: str
    miou: dict[int, float | None]


class FrequencyRow(NamedTuple):
    """Table 8, on COCO-Stuff: mIoU by how frequent the classes are.

    The paper says neither which backbone nor which probe; "all" is near the linear probe's mIoU of
    ViT-S/8 in Table 1.
    """

    method: str
    few: float
    medium: float
    many: float
    all: float


class TrustRow(NamedTuple):
    """Table 6: how large the sets are and how much of them is right, over sampled images."""

    dataset: str
    backbone: str
    method: str
    positives: int
    true_positives: float
    """Per cent of the positives."""
    negatives: int
    """To the nearest thousand."""
    false_negatives: float
    """Per cent of the negatives that share the anchor's class ("FP in N" in the paper)."""


def _number(text: str) -> float | None:
    return None if text == "-" else float(text)


def _rows(table: str) -> tuple[PaperRow, ...]:
    """Lines of ``table | data set | backbone | method | CRF | four numbers``."""
    rows = []
    for line in table.strip().splitlines():
        number, dataset, backbone, method, crf, scores = (p.strip() for p in line.split("|"))
        a, b, c, d = (_number(score) for score in scores.split())
        rows.append(PaperRow(int(number), dataset, backbone, method, crf == "crf", a, b, c, d))
    return tuple(rows)


# Section 4.1: a CRF refines both probes' predictions, hence "crf" in all but some lines of
# Table 10. Table 9 does not name its data set; its text and its numbers are COCO-Stuff's. (Of MAE
# the text gives a cluster mIoU of 4.3 for the frozen backbone, without saying which ViT.)
ROWS = _rows("""
1  | cocostuff27  | R18+FPN         | DC              | crf | 19.9 -    -    -
1  | cocostuff27  | R18+FPN         | MDC             | crf | 32.2 9.8  48.6 13.3
1  | cocostuff27  | R18+FPN         | IIC             | crf | 21.8 6.7  44.5 8.4
1  | cocostuff27  | R18+FPN         | PiCIE           | crf | 48.1 13.8 54.2 13.9
1  | cocostuff27  | R18+FPN         | PiCIE+H         | crf | 50.0 14.4 54.8 14.8
1  | cocostuff27  | DINO ViT-S/8    | frozen backbone | crf | 28.7 11.3 68.6 33.9
1  | cocostuff27  | DINO ViT-S/8    | TransFGU        | crf | 52.7 17.5 -    -
1  | cocostuff27  | DINO ViT-S/8    | STEGO           | crf | 48.3 24.5 74.4 38.3
1  | cocostuff27  | DINO ViT-S/8    | HP              | crf | 57.2 24.6 75.6 42.7
1  | cocostuff27  | DINO ViT-S/8    | PPAP            | crf | 59.0 27.2 76.9 46.3
1  | cocostuff27  | DINO ViT-S/16   | frozen backbone | crf | 22.0 8.0  50.3 18.1
1  | cocostuff27  | DINO ViT-S/16   | STEGO           | crf | 52.5 23.7 70.6 34.5
1  | cocostuff27  | DINO ViT-S/16   | HP              | crf | 54.5 24.3 74.1 39.1
1  | cocostuff27  | DINO ViT-S/16   | PPAP            | crf | 62.9 26.5 76.0 43.3
2  | cityscapes27 | R18+FPN         | MDC             | crf | 40.7 7.1  -    -
2  | cityscapes27 | R18+FPN         | IIC             | crf | 47.9 6.4  -    -
2  | cityscapes27 | R18+FPN         | PiCIE           | crf | 65.5 12.3 -    -
2  | cityscapes27 | DINO ViT-S/8    | frozen backbone | crf | 34.5 10.9 84.6 22.8
2  | cityscapes27 | DINO ViT-S/8    | TransFGU        | crf | 77.9 16.8 -    -
2  | cityscapes27 | DINO ViT-S/8    | HP              | crf | 80.1 18.4 91.2 30.6
2  | cityscapes27 | DINO ViT-S/8    | PPAP            | crf | 82.0 19.6 90.8 31.5
2  | cityscapes27 | DINO ViT-B/8    | frozen backbone | crf | 43.6 11.8 84.2 23.0
2  | cityscapes27 | DINO ViT-B/8    | STEGO           | crf | 73.2 21.0 90.3 26.8
2  | cityscapes27 | DINO ViT-B/8    | HP              | crf | 79.5 18.4 90.9 33.0
2  | cityscapes27 | DINO ViT-B/8    | PPAP            | crf | 83.3 21.2 91.4 36.5
3  | potsdam3     | VGG11           | Rand. CNN       | crf | 38.2 -    -    -
3  | potsdam3     | VGG11           | K-Means         | crf | 45.7 -    -    -
3  | potsdam3     | VGG11           | SIFT            | crf | 38.2 -    -    -
3  | potsdam3     | VGG11           | CP              | crf | 49.6 -    -    -
3  | potsdam3     | VGG11           | CC              | crf | 63.9 -    -    -
3  | potsdam3     | VGG11           | DeepCluster     | crf | 41.7 -    -    -
3  | potsdam3     | VGG11           | IIC             | crf | 65.1 -    -    -
3  | potsdam3     | DINO ViT-B/8    | frozen backbone | crf | 53.0 -    -    -
3  | potsdam3     | DINO ViT-B/8    | STEGO           | crf | 77.0 -    -    -
3  | potsdam3     | DINO ViT-B/8    | HP              | crf | 82.4 69.7 -    -
3  | potsdam3     | DINO ViT-B/8    | PPAP            | crf | 83.2 71.0 -    -
5  | cocostuff27  | DINO ViT-S/16   | baseline        | crf | 49.1 22.9 -    -
5  | cocostuff27  | DINO ViT-S/16   | TPS only        | crf | 53.7 25.0 -    -
5  | cocostuff27  | DINO ViT-S/16   | ANS only        | crf | 55.5 25.1 -    -
5  | cocostuff27  | DINO ViT-S/16   | PPAP            | crf | 62.9 26.5 -    -
9  | cocostuff27  | iBOT ViT-S/16   | frozen backbone | crf | 39.2 11.8 -    -
9  | cocostuff27  | iBOT ViT-S/16   | HP              | crf | 53.2 23.0 -    -
9  | cocostuff27  | iBOT ViT-S/16   | PPAP            | crf | 62.4 26.0 -    -
9  | cocostuff27  | iBOT ViT-B/16   | frozen backbone | crf | 35.7 15.0 -    -
9  | cocostuff27  | iBOT ViT-B/16   | HP              | crf | 51.1 22.4 -    -
9  | cocostuff27  | iBOT ViT-B/16   | PPAP            | crf | 63.4 27.6 -    -
9  | cocostuff27  | SelfPatch ViT-S/16 | frozen backbone | crf | 35.1 12.3 -  -
9  | cocostuff27  | SelfPatch ViT-S/16 | STEGO        | crf | 52.4 22.2 -    -
9  | cocostuff27  | SelfPatch ViT-S/16 | HP           | crf | 56.1 23.2 -    -
9  | cocostuff27  | SelfPatch ViT-S/16 | PPAP         | crf | 57.8 23.7 -    -
10 | cocostuff27  | DINO ViT-S/8    | HP              | -   | 56.2 23.9 73.7 40.4
10 | cocostuff27  | DINO ViT-S/8    | HP              | crf | 57.2 24.6 75.6 42.7
10 | cocostuff27  | DINO ViT-S/8    | PPAP            | -   | 57.4 26.6 76.0 45.4
10 | cocostuff27  | DINO ViT-S/8    | PPAP            | crf | 59.0 27.2 76.9 46.3
10 | cocostuff27  | DINO ViT-S/16   | HP              | -   | 52.7 23.2 71.9 37.1
10 | cocostuff27  | DINO ViT-S/16   | HP              | crf | 54.5 24.3 74.1 39.1
10 | cocostuff27  | DINO ViT-S/16   | PPAP            | -   | 59.9 25.0 74.3 42.1
10 | cocostuff27  | DINO ViT-S/16   | PPAP            | crf | 62.9 26.5 76.0 43.3
""")

# HP's and the frozen backbone's rows are the authors' reproductions.
DISTANCE = (
    DistanceRow("ResNet-50", "SwAV", {919: 15.1, 300: 22.4, 50: None}),
    DistanceRow("ResNet-50", "PASS", {919: 15.6, 300: 25.1, 50: None}),
    DistanceRow("DINO ViT-S/16", "frozen backbone", {919: 7.3, 300: 12.0, 50: 22.8}),
    DistanceRow("DINO ViT-S/16", "HP", {919: 8.6, 300: 14.4, 50: 29.5}),
    DistanceRow("DINO ViT-S/16", "PPAP", {919: 25.7, 300: 37.3, 50: 59.3}),
)

FREQUENCY = (
    FrequencyRow("HP", 28.9, 47.1, 75.6, 42.0),
    FrequencyRow("PPAP", 32.9, 50.9, 76.2, 45.6),
)

TRUST = (
    TrustRow("cityscapes27", "DINO ViT-S/8", "HP", 78, 88.83, 50_000, 21.33),
    TrustRow("cityscapes27", "DINO ViT-S/8", "PPAP", 1838, 90.18, 43_000, 14.22),
    TrustRow("cocostuff27", "DINO ViT-S/8", "HP", 142, 81.98, 50_000, 7.34),
    TrustRow("cocostuff27", "DINO ViT-S/8", "PPAP", 288, 87.15, 46_000, 5.92),
    TrustRow("potsdam3", "DINO ViT-B/8", "HP", 136, 83.60, 50_000, 34.08),
    TrustRow("potsdam3", "DINO ViT-B/8", "PPAP", 194, 88.62, 30_000, 29.01),
)


def backbone_in_paper(title: str) -> str | None:
    """``DINO ViT-S/16 (file.pth)`` → ``DINO ViT-S/16``; None for what the paper does not use."""
    found = _SSL_VIT.match(title)
    return None if found is None else f"{found[1]} {found[2]}"


def rows_for(dataset: str, backbone: str | None, rule: str) -> list[PaperRow]:
    """The paper's figures for a data set, a backbone's title and a rule, each once.

    Without CRF first. A row that is in several tables is taken from the first; Table 5's and 10's
    lines with CRF repeat Table 1's.
    """
    name, method = backbone_in_paper(backbone or ""), METHODS.get(rule)
    found: dict[bool, PaperRow] = {}
    for row in ROWS:
        if name is not None and (row.dataset, row.backbone, row.method) == (dataset, name, method):
            found.setdefault(row.crf, row)
    return [found[crf] for crf in (False, True) if crf in found]


def distance_for(classes: int, backbone: str | None, rule: str) -> float | None:
    """Table 4's mIoU for ImageNet-S of that many classes ("other" not counted)."""
    name, method = backbone_in_paper(backbone or ""), METHODS.get(rule)
    for row in DISTANCE:
        if (row.backbone, row.method) == (name, method):
            return row.miou.get(classes)
    return None


def frequency_for(dataset: str, rule: str) -> FrequencyRow | None:
    """Table 8's row; it is about COCO-Stuff alone."""
    rows = FREQUENCY if dataset == "cocostuff27" else ()
    return next((row for row in rows if row.method == METHODS.get(rule)), None)
