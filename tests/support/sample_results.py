"""Makes what Study, Train and Evaluate show before there is anything of one's own.

``python -m tests.support.sample_results`` trains and studies the six sample photos, a few minutes
on two cores, and replaces ``assets/samples/results``; ``--made DIR`` packs what an earlier call
left in DIR, and ``--only study`` leaves the run as it is.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ppap.evaluation.pictures import UNMATCHED_COLOUR
from ppap.places import ROOT
from ppap.studio.sample import RUN, STUDY, map_file

TRAIN = ("trainers.train", "samples", "--set", "log_every=2", "validate_every=10")
STUDIED = ("trainers.study", "--kind", "samples", "--size", "448")
SIDE, GAP = 320, 4  # of the report's strips


def main() -> None:
    """Make, and pack."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--made", type=Path, metavar="DIR")
    parser.add_argument("--only", choices=["study"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = given.made or Path(name)
        if given.made is None:
            make(work, train=given.only is None)
        pack_study(work)
        if given.only is None:
            pack_run(work)


def make(work: Path, *, train: bool) -> None:
    """Train and study into ``work``."""
    run = [*TRAIN, "--out", str(work / "sample"), "--cache", str(work / "cache")]
    for words in ([run] if train else []) + [[*STUDIED, "--out", str(work / "study")]]:
        subprocess.run([sys.executable, "-m", *words], cwd=ROOT, check=True)


def pack_study(work: Path) -> None:
    """Keep of the study in ``work`` what cannot be made again at once."""
    shutil.rmtree(STUDY, ignore_errors=True)
    STUDY.mkdir(parents=True)
    study = read(work / "study" / "study.json")
    write(STUDY / "study.json", study, work)
    for figure in (work / "study").glob("*.svg"):
        shutil.copyfile(figure, STUDY / figure.name)


def pack_run(work: Path) -> None:
    """Keep of the run in ``work`` what cannot be made again at once."""
    shutil.rmtree(RUN, ignore_errors=True)
    RUN.mkdir(parents=True)
    run = work / "sample"
    for name in ("config.json", "state.json", "report.json"):
        content = read(run / name)
        for machine in ("pid", "started"):
            content.pop(machine, None)
        write(RUN / name, content, work)
    for name in ("metrics.jsonl", "log.txt"):
        (RUN / name).write_text(elsewhere((run / name).read_text(), work))
    report = read(run / "report.json")
    table = {tuple(colour): i for i, colour in enumerate(report["colours"])}
    table[UNMATCHED_COLOUR] = 255
    index = {one["name"]: one["index"] for one in report["images"]}
    for file in (run / "report").glob("*-*-*.png"):
        sheet = np.asarray(Image.open(file).convert("RGB"))
        for place, kind in ((2, "cluster"), (3, "linear")):
            left = place * (SIDE + GAP)
            ids = ids_of(sheet[:, left : left + SIDE], table)
            where = map_file(index[file.stem.split("-", 2)[2]], kind)
            where.parent.mkdir(exist_ok=True)
            Image.fromarray(ids).save(where, optimize=True)


def ids_of(colours: np.ndarray, table: dict[tuple[int, ...], int]) -> np.ndarray:
    """Colours as the classes that they stand for, uint8 ``(S, S)``."""
    found, inverse = np.unique(colours.reshape(-1, 3), axis=0, return_inverse=True)
    ids = np.array([table[tuple(map(int, colour))] for colour in found], np.uint8)
    return ids[inverse.reshape(-1)].reshape(colours.shape[:2])


def read(file: Path) -> dict[str, Any]:
    """A file of JSON."""
    found: dict[str, Any] = json.loads(file.read_text())
    return found


def write(file: Path, content: dict[str, Any], work: Path) -> None:
    """A file of JSON, without the places where it was made."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    file.write_text(elsewhere(text, work) + "\n")


def elsewhere(text: str, work: Path) -> str:
    """As if it had been made in a checkout's folder of runs."""
    return text.replace(f"{work}/", "runs/").replace(f"{ROOT}/", "")


if __name__ == "__main__":
    main()
