from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ppap.data import VOID_COLOUR
from tests.support.small_runs import Place
from trainers.runs.folder import Run
from trainers.runs.pictured import FILE, Pictured, as_reply, read_pictured, write_pictured
from trainers.runs.standing import Reading

ABOUT = Pictured("val", ["sky", "sea"], [[1, 2, 3], [4, 5, 6]], images={0: "a.png", 12: "b.png"})
REPORT = {
    "classes": ["sky"],
    "colours": [[7, 8, 9]],
    "images": [{"index": 3, "name": "c"}, {"index": "4", "name": "d"}, 5],
}


def test_it_is_written_and_read(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    write_pictured(tmp_path, ABOUT)
    assert read_pictured(tmp_path, Reading()) == ABOUT


def test_a_validation_tells_what_it_drew(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.train("run", place.config(epochs=1))
    run = Run(tmp_path / "run")
    about = read_pictured(run.folder, Reading())
    assert about.split == "val"
    assert list(about.images.values()) == ["p3", "p7"]
    (strip,) = run.pictures.glob("*-image-0000.png")
    with Image.open(strip) as opened:
        truth = opened.crop((opened.height, 0, 2 * opened.height, opened.height))
        drawn = {tuple(colour) for colour in np.asarray(truth).reshape(-1, 3).tolist()}
    assert drawn <= {tuple(colour) for colour in [*about.colours, about.none]}
    reply = as_reply("run", run.folder, Reading())
    assert (reply["steps"], reply["images"]) == ([5], [0, 1])
    assert reply["names"] == {"0": "p3", "1": "p7"}


def test_older_runs_tell_it_in_their_report(tmp_path: Path) -> None:
    (tmp_path / "report.json").write_text(json.dumps(REPORT))
    (tmp_path / "config.json").write_text('{"eval_split": "test"}')
    found = read_pictured(tmp_path, Reading())
    assert found == Pictured("test", ["sky"], [[7, 8, 9]], list(VOID_COLOUR), {3: "c"})
    # Held-out images are not those of the report.
    (tmp_path / "config.json").write_text('{"selection": "held_out", "eval_split": "test"}')
    found = read_pictured(tmp_path, Reading())
    assert (found.split, found.classes, found.images) == ("held out", ["sky"], {})


def test_whatever_stands_in_names_can_be_sent(tmp_path: Path) -> None:
    (tmp_path / "pictures").mkdir()
    odd = {"split": "\ud800", "classes": ["\ud800"], "colours": [[1, 2, 3]]}
    (tmp_path / "pictures" / FILE).write_text(json.dumps({**odd, "images": {"0": "\ud800"}}))
    (tmp_path / "pictures" / "step-00000001-image-0000.png").write_bytes(b"")
    json.dumps(as_reply("run", tmp_path, Reading()), ensure_ascii=False).encode()
    (tmp_path / "pictures" / FILE).unlink()
    report = {**odd, "images": [{"index": 0, "name": "\ud800"}]}
    (tmp_path / "report.json").write_text(json.dumps(report))
    json.dumps(as_reply("run", tmp_path, Reading()), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    "said",
    [
        {"split": 3},
        {"classes": ["a"], "colours": []},
        {"classes": ["a"], "colours": [[1, 2, 300]]},
        {"classes": [1], "colours": [[1, 2, 3]]},
        {"classes": "a", "colours": "b"},
        {"images": {"x": "a", "-1": "b", "9" * 12: "c"}},
        {"images": [1], "none": [1, 2]},
    ],
)
def test_what_makes_no_sense_is_left_out(tmp_path: Path, said: dict[str, Any]) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / FILE).write_text(json.dumps(said))
    assert read_pictured(tmp_path, Reading()) == Pictured()


def test_nothing_is_told_where_there_is_nothing(tmp_path: Path) -> None:
    reply = as_reply("run", tmp_path, Reading())
    assert (reply["steps"], reply["images"], reply["classes"]) == ([], [], [])
