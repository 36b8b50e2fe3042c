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
    "PPAP and HP are evaluated on one look at each image; STEGO, EAGLE, CAUSE and PriMaPs on\n"
    "the mean of image and mirror. The report names what was on."
)
# Of ppap.evaluation.borders, which takes seconds to import.
WIDTH, MOST_WIDTH = 5, 64

DESCRIPTION = """\
Score a trained checkpoint on a split of a data set: the clusters, matched one to one with the
classes (Hungarian), and the linear probe; accuracy, mIoU and the IoU of every class, as predicted
and refined. Prints a table with the paper's figures for that row, where it has any.

RUN is the folder of a training run: its reported checkpoint is taken (checkpoints/reported.pt), or
the last one while there is none (checkpoints/last.pt). CHECKPOINT is a file that the training
wrote, or a checkpoint of the published PPAP implementation.

On ImageNet-S the paper's distance matching (Table 4) is measured, too: a bank of labelled vectors
from train-semi, and the 10 nearest vote for every position of the split.
"""
EPILOG = """\
examples:
  python -m trainers.evaluate runs/camvid
      the data set and the split that the run was trained with
  python -m trainers.evaluate runs/camvid --data ~/CamVid --crf --pictures runs/camvid/report
      with CRF; report.html shows the best, the median and the worst images
  python -m trainers.evaluate best.pth --data /data/cocostuff --crf --json scores.json
      a published checkpoint; its 27 classes get the names of the data set
  python -m trainers.evaluate runs/camvid --clusters 11 50 100 --refine pamr --mirror
      clusters beyond the number of classes; refined with PAMR; mean of image and mirror
  python -m trainers.evaluate --predictions ~/theirs --data ~/CamVid --split val --pictures out
      another method's label maps, scored, drawn and compared as ours are
  python -m trainers.evaluate runs/in_s50 --data /data/ImageNetS50 --split validation

JSON: "cluster" and "linear", each with "accuracy" and "miou" (per cent), "iou" (by class name),
"assignment" and "confusion"; the same under "crf" and "pamr"; "distance" for ImageNet-S;
"borders" and interiors apart; "starts" for --starts, "clusterings" for --clusters, "retrieval" for
--retrieval; "groups", "images", "paper", "notes" and what was evaluated on what. null stands for
what was not measured.

exit status: 0 done; 1 it failed half way (a process ended, a file could not be written); 2 wrong
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
        help="a run's folder, or a file; left out for --predictions",
    )
    made.add_argument(
        "--data", metavar="DIR", type=expanded, help="the data set's folder (default: the run's)"
    )
    made.add_argument(
        "--split", help="as the data set calls it (default: the run's eval_split, or val)"
    )
    made.add_argument(
        "--kind",
        metavar="KIND",
        help="kind of data set: cocostuff27, cityscapes27, potsdam3, imagenet_s, camvid, folder, "
        "… (default: found out from the folder)",
    )
    made.add_argument(
        "--refine",
        choices=("crf", "pamr"),
        nargs="+",
        default=[],
        metavar="HOW",
        help="also refined: crf (as in the paper, on all cores), pamr (on the device), or both",
    )
    made.add_argument("--crf", action="store_true", help="the same as --refine crf")
    made.add_argument(
        "--protocol",
        metavar="NAME",
        choices=("studio", "published", *OF_EVALUATION),
        help="studio, our own way; published, as the published evaluation in all that it does "
        f"otherwise; or one of these differences: {', '.join(OF_EVALUATION)} "
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
        help="write report.html with the best, the median and the worst images, report.md, "
        "report.json, and the images' pictures",
    )
    made.add_argument(
        "--size",
        metavar="N",
        type=whole_number(1, MOST),
        help="side of the squares that are scored, in pixels (default: the checkpoint's; published "
        "ones 320; of --predictions that are squares theirs, else 320)",
    )
    made.add_argument(
        "--border-width",
        metavar="N",
        type=whole_number(0, MOST_WIDTH),
        default=WIDTH,
        help="borders and interiors are scored apart, too: borders are the pixels with another "
        "label within N pixels; 0 for none (default: %(default)s)",
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
        help="the frozen backbone's weights, where their file has moved or cannot be downloaded; "
        "FILE, or NAME@FILE",
    )
    made.add_argument(
        "--heads",
        metavar="N",
        type=whole_number(1, 1024),
        help="attention heads of a backbone given as a file, where they are not D / 64",
    )
    made.add_argument(
        "--on-error",
        choices=("stop", "skip"),
        help="what an image that cannot be read does: stop, or be left out, counted and named in "
        "the report (default: as the run was told, or stop)",
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
        help="how often to tell how far it is, where the output is no terminal "
        "(default: %(default)g)",
    )
    return made


def add_files(made: argparse.ArgumentParser) -> None:
    """Options on predictions as files."""
    group = made.add_argument_group(
        "predictions as files",
        "A folder of PNG files, 8 or 16 bits or with a palette, named as the images are: of the\n"
        "label map's size (or its shape), or the squares that are scored.",
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
        help="how clusters become classes (default: one to one; many to one where there are more "
        "clusters than classes, learnt on the scored images themselves)",
    )
    group.add_argument(
        "--ignore",
        metavar="N",
        type=whole_number(0, MOST),
        help="the number that stands for no prediction, which counts as wrong (default: 255 in "
        "files of 8 bits, 65535 in files of 16)",
    )
    group.add_argument(
        "--write-predictions",
        metavar="DIR",
        type=expanded,
        help="write the checkpoint's own: DIR/clusters, DIR/classes, and refined ones",
    )


def add_clusters(made: argparse.ArgumentParser) -> None:
    """Options on any number of clusters."""
    group = made.add_argument_group(
        "beyond the probes",
        "For --clusters, centroids are found anew on training images. Each stands for the class\n"
        "that most of its pixels have there; they are also matched one to one.",
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
        help="merged (k-means pieces, merged by average linkage), kmeans, probe (a cluster probe "
        "from a spread start); default: all",
    )
    group.add_argument(
        "--cluster-features",
        choices=("tuned", "frozen"),
        default="tuned",
        help="of the trained stream, or of the frozen backbone (default: %(default)s)",
    )
    group.add_argument(
        "--train-split",
        metavar="SPLIT",
        help="where centroids, and what retrieval remembers, are from (default: the run's "
        "train_split, or train)",
    )
    group.add_argument(
        "--starts",
        metavar="N",
        type=whole_number(1, 100),
        default=0,
        help="cluster from N starts of each kind (noise, spread, merged, linkage), keep the one "
        "with the least loss, and tell the spread; trained features beside frozen ones",
    )
    group.add_argument(
        "--retrieval",
        action="store_true",
        help="dense k-NN retrieval: every patch takes the labels of the 30 nearest of the train "
        "split; trained features beside frozen ones",
    )
    group.add_argument(
        "--memory",
        metavar="N",
        type=whole_number(1, 10**8),
        default=200_000,
        help="patches that retrieval remembers, at most (default: %(default)s)",
    )
    group.add_argument(
        "--seed",
        metavar="N",
        type=whole_number(0, 2**31),
        default=0,
        help="of the draws of patches and of k-means (default: %(default)s)",
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
        made.error("name a run's folder or a checkpoint, or --predictions DIR")
    try:
        from trainers.reporting.report import report  # takes seconds: --help should not
        from trainers.reporting.wanted import Wanted

        return report(Wanted(**vars(args)))
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
