"""How pictures are refined and looked at: what a page asks for, and what it gets."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from ppap.predictor import REFINEMENTS, Refine
from ppap.segmenter.inference import NAMES, PLAIN, Inference, in_words
from ppap.settings import SettingError, excerpt
from ppap.studio.requests import RequestError

# Times that the backbone sees one picture, and pixels of the shorter side as it sees it: more
# would keep everybody else waiting.
MOST_LOOKS, MOST_SIDE = 32, 1792
LOOKS = tuple(name for name in NAMES if name != "half")
TITLES = {"none": "", "crf": "CRF", "pamr": "PAMR"}


@dataclass(frozen=True)
class Switches:
    """What is done beside segmenting."""

    refine: Refine = "none"
    inference: Inference = PLAIN
    note: str = ""
    """Why it is not what was asked for."""

    @property
    def coarse(self) -> Inference:
        """The same on the backbone's own grid: what is kept of many pictures would not fit into
        memory on a finer one."""
        return replace(self.inference, shifts=1)

    def said(self) -> str:
        """In words, for whoever takes the result away; empty for nothing."""
        parts = [TITLES[self.refine], in_words(self.inference.record())]
        return "; ".join(part for part in parts if part)


def read_switches(raw: Mapping[str, Any], why_no_crf: Callable[[], str | None]) -> Switches:
    """The switches of a request; RequestError or SettingError for what cannot be.

    ``refine`` is none, crf or pamr; ``crf`` true or false, as it was before there was PAMR. Where
    there is no CRF, PAMR stands in.
    """
    refine, crf = raw.get("refine") or None, raw.get("crf", False)
    if not isinstance(crf, bool):
        raise RequestError("CRF must be true or false.", field="refine")
    if refine is None:
        refine = "crf" if crf else "none"
    if not isinstance(refine, str) or refine not in REFINEMENTS:
        raise RequestError(
            f"The refinement must be one of {', '.join(REFINEMENTS)}, not {excerpt(refine)}.",
            field="refine",
        )
    note = ""
    if refine == "crf" and (reason := why_no_crf()):
        refine, note = "pamr", f"{reason} PAMR refines the borders instead."
    return Switches(refine, read_inference(raw), note)  # type: ignore[arg-type]


def read_inference(raw: Mapping[str, Any]) -> Inference:
    """Mirror, scales, window and shifts of a request; SettingError for what cannot be."""
    given = {name: raw[name] for name in LOOKS if raw.get(name) is not None}
    found = Inference.of(given)
    if found.looks > MOST_LOOKS:
        raise SettingError(
            "shifts" if found.shifts > 1 else "scales",
            f"That makes {found.looks} passes over every image; the most is {MOST_LOOKS}.",
        )
    return found


def check_side(inference: Inference, size: int) -> None:
    """SettingError where a scale makes pictures of this size too large."""
    most = max(inference.scales)
    if most > 1 and size * most > MOST_SIDE:
        raise SettingError(
            "scales",
            f"At {size} px, a scale must be at most {MOST_SIDE / size:.3g}, not {most:g}.",
        )
