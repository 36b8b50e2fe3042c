"""What an evaluation measures beyond the probes, checked: refinement, looks, clusters, retrieval.

Pages send texts as they were typed, scripts numbers and lists; both are taken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeVar

from ppap.evaluation.counting import METHODS
from ppap.evaluation.report import REFINEMENTS
from ppap.segmenter.inference import MOST_SCALES, Inference
from ppap.settings import excerpt
from ppap.studio.requests import Mistakes, RequestError

# Sides of the squares that are scored.
LEAST_SIZE, MOST_SIZE = 16, 2048
# More clusters, or more numbers of them, take hours; the command line has no such bounds.
MOST_CLUSTERS, MOST_COUNTS = 1000, 8
MOST_SEED, MOST_STARTS = 2**31, 100
LONGEST_LIST = 200
PROTOCOLS = ("", "studio", "published")
FEATURES = ("tuned", "frozen")
_BETWEEN = re.compile(r"[\s,;]+")
_SPLIT = re.compile(r"\w[\w.-]{0,59}")

T = TypeVar("T")


class Measures(NamedTuple):
    """What is measured, and how images are looked at."""

    refine: tuple[str, ...] = ()
    inference: Inference = Inference()
    clusters: tuple[int, ...] = ()
    by: tuple[str, ...] = ()
    """Empty: all methods."""
    features: Literal["tuned", "frozen"] = "tuned"
    retrieval: bool = False
    train: str = ""
    """The split that centroids and the memory are from; empty: the run's, or train."""
    seed: int = 0
    protocol: str = ""
    """Empty: the run's own."""
    size: int = 0
    """Side of the squares, in pixels; 0: the checkpoint's."""
    starts: int = 0
    """Clusterings from so many starts of each kind; 0: none."""

    @property
    def learns(self) -> bool:
        """Whether something is found anew on training images."""
        return bool(self.clusters or self.retrieval or self.starts)

    def arguments(self) -> list[str]:
        """Of the command: what differs from its defaults."""
        words = [f"--size={self.size}"] if self.size else []
        words += ["--refine", *self.refine] if self.refine else []
        if self.inference.mirror:
            words.append("--mirror")
        if self.inference.scales != (1.0,):
            words += ["--scales", *(f"{one:g}" for one in self.inference.scales)]
        if self.inference.window:
            words.append(f"--window={self.inference.window}")
        if self.inference.shifts != 1:
            words.append(f"--shifts={self.inference.shifts}")
        if self.clusters:
            words += ["--clusters", *map(str, self.clusters)]
            words += ["--cluster-by", *self.by] if self.by else []
            words.append(f"--cluster-features={self.features}")
        words += ["--retrieval"] if self.retrieval else []
        words += [f"--starts={self.starts}"] if self.starts else []
        if self.learns:
            words += [f"--train-split={self.train}"] if self.train else []
            words.append(f"--seed={self.seed}")
        return [*words, f"--protocol={self.protocol}"] if self.protocol else words


def read_measures(raw: Mapping[str, Any], mistakes: Mistakes, crf: str | None) -> Measures:
    """Check that part of a request; what is wrong goes to ``mistakes``, by field.

    Args:
        raw: the request; what is left out, None or empty is as usual.
        mistakes: of the whole request.
        crf: why there is no CRF; None where there is.
    """
    found: dict[str, Any] = {}
    with mistakes.at("refine"):
        found["refine"] = _refine(raw, crf)
    with mistakes.at("mirror"):
        found["inference"] = _inference(raw, mistakes)
    with mistakes.at("clusters"):
        found["clusters"] = tuple(
            _whole(one, 2, MOST_CLUSTERS, "A number of clusters")
            for one in _listed(raw.get("clusters"), MOST_COUNTS, "numbers of clusters")
        )
    with mistakes.at("by"):
        named = _listed(raw.get("by"), len(METHODS), "methods")
        found["by"] = tuple(_among(one, tuple(METHODS), "The method") for one in named)
    with mistakes.at("features"):
        found["features"] = _among(raw.get("features") or "tuned", FEATURES, "The features")
    with mistakes.at("retrieval"):
        found["retrieval"] = _switch(raw, "retrieval", "Retrieval")
    with mistakes.at("starts"):
        found["starts"] = _whole(_or(raw.get("starts"), 0), 0, MOST_STARTS, "Starts")
    with mistakes.at("train"):
        found["train"] = _split(raw.get("train") or "")
    with mistakes.at("seed"):
        found["seed"] = _whole(_or(raw.get("seed"), 0), 0, MOST_SEED, "The seed")
    with mistakes.at("size"):
        size = _or(raw.get("size"), 0)
        found["size"] = 0 if size == 0 else _whole(size, LEAST_SIZE, MOST_SIZE, "The size")
    with mistakes.at("protocol"):
        found["protocol"] = _among(raw.get("protocol") or "", PROTOCOLS, "The protocol")
    return Measures(**found)


def _refine(raw: Mapping[str, Any], crf: str | None) -> tuple[str, ...]:
    """What refines; ``crf`` of earlier versions is one of them."""
    said = raw.get("refine")
    names = [said] if isinstance(said, str) and said else _listed(said, 8, "refinements")
    wanted = [_among(name, tuple(REFINEMENTS), "A refinement") for name in names]
    if _switch(raw, "crf", "CRF"):
        wanted.append("crf")
    if "crf" in wanted and crf:
        raise RequestError(crf)
    return tuple(name for name in REFINEMENTS if name in wanted)


def _inference(raw: Mapping[str, Any], mistakes: Mistakes) -> Inference:
    """How images are looked at; SettingError, naming its field, for what cannot be."""
    given: dict[str, Any] = {"mirror": _switch(raw, "mirror", "Mirror")}
    with mistakes.at("scales"):
        scales = _listed(raw.get("scales"), MOST_SCALES, "scales")
        given["scales"] = tuple(map(_number, scales)) or (1.0,)
        Inference(scales=given["scales"])
    for name, usual in (("window", 0), ("shifts", 1)):
        with mistakes.at(name):
            most = 10**6  # the ranges themselves are Inference's
            given[name] = _whole(_or(raw.get(name), usual), 0, most, name.capitalize())
            Inference(**{name: given[name]})
    return Inference() if set(given) & set(mistakes.found) else Inference(**given)


def _listed(value: object, most: int, what: str) -> list[Any]:
    """A list, or a text with spaces or commas between; each part once."""
    if value is None:
        return []
    if isinstance(value, str) and len(value) <= LONGEST_LIST:
        value = [part for part in _BETWEEN.split(value) if part]
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise RequestError(f"Enter at most {most} {what}, separated by spaces.")
    if len(value) > most:
        raise RequestError(f"Enter at most {most} {what}, not {len(value):,}.")
    found: list[Any] = []
    for one in value:
        if one not in found:
            found.append(one)
    return found


def _number(value: object) -> float:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise RequestError(f"{excerpt(value)} is not a number.") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise RequestError(f"{excerpt(value)} is not a number.")
    return float(value) if abs(value) < 10**9 else float("inf")


def _whole(value: object, least: int, most: int, what: str) -> int:
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,12}", value.strip()):
        value = int(value)
    whole = isinstance(value, int) and not isinstance(value, bool)
    if not whole or not least <= value <= most:  # type: ignore[operator]
        raise RequestError(
            f"{what} must be a whole number from {least} to {most}, not {excerpt(value)}."
        )
    return int(value)  # type: ignore[call-overload]


def _or(value: T, usual: T) -> T:
    """An emptied field is as usual."""
    empty = value is None or (isinstance(value, str) and not value.strip())
    return usual if empty else value


def _among(value: object, allowed: Sequence[str], what: str) -> str:
    if not isinstance(value, str) or value not in allowed:
        names = ", ".join(name for name in allowed if name)
        raise RequestError(f"{what} must be one of {names}, not {excerpt(value)}.")
    return value


def _switch(raw: Mapping[str, Any], name: str, what: str) -> bool:
    value = raw.get(name, False)
    if value is not None and not isinstance(value, bool):
        raise RequestError(f"{what} must be true or false.")
    return bool(value)


def _split(value: object) -> str:
    if not isinstance(value, str) or (value.strip() and not _SPLIT.fullmatch(value.strip())):
        raise RequestError("The training split must be a name such as train.")
    return value.strip()
