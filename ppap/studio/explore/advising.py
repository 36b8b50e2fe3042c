"""Settings that the page suggests for a batch."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

from ppap.settings import excerpt
from ppap.studio.requests import RequestError
from ppap.studio.store import Held
from ppap.study.advice import Advice, advise_unit
from ppap.study.expectation import AIMS, FITTED_TO, UNPROVEN, Aim


def read_aim(value: object) -> Aim:
    """What a suggestion aims at; RequestError where it is neither."""
    for aim in AIMS:
        if value == aim:
            return aim
    known = " or ".join(AIMS)
    raise RequestError(f"The suggestion must be {known}, not {excerpt(value)}.", field="aim")


def suggestion(held: Held, aim: Aim, device: AbstractContextManager[Any]) -> dict[str, Any]:
    """Settings, the share of positives that should be right (0 to 1), and reasons."""
    batch = held.batch
    if max(batch.counts) < 2:
        raise RequestError("Every image is a single patch, so no settings can be suggested.")
    embedded = batch.backbone.name == FITTED_TO

    def made() -> Advice:
        with device:
            return advise_unit(
                batch.features,
                images=batch.counts,
                grids=batch.grids,
                aim=aim,
                embedded=embedded,
            )

    advice: Advice = held.derive(("advice", aim), made)
    expected = None if advice.expected is None else advice.expected._asdict()
    return {
        "aim": aim,
        "settings": advice.settings.as_dict(),
        "expected": expected,
        "reasons": [*advice.reasons, *([] if embedded else [UNPROVEN])],
    }
