"""The propagation step by step as one moving picture: WebP, GIF, or MP4 with an encoder."""

from __future__ import annotations

import importlib.util
import io
import math
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from ppap.studio.explore.looks.base import PALETTE
from ppap.studio.explore.views import AMBIGUOUS, ANCHOR, NEGATIVE, POSITIVE, View
from ppap.studio.requests import RequestError

TYPES = {"webp": "image/webp", "gif": "image/gif", "mp4": "video/mp4"}
# Milliseconds that a step and the last one stand, and that a frame between two steps takes.
HOLD, LAST, BETWEEN = 900, 1800, 70
EASED = 3
# Of all frames together: what is more is drawn smaller. And of a side.
MOST_PIXELS, MOST_SIDE = 40_000_000, 2400
RATE = 30  # frames a second of a film
ENCODE_SECONDS = 120
DITHER = Image.Dither.NONE  # it would flicker
NO_FILM = "MP4 needs ffmpeg, which is not installed here. Choose WebP or GIF."

Progress = Callable[[str, float], None]
"""Told what goes on and the share that is done; raises to end it."""


class Frame(NamedTuple):
    """A picture, and how many milliseconds it stands."""

    image: Image.Image
    milliseconds: int


def animate(draw: Callable[[int], Image.Image], steps: int, format: str, tell: Progress) -> bytes:
    """All steps as one file.

    Args:
        draw: gives the picture of a step; captions above the images may differ in height.
        steps: T; T + 1 pictures are drawn.
        format: of ``TYPES``.
        tell: see ``Progress``.

    Raises:
        RequestError: there is no encoder for it.
    """
    film = encoder() if format == "mp4" else None
    if format == "mp4" and film is None:
        raise RequestError(NO_FILM, field="format")
    stills: list[Image.Image] = []
    scale = None
    for step in range(steps + 1):
        tell("Drawing the steps", 0.7 * step / (steps + 1))
        still = draw(step)
        scale = fitting(still.size, steps) if scale is None else scale
        stills.append(still if scale == 1 else ImageOps.scale(still, scale))
    tell("Encoding", 0.7)
    found = list(frames(alike(stills), tell))
    if film is not None:
        return as_film(film, found)
    return as_pictures(found, format)


def alike(stills: Sequence[Image.Image]) -> list[Image.Image]:
    """The steps' pictures in one size, the images of all at the same place."""
    width, height = (max(sides) for sides in zip(*(one.size for one in stills), strict=True))
    found = []
    for still in stills:
        sheet = still
        if still.size != (width, height):  # a shorter caption begins lower
            sheet = Image.new("RGB", (width, height), "white")
            sheet.paste(still, (0, height - still.height))
        found.append(sheet)
    return found


def fitting(size: tuple[int, int], steps: int) -> float:
    """By how much a picture shrinks, so that all frames stay within their limits; 1 for not."""
    count = steps + 1 + EASED * steps
    pixels = size[0] * size[1] * count
    return min(1.0, math.sqrt(MOST_PIXELS / pixels), MOST_SIDE / max(size))


def frames(stills: Sequence[Image.Image], tell: Progress) -> Iterator[Frame]:
    """The steps, and between two of them a short passage that begins and ends gently."""
    for step, still in enumerate(stills):
        last = step == len(stills) - 1
        yield Frame(still, LAST if last else HOLD)
        if last:
            return
        tell("Encoding", 0.7 + 0.2 * step / len(stills))
        for part in range(1, EASED + 1):
            share = part / (EASED + 1)
            eased = share * share * (3 - 2 * share)
            yield Frame(Image.blend(still, stills[step + 1], eased), BETWEEN)


def as_pictures(found: Sequence[Frame], format: str) -> bytes:
    """WebP without loss, or GIF; both go on for ever."""
    first, *rest = (one.image for one in found)
    times = [one.milliseconds for one in found]
    out = io.BytesIO()
    if format == "gif":
        table = palette(found[-1].image)
        coloured = [image.quantize(palette=table, dither=DITHER) for image in (first, *rest)]
        first, rest = coloured[0], coloured[1:]
        first.save(out, "GIF", save_all=True, append_images=rest, duration=times, loop=0)
    else:
        quality = {"lossless": True, "quality": 40, "method": 2}
        first.save(
            out, "WEBP", save_all=True, append_images=rest, duration=times, loop=0, **quality
        )
    return out.getvalue()


def palette(image: Image.Image) -> Image.Image:
    """256 colours for all frames: the photographs' commonest, and those of the marks, which are
    too few pixels to be found among them."""
    marks = [*PALETTE.values(), (255, 255, 255), (0, 0, 0)]
    common = image.quantize(256 - len(marks), dither=DITHER).getpalette() or []
    table = Image.new("P", (1, 1))
    table.putpalette([*common[: 3 * (256 - len(marks))], *(part for one in marks for part in one)])
    return table


def encoder() -> str | None:
    """ffmpeg on this machine, on the path or in the package imageio-ffmpeg; None for none."""
    if found := shutil.which("ffmpeg"):
        return found
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return None
    import imageio_ffmpeg  # type: ignore[import-not-found]

    try:
        return str(imageio_ffmpeg.get_ffmpeg_exe())
    except RuntimeError:
        return None


def as_film(program: str, found: Sequence[Frame]) -> bytes:
    """MP4 (H.264); RequestError where the encoder fails.

    Its sides must be even: a row or a column of white is added where they are not.
    """
    width, height = (side + side % 2 for side in found[0].image.size)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "film.mp4"
        words = [program, "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24"]
        words += ["-s", f"{width}x{height}", "-r", str(RATE), "-i", "-", "-an"]
        words += ["-c:v", "libx264", "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(file)]
        raw = Path(folder) / "frames"
        with raw.open("wb") as stream:
            for image, milliseconds in found:
                sheet = Image.new("RGB", (width, height), "white")
                sheet.paste(image)
                for _ in range(max(1, round(milliseconds * RATE / 1000))):
                    stream.write(sheet.tobytes())
        try:
            with raw.open("rb") as stream:
                subprocess.run(
                    words,
                    stdin=stream,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.PIPE,
                    timeout=ENCODE_SECONDS,
                    check=True,
                )
            return file.read_bytes()
        except (OSError, subprocess.SubprocessError):
            raise RequestError("The MP4 encoder failed. Choose WebP or GIF.") from None


def with_map(image: Image.Image, view: View, step: int, places: np.ndarray) -> Image.Image:
    """A step's picture with the map of the patches to its right.

    Args:
        image: of the step.
        view: whose sets colour the points.
        step: of the view.
        places: float ``(N, 2)``.
    """
    side = min(900, max(240, image.width // 2))
    height = max(side, image.height)
    sheet = Image.new("RGB", (image.width + side, height), "white")
    # At the foot of both: what stands above the images may differ in height.
    sheet.paste(image, (0, height - image.height))
    sheet.paste(draw_map(view, step, places, side), (image.width, height - side))
    return sheet


def draw_map(view: View, step: int, places: np.ndarray, side: int) -> Image.Image:
    """The patches as points in the colours of their sets, and the proxy's path up to a step."""
    low, high = places.min(0), places.max(0)
    scale = (side - 40) / max(float((high - low).max()), 1e-9)
    spare = (side - scale * (high - low)) / 2
    points = spare + scale * (places - low)
    points[:, 1] = side - points[:, 1]  # up is up
    sheet = Image.new("RGB", (side, side), "white")
    draw = ImageDraw.Draw(sheet)
    codes = view.codes[min(step, len(view.steps) - 1)]
    radius = 1.5 if len(points) > 4000 else 2.5
    for code, colour in ((NEGATIVE, (176, 182, 194)), *((c, PALETTE[c]) for c in SETS)):
        for x, y in points[codes == code].tolist():
            draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)
    path = [points[codes == ANCHOR][0].tolist()]
    for numbers in view.steps[1 : step + 1]:
        if numbers.nearest:
            weights = np.array(numbers.weights)
            path.append((points[numbers.nearest] * weights[:, None]).sum(0).tolist())
    if len(path) > 1:
        draw.line([tuple(at) for at in path], fill=PALETTE[ANCHOR], width=3)
    for place, (x, y) in enumerate(path):
        r = 7 if place == len(path) - 1 else 5
        draw.ellipse((x - r, y - r, x + r, y + r), fill=PALETTE[ANCHOR], outline="white", width=2)
    return sheet


SETS = (AMBIGUOUS, POSITIVE)
