"""The COCO-Stuff recipe step by step: what waits for the GPU, and what takes how long."""

from __future__ import annotations

import statistics
import time
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import torch

from tests.gpu.random_runs import (
    configuration,
    endless,
    trainer_of,
    write_backbone,
    write_photos,
)
from tests.gpu.sheet import Place, Sheet
from tests.support.pretend_gpu import place as place_in_code
from trainers.training.trainer import Trainer

RECIPE = "coco_vits8"
WARM, LOOKED_AT, TIMED = 4, 6, 12
# Their five crops are enough for all these steps of 64 within one epoch.
PHOTOS = 300
SAID = "synchronizing CUDA operation"


def check(place: Place, sheet: Sheet) -> None:
    """With images, and with cached features: no wait, and a profile of the steps."""
    write_photos(place.folder, small=place.small, count=PHOTOS)
    backbone = write_backbone(RECIPE, place.folder, small=place.small)
    for cache in ("off", "on"):
        config = configuration(
            RECIPE,
            backbone,
            small=place.small,
            cache=cache,
            log_every=1_000_000,
            precision="float32" if place.small else "float16",
            device=str(place.device),
        )
        trainer = trainer_of(config, place.folder, f"cache {cache}", place.device)
        way = "cached" if cache == "on" else "images"
        try:
            looked_at(trainer, place.device, sheet, way)
        finally:
            trainer.close()


def looked_at(trainer: Trainer, device: torch.device, sheet: Sheet, way: str) -> None:
    """Steps of one run: warm, watched, timed."""
    source = endless(trainer)
    take(trainer, source, WARM)
    with noted_waits(device) as waits:
        take(trainer, source, LOOKED_AT)
    found = ", ".join(f"{where} ({count})" for where, count in Counter(waits).most_common())
    sheet.must(f"{way}: nothing waits for the GPU", not waits, found or "no wait")
    clock = Clock(device)
    with clock.on(trainer):
        clock.start()
        for _ in range(TIMED):
            with clock.part("waiting for images"):
                batch = next(source)
            with clock.part("whole step"):
                trainer._one_step(batch)
        seconds = clock.stop()
    images = TIMED * trainer.config.batch / seconds
    sheet.tell(f"{way}: images per second", images)
    sheet.tell(f"{way}: a step", 1000 * seconds / TIMED, "ms")
    for part, spent in clock.medians().items():
        sheet.tell(f"{way}: of which {part}", 1000 * spent, "ms")


def take(trainer: Trainer, source: Iterator[Any], steps: int) -> None:
    """So many steps."""
    for batch in islice(source, steps):
        trainer._one_step(batch)


@contextmanager
def noted_waits(device: torch.device) -> Iterator[list[str]]:
    """Where our code waits for the GPU meanwhile, a line for every wait."""
    waits: list[str] = []

    def note(message: Warning | str, *_: Any, **__: Any) -> None:
        if SAID in str(message):
            waits.append(place_in_code())

    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("warn")
        try:
            yield waits
        finally:
            if device.type == "cuda":
                torch.cuda.set_sync_debug_mode("default")


class Clock:
    """How long parts of steps take on a device; nobody waits for it before the end."""

    def __init__(self, device: torch.device) -> None:
        self.on_gpu = device.type == "cuda"
        self.marks: dict[str, list[tuple[Any, Any]]] = {}
        self.began = 0.0

    def mark(self) -> Any:
        """A moment: on the GPU, when all that was asked for before is done."""
        if not self.on_gpu:
            return time.perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    @contextmanager
    def part(self, name: str) -> Iterator[None]:
        """Count what is done meanwhile to a part."""
        begun = self.mark()
        try:
            yield
        finally:
            self.marks.setdefault(name, []).append((begun, self.mark()))

    @contextmanager
    def on(self, trainer: Trainer) -> Iterator[None]:
        """Count the parts of a trainer's steps meanwhile."""
        parts: tuple[tuple[Any, str, str], ...] = (
            (trainer, "_trunk", "the frozen trunk"),
            (trainer.segmenter, "forward_training", "both streams"),
            (trainer, "_loss", "sets and loss"),
            (trainer, "_probe_losses", "both probes"),
            (trainer.updating, "update", "backward and update"),
        )
        for owner, name, part in parts:
            setattr(owner, name, self._counted(getattr(owner, name), part))
        try:
            yield
        finally:
            for owner, name, _ in parts:
                delattr(owner, name)

    def _counted(self, work: Callable[..., Any], part: str) -> Callable[..., Any]:
        def counted(*given: Any, **named: Any) -> Any:
            with self.part(part):
                return work(*given, **named)

        return counted

    def start(self) -> None:
        """Begin the whole."""
        if self.on_gpu:
            torch.cuda.synchronize()
        self.began = time.perf_counter()

    def stop(self) -> float:
        """Seconds since."""
        if self.on_gpu:
            torch.cuda.synchronize()
        return time.perf_counter() - self.began

    def medians(self) -> dict[str, float]:
        """Seconds of each part; after ``stop``."""
        return {
            name: statistics.median(self._between(*pair) for pair in pairs)
            for name, pairs in self.marks.items()
        }

    def _between(self, begun: Any, ended: Any) -> float:
        return begun.elapsed_time(ended) / 1000 if self.on_gpu else ended - begun
