"""Later systems' figures: as their sources state them, and never without what must be said."""

from __future__ import annotations

import pytest

from ppap.data import KINDS
from ppap.evaluation.later import ABOUT, LATER_HEAD, ROWS, later_cells, later_reply, later_rows
from ppap.evaluation.paper import ROWS as PAPER


@pytest.mark.parametrize(
    ("system", "dataset", "backbone", "accuracy", "miou"),
    [
        ("CAUSE-TR", "cocostuff27", "DINO ViT-S/16", 70.4, 33.1),
        ("CAUSE-TR", "cityscapes27", "DINOv2 ViT-B/14", 89.8, 29.9),
        ("PriMaPs-EM", "cityscapes27", "DINO ViT-B/8", 59.6, 17.6),
        ("PriMaPs-EM", "potsdam3", "DINOv2 ViT-B/14", 83.2, 71.1),
        ("HP or STEGO + PriMaPs", "potsdam3", "DINO ViT-S/8", 78.4, 64.2),
    ],
)
def test_some_figures(
    system: str, dataset: str, backbone: str, accuracy: float, miou: float
) -> None:
    (row,) = (
        row
        for row in ROWS
        if (row.system, row.dataset, row.backbone) == (system, dataset, backbone)
    )
    assert (row.accuracy, row.miou) == (accuracy, miou)


def test_every_row_says_where_it_is_from_and_is_no_row_of_the_paper() -> None:
    assert len(ROWS) == 22
    assert {row.dataset for row in ROWS} <= set(KINDS)
    assert len({row[:3] for row in ROWS}) == len(ROWS)
    for row in ROWS:
        assert "README" in row.source
        assert "mirror" in row.protocol
    assert not {row.system for row in ROWS} & {row.method for row in PAPER}


def test_reports_keep_those_of_their_data_set() -> None:
    rows = later_rows("potsdam3")
    assert [row["accuracy"] for row in rows] == [62.5, 80.5, 83.2, 78.4, 83.3]
    assert later_rows("camvid") == []
    cells = later_cells({"later": rows}, lambda text: f"<{text}>")
    assert cells[0][:4] == ("<PriMaPs-EM>", "<DINO ViT-S/8>", "62.5", "38.9")
    reply = later_reply({"later": rows})
    assert (reply["head"], reply["about"], len(reply["rows"])) == (LATER_HEAD, ABOUT, 5)
    assert later_reply({})["rows"] == []
