"""From a checkpoint and a split to a report: scored, printed and written."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from ppap.backbones import BackboneError
from ppap.checkpoints.opening import LoadedSegmenter, load_segmenter
from ppap.data import DataError, Dataset
from ppap.evaluation.class_names import in_another_order, in_words
from ppap.evaluation.crf import CrfPool, CrfUnavailableError, CrfWorkerError, require_crf
from ppap.evaluation.distance_split import DistanceMatching, DistanceScores
from ppap.evaluation.files import write_report
from ppap.evaluation.foreign_files import Writer
from ppap.evaluation.markdown import as_summary
from ppap.evaluation.pamr import Pamr
from ppap.evaluation.pictures import pictured
from ppap.evaluation.published import PASS_SIZE, AsPublished
from ppap.evaluation.report import build_report, write_json
from ppap.evaluation.split import Predicted, Refined, Refiner, SplitScores, evaluate_split
from ppap.segmenter.inference import check_fits
from ppap.settings import SettingError
from trainers.command import DONE, FAILED, WRONG, expanded, say
from trainers.devices import choose_device
from trainers.progress import Progress
from trainers.reporting.clusters import check_counts, clusterings, training_images
from trainers.reporting.foreign import evaluate_files, refuse_without_files
from trainers.reporting.retrieval import retrieved
from trainers.reporting.starts import many_starts, with_starts
from trainers.reporting.target import BANK, Task, sound, task_of
from trainers.reporting.wanted import Wanted
from trainers.runs.folder import RunError


def report(wanted: Wanted) -> int:
    """Evaluate, print, write; failures become a sentence and an exit status."""
    try:
        wanted = with_sound_targets(wanted)
        if wanted.predictions is not None:
            return evaluate_files(wanted)
        refuse_without_files(wanted)
        return evaluate(wanted)
    except (BackboneError, CrfUnavailableError, DataError, RunError, SettingError) as error:
        say(str(error))
        return WRONG
    except torch.OutOfMemoryError:
        say(f"{wanted.device} ran out of memory: try --batch {max(1, wanted.batch // 2)}.")
        return FAILED
    except CrfWorkerError as error:
        say(str(error))
        return FAILED
    except OSError as error:
        say(f"{error.filename or 'A file'} cannot be written: {error.strerror or error}")
        return FAILED


def with_sound_targets(wanted: Wanted) -> Wanted:
    """What was wanted, its files' paths expanded.

    Raises:
        SettingError: a file could not be written at the end.
    """
    return replace(
        wanted,
        json=sound_target("json", wanted.json),
        pictures=sound_target("pictures", wanted.pictures),
        write_predictions=sound_target("write-predictions", wanted.write_predictions),
    )


def sound_target(name: str, given: Path | None) -> Path | None:
    """The path that an option names; its parent folder is made if need be."""
    if given is None:
        return None
    path = expanded(given)
    if name == "json" and path.is_dir():
        raise SettingError(name, f"--json {path} is a folder: give a file in it.")
    if name != "json" and path.exists() and not path.is_dir():
        raise SettingError(name, f"--{name} {path} is a file: give a folder.")
    for above in path.parents:
        if above.exists() and not above.is_dir():
            raise SettingError(name, f"--{name} {path}: {above} is a file, not a folder.")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingError(
            name, f"--{name} {path} cannot be written: {error.strerror or error}."
        ) from None
    return path


def evaluate(wanted: Wanted) -> int:
    """Everything, once the arguments are known to be sound."""
    began = time.monotonic()
    if "crf" in wanted.refine:
        require_crf()
    task = task_of(wanted)
    wanted = replace(wanted, protocol=task.protocol.name)
    inference = wanted.inference
    dataset = sound(task, task.split)
    check_counts(wanted, dataset)
    bank = sound(task, BANK) if dataset.name == "imagenet_s" else None
    loaded = load(wanted, task)
    train = training_images(wanted, loaded, task)
    size = size_of(wanted, loaded)
    check_fits(inference, loaded.segmenter.backbone.patch_size)
    with refiners_of(wanted, loaded) as refiners:
        scored = probes(wanted, loaded, dataset, size, refiners)
        matched = None if bank is None else distances(wanted, loaded, bank, dataset, size)
        report = build_report(
            loaded,
            dataset,
            scored,
            size=size,
            inference=inference,
            distance=matched,
            protocol=wanted.as_published,
            seconds=time.monotonic() - began,
            left_out=task.left_out,
        )
        counts = None if scored is None else scored.counts
        if train is not None and wanted.starts:
            started = many_starts(wanted, loaded, train, dataset, size)
            counts = with_starts(report, counts, started)
        if train is not None and wanted.clusters:
            report["clusterings"] = clusterings(wanted, loaded, train, dataset, size)
        if train is not None and wanted.retrieval:
            report["retrieval"] = retrieved(wanted, loaded, train, dataset, size)
        if wanted.json is not None:
            write_json(report, wanted.json, counts)
            say(f"Written: {wanted.json}")
        print(as_summary(report), flush=True)
        if wanted.pictures is not None:
            how = (refiners, inference)
            shown = () if scored is None else pictured(loaded.segmenter, dataset, report, *how)
            page = write_report(report, wanted.pictures, shown, counts=counts)
            say(f"Written: {page}")
    return DONE


def load(wanted: Wanted, task: Task) -> LoadedSegmenter:
    """The segmenter, on its device.

    Raises:
        BackboneError: it, or its backbone, cannot be had.
        SettingError: there is no such device.
    """

    def download(text: str, share: float) -> None:
        if share == 0:
            say(text)

    device = choose_device(wanted.device)
    say(f"Evaluating {task.checkpoint} on {device}")
    return load_segmenter(
        task.checkpoint,
        device=device,
        backbone=wanted.backbone,
        heads=wanted.heads,
        progress=download,
    )


def size_of(wanted: Wanted, loaded: LoadedSegmenter) -> int:
    """The side of the squares; SettingError where it does not divide into patches."""
    size: int = wanted.size or loaded.size
    try:
        loaded.segmenter.backbone.grid(size, size)
    except ValueError as error:
        raise SettingError("size", f"--size {size}: {error}.") from None
    return size


@contextmanager
def refiners_of(wanted: Wanted, loaded: LoadedSegmenter) -> Iterator[tuple[Refiner, ...]]:
    """What refines, as asked for; the CRF in processes of its own."""
    others = (Pamr(),) if "pamr" in wanted.refine else ()
    if "crf" not in wanted.refine:
        yield others
        return

    threads = torch.get_num_threads()
    if loaded.segmenter.backbone.mean.device.type == "cpu":
        # The CRF fills the cores; the network's threads would wait for each other in turns.
        torch.set_num_threads(1)
    try:
        with CrfPool() as pool:
            crf: Refiner = AsPublished(pool) if wanted.as_published.crf_bytes else pool
            yield (crf, *others)
    finally:
        torch.set_num_threads(threads)


def probes(
    wanted: Wanted,
    loaded: LoadedSegmenter,
    dataset: Dataset,
    size: int,
    refiners: tuple[Refiner, ...],
) -> SplitScores | None:
    """The probes' scores; None where ImageNet-S has other classes than the linear probe.

    Raises:
        DataError: the data set has other classes, is not labelled, or cannot be read.
    """
    own, theirs = loaded.segmenter.n_classes, len(dataset.classes)
    if not theirs:
        raise DataError(
            dataset.root,
            "has no label maps, so there is nothing to score; to see how the checkpoint segments "
            "its images, use the studio's Segment page or ppap.Predictor",
        )
    if own != theirs:
        differ = f"has {theirs} classes, but {loaded.file.name} was trained for {own}"
        if dataset.name != "imagenet_s":
            raise DataError(dataset.root, f"{differ}: choose the data set it was trained for")
        say(f"{dataset.root} {differ}: only distance matching is measured.")
        return None
    refuse_other_order(loaded, dataset)
    every = wanted.progress_every
    with Progress("Evaluating", len(dataset), "images", every=every) as progress:
        return evaluate_split(
            loaded.segmenter,
            dataset,
            size=size,
            batch=wanted.batch,
            refiners=refiners,
            inference=wanted.inference,
            border_width=wanted.border_width,
            seen=None if wanted.write_predictions is None else keep(wanted, dataset),
            progress=progress.at,
            workers=wanted.workers,
        )


def keep(wanted: Wanted, dataset: Dataset) -> Callable[[Predicted, dict[str, Refined]], None]:
    """What writes each image's clusters and classes into the folder that was asked for."""
    assert wanted.write_predictions is not None
    writer = Writer(wanted.write_predictions, dataset)
    say(f"Writing predictions to {wanted.write_predictions}")

    def each(one: Predicted, refined: dict[str, Refined]) -> None:
        kinds: dict[str, Predicted | Refined] = {"": one}
        kinds |= {f"-{name}": better for name, better in refined.items()}
        for suffix, found in kinds.items():
            writer.write(f"clusters{suffix}", one.index, found.clusters.cpu().numpy())
            writer.write(f"classes{suffix}", one.index, found.classes.cpu().numpy())

    return each


def refuse_other_order(loaded: LoadedSegmenter, dataset: Dataset) -> None:
    """DataError where a name stands for one class of the checkpoint and another of the data set."""
    if loaded.named and in_another_order(loaded.classes, dataset.classes):
        raise DataError(
            dataset.root,
            f"has different classes from those {loaded.file} was trained for: "
            f"{in_words(loaded.classes, dataset.classes)}. Evaluate the checkpoint on the data "
            "set it was trained for, or list the classes in the same order as in training",
        )


def pass_size(loaded: LoadedSegmenter) -> int:
    """The shorter side that PASS's code has, in whole patches."""
    patch = loaded.segmenter.backbone.patch_size
    return max(1, round(PASS_SIZE / patch)) * patch


def distances(
    wanted: Wanted,
    loaded: LoadedSegmenter,
    bank: Dataset,
    dataset: Dataset,
    size: int,
) -> DistanceScores:
    """Distance matching; DataError where a file cannot be read."""
    as_pass = wanted.as_published.pass_matching
    matching = DistanceMatching(
        loaded.segmenter,
        size=size if wanted.size or not as_pass else pass_size(loaded),
        inference=wanted.inference,
        as_pass=as_pass,
        frozen=wanted.distance_features == "frozen",
        workers=wanted.workers,
    )
    every = wanted.progress_every
    with Progress("Filling the bank", len(bank), "images", every=every) as progress:
        matching.fill(bank, progress.at)
    with Progress("Matching", len(dataset), "images", every=every) as progress:
        return matching.score(dataset, progress.at)
