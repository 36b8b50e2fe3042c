"""What loading a batch costs in patches, seconds and memory; too much for this machine is refused.

Everything is worked out from the number of images and their size, before one is read. Seconds come
from what the same backbone took on this machine before.
"""

from __future__ import annotations

import math
import re
import threading
from collections.abc import Callable
from typing import NamedTuple

from ppap.backbones import Backbone
from ppap.backbones.embedded import is_embedded
from ppap.batches import PIXELS_AT_ONCE, rounded_size
from ppap.machine import memory
from ppap.studio.requests import LEAST_SIZE, MAX_IMAGES, Request, RequestError

# A click looks at all patches of a batch at every step, and the page holds a byte for each.
MOST_PATCHES = 250_000
# What is left to the rest of the machine.
SPARE = 0.1
SLOWER = 1.5
USUAL_PATCH, USUAL_DIM = 16, 768
# Bytes: of a pixel of image (a byte a channel) and label map (int64); while its network runs, for
# all pixels that go through it together; and of a patch while a map is fitted to all.
PIXEL, LABEL, WORKING, MAPPED = 3, 8, 500, 1500


class Model(NamedTuple):
    """What of a backbone decides what it costs."""

    patch: int
    dim: int
    linear: bool
    """Whether twice the patches take twice the time: attention takes more."""


class Speed(NamedTuple):
    """What a backbone took on this machine."""

    model: Model
    reading: float
    """Seconds an image, to read and resize it."""
    embedding: float
    """Seconds for a unit of ``work``."""


class Cost(NamedTuple):
    """What a batch comes to."""

    size: int
    """The resolution, rounded to whole patches."""
    patches: int
    seconds: float | None
    """None until the backbone has been used once."""
    bytes: int

    def __str__(self) -> str:
        parts = [f"about {self.patches:,} patches"]
        if self.seconds is not None:
            parts.append(duration(self.seconds))
        return ", ".join([*parts, gigabytes(self.bytes)])


class Costs:
    """Remembers what backbones took. Safe for many threads.

    Args:
        available: bytes of memory that can still be taken.
    """

    def __init__(self, available: Callable[[], int] = lambda: memory().available) -> None:
        self._available = available
        self._speeds: dict[tuple[str, ...], Speed] = {}
        self._lock = threading.Lock()

    def learn(
        self, request: Request, model: Model, counts: tuple[int, ...], took: tuple[float, float]
    ) -> None:
        """Keep how many seconds it ``took`` to read images of ``counts`` patches, and to embed."""
        done = sum(work(model, patches) for patches in counts)
        reading, embedding = took[0] / len(counts), took[1] / done
        key = key_of(request)
        with self._lock:
            before = self._speeds.get(key)
            if before is not None and before.model == model:
                # Once slower, by a busy machine or a network's first steps, is not slower for good.
                reading = min(reading, SLOWER * before.reading)
                embedding = min(embedding, SLOWER * before.embedding)
            self._speeds[key] = Speed(model, reading, embedding)

    def of(self, request: Request, images: int) -> Cost:
        """What so many images cost at a request's resolution."""
        with self._lock:
            speed = self._speeds.get(key_of(request))
        model = speed.model if speed else by_name(request.backbone)
        size = rounded_size(request.size, model.patch)
        each = (size // model.patch) ** 2
        patches = images * each
        seconds = speed and images * (speed.reading + speed.embedding * work(model, each))
        return Cost(size, patches, seconds, needed(images, size, model))

    def check(self, request: Request, images: int, model: Model | None = None) -> None:
        """RequestError where so many images at a request's resolution are too much.

        ``model`` is what the backbone is, where that is known.
        """
        if model is None:
            with self._lock:
                speed = self._speeds.get(key_of(request))
            model = speed.model if speed else by_name(request.backbone)
        free = int(self._available() * (1 - SPARE))
        if problem := too_much(images, request.size, model, free):
            advice = fitting(images, request.size, model, free)
            raise RequestError(f"{problem} {advice}", field="size")


def key_of(request: Request) -> tuple[str, ...]:
    """What of a request decides which network runs."""
    names = ("backbone", "checkpoint", "run", "output")
    return tuple(str(getattr(request, name, "")) for name in names)


def model_of(backbone: Backbone) -> Model:
    """What of a backbone decides what it costs."""
    return Model(backbone.patch_size, backbone.dim, is_embedded(backbone.info.name))


def by_name(name: str) -> Model:
    """What a backbone is, as far as its name tells: ``vit_small_patch8_224``, ``dino_vits8``."""
    found = re.search(r"patch(\d+)", name) or re.search(r"vit[a-z]+(\d+)", name)
    patch = int(found[1]) if found else USUAL_PATCH
    return Model(patch if 4 <= patch <= 64 else USUAL_PATCH, USUAL_DIM, is_embedded(name))


def work(model: Model, patches: int) -> float:
    """What an image of so many patches takes, in units of a network's own.

    Of a transformer's block the products with weights take 12 D² a patch, attention 2 N · D.
    """
    return patches * (1.0 if model.linear else 1 + patches / (6 * model.dim))


def needed(images: int, size: int, model: Model) -> int:
    """Bytes that loading a batch of squares takes at its peak, about."""
    patches = images * (size // model.patch) ** 2
    pixels = images * size * size
    kept = pixels * (PIXEL + LABEL) + patches * model.dim * 4
    running = max(PIXELS_AT_ONCE, size * size) * WORKING
    # Joining the features takes as much again, and so does fitting a map to them.
    later = patches * (2 * model.dim * 4 + MAPPED)
    return kept + max(running, later)


def too_much(images: int, size: int, model: Model, free: int) -> str:
    """What is too much about a batch, as a sentence; empty where nothing is."""
    size = rounded_size(size, model.patch)
    patches = images * (size // model.patch) ** 2
    batch = f"{counted(images)} at {size} px"
    if patches > MOST_PATCHES:
        return (
            f"{batch} would make about {patches:,} patches; a batch holds at most {MOST_PATCHES:,}."
        )
    bytes_needed = needed(images, size, model)
    if bytes_needed > free:
        return (
            f"{batch} would need about {gigabytes(bytes_needed)} of memory; "
            f"only {gigabytes(max(0, free))} is free."
        )
    return ""


def fitting(images: int, size: int, model: Model, free: int) -> str:
    """What would not be too much, as a sentence."""
    sizes = range(rounded_size(LEAST_SIZE, model.patch), size, model.patch)
    smaller = [one for one in sizes if not too_much(images, one, model, free)]
    fewer = [n for n in range(1, min(images, MAX_IMAGES)) if not too_much(n, size, model, free)]
    ways = []
    if smaller:
        ways.append(f"{counted(images)} at {smaller[-1]} px")
    if fewer:
        ways.append(f"{counted(fewer[-1])} at {size} px")
    return (
        f"What would fit: {' or '.join(ways)}." if ways else "Close other programs to free memory."
    )


def counted(images: int) -> str:
    """``1 image``, ``8 images``."""
    return f"{images} image" if images == 1 else f"{images} images"


def duration(seconds: float) -> str:
    """Seconds to two digits, minutes from 90 on."""
    if seconds < 1:
        return "less than 1 s"
    if seconds < 90:
        return f"{round(seconds, -1 if seconds >= 20 else 0):.0f} s"
    return f"{math.ceil(seconds / 60)} min"


def gigabytes(size: float) -> str:
    """Bytes as GB, to a tenth; as MB below one."""
    if size < 1e9:
        return f"{max(1, round(size / 1e6, -1)):.0f} MB"
    return f"{size / 1e9:.1f} GB"
