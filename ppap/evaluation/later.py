"""Later and neighbouring systems' own figures, to stand apart from the paper's and from ours.

Only what a public README or paper states, under the protocol that it was measured with, which is
not the paper's: they average the prediction of an image and of its mirror, and most apply a CRF.
Nothing here was measured by this project.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

CAUSE = "ByungKwanLee/Causal-Unsupervised-Segmentation, README"
PRIMAPS = "visinf/primaps, README"
PROTOCOL = "mirror mean; CRF: see source"
ABOUT = (
    "As stated in these methods' own sources: a different protocol (mean over image and mirror "
    "image, mostly with a CRF), different training and partly different backbones. Measured "
    "neither here nor in the paper, so this is not a ranking."
)


class LaterRow(NamedTuple):
    """One system with one backbone on one data set; per cent."""

    system: str
    dataset: str
    """The kind, as ``open_dataset`` takes it."""
    backbone: str
    accuracy: float
    miou: float
    protocol: str
    source: str


def _rows(system: str, source: str, table: str) -> tuple[LaterRow, ...]:
    """Lines of ``data set | backbone | U-Acc U-mIoU``."""
    rows = []
    for line in table.strip().splitlines():
        dataset, backbone, numbers = (part.strip() for part in line.split("|"))
        accuracy, miou = map(float, numbers.split())
        rows.append(LaterRow(system, dataset, backbone, accuracy, miou, PROTOCOL, source))
    return tuple(rows)


ROWS = (
    *_rows("CAUSE-TR", CAUSE, """
cocostuff27  | DINO ViT-S/8    | 69.6 32.4
cocostuff27  | DINO ViT-S/16   | 70.4 33.1
cocostuff27  | DINO ViT-B/8    | 74.9 41.9
cocostuff27  | DINOv2 ViT-B/14 | 78.0 45.3
cityscapes27 | DINO ViT-S/8    | 89.4 24.6
cityscapes27 | DINO ViT-B/8    | 90.8 28.0
cityscapes27 | DINOv2 ViT-B/14 | 89.8 29.9
"""),
    *_rows("PriMaPs-EM", PRIMAPS, """
cocostuff27  | DINO ViT-S/8    | 46.5 16.4
cocostuff27  | DINO ViT-B/8    | 48.5 21.9
cocostuff27  | DINOv2 ViT-B/14 | 52.8 23.6
cityscapes27 | DINO ViT-S/8    | 81.2 19.4
cityscapes27 | DINO ViT-B/8    | 59.6 17.6
cityscapes27 | DINOv2 ViT-B/14 | 82.9 21.3
potsdam3     | DINO ViT-S/8    | 62.5 38.9
potsdam3     | DINO ViT-B/8    | 80.5 67.0
potsdam3     | DINOv2 ViT-B/14 | 83.2 71.1
"""),
    *_rows("HP or STEGO + PriMaPs", PRIMAPS, """
cocostuff27  | DINO ViT-S/8    | 57.8 25.1
cocostuff27  | DINO ViT-B/8    | 57.9 29.7
cityscapes27 | DINO ViT-S/8    | 76.6 19.2
cityscapes27 | DINO ViT-B/8    | 78.6 21.6
potsdam3     | DINO ViT-S/8    | 78.4 64.2
potsdam3     | DINO ViT-B/8    | 83.3 71.0
"""),
)  # fmt: skip


def later_rows(dataset: str) -> list[dict[str, Any]]:
    """What reports keep of a data set's rows: all of them, whatever the backbone; may be none."""
    return [row._asdict() for row in ROWS if row.dataset == dataset]


LATER_HEAD = ("system", "backbone", "U-Acc", "U-mIoU", "protocol", "source")


def later_cells(
    report: Mapping[str, Any], made: Callable[[object], str] = str
) -> list[tuple[str, ...]]:
    """A report's later systems, a row each; ``made`` makes texts fit to print."""
    return [
        (
            made(one["system"]),
            made(one["backbone"]),
            f"{one['accuracy']:.1f}",
            f"{one['miou']:.1f}",
            made(one["protocol"]),
            made(one["source"]),
        )
        for one in report.get("later", ())
    ]


def later_reply(report: Mapping[str, Any]) -> dict[str, Any]:
    """The same as a page shows it: titles of columns, rows of texts, and what must be said."""
    return {"head": LATER_HEAD, "rows": later_cells(report), "about": ABOUT}
