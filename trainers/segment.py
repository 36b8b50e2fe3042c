"""``python -m trainers.segment``: segment a folder of pictures, and write a data set of them."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from trainers.command import (
    DONE,
    FAILED,
    INTERRUPTED,
    WRONG,
    Parser,
    add_looks,
    as_command,
    expanded,
    say,
    whole_number,
)

if TYPE_CHECKING:
    from ppap.output.data_set import Sink
    from ppap.output.segmenting import Method, Pictures, Progress
    from ppap.predictor import Refine
    from ppap.segmenter.inference import Inference

PROGRAM = "python -m trainers.segment"
CLUSTERS = 8

DESCRIPTION = """\
Segment every image in a folder: with a trained checkpoint, or without one, by clusters of the
frozen backbone's features. The output is a data set: label maps, overlays, COCO JSON and class
names; with --photos also the images, so that it can be trained on as it is.

FOLDER contains images, in subfolders too, or is a data set in any layout the project knows.
"""
EPILOG = """\
examples:
  python -m trainers.segment ~/photos --clusters 12 --out segments.zip
      the frozen backbone, 12 clusters over all images
  python -m trainers.segment ~/photos --checkpoint runs/camvid --refine pamr --out segments
      a run's clusters, named after the classes they were matched with; a folder
  python -m trainers.segment ~/photos --checkpoint best.pth --probe linear --photos --out set.zip
      linear classes of a published checkpoint; the ZIP contains the images too

exit status: 0 done; 1 it failed halfway (a file could not be written); 2 wrong arguments, or files
that are missing, broken or do not fit; 130 stopped by Ctrl+C. Nothing incomplete is left behind.
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
    made.add_argument("folder", metavar="FOLDER", type=expanded, help="with the images")
    made.add_argument(
        "--out",
        metavar="PATH",
        type=expanded,
        required=True,
        help="a ZIP if the name ends in .zip, or else a folder that does not exist yet, outside "
        "FOLDER",
    )
    made.add_argument("--split", default="", help="split of a data set (default: all its images)")
    made.add_argument(
        "--checkpoint",
        metavar="RUN_OR_FILE",
        type=expanded,
        help="a run's folder or a checkpoint file (default: none, clusters of the frozen backbone)",
    )
    made.add_argument(
        "--probe",
        choices=("cluster", "linear"),
        default="cluster",
        help="with a checkpoint: which of its probes to use (default: %(default)s)",
    )
    made.add_argument(
        "--clusters",
        metavar="K",
        type=whole_number(2, 1024),
        help=f"without a checkpoint: number of clusters (default: {CLUSTERS})",
    )
    made.add_argument(
        "--backbone",
        metavar="NAME",
        help="without a checkpoint: name or weights file (default: embedded); with one: the "
        "frozen backbone's weights, if their file has moved",
    )
    made.add_argument(
        "--size",
        metavar="N",
        type=whole_number(1, 4096),
        help="pixels of the shorter side as the network sees it (default: the checkpoint's, or "
        "448)",
    )
    made.add_argument(
        "--refine",
        choices=("none", "crf", "pamr"),
        default="none",
        help="align borders with colour edges; PAMR is used where there is no CRF (default: "
        "%(default)s)",
    )
    made.add_argument("--photos", action="store_true", help="also write the images")
    made.add_argument("--no-overlays", action="store_true", help="leave out the overlays")
    made.add_argument(
        "--polygons",
        action="store_true",
        help="masks in the JSON as polygons, not as run lengths; segments with holes are cut into "
        "parts",
    )
    made.add_argument(
        "--device", default="auto", help="auto, cpu, cuda or cuda:N (default: %(default)s)"
    )
    add_looks(made, "The time grows with the number of passes.")
    return made


@as_command
def main(given: Sequence[str] | None = None) -> int:
    """Parse the arguments and run; returns the exit status."""
    args = parser().parse_args(given)
    try:
        return run(args)
    except KeyboardInterrupt:
        say("Stopped. Nothing was written.")
        return INTERRUPTED


def run(args: argparse.Namespace) -> int:
    """Segment the folder."""
    from ppap.backbones import BackboneError  # takes seconds: --help should not
    from ppap.data import DataError, LayoutError
    from ppap.output.data_set import Taken
    from ppap.output.segmenting import segment_all
    from ppap.segmenter.inference import Inference, in_words
    from ppap.settings import SettingError
    from trainers.runs.folder import RunError

    skipped: list[str] = []
    try:
        refuse(args)
        args.clusters = args.clusters or CLUSTERS
        inference = Inference(args.mirror, tuple(args.scales), args.window, args.shifts)
        pictures = found(args.folder, args.split)
        refine = refinement(args.refine)
        with ExitStack() as stack:
            progress = stack.enter_context(told())
            method = method_of(args, pictures, refine, inference, progress)
            said = "; ".join(filter(None, (refine.upper() * (refine != "none"),
                                           in_words(inference.record()))))  # fmt: skip
            taken = Taken(
                overlays=not args.no_overlays,
                photos=args.photos,
                polygons=args.polygons,
                note=f"Segmented with {title(args)}{f' ({said})' if said else ''}.",
            )
            sink = stack.enter_context(written(args.out))
            done = segment_all(
                pictures, method, sink, taken=taken, progress=progress, unread=skipped.append
            )
            if not done:
                raise LayoutError(args.folder, "\n".join(["has no images", *skipped[:20]]))
    except FileExistsError as error:
        if not args.out.exists():
            say(f"{args.out} cannot be written: {error.filename} is a file.")
            return FAILED
        say(f"{args.out} already exists: choose another --out.")
        return WRONG
    except (BackboneError, DataError, RunError, SettingError, ValueError) as error:
        say(str(error))
        return WRONG
    except OSError as error:
        say(f"{error.filename or args.out} cannot be written: {error.strerror or error}.")
        return FAILED
    for sentence in skipped[:20]:
        say(sentence)
    if len(skipped) > 20:
        say(f"{len(skipped) - 20:,} more images cannot be read.")
    print(f"{done:,} images are segmented: {args.out}")
    return DONE


def refuse(args: argparse.Namespace) -> None:
    """SettingError for options that do not go together."""
    from ppap.settings import SettingError

    if args.checkpoint is None and args.probe == "linear":
        raise SettingError(
            "probe", "--probe linear needs a --checkpoint: a frozen backbone has only clusters."
        )
    if args.checkpoint is not None and args.clusters is not None:
        raise SettingError(
            "clusters",
            "--clusters is for a frozen backbone; the --checkpoint has its own clusters.",
        )
    out, folder = args.out.resolve(), args.folder.resolve()
    if out.suffix.lower() != ".zip" and out.is_relative_to(folder):
        raise SettingError(
            "out",
            f"{args.out} lies inside {args.folder}, so its images would be segmented next time: "
            "choose an --out elsewhere.",
        )


def found(folder: Path, split: str) -> Pictures:
    """The pictures of a folder, whatever kind of data set it is."""
    from ppap.data import LayoutError, available_splits, open_dataset
    from ppap.output.segmenting import pictures_of

    present = available_splits(folder)
    if split not in ("", "all") and not set(present) - {"all"}:
        raise LayoutError(folder, f"has no splits: leave out --split {split}")
    whole = ("all",) if "all" in present or not present else present
    return pictures_of(open_dataset(folder, split=one) for one in ([split] if split else whole))


def refinement(asked: Refine) -> Refine:
    """What was asked for, or PAMR where there is no CRF, which is said."""
    from ppap.evaluation.crf import why_unavailable

    reason = why_unavailable() if asked == "crf" else None
    if reason is None:
        return asked
    say(f"{reason} PAMR refines the borders instead.")
    return "pamr"


def title(args: argparse.Namespace) -> str:
    """What segments, for people."""
    if args.checkpoint is None:
        return f"frozen backbone, {args.clusters} clusters"
    return f"{args.checkpoint.name}, {args.probe} probe"


def method_of(
    args: argparse.Namespace,
    pictures: Pictures,
    refine: Refine,
    inference: Inference,
    progress: Progress,
) -> Method:
    """The checkpoint, or clusters found in the pictures."""
    from ppap.backbones import load_backbone
    from ppap.output.segmenting import by_checkpoint, by_clusters
    from ppap.predictor import Predictor
    from trainers.devices import choose_device
    from trainers.runs.folder import Run

    device = choose_device(args.device)
    if args.checkpoint is not None:
        file = args.checkpoint
        file = Run(file).to_evaluate() if file.is_dir() else file
        predictor = Predictor(
            file, device, refine=refine, size=args.size, inference=inference, backbone=args.backbone
        )
        return by_checkpoint(predictor, args.probe)
    backbone = load_backbone(args.backbone or "embedded").to(device)
    options = {"size": args.size} if args.size else {}
    return by_clusters(
        backbone,
        pictures,
        args.clusters,
        refine=refine,
        inference=inference,
        progress=progress,
        **options,
    )


@contextmanager
def told() -> Iterator[Progress]:
    """Whoever waits learns how far it is."""
    from trainers.progress import Progress as Line

    with ExitStack() as stack:
        lines: dict[str, Line] = {}

        def progress(text: str, done: int, total: int) -> None:
            if text not in lines:
                lines[text] = stack.enter_context(Line(text, total, "pictures"))
            lines[text].at(done, total)

        yield progress


@contextmanager
def written(out: Path) -> Iterator[Sink]:
    """Where files go; what is half written goes again."""
    import zipfile

    from ppap.output.data_set import ZipSink, whole_folder
    from ppap.writing import writing

    if out.suffix.lower() != ".zip":
        with whole_folder(out) as folder:
            yield folder
        return
    if out.exists():
        raise FileExistsError(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    with writing(out) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        yield ZipSink(archive)


if __name__ == "__main__":
    sys.exit(main())
