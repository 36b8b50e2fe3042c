"""``python -m trainers.evaluate``: score a checkpoint or a run on a split of a data set."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from trainers.command import DONE, FAILED, INTERRUPTED, WRONG, Parser, say
from trainers.crops import expanded, whole_number

if TYPE_CHECKING:
    from ppap.data import Dataset
    from ppap.evaluation.crf import CrfPool
    from ppap.evaluation.distance_split import DistanceScores
    from ppap.evaluation.split import SplitScores
    from ppap.opening import LoadedSegmenter
    from trainers.runs import Run

PROGRAM = "python -m trainers.evaluate"
MOST = 65_536
BANK = "train-semi"

DESCRIPTION = """\
Score a trained checkpoint on a split of a data set: the clusters, matched one to one with the
classes (Hungarian), and the linear probe; accuracy, mIoU and the IoU of every class, without and
with CRF. Prints a table with the paper's figures for that row, where it has any.

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
  python -m trainers.evaluate runs/in_s50 --data /data/ImageNetS50 --split validation

JSON: "cluster" and "linear", each with "accuracy" and "miou" (per cent), "iou" (by class name),
"assignment" and "confusion"; the same under "crf"; "distance" for ImageNet-S; "groups", "images",
"paper", "notes" and what was evaluated on what. null stands for what was not measured.

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
        "target", metavar="RUN_OR_CHECKPOINT", type=Path, help="a run's folder, or a file"
    )
    made.add_argument(
        "--data", metavar="DIR", type=Path, help="the data set's folder (default: the run's)"
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
    made.add_argument("--crf", action="store_true", help="also with CRF, on all cores")
    made.add_argument("--json", metavar="FILE", type=Path, help="write the report as JSON")
    made.add_argument(
        "--pictures",
        metavar="DIR",
        type=Path,
        help="write report.html with the best, the median and the worst images, report.md, "
        "report.json, and the images' pictures",
    )
    made.add_argument(
        "--size",
        metavar="N",
        type=whole_number(1, MOST),
        help="side of the squares that are scored, in pixels (default: the checkpoint's; published "
        "ones 320)",
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
        help="the frozen backbone's weights, where their file has moved or cannot be downloaded",
    )
    made.add_argument(
        "--heads",
        metavar="N",
        type=whole_number(1, 1024),
        help="attention heads of a backbone given as a file, where they are not D / 64",
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


class Task(NamedTuple):
    """What the arguments mean."""

    checkpoint: Path
    data: Path | None
    kind: str | None
    split: str
    asked: bool
    """Whether the split was named on the command line."""


def main(given: Sequence[str] | None = None) -> int:
    """Parse the arguments and run; returns the exit status."""
    args = parser().parse_args(given)
    try:
        return run(args)
    except KeyboardInterrupt:
        say("Stopped.")
        return INTERRUPTED


def run(args: argparse.Namespace) -> int:
    """Evaluate, print, write; failures become a sentence and an exit status."""
    import torch  # takes seconds: --help should not

    from ppap.backbones import BackboneError
    from ppap.data import DataError
    from ppap.evaluation.crf import CrfUnavailableError, CrfWorkerError
    from ppap.settings import SettingError
    from trainers.runs import RunError

    try:
        check_targets(args)
        return evaluate(args)
    except (BackboneError, CrfUnavailableError, DataError, RunError, SettingError) as error:
        say(str(error))
        return WRONG
    except torch.OutOfMemoryError:
        say(f"The memory of {args.device} ran out: try --batch {max(1, args.batch // 2)}.")
        return FAILED
    except CrfWorkerError as error:
        say(str(error))
        return FAILED
    except OSError as error:
        say(f"{error.filename or 'A file'} cannot be written: {error.strerror or error}")
        return FAILED


def check_targets(args: argparse.Namespace) -> None:
    """Raise SettingError for files that could not be written at the end."""
    from ppap.settings import SettingError

    for name in ("json", "pictures"):
        given = getattr(args, name)
        if given is None:
            continue
        path = expanded(given)
        setattr(args, name, path)
        if name == "json" and path.is_dir():
            raise SettingError(name, f"--json {path} is a folder: name a file in it.")
        if name == "pictures" and path.exists() and not path.is_dir():
            raise SettingError(name, f"--pictures {path} is a file: name a folder.")
        for above in path.parents:
            if above.exists() and not above.is_dir():
                raise SettingError(name, f"--{name} {path}: {above} is a file, not a folder.")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise SettingError(
                name, f"--{name} {path} cannot be written: {error.strerror or error}."
            ) from None


def evaluate(args: argparse.Namespace) -> int:
    """Everything, once the arguments are known to be sound."""
    from ppap.evaluation.crf import require_crf
    from ppap.evaluation.files import write_report
    from ppap.evaluation.markdown import as_summary
    from ppap.evaluation.pictures import pictured
    from ppap.evaluation.report import build_report, write_json

    began = time.monotonic()
    if args.crf:
        require_crf()
    task = task_of(args)
    dataset = sound(task, task.split)
    bank = sound(task, BANK) if dataset.name == "imagenet_s" else None
    loaded = load(args, task)
    size = size_of(args, loaded)
    with crf_pool(args, loaded) as crf:
        scored = probes(args, loaded, dataset, size, crf)
        matched = None if bank is None else distances(args, loaded, bank, dataset, size)
        report = build_report(
            loaded,
            dataset,
            scored,
            size=size,
            distance=matched,
            seconds=time.monotonic() - began,
        )
        print(as_summary(report), flush=True)
        if args.json is not None:
            write_json(report, args.json)
            say(f"Written: {args.json}")
        if args.pictures is not None:
            shown = () if scored is None else pictured(loaded.segmenter, dataset, report, crf)
            say(f"Written: {write_report(report, args.pictures, shown)}")
    return DONE


def task_of(args: argparse.Namespace) -> Task:
    """The checkpoint and the data set; what is not said, the run or the checkpoint says.

    Raises:
        BackboneError: the checkpoint cannot be read.
        RunError: the folder is no run, or has no checkpoint yet.
        SettingError: nothing says where the data are.
    """
    from ppap.checkpoint import is_checkpoint, load_checkpoint
    from ppap.settings import SettingError
    from trainers.runs import Run, RunError

    target = expanded(args.target)
    if not target.exists():
        raise RunError(f"{target} does not exist: name a run's folder or a checkpoint file.")
    known: object = None
    checkpoint = target
    if target.is_dir():
        run = Run(target)
        if not run.checkpoints.is_dir():
            raise RunError(f"{target} is no run: it has no folder 'checkpoints'.")
        checkpoint, known = run.to_evaluate(), run.state().get("data")
        warn_of_unfinished(run)
    config = load_checkpoint(checkpoint).config if is_checkpoint(checkpoint) else {}
    kind, data = args.kind, args.data and expanded(args.data)
    if data is None:
        kind = kind or config.get("dataset") or None
        data = Path(known) if isinstance(known, str) else None
    if kind == "samples":
        data = None
    elif data is None:
        raise SettingError("data", "Say where the data set is: --data DIR.")
    split = args.split or config.get("eval_split") or "val"
    return Task(checkpoint, data, kind, split, args.split is not None)


def warn_of_unfinished(run: Run) -> None:
    """Say so where a run has steps to go: its probes may not have begun to learn."""
    state = run.state()
    step, steps = state.get("step"), state.get("steps")
    if isinstance(step, int) and isinstance(steps, int) and step < steps:
        say(
            f"Warning: {run.folder} is at step {step} of {steps}; scores are of what it has "
            "learnt so far."
        )


def sound(task: Task, split: str) -> Dataset:
    """A split of the data set, if nothing in it is missing or broken; says what is.

    Raises:
        DataError: something is, or there is no such data set or split.
    """
    from ppap.data import DataError, open_dataset, preflight

    dataset = open_dataset(task.data, kind=task.kind, split=split)
    if task.asked and dataset.splits == ("all",) and split != "all":
        say(f"Note: {dataset.title}: there are no splits; all images are scored, not '{split}'.")
    findings = preflight(task.data, task.kind, split=split)
    for finding in findings:
        say(str(finding))
    errors = sum(finding.severity == "error" for finding in findings)
    if errors:
        count = "1 error" if errors == 1 else f"{errors} errors"
        raise DataError(dataset.root, f"has {count}, listed above: mend this first")
    return dataset


def load(args: argparse.Namespace, task: Task) -> LoadedSegmenter:
    """The segmenter, on its device.

    Raises:
        BackboneError: it, or its backbone, cannot be had.
        SettingError: there is no such device.
    """
    from ppap.opening import load_segmenter
    from trainers.prepare import choose_device

    def download(text: str, share: float) -> None:
        if share == 0:
            say(text)

    device = choose_device(args.device)
    say(f"Evaluating {task.checkpoint} on {device}")
    return load_segmenter(
        task.checkpoint,
        device=device,
        backbone=args.backbone,
        heads=args.heads,
        progress=download,
    )


def size_of(args: argparse.Namespace, loaded: LoadedSegmenter) -> int:
    """The side of the squares; SettingError where it does not divide into patches."""
    from ppap.settings import SettingError

    size: int = args.size or loaded.size
    try:
        loaded.segmenter.backbone.grid(size, size)
    except ValueError as error:
        raise SettingError("size", f"--size {size}: {error}.") from None
    return size


@contextmanager
def crf_pool(args: argparse.Namespace, loaded: LoadedSegmenter) -> Iterator[CrfPool | None]:
    """Processes for the CRF, where it was asked for."""
    if not args.crf:
        yield None
        return
    import torch

    from ppap.evaluation.crf import CrfPool

    threads = torch.get_num_threads()
    if loaded.segmenter.backbone.mean.device.type == "cpu":
        # The CRF fills the cores; the network's threads would wait for each other in turns.
        torch.set_num_threads(1)
    try:
        with CrfPool() as pool:
            yield pool
    finally:
        torch.set_num_threads(threads)


def probes(
    args: argparse.Namespace,
    loaded: LoadedSegmenter,
    dataset: Dataset,
    size: int,
    crf: CrfPool | None,
) -> SplitScores | None:
    """The probes' scores; None where ImageNet-S has other classes than the linear probe.

    Raises:
        DataError: the data set has other classes, is not labelled, or cannot be read.
    """
    from ppap.data import DataError
    from ppap.evaluation.split import evaluate_split
    from trainers.progress import Progress

    own, theirs = loaded.segmenter.n_classes, len(dataset.classes)
    if not theirs:
        raise DataError(
            dataset.root,
            "has no label maps, so there is nothing to score; to see what the checkpoint makes of "
            "its images, use the studio's Segment or ppap.Predictor",
        )
    if own != theirs:
        differ = f"has {theirs} classes, but {loaded.file.name} was trained for {own}"
        if dataset.name != "imagenet_s":
            raise DataError(dataset.root, f"{differ}: choose the data set that belongs to it")
        say(f"{dataset.root} {differ}: only distance matching is measured.")
        return None
    every = args.progress_every
    with Progress("Evaluating", len(dataset), "images", every=every) as progress:
        return evaluate_split(
            loaded.segmenter,
            dataset,
            size=size,
            batch=args.batch,
            crf=crf,
            progress=progress.at,
            workers=args.workers,
        )


def distances(
    args: argparse.Namespace,
    loaded: LoadedSegmenter,
    bank: Dataset,
    dataset: Dataset,
    size: int,
) -> DistanceScores:
    """Distance matching; DataError where a file cannot be read."""
    from ppap.evaluation.distance_split import DistanceMatching
    from trainers.progress import Progress

    matching = DistanceMatching(
        loaded.segmenter,
        size=size,
        frozen=args.distance_features == "frozen",
        workers=args.workers,
    )
    every = args.progress_every
    with Progress("Filling the bank", len(bank), "images", every=every) as progress:
        matching.fill(bank, progress.at)
    with Progress("Matching", len(dataset), "images", every=every) as progress:
        return matching.score(dataset, progress.at)


if __name__ == "__main__":
    sys.exit(main())
