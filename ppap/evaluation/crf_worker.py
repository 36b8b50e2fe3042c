"""The process that refines one image after another, and what it computes.

pydensecrf holds Python's lock from beginning to end, so threads would take turns: using all cores
takes processes. This file is run as a script and imports neither torch nor ppap, so that one
process for every core starts quickly and stays small. Messages are a length, a JSON header and raw
numbers, over stdin and stdout; no pickles.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import struct
import sys
from typing import Any, BinaryIO, NamedTuple

import numpy as np


class CrfSettings(NamedTuple):
    """Krähenbühl & Koltun's dense CRF; the defaults are the published evaluation's."""

    iterations: int = 10
    smoothness_sxy: float = 1.0
    """Width, in pixels, of the Gaussian that only knows positions."""
    smoothness_weight: float = 3.0
    bilateral_sxy: float = 67.0
    """Width, in pixels, of the Gaussian over positions and colours."""
    bilateral_srgb: float = 3.0
    """Its width in colours, 0 to 255."""
    bilateral_weight: float = 4.0
    bgr: bool = True
    """Hand the channels over as blue, green, red, as the published code does. In exact numbers the
    order means nothing; in pydensecrf's approximation it moved 0.5 % of the pixels of three street
    scenes."""
    least_probability: float = 1e-5
    """Smaller ones are raised to this before the logarithm, as pydensecrf's own helper does."""


def mean_field(rgb: np.ndarray, probabilities: np.ndarray, settings: CrfSettings) -> np.ndarray:
    """Refine one image.

    Args:
        rgb: uint8 ``(H, W, 3)``, not normalised.
        probabilities: float32 ``(C, H, W)``.
        settings: of the CRF.

    Returns:
        Probabilities, float32 ``(C, H, W)``, summing to 1 over the classes.
    """
    from pydensecrf.densecrf import DenseCRF2D

    classes, height, width = probabilities.shape
    field = DenseCRF2D(width, height, classes)
    energy = -np.log(np.clip(probabilities, settings.least_probability, 1))
    field.setUnaryEnergy(np.ascontiguousarray(energy.reshape(classes, -1), dtype=np.float32))
    field.addPairwiseGaussian(sxy=settings.smoothness_sxy, compat=settings.smoothness_weight)
    field.addPairwiseBilateral(
        sxy=settings.bilateral_sxy,
        srgb=settings.bilateral_srgb,
        rgbim=np.ascontiguousarray(rgb[:, :, ::-1] if settings.bgr else rgb),
        compat=settings.bilateral_weight,
    )
    refined = field.inference(settings.iterations)
    return np.array(refined, dtype=np.float32).reshape(classes, height, width)


def write_message(stream: BinaryIO, header: object, *arrays: np.ndarray) -> None:
    """Write a JSON header and arrays whose shapes the other side knows from it."""
    text = json.dumps(header).encode()
    stream.write(struct.pack("<I", len(text)) + text)
    for array in arrays:
        stream.write(np.ascontiguousarray(array).data.cast("B"))
    stream.flush()


def read_header(stream: BinaryIO) -> list[Any]:
    """Read what ``write_message`` wrote before the arrays; EOFError at the end."""
    (length,) = struct.unpack("<I", read_exactly(stream, 4))
    header: list[Any] = json.loads(read_exactly(stream, length))
    return header


def read_array(stream: BinaryIO, shape: tuple[int, ...], dtype: type[np.generic]) -> np.ndarray:
    """Read one array; EOFError when it is cut short."""
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    return np.frombuffer(read_exactly(stream, size), dtype=dtype).reshape(shape)


def read_exactly(stream: BinaryIO, size: int) -> bytearray:
    """``size`` bytes; EOFError when fewer come."""
    data = bytearray(size)
    # A buffered stream fills the whole buffer unless it ends.
    if stream.readinto(data) != size:  # type: ignore[attr-defined]
        raise EOFError("the other side has ended")
    return data


def main() -> None:
    """Answer one request after another."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl+C is the parent's to handle
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # whatever a library prints must not get between the answers
    # Either the parent is done and closes its end, or it is gone.
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            answer(sys.stdin.buffer, answers)


def answer(requests: BinaryIO, answers: BinaryIO) -> None:
    """Take one request and answer it: an empty text and the result, or what went wrong."""
    (classes, height, width), values = read_header(requests)
    rgb = read_array(requests, (height, width, 3), np.uint8)
    probabilities = read_array(requests, (classes, height, width), np.float32)
    try:
        refined = mean_field(rgb, probabilities, CrfSettings(*values))
    except Exception as error:
        write_message(answers, [f"{type(error).__name__}: {error}"])
    else:
        write_message(answers, [""], refined)


if __name__ == "__main__":
    main()
