"""``python -m trainers.evaluate``: score a checkpoint or a run on a split of a data set."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from ppap.protocol import OF_EVALUATION
from trainers.command import (
    INTERRUPTED,
    MOST,
    Parser,
    add_looks,
    as_command,
    expanded,
    say,
    whole_number,
)

PROGRAM = "python -m trainers.evaluate"
LOOKS = (
    "PPAP and HP are evaluated with a single pass over each image; STEGO, EAGLE, CAUSE "
    "and\nPriMaPs with the mean of image and mirror. The report says which options were on."
)
# Of ppap.evaluation.borders, which takes seconds to import.
WIDTH, MOST_WIDTH = 5, 64

DESCRIPTION = """\
Score a trained checkpoint on a split of a data set: the clusters, matched one to one with the
classes (Hungarian), and the linear probe; accuracy, mIoU and the IoU of every class, as predicted
and refined. Prints a table with the paper's figures for that row, if there are any.

RUN is the folder of a training run: its reported checkpoint is taken (checkpoints/reported.pt), or
the last one until there is one (checkpoints/last.pt). CHECKPOINT is a file that the training
wrote, or a checkpoint of the published PPAP implementation.

On ImageNet-S, the paper's distance matching (Table 4) is also measured: a bank of labelled vectors
from train-semi, and the 10 nearest vote for every position of the split.
"""
EPILOG = """\
examples:
  python -m trainers.evaluate runs/camvid
      on the data set and split of the run itself
  python -m trainers.evaluate runs/camvid --data ~/CamVid --crf --pictures runs/camvid/report
      with CRF; report.html shows the best, median and worst images
  python -m trainers.evaluate best.pth --data /data/cocostuff --crf --json scores.json
      a published checkpoint; its 27 classes get the names of the data set
  python -m trainers.evaluate runs/camvid --clusters 11 50 100 --refine pamr --mirror
      more clusters than classes; refined with PAMR; averaged with the mirror image
  python -m trainers.evaluate --predictions ~/theirs --data ~/CamVid --split val --pictures out
      another method's label maps, scored and drawn in the same way
  python -m trainers.evaluate runs/in_s50 --data /data/ImageNetS50 --split validation

JSON: "cluster" and "linear", each with "accuracy" and "miou" (per cent), "iou" (by class name),
"assignment" and "confusion"; the same under "crf" and "pamr"; "distance" for ImageNet-S;
"borders" and interiors apart; "starts" for --starts, "clusterings" for --clusters, "retrieval" for
--retrieval; "groups", "images", "paper", "notes" and what was evaluated on what. null stands for
what was not measured.

exit status: 0 done; 1 it failed halfway (a process ended, a file could not be written); 2 wrong
arguments, or files that are missing, broken or do not fit; 130 stopped by Ctrl+C.
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
        "target",
        metavar="RUN_OR_CHECKPOINT",
        type=expanded,
        nargs="?",
        help="a run's folder or a checkpoint file; not with --predictions",
    )
    made.add_argument(
        "--data", metavar="DIR", type=expanded, help="the data set folder (default: the run's)"
    )
    made.add_argument(
        "--split", help="split of the data set (default: the run's eval_split, or val)"
    )
    made.add_argument(
        "--kind",
        metavar="KIND",
        help="kind of data set: cocostuff27, cityscapes27, potsdam3, imagenet_s, camvid, folder, "
        "… (default: detected from the folder)",
    )
    made.add_argument(
        "--refine",
        choices=("crf", "pamr"),
        nargs="+",
        default=[],
        metavar="HOW",
        help="also score refined predictions: crf (as in the paper, on all cores), pamr (on the "
        "device), or both",
    )
    made.add_argument("--crf", action="store_true", help="the same as --refine crf")
    made.add_argument(
        "--protocol",
        metavar="NAME",
        choices=("studio", "published", *OF_EVALUATION),
        help="studio, this project's own protocol; published, like the published evaluation "
        f"wherever the two differ; or one of these differences: {', '.join(OF_EVALUATION)} "
        "(default: the run's)",
    )
    add_files(made)
    add_clusters(made)
    add_looks(made, LOOKS)
    made.add_argument("--json", metavar="FILE", type=expanded, help="write the report as JSON")
    made.add_argument(
        "--pictures",
        metavar="DIR",
        type=expanded,
        help="write report.html with the best, median and worst images, report.md, report.json, "
        "and these images",
    )
    made.add_argument(
        "--size",
        metavar="N",
        type=whole_number(1, MOST),
        help="side of the evaluated squares, in pixels (default: the checkpoint's; 320 for "
        "published ones; for --predictions that are squares, theirs, else 320)",
    )
    made.add_argument(
        "--border-width",
        metavar="N",
        type=whole_number(0, MOST_WIDTH),
        default=WIDTH,
        help="also score borders and interiors separately; borders are the pixels with a "
        "different label within N pixels; 0 for none (default: %(default)s)",
    )
    made.add_argument(
        "--batch",
        metavar="N",
        type=whole_number(1, MOST),
        default=8,
        help="images at a time (default: %(default)s)",
    )
    made.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    made.add_argument(
        "--backbone",
        metavar="FILE",
        help="the frozen backbone's weights, if their file has moved or cannot be downloaded; "
        "FILE, or NAME@FILE",
    )
    made.add_argument(
        "--heads",
        metavar="N",
        type=whole_number(1, 1024),
        help="attention heads of a backbone given as a file, if they are not D / 64",
    )
    made.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        help="what to do about an image that cannot be read: stop, or skip it, and count and name "
        "it in the report (default: the run's setting, or stop)",
    )
    made.add_argument(
        "--workers",
        metavar="N",
        type=whole_number(0, 256),
        default=2,
        help="threads that read images (default: %(default)s)",
    )
    made.add_argument(
        "--distance-features",
        choices=("tuned", "frozen"),
        default="tuned",
        help="for ImageNet-S: match the trained features, or the frozen backbone's "
        "(default: %(default)s)",
    )
    made.add_argument(
        "--progress-every",
        metavar="SECONDS",
        type=float,
        default=15.0,
        help="how often to report progress if the output is not a terminal (default: %(default)g)",
    )
    return made


def add_files(made: argparse.ArgumentParser) -> None:
    """Options on predictions as files."""
    group = made.add_argument_group(
        "predictions as files",
        "A folder of PNG files with the names of the images, 8 or 16 bits or with a palette, of "
        "the\nlabel map's size (or its shape), or the evaluated squares.",
    )
    group.add_argument(
        "--predictions",
        metavar="DIR",
        type=expanded,
        help="score another method's predictions instead of a checkpoint",
    )
    group.add_argument(
        "--predictions-are",
        choices=("clusters", "classes"),
        default="clusters",
        help="what the numbers in the files are; classes count from 0 in the data set's order "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--map",
        choices=("one-to-one", "many-to-one"),
        help="how clusters become classes (default: one to one; many to one if there are more "
        "clusters than classes, learnt on the evaluated images themselves)",
    )
    group.add_argument(
        "--ignore",
        metavar="N",
        type=whole_number(0, MOST),
        help="the number for pixels without a prediction, which count as wrong (default: 255 in "
        "8-bit files, 65535 in 16-bit files)",
    )
    group.add_argument(
        "--write-predictions",
        metavar="DIR",
        type=expanded,
        help="write the checkpoint's own predictions: DIR/clusters, DIR/classes, and refined ones",
    )


def add_clusters(made: argparse.ArgumentParser) -> None:
    """Options on any number of clusters."""
    group = made.add_argument_group(
        "beyond the probes",
        "For --clusters, centroids are found again on training images. Each cluster takes the "
        "class\nthat most of its pixels have there; clusters are also matched one to one.",
    )
    group.add_argument(
        "--clusters",
        metavar="K",
        type=whole_number(1, MOST),
        nargs="+",
        default=[],
        help="numbers of clusters, such as 27 100 300 500",
    )
    group.add_argument(
        "--cluster-by",
        metavar="METHOD",
        choices=("merged", "kmeans", "probe"),
        nargs="+",
        default=[],
        help="merged (small k-means clusters, merged by average linkage), kmeans, probe (a "
        "cluster probe with spread-out starting centroids); default: all",
    )
    group.add_argument(
        "--cluster-features",
        choices=("tuned", "frozen"),
        default="tuned",
        help="features of the trained stream, or of the frozen backbone (default: %(default)s)",
    )
    group.add_argument(
        "--train-split",
        metavar="SPLIT",
        help="split for the centroids and the retrieval memory (default: the run's train_split, "
        "or train)",
    )
    group.add_argument(
        "--starts",
        metavar="N",
        type=whole_number(1, 100),
        default=0,
        help="cluster from N starts of each kind (noise, spread, merged, linkage), keep the one "
        "with the lowest loss, and report the spread, for trained and frozen features",
    )
    group.add_argument(
        "--retrieval",
        action="store_true",
        help="dense k-NN retrieval: every patch takes the labels of its 30 nearest neighbours in "
        "the training split, for trained and frozen features",
    )
    group.add_argument(
        "--memory",
        metavar="N",
        type=whole_number(1, 10**8),
        default=200_000,
        help="maximum number of patches in the retrieval memory (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0, 2**31),
        default=0,
        help="for drawing patches and for k-means (default: %(default)s)",
    )


@as_command
def main(given: Sequence[str] | None = None) -> int:
    """Parse the arguments and run; returns the exit status."""
    made = parser()
    args = made.parse_args(given)
    args.refine = tuple(dict.fromkeys([*args.refine, *(["crf"] if args.crf else [])]))
    for name in ("scales", "clusters", "cluster_by"):
        setattr(args, name, tuple(dict.fromkeys(getattr(args, name))))
    del args.crf
    if args.target is None and args.predictions is None:
        made.error("give a run's folder or a checkpoint, or --predictions DIR")
    try:
        from trainers.reporting.report import report  # takes seconds: --help should not
        from trainers.reporting.wanted import Wanted

        return report(Wanted(**vars(args)))
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
