"""The data of a run: what it trains on, what is held out of that, and what it is evaluated on."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from ppap.data import (
    ClassList,
    DataError,
    Dataset,
    Finding,
    five_crops,
    open_dataset,
    palette,
    preflight,
)
from ppap.data import crops as crop_files
from ppap.data.base import OnError
from ppap.data.formats import is_image_name
from ppap.data.labels import NO_CLASS
from ppap.evaluation.source import labelled
from ppap.protocol import STUDIO, Protocol
from ppap.settings import SettingError
from trainers.config import Config
from trainers.cropping.kinds import DATASETS
from trainers.cropping.record import difference, record_of
from trainers.progress import Progress
from trainers.reporting.target import BANK
from trainers.training.loading import hold_out

logger = logging.getLogger("trainers")

SAMPLES = "samples"
SKIP = "skip unreadable files with on_error=skip"


class Splits(NamedTuple):
    """The data of a run."""

    training: Dataset
    """Crops where the configuration says so."""
    held_out: Dataset | None
    """Cut from the training images, for selection."""
    evaluation: Dataset | None
    """None where the data set has no such split, or nothing in it is labelled."""
    precut: bool
    """Whether the crops come from files that were cut beforehand."""
    no_evaluation: str | None = None
    """Why there is none."""


def open_splits(config: Config, folder: Path | None, *, precut: bool | None = None) -> Splits:
    """Open the splits that a run needs.

    Args:
        config: which splits, held-out images and crops.
        folder: the data set's; None for the sample photos.
        precut: whether the five crops are to be read from the files in ``cropped``; left out,
            where those are complete. A run that goes on says what it began with.

    Raises:
        DataError: they cannot be opened, or the held-out images are not labelled; names the file
            or folder.
        SettingError: crops of crops.
    """
    folder = None if config.dataset == SAMPLES else folder
    whole = open_dataset(folder, kind=config.dataset or None, split=config.train_split)
    whole = with_skips(whole, config)
    protocol = Protocol.of(config.protocol)
    training = whole
    held_out: Dataset | None = None
    if config.selection == "held_out":
        training, held_out = hold_out(whole, config.held_out, config.seed)
        labelled(held_out)
    files = None
    if config.crops == "five":
        if training.name == crop_files.LAYOUT.kind:
            raise SettingError("crops", f"{folder} already contains crops: use crops=none.")
        if held_out is None and precut is not False:
            files = complete_crops(whole, config.crop_ratio, protocol)
        if precut and files is None:
            raise DataError(
                whole.root, "no longer contains all the crops that the run started with"
            )
        quality = crop_files.PUBLISHED_QUALITY if protocol.jpeg_crops else None
        cut = five_crops(training, config.crop_ratio, quality) if files is None else files
        training = with_skips(cut, config)
    evaluation = _evaluation(config, folder, whole)
    if isinstance(evaluation, str):
        return Splits(training, held_out, None, files is not None, evaluation)
    return Splits(training, held_out, evaluation, files is not None)


def _evaluation(config: Config, folder: Path | None, whole: Dataset) -> Dataset | str:
    """The split, or why it is of no use."""
    try:
        found = open_dataset(folder, kind=whole.name, split=config.eval_split)
        labelled(found)
    except DataError as error:
        if config.selection == "evaluation":
            raise
        logger.info("No evaluation: %s", error)
        return str(error)
    return with_skips(found, config)


def with_skips(dataset: Dataset, config: Config) -> Dataset:
    """The data set, which leaves out what cannot be read where the configuration says so, and
    resizes as it says."""
    on_error: OnError = "skip" if config.on_error == "skip" else "stop"
    resizing = Protocol.of(config.protocol).resizing
    return replace(dataset, on_error=on_error, resizing=resizing)


def complete_crops(dataset: Dataset, ratio: float, protocol: Protocol = STUDIO) -> Dataset | None:
    """The five crops of every image as files, as ``trainers.crops`` puts them into ``cropped``.

    Where the protocol wants crops compressed as published, only those of the published code do:
    ``trainers.crops`` keeps colours at full size.

    None where there are none, some are missing, or they are of other images.
    """
    for name in (name for name, kind in DATASETS.items() if kind == dataset.name):
        folder = dataset.root / "cropped" / crop_files.folder_name(name, ratio)
        if not (folder / "img" / dataset.split).is_dir():
            continue
        why_not, found = None, None
        try:
            found = crop_files.open_split(folder, dataset.split)
            why_not = _objection(found, dataset, name, ratio)
            if why_not is None and protocol.jpeg_crops and not made_elsewhere(found, dataset.split):
                why_not = "they are compressed differently from the published ones"
        except DataError as error:
            why_not = str(error)
        if why_not is None:
            logger.info("Reading the crops in %s.", folder)
            return found
        logger.info(
            "The crops in %s are not used; crops are cut from the images instead: %s.",
            folder,
            why_not,
        )
    return None


def _objection(found: Dataset, dataset: Dataset, name: str, ratio: float) -> str | None:
    """Why crops are not those of a data set; None if they are."""
    wanted = len(crop_files.CROPS) * len(dataset)
    if [item.name for item in found.items] != [str(n) for n in range(wanted)]:
        return f"there are {len(found):,} of {wanted:,}"
    if has_labels(found) != has_labels(dataset):
        return "their label maps are missing"
    try:
        text = crop_files.record_file(found.root, dataset.split).read_text(encoding="utf-8")
    except FileNotFoundError:
        return None  # made by the published code, which leaves no record
    try:
        record = json.loads(text)
        quality = record["quality"]
    except (ValueError, LookupError, TypeError):
        return "the record of what they were made from cannot be read"
    made = difference(record, record_of(dataset, name, ratio, quality))
    return None if made is None else f"they were made {made}"


def made_elsewhere(crops: Dataset, split: str) -> bool:
    """Whether the published code wrote these crops: it leaves no record."""
    return not crop_files.record_file(crops.root, split).exists()


def has_labels(dataset: Dataset) -> bool:
    """Whether any image has a label map."""
    return any(item.labels is not None for item in dataset.items)


def class_list_of(dataset: Dataset, unnamed: int) -> ClassList:
    """Names and colours; ``unnamed`` numbers where the images have no classes."""
    if len(dataset.class_list):
        return dataset.class_list
    logger.info(
        "The images have no classes: %d clusters are learnt, as unnamed_classes says.", unnamed
    )
    names = tuple(f"cluster {i}" for i in range(1, unnamed + 1))
    return ClassList(names, palette(unnamed))


def data_digest(dataset: Dataset) -> str:
    """Which images these are, by their names in their order: a run goes on with the same only."""
    digest = hashlib.sha256(f"{dataset.name} {dataset.split}".encode())
    for item in dataset.items:
        name = os.path.relpath(item.image, dataset.root)
        digest.update(b"\0" + name.encode("utf-8", "surrogatepass"))
    return digest.hexdigest()


def file_stamps(dataset: Dataset) -> Tensor:
    """A number for each image and its label map, int64 ``(N,)``: other sizes or dates, another.

    Dates count in whole seconds, since disks differ in how finely they keep them.
    """
    stamps = torch.empty(len(dataset), dtype=torch.int64)
    last: tuple[Path, Path | None] | None = None
    told = 0
    for index, item in enumerate(dataset.items):
        # The five crops of a picture follow each other.
        if (item.image, item.labels) != last:
            last = (item.image, item.labels)
            told = zlib.crc32(" ".join(map(_stamp, last)).encode())
        stamps[index] = told
    return stamps


def _stamp(file: Path | None) -> str:
    if file is None:
        return "none"
    try:
        found = file.stat()
    except OSError:
        return "gone"
    return f"{found.st_size} {int(found.st_mtime)}"


def changed_images(dataset: Dataset, before: Tensor, now: Tensor) -> list[str]:
    """The names of the images whose stamps differ, each once."""
    if before.shape != now.shape:
        return []
    places = (before != now).nonzero().flatten().tolist()
    items = (dataset.items[place].image for place in places)
    return list(dict.fromkeys(os.path.relpath(image, dataset.root) for image in items))


def refuse_bad_data(
    config: Config, folder: Path | None, *, report: bool, named: Container[str] = ()
) -> None:
    """Look for missing and broken files before anything runs, and tell of them in the log.

    Args:
        config: which splits.
        folder: the data set's.
        report: whether the run is to be evaluated at its end, and will need what that needs.
        named: settings that were asked for by name. An ``eval_split`` among them must be there; a
            recipe's own may be missing.

    Raises:
        DataError: there are some.
        SettingError: the report wants labels of the training images, and there are none.
    """
    if config.dataset == SAMPLES:
        return
    errors: list[Finding] = []
    told: set[Finding] = set()  # both splits have the notes on the whole data set
    for split in _looked_at(config, folder, report=report, named=named):
        for finding in looked_through(config, folder, split):
            if finding in told:
                continue
            told.add(finding)
            if finding.severity == "error":
                errors.append(finding)
            else:
                logger.info("%s", finding)
    skipping = skips_help(errors, config)
    if len(errors) == 1:
        text = errors[0].text
        raise DataError(errors[0].file, f"{text}. Fix it, or {SKIP}" if skipping else text)
    if errors:
        for finding in errors:
            logger.info("%s", finding)
        mend = f"fix them first, or {SKIP}" if skipping else "fix them first"
        raise DataError(folder or "the data set", f"has {len(errors)} errors, listed above: {mend}")
    if report and config.report_starts:
        training = open_dataset(folder, kind=config.dataset or None, split=config.train_split)
        if all(item.labels is None for item in training.items):
            raise SettingError(
                "report_starts",
                f"report_starts={config.report_starts} needs label maps of the split "
                f"'{training.split}', which has none: set report_starts=0.",
            )


def skips_help(errors: Sequence[Finding], config: Config) -> bool:
    """Whether the images with errors could be left out: not where the classes do not fit, or most
    images would go, and not where that is asked for already."""
    files = [is_image_name(found.file) for found in errors]
    misfits = any(NO_CLASS in found.text for found in errors)
    return config.on_error != "skip" and bool(files) and all(files) and not misfits


def looked_through(config: Config, folder: Path | None, split: str) -> list[Finding]:
    """What ``preflight`` finds in a split; every file is looked at."""
    on_error: OnError = "skip" if config.on_error == "skip" else "stop"
    with Progress("Checking the files", 0, "images") as progress:
        return preflight(
            folder,
            config.dataset or None,
            split=split,
            on_error=on_error,
            progress=progress.at,
        )


def _looked_at(
    config: Config, folder: Path | None, *, report: bool, named: Container[str]
) -> Iterator[str]:
    yield config.train_split
    kind = config.dataset or None
    try:
        training = open_dataset(folder, kind=kind, split=config.train_split)
    except DataError:
        return  # it is told of already
    try:
        evaluated = open_dataset(folder, kind=kind, split=config.eval_split)
    except DataError:
        if "eval_split" in named:
            raise
        return  # a run needs no evaluation
    if evaluated.split != training.split:
        yield evaluated.split
    if report and training.name == "imagenet_s" and BANK not in (training.split, evaluated.split):
        yield BANK
