"""What an evaluation found, as plain values for JSON; everything else is made from these."""

from __future__ import annotations

import importlib.metadata
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ppap.checkpoints.opening import LoadedSegmenter
from ppap.data import Dataset, printable
from ppap.evaluation import per_image
from ppap.evaluation.class_names import differing, in_words
from ppap.evaluation.distance_split import DistanceScores
from ppap.evaluation.later import later_rows
from ppap.evaluation.metrics import Scores, group_means, number
from ppap.evaluation.paper import distance_for, frequency_for, rows_for
from ppap.evaluation.split import ImageScore, Measures, SplitScores
from ppap.protocol import OF_EVALUATION, STUDIO, Protocol
from ppap.protocol import in_words as protocol_in_words
from ppap.segmenter.inference import PLAIN, Inference
from ppap.segmenter.inference import in_words as looks_in_words
from ppap.settings import SettingError
from ppap.writing import writing

FORMAT = "ppap-studio report"
VERSION = 1
PACKAGES = ("torch", "torchvision", "timm", "numpy", "scipy", "pillow", "pydensecrf2")
# What may come after the probes: its name in reports, and its title.
REFINEMENTS = {"crf": "CRF", "pamr": "PAMR"}
NOT_AS_PPAP = (
    "PPAP's and HP's published numbers use a single pass over each image; STEGO's and EAGLE's "
    "also use the mirror image."
)
FLATTERS = "This inflates every score here."
Report = dict[str, Any]


class Selection(NamedTuple):
    """How the checkpoint came to be the one that is reported."""

    choice: str
    """last, held_out, evaluation, published or named."""
    sentence: str
    flatters: bool
    """Whether it was chosen on the very split that is reported."""


def selection_of(loaded: LoadedSegmenter, dataset: Dataset) -> Selection:
    """What a checkpoint's run and its name say about how it was chosen."""
    config, name = loaded.config, loaded.file.name
    if loaded.source == "published":
        return Selection(
            "published",
            "Reservation: published runs keep the checkpoint that scores best on the evaluation "
            f"split and report that same split. {FLATTERS}",
            True,
        )
    choice = config.get("selection")
    if name.startswith("step-") or choice not in ("last", "held_out", "evaluation"):
        return Selection("named", "The checkpoint was given, not chosen by a score.", False)
    if choice == "last" or name == "last.pt":
        return Selection(
            "last", "The checkpoint is the run's last; it was not chosen by a score.", False
        )
    if choice == "held_out":
        return Selection(
            choice, "The checkpoint scored best on images held out from training.", False
        )
    chosen_on = config.get("eval_split", "val")
    if chosen_on == dataset.split:
        return Selection(
            choice,
            "Reservation: the checkpoint was chosen for its score on the same split that is "
            f"reported here, as in published runs. {FLATTERS}",
            True,
        )
    return Selection(choice, f"The checkpoint scored best on the split '{chosen_on}'.", False)


def build_report(
    loaded: LoadedSegmenter,
    dataset: Dataset,
    found: SplitScores | None,
    *,
    size: int,
    inference: Inference = PLAIN,
    distance: DistanceScores | None = None,
    protocol: Protocol = STUDIO,
    seconds: float | None = None,
    left_out: int = 0,
) -> Report:
    """The report of one evaluation.

    Args:
        loaded: what was evaluated.
        dataset: on what; with its class names.
        found: the probes' scores; None where they could not be measured.
        size: side of the squares.
        inference: how the images were looked at.
        distance: ImageNet-S distance matching, where it was done.
        protocol: what was done as in the published evaluation.
        seconds: how long it took.
        left_out: training images that the run could not read.

    Returns:
        Plain values: ``cluster`` and ``linear``, each with ``accuracy`` and ``miou`` in per cent,
        ``iou`` by class name, ``assignment`` and ``confusion``; the same under ``crf`` and
        ``pamr`` where there was one; ``inference``, empty for one look; ``groups``, ``images``,
        ``paper``, ``notes`` and what was evaluated on what.
        None stands for what was not measured.
    """
    info = loaded.segmenter.backbone.info
    rule = loaded.config.get("rule", "ppap" if loaded.source == "published" else "")
    selection = selection_of(loaded, dataset)
    report: Report = {
        "format": FORMAT,
        "version": VERSION,
        "checkpoint": printable(loaded.file),
        "digest": loaded.digest,
        "step": loaded.step,
        "source": loaded.source,
        "rule": rule,
        "head": loaded.segmenter.head_name,
        "recipe": loaded.config.get("recipe", ""),
        "seed": loaded.config.get("seed"),
        "selection": selection._asdict(),
        "backbone": {"name": info.name, "title": info.title, "note": info.note},
        "dataset": {
            "kind": dataset.name,
            "title": dataset.title,
            "folder": printable(dataset.root),
            "split": dataset.split,
            "notes": list(dataset.notes),
        },
        "size": size,
        "inference": inference.record(),
        "protocol": protocol.record(),
        "classes": list(dataset.classes),
        "colours": [list(colour) for colour in dataset.colours],
        "cluster": None,
        "linear": None,
    }
    if found is not None:
        report |= probes(found, dataset)
    if distance is not None:
        report["distance"] = distance_record(distance, dataset, info.title, rule)
    report["paper"] = [row._asdict() for row in rows_for(dataset.name, info.title, rule)]
    report["later"] = later_rows(dataset.name)
    frequency = frequency_for(dataset.name, rule)
    report["paper_groups"] = None if frequency is None else frequency._asdict()
    report["left_out"] = left_out
    report["notes"] = notes(loaded, dataset, selection, found)
    if not inference.plain:
        how = looks_in_words(report["inference"])
        report["notes"].insert(1, f"More than one pass over each image: {how}. {NOT_AS_PPAP}")
    report["notes"] += protocol_notes(report, loaded)
    if left_out:
        images = "1 training image was" if left_out == 1 else f"{left_out} training images were"
        report["notes"].append(f"Warning: {images} left out as unreadable.")
    report["seconds"] = None if seconds is None else round(seconds, 1)
    report["versions"] = versions()
    return report


def probes(found: SplitScores, dataset: Dataset) -> Report:
    """Everything of the report that comes from the probes' scores."""
    record: Report = {
        "cluster": found.cluster.record(),
        "linear": found.linear.record(),
        "groups": groups(found, found.cluster, found.linear),
        "images": [image_record(one) for one in found.images],
        "unlabelled": len(dataset) - len(found.images) - len(found.skipped),
        "skipped": [
            {"index": one.index, "name": one.name, "reason": printable(one.reason)}
            for one in found.skipped
        ],
    }
    if found.counts is not None:
        record[per_image.KEY] = {"stamp": found.counts.stamp}
    if found.borders is not None:
        record["borders"] = found.borders
    for name, (cluster, linear) in found.refined.items():
        record[name] = {
            "cluster": cluster.record(),
            "linear": linear.record(),
            "groups": groups(found, cluster, linear),
        }
    return record


def groups(found: SplitScores, cluster: Scores, linear: Scores) -> Report:
    """Table 8's kind of numbers: mIoU by class frequency."""
    both = (group_means(cluster, found.groups), group_means(linear, found.groups))
    return {
        name: {"classes": list(names), "cluster": number(a), "linear": number(b)}
        for name, names, a, b in zip(found.groups._fields, found.groups, *both, strict=True)
    }


def image_record(one: ImageScore) -> Report:
    """One image's measures."""
    record: Report = {
        "index": one.index,
        "name": one.name,
        "cluster": measures_record(one.cluster),
        "linear": measures_record(one.linear),
    }
    for name, (cluster, linear) in one.refined.items():
        record[name] = {
            "cluster": measures_record(cluster),
            "linear": measures_record(linear),
        }
    return record


def measures_record(measures: Measures) -> Report:
    """For JSON, which has no NaN."""
    return {"accuracy": number(measures.accuracy), "miou": number(measures.miou)}


def distance_record(distance: DistanceScores, dataset: Dataset, title: str, rule: str) -> Report:
    """Table 4's number, with the paper's beside it."""
    record: Report = dict(distance.scores.record())
    # Nothing is matched; and of 920 classes the matrix is a million numbers.
    del record["assignment"], record["confusion"]
    paper = distance_for(len(dataset.classes) - 1, title, rule)
    return {
        **record,
        "features": "frozen" if distance.frozen else "tuned",
        "bank": distance.bank,
        "images": distance.images,
        "neighbours": distance.k,
        "temperature": distance.temperature,
        "size": distance.size,
        "paper": paper,
    }


def notes(
    loaded: LoadedSegmenter, dataset: Dataset, selection: Selection, found: SplitScores | None
) -> list[str]:
    """What a reader must know to judge the numbers, the weightiest first."""
    info = loaded.segmenter.backbone.info
    told = [f"Warning: {loaded.unlearnt}"] if loaded.unlearnt else []
    told.append(selection.sentence)
    if "ImageNet labels" in info.note:
        told.append(
            f"Warning: the backbone, {info.title}, was trained with ImageNet labels, so nothing "
            "here is unsupervised from end to end. Results in the literature use DINO."
        )
    if "Not trained" in info.note:
        told.append("Warning: the backbone has random weights.")
    same_data = loaded.config.get("dataset") in (dataset.name, "")
    # Data without splits are trained and scored on as a whole.
    same_split = dataset.splits == ("all",) or loaded.config.get("train_split") == dataset.split
    if same_data and same_split:
        told.append(f"Warning: the checkpoint was trained on this split, '{dataset.split}'.")
    if not loaded.named:
        told.append(
            "The checkpoint does not name its classes: they are assumed to be those of "
            f"{dataset.title}, in that order."
        )
    elif found is not None and differing(loaded.classes, dataset.classes):
        told.append(
            f"Warning: the data set names its classes differently from {loaded.file.name}: "
            f"{in_words(loaded.classes, dataset.classes)}. The linear probe's scores are "
            "meaningful only if the numbers stand for the same classes."
        )
    if found is not None and found.skipped:
        count, first = len(found.skipped), found.skipped[0]
        told.insert(
            1,
            f"Warning: {count} of {len(dataset)} images could not be read and "
            f"{'does' if count == 1 else 'do'} not count; the first: {printable(first.reason)}.",
        )
    without = 0 if found is None else len(dataset) - len(found.images) - len(found.skipped)
    if without:
        told.append(f"{without} of {len(dataset)} images have no label map and do not count.")
    return told


def protocol_notes(report: Report, loaded: LoadedSegmenter) -> list[str]:
    """What was done as in the published run, in training and here; of the latter, what counted."""
    counted = {"crf_bytes": "crf" in report, "pass_matching": "distance" in report}
    on = [name for name in report["protocol"] if counted.get(name, True)]
    told = [f"Evaluated as published: {protocol_in_words(on)}."] if on else []
    trained = [name for name in trained_as_published(loaded) if name not in OF_EVALUATION]
    if trained:
        told.append(f"Trained as published: {protocol_in_words(trained)}.")
    return told


def trained_as_published(loaded: LoadedSegmenter) -> list[str]:
    """The switches that the checkpoint's run had on; none where it does not say."""
    try:
        return Protocol.of(loaded.config.get("protocol", "studio")).record()
    except SettingError:
        return []


def versions() -> dict[str, str]:
    """Python's version and those of the packages that the numbers depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def refinements(report: Report) -> dict[str, Report]:
    """What was measured after a refinement, by its title."""
    return {title: report[name] for name, title in REFINEMENTS.items() if name in report}


def write_json(report: Report, file: Path, counts: per_image.PerImage | None = None) -> None:
    """Write a report whole or not at all, its images' counts beside it, where it has any.

    The counts come first: until the report names them, nobody takes them for its own.
    OSError where that is impossible.
    """
    if counts is not None:
        per_image.write(counts, per_image.file_beside(file))
    write_text(json.dumps(report, ensure_ascii=False, indent=1, allow_nan=False) + "\n", file)


def write_text(text: str, file: Path) -> None:
    """Write a text file whole or not at all, and the folder it lies in."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with writing(file) as partial:
        # Names from a disk may hold bytes that are no text.
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")


def chosen_images(report: Report, each: int = 3) -> dict[str, list[int]]:
    """The best, the median and the worst images by their clusters' accuracy: item indices.

    Refined where there was a refinement. No image is chosen twice: of fewer than three times
    ``each``, there are fewer of each kind.
    """
    name = next((name for name in REFINEMENTS if name in report), None)
    known = [
        (accuracy, one["index"])
        for one in report.get("images", ())
        if (accuracy := (one[name] if name else one)["cluster"]["accuracy"]) is not None
    ]
    order = [index for _, index in sorted(known, key=lambda pair: (-pair[0], pair[1]))]
    take = min(each, max(1, len(order) // 3))
    best, worst = order[:take], order[max(take, len(order) - take) :][::-1]
    between = order[len(best) : len(order) - len(worst)]
    start = max(0, (len(between) - take + 1) // 2)
    return {"best": best, "median": between[start : start + take], "worst": worst}


def comparable(report: Report) -> Sequence[Report]:
    """The paper's rows, those with a CRF only if there is something measured with one."""
    return [row for row in report.get("paper") or () if row["crf"] <= ("crf" in report)]
