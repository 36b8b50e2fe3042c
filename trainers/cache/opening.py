"""A plan → a cache that is complete: opened, waited for, or built."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from ppap.backbones import Backbone
from ppap.checks import check_count
from ppap.data import Dataset
from ppap.machine import cores
from ppap.writing import writing
from trainers.cache.build import Builder, Progress, Stopped
from trainers.cache.errors import CacheError, CacheStoppedError
from trainers.cache.features import FeatureCache
from trainers.cache.key import FORMAT, VERSION
from trainers.cache.locks import locked, wait_for
from trainers.cache.plan import CachePlan
from trainers.cache.rows import MANIFEST, Rows, stored_checksums

logger = logging.getLogger(__name__)

# Held by everyone who has the cache open, and by whoever builds it.
IN_USE, BUILDING = "in-use.lock", "building.lock"
BATCH = 8


def open_cache(
    plan: CachePlan,
    dataset: Dataset,
    backbone: Backbone,
    *,
    batch: int = BATCH,
    workers: int | None = None,
    progress: Progress | None = None,
    stopped: Stopped | None = None,
) -> FeatureCache:
    """The features of every image of a data set; what is missing is worked out and stored first.

    Where another process builds the same cache, wait for it. A process that is killed leaves what
    it has stored; the next one goes on from there, and the result is the same.

    Args:
        plan: from ``plan_cache`` with the same data set and backbone.
        dataset: read only where something is missing or damaged.
        backbone: likewise; on the device where it shall run.
        batch: images that go through the backbone at a time. A cache that was begun with another
            number keeps that.
        workers: threads that decode images; left out, one for every core.
        progress: told after every batch, and while waiting, how many images are there, and of how
            many.
        stopped: asked before every batch, and while waiting; True ends it.

    Raises:
        CacheError: the folder cannot be used, the disk is full, or a feature does not fit half
            precision; says what to do.
        CacheStoppedError: ``stopped`` said so.
        DataError: an image or a label map cannot be read; names the file.
    """
    check_count("batch", batch, 1)
    workers = cores() if workers is None else workers
    check_count("workers", workers, 0)
    if len(dataset) != plan.images:
        raise ValueError(f"the plan has {plan.images} images, the data set {len(dataset)}")
    in_use = wait_for(plan.folder / IN_USE, exclusive=False, meanwhile=asking(stopped))
    try:
        in_use.touch()  # those unused for longest are removed first
        if complete(plan):
            manifest = read_manifest(plan.folder)
            rows = Rows(plan.folder, plan.images, plan.row)
        else:
            waiting = told_while_waiting(plan, progress, stopped)
            with locked(plan.folder / BUILDING, exclusive=True, meanwhile=waiting):
                manifest = read_manifest(plan.folder) or write_manifest(plan, batch)
                rows = Rows(plan.folder, plan.images, plan.row)
                builder = Builder(plan, rows, dataset, backbone, manifest["batch"])
                builder.build(max(1, workers), progress, stopped)
        builder = Builder(plan, rows, dataset, backbone, manifest["batch"])
        return FeatureCache(plan, rows, builder, in_use)
    except BaseException:
        in_use.release()
        raise


def complete(plan: CachePlan) -> bool:
    """Whether every row is stored, now."""
    stored = stored_checksums(plan.folder, plan.images, plan.row)
    return bool(stored.all()) and bool(read_manifest(plan.folder))


def asking(stopped: Stopped | None) -> Callable[[], None]:
    """Something to do while waiting: ask whether to stop."""

    def ask() -> None:
        if stopped is not None and stopped():
            raise CacheStoppedError("stopped while waiting for another process to build the cache")

    return ask


def told_while_waiting(
    plan: CachePlan, progress: Progress | None, stopped: Stopped | None
) -> Callable[[], None]:
    """Likewise, and tell how far the process has come that builds the cache."""
    ask, said = asking(stopped), False

    def tell() -> None:
        nonlocal said
        ask()
        if not said:
            logger.info("Another process is building %s: waiting for it.", plan.folder)
            said = True
        if progress is not None:
            stored = stored_checksums(plan.folder, plan.images, plan.row)
            progress(int((stored != 0).sum()), plan.images)

    return tell


def read_manifest(folder: Path) -> dict[str, Any]:
    """What a cache says of itself; empty where it says nothing that can be understood."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        return {}
    batch = manifest.get("batch")
    return manifest if isinstance(batch, int) and batch > 0 else {}


def write_manifest(plan: CachePlan, batch: int) -> dict[str, Any]:
    """Say in words what a new cache is of."""
    facts = plan.facts
    manifest = {
        "format": FORMAT,
        "version": VERSION,
        "key": facts.key(),
        "data": facts.data,
        "backbone": {"name": plan.backbone, **facts.backbone},
        "size": facts.size,
        "batch": batch,
        "row": {"bytes": plan.row.itemsize, "fields": facts.fields},
        # Another release may differ in the last bits; the cache is not made again for that.
        "made_with": {name: version(name) for name in ("torch", "numpy", "pillow")},
    }
    try:
        with writing(plan.folder / MANIFEST) as partial:
            partial.write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise CacheError(
            f"{plan.folder / MANIFEST} cannot be written: {error.strerror or error}"
        ) from error
    return manifest
