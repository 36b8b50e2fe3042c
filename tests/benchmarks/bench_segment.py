"""Segment: time per picture, with PAMR and the CRF; and that memory is flat over a long folder.

Run from the project's folder: ``python -m tests.benchmarks.bench_segment`` (five minutes on two
cores). The photos are parts of the sample photos, 480 pixels wide; each length of folder is
segmented, looked at and taken away in a process of its own, whose peak counts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent.parent.parent))

from ppap.data import samples_dataset
from ppap.studio.checkpoints import Checkpoints, CrfProcesses
from ppap.studio.loading import Loader
from ppap.studio.segment.server import Segmenting
from ppap.studio.sources import Sources
from ppap.studio.store import BatchStore

# A long folder's peak may be so many times a short one's.
LIMIT = 1.15


def draw(folder: Path, count: int, width: int = 480) -> None:
    """So many photos: other parts of the sample photos each."""
    chance = np.random.default_rng(0)
    samples = samples_dataset()
    photos = [Image.fromarray(samples.load(i).photo.rgb) for i in range(len(samples))]
    folder.mkdir(parents=True)
    for n in range(count):
        photo = photos[n % len(photos)]
        share = chance.uniform(0.6, 1)
        across, down = (round(side * share) for side in photo.size)
        left, top = (
            int(chance.integers(0, side - part + 1))
            for side, part in zip(photo.size, (across, down), strict=True)
        )
        part = photo.crop((left, top, left + across, top + down))
        part = part.resize((width, max(1, round(width * down / across))))
        part.save(folder / f"photo {n:04}.jpg", quality=90)


def peak() -> float:
    """MB that this process has held at the most."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def segmenting(root: Path) -> Segmenting:
    """The studio's side of the page."""
    (root / "uploads").mkdir(exist_ok=True)
    sources = Sources([], uploads=root / "uploads", any_folder=True)
    loader = Loader(BatchStore(), sources, backbone="embedded")
    return Segmenting(
        loader, Checkpoints(root / "runs", sources), CrfProcesses(), backbone="embedded"
    )


def alone(folder: Path, refine: str) -> None:
    """Segment a folder and take it away; for a fresh process."""
    with tempfile.TemporaryDirectory() as place:
        page = segmenting(Path(place))
        start = time.perf_counter()
        asked = {"source": "folder", "folder": str(folder), "size": 224, "refine": refine}
        result = page.run(asked)
        taken = time.perf_counter() - start
        count = len(result.done)
        start = time.perf_counter()
        for image in range(0, count, 7):
            result.photo(image)
            result.drawing(image, "clusters")
        file = Path(place) / "all.zip"
        page.packing.zip({"result": result.key, "photos": True}, file)
        packed = time.perf_counter() - start
        print(
            f"{count:4} pictures: {1000 * taken / count:5.0f} ms each; ZIP with photos "
            f"{1000 * packed / count:4.0f} ms each, {file.stat().st_size / 2**20:.0f} MB; "
            f"peak {peak():.0f} MB",
            flush=True,
        )
        page.close()


def refinements(root: Path, rounds: int) -> None:
    """Time per sample photo without, with PAMR, and with the CRF, 448 pixels and 8 clusters."""
    page = segmenting(root)
    kept = page.run({"source": "samples"}).pictures.key
    for refine in ("none", "pamr", "crf"):
        if refine == "crf" and page.crf.why_not():
            print(page.crf.why_not())
            continue
        asked = {"source": "samples", "of": kept, "refine": refine}
        if refine == "crf":
            page.run(asked)  # processes are up after this
        # Photos and features are at hand: what is timed is the segmenting alone.
        best = min(page.run(asked).seconds for _ in range(rounds))
        print(f"{refine:5} {1000 * best:6.0f} ms per sample photo")
    page.crf.close()
    page.close()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lengths", type=int, nargs="+", default=[60, 600])
    parser.add_argument("--refinements", type=int, default=3, help="rounds; the best counts")
    parser.add_argument("--alone", type=Path)
    parser.add_argument("--refine", default="none")
    arguments = parser.parse_args()
    if arguments.alone:
        alone(arguments.alone, arguments.refine)
        return
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as root:
        if arguments.refinements:
            refinements(Path(root), arguments.refinements)
        peaks = []
        for count in arguments.lengths:
            folder = Path(root) / str(count)
            draw(folder, count)
            command = [
                sys.executable,
                "-m",
                "tests.benchmarks.bench_segment",
                "--alone",
                str(folder),
            ]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            print(done.stdout.strip(), flush=True)
            peaks.append(float(done.stdout.rpartition("peak ")[2].split()[0]))
        print(f"peak of the longest / of the shortest: {peaks[-1] / peaks[0]:.2f} (limit {LIMIT})")


if __name__ == "__main__":
    main()
