"""``python -m trainers.crops``: write the five crops of every image of a data set."""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from trainers.command import (
    DONE,
    FAILED,
    INTERRUPTED,
    WRONG,
    Parser,
    as_command,
    expanded,
    say,
    whole_number,
)
from trainers.cropping.kinds import DATASETS

if TYPE_CHECKING:
    from pathlib import Path

    from ppap.data import Dataset
    from trainers.cropping.writing import Plan

PROGRAM = "python -m trainers.crops"
LEAST_RATIO = 0.01
MOST_WORKERS = 1024

DESCRIPTION = """\
Write the five crops of every image of a data set: its four corners and its middle, each half as
high and as wide. The published training reads these files, and reading them is faster than cutting
crops from whole images every time.

The crops of image i are img/SPLIT/{5i … 5i+4}.jpg (top left, top right, bottom left, bottom right,
middle); label/SPLIT holds PNG files of the same numbers, with 0 for void and 1 more than the class
id otherwise. What they were made from is written next to them, in crops_SPLIT.json.

The data set is checked first: if a file is missing or broken, nothing is written. A run that was
stopped, by Ctrl+C or otherwise, leaves only whole files; the same command continues from there.
"""
EPILOG = """\
examples:
  python -m trainers.crops cocostuff27 --data /data/cocostuff
      → /data/cocostuff/cropped/cocostuff27_five_crop_0.5
  python -m trainers.crops camvid --data data/camvid --split val --out /scratch
      → /scratch/camvid_five_crop_0.5
  python -m trainers.crops folder --data ~/photos --ratio 0.7 --workers 4

exit status: 0 all crops are there; 1 writing failed (disk full, a process ended); 2 wrong
arguments, or files of the data set that are missing or broken; 130 stopped by Ctrl+C.
"""


def parser() -> Parser:
    """The command line."""
    made = Parser(
        prog=PROGRAM,
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    made.add_argument(
        "dataset",
        metavar="DATASET",
        type=dataset_name,
        help="cocostuff27, cityscapes27, potsdam3, camvid, or folder for your own (images/, "
        "labels/, classes.txt). cityscapes and potsdam, as published, are the same under a "
        "shorter name",
    )
    made.add_argument(
        "--data", metavar="DIR", type=expanded, required=True, help="the data set folder"
    )
    made.add_argument(
        "--split",
        default="train",
        help="the split to crop (default: %(default)s)",
    )
    made.add_argument(
        "--ratio",
        default=0.5,
        type=ratio_number,
        help=f"side of a crop as a fraction of its image's side, from {LEAST_RATIO} to 1 (default: "
        "%(default)s)",
    )
    made.add_argument(
        "--out",
        metavar="FOLDER",
        type=expanded,
        help="where to create the folder DATASET_five_crop_RATIO, or that folder itself (default: "
        "DIR/cropped)",
    )
    made.add_argument(
        "--quality",
        default=95,
        type=whole_number(1, 100),
        help="of the JPEG files, 1 to 100. At the published 75 the values of COCO's images are "
        "off by 6 of 255 (root mean square), at 13 KB per crop; at 95, with colours in full "
        "resolution, by 1.6, at 40 KB (default: %(default)s)",
    )
    made.add_argument(
        "--workers",
        default=None,
        metavar="N",
        type=whole_number(1, MOST_WORKERS),
        help="writing processes (default: one per core)",
    )
    return made


def dataset_name(text: str) -> str:
    """One of DATASETS."""
    if text not in DATASETS:
        near = difflib.get_close_matches(text, DATASETS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(DATASETS)}"
        raise argparse.ArgumentTypeError(f"crops cannot be made for {text!r}: {hint}")
    return text


def ratio_number(text: str) -> float:
    """From LEAST_RATIO to 1."""
    try:
        ratio = float(text)
    except ValueError:
        ratio = -1
    if not LEAST_RATIO <= ratio <= 1:
        raise argparse.ArgumentTypeError(f"must be a number from {LEAST_RATIO} to 1, not {text!r}")
    return ratio


@as_command
def main(given: Sequence[str] | None = None) -> int:
    """Parse the arguments and run; returns the exit status."""
    args = parser().parse_args(given)
    try:
        return run(args)
    except KeyboardInterrupt as stop:
        say(f"Stopped. {str(stop) or 'Nothing was written.'}")
        return INTERRUPTED


def run(args: argparse.Namespace) -> int:
    """Look through the data set, then write what is missing."""
    from ppap.data import DataError  # takes seconds: --help should not
    from trainers.cropping.record import TargetError
    from trainers.cropping.writing import WritingError, plan_crops, target_folder

    data = args.data
    try:
        folder = target_folder(data, args.out, args.dataset, args.ratio)
        dataset = sound(data, DATASETS[args.dataset], args.split)
        if dataset is None:
            return WRONG
        plan = plan_crops(dataset, folder, of=args.dataset, ratio=args.ratio, quality=args.quality)
        write(plan, args.workers)
    except (DataError, TargetError) as error:
        say(str(error))
        return WRONG
    except WritingError as error:
        say(str(error))
        return FAILED
    print(f"All {plan.crops:,} crops of {plan.record.images:,} images are in {folder}")
    return DONE


def sound(data: Path, kind: str, split: str) -> Dataset | None:
    """The data set, if nothing is missing or broken; says what is."""
    from ppap.data import LayoutError, open_dataset, preflight

    try:
        dataset = open_dataset(data, kind=kind, split=split)
    except LayoutError as error:
        argument = "--split" if error.reason.startswith("has no ") else "--data"
        say(f"argument {argument}: {error}")
        return None
    say(f"Checking {len(dataset):,} images of {data}…")
    findings = preflight(data, kind, split=split)
    for finding in findings:
        say(str(finding))
    if any(finding.severity == "error" for finding in findings):
        say("Nothing was written: fix this first.")
        return None
    return dataset


def write(plan: Plan, workers: int | None) -> None:
    """Write the missing crops, telling how far that is."""
    from ppap.machine import cores
    from trainers.cropping.processes import write_all
    from trainers.cropping.writing import begun
    from trainers.progress import Progress

    total, pending = plan.record.images, len(plan.pending)
    if pending == 0:
        return
    count = min(workers or cores(), pending)
    begins = f"Continuing with {pending:,} of" if pending < total else "Cropping"
    processes = "process" if count == 1 else "processes"
    say(f"{begins} {total:,} images, with {count} {processes}, into {plan.folder}")
    done = size = 0
    try:
        with begun(plan), Progress("Cropping", pending, "images") as progress:

            def report(written: int) -> None:
                nonlocal done, size
                done, size = done + 1, size + written
                progress.at(done)

            write_all(plan, count, report)
    except KeyboardInterrupt:
        raise KeyboardInterrupt(
            f"{total - pending + done:,} of {total:,} images are cropped; the same command "
            "continues from there."
        ) from None
    say(f"{size / 1e6:,.1f} MB written.")


if __name__ == "__main__":
    sys.exit(main())
