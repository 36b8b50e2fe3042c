"""Files of strangers: very many, one of them broken; and files that would run something."""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ppap.backbones import BackboneError, load_backbone
from ppap.checkpoints.opening import load_segmenter
from ppap.checkpoints.own import load_checkpoint
from ppap.data import preflight
from tests.soak.conftest import Tell

FILES = int(os.environ.get("SOAK_FILES", "100000"))
DISTINCT = 50


def test_one_broken_picture_of_a_hundred_thousand(tmp_path: Path, tell: Tell) -> None:
    chance = np.random.default_rng(0)
    made = tmp_path / "made"
    made.mkdir()
    for number in range(DISTINCT):
        coarse = chance.integers(0, 256, (12, 16, 3), np.uint8)
        Image.fromarray(coarse).resize((320, 240)).save(made / f"{number}.jpg")
        ids = chance.integers(0, 3, (12, 16)).astype(np.uint8).repeat(20, 0).repeat(20, 1)
        Image.fromarray(ids).save(made / f"{number}.png")
    data = tmp_path / "data"
    for part in ("images", "labels"):
        (data / part).mkdir(parents=True)
    (data / "classes.txt").write_text("a\nb\nc\n")
    for number in range(FILES):
        os.link(made / f"{number % DISTINCT}.jpg", data / "images" / f"{number:06}.jpg")
        os.link(made / f"{number % DISTINCT}.png", data / "labels" / f"{number:06}.png")
    broken = data / "images" / f"{FILES * 2 // 3:06}.jpg"
    whole = broken.read_bytes()
    broken.unlink()
    broken.write_bytes(whole[: len(whole) // 2])
    began = time.monotonic()
    errors = [f for f in preflight(data, "folder", split="all") if f.severity == "error"]
    seconds = time.monotonic() - began
    assert [Path(one.file).name for one in errors] == [broken.name]
    tell(f"{FILES:,} JPEGs with label maps, one cut short", f"found in {seconds:.0f} s")


class Runs:
    """Unpickled, it calls something."""

    def __init__(self, function: Callable[..., Any], *given: Any) -> None:
        self.call = (function, given)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def calls(mark: Path) -> list[Runs]:
    """Ways to leave a mark."""
    code = f"open({str(mark)!r}, 'w').close()"
    return [
        Runs(os.system, f"touch {mark}"),
        Runs(os.mkdir, str(mark)),
        Runs(eval, code),
        Runs(exec, code),
        Runs(open, str(mark), "w"),
        Runs(__import__("subprocess").check_output, ["touch", str(mark)]),
        Runs(__import__("subprocess").Popen, ["touch", str(mark)]),
        Runs(Path.touch, mark),
        Runs(__import__("pathlib").Path.write_text, mark, "x"),
        Runs(__import__("shutil").copy, "/etc/hostname", str(mark)),
        Runs(__import__("runpy").run_path, str(mark.with_suffix(".py"))),
        Runs(__import__("importlib").import_module, "antigravity"),
        Runs(np.save, str(mark), np.zeros(1)),
        Runs(torch.save, 1, str(mark)),
        Runs(__import__("builtins").compile, code, "x", "exec"),
        Runs(__import__("os").symlink, "/etc/hostname", str(mark)),
        Runs(__import__("tempfile").mkstemp, "", mark.name, str(mark.parent)),
    ]


def packings(bad: Runs, file: Path) -> None:
    """Three files with it: alone in a pickle, and in both formats of torch."""
    file.with_suffix(".pkl").write_bytes(pickle.dumps(bad))
    weights = {"blocks.0.norm1.weight": torch.zeros(3), "x": bad}
    torch.save({"state_dict": weights, "config": bad}, file.with_suffix(".pt"))
    torch.save(weights, file.with_suffix(".pth"), _use_new_zipfile_serialization=False)


def test_pickles_that_would_run_something(tmp_path: Path, tell: Tell) -> None:
    marks = tmp_path / "marks"
    marks.mkdir()
    mark = marks / "mark"
    mark.with_suffix(".py").write_text(f"open({str(mark)!r}, 'w').close()")
    # Read without care, they do.
    pickle.loads(pickle.dumps(Runs(os.mkdir, str(tmp_path / "ran"))))
    assert (tmp_path / "ran").is_dir()
    before = sorted(marks.iterdir())
    files = tmp_path / "files"
    files.mkdir()
    for number, bad in enumerate(calls(mark)):
        packings(bad, files / f"{number:02}")
    count = 0
    for file in sorted(files.iterdir()):
        for read in (load_backbone, load_checkpoint, load_segmenter):
            with pytest.raises(BackboneError):
                read(file)
        count += 1
    assert sorted(marks.iterdir()) == before
    assert count == 51
    tell(f"{count} pickles that would run something", "none ran, by any of three readers")
